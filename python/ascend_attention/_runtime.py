# SPDX-License-Identifier: Apache-2.0
"""Opens devices, each once, and says where the libraries of this package are."""

from __future__ import annotations

import functools
import pathlib

from ascend_attention import _core

# In the wheel these folders are installed; in the source tree Bazel places the
# same files beside this module (python/ascend_attention/BUILD).
PACKAGE = pathlib.Path(__file__).parent
KERNEL_FOLDER = PACKAGE / "kernels"
VNPU_LIBRARY = PACKAGE / "vnpu" / "lib" / "libascendcl.so"


@functools.cache
def open_runtime(device: int) -> _core.Runtime:
    """Returns the runtime of `device`, opened on first use and kept."""
    return _core.open_runtime(device)


@functools.cache
def default_stream(device: int) -> _core.Stream:
    """Returns the stream on which this package enqueues its work."""
    return _core.Stream(open_runtime(device))
