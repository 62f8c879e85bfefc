# SPDX-License-Identifier: Apache-2.0
"""Writes new keys and values into a paged cache, as they are or quantised to int8.

    reshape_and_cache(key, value, key_cache, value_cache, slot_mapping)

Token t with s = slot_mapping[t] >= 0 goes to row s % kv_block_size of kv block
s // kv_block_size. Every other byte of the caches stays as it is.

Next: host_cc/include/ascend_attention/cache_write.h - the same for C++, with the formulas.
"""

from __future__ import annotations

import functools
import itertools
import threading

import numpy as np

from ascend_attention import _checks, _core, _kv_layout, _runtime
from ascend_attention.device_array import (
    Array,
    DeviceArray,
    as_bytes,
    dense_strides,
    memory_address,
    span_bytes,
)

_TOKEN_AXES = ("num_tokens", "num_kv_heads", "head_dim")
_INT64_MAX = np.iinfo(np.int64).max


def reshape_and_cache(
    key: Array,
    value: Array,
    key_cache: Array,
    value_cache: Array,
    slot_mapping: Array,
    *,
    kv_quant: str = "none",
    kv_layout: str = "token_major",
    key_scale: Array | None = None,
    key_offset: Array | None = None,
    value_scale: Array | None = None,
    value_offset: Array | None = None,
    check_slots: bool = False,
    device: int = 0,
) -> None:
    """Writes the rows of key and value into the caches, in place, and waits for it.

    A DeviceArray is used where it is. Numpy arrays are copied to the device for the call, a
    numpy cache whole and back: fit for tests, not for engines.

    Args:
        key: [num_tokens, num_kv_heads, head_dim] float16 or ml_dtypes.bfloat16. Tokens of a
            DeviceArray may lie apart, as in a slice of a qkv tensor.
        value: like key.
        key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], dtype of key, or int8
            with a kv_quant; any strides, as long as the elements of a head lie side by side.
        value_cache: like key_cache, with its strides.
        slot_mapping: [num_tokens] integers, int64 for a DeviceArray; negative ones skip their
            token.
        kv_quant: "none", or how int8 caches stand for (int8 + offset) * scale:
            "int8_channel", "int8_channel_asym" with scales (and offsets) given by channel;
            "int8_token" with scales that this function computes, max |row| / 127.
        kv_layout: "token_major", or "head_major" for caches [num_kv_blocks, num_kv_heads,
            kv_block_size, head_dim].
        key_scale: float32 [num_kv_heads, head_dim]; for "int8_token" [num_kv_blocks,
            num_kv_heads, kv_block_size], written at the slots.
        key_offset: float32 [num_kv_heads, head_dim], "int8_channel_asym" only.
        value_scale: like key_scale.
        value_offset: like key_offset.
        check_slots: check the slots of a DeviceArray before the launch, too, which waits for
            the device. Those of a numpy array are always checked.
        device: index of the device.

    Raises:
        TypeError: an argument is no array.
        ValueError: wrong dtype, rank, shape or stride, a slot that comes twice, a scale that is
            missing or too many.
        IndexError: a slot outside the caches. Found on the device, other tokens may have been
            written.
        NotImplementedError: no kernel for the shape; names the nearest that has one.
        RuntimeError: the device failed.

    On an error numpy caches and scales are untouched. Unchecked, two tokens with one slot leave
    either row there, or parts of both.

    >>> cache = np.zeros((2, 16, 1, 64), np.float16)
    >>> row = np.ones((1, 1, 64), np.float16)
    >>> reshape_and_cache(row, 2 * row, cache, values := cache.copy(), np.array([17]))
    >>> cache[1, 1, 0, 0], values[1, 1, 0, 0], cache.sum()
    (np.float16(1.0), np.float16(2.0), np.float16(64.0))
    """
    parameters = {
        "key_scale": key_scale,
        "key_offset": key_offset,
        "value_scale": value_scale,
        "value_offset": value_offset,
    }
    layout = _check_tensors(key, value, key_cache, value_cache, kv_quant, kv_layout)
    sizes = dict(zip(layout.axes, layout.shape, strict=True))
    _checks.check_parameters(kv_quant, parameters, sizes)
    written = {"key_cache": key_cache, "value_cache": value_cache}
    if kv_quant == "int8_token":
        written |= {"key_scale": key_scale, "value_scale": value_scale}
    _check_written(written)
    slots = _checked_slots(slot_mapping, key.shape[0], sizes)
    arrays = {"key": key, "value": value, "slot_mapping": slots, **written, **parameters}
    for name, array in arrays.items():
        _checks.check_device(name, array, device)
    with _kv_layout.strides_are_of("key_cache"):
        writer = _mine.writer(
            device, tuple(sizes.items()), key.dtype.name, kv_quant, layout.kv_strides
        )

    runtime, stream = _runtime.open_runtime(device), _mine.stream(device)
    key, value = _with_dense_heads("key", key), _with_dense_heads("value", value)
    staged = _Staged(runtime)
    addresses = staged.caches(key_cache, value_cache)
    inputs = {"key": key, "value": value, "slot_mapping": slots, **parameters}
    addresses |= {name: staged.array(name, array) for name, array in inputs.items()}
    try:
        writer.run(
            num_tokens=key.shape[0],
            key_token_stride=_token_stride("key", key),
            value_token_stride=_token_stride("value", value),
            **addresses,
            stream=stream.handle,
            check_slots=check_slots and isinstance(slots, DeviceArray),
        )
    finally:
        runtime.synchronize(stream.handle)  # until then the copies must live
    staged.bring_back(written)


def _check_tensors(
    key: Array, value: Array, key_cache: Array, value_cache: Array, kv_quant: str, kv_layout: str
) -> _kv_layout.KvLayout:
    """Raises for what does not fit together; returns the layout of the caches."""
    _checks.choice(_checks.KV_QUANTS, kv_quant=kv_quant)
    axes = _kv_layout.AXES[_checks.choice(_kv_layout.AXES, kv_layout=kv_layout)]
    _checks.check_rank("key", key, _TOKEN_AXES)
    dtype = _checks.DTYPES[_checks.dtype_name(key.dtype, "key dtype")]
    _checks.check_rank("key_cache", key_cache, axes)
    layout = _kv_layout.layout_of("key_cache", key_cache, kv_layout)
    sizes = dict(zip(axes, layout.shape, strict=True))
    shape = (key.shape[0], sizes["num_kv_heads"], sizes["head_dim"])
    _checks.check_shape("key", key, dtype, _TOKEN_AXES, shape)
    _checks.check_shape("value", value, dtype, _TOKEN_AXES, shape)
    cache_dtype = dtype if kv_quant == "none" else np.dtype(np.int8)
    _kv_layout.check_cache("key_cache", key_cache, cache_dtype, layout)
    _kv_layout.check_cache("value_cache", value_cache, cache_dtype, layout)
    return layout


def _check_written(written: dict[str, Array]) -> None:
    for name, array in written.items():
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise ValueError(f"{name} is read-only; expected an array that can be written")
    for key_name in [name for name in written if name.startswith("key_")]:
        value_name = key_name.replace("key_", "value_")
        key_array, value_array = written[key_name], written[value_name]
        if 0 not in key_array.shape and _address(key_array) == _address(value_array):
            raise ValueError(f"{value_name} is {key_name}; expected memory of its own")
    # Caches in host memory go to the device as one pool, where overlap is found; scales do not.
    for (name, array), (other_name, other) in itertools.combinations(written.items(), 2):
        if other_name.endswith("_scale") and _share_memory(array, other):
            raise ValueError(f"{other_name} overlaps {name}; expected memory of its own")


def _share_memory(a: Array, b: Array) -> bool:
    """Whether two host arrays have a byte in common; of the device's the library knows."""
    if isinstance(a, DeviceArray) or isinstance(b, DeviceArray):
        return False
    try:
        return np.shares_memory(a, b, max_work=1 << 20)
    except np.exceptions.TooHardError:
        return True


def _address(array: Array) -> int:
    return array.address if isinstance(array, DeviceArray) else memory_address(array)


def _checked_slots(slot_mapping: Array, num_tokens: int, sizes: dict[str, int]) -> Array:
    """Returns the slots as dense int64; those in host memory are checked one by one."""
    if isinstance(slot_mapping, DeviceArray):
        int64 = np.dtype(np.int64)
        _checks.check_array("slot_mapping", slot_mapping, int64, ("num_tokens",), (num_tokens,))
        return slot_mapping
    _checks.refuse_masked("slot_mapping", slot_mapping)
    slots = np.asarray(slot_mapping)
    if slots.shape != (num_tokens,):
        raise ValueError(
            f"slot_mapping has shape {slots.shape}; expected ({num_tokens},) = [num_tokens]"
        )
    if num_tokens and not np.issubdtype(slots.dtype, np.integer):
        raise ValueError(f"slot_mapping has dtype {slots.dtype}; expected integers")
    num_slots = sizes["num_kv_blocks"] * sizes["kv_block_size"]
    beyond = np.flatnonzero(slots > _INT64_MAX) if slots.dtype == np.uint64 else np.empty(0)
    if beyond.size:
        token = int(beyond[0])
        raise IndexError(
            f"slot_mapping[{token}] = {slots[token]} is outside [0, {num_slots}), the slots of the "
            "caches"
        )
    slots = np.ascontiguousarray(slots, dtype=np.int64)
    _core.check_slot_mapping(slots, num_slots)
    return slots


def _with_dense_heads(name: str, tokens: Array) -> Array:
    """Returns rows whose elements lie side by side; numpy arrays are copied for it."""
    if isinstance(tokens, np.ndarray):
        return np.ascontiguousarray(tokens)
    dense = dense_strides(tokens.shape, tokens.dtype.itemsize)
    sizes = zip(tokens.shape[1:], tokens.strides[1:], dense[1:], strict=True)
    if 0 in tokens.shape or all(n == 1 or got == want for n, got, want in sizes):
        return tokens
    raise ValueError(
        f"{name} has strides {tokens.strides} bytes; expected {dense[1:]} for heads and elements"
    )


def _token_stride(name: str, tokens: Array) -> int:
    """Returns the elements from one token to the next, 0 for dense rows."""
    if tokens.shape[0] < 2:
        return 0
    elements, rest = divmod(tokens.strides[0], tokens.dtype.itemsize)
    if rest:
        raise ValueError(
            f"{name} has strides {tokens.strides} bytes; expected a multiple of "
            f"{tokens.dtype.itemsize} from token to token"
        )
    return elements


class _Staged:
    """Device copies of numpy arrays for one call."""

    def __init__(self, runtime: _core.Runtime) -> None:
        self._runtime = runtime
        self._copies: dict[str, tuple[_core.DeviceBuffer, int]] = {}  # and byte offset in it

    def array(self, name: str, array: Array | None) -> int:
        """Returns the device address of a dense array, 0 for None."""
        if array is None:
            return 0
        if isinstance(array, DeviceArray):
            return array.address
        return self._copy(name, as_bytes(array))

    def caches(self, key_cache: Array, value_cache: Array) -> dict[str, int]:
        """Returns the device addresses of both caches, which may be views of one pool."""
        caches = {"key_cache": key_cache, "value_cache": value_cache}
        pool = _kv_layout.shared_span(key_cache, value_cache)
        if pool is None:
            return {name: self._cache(name, cache) for name, cache in caches.items()}
        address = self._copy("kv_pool", pool)
        buffer, _ = self._copies["kv_pool"]
        offsets = {n: memory_address(cache) - memory_address(pool) for n, cache in caches.items()}
        self._copies |= {name: (buffer, offset) for name, offset in offsets.items()}
        return {name: address + offset for name, offset in offsets.items()}

    def bring_back(self, written: dict[str, Array]) -> None:
        """Copies the results into the numpy arrays, element by element."""
        results = {
            name: self._download(name, array)
            for name, array in written.items()
            if isinstance(array, np.ndarray) and array.size
        }
        for name, result in results.items():  # nothing can fail any more
            written[name][...] = result

    def _cache(self, name: str, cache: Array) -> int:
        if isinstance(cache, DeviceArray):
            return cache.address
        return self._copy(name, _kv_layout.span(cache))

    def _copy(self, name: str, source: np.ndarray) -> int:
        buffer = _core.DeviceBuffer(self._runtime, source.size)
        buffer.upload(source)
        self._copies[name] = (buffer, 0)
        return buffer.address

    def _download(self, name: str, array: np.ndarray) -> np.ndarray:
        buffer, offset = self._copies[name]
        span = np.empty(span_bytes(array), np.uint8)
        buffer.download(span, offset)
        return np.ndarray(array.shape, array.dtype, buffer=span, strides=array.strides)


def _writer(
    device: int,
    sizes: tuple[tuple[str, int], ...],
    dtype: str,
    kv_quant: str,
    kv_strides: tuple[int, int, int] | None,
) -> _core.CacheWriter:
    cache = dict(sizes)
    shape = _core.DecodeShape(
        batch=1,
        num_heads=cache["num_kv_heads"],
        max_kv_blocks=1,
        dtype=dtype,
        kv_quant=kv_quant,
        kv_strides=kv_strides or (0, 0, 0),
        **cache,
    )
    return _core.CacheWriter(_runtime.open_runtime(device), shape)


def _stream(device: int) -> _core.Stream:
    return _core.Stream(_runtime.open_runtime(device))


class _PerThread(threading.local):
    """Kept for the next call of a thread.

    Writers hold the error records of their launches, and a stream fails as a whole: shared,
    the error of one thread would be raised in another.
    """

    def __init__(self) -> None:
        self.stream = functools.cache(_stream)
        self.writer = functools.lru_cache(maxsize=64)(_writer)


_mine = _PerThread()
