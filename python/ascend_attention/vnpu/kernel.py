# SPDX-License-Identifier: Apache-2.0
"""Compiles a raw CCE kernel and runs it on numpy arrays, under checkers and clock.

    kernel = compile("scale_add.cce", entry="scale_add")
    result = kernel.launch(4, input(x), input(y), output(x.shape, x.dtype), x.size)
    print(result.report.to_text())       # verdict first
    z = result.outputs["z"]

Next: python/ascend_attention/vnpu/_arguments.py - what may be passed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ascend_attention import _runtime, _vnpu
from ascend_attention.vnpu import _arguments, _records
from ascend_attention.vnpu._arguments import Memory, Parameter
from ascend_attention.vnpu._toolchain import CompiledKernel, CompileError, compile_kernel
from ascend_attention.vnpu.findings import Report
from ascend_attention.vnpu.mutation import MutationReport, mutate

DEFAULT_SOC = "Ascend910B1"
MAX_BLOCKS = 65535  # 16 bits of a launch
MAX_SECONDS = 86400.0
MAX_KEY = 2**63 - 1

# The machine keeps the cross-core flags itself; kernels only hand this address on.
_SYNC_ADDRESS = 0x1000
_GRAIN_BYTES = 32  # what DMA moves at once; aclrtMalloc rounds up to it and adds one


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What one launch gave.

    Attributes:
        outputs: by parameter name, what the arrays and outputs hold after the launch. They are
            new arrays; those of the caller never change.
        report: verdict, findings, fault and timing.
    """

    outputs: dict[str, np.ndarray]
    report: Report


class Kernel:
    """A kernel that was compiled for the virtual NPU; made by `compile`.

    Attributes:
        entry: its function.
        name: as the report names it, "<entry>_<key>".
        cores: its halves: ("aic", "aiv") starts one AIC and two AIVs per block.
        parameters: name and type of each argument.
        warnings: of the compiler, or empty.
    """

    def __init__(self, compiled: CompiledKernel, names: Sequence[str]) -> None:
        self.entry = compiled.entry
        self.name = compiled.name
        self.cores = compiled.cores
        self.warnings = compiled.warnings
        self.parameters = tuple(
            Parameter(name, given.kind == "gm", given.type)
            for name, given in zip(names, compiled.parameters, strict=True)
        )
        self._library = pathlib.Path(compiled.path).read_bytes()
        self._kernel = _vnpu.Kernel(compiled.path, self.name)

    def __repr__(self) -> str:
        return f"Kernel({self.name}({', '.join(map(str, self.parameters))}) on {self.cores})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the library, which libascendcl.so of the virtual NPU can load.

        Raises:
            FileExistsError: there is such a file already.
        """
        with open(path, "xb") as file:
            file.write(self._library)

    def launch(
        self,
        blocks: int,
        *arguments: Any,
        checks: str | Collection[str] = "all",
        timing: bool = False,
        soc: str = DEFAULT_SOC,
        num_cores: int | None = None,
        timeout: float = 60.0,
        strict_gm_visibility: bool = False,
        outputs_complete: bool = True,
    ) -> Result:
        """Runs the kernel on a fresh device and waits for it.

        Arrays are copied to the device and back; the caller's never change, and one that is passed
        twice is two arrays on the device. A pointer takes

            numpy array            in and out: returned in `outputs`
            vnpu.input(array)      in: a store to it is a finding
            vnpu.output(shape, dtype)      out: undefined at the start, returned in `outputs`
            vnpu.workspace(shape, dtype)   scratch: undefined at the start, not returned
            vnpu.sync_address()    for set_ffts_base_addr
            None                   null

        and a scalar a Python number in range, or a numpy scalar of exactly its dtype. A bf16 array
        has dtype ml_dtypes.bfloat16. `__gm__ uint8_t*` and `void*` take any dtype. What is
        undefined at the start is filled with 0x7fff, which is a NaN in f16, bf16 and f32.

        Args:
            blocks: blocks to launch, 1 to 65535. More than the device has cores run in turn, which
                a kernel with a barrier of all blocks cannot: that is a fault in the report.
            *arguments: one per parameter of the kernel.
            checks: "all", "none", or a collection of "race" and "memory". What the machine itself
                refuses (bounds, alignment, unpaired flags, deadlock) is always found.
            timing: also model the course of the launch.
            soc: Ascend910B1, B2, B2C, B3, B4, or a die of an A3 (Ascend910_9391 and others).
            num_cores: cores of the device; None for those of the soc.
            timeout: seconds of the host after which the launch is stopped, above 0 to 86400.
            strict_gm_visibility: demand dsb(DSB_DDR) between a store and the cross-core flag that
                hands it to another core.
            outputs_complete: a `vnpu.output` of which a byte was never written is a finding of
                "memory", kind "output-incomplete": how many bytes, and the first. False for a
                kernel that is meant to fill its outputs in part.

        Returns:
            Outputs and report. A kernel that is stopped (its report says "fault") raises nothing:
            outputs hold what it had written until then.

        Raises:
            TypeError: wrong number of arguments, or something that no parameter takes.
            ValueError: a value that is not allowed, a wrong dtype.
            MemoryError: more memory than the device has.
        """
        names = _records.checkers(checks)
        values = _arguments.check(self.parameters, arguments, _SYNC_ADDRESS)
        device = _device(blocks, soc, num_cores, timeout)
        session = _records.open_session(
            device,
            names,
            timing=timing,
            strict_gm_visibility=strict_gm_visibility,
            outputs_complete=outputs_complete,
        )
        with contextlib.closing(session):
            outputs = self._run(device, blocks, values)
            report = _records.report(session.launches(), names)
        return Result(outputs, report)

    def mutate(
        self,
        blocks: int,
        *arguments: Any,
        data: bool = False,
        soc: str = DEFAULT_SOC,
        num_cores: int | None = None,
        timeout: float = 10.0,
    ) -> MutationReport:
        """Removes each flag, wait, barrier and signal of the kernel, one at a time.

        A mutant is caught if a checker reports it, the launch faults, or an output differs in a bit
        from the unchanged kernel's. Survivors are instructions that these arguments do not need.

        Args:
            blocks: blocks to launch, 1 to 65535.
            *arguments: as for launch(); chosen so that every branch and slot of the kernel is used.
            data: also shorten counts, confuse slots and shrink arrays.
            soc: as for launch().
            num_cores: as for launch().
            timeout: seconds of the host for each launch.

        Raises:
            RuntimeError: the kernel is not clean as it is.
            TypeError: as for launch().
            ValueError: as for launch().
        """
        values = _arguments.check(self.parameters, arguments, _SYNC_ADDRESS)
        device = _device(blocks, soc, num_cores, timeout)
        problem = _SameOutputs(self, device, blocks, values)
        return mutate(device, self.name, [problem], data=data)

    def _run(
        self, device: _vnpu.Device, blocks: int, values: Sequence[_arguments.Value]
    ) -> dict[str, np.ndarray]:
        addresses = self._place(device, values)
        packed = [
            address if isinstance(value, Memory) else value
            for value, address in zip(values, addresses, strict=True)
        ]
        device.launch(self._kernel, blocks, _arguments.pack(self.parameters, packed))
        outputs = self._fetch(device, values, addresses)
        for value, address in zip(values, addresses, strict=True):
            if isinstance(value, Memory):
                device.free(address)
        return outputs

    def _place(self, device: _vnpu.Device, values: Sequence[_arguments.Value]) -> list[int]:
        """Puts the memory of a launch on the device; returns addresses, 0 for other arguments."""
        addresses = []
        for parameter, value in zip(self.parameters, values, strict=True):
            address = 0
            if isinstance(value, Memory):
                size = value.dtype.itemsize * math.prod(value.shape)
                address = device.allocate(max(1, size), -size % _GRAIN_BYTES + _GRAIN_BYTES)
                # Nothing is there of an empty output: its one byte need not be written.
                rule = value.rule if size > 0 else "read_write"
                device.name_region(address, max(1, size), parameter.name, rule)
                if value.array is not None:
                    device.upload(address, _as_bytes(value.array))
                else:
                    device.poison(address, size)  # holes must not read as zeros
            addresses.append(address)
        return addresses

    def _fetch(
        self, device: _vnpu.Device, values: Sequence[_arguments.Value], addresses: Sequence[int]
    ) -> dict[str, np.ndarray]:
        outputs = {}
        for parameter, value, address in zip(self.parameters, values, addresses, strict=True):
            if isinstance(value, Memory) and value.is_result:
                array = np.empty(value.shape, value.dtype)
                device.download(address, _as_bytes(array))
                outputs[parameter.name] = array
        return outputs


class _SameOutputs:
    """One launch for mutation tests: right is what the unchanged kernel makes."""

    def __init__(
        self,
        kernel: Kernel,
        device: _vnpu.Device,
        blocks: int,
        values: Sequence[_arguments.Value],
    ) -> None:
        self.name = kernel.name
        self._kernel = kernel
        self._device = device
        self._blocks = blocks
        self._values = values
        self._right: list[bytes] | None = None

    def run(self) -> list[bytes]:
        """Launches; returns the bytes of the outputs."""
        outputs = self._kernel._run(self._device, self._blocks, self._values)
        return [array.tobytes() for array in outputs.values()]

    def accepts(self, result: object) -> bool:
        """Takes the first result for right."""
        if self._right is None:
            self._right = result  # type: ignore[assignment]
        return result == self._right


def _device(blocks: int, soc: str, num_cores: int | None, timeout: float) -> _vnpu.Device:
    _check_range("blocks", blocks, 1, MAX_BLOCKS)
    if num_cores is not None:
        _check_range("num_cores", num_cores, 1, 128)
    if not 0 < timeout <= MAX_SECONDS:
        raise ValueError(f"timeout = {timeout!r}; allowed: above 0 to {MAX_SECONDS:g} seconds")
    device = _vnpu.Device(soc=soc, num_cores=num_cores or 0, timeout_seconds=float(timeout))
    device.set_sync_address(_SYNC_ADDRESS)
    return device


def compile(
    source: str | os.PathLike[str],
    *,
    entry: str,
    defines: Mapping[str, object] | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    cores: Sequence[str] | None = None,
    key: int = 0,
    names: Sequence[str] | None = None,
    timeout: float = 300.0,
) -> Kernel:
    """Compiles a kernel for the virtual NPU; needs clang 17 or later and binutils.

    Args:
        source: file with the kernel, unmodified.
        entry: its extern "C" __global__ function.
        defines: macros and their values; None for one without a value.
        include_dirs: folders to search for headers.
        cores: its halves: ("aic", "aiv"), ("aic",) or ("aiv",). None finds out.
        key: the tiling key, part of the name; TILING_KEY_IS and the like depend on it.
        names: of the parameters, for reports and outputs. None takes those of the source.
        timeout: seconds.

    Raises:
        CompileError: the kernel does not compile, has no such entry, or clang is missing.
            `.command` is the command line that failed, in full.
        TypeError: an argument of a wrong type.
        ValueError: a folder, macro or core that does not exist; `names` does not fit the kernel.

    >>> import pathlib, tempfile
    >>> from ascend_attention import vnpu
    >>> folder = tempfile.mkdtemp()
    >>> source = pathlib.Path(folder, "nothing.cce")
    >>> _ = source.write_text('extern "C" __global__ __aicore__ void nothing(int32_t n) {}')
    >>> vnpu.compile(source, entry="nothing").launch(1, 5).report.verdict
    'clean'
    """
    _check_compile(source, entry, defines, include_dirs, cores)
    _check_range("key", key, 0, MAX_KEY)
    macros = [
        name if value is None else f"{name}={value}" for name, value in (defines or {}).items()
    ]
    # Once it is loaded, the library needs no file.
    with tempfile.TemporaryDirectory(prefix="ascend_attention_vnpu_") as folder:
        compiled = compile_kernel(
            source,
            entry,
            os.path.join(folder, f"{entry}_{key}.so"),
            isa_dir=_shipped("tools/vnpu/isa/cce.h", below="vnpu/include").parents[3],
            runtime=_shipped("tools/vnpu/core/libvnpu.so", instead="vnpu/lib/libvnpu.so"),
            key=key,
            cores=None if cores is None else tuple(cores),
            defines=macros,
            include_dirs=[os.path.dirname(os.path.abspath(source)), *include_dirs],
            timeout=timeout,
        )
        return Kernel(compiled, _names(source, entry, len(compiled.parameters), names))


def parameter_names(text: str, entry: str) -> list[str]:
    """Returns the names of the parameters of a function, as far as its text tells.

    >>> parameter_names("void f(__gm__ half* x, int32_t n /* of x */, Dims<2, 3> d) {", "f")
    ['x', 'n', 'd']
    """
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    for match in re.finditer(rf"\b{re.escape(entry)}\s*\(", text):
        inside, rest = _balanced(text[match.end() :])
        if rest.lstrip().startswith(("{", ";")):
            return [_last_name(part) for part in _split(inside) if part.strip()]
    return []


def _check_compile(
    source: object, entry: object, defines: object, include_dirs: object, cores: object
) -> None:
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"source is {source!r}; expected a path")
    if not isinstance(entry, str):
        raise TypeError(f"entry is {entry!r}; expected the name of a function")
    if defines is not None and not isinstance(defines, Mapping):
        raise TypeError(f"defines is {defines!r}; expected a mapping, such as {{'SLOTS': 2}}")
    for name in defines or ():
        if not isinstance(name, str):
            raise TypeError(f"defines has the key {name!r}; expected the name of a macro")
        if not re.fullmatch(r"[A-Za-z_]\w*(\([^()]*\))?", name):
            raise ValueError(f"defines has the key {name!r}; allowed: the name of a macro")
    if isinstance(include_dirs, str | os.PathLike) or not isinstance(include_dirs, Iterable):
        raise TypeError(f"include_dirs is {include_dirs!r}; expected a list of folders")
    for index, folder in enumerate(include_dirs):
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(f"include_dirs[{index}] is {folder!r}; expected a path")
        if not os.path.isdir(folder):
            raise ValueError(f"include_dirs[{index}] = {str(folder)!r}; there is no such folder")
    if cores is None:
        return
    allowed = "allowed: ('aic', 'aiv'), ('aic',), ('aiv',) or None"
    if isinstance(cores, str) or not isinstance(cores, Sequence):
        raise TypeError(f"cores is {cores!r}; {allowed}")
    if tuple(cores) not in (("aic", "aiv"), ("aiv", "aic"), ("aic",), ("aiv",)):
        raise ValueError(f"cores = {cores!r}; {allowed}")


def _names(
    source: str | os.PathLike[str], entry: str, count: int, names: Sequence[str] | None
) -> list[str]:
    if names is not None:
        if len(names) != count or len(set(names)) != count:
            raise ValueError(
                f"names = {list(names)}; expected {count} different ones: {entry} has {count} "
                "parameters"
            )
        return list(names)
    text = pathlib.Path(source).read_text(encoding="utf-8", errors="replace")
    found = parameter_names(text, entry)
    if len(found) == count and len({*found} - {""}) == count:
        return found
    return [f"arg{index}" for index in range(count)]


def _balanced(text: str) -> tuple[str, str]:
    """Splits behind an opening parenthesis: what is inside, what follows the closing one."""
    depth = 1
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[:index], text[index + 1 :]
    return text, ""


def _split(text: str) -> Iterator[str]:
    """Parameters: separated by commas that are inside of no brackets."""
    depth = start = 0
    for index, char in enumerate(text):
        depth += (char in "(<[{") - (char in ")>]}")
        if char == "," and depth == 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _last_name(declaration: str) -> str:
    found = re.search(r"(\w+)\s*(?:=.*)?$", declaration.strip(), flags=re.DOTALL)
    return found[1] if found and not found[1][0].isdigit() else ""


def _shipped(tree_path: str, *, below: str = "", instead: str = "") -> pathlib.Path:
    """Returns a file of this package: where the wheel puts it, or in the tree."""
    installed = _runtime.PACKAGE / (instead or f"{below}/{tree_path}")
    in_tree = _runtime.PACKAGE.parents[1] / tree_path
    for path in (installed, in_tree):
        if path.is_file():
            return path
    raise CompileError(f"the package is incomplete: neither {installed} nor {in_tree} is there")


def _check_range(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if not low <= value <= high:
        raise ValueError(f"{name} = {value}; allowed: {low} to {high}")


def _as_bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)
