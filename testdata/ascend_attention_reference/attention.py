# SPDX-License-Identifier: Apache-2.0
"""Paged attention for one query token per sequence, in float64, written from the formula.

    out[b, h] = sum_t softmax_t(scale * q[b, h] . k[b, t]) v[b, t]        t < context_lens[b]
    lse[b, h] = ln sum_t exp(scale * q[b, h] . k[b, t])

where token t of sequence b is slot t % kv_block_size of kv block
block_table[b, t // kv_block_size], and query head h uses kv head h // q_per_kv.
Length 0 gives out = 0 and lse = -inf.

On generated inputs (inputs.py) the result has the same bytes on every machine: dot products of the
grid values are exact in float64, `_exp` uses elementwise IEEE operations only, and the weights are
cut into two halves so short that the sums over tokens are exact as well. So it does not matter in
which order a BLAS adds. The cut keeps 52 bits below the largest weight.

Next: tolerance.py - how close a kernel must come.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ascend_attention_reference.inputs import DecodeInputs

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
class Attended:
    """The result of the query heads [head_begin, head_end) of one sequence; one kv head's share.

    Attributes:
      out: [heads, head_dim].
      lse: [heads].
      keys: [tokens, head_dim] of this kv head.
      values: like keys.
      weights: [heads, tokens] exp(score - largest score).
    """

    sequence: int
    head_begin: int
    head_end: int
    out: Float64
    lse: Float64
    keys: Float64
    values: Float64
    weights: Float64


def reference(inputs: DecodeInputs) -> tuple[Float64, Float64]:
    """The exact result.

    Args:
      inputs: of make_inputs, or any arrays of those shapes and dtypes.

    Returns:
      out [batch, num_heads, head_dim] and lse [batch, num_heads], float64.

    Raises:
      ValueError: shapes that contradict each other, or a block id outside the cache.
    """
    out, lse = empty_result(inputs)
    for part in attend(inputs):
        out[part.sequence, part.head_begin : part.head_end] = part.out
        lse[part.sequence, part.head_begin : part.head_end] = part.lse
    return out, lse


def empty_result(inputs: DecodeInputs) -> tuple[Float64, Float64]:
    """out and lse of a batch of empty sequences."""
    return np.zeros(inputs.query.shape), np.full(inputs.query.shape[:2], -np.inf)


def attend(inputs: DecodeInputs) -> Iterator[Attended]:
    """Each sequence that is not empty, one kv head at a time (memory: one head of one sequence)."""
    _check_shapes(inputs)
    num_kv_heads = inputs.key_cache.shape[2]
    group = inputs.query.shape[1] // num_kv_heads
    for seq in np.flatnonzero(inputs.context_lens):
        for kv_head in range(num_kv_heads):
            begin = kv_head * group
            query = to_float64(inputs.query[seq, begin : begin + group])
            keys = gather(inputs, inputs.key_cache, int(seq), kv_head)
            values = gather(inputs, inputs.value_cache, int(seq), kv_head)
            scores = (query @ keys.T) * inputs.softmax_scale
            row_max = scores.max(axis=1, keepdims=True)
            weights = _exp(scores - row_max)
            total, weighted = _exact_sums(weights, values)
            yield Attended(
                sequence=int(seq),
                head_begin=begin,
                head_end=begin + group,
                out=weighted / total[:, None],
                lse=row_max[:, 0] + [math.log(x) for x in total],
                keys=keys,
                values=values,
                weights=weights,
            )


def gather(inputs: DecodeInputs, cache: NDArray, seq: int, kv_head: int) -> Float64:
    """[context_lens[seq], head_dim]: one kv head's tokens of a sequence, in order."""
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
    batch, num_heads, head_dim = inputs.query.shape
    _, block_size, num_kv_heads, cache_dim = inputs.key_cache.shape
    if inputs.value_cache.shape != inputs.key_cache.shape or cache_dim != head_dim:
        raise ValueError(
            f"value_cache {inputs.value_cache.shape}: allowed is key_cache's shape "
            f"{inputs.key_cache.shape}, with head_dim {head_dim}"
        )
    if num_heads % num_kv_heads:
        raise ValueError(f"num_heads = {num_heads}: allowed are multiples of {num_kv_heads}")
    if inputs.context_lens.shape != (batch,) or inputs.block_table.shape[:1] != (batch,):
        raise ValueError(
            f"context_lens {inputs.context_lens.shape}, block_table {inputs.block_table.shape}: "
            f"allowed are ({batch},) and ({batch}, max_kv_blocks)"
        )
    capacity = inputs.block_table.shape[1] * block_size
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
