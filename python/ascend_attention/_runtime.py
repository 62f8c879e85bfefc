# SPDX-License-Identifier: Apache-2.0
"""Opens devices, each once.

The C++ library finds ACL, the virtual NPU and the kernels from where `_core` lies
(host_cc/shipped_files.h): beside it in an installed package, in the runfiles under Bazel.
"""

from __future__ import annotations

import functools
import pathlib

from ascend_attention import _core

PACKAGE = pathlib.Path(__file__).parent


@functools.cache
def open_runtime(device: int) -> _core.Runtime:
    """Returns the runtime of `device`, opened on first use and kept."""
    if not isinstance(device, int):
        raise TypeError(f"device is {device!r}; expected an integer")
    return _core.open_runtime(device)
