# SPDX-License-Identifier: Apache-2.0
"""The arrays of a case, recomputed from its seed.

Values lie on a grid that the dtype holds exactly: odd multiples of 2**-11 (f16) or 2**-8 (bf16) in
(-1, 1), so no value is zero, the mean is zero, and a float64 dot product of a query and a key is
exact in any order of summation. The query is scaled by 2 (scores with a standard deviation of 0.67)
or, with `sharp`, by 16.

A token's key and value depend on (seed, sequence, position) only: not on kv_block_size, the block
table or the other sequences. With `shared` they depend on (seed, kv block's rank, slot).

What a kernel must never use is NaN: spare kv blocks that no table row names, and the slots of a kv
block past the context of every sequence that uses it. Table entries past a sequence's last kv block
are -1.

Next: attention.py - the result these arrays must give. testdata/decode_inputs.h is the C++ twin.
"""

import dataclasses
import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ascend_attention_reference import rng
from ascend_attention_reference.case import DecodeCase

# Streams of the generator: one per tensor.
_QUERY, _KEY, _VALUE, _ONE_HOT, _PAGE_ORDER, _PAGE_DRAW = range(6)

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

_DTYPES = {"f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
_GRID_BITS = {"f16": 11, "bf16": 8}

# Elements generated per step.
_STEP_ELEMENTS = 1 << 17


@dataclasses.dataclass(frozen=True)
class DecodeInputs:
    """What one decode call takes. `dtype` is float16 or ml_dtypes.bfloat16.

    Attributes:
      query: [batch, num_heads, head_dim] dtype.
      key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim] dtype.
      value_cache: like key_cache.
      block_table: [batch, max_kv_blocks] int32.
      context_lens: [batch] int32.
      softmax_scale: factor of the scores; a float32 value.
    """

    query: NDArray
    key_cache: NDArray
    value_cache: NDArray
    block_table: NDArray[np.int32]
    context_lens: NDArray[np.int32]
    softmax_scale: float


def numpy_dtype(case: DecodeCase) -> np.dtype:
    """The dtype of query, caches and out."""
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
    return DecodeInputs(
        query=_make_query(case, tables),
        key_cache=_make_cache(case, block_table, pages, tables.keys),
        value_cache=_make_cache(case, block_table, pages, tables.values),
        block_table=block_table,
        context_lens=np.array(case.context_lens, np.int32),
        softmax_scale=case.softmax_scale,
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

    def queries(self, seq: int) -> NDArray:
        """[num_heads, head_dim]"""
        case = self.case
        shape = (case.num_heads, case.head_dim)
        lanes = rng.lanes16(case.seed, _QUERY, seq, 0, math.prod(shape)).reshape(shape)
        if case.bigscores:
            out = self._pick(lanes, 2.0)
            out[:, 0] = np.where(lanes[:, 0] < 1 << 15, -_BIG_QUERY, _BIG_QUERY)
            return out
        scale = _SHARP_QUERY_SCALE if case.sharp else _QUERY_SCALE
        out = self._pick(lanes, scale)
        if case.outliers:
            for head in range(case.num_heads):
                channels = outlier_channels(case, head * case.num_kv_heads // case.num_heads)
                small = scale * _OUTLIER_QUERY_SCALE
                out[head, channels] = self._pick(lanes[head, channels], small)
        return out

    def keys(self, unit: int, first: int, count: int) -> NDArray:
        """[count, num_kv_heads, head_dim]: tokens [first, first + count) of a unit."""
        case = self.case
        lanes = self._token_lanes(_KEY, unit, first, count)
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
            return self._pick(self._token_lanes(_VALUE, unit, first, count), 1.0)
        heads = case.num_kv_heads
        lanes = rng.lanes16(case.seed, _ONE_HOT, unit, first * heads, count * heads)
        channel = (lanes % case.head_dim).reshape(count, heads)
        return (channel[..., None] == np.arange(case.head_dim)).astype(self.dtype)

    def _token_lanes(self, stream: int, unit: int, first: int, count: int) -> NDArray[np.uint16]:
        shape = (count, self.case.num_kv_heads, self.case.head_dim)
        row = math.prod(shape[1:])
        return rng.lanes16(self.case.seed, stream, unit, first * row, count * row).reshape(shape)

    def _pick(self, lanes: NDArray[np.uint16], scale: float) -> NDArray:
        if scale not in self.by_scale:
            self.by_scale[scale] = (self.unit * scale).astype(self.dtype)
        return self.by_scale[scale].take(lanes)


def _big_key(head_dim: int) -> float:
    """Channel 0 of a `bigscores` key: a multiple of 16, at most 8 bits for bf16's significand."""
    exact = _BIG_SCORE * math.sqrt(head_dim) / _BIG_QUERY
    step = 16.0
    while exact >= 256 * step:
        step *= 2
    return max(step, math.floor(exact / step) * step)


def _make_query(case: DecodeCase, tables: _Tables) -> NDArray:
    return np.stack([tables.queries(seq) for seq in range(case.batch)])


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


def _make_cache(
    case: DecodeCase,
    block_table: NDArray[np.int32],
    pages: _Pages,
    make: Callable[[int, int, int], NDArray],
) -> NDArray:
    """Spreads make(unit, first, count) over the kv blocks; all other bytes are NaN."""
    dtype = numpy_dtype(case)
    block_size = case.kv_block_size
    cache = np.empty((pages.count, block_size, case.num_kv_heads, case.head_dim), dtype)
    cache[np.setdiff1d(np.arange(pages.count), pages.used)] = np.nan
    if case.shared:
        valid = _valid_slots(case, block_table, pages.count)
        for rank, page in enumerate(pages.used):
            cache[page, : valid[page]] = make(rank, 0, int(valid[page]))
            cache[page, valid[page] :] = np.nan
        return cache
    row = block_size * case.num_kv_heads * case.head_dim
    step = max(1, _STEP_ELEMENTS // row)
    for seq, length in enumerate(case.context_lens):
        full, tail = divmod(length, block_size)
        for first in range(0, full, step):
            ids = block_table[seq, first : min(first + step, full)]
            tokens = make(seq, first * block_size, len(ids) * block_size)
            cache[ids] = tokens.reshape(len(ids), *cache.shape[1:])
        if tail:
            page = block_table[seq, full]
            cache[page, :tail] = make(seq, full * block_size, tail)
            cache[page, tail:] = np.nan
    return cache


def _valid_slots(case: DecodeCase, block_table: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Slots of each kv block that some sequence reads."""
    valid = np.zeros(count, np.int64)
    firsts = np.arange(case.max_kv_blocks) * case.kv_block_size
    for seq, length in enumerate(case.context_lens):
        used = block_table[seq] >= 0
        slots = np.clip(length - firsts[used], 0, case.kv_block_size)
        np.maximum.at(valid, block_table[seq, used], slots)
    return valid
