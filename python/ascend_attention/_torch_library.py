# SPDX-License-Identifier: Apache-2.0
"""Loads the operators of PyTorch and calls them.

They are one file without Python symbols, libascend_attention_torch.so beside this one, for
every PyTorch from 2.10 on.
"""

from __future__ import annotations

import ctypes
import pathlib
import re
from typing import Any, Literal

import torch

KvQuant = Literal["none", "int8_channel", "int8_channel_asym", "int8_token"]
KvRoute = Literal["auto", "direct", "fifo", "dequant", "limbs"]
KvLayout = Literal["token_major", "head_major"]

LIBRARY = pathlib.Path(__file__).parent / "libascend_attention_torch.so"
OLDEST_TORCH = (2, 10)

# How the library marks what no class of C++ exceptions says (torch_ops/raise.h).
_UNIMPLEMENTED = "not implemented: "


def _load() -> Any:
    """Returns torch.ops.ascend_attention."""
    numbers = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if numbers is None or tuple(map(int, numbers.groups())) < OLDEST_TORCH:
        needed = ".".join(map(str, OLDEST_TORCH))
        raise ImportError(
            f"ascend_attention.torch needs PyTorch {needed} or later; this is {torch.__version__}"
        )
    if not LIBRARY.exists():
        raise ImportError(
            f"{LIBRARY.name} is not installed: this ascend_attention was built where there was no "
            "PyTorch; build it again where there is one, with `pip install --no-build-isolation`"
        )
    torch.ops.load_library(str(LIBRARY))
    return torch.ops.ascend_attention


def call(operator: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls an operator; what has no kernel raises NotImplementedError."""
    if torch.compiler.is_compiling():
        return operator(*args, **kwargs)
    try:
        with torch.no_grad():  # there is no backward
            return operator(*args, **kwargs)
    except RuntimeError as error:
        text = str(error)
        if not text.startswith(_UNIMPLEMENTED):
            raise
        raise NotImplementedError(text.removeprefix(_UNIMPLEMENTED)) from None


def require_tensors(**tensors: Any) -> None:
    """Raises TypeError naming the first argument that is no tensor, without its contents."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} is a {type(tensor).__name__}; expected a torch.Tensor")


def require_tensors_or_none(**tensors: Any) -> None:
    """Like `require_tensors`; None is allowed too."""
    for name, tensor in tensors.items():
        if tensor is not None and not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} is a {type(tensor).__name__}; expected a torch.Tensor or None")


OPS = _load()

# release(handle): ends what `_make_decoder` made. No operator of PyTorch, because objects may end
# while one is traced.
release = ctypes.CDLL(str(LIBRARY)).ascend_attention_torch_release
release.argtypes = [ctypes.c_int64]
release.restype = None
