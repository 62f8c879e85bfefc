# SPDX-License-Identifier: Apache-2.0
"""From a case of the reference package to the arguments of this one."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import time
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from ascend_attention_reference import DecodeCase, DecodeInputs

from ascend_attention import DecodeAttention, DecodePlan, DeviceArray, vnpu

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
REFUSALS = (TypeError, ValueError, FileExistsError, FileNotFoundError, vnpu.CompileError)

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
    lse: np.ndarray
    seconds: float  # plan, launches and synchronise: the shortest of the runs
    repeatable: bool  # every run gave the same bytes


class ShapeArguments(TypedDict):
    """Arguments that DecodeAttention and _core.DecodeShape share."""

    batch: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    kv_block_size: int
    num_kv_blocks: int
    max_kv_blocks: int
    dtype: str


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
    }


def decode(case: DecodeCase, inputs: DecodeInputs, *, device: int, repeat: int) -> Decoded:
    """Decodes a case `repeat` times; copies to the device are not timed."""
    op = DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)),
        softmax_scale=inputs.softmax_scale,
        num_cores=case.num_cores,
        device=device,
    )
    query, keys, values, table, out = (
        DeviceArray(array, device=device)
        for array in (
            inputs.query,
            inputs.key_cache,
            inputs.value_cache,
            inputs.block_table,
            np.full_like(inputs.query, np.nan),
        )
    )
    seconds, results = [], []
    for _ in range(repeat):
        begin = time.perf_counter()
        plan = op.plan(inputs.context_lens)
        _, lse = op.run(query, keys, values, table, out=out, return_lse=True)
        seconds.append(time.perf_counter() - begin)
        results.append((out.numpy(), np.asarray(lse)))
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


def repro_line(command: str, case: DecodeCase, *options: str) -> str:
    """Returns the command that runs a case again."""
    return shlex.join(["ascend-attention", command, "--case", str(case), *options])
