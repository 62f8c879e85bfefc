# SPDX-License-Identifier: Apache-2.0
"""Arrays that stay in device memory from one call to the next, such as a KV cache.

Next: python/ascend_attention/decode.py - what takes them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from ascend_attention import _core, _runtime

Index = int | slice | None  # or Ellipsis

_MOST_BYTES = 2**63 - 1  # of a size in the library


class DeviceArray:
    """An array in device memory, or a view of one.

    Indexing with integers and slices and `transpose` give views: arrays of the
    same memory with a place and strides of their own, as in numpy. So the key and
    value cache of a layer can be slices of one pool.

    Args:
        array: any numpy array; it is copied to the device.
        device: index of the device.

    >>> import numpy as np
    >>> from ascend_attention import DeviceArray
    >>> pool = DeviceArray(np.arange(12, dtype=np.int32).reshape(3, 2, 2))
    >>> pool.numpy().sum()
    np.int64(66)
    >>> values = pool[:, 1]
    >>> values.shape, values.strides
    ((3, 2), (16, 4))
    >>> values.numpy()
    array([[ 2,  3],
           [ 6,  7],
           [10, 11]], dtype=int32)
    """

    def __init__(self, array: np.ndarray, *, device: int = 0) -> None:
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                "array is a MaskedArray; expected an array without a mask, such as array.filled()"
            )
        array = np.asarray(array, order="C")
        _refuse_objects(array.dtype)
        buffer = _core.DeviceBuffer(_runtime.open_runtime(device), array.nbytes)
        self._set(buffer, array.shape, array.strides, array.dtype, 0, device)
        self.copy_from(array)

    @classmethod
    def empty(
        cls, shape: Sequence[int], dtype: np.dtype | type | str, *, device: int = 0
    ) -> DeviceArray:
        """Returns an array whose contents are not defined yet; nothing is copied.

        Raises:
            MemoryError: the device has not that much memory.

        >>> DeviceArray.empty((2, 3), np.float16).nbytes
        12
        """
        array = cls.__new__(cls)
        dtype, shape = np.dtype(dtype), tuple(operator.index(n) for n in shape)
        if any(n < 0 for n in shape):
            raise ValueError(f"shape is {shape}; allowed: sizes of 0 or more")
        _refuse_objects(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size > _MOST_BYTES:
            raise MemoryError(f"shape {shape} of {dtype} takes {size} bytes; no device has them")
        buffer = _core.DeviceBuffer(_runtime.open_runtime(device), size)
        array._set(buffer, shape, dense_strides(shape, dtype.itemsize), dtype, 0, device)
        return array

    def _set(
        self,
        buffer: _core.DeviceBuffer,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: np.dtype,
        offset: int,
        device: int,
    ) -> None:
        self.shape = shape
        self.strides = strides  # bytes, one per dimension
        self.dtype = dtype
        self.device = device
        self._buffer = buffer
        self._offset = offset  # bytes from the start of the buffer

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, without what lies between those of a view."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def address(self) -> int:
        """Device address of the first element, for callers of the C++ library."""
        return self._buffer.address + self._offset

    @property
    def is_dense(self) -> bool:
        """Whether the elements lie one after the other (C-contiguous)."""
        return is_dense(self)

    def __getitem__(self, index: Index | tuple[Index, ...]) -> DeviceArray:
        """Returns a view; integers, slices with a positive step, `...` and None are allowed."""
        entries = index if isinstance(index, tuple) else (index,)
        for entry in entries:
            if isinstance(entry, slice) and (entry.step is None or entry.step > 0):
                continue
            is_integer = isinstance(entry, int | np.integer) and not isinstance(entry, bool)
            if not (is_integer or entry is None or entry is Ellipsis):
                raise TypeError(
                    f"index is {entry!r}; allowed: integers, slices with a positive step, ..., None"
                )
        if not any(entry is Ellipsis for entry in entries):
            entries = (*entries, Ellipsis)
        geometry = self._geometry()
        return self._view(geometry, geometry[entries])

    def transpose(self, *axes: int) -> DeviceArray:
        """Returns a view with the dimensions in another order, all reversed by default."""
        geometry = self._geometry()
        return self._view(geometry, geometry.transpose(*axes))

    def copy_from(self, array: np.ndarray) -> None:
        """Overwrites the contents with `array`, of the same shape and dtype.

        Raises:
            TypeError: no numpy array.
            ValueError: shape or dtype differ.
        """
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"array is a {type(array).__name__}; expected numpy.ndarray")
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(
                f"array is {array.dtype} {array.shape}; expected {self.dtype} {self.shape}"
            )
        if self.is_dense:
            self._buffer.upload(as_bytes(np.ascontiguousarray(array)), self._offset)
            return
        span = self._download_span()
        self._elements(span)[...] = array
        self._buffer.upload(span, self._offset)

    def numpy(self) -> np.ndarray:
        """Returns a copy in host memory."""
        return np.ascontiguousarray(self._elements(self._download_span())).reshape(self.shape)

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        """Refuses: numpy would otherwise make a 0-d array of objects of it."""
        raise TypeError("a DeviceArray is no numpy array; use .numpy() for a copy in host memory")

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, device={self.device})"

    def _download_span(self) -> np.ndarray:
        """Returns the bytes from the first element to the last, with what lies between."""
        span = np.empty(span_bytes(self), np.uint8)
        self._buffer.download(span, self._offset)
        return span

    def _elements(self, span: np.ndarray) -> np.ndarray:
        return np.ndarray(self.shape, self.dtype, buffer=span, strides=self.strides)

    def _geometry(self) -> np.ndarray:
        """Returns an array of this shape and these strides over no memory: never to be read."""
        return np.lib.stride_tricks.as_strided(
            np.empty(1, f"V{self.dtype.itemsize}"), self.shape, self.strides
        )

    def _view(self, geometry: np.ndarray, part: np.ndarray) -> DeviceArray:
        """Returns the view that lies in this array as `part` in `geometry`."""
        begin = memory_address(part) - memory_address(geometry) if part.size else 0
        view = DeviceArray.__new__(DeviceArray)
        view._set(
            self._buffer, part.shape, part.strides, self.dtype, self._offset + begin, self.device
        )
        return view


Array = np.ndarray | DeviceArray


def _refuse_objects(dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise TypeError(f"dtype is {dtype}; expected one without Python objects")


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Returns the bytes of a dense array as a view: bfloat16 has no buffer protocol."""
    return array.reshape(-1).view(np.uint8)


def is_dense(array: Array) -> bool:
    """Whether the elements lie one after the other (C-contiguous)."""
    dense = dense_strides(array.shape, array.dtype.itemsize)
    sizes = zip(array.shape, array.strides, dense, strict=True)
    return 0 in array.shape or all(n == 1 or got == expected for n, got, expected in sizes)


def span_bytes(array: Array) -> int:
    """Returns the bytes from the first element to the end of the last; strides are not negative."""
    if 0 in array.shape:
        return 0
    steps = zip(array.shape, array.strides, strict=True)
    return sum((n - 1) * stride for n, stride in steps) + array.dtype.itemsize


def dense_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Returns the strides of an array without gaps, in units of `itemsize`."""
    strides, stride = [], itemsize
    for n in reversed(shape):
        strides.append(stride)
        stride *= max(n, 1)
    return tuple(reversed(strides))


def memory_address(array: np.ndarray) -> int:
    """Returns where the first element of a host array lies."""
    address: int = array.__array_interface__["data"][0]
    return address
