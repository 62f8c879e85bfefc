# SPDX-License-Identifier: Apache-2.0
"""How the elements of a KV cache lie in memory: order of the axes and strides.

    token_major  [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]
    head_major   [num_kv_blocks, num_kv_heads, kv_block_size, head_dim]

A cache may be a view, such as a slice of a pool that holds keys and values or
several layers: only its strides must be the ones that were declared.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping

import numpy as np

from ascend_attention import _checks
from ascend_attention.device_array import Array, dense_strides, memory_address, span_bytes

AXES = {
    "token_major": ("num_kv_blocks", "kv_block_size", "num_kv_heads", "head_dim"),
    "head_major": ("num_kv_blocks", "num_kv_heads", "kv_block_size", "head_dim"),
}

_STRIDE_AXES = ("num_kv_blocks", "kv_block_size", "num_kv_heads")  # order of kv_strides
_STRIDE_NAMES = ("block", "token", "head")


@dataclasses.dataclass(frozen=True)
class KvLayout:
    """Shape and strides of both caches."""

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements, one per axis

    @property
    def kv_strides(self) -> tuple[int, int, int] | None:
        """Elements from one block, token and head to the next; None for dense token-major."""
        if self.axes == AXES["token_major"] and self.strides == dense_strides(self.shape, 1):
            return None
        by_axis = dict(zip(self.axes, self.strides, strict=True))
        block, token, head = (by_axis[axis] for axis in _STRIDE_AXES)
        return block, token, head


def make_layout(kv_layout: object, kv_strides: object, sizes: Mapping[str, int]) -> KvLayout:
    """Returns the layout that a caller declares; without strides the caches are dense."""
    axes = AXES[_checks.choice(AXES, kv_layout=kv_layout)]
    shape = tuple(sizes[axis] for axis in axes)
    if kv_strides is None:
        return KvLayout(axes, shape, dense_strides(shape, 1))
    if not isinstance(kv_strides, tuple | list) or len(kv_strides) != len(_STRIDE_NAMES):
        raise TypeError(
            f"kv_strides is {kv_strides!r}; expected (block, token, head) in elements, or None"
        )
    names = [f"kv_strides[{i}] ({name})" for i, name in enumerate(_STRIDE_NAMES)]
    checked = _checks.integers(**dict(zip(names, kv_strides, strict=True)))
    for name, stride in checked.items():
        if stride < 1:
            raise ValueError(f"{name} is {stride}; allowed: 1 or more elements")
    by_axis = dict(zip(_STRIDE_AXES, checked.values(), strict=True))
    return KvLayout(axes, shape, (*(by_axis[axis] for axis in axes[:-1]), 1))


def layout_of(name: str, cache: Array, kv_layout: str) -> KvLayout:
    """Returns the layout that an array has."""
    axes, shape = AXES[kv_layout], tuple(cache.shape)
    strides = list(dense_strides(shape, 1))
    if 0 in shape:
        return KvLayout(axes, shape, tuple(strides))
    for i in reversed(range(len(shape))):
        if shape[i] > 1:  # the stride of a single row says nothing
            elements, rest = divmod(cache.strides[i], cache.dtype.itemsize)
            if rest or elements < 1:
                raise ValueError(
                    f"{name} has strides {cache.strides} bytes; allowed: positive multiples of "
                    f"its {cache.dtype.itemsize}-byte elements"
                )
            strides[i] = elements
        elif i + 1 < len(shape):
            strides[i] = strides[i + 1] * shape[i + 1]
    return KvLayout(axes, shape, tuple(strides))


@contextlib.contextmanager
def strides_are_of(name: str) -> Iterator[None]:
    """Lets errors name the array that strides were taken from, for callers who gave none."""
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        text = str(error)
        if "kv_strides." not in text:
            raise
        text = re.sub(r"kv_strides\.(\w+)", rf"{name}'s \1 stride", text)
        raise type(error)(text) from None


def check_cache(name: str, cache: Array, dtype: np.dtype, layout: KvLayout) -> None:
    """Raises unless `cache` is of `dtype` and lies in memory as `layout` says."""
    _checks.check_shape(name, cache, dtype, layout.axes, layout.shape)
    itemsize = dtype.itemsize
    rows = zip(layout.shape, cache.strides, layout.strides, strict=True)
    if 0 in layout.shape or all(n == 1 or got == want * itemsize for n, got, want in rows):
        return
    strides = ", ".join(f"{stride / itemsize:g}" for stride in cache.strides)
    raise ValueError(
        f"{name} has strides ({strides}) elements; expected {layout.strides} = "
        f"[{', '.join(layout.axes)}]: declare others by kv_layout or kv_strides, or copy it by "
        f"numpy.ascontiguousarray({name})"
    )


def shared_span(key_cache: Array, value_cache: Array) -> np.ndarray | None:
    """Returns the bytes that both caches span if they are views of one pool, else None."""
    if not (isinstance(key_cache, np.ndarray) and isinstance(value_cache, np.ndarray)):
        return None
    begins = [memory_address(cache) for cache in (key_cache, value_cache)]
    sizes = [span_bytes(cache) for cache in (key_cache, value_cache)]
    ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    if 0 in sizes or max(begins) >= min(ends):
        return None
    first = key_cache if begins[0] <= begins[1] else value_cache
    return _bytes_from(first, max(ends) - min(begins))


def span(cache: np.ndarray) -> np.ndarray:
    """Returns the bytes from the first element of a view to the end of the last."""
    return _bytes_from(cache, span_bytes(cache))


def _bytes_from(array: np.ndarray, size: int) -> np.ndarray:
    """Returns `size` bytes of the array that `array` is a view of, from its first element."""
    count = size // array.dtype.itemsize
    run = np.lib.stride_tricks.as_strided(array, (count,), (array.dtype.itemsize,), writeable=False)
    return run.view(np.uint8)
