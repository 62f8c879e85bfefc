# SPDX-License-Identifier: Apache-2.0
"""FIFOs that cannot work do not compile."""

import os
import pathlib

import pytest

from tools.vnpu.toolchain import CompileError, compile_kernel

_KERNEL = """\
#include "ascend_kernels/cce/fifo.h"
using Spec = ascend_attention::FifoSpec<{spec}>;
extern "C" __global__ __aicore__ void k(__gm__ float* slots) {{
  ascend_attention::FifoConsumer<float, Spec> fifo;
  fifo.Open(ascend_attention::FifoSlots<float>{{slots, 8}});
  if (fifo.Front() != slots) trap();
  fifo.Pop();
}}
"""


def _compile(spec: str, folder: pathlib.Path) -> None:
    source = folder / "k.cce"
    source.write_text(_KERNEL.format(spec=spec), encoding="utf-8")
    compile_kernel(
        source,
        "k",
        folder / "k.so",
        isa_dir=".",
        runtime=os.path.abspath("tools/vnpu/core/libvnpu.so"),
        cores=("aiv",),
        include_dirs=["."],
    )


@pytest.mark.parametrize("spec", ["PIPE_FIX, 1, 1, 0", "PIPE_MTE3, 15, 5, 14"])
def test_what_works_compiles(spec, tmp_path):
    _compile(spec, tmp_path)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("PIPE_MTE2, 2, 1, 0", "no other pipe stores to GM"),
        ("PIPE_FIX, 0, 0, 0", "a signal counts to 15"),
        ("PIPE_FIX, 16, 1, 0", "a signal counts to 15"),
        ("PIPE_FIX, 4, 3, 0", "a period that straddles the ring"),
        ("PIPE_FIX, 4, 5, 0", "a period that straddles the ring"),
        ("PIPE_MTE3, 4, 8, 0", "a period that straddles the ring"),
        ("PIPE_MTE3, 2, 1, 15", "signal ids are 0..15"),
    ],
)
def test_what_cannot_work_does_not(spec, why, tmp_path):
    with pytest.raises(CompileError) as caught:
        _compile(spec, tmp_path)
    assert why in str(caught.value)
