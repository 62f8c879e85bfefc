# SPDX-License-Identifier: Apache-2.0
"""The arrays of a case, recomputed from its seed.

Values lie on a grid that the dtype holds exactly: odd multiples of 2**-11 (f16) or 2**-8 (bf16) in
(-1, 1), so no value is zero, the mean is zero, and a float64 dot product of a query and a key is
exact in any order of summation. The query is scaled by 2 (scores with a standard deviation of 0.67)
or, with `sharp`, by 16.

A token's key and value depend on (seed, sequence, position) only: not on kv_block_size, the layout,
the block table or other sequences. With `shared` they depend on (seed, kv block's rank, slot).

Int8 caches hold bell-shaped integers that reach -128 and 127. Scales and offsets have so
few bits that dot products of the dequantised numbers are exact too, but more than 16-bit floats
have. With `outliers` the scales of outlier key channels are 64 times larger; one scale per token
cannot do that, so the other channels of a key have tiny integers instead.

What a kernel must never use is NaN: spare kv blocks that no table row names, and the slots of a kv
block past the context of every sequence that uses it; in int8 caches it is -128, and NaN in scales
per token. Table entries past a sequence's last kv block are -1.

Next: attention.py - the result these arrays must give. testdata/decode_inputs.h is the C++ twin.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ascend_attention_reference import rng
from ascend_attention_reference.case import DecodeCase

# Streams of the generator: one per tensor.
_QUERY, _KEY, _VALUE, _ONE_HOT, _PAGE_ORDER, _PAGE_DRAW = range(6)
_KEY_SCALE, _VALUE_SCALE, _KEY_OFFSET, _VALUE_OFFSET = range(6, 10)

_QUERY_SCALE = 2.0
_SHARP_QUERY_SCALE = 16.0

# `outliers`: channels 7, 39, 71, ... moved by 5 per kv head. A query is small where keys are large,
# as in trained models, so that scores stay useful; a key in the wrong channel makes them explode.
_OUTLIER_PERIOD = 32
_OUTLIER_FIRST = 7
_OUTLIER_STEP = 5
_OUTLIER_KEY_SCALE = 64.0
_OUTLIER_QUERY_SCALE = 1.0 / 16.0

# `bigscores`: channel 0 alone makes the score, the others (odd multiples of 1/4, at most 7/4) its
# spread. Every partial sum is a multiple of 1/16 below 2**20, hence exact in float32 too.
_BIG_QUERY = 1024.0
_BIG_SCORE = 6.0e4

# Int8: the difference t of a lane's two bytes falls off linearly to +-255. Bending it by its own
# size makes a bell; what lies beyond the range is clipped, one element in 170 at each end.
_INT8_BEND = 128
_INT8_DIVISOR = 640
_INT8_POISON = -128

# Scales are multiples of 2**-19 with 13 bits: of channels between 2**-8 and four times that, of
# tokens between 2**-9 and eight times that. Offsets are odd multiples of 5/64 below 20.
_SCALE_STEP = 2.0**-19
_CHANNEL_SCALE_MIN = 2048
_TOKEN_SCALE_MIN = 1024
_OFFSET_STEP = 5.0 / 64.0
_OFFSET_LEVELS = 256

_DTYPES = {"f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
_GRID_BITS = {"f16": 11, "bf16": 8}

# Elements generated per step.
_STEP_ELEMENTS = 1 << 17


@dataclasses.dataclass(frozen=True)
class DecodeInputs:
    """What one decode call takes. `dtype` is float16 or ml_dtypes.bfloat16.

    Attributes:
      query: [num_query_rows, num_heads, head_dim] dtype; sequence after sequence.
      key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim] or, head_major,
        [num_kv_blocks, num_kv_heads, kv_block_size, head_dim]; dtype or int8. A view of `pool`, if
        there is one.
      value_cache: like key_cache.
      block_table: [batch, max_kv_blocks] int32.
      context_lens: [batch] int32; query tokens included.
      softmax_scale: factor of the scores; a float32 value.
      q_lens: [batch] int32; None: one each.
      kv_layout: "token_major" or "head_major".
      pool: [num_kv_blocks, 2, ...] with key_cache = pool[:, 0] and value_cache = pool[:, 1]; None:
        the caches are arrays of their own.
      kv_quant: "none", "int8_channel", "int8_channel_asym" or "int8_token".
      route: "auto", "dequant", "limbs" or "fifo".
      out_float32: out is float32; else it has the query's dtype.
      key_scale: float32; [num_kv_heads, head_dim], or [num_kv_blocks, num_kv_heads, kv_block_size]
        with int8_token; None without int8. Also value_scale.
      key_offset: float32 [num_kv_heads, head_dim] with int8_channel_asym. Also value_offset.
    """

    query: NDArray
    key_cache: NDArray
    value_cache: NDArray
    block_table: NDArray[np.int32]
    context_lens: NDArray[np.int32]
    softmax_scale: float
    q_lens: NDArray[np.int32] | None = None
    kv_layout: str = "token_major"
    pool: NDArray | None = None
    kv_quant: str = "none"
    route: str = "auto"
    out_float32: bool = False
    key_scale: NDArray[np.float32] | None = None
    key_offset: NDArray[np.float32] | None = None
    value_scale: NDArray[np.float32] | None = None
    value_offset: NDArray[np.float32] | None = None

    @property
    def keys(self) -> NDArray:
        """A view of key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]."""
        return token_major(self.key_cache, self.kv_layout)

    @property
    def values(self) -> NDArray:
        """A view of value_cache, as `keys`."""
        return token_major(self.value_cache, self.kv_layout)

    @property
    def kv_strides(self) -> tuple[int, int, int]:
        """Elements from a kv block, a token, a kv head to the next one."""
        block, token, head, _ = (step // self.keys.itemsize for step in self.keys.strides)
        return block, token, head

    @property
    def row_begins(self) -> NDArray[np.int64]:
        """[batch + 1] first row of each sequence in query, then their number."""
        lens = np.ones(len(self.context_lens), int) if self.q_lens is None else self.q_lens
        return np.concatenate([[0], np.cumsum(lens)])


def token_major(array: NDArray, kv_layout: str) -> NDArray:
    """A view with axes (block, token, head, ...) of an array in a layout."""
    return array if kv_layout == "token_major" else array.swapaxes(1, 2)


def numpy_dtype(case: DecodeCase) -> np.dtype:
    """The dtype of query and caches, and of out unless the case says float32."""
    return _DTYPES[case.dtype]


def make_inputs(case: DecodeCase) -> DecodeInputs:
    """The inputs of a case: the same bytes on every machine.

    Args:
      case: any case; num_heads need not be a multiple of num_kv_heads.

    Returns:
      Fresh arrays.
    """
    block_table, pages = _make_block_table(case)
    tables = _Tables(case)
    pool, key_cache, value_cache = _allocate(case, pages.count)
    for cache, make in ((key_cache, tables.keys), (value_cache, tables.values)):
        poison = np.nan if case.kv_quant == "none" else _INT8_POISON
        _fill(token_major(cache, case.kv_layout), case, block_table, pages, make, poison)
    return DecodeInputs(
        query=_make_query(case, tables),
        key_cache=key_cache,
        value_cache=value_cache,
        block_table=block_table,
        context_lens=np.array(case.context_lens, np.int32),
        softmax_scale=case.softmax_scale,
        q_lens=np.array(case.q_lens, np.int32),
        kv_layout=case.kv_layout,
        pool=pool,
        kv_quant=case.kv_quant,
        route=case.route,
        out_float32=case.out_float32,
        **_make_scales(case, block_table, pages),
    )


def outlier_channels(case: DecodeCase, kv_head: int) -> NDArray[np.intp]:
    """Channels of a kv head that `outliers` makes large."""
    first = (_OUTLIER_FIRST + _OUTLIER_STEP * kv_head) % _OUTLIER_PERIOD
    return np.arange(first, case.head_dim, _OUTLIER_PERIOD)


class _Tables:
    """Turns 16-bit lanes into values by look-up: 65536 bit patterns per kind of element."""

    def __init__(self, case: DecodeCase) -> None:
        self.case = case
        self.dtype = numpy_dtype(case)
        bits = 3 if case.bigscores else _GRID_BITS[case.dtype]
        self.unit = ((np.arange(1 << 16) >> (16 - bits)) * 2 + 1 - (1 << bits)) / (1 << bits)
        self.big_key = _big_key(case.head_dim)
        self.by_scale: dict[float, NDArray] = {}
        self.int8 = _int8_table()

    def queries(self, seq: int) -> NDArray:
        """[q_lens[seq], num_heads, head_dim]"""
        case = self.case
        shape = (case.q_lens[seq], case.num_heads, case.head_dim)
        lanes = rng.lanes16(case.seed, _QUERY, seq, 0, math.prod(shape)).reshape(shape)
        if case.bigscores:
            out = self._pick(lanes, 2.0)
            out[..., 0] = np.where(lanes[..., 0] < 1 << 15, -_BIG_QUERY, _BIG_QUERY)
            return out
        scale = _SHARP_QUERY_SCALE if case.sharp else _QUERY_SCALE
        out = self._pick(lanes, scale)
        if case.outliers:
            for head in range(case.num_heads):
                channels = outlier_channels(case, head * case.num_kv_heads // case.num_heads)
                small = scale * _OUTLIER_QUERY_SCALE
                out[:, head, channels] = self._pick(lanes[:, head, channels], small)
        return out

    def keys(self, unit: int, first: int, count: int) -> NDArray:
        """[count, num_kv_heads, head_dim]: tokens [first, first + count) of a unit."""
        case = self.case
        lanes = self._token_lanes(_KEY, unit, first, count)
        if case.kv_quant != "none":
            return self._int8_keys(lanes)
        if case.bigscores:
            out = self._pick(lanes, 2.0)
            out[..., 0] = np.where(lanes[..., 0] < 1 << 14, -self.big_key, self.big_key)
            return out
        out = self._pick(lanes, 1.0)
        if case.outliers:
            for kv_head in range(case.num_kv_heads):
                channels = outlier_channels(case, kv_head)
                large = self._pick(lanes[:, kv_head, channels], _OUTLIER_KEY_SCALE)
                out[:, kv_head, channels] = large
        return out

    def values(self, unit: int, first: int, count: int) -> NDArray:
        """[count, num_kv_heads, head_dim]"""
        case = self.case
        if not case.onehot:
            lanes = self._token_lanes(_VALUE, unit, first, count)
            return self._pick(lanes, 1.0) if case.kv_quant == "none" else self.int8.take(lanes)
        heads = case.num_kv_heads
        lanes = rng.lanes16(case.seed, _ONE_HOT, unit, first * heads, count * heads)
        channel = (lanes % case.head_dim).reshape(count, heads)
        hot = channel[..., None] == np.arange(case.head_dim)
        return hot.astype(self.dtype) if case.kv_quant == "none" else hot * np.int8(127)

    def _int8_keys(self, lanes: NDArray[np.uint16]) -> NDArray[np.int8]:
        keys = self.int8.take(lanes)
        if not self.case.outliers or self.case.kv_quant != "int8_token":
            return keys
        # What is left of the other channels when outliers share their scale.
        out = ((keys.astype(np.int16) + 32) >> 6).astype(np.int8)
        for kv_head in range(self.case.num_kv_heads):
            channels = outlier_channels(self.case, kv_head)
            out[:, kv_head, channels] = keys[:, kv_head, channels]
        return out

    def _token_lanes(self, stream: int, unit: int, first: int, count: int) -> NDArray[np.uint16]:
        shape = (count, self.case.num_kv_heads, self.case.head_dim)
        row = math.prod(shape[1:])
        return rng.lanes16(self.case.seed, stream, unit, first * row, count * row).reshape(shape)

    def _pick(self, lanes: NDArray[np.uint16], scale: float) -> NDArray:
        if scale not in self.by_scale:
            self.by_scale[scale] = (self.unit * scale).astype(self.dtype)
        return self.by_scale[scale].take(lanes)


def _int8_table() -> NDArray[np.int8]:
    """[65536] the int8 element of each lane."""
    lanes = np.arange(1 << 16)
    bell = (lanes >> 8) - (lanes & 255)
    size = np.abs(bell) * (_INT8_BEND + np.abs(bell)) // _INT8_DIVISOR
    return np.clip(np.sign(bell) * size, -128, 127).astype(np.int8)


def _big_key(head_dim: int) -> float:
    """Channel 0 of a `bigscores` key: a multiple of 16, at most 8 bits for bf16's significand."""
    exact = _BIG_SCORE * math.sqrt(head_dim) / _BIG_QUERY
    step = 16.0
    while exact >= 256 * step:
        step *= 2
    return max(step, math.floor(exact / step) * step)


def _make_query(case: DecodeCase, tables: _Tables) -> NDArray:
    return np.concatenate([tables.queries(seq) for seq in range(case.batch)])


@dataclasses.dataclass(frozen=True)
class _Pages:
    """Physical kv blocks: `used` by rank (table rows name only these), and how many there are."""

    used: NDArray[np.int32]
    count: int


def _make_block_table(case: DecodeCase) -> tuple[NDArray[np.int32], _Pages]:
    per_seq = [-(-length // case.kv_block_size) for length in case.context_lens]
    named = sum(per_seq)
    distinct = -(-named // 2) if case.shared else named
    count = distinct + 2 + distinct // 16
    # A random permutation: order of random keys; the stable sort decides ties by index.
    order = np.argsort(rng.words32(case.seed, _PAGE_ORDER, 0, count), kind="stable")
    used = order[:distinct].astype(np.int32)
    entries = used
    if case.shared:
        draw = rng.words32(case.seed, _PAGE_DRAW, 0, named).astype(np.uint64)
        entries = used[(draw * np.uint64(distinct)) >> np.uint64(32)]
    block_table = np.full((case.batch, case.max_kv_blocks), -1, np.int32)
    filled = np.arange(case.max_kv_blocks) < np.array(per_seq)[:, None]
    block_table[filled] = entries
    return block_table, _Pages(used, count)


def _allocate(case: DecodeCase, num_kv_blocks: int) -> tuple[NDArray | None, NDArray, NDArray]:
    """pool (None unless interleaved), key_cache, value_cache."""
    dtype = numpy_dtype(case) if case.kv_quant == "none" else np.dtype(np.int8)
    row = [case.kv_block_size, case.num_kv_heads, case.head_dim]
    if case.headmajor:
        row[:2] = row[1::-1]
    if not case.interleaved:
        shape = (num_kv_blocks, *row)
        return None, np.empty(shape, dtype), np.empty(shape, dtype)
    pool = np.empty((num_kv_blocks, 2, *row), dtype)
    return pool, pool[:, 0], pool[:, 1]


def _make_scales(
    case: DecodeCase, block_table: NDArray[np.int32], pages: _Pages
) -> dict[str, NDArray[np.float32]]:
    """key_scale, value_scale and, if asymmetric, key_offset and value_offset."""
    if case.kv_quant == "none":
        return {}
    if case.kv_quant == "int8_token":
        scales = {}
        for name, stream in (("key_scale", _KEY_SCALE), ("value_scale", _VALUE_SCALE)):
            shape = (pages.count, case.num_kv_heads, case.kv_block_size)
            scales[name] = np.empty(shape, np.float32)
            make = functools.partial(_token_scales, case, stream)
            _fill(scales[name].swapaxes(1, 2), case, block_table, pages, make, np.nan)
        return scales
    scales = {
        "key_scale": _channel_scales(case, _KEY_SCALE),
        "value_scale": _channel_scales(case, _VALUE_SCALE),
    }
    if case.outliers:
        for kv_head in range(case.num_kv_heads):
            channels = outlier_channels(case, kv_head)
            scales["key_scale"][kv_head, channels] *= np.float32(_OUTLIER_KEY_SCALE)
    if case.kv_quant == "int8_channel_asym":
        scales["key_offset"] = _channel_offsets(case, _KEY_OFFSET)
        scales["value_offset"] = _channel_offsets(case, _VALUE_OFFSET)
    return scales


def _channel_lanes(case: DecodeCase, stream: int) -> NDArray[np.int64]:
    shape = (case.num_kv_heads, case.head_dim)
    return rng.lanes16(case.seed, stream, 0, 0, math.prod(shape)).reshape(shape).astype(np.int64)


def _channel_scales(case: DecodeCase, stream: int) -> NDArray[np.float32]:
    steps = _CHANNEL_SCALE_MIN + (_channel_lanes(case, stream) * 3 >> 5)
    return (steps * _SCALE_STEP).astype(np.float32)


def _channel_offsets(case: DecodeCase, stream: int) -> NDArray[np.float32]:
    levels = 2 * (_channel_lanes(case, stream) >> 8) + 1 - _OFFSET_LEVELS
    return (levels * _OFFSET_STEP).astype(np.float32)


def _token_scales(case: DecodeCase, stream: int, unit: int, first: int, count: int) -> NDArray:
    """[count, num_kv_heads]"""
    heads = case.num_kv_heads
    lanes = rng.lanes16(case.seed, stream, unit, first * heads, count * heads).astype(np.int64)
    large = _OUTLIER_KEY_SCALE if case.outliers and stream == _KEY_SCALE else 1.0
    scales = (_TOKEN_SCALE_MIN + (lanes * 7 >> 6)) * (_SCALE_STEP * large)
    return scales.reshape(count, heads).astype(np.float32)


def _fill(
    cache: NDArray,
    case: DecodeCase,
    block_table: NDArray[np.int32],
    pages: _Pages,
    make: Callable[[int, int, int], NDArray],
    poison: float,
) -> None:
    """Spreads make(unit, first, count) over cache[block, slot]; all other elements are `poison`."""
    block_size = case.kv_block_size
    cache[np.setdiff1d(np.arange(pages.count), pages.used)] = poison
    if case.shared:
        valid = _valid_slots(case, block_table, pages.count)
        for rank, page in enumerate(pages.used):
            cache[page, : valid[page]] = make(rank, 0, int(valid[page]))
            cache[page, valid[page] :] = poison
        return
    step = max(1, _STEP_ELEMENTS // math.prod(cache.shape[1:]))
    for seq, length in enumerate(case.context_lens):
        full, tail = divmod(length, block_size)
        for first in range(0, full, step):
            ids = block_table[seq, first : min(first + step, full)]
            tokens = make(seq, first * block_size, len(ids) * block_size)
            cache[ids] = tokens.reshape(len(ids), *cache.shape[1:])
        if tail:
            page = block_table[seq, full]
            cache[page, :tail] = make(seq, full * block_size, tail)
            cache[page, tail:] = poison


def _valid_slots(case: DecodeCase, block_table: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Slots of each kv block that some sequence reads."""
    valid = np.zeros(count, np.int64)
    firsts = np.arange(case.max_kv_blocks) * case.kv_block_size
    for seq, length in enumerate(case.context_lens):
        used = block_table[seq] >= 0
        slots = np.clip(length - firsts[used], 0, case.kv_block_size)
        np.maximum.at(valid, block_table[seq, used], slots)
    return valid
