# SPDX-License-Identifier: Apache-2.0
"""Copies host arrays to the device for one call, into buffers that are kept for the next."""

from __future__ import annotations

import numpy as np

from ascend_attention import _core, _kv_layout
from ascend_attention.device_array import Array, DeviceArray, as_bytes, memory_address


class Staging:
    """Device addresses of arguments; nothing is copied for a DeviceArray."""

    def __init__(self, runtime: _core.Runtime) -> None:
        self._runtime = runtime
        self._buffers: dict[str, _core.DeviceBuffer] = {}

    def address(self, name: str, array: Array | None) -> int:
        """Returns the device address of a dense array, 0 for None."""
        if array is None:
            return 0
        if isinstance(array, DeviceArray):
            return array.address
        return self._upload(name, as_bytes(array))

    def cache_addresses(self, key_cache: Array, value_cache: Array) -> tuple[int, int]:
        """Returns the device addresses of two caches of any strides.

        The memory that a view spans is copied in one piece, and only once when key
        and value are views of one pool: the strides on the device are those on the host.
        """
        pool = _kv_layout.shared_span(key_cache, value_cache)
        if pool is None:
            key = self._cache_address("key_cache", key_cache)
            return key, self._cache_address("value_cache", value_cache)
        base = self._upload("kv_pool", pool) - memory_address(pool)
        return base + memory_address(key_cache), base + memory_address(value_cache)

    def _cache_address(self, name: str, cache: Array) -> int:
        if isinstance(cache, DeviceArray):
            return cache.address
        return self._upload(name, _kv_layout.span(cache))

    def _upload(self, name: str, source: np.ndarray) -> int:
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < source.size:
            buffer = self._buffers[name] = _core.DeviceBuffer(self._runtime, source.size)
        buffer.upload(source)
        return buffer.address
