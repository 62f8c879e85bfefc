# SPDX-License-Identifier: Apache-2.0
"""The cache write and the merge of partial results on PyTorch tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ascend_attention import _torch_library
from ascend_attention._torch_library import KvLayout, KvQuant

_ops = _torch_library.OPS


def reshape_and_cache(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    *,
    kv_quant: KvQuant = "none",
    kv_layout: KvLayout = "token_major",
    key_scale: torch.Tensor | None = None,
    key_offset: torch.Tensor | None = None,
    value_scale: torch.Tensor | None = None,
    value_offset: torch.Tensor | None = None,
    check_slots: bool = False,
) -> None:
    """Writes the rows of key and value into the caches, in place: one launch.

    Token t with s = slot_mapping[t] >= 0 goes to row s % kv_block_size of kv block
    s // kv_block_size. Every other byte of the caches stays as it is. Never waits for an NPU
    unless check_slots. May be captured in a graph after a first call outside of it.

    Args:
        key: [num_tokens, num_kv_heads, head_dim] torch.float16 or torch.bfloat16; tokens may lie
            apart, as in a slice of a qkv tensor.
        value: like key.
        key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], dtype of key, or
            torch.int8 with a kv_quant; any strides, as long as the elements of a head lie side
            by side.
        value_cache: like key_cache, with its strides.
        slot_mapping: [num_tokens] torch.int64, dense; negative ones skip their token. torch.int32
            is converted, which is one more operator.
        kv_quant: "none", or what int8 caches hold, as in ascend_attention.reshape_and_cache.
        kv_layout: "token_major" or "head_major".
        key_scale: torch.float32 [num_kv_heads, head_dim]; for "int8_token" [num_kv_blocks,
            num_kv_heads, kv_block_size], written at the slots.
        key_offset: torch.float32 [num_kv_heads, head_dim], "int8_channel_asym" only.
        value_scale: like key_scale.
        value_offset: like key_offset.
        check_slots: on an NPU, wait and check the slots before the launch; those of CPU tensors
            are always checked.

    Raises:
        TypeError: an argument is no tensor.
        ValueError: wrong dtype, shape, stride or device, a slot that comes twice.
        IndexError: a slot outside the caches. Unchecked, the device finds it, and other tokens
            may have been written.
        NotImplementedError: no kernel for the shape; names the nearest that has one.

    >>> cache = torch.zeros(2, 16, 1, 64, dtype=torch.float16)
    >>> row = torch.ones(1, 1, 64, dtype=torch.float16)
    >>> reshape_and_cache(row, 2 * row, cache, values := cache.clone(), torch.tensor([17]))
    >>> cache[1, 1, 0, 0].item(), values[1, 1, 0, 0].item(), cache.sum().item()
    (1.0, 2.0, 64.0)
    """
    _torch_library.require_tensors(
        key=key,
        value=value,
        key_cache=key_cache,
        value_cache=value_cache,
        slot_mapping=slot_mapping,
    )
    _torch_library.require_tensors_or_none(
        key_scale=key_scale,
        key_offset=key_offset,
        value_scale=value_scale,
        value_offset=value_offset,
    )
    if slot_mapping.dtype == torch.int32:
        slot_mapping = slot_mapping.to(torch.int64)
    _torch_library.call(
        _ops.reshape_and_cache.default,
        key,
        value,
        key_cache,
        value_cache,
        slot_mapping,
        kv_quant=kv_quant,
        kv_layout=kv_layout,
        key_scale=key_scale,
        key_offset=key_offset,
        value_scale=value_scale,
        value_offset=value_offset,
        check_slots=check_slots,
    )


def merge_states(
    outs: torch.Tensor | Sequence[torch.Tensor],
    lses: torch.Tensor | Sequence[torch.Tensor],
    *,
    out: torch.Tensor | None = None,
    lse: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Merges partial results of attention, such as those of shards of a context: one launch.

    The formulas are in ascend_attention/merge.py. Never waits for an NPU.

    Args:
        outs: [num_parts, num_query_rows, num_heads, head_dim] torch.float16, torch.bfloat16 or
            torch.float32, dense; head_dim a multiple of 16 in 16..512. A list or tuple of
            num_parts tensors is stacked first, which is one more operator.
        lses: [num_parts, num_query_rows, num_heads] torch.float32 natural logarithms, dense;
            or a list or tuple like outs.
        out: tensor to write, like one part of outs; None for a new one.
        lse: tensor to write, like one part of lses; None for a new one.

    Returns:
        (out, lse).

    Raises:
        TypeError: an argument is no tensor, or a part of a list is none.
        ValueError: no part, wrong dtype, shape, stride or device, or tensors that overlap.
        NotImplementedError: no kernel for this head_dim; the text names the nearest one.

    >>> outs = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).repeat(1, 1, 1, 16)
    >>> out, lse = merge_states(outs, torch.zeros(2, 1, 1))
    >>> out[0, 0, 0].item(), round(lse.item(), 4)  # log(2)
    (2.0, 0.6931)
    """
    outs, lses = _stacked("outs", outs), _stacked("lses", lses)
    _torch_library.require_tensors_or_none(out=out, lse=lse)
    if out is None and lse is None:
        return _torch_library.call(_ops.merge_states.default, outs, lses)
    if out is None:
        out = torch.empty(outs.shape[1:], dtype=outs.dtype, device=outs.device)
    if lse is None:
        lse = torch.empty(lses.shape[1:], dtype=torch.float32, device=lses.device)
    _torch_library.call(_ops.merge_states.out, outs, lses, out=out, lse=lse)
    return out, lse


def _stacked(name: str, parts: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """Returns the parts as one tensor."""
    if not isinstance(parts, (list, tuple)):
        _torch_library.require_tensors(**{name: parts})
        return parts
    if not parts:
        raise ValueError(f"{name} has no part; expected at least one")
    _torch_library.require_tensors(**{f"{name}[{i}]": part for i, part in enumerate(parts)})
    first = parts[0]
    for i, part in enumerate(parts):
        if (part.shape, part.dtype, part.device) != (first.shape, first.dtype, first.device):
            raise ValueError(f"{name}[{i}] is {_kind(part)}; expected {_kind(first)} as {name}[0]")
    return torch.stack(parts)


def _kind(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}"
