# SPDX-License-Identifier: Apache-2.0
"""What reshape_and_cache must write: keys and values of new tokens into slots of paged caches.

Slot s is token s % kv_block_size of kv block s // kv_block_size; a negative slot skips its token.
A 16-bit cache gets a copy. An int8 cache gets, in float32 and in this order, each step rounded once
as IEEE 754 says,

    channel schemes  int8 = clamp(rne(x / scale - offset))    scale, offset [num_kv_heads, head_dim]
    int8_token       scale = max_d |x_d| / 127                written, per token and head
                     int8 = clamp(rne(x / scale))

rne: to the nearest integer, ties to the even one; clamp: to -128..127. A kernel can match that bit
for bit. What has no number becomes 0: a row of zeros has the scale 0 and the integers 0 (0 / 0 is
NaN), a NaN is 0, an infinity is the end of its sign with a scale per channel and 0 with one per
token. A token whose row has an infinity or a NaN has that as its scale.

Next: merge.py - partial results into one.
"""

import numpy as np
from numpy.typing import NDArray

from ascend_attention_reference.inputs import token_major

_INT8_MAX = np.float32(127)


def quantise_channels(
    x: NDArray, scale: NDArray[np.float32], offset: NDArray[np.float32] | None = None
) -> NDArray[np.int8]:
    """Int8 with one scale, and offset if given, per channel.

    Args:
      x: [..., num_kv_heads, head_dim], any float dtype that float32 holds.
      scale: [num_kv_heads, head_dim].
      offset: like scale.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = x.astype(np.float32) / scale
        if offset is not None:
            steps = steps - offset
    return _round(steps)


def quantise_tokens(x: NDArray) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Int8 like x [..., num_kv_heads, head_dim], and a scale per row [..., num_kv_heads]."""
    wide = x.astype(np.float32)
    scale = np.abs(wide).max(axis=-1) / _INT8_MAX
    with np.errstate(divide="ignore", invalid="ignore"):
        return _round(wide / scale[..., None]), scale


def write_cache(
    x: NDArray,
    slot_mapping: NDArray[np.int64],
    cache: NDArray,
    *,
    kv_layout: str = "token_major",
    kv_quant: str = "none",
    scale: NDArray[np.float32] | None = None,
    offset: NDArray[np.float32] | None = None,
) -> None:
    """Writes the keys, or the values, of new tokens.

    Args:
      x: [num_tokens, num_kv_heads, head_dim].
      slot_mapping: [num_tokens]; below 0: skipped.
      cache: key or value cache in its layout, dtype of x or int8; may be a view. Written.
      scale: by kv_quant, as in DecodeInputs. Written with "int8_token", else read.
      offset: read with "int8_channel_asym".

    Raises:
      ValueError: a slot outside the cache, or one that occurs twice.
    """
    pages = token_major(cache, kv_layout)
    num_slots = pages.shape[0] * pages.shape[1]
    for i, slot in enumerate(slot_mapping):
        if slot >= num_slots:
            raise ValueError(f"slot_mapping[{i}] = {slot}: allowed is below {num_slots}")
    written = np.flatnonzero(slot_mapping >= 0)
    slots = slot_mapping[written]
    unique, counts = np.unique(slots, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"slot {unique[counts > 1][0]}: allowed is once in slot_mapping")
    block, token = np.divmod(slots, pages.shape[1])
    tokens = x[written]
    if kv_quant == "int8_token":
        assert scale is not None
        tokens, scale_of_tokens = quantise_tokens(tokens)
        scale[block, :, token] = scale_of_tokens
    elif kv_quant != "none":
        assert scale is not None
        tokens = quantise_channels(tokens, scale, offset)
    pages[block, token] = tokens


def _round(steps: NDArray[np.float32]) -> NDArray[np.int8]:
    clamped = np.clip(np.rint(steps), -128, 127)
    return np.where(np.isnan(clamped), 0, clamped).astype(np.int8)
