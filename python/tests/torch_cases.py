# SPDX-License-Identifier: Apache-2.0
"""Cases of the reference as torch tensors, on any device."""

from __future__ import annotations

import dataclasses

import ascend_attention_reference as reference
import ml_dtypes
import numpy as np
import torch
from ascend_attention.torch import DecodeAttention

_DTYPES = {np.dtype(np.float16): torch.float16, np.dtype(ml_dtypes.bfloat16): torch.bfloat16}
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def to_torch(array: np.ndarray, device: str | torch.device = "cpu") -> torch.Tensor:
    """Returns a dense copy."""
    array = np.ascontiguousarray(array)
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).clone().to(device).view(torch.bfloat16)
    return torch.from_numpy(array).clone().to(device)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Returns a copy in host memory."""
    tensor = tensor.cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(BFLOAT16)
    return tensor.numpy()


@dataclasses.dataclass(repr=False)  # printing a tensor takes operators
class TorchCase:
    """The tensors of one case; the caches are views of a pool if those of the case are."""

    inputs: reference.DecodeInputs
    case: reference.DecodeCase
    query: torch.Tensor
    key_cache: torch.Tensor
    value_cache: torch.Tensor
    block_table: torch.Tensor
    scales: dict[str, torch.Tensor]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        return self.query, self.key_cache, self.value_cache, self.block_table

    def options(self) -> dict[str, object]:
        """Returns what paged_attention needs beyond tensors and lengths."""
        inputs = self.inputs
        return {
            "softmax_scale": inputs.softmax_scale,
            "q_lens": None if inputs.q_lens is None else inputs.q_lens.tolist(),
            "kv_quant": inputs.kv_quant,
            "kv_route": inputs.route,
            "kv_layout": inputs.kv_layout,
            "out_dtype": torch.float32 if inputs.out_float32 else None,
            **self.scales,
        }

    def make_op(self, **overrides: object) -> DecodeAttention:
        case, strides = self.case, self.inputs.kv_strides
        options: dict[str, object] = {
            "batch": case.batch,
            "num_heads": case.num_heads,
            "num_kv_heads": case.num_kv_heads,
            "head_dim": case.head_dim,
            "kv_block_size": case.kv_block_size,
            "num_kv_blocks": self.key_cache.shape[0],
            "max_kv_blocks": case.max_kv_blocks,
            "dtype": self.query.dtype,
            "softmax_scale": self.inputs.softmax_scale,
            "max_q_len": case.max_q_len,
            "kv_quant": self.inputs.kv_quant,
            "kv_route": self.inputs.route,
            "out_dtype": torch.float32 if self.inputs.out_float32 else None,
            "kv_layout": self.inputs.kv_layout,
            "kv_strides": strides if self.inputs.pool is not None else None,
            "fixed_split_tokens": case.fixed_split_tokens,
            "device": self.query.device,
        }
        return DecodeAttention(**{**options, **overrides})

    def plan_and_run(self, op: DecodeAttention) -> tuple[torch.Tensor, torch.Tensor]:
        op.plan(self.inputs.context_lens, self.inputs.q_lens)
        return op.run(*self.tensors, **self.scales, return_lse=True)

    def with_full_table(self) -> TorchCase:
        """Returns the case with a kv block in every entry of its table, for any lengths."""
        blocks = torch.arange(self.block_table.numel(), dtype=torch.int32) % len(self.key_cache)
        table = blocks.view(self.block_table.shape).to(self.block_table.device)
        valid = [cache.cpu().nan_to_num(0).to(cache.device) for cache in self.tensors[1:3]]
        return dataclasses.replace(
            self, key_cache=valid[0], value_cache=valid[1], block_table=table
        )

    def check(self, out: torch.Tensor, lse: torch.Tensor | None) -> None:
        """Fails unless the result is within the tolerance of the float64 reference."""
        got_lse = None if lse is None else to_numpy(lse)
        report = reference.check(to_numpy(out), got_lse, self.inputs)
        assert report.ok, str(report)


def load(text: str, device: str | torch.device = "cpu") -> TorchCase:
    """Returns the tensors of a case string."""
    case = reference.parse_case(text)
    inputs = reference.make_inputs(case)
    if inputs.pool is None:
        key_cache, value_cache = (
            to_torch(a, device) for a in (inputs.key_cache, inputs.value_cache)
        )
    else:
        pool = to_torch(inputs.pool, device)
        key_cache, value_cache = pool[:, 0], pool[:, 1]
    scales = {
        name: to_torch(getattr(inputs, name), device)
        for name in ("key_scale", "key_offset", "value_scale", "value_offset")
        if getattr(inputs, name) is not None
    }
    query, table = to_torch(inputs.query, device), to_torch(inputs.block_table, device)
    return TorchCase(inputs, case, query, key_cache, value_cache, table, scales)
