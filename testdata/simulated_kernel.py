# SPDX-License-Identifier: Apache-2.0
"""A kernel's algorithm in numpy, and what it computes when one thing is wrong with it.

Follows the decode and combine kernels' arithmetic, not their schedule: float32 scores, online
softmax over tiles, probabilities rounded to the dtype, row sums of the rounded ones, float32
accumulators, parts of a split sequence merged by their lse, `out` rounded to the dtype. The
mutations are the defects that the tolerance must not let through. For tests only; not in the wheel.
"""

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from ascend_attention_reference import DecodeInputs

Float32 = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One defect. Token edits say which token's key or value is read in place of each token's own.

    Attributes:
      keys: [tokens] indices into the sequence's tokens, or None.
      values: like keys.
      drop_last: the last token is not read.
      keep_out: the accumulator is not rescaled when the running maximum rises.
      keep_sum: nor is the row sum.
      lse_base_2: lse is a base-2 logarithm.
      plain_mean: parts of a split sequence are averaged, not weighted by their lse.
    """

    keys: NDArray[np.int64] | None = None
    values: NDArray[np.int64] | None = None
    drop_last: bool = False
    keep_out: bool = False
    keep_sum: bool = False
    lse_base_2: bool = False
    plain_mean: bool = False


def decode_sequence(
    inputs: DecodeInputs,
    seq: int,
    tile: int,
    cuts: tuple[int, ...] = (),
    mutation: Mutation = Mutation(),
) -> tuple[NDArray, Float32]:
    """out [num_heads, head_dim] in the dtype and lse [num_heads] of one sequence that is not empty.

    Args:
      tile: tokens per softmax step.
      cuts: token positions where the sequence is split into parts.
    """
    length = int(inputs.context_lens[seq]) - mutation.drop_last
    num_heads, head_dim = inputs.query.shape[1:]
    keys, values = (_tokens(inputs, c, seq) for c in (inputs.key_cache, inputs.value_cache))
    if mutation.keys is not None:
        keys = keys[mutation.keys]
    if mutation.values is not None:
        values = values[mutation.values]
    bounds = [0, *(c for c in cuts if 0 < c < length), length]
    out = np.zeros((num_heads, head_dim), inputs.query.dtype)
    lse = np.full(num_heads, -np.inf, np.float32)
    if length == 0:
        return out, lse
    group = num_heads // keys.shape[1]
    for kv_head in range(keys.shape[1]):
        heads = slice(kv_head * group, (kv_head + 1) * group)
        query = inputs.query[seq, heads].astype(np.float32)
        parts = [
            _part(inputs, query, keys[a:b, kv_head], values[a:b, kv_head], tile, mutation)
            for a, b in itertools.pairwise(bounds)
        ]
        merged, lse[heads] = _merge(parts, mutation)
        out[heads] = merged.astype(inputs.query.dtype)
    if mutation.lse_base_2:
        lse *= np.float32(np.log2(np.e))
    return out, lse


def _tokens(inputs: DecodeInputs, cache: NDArray, seq: int) -> Float32:
    """[tokens, num_kv_heads, head_dim]"""
    length = int(inputs.context_lens[seq])
    ids = inputs.block_table[seq, : -(-length // cache.shape[1])]
    return cache[ids].reshape(-1, *cache.shape[2:])[:length].astype(np.float32)


def _part(
    inputs: DecodeInputs,
    query: Float32,
    keys: Float32,
    values: Float32,
    tile: int,
    mutation: Mutation,
) -> tuple[Float32, Float32]:
    """Normalised out [heads, head_dim] and lse [heads] of one part."""
    scale = np.float32(inputs.softmax_scale)
    row_max = np.full((len(query), 1), -np.inf, np.float32)
    row_sum = np.zeros((len(query), 1), np.float32)
    acc = np.zeros((len(query), values.shape[1]), np.float32)
    for begin in range(0, len(keys), tile):
        scores = (query @ keys[begin : begin + tile].T) * scale
        new_max = np.maximum(row_max, scores.max(axis=1, keepdims=True))
        probs = np.exp(scores - new_max).astype(inputs.query.dtype).astype(np.float32)
        rescale = np.exp(row_max - new_max)
        row_sum = (row_sum if mutation.keep_sum else row_sum * rescale) + probs.sum(
            axis=1, keepdims=True
        )
        acc = (acc if mutation.keep_out else acc * rescale) + probs @ values[begin : begin + tile]
        row_max = new_max
    return acc / row_sum, (row_max + np.log(row_sum))[:, 0]


def _merge(parts: list[tuple[Float32, Float32]], mutation: Mutation) -> tuple[Float32, Float32]:
    outs = np.stack([out for out, _ in parts])
    lses = np.stack([lse for _, lse in parts])
    if len(parts) == 1:
        return outs[0], lses[0]
    top = lses.max(axis=0)
    weights = np.exp(lses - top)
    lse = top + np.log(weights.sum(axis=0))
    weights = np.exp(lses - lse)
    if mutation.plain_mean:
        weights = np.full_like(weights, 1 / len(parts))
    return (weights[..., None] * outs).sum(axis=0), lse
