# SPDX-License-Identifier: Apache-2.0
"""What kernels are mutated and checked on: small, reaching every branch, using every slot twice.

A problem launches one kernel and judges the result by a reference of its own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import ascend_attention_reference as reference
import ml_dtypes
import numpy as np

from ascend_attention import DeviceArray, merge_states, reshape_and_cache
from ascend_attention.cli.case_problem import decode
from ascend_attention.vnpu.mutation import Problem

# Between them every branch of the schedules: several tiles of several chunks, slots used again,
# partial blocks and groups, empty sequences, sequences split on few cores and merged in several
# steps; scores so large that a wrong maximum shows; several query tokens, some of which see
# nothing; heads loaded one by one; every head_dim.
_DECODE = (
    "decode:b4:h8:kv2:d128:bs128:ctx0,130,1100,2500:{dtype}:cores4:seed7",
    "decode:b3:h16:kv16:d64:bs64:ctx1,700,1300:{dtype}:cores3:seed7",
    "decode:b2:h12:kv1:d128:bs32:ctx33,1400:{dtype}:cores5:seed7",
    "decode:b1:h40:kv8:d128:bs128:ctx3000:{dtype}:cores2:seed7",
    "decode:b3:h8:kv2:d128:bs128:ctx40,900,2000:{dtype}:cores3:bigscores:seed10",
    "decode:b1:h128:kv8:d64:bs128:ctx1500:{dtype}:cores2:seed7",
    "decode:b1:h8:kv1:d128:bs128:ctx16384:{dtype}:cores24:seed7",
    "decode:b3:h8:kv2:d96:bs48:ctx3,700,1500:{dtype}:cores3:qlen5,4,3:headmajor:seed7",
    "decode:b2:h4:kv1:d256:bs512:ctx600,1900:{dtype}:cores3:qlen16:interleaved:split512:seed7",
)

_INT8 = (
    "decode:b4:h8:kv2:d128:bs128:ctx0,130,1100,2500:{dtype}:cores4:kvint8-channel:{route}:seed7",
    "decode:b3:h16:kv16:d64:bs64:ctx1,700,1300:{dtype}:cores3:kvint8-token:{route}:seed7",
    "decode:b2:h12:kv1:d128:bs32:ctx33,1400:{dtype}:cores5:kvint8-channel-asym:{route}:seed7",
    "decode:b1:h40:kv8:d96:bs128:ctx3000:{dtype}:cores2:headmajor:kvint8-token:{route}:seed7",
    "decode:b2:h16:kv2:d256:bs64:ctx900,40:{dtype}:cores3:interleaved:kvint8-channel:{route}:seed7",
    "decode:b2:h9:kv9:d128:bs128:ctx100,90:{dtype}:cores1:kvint8-channel-asym:{route}:seed7",
)

# Tiles of 16 and of 64 query heads, full ones and such that leave a half without rows; pages of 64
# and of 128; one, two, three and so many pages that every slot of the FIFOs is used three times;
# full and partial last pages; empty sequences before, between and after others, on the same core;
# fewer pieces of work than cores. The quickest of each tile and page first.
_FIFO = (
    "decode:b5:h64:kv1:d128:bs64:ctx0,900,64,130,0:{dtype}:cores2:route-fifo:outf32:seed7",
    "decode:b3:h20:kv1:d128:bs64:ctx65,1000,0:{dtype}:cores1:route-fifo:seed7",
    "decode:b3:h1:kv1:d128:bs128:ctx129,0,1700:{dtype}:cores1:route-fifo:outf32:bigscores:seed7",
    "decode:b3:h100:kv1:d128:bs128:ctx1600,0,200:{dtype}:cores3:interleaved:route-fifo:seed7",
    "decode:b6:h8:kv2:d128:bs128:ctx0,1,128,300,1500,0:{dtype}:cores3:route-fifo:seed7",
    "decode:b1:h40:kv8:d128:bs128:ctx300:{dtype}:cores24:route-fifo:seed7",
    "decode:b3:h72:kv1:d128:bs64:ctx100,0,833:{dtype}:cores1:headmajor:route-fifo:outf32:seed7",
)

_DTYPES = ("f16", "bf16")

DECODE_CASES: dict[str, tuple[str, ...]] = {
    "decode": tuple(line.format(dtype=dtype) for line in _DECODE for dtype in _DTYPES),
    "decode_fifo": tuple(line.format(dtype=dtype) for line in _FIFO for dtype in _DTYPES),
    **{
        f"decode_int8_{route}": tuple(
            line.format(dtype=dtype, route=f"route-{route}") for line in _INT8 for dtype in _DTYPES
        )
        for route in ("dequant", "limbs")
    },
}


class CaseProblem:
    """A decode case: its inputs are made once, its results judged by the tolerance rule."""

    def __init__(self, case: reference.DecodeCase, *, with_lse: bool = True) -> None:
        self.name = str(case) if with_lse else f"{case} without lse"
        self._case = case
        self._with_lse = with_lse
        self._inputs = reference.make_inputs(case)
        self._expected = reference.expect(self._inputs)
        self._right: bytes | None = None

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """Decodes once; returns out and lse, which is empty if it is not wanted."""
        decoded = decode(self._case, self._inputs, device=0, repeat=1, with_lse=self._with_lse)
        return decoded.out, decoded.lse

    def accepts(self, result: object) -> bool:
        """True for the bytes that were right before, or for others within tolerance."""
        out, lse = result
        digest = out.tobytes() + lse.tobytes()
        if digest == self._right:
            return True
        with np.errstate(all="ignore"):
            ok = reference.check(out, lse if self._with_lse else None, self._expected).ok
        if ok and self._right is None:
            self._right = digest
        return ok


@dataclasses.dataclass(frozen=True)
class MergeProblem:
    """Partial results to merge, some of them empty."""

    num_parts: int
    rows: int
    num_heads: int
    head_dim: int
    dtype: np.dtype

    @property
    def name(self) -> str:
        """Parts x rows x heads x head_dim and dtype."""
        sizes = f"{self.num_parts}x{self.rows}x{self.num_heads}x{self.head_dim}"
        return f"merge_states:{sizes}:{self.dtype.name}"

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """Merges once; returns out and lse."""
        return merge_states(*self._parts())

    def accepts(self, result: object) -> bool:
        """True within a few roundings of the float64 result."""
        out, lse = (np.asarray(array, np.float64) for array in result)
        outs, lses = (np.asarray(array, np.float64) for array in self._parts())
        outs = np.where(lses[..., np.newaxis] == -np.inf, 0, outs)
        with np.errstate(all="ignore"):
            most = lses.max(axis=0)
            weights = np.where(lses == -np.inf, 0, np.exp(lses - most))
            total = weights.sum(axis=0)
            shares = weights / np.where(total == 0, 1, total)
            expected = (shares[..., np.newaxis] * outs).sum(axis=0)
            expected_lse = np.where(total == 0, -np.inf, most + np.log(total))
        unit = float(ml_dtypes.finfo(self.dtype).eps)
        close = np.abs(out - expected) <= unit * np.abs(expected) + 2.0**-20 * np.abs(outs).max()
        with np.errstate(invalid="ignore"):
            same_lse = (lse == expected_lse) | (np.abs(lse - expected_lse) <= 2.0**-20 * 16)
        return bool(close.all() and same_lse.all())

    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.num_parts)
        shape = (self.num_parts, self.rows, self.num_heads)
        outs = rng.uniform(-1, 1, (*shape, self.head_dim)).astype(self.dtype)
        lses = rng.uniform(-8, 8, shape).astype(np.float32)
        lses[rng.random(shape) < 0.2] = -np.inf
        # In every other row one part that outweighs all: a maximum without it overflows.
        by_row = lses.reshape(self.num_parts, -1)
        rows = np.arange(1, by_row.shape[1], 2)
        by_row[(27 + 7 * np.arange(len(rows))) % self.num_parts, rows] = 120
        lses[:, 0, 0] = -np.inf  # a row without any token
        lses[-1, -1, -1] = -np.inf
        outs[lses == -np.inf] = np.nan  # which nobody need have written
        return outs, lses


@dataclasses.dataclass(frozen=True)
class CacheProblem:
    """Tokens to write into a paged cache that holds something else."""

    num_tokens: int
    num_kv_heads: int
    head_dim: int
    kv_block_size: int
    kv_quant: str
    kv_layout: str
    dtype: np.dtype

    @property
    def name(self) -> str:
        """Tokens x heads x head_dim, what the cache is, and dtype."""
        sizes = f"{self.num_tokens}x{self.num_kv_heads}x{self.head_dim}:bs{self.kv_block_size}"
        return f"reshape_and_cache:{sizes}:{self.kv_layout}:{self.kv_quant}:{self.dtype.name}"

    def run(self) -> dict[str, np.ndarray]:
        """Writes once; returns what was written to, token-major."""
        arrays = self._arrays()
        on_device = {name: DeviceArray(array) for name, array in arrays.items()}
        reshape_and_cache(**on_device, kv_quant=self.kv_quant, kv_layout=self.kv_layout)
        return {name: on_device[name].numpy() for name in arrays if self._is_written(name)}

    def accepts(self, result: object) -> bool:
        """True if the slots hold the rows, as exactly as they can, and all else is as it was."""
        arrays = self._arrays()
        slots = arrays["slot_mapping"]
        return all(
            self._holds(side, result, arrays, slots[slots >= 0], slots >= 0)
            for side in ("key", "value")
        )

    def _holds(
        self,
        side: str,
        result: dict[str, np.ndarray],
        before: dict[str, np.ndarray],
        slots: np.ndarray,
        kept: np.ndarray,
    ) -> bool:
        rows = before[side][kept].astype(np.float64)
        cache = self._by_slot(result[f"{side}_cache"])
        others = np.setdiff1d(np.arange(len(cache)), slots)
        if cache[others].tobytes() != self._by_slot(before[f"{side}_cache"])[others].tobytes():
            return False
        if self.kv_quant == "none":
            return bool((cache[slots].astype(np.float64) == rows).all())
        scale, offset = before[f"{side}_scale"].astype(np.float64), 0.0
        if self.kv_quant == "int8_channel_asym":
            offset = before[f"{side}_offset"].astype(np.float64)
        if self.kv_quant == "int8_token":
            written = self._scale_by_slot(result[f"{side}_scale"])
            unwritten = self._scale_by_slot(before[f"{side}_scale"])
            if written[others].tobytes() != unwritten[others].tobytes():
                return False
            scale = written[slots].astype(np.float64)[..., np.newaxis]
            largest = np.abs(rows).max(axis=-1, keepdims=True)
            if (np.abs(scale - largest / 127) > 1e-6 * largest).any():
                return False
        restored = (cache[slots].astype(np.float64) + offset) * scale
        return bool((np.abs(restored - rows) <= 0.5001 * np.abs(scale)).all())

    def _is_written(self, name: str) -> bool:
        scales = ("key_scale", "value_scale") if self.kv_quant == "int8_token" else ()
        return name in ("key_cache", "value_cache", *scales)

    def _by_slot(self, cache: np.ndarray) -> np.ndarray:
        if self.kv_layout == "head_major":
            cache = cache.transpose(0, 2, 1, 3)
        return cache.reshape(-1, self.num_kv_heads, self.head_dim)

    def _scale_by_slot(self, scale: np.ndarray) -> np.ndarray:
        return scale.transpose(0, 2, 1).reshape(-1, self.num_kv_heads)

    def _arrays(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(self.num_tokens)
        blocks = self.num_tokens // self.kv_block_size + 3
        heads, head_dim, tokens = self.num_kv_heads, self.head_dim, self.kv_block_size
        axes = (heads, tokens) if self.kv_layout == "head_major" else (tokens, heads)
        kind = self.dtype if self.kv_quant == "none" else np.dtype(np.int8)
        slots = rng.permutation(blocks * tokens)[: self.num_tokens].astype(np.int64)
        slots[::7] = -1
        arrays = {
            "key": rng.uniform(-1, 1, (self.num_tokens, heads, head_dim)).astype(self.dtype),
            "value": rng.uniform(-1, 1, (self.num_tokens, heads, head_dim)).astype(self.dtype),
            "key_cache": rng.integers(-99, 99, (blocks, *axes, head_dim)).astype(kind),
            "value_cache": rng.integers(-99, 99, (blocks, *axes, head_dim)).astype(kind),
            "slot_mapping": slots,
        }
        for side in ("key", "value"):
            if self.kv_quant == "int8_token":
                shape = (blocks, heads, tokens)
                arrays[f"{side}_scale"] = rng.uniform(1, 2, shape).astype(np.float32)
            elif self.kv_quant != "none":
                shape = (heads, head_dim)
                arrays[f"{side}_scale"] = rng.uniform(0.01, 0.02, shape).astype(np.float32)
            if self.kv_quant == "int8_channel_asym":
                arrays[f"{side}_offset"] = rng.uniform(-9, 9, shape).astype(np.float32)
        return arrays


def _float16_and_bfloat16() -> tuple[np.dtype, ...]:
    return np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)


def merge_problems() -> list[Problem]:
    """Few and many parts, rows that fill no slab, more than one slab per core."""
    return [
        MergeProblem(num_parts, rows, num_heads, head_dim, dtype)
        for dtype in (*_float16_and_bfloat16(), np.dtype(np.float32))
        for num_parts, rows, num_heads, head_dim in (
            (3, 5, 3, 64),
            (70, 50, 8, 128),
            (2, 300, 8, 96),
        )
    ]


def cache_problems() -> list[Problem]:
    """Every scheme and layout, more tokens than cores, with tokens that are skipped."""
    return [
        CacheProblem(num_tokens, num_kv_heads, head_dim, 16, kv_quant, kv_layout, dtype)
        for dtype in _float16_and_bfloat16()
        for kv_quant in ("none", "int8_channel", "int8_channel_asym", "int8_token")
        for num_tokens, num_kv_heads, head_dim, kv_layout in (
            # 8 tokens per vector core in slabs of 2, for two groups of heads: every slot twice.
            (400, 9, 256, "token_major"),
            (130, 3, 96, "head_major"),
        )
    ]


def decode_problems(kernel: str) -> list[Problem]:
    """The cases of a decode kernel; of the FIFO kernel some without lse, too."""
    cases = [reference.parse_case(line) for line in DECODE_CASES[kernel]]
    without_lse = cases[:4] if kernel == "decode_fifo" else []
    return [
        *(CaseProblem(case) for case in cases),
        *(CaseProblem(case, with_lse=False) for case in without_lse),
    ]


PROBLEMS: dict[str, Callable[[], Sequence[Problem]]] = {
    **{kernel: functools.partial(decode_problems, kernel) for kernel in DECODE_CASES},
    "merge_states": merge_problems,
    "reshape_and_cache": cache_problems,
}
