# SPDX-License-Identifier: Apache-2.0
"""Paged-attention decode: the newest query tokens of each sequence against its cache.

START HERE. Two ways in:

    DecodeAttention(...)   plan once per batch of lengths, run once per layer
    paged_attention(...)   one call that does both, for a first try or a test

For sequence b with n = context_lens[b] tokens, of which the last q = q_lens[b] have
a query, query token i = 0 .. q-1 in row r of `query`, query head h and its kv head g:

    s[t]      = softmax_scale * dot(query[r, h], key[b, t, g])       t = 0 .. n-q+i
    lse[r, h] = log(sum over t of exp(s[t]))
    out[r, h] = sum over t of exp(s[t] - lse[r, h]) * value[b, t, g]

    key[b, t] = key_cache[block_table[b, t // kv_block_size], t % kv_block_size]

The rows of all sequences lie end to end: that of token i is i plus the sum of the
q_lens before b. A token that sees no other gives out = 0 and lse = -inf, as does a
sequence of length 0. An int8 cache stands for (int8 + offset) * scale, in float32.

The query tokens of a sequence share one product of weights and values, in which a token
that the mask hides from a row has weight 0. So with q > 1 a NaN or an infinity in the
value row of one of the last q - 1 tokens makes all query rows of its tile NaN, also those
that do not see it (0 * NaN). What lies past context_lens[b] never matters.

Next: tiling/decode_planner.h - how lengths become work items.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from ascend_attention import _checks, _core, _kv_layout, _runtime, planning
from ascend_attention._staging import Staging
from ascend_attention.device_array import Array, DeviceArray, as_bytes

Result = Array | tuple[Array, np.ndarray]
Lengths = Sequence[int] | np.ndarray

_QUERY_AXES = ("num_query_rows", "num_heads", "head_dim")
_TABLE_AXES = ("batch", "max_kv_blocks")
_LSE_AXES = ("num_query_rows", "num_heads")
_LSE_DTYPE = np.dtype(np.float32)


class DecodeAttention:
    """Decode for one model shape on one device: `plan` per step, `run` per layer.

    Args:
        batch: most sequences that will be planned at once.
        num_heads: query heads; a multiple of `num_kv_heads`.
        num_kv_heads: key and value heads.
        head_dim: elements per head; 64, 96, 128, 192 or 256.
        kv_block_size: tokens per kv block; a multiple of 16 in 16..512.
        num_kv_blocks: kv blocks in the caches.
        max_kv_blocks: columns of the block table; the longest context is
            `max_kv_blocks * kv_block_size` tokens.
        dtype: "float16" or "bfloat16", or the numpy dtype (`ml_dtypes.bfloat16`), of
            query and out, and of the caches unless they are int8.
        softmax_scale: factor on the scores; None for 1 / sqrt(head_dim).
        max_q_len: most query tokens of a sequence, 1..16 (speculative decoding).
        kv_quant: what the caches hold: "none" (dtype), or int8 with a scale per channel
            ("int8_channel"), a scale and an offset per channel ("int8_channel_asym"),
            or a scale per token and kv head ("int8_token").
        kv_route: which kernel reads the cache. "auto" takes the one that the cost model says
            is faster for the longest batch that the capacity allows, once for this object.
            Of an int8 cache: "dequant" converts it to dtype first, "limbs" multiplies int8,
            with query and weights in two int8 limbs. Of a cache with kv_quant "none":
            "direct" spreads tokens over the cores by a plan; "fifo" works page by page and
            never splits a sequence. "fifo" needs head_dim 128, kv_block_size 64 or 128,
            max_q_len 1 and no fixed_split_tokens; "auto" takes it for a few short sequences
            with many query heads, and for a float32 out.
        out_dtype: dtype of out: None for `dtype`, or "float32" or a numpy dtype that means
            it, which kv_route "fifo" alone has.
        kv_layout: order of the axes of both caches, "token_major" or "head_major".
        kv_strides: elements from one kv block, token and kv head to the next,
            (block, token, head), for caches that are views of a larger array; None for
            dense caches. The elements of a head always lie side by side.
        fixed_split_tokens: cut every sequence at multiples of this many tokens, a multiple
            of 16 from 64 on and less than 2**31, so that for one max_q_len the bits of a row
            do not depend on the rest of its batch nor on the number of cores; None or 0 to
            cut where the batch is balanced best, which is faster.
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
        max_q_len: int = 1,
        kv_quant: str = "none",
        kv_route: str = "auto",
        out_dtype: str | np.dtype | type | None = None,
        kv_layout: str = "token_major",
        kv_strides: tuple[int, int, int] | None = None,
        fixed_split_tokens: int | None = None,
        num_cores: int | None = None,
        device: int = 0,
    ) -> None:
        name = _checks.dtype_name(dtype)
        self._dtype = _checks.DTYPES[name]
        self._out_dtype = _checks.out_dtype_or_default(out_dtype, self._dtype)
        sizes = _checks.integers(
            batch=batch,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            kv_block_size=kv_block_size,
            num_kv_blocks=num_kv_blocks,
            max_kv_blocks=max_kv_blocks,
            max_q_len=max_q_len,
        )
        self._kv_quant = _checks.choice(_checks.KV_QUANTS, kv_quant=kv_quant)
        self._layout = _kv_layout.make_layout(kv_layout, kv_strides, sizes)
        shape = _core.DecodeShape(
            **sizes,
            dtype=name,
            kv_quant=kv_quant,
            kv_route=_checks.choice(_checks.KV_ROUTES, kv_route=kv_route),
            kv_strides=self._layout.kv_strides or (0, 0, 0),
            fixed_split_tokens=_checks.fixed_split_or_none(fixed_split_tokens),
            out_float32=self._out_dtype == np.float32,
        )
        _core.validate(shape)
        scale = _checks.softmax_scale_or_default(softmax_scale, head_dim)
        cores = _checks.num_cores_or_all(num_cores)
        self._cache_dtype = self._dtype if kv_quant == "none" else np.dtype(np.int8)
        self._sizes = sizes
        self._device = device
        self._runtime = _runtime.open_runtime(device)
        self._stream = _core.Stream(self._runtime)
        self._op = _core.DecodeAttention(self._runtime, shape, softmax_scale=scale, num_cores=cores)
        rows = sizes["batch"] * sizes["max_q_len"] * sizes["num_heads"]
        self._workspace = self._buffer(self._op.workspace_bytes)
        self._out = self._buffer(rows * sizes["head_dim"] * self._out_dtype.itemsize)
        self._lse = self._buffer(rows * _LSE_DTYPE.itemsize)
        self._staging = Staging(self._runtime)
        self._prepared: _core.PreparedPlan | None = None
        self._context_lens = np.empty(0, np.int32)
        self._num_query_rows = 0

    @property
    def workspace_bytes(self) -> int:
        """Device memory that plans and intermediate results take, for any batch and lengths."""
        return self._op.workspace_bytes

    @property
    def device_name(self) -> str:
        """What the device is, such as "Ascend910B1 (virtual NPU), 24 cores"."""
        return self._runtime.description

    def plan(self, context_lens: Lengths, q_lens: Lengths | None = None) -> planning.DecodePlan:
        """Spreads a batch of lengths over the cores; the following `run` calls use it.

        Args:
            context_lens: [n] integers, n <= batch, each 0 .. max_kv_blocks * kv_block_size;
                the tokens that have a query are included.
            q_lens: [n] integers, each 1 .. max_q_len: query tokens of the sequences; None
                for one each.

        Returns:
            A read-only view of the plan.

        Raises:
            ValueError: a number that is not allowed, no length, or more lengths than `batch`.
            IndexError: a length that the block table cannot hold.

        >>> op = DecodeAttention(batch=4, num_heads=8, num_kv_heads=8, head_dim=128,
        ...                      kv_block_size=128, num_kv_blocks=64, max_kv_blocks=16)
        >>> op.plan([5, 0, 1000]).num_items >= 3
        True
        """
        most = self._sizes["max_kv_blocks"] * self._sizes["kv_block_size"]
        lens = _checks.context_lens_array(context_lens, most)
        tokens = None
        if q_lens is not None:
            tokens = _checks.q_lens_array(q_lens, len(lens), self._sizes["max_q_len"])
        prepared = self._op.plan(
            lens, self._workspace.address, self._workspace.size, self._stream.handle, tokens
        )
        self._wait()
        self._prepared, self._context_lens = prepared, lens
        self._num_query_rows = len(lens) if tokens is None else int(tokens.sum())
        return planning.view(prepared.plan, lens, tokens)

    def run(
        self,
        query: Array,
        key_cache: Array,
        value_cache: Array,
        block_table: Array,
        *,
        key_scale: Array | None = None,
        key_offset: Array | None = None,
        value_scale: Array | None = None,
        value_offset: Array | None = None,
        out: Array | None = None,
        return_lse: bool = False,
    ) -> Result:
        """Attends with the lengths of the last `plan` and waits for the result.

        n below is the number of planned lengths, num_query_rows the sum of the planned
        q_lens. Numpy arrays are copied to the device for the call (of a cache that is a
        view, all memory between its first and its last element, once for two views of
        one array); a DeviceArray is used where it is.

        Args:
            query: [num_query_rows, num_heads, head_dim], dtype of this object.
            key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], or with
                kv_layout "head_major" [num_kv_blocks, num_kv_heads, kv_block_size, head_dim];
                dtype of this object or int8, strides as declared.
            value_cache: like key_cache.
            block_table: [n, max_kv_blocks] int32; entry [b, i] is the kv block of tokens
                i * kv_block_size onwards. Entries past a sequence's last block are not read.
            key_scale: float32, of an int8 cache only: [num_kv_heads, head_dim] per channel,
                [num_kv_blocks, num_kv_heads, kv_block_size] per token.
            key_offset: float32 [num_kv_heads, head_dim], of kv_quant "int8_channel_asym" only.
            value_scale: like key_scale.
            value_offset: like key_offset.
            out: array to write, like query but of out_dtype; None for a new numpy array.
            return_lse: also return lse.

        Returns:
            out, or (out, lse) with lse [num_query_rows, num_heads] float32 natural logarithms.

        Raises:
            TypeError: an argument is no array.
            ValueError: wrong dtype, rank, shape or stride, a scale that is missing or too many, a
                DeviceArray `out` that overlaps another tensor.
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
        tensors = {
            "query": query,
            "key_cache": key_cache,
            "value_cache": value_cache,
            "block_table": block_table,
        }
        parameters = {
            "key_scale": key_scale,
            "key_offset": key_offset,
            "value_scale": value_scale,
            "value_offset": value_offset,
        }
        self._check_inputs(tensors, parameters, out)
        key_address, value_address = self._staging.cache_addresses(key_cache, value_cache)
        small = {"query": query, "block_table": block_table, **parameters}
        try:
            self._op.run(
                self._prepared,
                key_cache=key_address,
                value_cache=value_address,
                **{name: self._staging.address(name, array) for name, array in small.items()},
                out=out.address if isinstance(out, DeviceArray) else self._out.address,
                lse=self._lse.address if return_lse else 0,
                stream=self._stream.handle,
            )
        finally:
            self._wait()
        return self._results(out, return_lse)

    def _check_inputs(
        self,
        tensors: dict[str, Array],
        parameters: dict[str, Array | None],
        out: Array | None,
    ) -> None:
        query_shape = self._shape_of(_QUERY_AXES)
        block_table = tensors["block_table"]
        table_shape = self._shape_of(_TABLE_AXES)
        _checks.check_array("query", tensors["query"], self._dtype, _QUERY_AXES, query_shape)
        for name in ("key_cache", "value_cache"):
            _kv_layout.check_cache(name, tensors[name], self._cache_dtype, self._layout)
        int32 = np.dtype(np.int32)
        _checks.check_array("block_table", block_table, int32, _TABLE_AXES, table_shape)
        _checks.check_parameters(self._kv_quant, parameters, self._sizes)
        if out is not None:
            _checks.check_out(out, self._out_dtype, _QUERY_AXES, query_shape)
        for name, array in {**tensors, **parameters, "out": out}.items():
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
        planned = {"batch": len(self._context_lens), "num_query_rows": self._num_query_rows}
        sizes = {**self._sizes, **planned}
        return tuple(sizes[axis] for axis in axes)

    def _wait(self) -> None:
        """Waits for the device: between calls nothing is pending, so memory may be freed."""
        self._runtime.synchronize(self._stream.handle)

    def _buffer(self, size: int) -> _core.DeviceBuffer:
        return _core.DeviceBuffer(self._runtime, size)

    def _results(self, out: Array | None, return_lse: bool) -> Result:
        if out is None:
            out = np.empty(self._shape_of(_QUERY_AXES), self._out_dtype)
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
    context_lens: Lengths,
    *,
    q_lens: Lengths | None = None,
    softmax_scale: float | None = None,
    kv_quant: str = "none",
    kv_route: str = "auto",
    out_dtype: str | np.dtype | type | None = None,
    kv_layout: str = "token_major",
    key_scale: Array | None = None,
    key_offset: Array | None = None,
    value_scale: Array | None = None,
    value_offset: Array | None = None,
    fixed_split_tokens: int | None = None,
    return_lse: bool = False,
    num_cores: int | None = None,
    out: Array | None = None,
    device: int = 0,
) -> Result:
    """Decodes one batch in one call: shape and strides from the arrays, plan, run.

    Engines should keep a `DecodeAttention` instead: this call allocates and
    plans each time.

    Args:
        query: [num_query_rows, num_heads, head_dim] float16 or ml_dtypes.bfloat16; one row
            per sequence without q_lens.
        key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], dtype of query or
            int8; any strides, as long as the elements of a head lie side by side.
        value_cache: like key_cache, with its strides.
        block_table: [batch, max_kv_blocks] int32 kv block ids.
        context_lens: [batch] integers, each 0 .. max_kv_blocks * kv_block_size.
        q_lens: [batch] integers, 1..16: query tokens of the sequences; None for one each.
        softmax_scale: factor on the scores; None for 1 / sqrt(head_dim).
        kv_quant: "none", "int8_channel", "int8_channel_asym" or "int8_token".
        kv_route: "auto", "direct", "fifo", "dequant" or "limbs".
        out_dtype: dtype of out, "float32" of kv_route "fifo" alone; None for that of query.
        kv_layout: "token_major", or "head_major" for caches [num_kv_blocks, num_kv_heads,
            kv_block_size, head_dim].
        key_scale: float32 scales of an int8 cache, as in `DecodeAttention.run`.
        key_offset: float32 offsets of an int8 cache, likewise.
        value_scale: like key_scale.
        value_offset: like key_offset.
        fixed_split_tokens: cut every sequence at multiples of this many tokens, a multiple
            of 16 from 64 on and less than 2**31, so that the bits of a row do not depend on
            the rest of its batch nor on the number of cores: planned for the largest
            max_q_len there is (16, with an int8 cache 1). None or 0 to balance the batch.
        return_lse: also return lse.
        num_cores: cores to use; None for all of the device.
        out: array to write, like query but of out_dtype; None for a new numpy array.
        device: index of the device.

    Returns:
        out, or (out, lse) with lse [num_query_rows, num_heads] float32 natural logarithms.

    Raises:
        TypeError, ValueError, IndexError, NotImplementedError, RuntimeError: as
            `DecodeAttention` and its `plan` and `run`.

    >>> cache = np.full((2, 16, 1, 64), 0.5, np.float16)
    >>> paged_attention(np.ones((1, 1, 64), np.float16), cache, cache,
    ...                 np.array([[1]], np.int32), [3])[0, 0, 0]
    np.float16(0.5)
    """
    _checks.check_rank("query", query, _QUERY_AXES)
    axes = _kv_layout.AXES[_checks.choice(_kv_layout.AXES, kv_layout=kv_layout)]
    _checks.check_rank("key_cache", key_cache, axes)
    _checks.check_rank("block_table", block_table, _TABLE_AXES)
    dtype = _checks.dtype_name(query.dtype, "query dtype")
    sizes = dict(zip(axes, key_cache.shape, strict=True))
    lens = _checks.context_lens_array(context_lens, block_table.shape[1] * sizes["kv_block_size"])
    if len(lens) != block_table.shape[0]:
        raise ValueError(
            f"context_lens has {len(lens)} lengths; expected batch {block_table.shape[0]} as in "
            "block_table"
        )
    _checks.choice(_checks.KV_QUANTS, kv_quant=kv_quant)
    _checks.choice(_checks.KV_ROUTES, kv_route=kv_route)
    # Of the routes that "auto" may take, one alone writes float32.
    is_float32 = _checks.out_dtype_or_default(out_dtype, _checks.DTYPES[dtype]) == np.float32
    route = "fifo" if kv_route == "auto" and is_float32 else kv_route
    tokens = None
    if q_lens is not None:
        most = planning.most_query_tokens(kv_quant, route)
        tokens = _checks.q_lens_array(q_lens, len(lens), most)
    with _kv_layout.strides_are_of("key_cache"), _max_q_len_is_of(tokens):
        op = DecodeAttention(
            **sizes,
            batch=len(lens),
            num_heads=query.shape[1],
            max_kv_blocks=block_table.shape[1],
            dtype=dtype,
            softmax_scale=softmax_scale,
            max_q_len=_max_q_len(tokens, kv_quant, route, fixed_split_tokens),
            kv_quant=kv_quant,
            kv_route=kv_route,
            out_dtype=out_dtype,
            kv_layout=kv_layout,
            kv_strides=_kv_layout.layout_of("key_cache", key_cache, kv_layout).kv_strides,
            fixed_split_tokens=fixed_split_tokens,
            num_cores=num_cores,
            device=device,
        )
    op.plan(lens, tokens)
    return op.run(
        query,
        key_cache,
        value_cache,
        block_table,
        key_scale=key_scale,
        key_offset=key_offset,
        value_scale=value_scale,
        value_offset=value_offset,
        out=out,
        return_lse=return_lse,
    )


@contextlib.contextmanager
def _max_q_len_is_of(tokens: np.ndarray | None) -> Iterator[None]:
    """Lets errors name the number in q_lens that max_q_len was taken from."""
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        text = str(error)
        if tokens is None or not text.startswith("max_q_len = "):
            raise
        text = text.replace("max_q_len", f"q_lens[{int(tokens.argmax())}]", 1)
        raise type(error)(text) from None


def _max_q_len(
    tokens: np.ndarray | None, kv_quant: str, kv_route: str, fixed_split_tokens: int | None
) -> int:
    """Returns the max_q_len of one call: its own, or with fixed cuts the same for all calls.

    Tiles follow from it, and from them the bits of a row.
    """
    own = 1 if tokens is None else max(1, int(tokens.max()))
    most = planning.most_query_tokens(kv_quant, kv_route) if fixed_split_tokens else 1
    return max(own, most)
