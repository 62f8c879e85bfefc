# SPDX-License-Identifier: Apache-2.0
"""What is refused of a case before its arrays are made: no kernel, no plan, no memory for it."""

from __future__ import annotations

import pathlib
import resource

import ascend_attention_reference as reference

from ascend_attention.cli.case_problem import before_anything_runs
from ascend_attention.cli.plan import DEFAULT_SOC, plan_case

_MEMORY = pathlib.Path("/proc/meminfo")
_PROCESS = pathlib.Path("/proc/self/statm")
_CGROUP_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_COPIES = 2  # host arrays, and device arrays, which on the virtual NPU are host memory too


def refuse_case(case: reference.DecodeCase) -> None:
    """Raises UsageError for a case that the library refuses or that does not fit into memory."""
    with before_anything_runs():
        plan_case(case, DEFAULT_SOC)
        _check_memory(case)


def input_bytes(case: reference.DecodeCase) -> dict[str, int]:
    """Returns the sizes of the large arrays of a case; spare kv blocks are left out."""
    blocks = sum(-(-length // case.kv_block_size) for length in case.context_lens)
    if case.shared:
        blocks = -(-blocks // 2)
    elements = blocks * case.kv_block_size * case.num_kv_heads * case.head_dim
    return {
        "key_cache and value_cache": 2 * elements * (2 if case.kv_quant == "none" else 1),
        "block_table": case.batch * case.max_kv_blocks * 4,
        "query": case.num_query_rows * case.num_heads * case.head_dim * 2,
    }


def available_bytes() -> int | None:
    """Returns the memory that this process may still take; None if nothing says."""
    limits = []
    if _MEMORY.exists():
        fields = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        if "MemAvailable" in fields:
            limits.append(int(fields["MemAvailable"].split()[0]) * 1024)
    for path in _CGROUP_LIMITS:
        text = path.read_text().strip() if path.exists() else ""
        if text.isdecimal():
            limits.append(int(text))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        pages = int(_PROCESS.read_text().split()[0]) if _PROCESS.exists() else 0
        limits.append(max(0, soft - pages * resource.getpagesize()))
    return min(limits, default=None)


def _check_memory(case: reference.DecodeCase) -> None:
    available = available_bytes()
    sizes = input_bytes(case)
    needed = _COPIES * sum(sizes.values())
    if available is None or needed <= available:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    field = f"qlen to {case.max_q_len}" if largest == "query" else f"ctx to {case.max_context}"
    listed = ", ".join(f"{name} {_text(size)}" for name, size in sizes.items())
    raise MemoryError(
        f"{field} in b{case.batch} sequences: the inputs do not fit into memory: {listed}; "
        f"on host and device {_text(needed)}, available are {_text(available)}"
    )


def _text(size: int) -> str:
    return f"{size / 1e9:.3f} GB"
