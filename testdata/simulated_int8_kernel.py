# SPDX-License-Identifier: Apache-2.0
"""The two routes of an int8 cache in numpy, and what they compute when one thing is wrong.

The arithmetic that int8_noise.py describes, in float32, with online softmax over tiles: scaled
queries and probabilities are normalised by the maximum of their row (probabilities: of their row in
the tile) and rounded, to the dtype or to two int8 limbs, those of probabilities with a dither;
integers are multiplied exactly, exact probabilities are summed. Defects are arrays that a kernel
might have read instead, and a limb or the dither that is lost. For tests only.

Next: test_int8_tolerance.py - who passes and who must not.
"""

import dataclasses

import numpy as np
from ascend_attention_reference import DecodeInputs
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_LIMB = np.float32(127)
_LIMB_BASE = np.float32(254)
_LANES = 64
# Equidistant in (-1/2, 1/2), neighbours far apart.
_DITHER = np.float32((37 * np.arange(_LANES) % _LANES + 0.5) / _LANES - 0.5)


@dataclasses.dataclass(frozen=True)
class _Side:
    """Keys or values of one kv head: [tokens, dim], [dim], [dim], [tokens]."""

    ints: Float32
    channel_scale: Float32
    offset: Float32
    token_scale: Float32


def decode_sequence(
    inputs: DecodeInputs, seq: int, route: str, tile: int, lose: str = ""
) -> tuple[NDArray, Float32]:
    """One sequence of an int8 cache, with one query token, as a kernel would decode it.

    Args:
      route: "dequant" or "limbs".
      tile: tokens per softmax step.
      lose: "query" or "probs": the low limb of that operand is 0; "dither": probs are rounded to
        nearest.

    Returns:
      out [1, num_heads, head_dim] in the dtype and lse [1, num_heads].
    """
    num_heads, num_kv_heads = inputs.query.shape[1], inputs.keys.shape[2]
    group = num_heads // num_kv_heads
    out = np.zeros((1, *inputs.query.shape[1:]), inputs.query.dtype)
    lse = np.full((1, num_heads), -np.inf, np.float32)
    if inputs.context_lens[seq] == 0:
        return out, lse
    for kv_head in range(num_kv_heads):
        heads = slice(kv_head * group, (kv_head + 1) * group)
        rows = _Rows(inputs, route, lose, inputs.query[seq, heads].astype(np.float32))
        keys, values = (_side(inputs, side, seq, kv_head) for side in ("key", "value"))
        out[0, heads], lse[0, heads] = rows.attend(keys, values, tile)
    return out, lse


def wrong_inputs(inputs: DecodeInputs, seq: int) -> dict[str, DecodeInputs]:
    """What a kernel with one defect would have read, by the defect's name.

    Only defects that can show: a neighbour must exist and be another one. The data of a kv block is
    exchanged in the middle of the sequence, where it has full length.
    """
    size, length = inputs.keys.shape[1], int(inputs.context_lens[seq])
    row = inputs.block_table[seq, : -(-length // size)]
    shorter = np.array(inputs.context_lens)
    shorter[seq] -= 1
    wrong = {"dropped_last_token": dataclasses.replace(inputs, context_lens=shorter)}
    changes = np.flatnonzero(row[1:] != row[:-1]) + 1
    if len(changes):
        at = int(changes[len(changes) // 2])
        here, before = int(row[at]), int(row[at - 1])
        for side in ("key", "value"):
            wrong[f"stale_{side}s"] = _copied(inputs, f"{side}_cache", here, before)
            if inputs.kv_quant == "int8_token":
                wrong[f"stale_{side}_scales"] = _copied(inputs, f"{side}_scale", here, before)
    for side in ("key", "value"):
        scale, offset = getattr(inputs, f"{side}_scale"), getattr(inputs, f"{side}_offset")
        if inputs.keys.shape[2] > 1:
            wrong[f"{side}_scales_of_another_head"] = dataclasses.replace(
                inputs, **{f"{side}_scale": np.roll(scale, 1, axis=scale.ndim - 2)}
            )
        shifted = np.roll(scale, 1, axis=-1)
        wrong[f"{side}_scales_shifted"] = dataclasses.replace(inputs, **{f"{side}_scale": shifted})
        if offset is not None:
            wrong[f"{side}_offset_dropped"] = dataclasses.replace(
                inputs, **{f"{side}_offset": np.zeros_like(offset)}
            )
    return wrong


def _copied(inputs: DecodeInputs, name: str, to: int, source: int) -> DecodeInputs:
    array = getattr(inputs, name).copy()
    array[to] = array[source]
    return dataclasses.replace(inputs, pool=None, **{name: array})


def _side(inputs: DecodeInputs, side: str, seq: int, kv_head: int) -> _Side:
    cache = inputs.keys if side == "key" else inputs.values
    scale, offset = getattr(inputs, f"{side}_scale"), getattr(inputs, f"{side}_offset")
    length = int(inputs.context_lens[seq])
    positions = np.arange(length)
    pages = inputs.block_table[seq, positions // cache.shape[1]]
    slots = positions % cache.shape[1]
    dim = cache.shape[3]
    per_token = inputs.kv_quant == "int8_token"
    return _Side(
        ints=cache[pages, slots, kv_head].astype(np.float32),
        channel_scale=np.ones(dim, np.float32) if per_token else scale[kv_head],
        offset=np.zeros(dim, np.float32) if offset is None else offset[kv_head],
        token_scale=scale[pages, kv_head, slots] if per_token else np.ones(length, np.float32),
    )


@dataclasses.dataclass(frozen=True)
class _Rows:
    """The query heads of one kv head."""

    inputs: DecodeInputs
    route: str
    lose: str
    query: Float32

    def attend(self, keys: _Side, values: _Side, tile: int) -> tuple[NDArray, Float32]:
        """out [heads, dim] in the dtype and lse [heads]."""
        softmax_scale = np.float32(self.inputs.softmax_scale)
        bias = (self.query * keys.channel_scale) @ keys.offset
        operand, factor = self._rounded(self.query * keys.channel_scale, "query")
        row_max = np.full((len(self.query), 1), -np.inf, np.float32)
        row_sum = np.zeros((len(self.query), 1), np.float32)
        acc = np.zeros((len(self.query), values.ints.shape[1]), np.float32)
        for begin in range(0, len(keys.ints), tile):
            part = slice(begin, begin + tile)
            scores = (operand @ keys.ints[part].T) * factor * keys.token_scale[part]
            scores = (scores + bias[:, None]) * softmax_scale
            new_max = np.maximum(row_max, scores.max(axis=1, keepdims=True))
            probs = np.exp(scores - new_max)
            rescale = np.exp(row_max - new_max)
            rounded, step = self._rounded(probs * values.token_scale[part], "probs")
            row_sum = row_sum * rescale + probs.sum(axis=1, keepdims=True)
            acc = acc * rescale + (rounded @ values.ints[part]) * step
            row_max = new_max
        out = (acc / row_sum + values.offset) * values.channel_scale
        return out.astype(self.inputs.query.dtype), (row_max + np.log(row_sum))[:, 0]

    def _rounded(self, rows: Float32, name: str) -> tuple[Float32, Float32]:
        """The operand of the matrix product, in float32, and each row's factor."""
        largest = np.abs(rows).max(axis=1, keepdims=True)
        largest = np.where(largest == 0, np.float32(1), largest)
        if self.route == "dequant":
            dtype = self.inputs.query.dtype
            return (rows / largest).astype(dtype).astype(np.float32), largest
        steps = rows * (_LIMB / largest)
        high = np.rint(steps)
        low = (steps - high) * _LIMB_BASE
        if name == "probs" and self.lose != "dither":
            low += np.resize(_DITHER, low.shape[1])
        low = np.rint(low)
        if self.lose == name:
            low = np.zeros_like(low)
        assert not (np.abs(high).max() > 127 or np.abs(low).max() > 127)  # NaN may be
        return high + low / _LIMB_BASE, largest / _LIMB
