# SPDX-License-Identifier: Apache-2.0
"""Paged attention of a few query tokens per sequence, in float64, written from the formula.

    out[r, h] = sum_t softmax_t(scale * q[r, h] . k[b, t]) v[b, t]        t < visible(r)
    lse[r, h] = ln sum_t exp(scale * q[r, h] . k[b, t])

where token t of sequence b is slot t % kv_block_size of kv block
block_table[b, t // kv_block_size], and query head h uses kv head h // q_per_kv. Row r is query
token i of sequence b's q; the mask is causal and aligned to the end of the context:
visible(r) = context_lens[b] - q + i + 1. A row that sees nothing has out = 0 and lse = -inf.

An int8 element stands for (int8 + offset) * scale; inputs.py says of which shape those are.

On generated inputs (inputs.py) the result has the same bytes on every machine: dot products of the
grid values are exact in float64, `_exp` uses elementwise IEEE operations only, and the weights are
cut into two halves so short that the sums over tokens are exact as well. So it does not matter in
which order a BLAS adds. The cut keeps 52 bits below the largest weight. Of int8 values the integers
are summed; scales and offsets come to it before or after.

Next: tolerance.py - how close a kernel must come.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ascend_attention_reference.inputs import DecodeInputs, token_major

Float64 = NDArray[np.float64]

# Weights are multiples of 2**-26 plus multiples of 2**-52. Grid values are multiples of 2**-11
# below 1, so a sum of 2**16 products has 26 + 11 + 16 = 53 bits: what a float64 holds.
_HIGH_BITS = 26
_LOW_BITS = 52
_EXACT_TOKENS = 1 << 16

# ln 2 in two parts: the first has 32 trailing zero bits, so that its multiples are exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_EXP_TERMS = 14  # |r| <= ln(2) / 2: the first dropped term is below 2**-57
_EXP_FLOOR = -700.0  # exp of less has no weight left


@dataclasses.dataclass(frozen=True)
class Int8Tokens:
    """Keys or values of an int8 cache: of some tokens, for one kv head.

    Attributes:
      ints: [tokens, head_dim].
      channel_scale: [head_dim]; 1 with scales per token.
      offset: [head_dim]; 0 if symmetric.
      token_scale: [tokens]; 1 with scales per channel.
    """

    ints: Float64
    channel_scale: Float64
    offset: Float64
    token_scale: Float64

    def first(self, count: int) -> "Int8Tokens":
        """The first `count` tokens."""
        return dataclasses.replace(
            self, ints=self.ints[:count], token_scale=self.token_scale[:count]
        )

    def dequantised(self) -> Float64:
        """[tokens, head_dim]; exact, as one of the scales is 1."""
        return (self.ints + self.offset) * self.channel_scale * self.token_scale[:, None]


@dataclasses.dataclass(frozen=True)
class Attended:
    """The result of the query heads [head_begin, head_end) of one row: one kv head's share.

    Attributes:
      row: of query and out.
      out: [heads, head_dim].
      lse: [heads].
      keys: [tokens, head_dim] of this kv head, those that the row sees.
      values: like keys.
      weights: [heads, tokens] exp(score - largest score).
      int8_keys: what `keys` are made of in an int8 cache, else None. Also int8_values.
    """

    sequence: int
    row: int
    head_begin: int
    head_end: int
    out: Float64
    lse: Float64
    keys: Float64
    values: Float64
    weights: Float64
    int8_keys: Int8Tokens | None
    int8_values: Int8Tokens | None


def reference(inputs: DecodeInputs) -> tuple[Float64, Float64]:
    """The exact result.

    Args:
      inputs: of make_inputs, or any arrays of those shapes and dtypes.

    Returns:
      out [num_query_rows, num_heads, head_dim] and lse [num_query_rows, num_heads], float64.

    Raises:
      ValueError: shapes that contradict each other, or a block id outside the cache.
    """
    out, lse = empty_result(inputs)
    for part in attend(inputs):
        out[part.row, part.head_begin : part.head_end] = part.out
        lse[part.row, part.head_begin : part.head_end] = part.lse
    return out, lse


def empty_result(inputs: DecodeInputs) -> tuple[Float64, Float64]:
    """out and lse of a batch of empty sequences."""
    return np.zeros(inputs.query.shape), np.full(inputs.query.shape[:2], -np.inf)


def attend(inputs: DecodeInputs) -> Iterator[Attended]:
    """Each row that sees a token, one kv head at a time (memory: one head of one sequence)."""
    _check_shapes(inputs)
    begins = inputs.row_begins
    for seq in map(int, np.flatnonzero(inputs.context_lens)):
        length = int(inputs.context_lens[seq])
        for kv_head in range(inputs.keys.shape[2]):
            keys, int8_keys = _tokens(inputs, "key", seq, kv_head)
            values, int8_values = _tokens(inputs, "value", seq, kv_head)
            for row in range(begins[seq], begins[seq + 1]):
                visible = length - int(begins[seq + 1] - 1 - row)
                if visible > 0:
                    yield _attend_row(
                        inputs,
                        (seq, int(row), kv_head),
                        (keys[:visible], values[:visible]),
                        (
                            int8_keys and int8_keys.first(visible),
                            int8_values and int8_values.first(visible),
                        ),
                    )


def _attend_row(
    inputs: DecodeInputs,
    place: tuple[int, int, int],
    tokens: tuple[Float64, Float64],
    int8_tokens: tuple[Int8Tokens | None, Int8Tokens | None],
) -> Attended:
    seq, row, kv_head = place
    keys, values = tokens
    group = inputs.query.shape[1] // inputs.keys.shape[2]
    heads = slice(kv_head * group, (kv_head + 1) * group)
    query = to_float64(inputs.query[row, heads])
    scores = (query @ keys.T) * inputs.softmax_scale
    row_max = scores.max(axis=1, keepdims=True)
    weights = _exp(scores - row_max)
    if int8_tokens[1] is None:
        total, weighted = _exact_sums(weights, values)
        out = weighted / total[:, None]
    else:
        total, out = _int8_means(weights, int8_tokens[1])
    return Attended(
        sequence=seq,
        row=row,
        head_begin=heads.start,
        head_end=heads.stop,
        out=out,
        lse=row_max[:, 0] + [math.log(x) for x in total],
        keys=keys,
        values=values,
        weights=weights,
        int8_keys=int8_tokens[0],
        int8_values=int8_tokens[1],
    )


def _tokens(
    inputs: DecodeInputs, side: str, seq: int, kv_head: int
) -> tuple[Float64, Int8Tokens | None]:
    """The keys or values of a sequence for one kv head, and what they are made of if int8."""
    cache = inputs.keys if side == "key" else inputs.values
    numbers = gather(inputs, cache, seq, kv_head)
    if inputs.kv_quant == "none":
        return numbers, None
    scale = getattr(inputs, f"{side}_scale")
    offset = getattr(inputs, f"{side}_offset")
    count, head_dim = numbers.shape
    per_token = inputs.kv_quant == "int8_token"
    int8 = Int8Tokens(
        ints=numbers,
        channel_scale=np.ones(head_dim) if per_token else to_float64(scale[kv_head]),
        offset=np.zeros(head_dim) if offset is None else to_float64(offset[kv_head]),
        token_scale=(
            gather(inputs, token_major(scale, "head_major"), seq, kv_head)[:, 0]
            if per_token
            else np.ones(count)
        ),
    )
    return int8.dequantised(), int8


def gather(inputs: DecodeInputs, cache: NDArray, seq: int, kv_head: int) -> Float64:
    """One kv head's tokens of a sequence, in order.

    Args:
      cache: [num_kv_blocks, kv_block_size, num_kv_heads, ...]

    Returns:
      [context_lens[seq], elements of a token]
    """
    block_size = cache.shape[1]
    length = int(inputs.context_lens[seq])
    ids = inputs.block_table[seq, : -(-length // block_size)]
    if ids.size and not 0 <= ids.min() <= ids.max() < len(cache):
        bad = int(np.flatnonzero((ids < 0) | (ids >= len(cache)))[0])
        raise ValueError(f"block_table[{seq}, {bad}] = {ids[bad]}: allowed is 0..{len(cache) - 1}")
    blocks = cache[ids, :, kv_head]
    return to_float64(blocks.reshape(len(ids) * block_size, -1)[:length])


def to_float64(array: NDArray) -> Float64:
    """Exact; bfloat16 by bits, which is faster than its cast."""
    if array.dtype.name == "bfloat16":
        bits = np.ascontiguousarray(array).view(np.uint16).astype(np.uint32) << np.uint32(16)
        array = bits.view(np.float32)
    return array.astype(np.float64)


def _check_shapes(inputs: DecodeInputs) -> None:
    _, num_heads, head_dim = inputs.query.shape
    num_kv_blocks, block_size, num_kv_heads, cache_dim = inputs.keys.shape
    if inputs.value_cache.shape != inputs.key_cache.shape or cache_dim != head_dim:
        raise ValueError(
            f"value_cache {inputs.value_cache.shape}: allowed is key_cache's shape "
            f"{inputs.key_cache.shape}, with head_dim {head_dim}"
        )
    if num_heads % num_kv_heads:
        raise ValueError(f"num_heads = {num_heads}: allowed are multiples of {num_kv_heads}")
    scale_shape = (num_kv_heads, head_dim)
    if inputs.kv_quant == "int8_token":
        scale_shape = (num_kv_blocks, num_kv_heads, block_size)
    needed = {
        "scale": inputs.kv_quant != "none",
        "offset": inputs.kv_quant == "int8_channel_asym",
    }
    for name in ("key_scale", "value_scale", "key_offset", "value_offset"):
        got = getattr(inputs, name)
        shape = None if got is None else got.shape
        allowed = scale_shape if needed[name.split("_")[1]] else None
        if shape != allowed:
            raise ValueError(f"{name} {shape}: allowed is {allowed} with {inputs.kv_quant}")
    _check_lengths(inputs)


def _check_lengths(inputs: DecodeInputs) -> None:
    rows, batch = len(inputs.query), len(inputs.context_lens)
    if inputs.q_lens is None and batch != rows:
        raise ValueError(f"context_lens {inputs.context_lens.shape}: allowed is ({rows},)")
    if len(inputs.block_table) != batch:
        raise ValueError(
            f"block_table {inputs.block_table.shape}: allowed is ({batch}, max_kv_blocks), "
            f"as context_lens {inputs.context_lens.shape}"
        )
    if inputs.q_lens is not None and (len(inputs.q_lens) != batch or inputs.q_lens.sum() != rows):
        raise ValueError(
            f"q_lens {inputs.q_lens.tolist()}: allowed are {batch} numbers with the sum {rows}"
        )
    capacity = inputs.block_table.shape[1] * inputs.keys.shape[1]
    for row, length in enumerate(inputs.context_lens):
        if not 0 <= length <= capacity:
            raise ValueError(f"context_lens[{row}] = {length}: allowed is 0..{capacity}")


def _exp(x: Float64) -> Float64:
    """exp(x) for x <= 0 within 2 units in the last place; the same bits everywhere."""
    x = np.maximum(x, _EXP_FLOOR)
    exponent = np.rint(x * (1.0 / math.log(2.0)))
    r = (x - exponent * _LN2_HIGH) - exponent * _LN2_LOW
    total = np.full_like(r, 1.0 / math.factorial(_EXP_TERMS - 1))
    for term in range(_EXP_TERMS - 2, -1, -1):
        total *= r
        total += 1.0 / math.factorial(term)
    return np.ldexp(total, exponent.astype(np.int32))


def _exact_sums(weights: Float64, values: Float64) -> tuple[Float64, Float64]:
    """Sums over tokens: of weights [heads, tokens], and of weights times values [tokens, dim]."""
    high = np.ldexp(np.rint(np.ldexp(weights, _HIGH_BITS)), -_HIGH_BITS)
    low = np.ldexp(np.rint(np.ldexp(weights - high, _LOW_BITS)), -_LOW_BITS)
    total = np.zeros(len(weights))
    weighted = np.zeros((len(weights), values.shape[1]))
    for begin in range(0, len(values), _EXACT_TOKENS):
        part = slice(begin, begin + _EXACT_TOKENS)
        total += high[:, part].sum(axis=1) + low[:, part].sum(axis=1)
        weighted += high[:, part] @ values[part] + low[:, part] @ values[part]
    return total, weighted


def _int8_means(weights: Float64, values: Int8Tokens) -> tuple[Float64, Float64]:
    """Sums of weights [heads], and the weighted means of values [heads, head_dim]."""
    # Scales per token join the weights, by a power of two below 1: the cut is below the largest.
    _, exponent = np.frexp(values.token_scale.max())
    scaled = weights * np.ldexp(values.token_scale, -exponent)
    total, _ = _exact_sums(weights, values.ints[:, :0])
    _, weighted = _exact_sums(scaled, values.ints)
    # Without scales per token `scaled` is half the weights: exponent is 1.
    means = np.ldexp(weighted, exponent) / total[:, None]
    return total, (means + values.offset) * values.channel_scale
