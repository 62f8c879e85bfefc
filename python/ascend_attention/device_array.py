# SPDX-License-Identifier: Apache-2.0
"""Arrays that stay in device memory from one call to the next, such as a KV cache.

Next: python/ascend_attention/decode.py - what takes them.
"""

from __future__ import annotations

import numpy as np

from ascend_attention import _core, _runtime


class DeviceArray:
    """A dense array in device memory.

    Args:
        array: any numpy array; it is copied to the device.
        device: index of the device.

    >>> import numpy as np
    >>> from ascend_attention import DeviceArray
    >>> DeviceArray(np.arange(6, dtype=np.int32).reshape(2, 3)).numpy().sum()
    np.int64(15)
    """

    def __init__(self, array: np.ndarray, *, device: int = 0) -> None:
        array = np.ascontiguousarray(array)
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype = array.dtype
        self.device = device
        self._buffer = _core.DeviceBuffer(_runtime.open_runtime(device), array.nbytes)
        self.copy_from(array)

    @property
    def nbytes(self) -> int:
        """Bytes that the array covers."""
        return self._buffer.size

    @property
    def address(self) -> int:
        """Device address of the first element, for callers of the C++ library."""
        return self._buffer.address

    def copy_from(self, array: np.ndarray) -> None:
        """Overwrites the contents with `array`, of the same shape and dtype.

        Raises:
            ValueError: shape or dtype differ.
        """
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(
                f"array is {array.dtype} {array.shape}; expected {self.dtype} {self.shape}"
            )
        self._buffer.upload(as_bytes(np.ascontiguousarray(array)))

    def numpy(self) -> np.ndarray:
        """Returns a copy in host memory."""
        array = np.empty(self.shape, self.dtype)
        self._buffer.download(as_bytes(array))
        return array

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, device={self.device})"


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Returns the bytes of a dense array as a view: bfloat16 has no buffer protocol."""
    return array.reshape(-1).view(np.uint8)
