# SPDX-License-Identifier: Apache-2.0
"""What one `run` costs the host: from Python up to the enqueued launch, by several ways in.

    ASCEND_ATTENTION_TORCH=1 ./bazelw run //python/bench:bench_overhead -- [--rounds N] [--json]

Wall time of this host on the virtual NPU, side by side in one run; nothing about an NPU. Needs
torch_npu, which ASCEND_ATTENTION_TORCH=1 adds to bazelw's Python. The batch is empty (context
length 0) and the stream is held while launches are put into it: they run afterwards, outside the
clock.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable

from ascend_attention import vnpu

vnpu.activate()

if importlib.util.find_spec("torch_npu") is None:
    sys.exit("bench_overhead needs torch_npu: set ASCEND_ATTENTION_TORCH=1 for ./bazelw run")

import ascend_attention  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402 - after the virtual NPU took the place of CANN
import torch_npu  # noqa: E402, F401
from ascend_attention import torch as aa  # noqa: E402

CALLS = 20  # between two synchronisations, behind so many that bring caches and threads up
UNTIMED = 10
WARM_UP = 5  # rounds that do not count
NUM_POINTERS = 24
OURS, CTYPES = "torch op", "ctypes, 24 pointers"

SHAPE = {
    "batch": 1,
    "num_heads": 32,
    "num_kv_heads": 8,
    "head_dim": 128,
    "kv_block_size": 128,
    "num_kv_blocks": 1,
    "max_kv_blocks": 1,
}
NUM_CORES = 24

_HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass
class Way:
    """A way to launch; `call` returns before the device is done unless `waits`."""

    what: str
    call: Callable[[], object]
    waits: bool = False
    stream: int = 0  # it launches on; 0 for PyTorch's current one
    needs: object = None  # kept alive
    # The time of so many calls in ns, if the clock is not Python's.
    timed: Callable[[int], int] | None = None
    samples: list[float] = dataclasses.field(default_factory=list)  # us per call

    def sample(self) -> float:
        call = self.call
        for _ in range(UNTIMED):
            call()
        if self.timed is not None:
            return self.timed(CALLS) / CALLS / 1e3
        begin = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        return (time.perf_counter_ns() - begin) / CALLS / 1e3


def tensors_on(device: str) -> tuple[torch.Tensor, ...]:
    """Returns query, key_cache, value_cache, block_table and out."""
    cache = torch.empty(1, 128, 8, 128, dtype=torch.float16)
    query = torch.empty(1, 32, 128, dtype=torch.float16)
    table = torch.tensor([[0]], dtype=torch.int32)
    return tuple(x.to(device) for x in (query, cache, cache.clone(), table, query.clone()))


def torch_ways(device: str) -> dict[str, Way]:
    op = aa.DecodeAttention(**SHAPE, num_cores=NUM_CORES, device=device).plan([0])
    query, keys, values, table, out = tensors_on(device)
    run_plan = torch.ops.ascend_attention.run_plan.default
    workspace, handle = op.workspace, op.handle

    @torch.library.custom_op(f"bench_overhead::{device}", mutates_args=("workspace", "out"))
    def custom(
        query: torch.Tensor,
        key_cache: torch.Tensor,
        value_cache: torch.Tensor,
        block_table: torch.Tensor,
        workspace: torch.Tensor,
        plan: int,
        out: torch.Tensor,
    ) -> None:
        run_plan(query, key_cache, value_cache, block_table, workspace, plan, out)

    waits = device == "cpu"  # copies there and back
    ways = {
        OURS: Way("run_plan, out given", lambda: run_plan(
            query, keys, values, table, workspace, handle, out), waits, needs=op),
        "run(out=)": Way("DecodeAttention.run, out given", lambda: op.run(
            query, keys, values, table, out=out), waits),
        "run()": Way("DecodeAttention.run, a new out", lambda: op.run(
            query, keys, values, table), waits),
        "Python custom_op": Way("torch.library.custom_op around run_plan", lambda: custom(
            query, keys, values, table, workspace, handle, out), waits),
    }  # fmt: skip
    if device == "npu":
        return ways
    return {"torch op, CPU": dataclasses.replace(ways[OURS], what="run_plan on CPU tensors")}


def numpy_ways() -> dict[str, Way]:
    op = ascend_attention.DecodeAttention(**SHAPE, dtype="float16", num_cores=NUM_CORES)
    op.plan([0])
    cache = np.zeros((1, 128, 8, 128), np.float16)
    arrays = [np.zeros((1, 32, 128), np.float16), cache, cache, np.zeros((1, 1), np.int32)]
    query, keys, values, table = (ascend_attention.DeviceArray(array) for array in arrays)
    out = ascend_attention.DeviceArray.empty((1, 32, 128), np.float16)
    core, prepared = op._op, op._prepared
    addresses = {
        "query": query.address,
        "key_cache": keys.address,
        "value_cache": values.address,
        "block_table": table.address,
        "key_scale": 0,
        "key_offset": 0,
        "value_scale": 0,
        "value_offset": 0,
        "out": out.address,
        "lse": 0,
        "stream": op._stream.handle,
    }
    return {
        "nanobind": Way("_core run, addresses", lambda: core.run(prepared, **addresses),
                        stream=op._stream.handle),
        "numpy run()": Way(
            "DecodeAttention.run, DeviceArray", lambda: op.run(query, keys, values, table, out=out),
            waits=True,
        ),
    }  # fmt: skip


def ctypes_ways() -> dict[str, Way]:
    library = ctypes.CDLL(str(_HERE / "liblaunch_by_pointers.so"))
    library.time_launches.restype = ctypes.c_int64
    kernel = _HERE / "do_nothing.so"
    if failed := library.open_kernel(str(kernel).encode(), b"do_nothing_0"):
        raise RuntimeError(f"{kernel} cannot be loaded: {failed}")
    tensors = [torch.empty(8, device="npu") for _ in range(NUM_POINTERS)]
    launch = library.launch_by_pointers

    def by_pointers() -> None:
        stream = torch.npu.current_stream()._as_parameter_
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        if launch(ctypes.c_uint32(NUM_CORES), stream, *pointers):
            raise RuntimeError("the launch failed")

    def alone(calls: int) -> int:
        nanoseconds = library.time_launches(
            NUM_CORES, torch.npu.current_stream()._as_parameter_, calls
        )
        if nanoseconds < 0:
            raise RuntimeError("the launch failed")
        return nanoseconds

    return {
        CTYPES: Way("c_void_p(t.data_ptr()) x 24, current_stream", by_pointers),
        "launch alone": Way("the ACL call, from C++", by_pointers, timed=alone),
    }


class Gate:
    """Holds streams while launches are put into them.

    What simulates the NPU would else share caches, locks and cores with the caller.
    """

    def __init__(self) -> None:
        self._acl = ctypes.CDLL("libascendcl.so", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
        self._word = torch.zeros(1, dtype=torch.int64).npu()
        self._opener = torch.npu.Stream()
        self._value = 0

    def close(self, stream: int) -> None:
        self._value += 1
        self._call(self._acl.aclrtValueWait, stream)  # until the word is at least the value

    def open(self) -> None:
        self._call(self._acl.aclrtValueWrite, self._opener.npu_stream)
        torch.npu.synchronize()

    def _call(self, function: Callable[..., int], stream: int) -> None:
        address, value = ctypes.c_void_p(self._word.data_ptr()), ctypes.c_uint64(self._value)
        if failed := function(address, value, ctypes.c_uint32(0), ctypes.c_void_p(stream)):
            raise RuntimeError(f"ACL error {failed}")


def measure(ways: dict[str, Way], rounds: int) -> None:
    """Samples all in turn, so that what disturbs the host disturbs all."""
    gate = Gate()
    gc.disable()  # as timeit does
    for i in range(WARM_UP + rounds):
        for way in ways.values():
            if not way.waits:
                gate.close(way.stream or torch.npu.current_stream().npu_stream)
            microseconds = way.sample()
            gate.open()
            if i >= WARM_UP:
                way.samples.append(microseconds)
    gc.enable()


def figures_of(ways: dict[str, Way]) -> dict[str, dict[str, object]]:
    rows = {}
    for name, way in ways.items():
        tenths = statistics.quantiles(way.samples, n=10)
        rows[name] = {
            "what": way.what,
            "us": statistics.median(way.samples),
            "us_p10": tenths[0],
            "us_p90": tenths[-1],
            "waits": way.waits,
        }
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Prints a table, and with --json one object in the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=300, help=f"of {CALLS} calls each, from 2")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.rounds < 2:
        parser.error(f"--rounds is {options.rounds}; allowed: 2 or more")
    ways = {**torch_ways("npu"), **numpy_ways(), **ctypes_ways(), **torch_ways("cpu")}
    for waits in (False, True):  # apart: what waits simulates, and leaves cold caches
        measure({name: w for name, w in ways.items() if w.waits == waits}, options.rounds)
    rows = figures_of(ways)
    ratio = rows[CTYPES]["us"] / rows[OURS]["us"]
    print(f"us per call on this host, median and 10 % to 90 % of {options.rounds} rounds")
    for name, row in rows.items():
        spread = f"{row['us_p10']:.1f} .. {row['us_p90']:.1f}"
        note = ", waits for the result" if row["waits"] else ""
        print(f"{name:<20}{row['us']:8.1f}  ({spread:<15}) {row['what']}{note}")
    print(f"{CTYPES} / {OURS}: {ratio:.1f}")
    if options.json:
        host = {"machine": platform.machine(), "torch": torch.__version__}
        print(json.dumps({"host": host, "rounds": options.rounds, "rows": rows, "ratio": ratio}))


if __name__ == "__main__":
    main()
