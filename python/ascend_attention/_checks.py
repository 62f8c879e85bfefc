# SPDX-License-Identifier: Apache-2.0
"""Checks of the arrays that a caller passes, made before anything is launched.

Every message names the argument, the value it has and what is allowed. Values
of the problem shape itself (heads, block sizes, lengths) are checked by the C++
library, so that C++ and Python callers read the same text.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence

import ml_dtypes
import numpy as np

from ascend_attention.device_array import Array, DeviceArray, is_dense

# What the library calls a dtype, and the numpy dtype of its arrays.
DTYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}

# What a cache holds, and which of the tensors KV_PARAMETERS go with it.
KV_QUANTS = {
    "none": (),
    "int8_channel": ("key_scale", "value_scale"),
    "int8_channel_asym": ("key_scale", "key_offset", "value_scale", "value_offset"),
    "int8_token": ("key_scale", "value_scale"),
}
KV_PARAMETERS = KV_QUANTS["int8_channel_asym"]
KV_ROUTES = ("auto", "direct", "dequant", "limbs", "fifo")
FLOAT32 = np.dtype(np.float32)


def dtype_name(dtype: str | np.dtype | type, argument: str = "dtype") -> str:
    """Returns "float16" or "bfloat16" for a name or numpy dtype of that kind."""
    if isinstance(dtype, str):
        if dtype in DTYPES:
            return dtype
    else:
        dtype = _numpy_dtype(dtype, argument)
        for name, known in DTYPES.items():
            if dtype == known:
                return name
    hint = ""
    if dtype == np.uint16:
        hint = "; bfloat16 bits in uint16: pass array.view(ml_dtypes.bfloat16)"
    raise ValueError(
        f"{argument} is {dtype}; allowed: float16, bfloat16 (ml_dtypes.bfloat16){hint}"
    )


def out_dtype_or_default(out_dtype: object, dtype: np.dtype) -> np.dtype:
    """Returns the dtype of out: float32, or that of the query unless the caller chose."""
    if out_dtype is None:
        return dtype
    allowed = {name: known for name, known in DTYPES.items() if known == dtype}
    allowed["float32"] = FLOAT32
    with contextlib.suppress(TypeError, ValueError, SyntaxError):  # np.dtype knows no such dtype
        asked = np.dtype(out_dtype)  # type: ignore[call-overload]
        if asked in allowed.values():
            return asked
    raise ValueError(
        f"out_dtype is {out_dtype!r}; allowed: None, {', '.join(allowed)}, or their numpy dtypes"
    )


def _numpy_dtype(dtype: object, argument: str) -> np.dtype:
    text = f"{argument} is {dtype!r}; allowed: {', '.join(DTYPES)}, or their numpy dtypes"
    if dtype is None:  # float64 to numpy
        raise TypeError(text)
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(text) from None


def integers(*, bits: int = 64, **values: object) -> dict[str, int]:
    """Returns the values as Python integers of so many bits; the keywords name them in errors."""
    limit = 1 << (bits - 1)
    checked = {}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} is {value!r}; expected an integer")
        if not -limit <= value < limit:
            raise ValueError(f"{name} is {value}; allowed: integers of {bits} bits")
        checked[name] = int(value)
    return checked


def check_rank(name: str, array: object, axes: Sequence[str]) -> None:
    """Raises unless `array` is an array with one dimension per name in `axes`."""
    if not isinstance(array, np.ndarray | DeviceArray):
        raise TypeError(
            f"{name} is a {type(array).__name__}; expected numpy.ndarray or DeviceArray"
        )
    refuse_masked(name, array)
    if len(array.shape) != len(axes):
        raise ValueError(
            f"{name} has rank {len(array.shape)} (shape {array.shape}); "
            f"expected rank {len(axes)}: [{', '.join(axes)}]"
        )


def refuse_masked(name: str, array: object) -> None:
    """Raises for an array whose mask nothing here would look at."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a MaskedArray; expected an array without a mask, such as {name}.filled()"
        )


def check_array(
    name: str, array: Array, dtype: np.dtype, axes: Sequence[str], shape: Sequence[int]
) -> None:
    """Raises unless `array` is dense, of `dtype`, and of `shape`; `axes` name its dimensions."""
    check_shape(name, array, dtype, axes, shape)
    if is_dense(array):
        return
    remedy = f", such as numpy.ascontiguousarray({name})" if isinstance(array, np.ndarray) else ""
    raise ValueError(
        f"{name} has strides {array.strides} bytes; expected a dense (C-contiguous) array{remedy}"
    )


def check_shape(
    name: str, array: Array, dtype: np.dtype, axes: Sequence[str], shape: Sequence[int]
) -> None:
    """Raises unless `array` is of `dtype` and `shape`, with any strides."""
    check_rank(name, array, axes)
    _check_dtype(name, array, dtype)
    for axis, got, expected in zip(axes, array.shape, shape, strict=True):
        if got != expected:
            raise ValueError(
                f"{name} has {axis} {got} (shape {array.shape}); "
                f"expected {axis} {expected}: {tuple(shape)} = [{', '.join(axes)}]"
            )


def _check_dtype(name: str, array: Array, dtype: np.dtype) -> None:
    if array.dtype == dtype:
        return
    hint = ""
    if dtype == DTYPES["bfloat16"] and array.dtype == np.uint16:
        hint = f"; bfloat16 bits in uint16: pass {name}.view(ml_dtypes.bfloat16)"
    raise ValueError(f"{name} has dtype {array.dtype}; expected {dtype}{hint}")


def check_device(name: str, array: object, device: int) -> None:
    """Raises for an array in the memory of another device."""
    if isinstance(array, DeviceArray) and array.device != device:
        raise ValueError(f"{name} is on device {array.device}; expected device {device}")


def check_out(
    out: Array, dtype: np.dtype, axes: Sequence[str], shape: Sequence[int], name: str = "out"
) -> None:
    """Checks the array that a result is written to."""
    check_array(name, out, dtype, axes, shape)
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError(f"{name} is read-only; expected an array that can be written")


def context_lens_array(context_lens: object, most: int) -> np.ndarray:
    """Returns the lengths as a dense int32 vector; `most`, for errors, is the capacity."""
    lens = _int32_vector("context_lens", context_lens, f"0 <= length <= {most}")
    if lens.size == 0:
        raise ValueError("context_lens is empty; expected one length per sequence")
    return lens


def q_lens_array(q_lens: object, batch: int, most: int) -> np.ndarray:
    """Returns the numbers of query tokens as a dense int32 vector; `most` is for errors."""
    lens = _int32_vector("q_lens", q_lens, f"1 <= query tokens <= {most}")
    if lens.size != batch:
        raise ValueError(
            f"q_lens has {lens.size} numbers; expected {batch}, one per length of context_lens"
        )
    return lens


def _int32_vector(name: str, values: object, allowed: str) -> np.ndarray:
    refuse_masked(name, values)
    vector = np.asarray(values)
    if vector.ndim != 1:
        raise ValueError(f"{name} has rank {vector.ndim} (shape {vector.shape}); expected [batch]")
    if vector.size and not np.issubdtype(vector.dtype, np.integer):
        raise ValueError(f"{name} has dtype {vector.dtype}; expected integers")
    limits = np.iinfo(np.int32)
    outside = np.flatnonzero((vector < limits.min) | (vector > limits.max))
    if outside.size:
        row = int(outside[0])
        raise ValueError(f"{name}[{row}] = {vector[row]}; allowed: {allowed}")
    return np.array(vector, dtype=np.int32, order="C")  # a copy: the caller may reuse its own


def check_block_ids(
    block_table: np.ndarray, context_lens: np.ndarray, kv_block_size: int, num_kv_blocks: int
) -> None:
    """Raises IndexError for the first id outside the cache that a sequence would read.

    Entries past the last kv block of a sequence are not looked at: engines
    leave -1 or old ids there.
    """
    blocks_used = -(-context_lens // kv_block_size)
    used = np.arange(block_table.shape[1]) < blocks_used[:, np.newaxis]
    bad = used & ((block_table < 0) | (block_table >= num_kv_blocks))
    if bad.any():
        row, index = (int(i) for i in np.argwhere(bad)[0])
        raise IndexError(
            f"block_table[{row}][{index}] = {block_table[row, index]} is outside "
            f"[0, {num_kv_blocks}), the kv blocks of the caches"
        )


def softmax_scale_or_default(softmax_scale: float | None, head_dim: int) -> float:
    """Returns the scale, 1 / sqrt(head_dim) unless the caller chose one."""
    if softmax_scale is None:
        return 1.0 / math.sqrt(head_dim)
    number = int | float | np.integer | np.floating
    if isinstance(softmax_scale, bool) or not isinstance(softmax_scale, number):
        raise TypeError(f"softmax_scale is {softmax_scale!r}; expected a number")
    with np.errstate(over="ignore"):
        scale = float(np.float32(softmax_scale))
    if not math.isfinite(scale):
        raise ValueError(f"softmax_scale is {softmax_scale}; allowed: a finite float32")
    return scale


def num_cores_or_all(num_cores: int | None) -> int:
    """Returns the number of cores to use, 0 for all of the device."""
    if num_cores is None:
        return 0
    allowed = "1 up to the cores of the device, or None for all"
    if isinstance(num_cores, int | np.integer) and num_cores > np.iinfo(np.int32).max:
        raise ValueError(f"num_cores is {num_cores}; allowed: {allowed}")
    cores = integers(bits=32, num_cores=num_cores)["num_cores"]
    if cores < 1:
        raise ValueError(f"num_cores is {cores}; allowed: {allowed}")
    return cores


def choice(allowed: Iterable[str], **values: object) -> str:
    """Returns the one value if it is among `allowed`; the keyword names it in errors."""
    ((name, value),) = values.items()
    allowed = tuple(allowed)
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")


def fixed_split_or_none(fixed_split_tokens: int | None) -> int:
    """Returns the tokens of a fixed split, 0 for cuts where the batch is best balanced.

    Which numbers are allowed is said by the C++ library alone.
    """
    if fixed_split_tokens is None:
        return 0
    return integers(fixed_split_tokens=fixed_split_tokens)["fixed_split_tokens"]


def check_parameters(
    kv_quant: str, parameters: Mapping[str, Array | None], sizes: Mapping[str, int]
) -> None:
    """Raises unless the scales and offsets are those of an int8 cache of this kind."""
    needed = KV_QUANTS[kv_quant]
    axes = ("num_kv_heads", "head_dim")
    if kv_quant == "int8_token":
        axes = ("num_kv_blocks", "num_kv_heads", "kv_block_size")
    for name, array in parameters.items():
        if array is None and name in needed:
            raise ValueError(f"{name} is None; kv_quant {kv_quant} needs [{', '.join(axes)}]")
        if array is not None and name not in needed:
            allowed = ", ".join(needed) or "none of the scales and offsets"
            raise ValueError(f"{name} is given; kv_quant {kv_quant} takes {allowed}")
        if array is not None:
            shape = tuple(sizes[axis] for axis in axes)
            check_array(name, array, np.dtype(np.float32), axes, shape)
