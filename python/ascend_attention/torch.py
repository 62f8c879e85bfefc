# SPDX-License-Identifier: Apache-2.0
"""Paged attention on PyTorch tensors: of an NPU, or of the CPU through the virtual NPU.

START HERE if you have torch. Three ways in:

    DecodeAttention(...)     plan once per batch of lengths, run once per layer
    paged_attention(...)     one call that does both
    npu_paged_attention(...) the arguments of torch_npu's _npu_paged_attention, in their order

NPU tensors are worked on in order on the current stream of their device; no call waits for
the device unless its text says so. CPU tensors are copied to the virtual NPU and the results
back before a call returns: fit for tests, not for speed. There is no backward: results do
not require grad, whatever the arguments do. What is computed is written in
ascend_attention/decode.py.

torch.ops.ascend_attention has the operators themselves, for torch.compile and for C++; see
`DecodeAttention.run` and `torch_ops/library.cc`.

Graphs: capture `run` once with torch.npu.graph, then `plan` and `replay` for every new batch
of lengths. See `DecodeAttention`.

Next: python/ascend_attention/torch_ops/library.cc - the operators.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import torch

from ascend_attention import _checks, _kv_layout, _torch_library
from ascend_attention._torch_cache import merge_states, reshape_and_cache
from ascend_attention._torch_library import KvLayout, KvQuant, KvRoute

_ops = _torch_library.OPS
_run_plan = _ops.run_plan.default
# What calling _run_plan calls, some 0.3 us later; torch.compile traces only the former.
_run_plan_now = _run_plan._op

Lengths = Sequence[int] | np.ndarray | torch.Tensor

_WORKSPACE_ALIGNMENT = 512  # bytes

__all__ = [
    "DecodeAttention",
    "length_copies",
    "merge_states",
    "npu_paged_attention",
    "paged_attention",
    "reshape_and_cache",
]


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
        dtype: torch.float16 or torch.bfloat16, of query and out, and of the caches unless they
            are int8.
        softmax_scale: factor on the scores; None for 1 / sqrt(head_dim).
        max_q_len: most query tokens of a sequence, 1..16 (speculative decoding).
        kv_quant: what the caches hold: "none" (dtype), "int8_channel", "int8_channel_asym" or
            "int8_token"; see ascend_attention.DecodeAttention.
        kv_route: "auto", "direct" or "fifo"; of an int8 cache "auto", "dequant" or "limbs".
        out_dtype: dtype of out: torch.float32, which kv_route "fifo" alone has; None for `dtype`.
        kv_layout: order of the axes of both caches, "token_major" or "head_major".
        kv_strides: elements from one kv block, token and kv head to the next, (block, token,
            head), for caches that are views, such as `pool[:, 0]`; None for dense caches.
        fixed_split_tokens: cut every sequence at multiples of this many tokens, so that the
            bits of a row do not depend on the rest of its batch; None or 0 for speed.
        num_cores: cores to use; None for all of the device.
        device: of the tensors: "npu", "npu:1", "cpu"; None for the current NPU if torch_npu has
            one, else "cpu".

    Raises:
        ValueError: a value contradicts another one or makes no sense.
        NotImplementedError: no kernel for this shape; the text names the nearest one.
        RuntimeError: no device, or its libraries or kernels cannot be loaded.

    The workspace is one torch.uint8 tensor, from PyTorch's caching allocator, allocated here;
    `run` allocates its result and nothing else. Not thread-safe: use one object per thread.

    Graph capture (torch.npu.graph): `run` may be captured, `plan` may not, as it would freeze
    the lengths: plan before the capture and again before each replay, on the replay's stream.
    A captured launch takes all cores, and the workspace never moves. From the first capture on
    every plan must have the batch and the number of query rows of the captured one (pad with
    lengths 0), or is refused; use one object per graph size. The object must outlive its graphs,
    as the tensors of a capture must.

    Streams: plan and workspace serve one stream at a time. `plan` or `run` on another stream
    than the one before first makes that stream wait, on the device, for what the earlier one
    has so far. Graphs are not seen by this: order the stream of a replay yourself, after `plan`
    and before the next `plan` or `run` (`wait_stream`). Streams used must outlive this object.
    Tensors that were allocated on one stream and are used by `run` on another need
    `tensor.record_stream(...)` and an order of your own, as in all of PyTorch.

    >>> op = DecodeAttention(batch=1, num_heads=8, num_kv_heads=2, head_dim=64, kv_block_size=16,
    ...                      num_kv_blocks=4, max_kv_blocks=2, device="cpu")
    >>> cache = torch.ones(4, 16, 2, 64, dtype=torch.float16)
    >>> op.plan([20]).run(torch.zeros(1, 8, 64, dtype=torch.float16), cache, cache,
    ...                   torch.tensor([[3, 0]], dtype=torch.int32))[0, 0, :2]
    tensor([1., 1.], dtype=torch.float16)
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
        dtype: torch.dtype = torch.float16,
        softmax_scale: float | None = None,
        max_q_len: int = 1,
        kv_quant: KvQuant = "none",
        kv_route: KvRoute = "auto",
        out_dtype: torch.dtype | None = None,
        kv_layout: KvLayout = "token_major",
        kv_strides: tuple[int, int, int] | None = None,
        fixed_split_tokens: int | None = None,
        num_cores: int | None = None,
        device: torch.device | str | None = None,
    ) -> None:
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
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"dtype is {dtype!r}; expected torch.float16 or torch.bfloat16")
        layout = _kv_layout.make_layout(kv_layout, kv_strides, sizes)
        self._device = _device_or_default(device)
        self._out_dtype = _out_dtype_or_default(out_dtype, dtype)
        # torch_npu knows the current stream of a device only once the device was used.
        if self._device.type == "npu":
            torch.empty(1, device=self._device)
        self._handle = _torch_library.call(
            _ops._make_decoder,
            [
                *sizes.values(),
                _checks.fixed_split_or_none(fixed_split_tokens),
                _checks.num_cores_or_all(num_cores),
            ],
            dtype,
            _checks.choice(_checks.KV_QUANTS, kv_quant=kv_quant),
            _checks.choice(_checks.KV_ROUTES, kv_route=kv_route),
            kv_layout,
            list(layout.kv_strides or ()),
            self._out_dtype == torch.float32,
            _checks.softmax_scale_or_default(softmax_scale, head_dim),
            self._device.index if self._device.type == "npu" else -1,
        )
        weakref.finalize(self, _torch_library.release, self._handle).atexit = False
        self._workspace = _aligned(_ops._workspace_bytes(self._handle), self._device)

    def __reduce__(self) -> Any:
        # What copy.copy, copy.deepcopy and pickle call. A copy would share plan and workspace.
        raise TypeError(
            "a DecodeAttention cannot be copied or pickled: plan and workspace are on the device. "
            "Make another one with the same arguments"
        )

    @property
    def workspace(self) -> torch.Tensor:
        """The workspace, [workspace_bytes] torch.uint8: for `torch.ops.ascend_attention`."""
        return self._workspace

    @property
    def workspace_bytes(self) -> int:
        """Device memory that plans and intermediate results take, for any batch and lengths."""
        return self._workspace.numel()

    @property
    def handle(self) -> int:
        """The `plan` argument of torch.ops.ascend_attention.run_plan: the latest plan of this."""
        return self._handle

    @property
    def device(self) -> torch.device:
        """Where tensors must be."""
        return self._device

    @property
    def device_name(self) -> str:
        """What the device is, such as "Ascend910B1 (virtual NPU), 24 cores"."""
        return _ops._device_name(self._handle)

    def plan(self, context_lens: Lengths, q_lens: Lengths | None = None) -> DecodeAttention:
        """Spreads a batch of lengths over the cores; the following `run` calls use it.

        Enqueues the upload of a few kilobytes on the current stream; the lengths are copied
        before this returns, and may be changed then. Lengths in host memory
        (integers, numpy arrays, CPU tensors) cost no synchronisation; an NPU tensor is copied
        to the host first, which waits for the device (`length_copies` counts that).

        Args:
            context_lens: [n] int32 or int64, n <= batch, each 0 .. max_kv_blocks *
                kv_block_size; the tokens that have a query are included.
            q_lens: [n] int32 or int64, each 1 .. max_q_len: query tokens of the sequences; None
                for one each.

        Returns:
            This object, so that `plan(...).run(...)` reads in one line.

        Raises:
            ValueError: a number that is not allowed, no length, or more lengths than `batch`.
            IndexError: a length that the block table cannot hold.
            RuntimeError: the current stream captures a graph, or a captured graph needs another
                batch.
        """
        lens = _lengths("context_lens", context_lens)
        tokens = None if q_lens is None else _lengths("q_lens", q_lens)
        _torch_library.call(_ops._plan, self._handle, self._workspace, lens, tokens)
        return self

    @overload
    def run(
        self,
        query: torch.Tensor,
        key_cache: torch.Tensor,
        value_cache: torch.Tensor,
        block_table: torch.Tensor,
        *,
        key_scale: torch.Tensor | None = ...,
        key_offset: torch.Tensor | None = ...,
        value_scale: torch.Tensor | None = ...,
        value_offset: torch.Tensor | None = ...,
        out: torch.Tensor | None = ...,
        return_lse: Literal[False] = ...,
        lse: torch.Tensor | None = ...,
    ) -> torch.Tensor: ...

    @overload
    def run(
        self,
        query: torch.Tensor,
        key_cache: torch.Tensor,
        value_cache: torch.Tensor,
        block_table: torch.Tensor,
        *,
        key_scale: torch.Tensor | None = ...,
        key_offset: torch.Tensor | None = ...,
        value_scale: torch.Tensor | None = ...,
        value_offset: torch.Tensor | None = ...,
        out: torch.Tensor | None = ...,
        return_lse: Literal[True],
        lse: torch.Tensor | None = ...,
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    def run(
        self,
        query: torch.Tensor,
        key_cache: torch.Tensor,
        value_cache: torch.Tensor,
        block_table: torch.Tensor,
        *,
        key_scale: torch.Tensor | None = None,
        key_offset: torch.Tensor | None = None,
        value_scale: torch.Tensor | None = None,
        value_offset: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
        return_lse: bool = False,
        lse: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Attends with the lengths of the last `plan`: one launch on the current stream.

        Never waits for an NPU. May be captured in a graph and traced by torch.compile, where
        the plan at the time of the replay or of the call counts.

        Args:
            query: [num_query_rows, num_heads, head_dim], dtype and device of this object, dense.
            key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], or with kv_layout
                "head_major" [num_kv_blocks, num_kv_heads, kv_block_size, head_dim]; dtype of
                this object or torch.int8, strides as declared.
            value_cache: like key_cache.
            block_table: [n, max_kv_blocks] torch.int32, dense; entries past a sequence's last
                block are not read.
            key_scale: torch.float32, of an int8 cache only: [num_kv_heads, head_dim] per channel,
                [num_kv_blocks, num_kv_heads, kv_block_size] per token.
            key_offset: torch.float32 [num_kv_heads, head_dim], "int8_channel_asym" only.
            value_scale: like key_scale.
            value_offset: like key_offset.
            out: tensor to write, like query but of out_dtype; None for a new one.
            return_lse: also return lse.
            lse: tensor to write, [num_query_rows, num_heads] torch.float32; None for a new one
                if return_lse.

        Returns:
            out, or (out, lse).

        Raises:
            TypeError: an argument is no tensor.
            ValueError: wrong dtype, shape, stride or device of an argument, which is named, or
                a result that overlaps another tensor.
            IndexError: with CPU tensors, block_table names a kv block outside the caches. On an
                NPU the device finds it: torch.npu.synchronize() fails, and `synchronize` names
                the entry.
            RuntimeError: no plan yet.
        """
        if not isinstance(query, torch.Tensor):
            _torch_library.require_tensors(query=query)
        if out is None:
            out = torch.empty_like(query, dtype=self._out_dtype)
        if return_lse and lse is None:
            lse = query.new_empty(query.shape[:2], dtype=torch.float32)
        arguments = (
            query,
            key_cache,
            value_cache,
            block_table,
            self._workspace,
            self._handle,
            out,
            lse,
            key_scale,
            key_offset,
            value_scale,
            value_offset,
        )
        if torch.compiler.is_compiling():
            _run_plan(*arguments)
        else:
            try:
                _run_plan_now(*arguments)
            except (RuntimeError, TypeError, ValueError):
                # Torch would print the contents of what is no tensor, or not name it.
                tensors = {"query": query, "key_cache": key_cache, "value_cache": value_cache}
                _torch_library.require_tensors(**tensors, block_table=block_table, out=out)
                scales = {"key_scale": key_scale, "value_scale": value_scale}
                offsets = {"key_offset": key_offset, "value_offset": value_offset}
                _torch_library.require_tensors_or_none(lse=lse, **scales, **offsets)
                raise
        if return_lse:
            assert lse is not None
            return out, lse
        return out

    def synchronize(self) -> None:
        """Waits for the current stream; an error of `run` there is raised with its cause.

        A bad block id is named only if this is the first to learn of the error, not after
        torch.npu.synchronize() or a copy to the host raised it; only for runs of this object,
        not for `paged_attention`; and in replays only once there was a `plan` after the capture.

        Raises:
            IndexError: block_table named a kv block outside the caches.
            RuntimeError: any other failure of the device.
        """
        _ops._synchronize(self._handle)


def paged_attention(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_table: torch.Tensor,
    context_lens: Lengths,
    *,
    softmax_scale: float | None = None,
    q_lens: Lengths | None = None,
    key_scale: torch.Tensor | None = None,
    key_offset: torch.Tensor | None = None,
    value_scale: torch.Tensor | None = None,
    value_offset: torch.Tensor | None = None,
    kv_quant: KvQuant = "none",
    kv_route: KvRoute = "auto",
    kv_layout: KvLayout = "token_major",
    fixed_split_tokens: int | None = None,
    num_cores: int | None = None,
    out_dtype: torch.dtype | None = None,
    out: torch.Tensor | None = None,
    return_lse: bool = False,
    lse: torch.Tensor | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Decodes one batch in one call: shape and strides from the tensors, plan, run.

    Plans and uploads each time; engines should keep a `DecodeAttention`. Cannot be captured in
    a graph, which would freeze the lengths; torch.compile wants all tensors on one device, so
    with NPU tensors it takes `DecodeAttention.run`. Waits for the device only if context_lens
    or q_lens is an NPU tensor, once for each (`length_copies`).

    Args:
        query: [num_query_rows, num_heads, head_dim] torch.float16 or torch.bfloat16, dense; one
            row per sequence without q_lens.
        key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], dtype of query or
            torch.int8; any strides, as long as the elements of a head lie side by side.
        value_cache: like key_cache, with its strides.
        block_table: [batch, max_kv_blocks] torch.int32, dense.
        context_lens: [batch] integers, each 0 .. max_kv_blocks * kv_block_size.
        softmax_scale: factor on the scores; None for 1 / sqrt(head_dim).
        q_lens: [batch] integers, 1..16: query tokens of the sequences; None for one each.
        key_scale: scales of an int8 cache, as in `DecodeAttention.run`.
        key_offset: offsets of an int8 cache, likewise.
        value_scale: like key_scale.
        value_offset: like key_offset.
        kv_quant: "none", "int8_channel", "int8_channel_asym" or "int8_token".
        kv_route: "auto", "direct", "fifo", "dequant" or "limbs".
        kv_layout: "token_major", or "head_major" for caches [num_kv_blocks, num_kv_heads,
            kv_block_size, head_dim].
        fixed_split_tokens: as in `DecodeAttention`, planned for the largest max_q_len there is.
        num_cores: cores to use; None for all of the device.
        out_dtype: dtype of a new out: torch.float32 of kv_route "fifo" alone; None for that of
            query, or of `out`.
        out: tensor to write; None for a new one.
        return_lse: also return lse.
        lse: tensor to write, [num_query_rows, num_heads] torch.float32; None for a new one.

    Returns:
        out, or (out, lse).

    Raises:
        ValueError, IndexError, NotImplementedError, RuntimeError: as `DecodeAttention` and its
            `plan` and `run`.

    >>> cache = torch.full((2, 16, 1, 64), 0.5, dtype=torch.float16)
    >>> paged_attention(torch.ones(1, 1, 64, dtype=torch.float16), cache, cache,
    ...                 torch.tensor([[1]], dtype=torch.int32), [3])[0, 0, 0]
    tensor(0.5000, dtype=torch.float16)
    """
    _torch_library.require_tensors(
        query=query, key_cache=key_cache, value_cache=value_cache, block_table=block_table
    )
    _torch_library.require_tensors_or_none(
        key_scale=key_scale,
        key_offset=key_offset,
        value_scale=value_scale,
        value_offset=value_offset,
        out=out,
        lse=lse,
    )
    tensors = (query, key_cache, value_cache, block_table, _lengths("context_lens", context_lens))
    options: dict[str, Any] = {
        "softmax_scale": softmax_scale,
        "q_lens": None if q_lens is None else _lengths("q_lens", q_lens),
        "key_scale": key_scale,
        "key_offset": key_offset,
        "value_scale": value_scale,
        "value_offset": value_offset,
        "kv_quant": kv_quant,
        "kv_route": kv_route,
        "kv_layout": kv_layout,
        "fixed_split_tokens": fixed_split_tokens,
        "num_cores": num_cores,
    }
    if out is None and lse is None:
        float32 = _out_dtype_or_default(out_dtype, query.dtype) == torch.float32
        operator = _ops.paged_attention_lse if return_lse else _ops.paged_attention
        return _torch_library.call(operator.default, *tensors, **options, out_float32=float32)
    if out is None:
        out = torch.empty_like(query, dtype=_out_dtype_or_default(out_dtype, query.dtype))
    elif out_dtype is not None and out.dtype != out_dtype:
        raise ValueError(f"out has dtype {out.dtype}; expected out_dtype {out_dtype}")
    if not return_lse and lse is None:
        _torch_library.call(_ops.paged_attention.out, *tensors, **options, out=out)
        return out
    if lse is None:
        lse = torch.empty(query.shape[:2], dtype=torch.float32, device=query.device)
    _torch_library.call(_ops.paged_attention_lse.out, *tensors, **options, out=out, lse=lse)
    return (out, lse) if return_lse else out


def npu_paged_attention(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    num_kv_heads: int,
    num_heads: int,
    scale_value: float,
    block_table: torch.Tensor,
    context_lens: torch.Tensor,
    out: torch.Tensor,
    workspace: torch.Tensor | None = None,
) -> torch.Tensor:
    """`paged_attention` with the arguments of torch_npu's `_npu_paged_attention`, in their order.

    For code that calls that one: replace the name. What it adds is said in `paged_attention`,
    as is when a call waits for the device.

    Args:
        query: [num_query_rows, num_heads, head_dim] torch.float16 or torch.bfloat16.
        key_cache: [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], dtype of query.
        value_cache: like key_cache.
        num_kv_heads: key and value heads, as in the caches.
        num_heads: query heads, as in query.
        scale_value: factor on the scores.
        block_table: [num_query_rows, max_kv_blocks] torch.int32.
        context_lens: [num_query_rows] torch.int32 or torch.int64, best in host memory.
        out: like query; written.
        workspace: not used: memory comes from PyTorch's allocator in any case.

    Returns:
        out.

    Raises:
        TypeError: an argument is no tensor, such as an out of None.
        ValueError: heads that contradict the tensors; otherwise as `paged_attention`.
    """
    _torch_library.require_tensors(query=query, key_cache=key_cache, out=out)
    given = {"num_kv_heads": num_kv_heads, "num_heads": num_heads}
    tensors = {"num_kv_heads": ("key_cache", key_cache, 2), "num_heads": ("query", query, 1)}
    for name, (tensor_name, tensor, axis) in tensors.items():
        if tensor.dim() > axis and tensor.shape[axis] != given[name]:
            raise ValueError(
                f"{name} is {given[name]}, but {tensor_name} has {tensor.shape[axis]} (shape "
                f"{tuple(tensor.shape)})"
            )
    tensors_and_lengths = (query, key_cache, value_cache, block_table, context_lens)
    paged_attention(*tensors_and_lengths, softmax_scale=scale_value, out=out)
    return out


def length_copies() -> int:
    """Returns how often this process copied lengths from an NPU to the host to plan with them.

    Each of these copies waited for the device. 0 for callers who pass lengths in host memory.
    """
    return _ops._length_copies()


def _lengths(name: str, lengths: Lengths) -> torch.Tensor:
    """Returns lengths as a tensor; what it holds is checked by the operators."""
    if isinstance(lengths, torch.Tensor):
        return lengths
    if lengths is None:
        raise TypeError(f"{name} is None; expected integers, an array or a tensor")
    try:
        vector = np.asarray(lengths)
    except (RuntimeError, TypeError, ValueError):  # tensors of an NPU, lists of several lengths
        raise TypeError(
            f"{name} is a {type(lengths).__name__} that is no array of integers; expected "
            "integers, an array or one tensor"
        ) from None
    if vector.size and not np.issubdtype(vector.dtype, np.integer):
        raise ValueError(f"{name} has dtype {vector.dtype}; expected integers")
    if vector.ndim != 1:
        raise ValueError(f"{name} has shape {vector.shape}; expected [batch]")
    return torch.from_numpy(vector.astype(np.int64))


def _device_or_default(device: torch.device | str | None) -> torch.device:
    """Returns the device with its index."""
    npu = getattr(torch, "npu", None)
    if device is None:
        device = "npu" if npu is not None and npu.is_available() else "cpu"
    if npu is None and str(device).partition(":")[0] == "npu":
        raise RuntimeError(
            f"device is {device}, which torch does not know yet: import torch_npu, or call "
            "ascend_attention.vnpu.activate() before import torch"
        )
    device = torch.device(device)
    if device.type not in ("cpu", "npu"):
        raise ValueError(f"device is {device}; allowed: npu, cpu")
    if device.type == "npu" and device.index is None:
        assert npu is not None  # the type is known since torch_npu was imported
        device = torch.device("npu", npu.current_device())
    return device


def _out_dtype_or_default(out_dtype: torch.dtype | None, dtype: torch.dtype) -> torch.dtype:
    if out_dtype in (None, dtype, torch.float32):
        return dtype if out_dtype is None else out_dtype
    raise ValueError(f"out_dtype is {out_dtype}; allowed: None, {dtype}, torch.float32")


def _aligned(size: int, device: torch.device) -> torch.Tensor:
    """Returns so many uint8, at a multiple of the alignment of a workspace."""
    tensor = torch.empty(size + _WORKSPACE_ALIGNMENT, dtype=torch.uint8, device=device)
    begin = -tensor.data_ptr() % _WORKSPACE_ALIGNMENT
    return tensor[begin : begin + size]
