# SPDX-License-Identifier: Apache-2.0
"""ascend_attention.vnpu: kernels of one's own on numpy arrays, and what a caller may rely on."""

import pathlib

import numpy as np
import pytest
from ascend_attention import vnpu

SCALE_ADD = """
extern "C" __global__ __aicore__ void scale_add(__gm__ float* x, __gm__ float* y, __gm__ float* z,
                                                int32_t n, float scale) {
#if defined(__DAV_C220_VEC__)
  constexpr int32_t kTile = 256;
  __ubuf__ float* a = reinterpret_cast<__ubuf__ float*>(static_cast<uintptr_t>(0));
  __ubuf__ float* b = reinterpret_cast<__ubuf__ float*>(static_cast<uintptr_t>(kTile * 4));
  set_mask_norm();
  set_vector_mask(static_cast<uint64_t>(-1), static_cast<uint64_t>(-1));
  for (int32_t i = block_idx; i * kTile < n; i += block_num) {
    copy_gm_to_ubuf(a, x + i * kTile, 0, 1, kTile * 4 / 32, 0, 0);
    copy_gm_to_ubuf(b, y + i * kTile, 0, 1, kTile * 4 / 32, 0, 0);
    set_flag(PIPE_MTE2, PIPE_V, EVENT_ID0);
    wait_flag(PIPE_MTE2, PIPE_V, EVENT_ID0);
    vmuls(a, a, scale, kTile / 64, 1, 1, 8, 8);
    pipe_barrier(PIPE_V);
    vadd(a, a, b, kTile / 64, 1, 1, 1, 8, 8, 8);
    set_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
    wait_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
    copy_ubuf_to_gm(z + i * kTile, a, 0, 1, kTile * 4 / 32, 0, 0);
    set_flag(PIPE_MTE3, PIPE_MTE2, EVENT_ID0);
    wait_flag(PIPE_MTE3, PIPE_MTE2, EVENT_ID0);
  }
  pipe_barrier(PIPE_ALL);
#endif
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("kernels")


def test_scale_add(folder):
    (folder / "k.cce").write_text(SCALE_ADD)
    kernel = vnpu.compile(folder / "k.cce", entry="scale_add")
    print(kernel)
    x = np.arange(1024, dtype=np.float32)
    y = np.ones(1024, np.float32)
    result = kernel.launch(2, vnpu.input(x), vnpu.input(y), vnpu.output(1024, "float32"), 1024, 2.0)
    print(result.report.to_text())
    assert result.report.verdict == "clean"
    assert (result.outputs["z"] == 2 * x + 1).all()
