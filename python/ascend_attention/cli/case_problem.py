# SPDX-License-Identifier: Apache-2.0
"""From a case of the reference package to the arguments of this one."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import time
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from ascend_attention_reference import DecodeCase, DecodeInputs

from ascend_attention import DecodeAttention, DecodePlan, DeviceArray, _core, vnpu

# What the library raises for a problem it refuses, a device or a compiler that fails.
LIBRARY_ERRORS = (
    IndexError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    vnpu.CompileError,
)

# What says that a value on the command line is wrong, as long as nothing ran.
REFUSALS = (
    IndexError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
    FileExistsError,
    FileNotFoundError,
    vnpu.CompileError,
)

_DTYPES = {"f16": "float16", "bf16": "bfloat16"}


class UsageError(Exception):
    """A value on the command line is wrong; nothing has run. The command exits with 2."""


@contextlib.contextmanager
def before_anything_runs() -> Iterator[None]:
    """What is refused in the block is wrong usage."""
    try:
        yield
    except REFUSALS as error:
        raise UsageError(f"{type(error).__name__}: {error}") from error


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What the device made of a case."""

    device: str
    plan: DecodePlan
    out: np.ndarray
    lse: np.ndarray  # empty if it was not wanted
    seconds: float  # plan, launches and synchronise: the shortest of the runs
    repeatable: bool  # every run gave the same bytes


class ShapeArguments(TypedDict):
    """Arguments of DecodeAttention that a case names."""

    batch: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    kv_block_size: int
    num_kv_blocks: int
    max_kv_blocks: int
    dtype: str
    max_q_len: int
    kv_quant: str
    kv_route: str
    out_dtype: str
    kv_layout: str
    kv_strides: tuple[int, int, int] | None
    fixed_split_tokens: int | None


def shape_arguments(case: DecodeCase, num_kv_blocks: int) -> ShapeArguments:
    """Returns the arguments that describe `case`."""
    return {
        "batch": case.batch,
        "num_heads": case.num_heads,
        "num_kv_heads": case.num_kv_heads,
        "head_dim": case.head_dim,
        "kv_block_size": case.kv_block_size,
        "num_kv_blocks": num_kv_blocks,
        "max_kv_blocks": case.max_kv_blocks,
        "dtype": _DTYPES[case.dtype],
        "max_q_len": case.max_q_len,
        "kv_quant": case.kv_quant,
        "kv_route": case.route,
        "out_dtype": case.out_dtype,
        "kv_layout": case.kv_layout,
        "kv_strides": _strides(case) if case.interleaved else None,
        "fixed_split_tokens": case.fixed_split_tokens,
    }


def core_shape(case: DecodeCase, num_kv_blocks: int) -> _core.DecodeShape:
    """Returns the shape of `case` as the planner takes it."""
    arguments: dict[str, object] = dict(shape_arguments(case, num_kv_blocks))
    del arguments["kv_layout"], arguments["out_dtype"]
    arguments["out_float32"] = case.out_float32
    is_plain = case.kv_layout == "token_major" and not case.interleaved
    arguments["kv_strides"] = (0, 0, 0) if is_plain else _strides(case)
    arguments["fixed_split_tokens"] = case.fixed_split_tokens or 0
    return _core.DecodeShape(**arguments)


def _strides(case: DecodeCase) -> tuple[int, int, int]:
    """Elements from one block, token and head to the next."""
    heads, tokens, head_dim = case.num_kv_heads, case.kv_block_size, case.head_dim
    block = (2 if case.interleaved else 1) * tokens * heads * head_dim
    if case.headmajor:
        return block, head_dim, tokens * head_dim
    return block, heads * head_dim, head_dim


def run_arguments(inputs: DecodeInputs) -> dict[str, np.ndarray | None]:
    """Returns the arguments of DecodeAttention.run as host arrays."""
    return {
        "query": inputs.query,
        "key_cache": inputs.key_cache,
        "value_cache": inputs.value_cache,
        "block_table": inputs.block_table,
        "key_scale": inputs.key_scale,
        "key_offset": inputs.key_offset,
        "value_scale": inputs.value_scale,
        "value_offset": inputs.value_offset,
    }


def on_device(inputs: DecodeInputs, device: int) -> dict[str, DeviceArray | None]:
    """Returns the arguments of DecodeAttention.run as device arrays; a pool is copied once."""
    arrays = run_arguments(inputs)
    caches = {}
    if inputs.pool is not None:
        pool = DeviceArray(inputs.pool, device=device)
        caches = {"key_cache": pool[:, 0], "value_cache": pool[:, 1]}
    return caches | {
        name: None if array is None else DeviceArray(array, device=device)
        for name, array in arrays.items()
        if name not in caches
    }


def decode(
    case: DecodeCase, inputs: DecodeInputs, *, device: int, repeat: int, with_lse: bool = True
) -> Decoded:
    """Decodes a case `repeat` times; copies to the device are not timed."""
    op = DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)),
        softmax_scale=inputs.softmax_scale,
        num_cores=case.num_cores,
        device=device,
    )
    tensors = on_device(inputs, device)
    out = np.full_like(inputs.query, np.nan, np.float32 if case.out_float32 else None)
    out = DeviceArray(out, device=device)
    seconds, results = [], []
    for _ in range(repeat):
        begin = time.perf_counter()
        plan = op.plan(inputs.context_lens, inputs.q_lens)
        result = op.run(**tensors, out=out, return_lse=with_lse)
        seconds.append(time.perf_counter() - begin)
        results.append((out.numpy(), np.asarray(result[1] if with_lse else ())))
    first_out, first_lse = results[0]
    return Decoded(
        device=op.device_name,
        plan=plan,
        out=first_out,
        lse=first_lse,
        seconds=min(seconds),
        repeatable=all(
            out.tobytes() == first_out.tobytes() and lse.tobytes() == first_lse.tobytes()
            for out, lse in results
        ),
    )


def say_failed(error: str) -> None:
    """Tells people about an error, as all commands do: on stderr."""
    sys.stdout.flush()
    print(f"ascend-attention: {error}", file=sys.stderr)


def repro_line(command: str, case: DecodeCase, *options: str) -> str:
    """Returns the command that runs a case again."""
    return shlex.join(["ascend-attention", command, "--case", str(case), *options])
