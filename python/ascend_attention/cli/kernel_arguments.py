# SPDX-License-Identifier: Apache-2.0
"""Kernel arguments as text, for `ascend-attention vnpu ... --arg`.

    in:f16:[4,256]:random    array that the kernel reads: dtype, shape, contents
    in:@x.npy                the same from a file
    inout:f32:1024:zeros     array that it reads and writes (also from a file)
    out:f32:[1024]           array that it writes
    work:u8:4096             scratch memory
    i32:16                   scalar: type and value
    sync                     address for set_ffts_base_addr
    null                     null pointer

Types: f16 bf16 f32 f64 bool i8 i16 i32 i64 u8 u16 u32 u64. Contents: zeros, ones, arange, random
(floats of a normal distribution, integers of 0 to 99; the same ones in every run), default random.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any

import numpy as np

from ascend_attention import vnpu
from ascend_attention.vnpu._arguments import DTYPES as _PARAMETER_DTYPES

_DTYPES = {"f16" if name == "half" else name: d for name, d in _PARAMETER_DTYPES.items()}
_FILLS = ("zeros", "ones", "arange", "random")
_RANDOM_INTEGERS = 100


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument as the text describes it."""

    kind: str  # in, inout, out, work, sync, null, or the type of a scalar
    dtype: np.dtype | None = None
    shape: tuple[int, ...] = ()
    fill: str = ""
    file: np.ndarray | None = None
    value: bool | int | float = 0

    @property
    def is_result(self) -> bool:
        """Whether the launch returns it."""
        return self.kind in ("inout", "out")

    def make(self, position: int) -> Any:
        """Returns what `Kernel.launch` takes; random contents differ by position."""
        if self.kind in ("sync", "null"):
            return vnpu.sync_address() if self.kind == "sync" else None
        if self.dtype is None:
            return self.value
        if self.kind in ("out", "work"):
            make = vnpu.output if self.kind == "out" else vnpu.workspace
            return make(self.shape, self.dtype)
        array = self.file
        if array is None:
            array = _filled(self.shape, self.dtype, self.fill, position)
        return vnpu.input(array) if self.kind == "in" else array


def parse(text: str) -> Argument:
    """Reads one argument.

    Raises:
        argparse.ArgumentTypeError: names what is wrong in it.
    """
    kind, _, rest = text.partition(":")
    if text in ("sync", "null"):
        return Argument(text)
    if kind in ("in", "inout"):
        return _array(kind, rest)
    if kind in ("out", "work"):
        fields = rest.split(":")
        if len(fields) != 2:
            raise argparse.ArgumentTypeError(f"{text!r}; expected {kind}:<type>:<shape>")
        return Argument(kind, _dtype(fields[0]), _shape(fields[1]))
    if kind in _DTYPES:
        return Argument(kind, value=_scalar(kind, rest))
    raise argparse.ArgumentTypeError(
        f"{text!r}; it must begin with in:, inout:, out:, work:, a type, sync or null"
    )


def _dtype(text: str) -> np.dtype:
    if text not in _DTYPES:
        raise argparse.ArgumentTypeError(f"type {text!r}; allowed: {', '.join(_DTYPES)}")
    return _DTYPES[text]


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\[\d+(,\d+)*\]|\d+", text):
        raise argparse.ArgumentTypeError(f"shape {text!r}; expected a number or [4,256]")
    return tuple(int(extent) for extent in text.strip("[]").split(","))


def _array(kind: str, text: str) -> Argument:
    if text.startswith("@"):
        try:
            array = np.ascontiguousarray(np.load(text[1:], allow_pickle=False))
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{text[1:]!r} cannot be read: {error}") from error
        return Argument(kind, array.dtype, array.shape, file=array)
    fields = text.split(":")
    if len(fields) not in (2, 3):
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected <type>:<shape>[:<contents>] or @<file>.npy"
        )
    fill = fields[2] if len(fields) == 3 else "random"
    if fill not in _FILLS:
        raise argparse.ArgumentTypeError(f"contents {fill!r}; allowed: {', '.join(_FILLS)}")
    return Argument(kind, _dtype(fields[0]), _shape(fields[1]), fill)


def _filled(shape: tuple[int, ...], dtype: np.dtype, fill: str, seed: int) -> np.ndarray:
    if fill == "random":
        rng = np.random.default_rng(seed)
        if dtype.kind in "iub":
            below = 2 if dtype.kind == "b" else _RANDOM_INTEGERS
            return rng.integers(0, below, shape).astype(dtype)
        return rng.standard_normal(shape).astype(dtype)
    if fill == "arange":
        return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    return np.full(shape, fill == "ones", dtype)


def _scalar(kind: str, text: str) -> bool | int | float:
    try:
        if kind == "bool":
            return {"0": False, "1": True, "false": False, "true": True}[text.lower()]
        return float(text) if kind in ("f16", "bf16", "f32", "f64") else int(text, 0)
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"value {text!r}; expected a number for {kind}") from None
