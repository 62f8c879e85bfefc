# SPDX-License-Identifier: Apache-2.0
"""Arguments of a kernel launch: what a caller may pass, and the bytes that the kernel gets.

A kernel's parameters are known from its compiler: pointers to global memory with their element
type, scalars, and structs that are passed by value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

# Element types of parameter lists.
DTYPES = {
    "half": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "bool": np.dtype(np.bool_),
    **{
        f"{kind}{bits}": np.dtype(f"{name}{bits}")
        for kind, name in (("i", "int"), ("u", "uint"))
        for bits in (8, 16, 32, 64)
    },
}
_POINTER = np.dtype(np.uint64)
# GM_ADDR of vendor headers is `__gm__ uint8_t*`: a pointer to anything.
_UNTYPED = ("void", "u8")
_WANTED = "expected a numpy array, vnpu.input, vnpu.output, vnpu.workspace, or None for null"


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """Global memory for one launch; made by `input`, `output` and `workspace`."""

    rule: str  # read_only, output or read_write: what the kernel may do there
    shape: tuple[int, ...]
    dtype: np.dtype
    array: np.ndarray | None  # what it holds at the start; None: nothing defined
    is_result: bool


@dataclasses.dataclass(frozen=True)
class SyncAddress:
    """Stands for the address of the cross-core flags; made by `sync_address`."""


def input(array: np.ndarray) -> Memory:
    """An array that the kernel may only read: a store to it is a finding.

    Args:
        array: any dense numpy array; copied at the launch.
    """
    _check_array("vnpu.input", array)
    return Memory("read_only", array.shape, array.dtype, array, is_result=False)


def output(shape: int | Sequence[int], dtype: np.dtype | type | str) -> Memory:
    """An array that the kernel writes in full. It holds nothing defined at the start.

    A kernel whose result depends on what was there before has a finding, and so has one that
    leaves a byte unwritten (launch(outputs_complete=False) allows that).

    Args:
        shape: extents; an integer for one dimension.
        dtype: numpy dtype; `ml_dtypes.bfloat16` for bf16.
    """
    return Memory("output", _shape(shape), _dtype(dtype), None, is_result=True)


def workspace(shape: int | Sequence[int], dtype: np.dtype | type | str = np.uint8) -> Memory:
    """Scratch memory: as `output`, but not returned, and its contents need no definition.

    Args:
        shape: extents; an integer for one dimension.
        dtype: numpy dtype.
    """
    return Memory("read_write", _shape(shape), _dtype(dtype), None, is_result=False)


def sync_address() -> SyncAddress:
    """The argument of kernels that call set_ffts_base_addr: the address of the cross-core flags."""
    return SyncAddress()


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(shape, int | np.integer | Iterable):
        raise TypeError(f"shape = {shape!r}; expected integers of 0 or more")
    extents = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if not all(isinstance(extent, int | np.integer) and extent >= 0 for extent in extents):
        raise ValueError(f"shape = {shape!r}; expected integers of 0 or more")
    return tuple(int(extent) for extent in extents)


def _dtype(dtype: np.dtype | type | str) -> np.dtype:
    expected = "expected a numpy dtype of numbers, such as 'float16', or ml_dtypes.bfloat16"
    try:
        result = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype = {dtype!r}; {expected}") from None
    if result.hasobject or result.itemsize == 0:
        raise TypeError(f"dtype = {dtype!r}; {expected}")
    return result


def _check_array(name: str, array: object) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {type(array).__name__}; expected a numpy array")
    if array.dtype.hasobject:
        raise TypeError(f"{name} has dtype {array.dtype}; expected numbers")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{name} has strides {array.strides} bytes; expected a dense (C-contiguous) array, "
            "such as numpy.ascontiguousarray gives"
        )


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel."""

    name: str
    is_pointer: bool
    type: str  # key of DTYPES; "void", or "struct<bytes>a<alignment>"

    def __str__(self) -> str:
        return f"__gm__ {self.type}* {self.name}" if self.is_pointer else f"{self.type} {self.name}"

    @property
    def size(self) -> int:
        """Bytes in the argument struct."""
        if self.is_pointer:
            return _POINTER.itemsize
        if self.type.startswith("struct"):
            return int(self.type.removeprefix("struct").partition("a")[0])
        return DTYPES[self.type].itemsize

    @property
    def alignment(self) -> int:
        """Alignment in the argument struct, in bytes."""
        if self.type.startswith("struct"):
            return int(self.type.partition("a")[2])
        return self.size


Value = Memory | int | bytes  # memory to allocate, an address, or the bytes of a scalar


def check(parameters: Sequence[Parameter], arguments: Sequence[Any], sync: int) -> list[Value]:
    """Returns what each argument means.

    Args:
        parameters: of the kernel.
        arguments: of the caller, one each.
        sync: address that stands for the cross-core flags.

    Raises:
        TypeError: wrong number, or something that no parameter takes.
        ValueError: wrong dtype or range. Both name the parameter.
    """
    if len(arguments) != len(parameters):
        raise TypeError(
            f"{len(arguments)} arguments given; expected {len(parameters)}: "
            f"({', '.join(map(str, parameters))})"
        )
    return [
        _pointer(parameter, argument, sync)
        if parameter.is_pointer
        else _scalar(parameter, argument, sync)
        for parameter, argument in zip(parameters, arguments, strict=True)
    ]


def pack(parameters: Sequence[Parameter], values: Sequence[int | bytes]) -> bytes:
    """Returns the C struct of the arguments: each at its natural alignment."""
    packed = bytearray()
    for parameter, value in zip(parameters, values, strict=True):
        packed.extend(bytes(-len(packed) % parameter.alignment))
        packed.extend(value if isinstance(value, bytes) else int(value).to_bytes(8, "little"))
    return bytes(packed)


def _pointer(parameter: Parameter, argument: Any, sync: int) -> Memory | int:
    if argument is None:
        return 0
    if isinstance(argument, SyncAddress):
        return sync
    if isinstance(argument, np.ndarray):
        _check_array(parameter.name, argument)
        argument = Memory("output", argument.shape, argument.dtype, argument, is_result=True)
    if not isinstance(argument, Memory):
        raise TypeError(f"{parameter.name} is {argument!r}, but `{parameter}`: {_WANTED}")
    expected = DTYPES.get(parameter.type)
    if parameter.type not in _UNTYPED and expected is not None and argument.dtype != expected:
        hint = ""
        if parameter.type == "bf16" and argument.dtype == np.uint16:
            hint = "; bits in uint16: pass array.view(ml_dtypes.bfloat16)"
        raise ValueError(
            f"{parameter.name} has dtype {argument.dtype}; expected {expected}, as `{parameter}` "
            f"points to{hint}"
        )
    return argument


def _scalar(parameter: Parameter, argument: Any, sync: int) -> bytes:
    if isinstance(argument, SyncAddress):
        if parameter.type not in ("u64", "i64"):
            raise TypeError(f"{parameter.name} is the sync address, but `{parameter}`")
        return sync.to_bytes(8, "little")
    if parameter.type.startswith("struct"):
        return _struct(parameter, argument)
    dtype = DTYPES.get(parameter.type)
    if dtype is None:
        raise TypeError(f"`{parameter}`: a parameter of this type cannot be passed")
    if isinstance(argument, np.generic):
        if argument.dtype != dtype:
            raise ValueError(
                f"{parameter.name} has dtype {argument.dtype}; expected {dtype} as in "
                f"`{parameter}`, or a Python number"
            )
        return argument.tobytes()
    if dtype.kind == "b" and not isinstance(argument, bool):
        raise TypeError(f"{parameter.name} is {argument!r}; expected True or False")
    if dtype.kind in "iu":
        return _integer(parameter, dtype, argument)
    if not isinstance(argument, int | float):
        raise TypeError(f"{parameter.name} is {argument!r}; expected a number for `{parameter}`")
    with np.errstate(over="ignore"):
        return np.asarray(argument).astype(dtype).tobytes()


def _integer(parameter: Parameter, dtype: np.dtype, argument: Any) -> bytes:
    if not isinstance(argument, int):
        raise TypeError(f"{parameter.name} is {argument!r}; expected an integer for `{parameter}`")
    limits = np.iinfo(dtype)
    if not limits.min <= argument <= limits.max:
        raise ValueError(
            f"{parameter.name} = {argument}; allowed: {limits.min} to {limits.max} for "
            f"`{parameter}`"
        )
    return np.array(argument, dtype).tobytes()


def _struct(parameter: Parameter, argument: Any) -> bytes:
    """A struct that is passed by value: its bytes, or a structured numpy scalar."""
    data = argument.tobytes() if isinstance(argument, np.void) else argument
    if not isinstance(data, bytes):
        raise TypeError(
            f"{parameter.name} is {argument!r}; expected bytes or a numpy.void for `{parameter}`"
        )
    if len(data) != parameter.size:
        raise ValueError(f"{parameter.name} has {len(data)} bytes; expected {parameter.size}")
    return data
