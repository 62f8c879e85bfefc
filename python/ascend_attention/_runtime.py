# SPDX-License-Identifier: Apache-2.0
"""Opens devices, each once.

The C++ library finds ACL, the virtual NPU and the kernels from where `_core` lies
(host_cc/shipped_files.h): beside it in an installed package, in the runfiles under Bazel.
"""

from __future__ import annotations

import functools
import pathlib
import threading

import numpy as np

from ascend_attention import _core

PACKAGE = pathlib.Path(__file__).parent

_lock = threading.Lock()


def open_runtime(device: int) -> _core.Runtime:
    """Returns the runtime of `device`, opened on first use and kept: one for all threads."""
    if isinstance(device, bool) or not isinstance(device, int | np.integer):
        raise TypeError(f"device is {device!r}; expected an integer")
    if not -(1 << 31) <= device < 1 << 31:
        raise ValueError(f"device is {device}; allowed: integers of 32 bits")
    with _lock:
        return _open(int(device))


@functools.cache
def _open(device: int) -> _core.Runtime:
    return _core.open_runtime(device)
