# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention doctor`: which device, libraries and kernels are there, and what is missing."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterator

import numpy as np

import ascend_attention
from ascend_attention import _checks, _runtime, paged_attention, vnpu
from ascend_attention.cli.case_problem import LIBRARY_ERRORS
from ascend_attention.vnpu._toolchain.host_programs import find_tools

_PACKAGES = ("numpy", "ml-dtypes", "absl-py")
_TORCH_PACKAGES = {  # what needs them
    "torch": "ascend_attention.torch, 2.10 or later",
    "torch_npu": "its NPU tensors, on the virtual NPU as well",
}
_TORCH_OPERATORS = "libascend_attention_torch.so"
_ROUTES = {"decode": "direct", "decode_fifo": "fifo"}  # 16-bit kernels
_NO_CANN = (
    "not found: for hardware install the CANN toolkit (8.5.0 or later) and source its "
    "set_env.sh, which sets ASCEND_HOME_PATH; the virtual NPU needs none"
)


@dataclasses.dataclass(frozen=True)
class Fact:
    """One line of the report; `ok` is False for what makes the package unusable."""

    name: str
    value: str
    ok: bool = True


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    facts = []
    for fact in (*_host_facts(), *_device_facts(args.device)):
        print(f"{fact.name:<18}{fact.value}" + ("" if fact.ok else "   <-- missing"), flush=True)
        facts.append(fact)
    ok = all(fact.ok for fact in facts)
    print("ready" if ok else "NOT USABLE: see the lines marked missing")
    if args.json:
        values = {fact.name: fact.value for fact in facts}
        missing = [fact.name for fact in facts if not fact.ok]
        print(json.dumps({"ok": ok, "missing": missing, "facts": values}))
    return 0 if ok else 1


def _host_facts() -> Iterator[Fact]:
    yield Fact("ascend-attention", f"{ascend_attention.__version__}, {_runtime.PACKAGE}")
    yield Fact("python", f"{platform.python_version()}, {sys.executable}")
    yield Fact("machine", f"{platform.machine()}, {platform.system()} {platform.release()}")
    for package in _PACKAGES:
        try:
            yield Fact(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Fact(package, f"no version known: `pip install {package}`", ok=False)
    yield from _torch_facts()
    yield Fact("kernel compiler", _kernel_compiler())
    yield Fact("CANN toolkit", vnpu.cann_home() or _NO_CANN)


def _torch_facts() -> Iterator[Fact]:
    """What is there for ascend_attention.torch; torch is not imported, which takes seconds."""
    for package, use in _TORCH_PACKAGES.items():
        try:
            value = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            value = f"not installed; for {use}"
        yield Fact(package, value)
    library = _runtime.PACKAGE / _TORCH_OPERATORS
    found = f"{_TORCH_OPERATORS} is in this package"
    absent = (
        f"{_TORCH_OPERATORS} is not in this package, which was built where there was no PyTorch: "
        "for ascend_attention.torch build it again with `pip install --no-build-isolation`"
    )
    yield Fact("torch operators", found if library.exists() else absent)


def _kernel_compiler() -> str:
    """What vnpu.compile would use; nothing else needs it."""
    try:
        return find_tools().clang
    except vnpu.CompileError as error:
        return f"none, only vnpu.compile needs it: {error}"


def _device_facts(device: int) -> Iterator[Fact]:
    try:
        runtime = _runtime.open_runtime(device)
    except LIBRARY_ERRORS as error:
        yield Fact("device", str(error), ok=False)
        return
    yield Fact("device", runtime.description)
    yield Fact("ACL library", f"{runtime.acl_version}, {runtime.acl_library}")
    for dtype in _checks.DTYPES:
        yield _kernel_fact(dtype, device)


def _kernel_fact(dtype: str, device: int) -> Fact:
    """Loads the 16-bit kernels of one dtype: each must give back the value row of one token."""
    name = f"kernels {dtype}"
    query = np.ones((1, 1, 128), _checks.DTYPES[dtype])
    cache = np.full((1, 64, 1, 128), 0.5, query.dtype)
    table = np.zeros((1, 1), np.int32)
    for kernel, route in _ROUTES.items():
        try:
            out = paged_attention(query, cache, cache, table, [1], kv_route=route, device=device)
        except LIBRARY_ERRORS as error:
            return Fact(name, str(error), ok=False)
        if not np.array_equal(np.asarray(out), cache[:1, 0]):
            wrong = f"{kernel} loaded, but one token decodes to a wrong result"
            return Fact(name, wrong, ok=False)
    return Fact(name, f"{' and '.join(_ROUTES)} loaded, one token decoded right by each")
