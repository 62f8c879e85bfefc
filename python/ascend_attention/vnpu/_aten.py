# SPDX-License-Identifier: Apache-2.0
"""Operators of PyTorch on tensors of the virtual NPU, computed by the CPU.

The virtual NPU runs kernels; the vendor's operator library, which torch_npu calls for everything
else, does not exist there. But its memory is memory of this process: a CPU tensor over the same
addresses lets PyTorch's own CPU kernels compute in place.

Every aten operator that torch_npu implements gets a kernel of ours instead. Left alone are views,
allocation, and what needs no operator library: copies of dense tensors and item().
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree

_logger = logging.getLogger("ascend_attention.vnpu")
_lock = threading.Lock()
_library: torch.library.Library | None = None
_told = False

# What torch_npu does without an operator library: memory, streams, one element.
_NATIVE = {
    "_has_compatible_shallow_copy_type",
    "_local_scalar_dense",
    "_pin_memory",
    "is_pinned",
    "is_set_to",
    "pin_memory",
    "record_stream",
}
_NATIVE_PREFIXES = ("empty", "new_empty", "resize_", "set_", "_resize")
# Native between dense tensors of one dtype: these stay asynchronous and may be captured in a graph.
_COPIES = ("copy_", "clone")
# Tensors of other devices may take part in these; in others only single numbers may.
_MIXED_PREFIXES = ("copy_", "_copy_from", "_to_copy", "index", "_index", "_unsafe_index")
_COMPOSITE = "CompositeImplicitAutograd"


def enable() -> None:
    """Replaces torch_npu's kernels, once per process."""
    global _library
    with _lock:
        if _library is not None:
            return
        library = torch.library.Library("aten", "IMPL")
        for operator in _operators("PrivateUse1"):
            name = _name(operator)
            if operator._schema.name == "aten::_copy_from_and_resize":
                kernel: Callable[..., Any] = _copy_from_and_resize
            else:
                kernel = _on_cpu(operator)
            if name in _COPIES:
                native = torch.library.get_kernel("aten::" + name, "PrivateUse1")
                kernel = _native_if_dense(native, kernel)
                library.impl(name, kernel, "PrivateUse1", with_keyset=True, allow_override=True)
            else:
                library.impl(name, kernel, "PrivateUse1", allow_override=True)
        for operator in _operators("AutogradPrivateUse1"):
            # Fused by torch_npu with operators of the vendor; PyTorch makes them of others.
            if torch._C._dispatch_has_kernel_for_dispatch_key(operator._name, _COMPOSITE):
                name, kernel = _name(operator), operator.decompose
                library.impl(name, kernel, "AutogradPrivateUse1", allow_override=True)
        library.impl("_fused_sdp_choice", _unfused, "PrivateUse1", allow_override=True)
        _library = library


def _operators(key: str) -> list[torch._ops.OpOverload]:
    """Returns the operators of aten that torch_npu has a kernel for, without views and memory."""
    found = []
    for full_name in torch._C._dispatch_get_registrations_for_dispatch_key(key):
        if not full_name.startswith("aten::"):
            continue
        name, _, overload = full_name.removeprefix("aten::").partition(".")
        if name in _NATIVE or name.startswith(_NATIVE_PREFIXES):
            continue
        try:
            operator = getattr(getattr(torch.ops.aten, name), overload or "default")
        except AttributeError:  # a name of the vendor without a schema
            continue
        if torch.Tag.inplace_view in operator.tags:
            continue
        returns = (value.alias_info for value in operator._schema.returns)
        if any(alias is not None and not alias.is_write for alias in returns):
            continue
        found.append(operator)
    return found


def _name(operator: torch._ops.OpOverload) -> str:
    return operator._name.removeprefix("aten::").removesuffix(".default")


def _on_cpu(operator: torch._ops.OpOverload) -> Callable[..., Any]:
    arguments = operator._schema.arguments
    outs = {argument.name for argument in arguments if argument.is_out}

    def kernel(*args: Any, **kwargs: Any) -> Any:
        call = _Call(operator)
        host_args = _pytree.tree_map(call.to_host, args)
        host_kwargs = {
            name: call.out_to_host(value) if name in outs else _pytree.tree_map(call.to_host, value)
            for name, value in kwargs.items()
        }
        call.require_one_device()
        results = operator(*host_args, **host_kwargs)
        call.finish_outs()
        return _pytree.tree_map(call.to_device, results)

    return kernel


class _Call:
    """One call: which CPU tensor stands for which NPU tensor."""

    def __init__(self, operator: torch._ops.OpOverload) -> None:
        _tell(operator._name)
        self._operator = operator
        self._device: torch.device | None = None  # of the results
        self._originals: dict[int, torch.Tensor] = {}  # by id of the CPU tensor
        self._hosts: list[torch.Tensor] = []
        self._new_outs: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._waited: set[torch.device] = set()
        self._devices: set[str] = set()  # of tensors that are no single numbers

    def require_one_device(self) -> None:
        name = _name(self._operator)
        if len(self._devices) > 1 and not name.startswith(_MIXED_PREFIXES):
            raise RuntimeError(
                f"{self._operator._name}: tensors on {' and '.join(sorted(self._devices))}; "
                "expected all on one device"
            )

    def to_host(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() > 0:
            self._devices.add(str(value.device))
        if isinstance(value, torch.Tensor) and value.device.type == "npu":
            self._take_device(value.device)
            host = host_view(value)
            self._remember(host, value)
            return host
        if isinstance(value, torch.Tensor):
            self._remember(value, value)
        elif isinstance(value, torch.device):
            self._device = value
            if value.type == "npu":
                self._wait_for(value)
            return torch.device("cpu")
        elif isinstance(value, torch.Generator) and value.device.type == "npu":
            raise NotImplementedError(
                f"{self._operator._name}: a generator on {value.device} has no numbers on the "
                "virtual NPU; pass none, or a CPU tensor's numbers copied"
            )
        return value

    def out_to_host(self, value: Any) -> Any:
        """Like to_host; an `out=` gets its size by the operator, and its values behind it."""
        if not isinstance(value, torch.Tensor) or value.device.type != "npu":
            return _pytree.tree_map(self.to_host, value)
        self._devices.add(str(value.device))
        self._take_device(value.device)
        host = torch.empty(0, dtype=value.dtype)
        self._remember(host, value)
        self._new_outs.append((host, value))
        return host

    def finish_outs(self) -> None:
        for host, out in self._new_outs:
            if out.shape != host.shape:
                out.resize_(host.shape)
                torch.npu.synchronize(out.device)  # it may still be copying what out held
            host_view(out).copy_(host)

    def to_device(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in self._originals:  # written in place
            return self._originals[id(value)]
        device = self._device
        if device is None or device.type != "npu":
            return value
        result = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)
        host_view(result).copy_(value)
        return result

    def _remember(self, host: torch.Tensor, original: torch.Tensor) -> None:
        self._hosts.append(host)
        self._originals[id(host)] = original

    def _take_device(self, device: torch.device) -> None:
        if self._device is None:
            self._device = device
        self._wait_for(device)

    def _wait_for(self, device: torch.device) -> None:
        if device in self._waited:
            return
        if torch.npu.is_current_stream_capturing():
            raise RuntimeError(
                f"{self._operator._name} runs on the CPU (vnpu.enable_aten) and cannot be "
                "captured in a graph: move it out of the capture"
            )
        torch.npu.synchronize(device)
        self._waited.add(device)


class _Memory:
    """Bytes at an address, for numpy."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {
            "data": (address, False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }


def host_view(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a CPU tensor over the memory of a tensor of the virtual NPU."""
    storage = tensor.untyped_storage()
    if storage.nbytes() == 0:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    memory = np.asarray(_Memory(storage.data_ptr(), storage.nbytes()))
    host = torch.empty(0, dtype=tensor.dtype)
    host.set_(
        torch.from_numpy(memory).untyped_storage(),
        tensor.storage_offset(),
        tensor.shape,
        tensor.stride(),
    )
    return host


def _unfused(*_args: Any, **_kwargs: Any) -> int:
    return 0  # at::SDPBackend::math


def _copy_from_and_resize(source: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    return out.resize_(source.shape).copy_(source)


def _native_if_dense(native: Any, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(keys: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        first = tensors[0]
        if all(
            tensor.is_contiguous() and tensor.dtype == first.dtype and tensor.shape == first.shape
            for tensor in tensors
        ):
            return native.call_boxed(keys, *args, **kwargs)
        return otherwise(*args, **kwargs)

    return kernel


def _tell(name: str) -> None:
    global _told
    if _told:
        _logger.debug("%s runs on the CPU", name)
        return
    _told = True
    _logger.warning(
        "%s on tensors of the virtual NPU runs on the CPU, as every operator of aten does from "
        "here on (vnpu.enable_aten): good for tests, says nothing about an NPU",
        name,
    )
