# SPDX-License-Identifier: Apache-2.0
"""Merges partial results of attention, such as those of shards of a context.

For parts p of the same query rows r and query heads h, each with the result `outs`
and the log-sum-exp `lses` of its own tokens:

    lse[r, h] = log(sum over p of exp(lses[p, r, h]))
    out[r, h] = sum over p of exp(lses[p, r, h] - lse[r, h]) * outs[p, r, h]

is the result for the tokens of all parts. A part with lse -inf saw no token: it adds
nothing, whatever its out holds. Without any token out = 0 and lse = -inf.

Next: ascend_kernels/combine/merge_stage.h - how the sums are taken.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from ascend_attention import _checks, _core, _runtime
from ascend_attention._staging import Staging
from ascend_attention.device_array import Array, DeviceArray, as_bytes

_AXES = ("num_query_rows", "num_heads", "head_dim")
_PARTS_AXES = ("num_parts", *_AXES)
_FLOAT32 = np.dtype(np.float32)
_DTYPES = {**_checks.DTYPES, "float32": _FLOAT32}


def merge_states(
    outs: Array | Sequence[np.ndarray],
    lses: Array | Sequence[np.ndarray],
    *,
    out: Array | None = None,
    lse: Array | None = None,
    device: int = 0,
) -> tuple[Array, Array]:
    """Merges partial results and waits for the result; any number of parts from 1 on.

    Numpy arrays are copied to the device for the call; a DeviceArray is used where it is.
    The sums are float32, in an order that follows from num_parts and head_dim alone: the
    bits of a row depend on nothing else.

    Args:
        outs: [num_parts, num_query_rows, num_heads, head_dim] float16, ml_dtypes.bfloat16 or
            float32, or a sequence of numpy arrays [num_query_rows, num_heads, head_dim];
            head_dim a multiple of 16 in 16..512.
        lses: [num_parts, num_query_rows, num_heads] float32 natural logarithms, finite or
            -inf, or a sequence of numpy arrays.
        out: array to write, like one part of outs; None for a new numpy array.
        lse: array to write, like one part of lses; None for a new numpy array.
        device: index of the device.

    Returns:
        (out, lse).

    Raises:
        TypeError: an argument is no array.
        ValueError: no part, wrong dtype, rank, shape, or arrays that are not dense or overlap.
        NotImplementedError: no kernel for this head_dim; the text names the nearest one.
        RuntimeError: no device, or the device failed.

    On an error before the launch `out` and `lse` are untouched.

    >>> import numpy as np
    >>> parts = [np.full((1, 1, 16), value, np.float32) for value in (1.0, 3.0, np.nan)]
    >>> lses = [np.full((1, 1), value, np.float32) for value in (0.0, 0.0, -np.inf)]
    >>> out, lse = merge_states(parts, lses)
    >>> out[0, 0, 0], lse[0, 0].round(4)  # the third part is empty; log(2)
    (np.float32(2.0), np.float32(0.6931))
    """
    outs, lses = _stacked("outs", outs), _stacked("lses", lses)
    dtype = _check_inputs(outs, lses, out, lse, device)
    runtime = _runtime.open_runtime(device)
    stream = _core.Stream(runtime)
    staging = Staging(runtime)
    num_parts, num_query_rows, num_heads, head_dim = outs.shape
    shape = (num_query_rows, num_heads, head_dim)
    out = np.empty(shape, outs.dtype) if out is None else out
    lse = np.empty(shape[:2], _FLOAT32) if lse is None else lse
    out_buffer = _buffer_for(runtime, out)
    lse_buffer = _buffer_for(runtime, lse)
    try:
        with _python_names():
            _core.merge_states(
                runtime,
                parts_out=staging.address("outs", outs),
                parts_lse=staging.address("lses", lses),
                out=out_buffer.address,
                lse=lse_buffer.address,
                num_parts=num_parts,
                rows=num_query_rows * num_heads,
                head_dim=head_dim,
                dtype=dtype,
                stream=stream.handle,
            )
    finally:
        runtime.synchronize(stream.handle)
    for result, buffer in ((out, out_buffer), (lse, lse_buffer)):
        if isinstance(result, np.ndarray):
            assert isinstance(buffer, _core.DeviceBuffer)
            buffer.download(as_bytes(result))
    return out, lse


@contextlib.contextmanager
def _python_names() -> Iterator[None]:
    """Lets errors of the library name the arguments as they are called here."""
    try:
        yield
    except ValueError as error:
        text = re.sub(r"\bparts_(out|lse)\b", r"\1s", str(error))
        raise ValueError(text) from None


def _stacked(name: str, parts: Array | Sequence[np.ndarray]) -> Array:
    """Returns the parts as one array."""
    if not isinstance(parts, list | tuple):
        return parts
    if not parts:
        raise ValueError(f"{name} is empty; expected at least one part")
    for index, part in enumerate(parts):
        _checks.refuse_masked(f"{name}[{index}]", part)
        if isinstance(part, DeviceArray):
            raise TypeError(
                f"{name}[{index}] is a DeviceArray; expected numpy arrays, or one DeviceArray with "
                "all parts"
            )
        if not isinstance(part, np.ndarray):
            raise TypeError(f"{name}[{index}] is a {type(part).__name__}; expected a numpy.ndarray")
        if part.dtype != parts[0].dtype or part.shape != parts[0].shape:
            raise ValueError(
                f"{name}[{index}] has dtype {part.dtype}, shape {part.shape}; expected "
                f"{parts[0].dtype}, {parts[0].shape} as {name}[0]"
            )
    return np.stack(parts)


def _check_inputs(
    outs: Array, lses: Array, out: Array | None, lse: Array | None, device: int
) -> str:
    """Returns the name of the dtype of outs and out."""
    _checks.check_rank("outs", outs, _PARTS_AXES)
    names = [name for name, dtype in _DTYPES.items() if outs.dtype == dtype]
    if not names:
        allowed = "float16, bfloat16 (ml_dtypes.bfloat16), float32"
        raise ValueError(f"outs has dtype {outs.dtype}; allowed: {allowed}")
    _checks.check_array("outs", outs, outs.dtype, _PARTS_AXES, outs.shape)
    if outs.shape[0] == 0:
        raise ValueError(f"outs has num_parts 0 (shape {outs.shape}); expected at least one part")
    _checks.check_array("lses", lses, _FLOAT32, _PARTS_AXES[:-1], outs.shape[:-1])
    if out is not None:
        _checks.check_out(out, outs.dtype, _AXES, outs.shape[1:])
    if lse is not None:
        _checks.check_out(lse, _FLOAT32, _AXES[:-1], outs.shape[1:-1], name="lse")
    if isinstance(out, np.ndarray) and isinstance(lse, np.ndarray) and np.shares_memory(out, lse):
        raise ValueError("lse overlaps out; expected memory of its own")
    for name, array in {"outs": outs, "lses": lses, "out": out, "lse": lse}.items():
        _checks.check_device(name, array, device)
    return names[0]


def _buffer_for(runtime: _core.Runtime, result: Array) -> _core.DeviceBuffer | DeviceArray:
    """Returns device memory for a result: its own, or a buffer of its size."""
    if isinstance(result, DeviceArray):
        return result
    return _core.DeviceBuffer(runtime, result.nbytes)
