# SPDX-License-Identifier: Apache-2.0
"""Paged-attention decode: one query token per sequence against its cached keys and values.

START HERE. Two ways in:

    DecodeAttention(...)   plan once per batch of lengths, run once per layer
    paged_attention(...)   one call that does both, for a first try or a test

For row b with n = context_lens[b] tokens, query head h and its kv head g:

    s[t]      = softmax_scale * dot(query[b, h], key[b, t, g])       t = 0 .. n-1
    lse[b, h] = log(sum over t of exp(s[t]))
    out[b, h] = sum over t of exp(s[t] - lse[b, h]) * value[b, t, g]

    key[b, t] = key_cache[block_table[b, t // kv_block_size], t % kv_block_size]

A sequence of length 0 gives out = 0 and lse = -inf.

Next: tiling/decode_planner.h - how lengths become work items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ascend_attention import _checks, _core, _runtime, planning
from ascend_attention.device_array import DeviceArray, as_bytes

Array = np.ndarray | DeviceArray
Result = Array | tuple[Array, np.ndarray]

_QUERY_AXES = ("batch", "num_heads", "head_dim")
_CACHE_AXES = ("num_kv_blocks", "kv_block_size", "num_kv_heads", "head_dim")
_TABLE_AXES = ("batch", "max_kv_blocks")
_ARGUMENTS = ("query", "key_cache", "value_cache", "block_table", "out")
_LSE_AXES = ("batch", "num_heads")
_LSE_DTYPE = np.dtype(np.float32)


class DecodeAttention:
    """Decode for one model shape on one device: `plan` per step, `run` per layer.

    Args:
        batch: most sequences that will be planned at once.
        num_heads: query heads; a multiple of `num_kv_heads`.
        num_kv_heads: key and value heads.
        head_dim: elements per head; 64 or 128.
        kv_block_size: tokens per kv block; a multiple of 16 in 16..256.
        num_kv_blocks: kv blocks in the caches.
        max_kv_blocks: columns of the block table; the longest context is
            `max_kv_blocks * kv_block_size` tokens.
        dtype: "float16" or "bfloat16", or the numpy dtype (`ml_dtypes.bfloat16`).
        softmax_scale: factor on the scores; None for 1 / sqrt(head_dim).
        num_cores: cores to use; None for all of the device.
        device: index of the device.

    Raises:
        ValueError: a value contradicts another one or makes no sense.
        NotImplementedError: no kernel for this shape; the text names the nearest one.
        RuntimeError: no device, or its libraries or kernels cannot be loaded.

    Not thread-safe: an object owns one workspace. Use one per thread.

    >>> import numpy as np
    >>> op = DecodeAttention(batch=1, num_heads=8, num_kv_heads=2, head_dim=64, kv_block_size=16,
    ...                      num_kv_blocks=4, max_kv_blocks=2)
    >>> op.plan([20]).context_lens
    (20,)
    >>> op.run(np.zeros((1, 8, 64), np.float16), np.zeros((4, 16, 2, 64), np.float16),
    ...        np.ones((4, 16, 2, 64), np.float16), np.array([[3, 0]], np.int32))[0, 0, :2]
    array([1., 1.], dtype=float16)
    """

    def __init__(
        self,
        *,
        batch: int,
        num_heads: int,
        num_kv_heads: int,
        head_dim: int,
        kv_block_size: int,
        num_kv_blocks: int,
        max_kv_blocks: int,
        dtype: str | np.dtype | type = "float16",
        softmax_scale: float | None = None,
        num_cores: int | None = None,
        device: int = 0,
    ) -> None:
        name = _checks.dtype_name(dtype)
        self._dtype = _checks.DTYPES[name]
        sizes = _checks.integers(
            batch=batch,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            kv_block_size=kv_block_size,
            num_kv_blocks=num_kv_blocks,
            max_kv_blocks=max_kv_blocks,
        )
        shape = _core.DecodeShape(**sizes, dtype=name)
        _core.validate(shape)
        scale = _checks.softmax_scale_or_default(softmax_scale, head_dim)
        cores = _checks.num_cores_or_all(num_cores)
        self._sizes = sizes
        self._device = device
        self._runtime = _runtime.open_runtime(device)
        self._stream = _core.Stream(self._runtime)
        self._op = _core.DecodeAttention(self._runtime, shape, softmax_scale=scale, num_cores=cores)
        rows = sizes["batch"] * sizes["num_heads"]
        self._workspace = self._buffer(self._op.workspace_bytes)
        self._out = self._buffer(rows * sizes["head_dim"] * self._dtype.itemsize)
        self._lse = self._buffer(rows * _LSE_DTYPE.itemsize)
        self._staged: dict[str, _core.DeviceBuffer] = {}
        self._prepared: _core.PreparedPlan | None = None
        self._context_lens = np.empty(0, np.int32)

    @property
    def workspace_bytes(self) -> int:
        """Device memory that plans and intermediate results take, for any batch and lengths."""
        return self._op.workspace_bytes

    @property
    def device_name(self) -> str:
        """What the device is, such as "Ascend910B1 (virtual NPU), 24 cores"."""
        return self._runtime.description

    def plan(self, context_lens: Sequence[int] | np.ndarray) -> planning.DecodePlan:
        """Spreads a batch of lengths over the cores; the following `run` calls use it.

        Args:
            context_lens: [n] integers, n <= batch, each 0 .. max_kv_blocks * kv_block_size.

        Returns:
            A read-only view of the plan.

        Raises:
            ValueError: a negative length, no length, or more lengths than `batch`.
            IndexError: a length that the block table cannot hold.

        >>> op = DecodeAttention(batch=4, num_heads=8, num_kv_heads=8, head_dim=128,
        ...                      kv_block_size=128, num_kv_blocks=64, max_kv_blocks=16)
        >>> op.plan([5, 0, 1000]).num_items >= 3
        True
        """
        lens = _checks.context_lens_array(context_lens)
        prepared = self._op.plan(
            lens, self._workspace.address, self._workspace.size, self._stream.handle
        )
        self._wait()
        self._prepared, self._context_lens = prepared, lens
        return planning.view(prepared.plan, lens)

    def run(
        self,
        query: Array,
        key_cache: Array,
        value_cache: Array,
        block_table: Array,
        *,
        out: Array | None = None,
        return_lse: bool = False,
    ) -> Result:
        """Attends with the lengths of the last `plan` and waits for the result.

        n below is the number of planned lengths. Numpy arrays are copied to the
        device for the call; a DeviceArray is used where it is.

        Args:
            query: [n, num_heads, head_dim], dtype of this object.
            key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], same dtype.
            value_cache: like key_cache.
            block_table: [n, max_kv_blocks] int32; entry [b, i] is the kv block of tokens
                i * kv_block_size onwards. Entries past a sequence's last block are not read.
            out: array to write, like query; None for a new numpy array.
            return_lse: also return lse.

        Returns:
            out, or (out, lse) with lse [n, num_heads] float32 natural logarithms.

        Raises:
            TypeError: an argument is no array.
            ValueError: wrong dtype, rank, shape or stride.
            IndexError: block_table names a kv block outside the caches. A numpy table is
                checked before the launch; for a DeviceArray the device finds it.
            RuntimeError: no plan yet, or the device failed.

        On an error before the launch `out` is untouched.

        >>> op = DecodeAttention(batch=1, num_heads=8, num_kv_heads=8, head_dim=64,
        ...                      kv_block_size=16, num_kv_blocks=1, max_kv_blocks=1)
        >>> cache = np.ones((1, 16, 8, 64), np.float16)
        >>> _ = op.plan([16])
        >>> op.run(np.zeros((1, 8, 64), np.float16), cache, cache,
        ...        np.zeros((1, 1), np.int32), return_lse=True)[1][0, 0].round(4)  # log(16)
        np.float32(2.7726)
        """
        if self._prepared is None:
            raise RuntimeError("run() needs a plan: call plan(context_lens) first")
        self._check_inputs(query, key_cache, value_cache, block_table, out)
        try:
            self._op.run(
                self._prepared,
                query=self._on_device("query", query),
                key_cache=self._on_device("key_cache", key_cache),
                value_cache=self._on_device("value_cache", value_cache),
                block_table=self._on_device("block_table", block_table),
                out=out.address if isinstance(out, DeviceArray) else self._out.address,
                lse=self._lse.address if return_lse else 0,
                stream=self._stream.handle,
            )
        finally:
            self._wait()
        return self._results(out, return_lse)

    def _check_inputs(
        self,
        query: Array,
        key_cache: Array,
        value_cache: Array,
        block_table: Array,
        out: Array | None,
    ) -> None:
        query_shape = self._shape_of(_QUERY_AXES)
        cache_shape = self._shape_of(_CACHE_AXES)
        table_shape = self._shape_of(_TABLE_AXES)
        check = _checks.check_array
        check("query", query, self._dtype, _QUERY_AXES, query_shape)
        check("key_cache", key_cache, self._dtype, _CACHE_AXES, cache_shape)
        check("value_cache", value_cache, self._dtype, _CACHE_AXES, cache_shape)
        check("block_table", block_table, np.dtype(np.int32), _TABLE_AXES, table_shape)
        if out is not None:
            _checks.check_out(out, self._dtype, _QUERY_AXES, query_shape)
        arguments = (query, key_cache, value_cache, block_table, out)
        for name, array in zip(_ARGUMENTS, arguments, strict=True):
            _checks.check_device(name, array, self._device)
        if isinstance(block_table, np.ndarray):
            _checks.check_block_ids(
                block_table,
                self._context_lens,
                self._sizes["kv_block_size"],
                self._sizes["num_kv_blocks"],
            )

    def _shape_of(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        """Returns the shape of a tensor by its axes; the batch is that of the plan."""
        sizes = {**self._sizes, "batch": len(self._context_lens)}
        return tuple(sizes[axis] for axis in axes)

    def _wait(self) -> None:
        """Waits for the device: between calls nothing is pending, so memory may be freed."""
        self._runtime.synchronize(self._stream.handle)

    def _buffer(self, size: int) -> _core.DeviceBuffer:
        return _core.DeviceBuffer(self._runtime, size)

    def _on_device(self, name: str, array: Array) -> int:
        """Returns the device address of an input; numpy arrays are copied there first."""
        if isinstance(array, DeviceArray):
            return array.address
        buffer = self._staged.get(name)
        if buffer is None or buffer.size < array.nbytes:
            buffer = self._staged[name] = self._buffer(array.nbytes)
        buffer.upload(as_bytes(array))
        return buffer.address

    def _results(self, out: Array | None, return_lse: bool) -> Result:
        if out is None:
            out = np.empty(self._shape_of(_QUERY_AXES), self._dtype)
        if isinstance(out, np.ndarray):
            self._out.download(as_bytes(out))
        if not return_lse:
            return out
        lse = np.empty(self._shape_of(_LSE_AXES), _LSE_DTYPE)
        self._lse.download(as_bytes(lse))
        return out, lse


def paged_attention(
    query: Array,
    key_cache: Array,
    value_cache: Array,
    block_table: Array,
    context_lens: Sequence[int] | np.ndarray,
    *,
    softmax_scale: float | None = None,
    return_lse: bool = False,
    num_cores: int | None = None,
    out: Array | None = None,
    device: int = 0,
) -> Result:
    """Decodes one batch in one call: shape from the arrays, plan, run.

    Engines should keep a `DecodeAttention` instead: this call allocates and
    plans each time.

    Args:
        query: [batch, num_heads, head_dim] float16 or ml_dtypes.bfloat16.
        key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], dtype of query.
        value_cache: like key_cache.
        block_table: [batch, max_kv_blocks] int32 kv block ids.
        context_lens: [batch] integers, each 0 .. max_kv_blocks * kv_block_size.
        softmax_scale: factor on the scores; None for 1 / sqrt(head_dim).
        return_lse: also return lse.
        num_cores: cores to use; None for all of the device.
        out: array to write, like query; None for a new numpy array.
        device: index of the device.

    Returns:
        out, or (out, lse) with lse [batch, num_heads] float32 natural logarithms.

    Raises:
        TypeError, ValueError, IndexError, NotImplementedError, RuntimeError: as
            `DecodeAttention` and its `plan` and `run`.

    >>> cache = np.full((2, 16, 1, 64), 0.5, np.float16)
    >>> paged_attention(np.ones((1, 1, 64), np.float16), cache, cache,
    ...                 np.array([[1]], np.int32), [3])[0, 0, 0]
    np.float16(0.5)
    """
    _checks.check_rank("query", query, _QUERY_AXES)
    _checks.check_rank("key_cache", key_cache, _CACHE_AXES)
    _checks.check_rank("block_table", block_table, _TABLE_AXES)
    lens = _checks.context_lens_array(context_lens)
    if len(lens) != query.shape[0]:
        raise ValueError(
            f"context_lens has {len(lens)} lengths; expected batch {query.shape[0]} as in query"
        )
    num_kv_blocks, kv_block_size, num_kv_heads, head_dim = key_cache.shape
    op = DecodeAttention(
        batch=query.shape[0],
        num_heads=query.shape[1],
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        kv_block_size=kv_block_size,
        num_kv_blocks=num_kv_blocks,
        max_kv_blocks=block_table.shape[1],
        dtype=_checks.dtype_name(query.dtype, "query dtype"),
        softmax_scale=softmax_scale,
        num_cores=num_cores,
        device=device,
    )
    op.plan(lens)
    return op.run(query, key_cache, value_cache, block_table, out=out, return_lse=return_lse)
