// SPDX-License-Identifier: Apache-2.0
// Acceptance test A19: a cache that is a layer's slice of one pool of all layers
// and both sides, with offsets beyond 2^31 and 2^32 elements and bytes, read in
// place. The virtual NPU reserves the pool without filling it.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ascend_kernels/case_shape.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/testing/case_on_device.h"
#include "testdata/golden.h"

namespace ascend_attention {
namespace {

constexpr int64_t kLayers = 5;
constexpr int64_t kLayer = 3;  // the one that is decoded

// The pool [num_kv_blocks, kLayers, 2, one block of a dense cache].
struct Pool {
  int64_t num_kv_blocks;
  int64_t page_elems;
  int64_t elem_bytes;

  int64_t block_stride() const { return kLayers * 2 * page_elems; }
  int64_t key_begin() const { return kLayer * 2 * page_elems; }
  int64_t value_begin() const { return key_begin() + page_elems; }
  int64_t bytes() const { return num_kv_blocks * block_stride() * elem_bytes; }
  // Where the block of a small cache has gone: the last ones and some near 2^31 elements.
  int64_t NewId(int64_t block) const {
    const int64_t beyond_2_31 = (int64_t{1} << 31) / block_stride() + 1;
    return block % 2 == 0 ? num_kv_blocks - 1 - 3 * block : beyond_2_31 + 5 * block;
  }
};

class LargePool : public testing::TestWithParam<const char*> {
 protected:
  // The blocks of both caches, each in its new place.
  static void Scatter(const testdata::DecodeInputs& inputs, const Pool& pool, DeviceBuffer* to) {
    const auto page_bytes = static_cast<size_t>(pool.page_elems * pool.elem_bytes);
    const auto* keys = static_cast<const uint8_t*>(inputs.KeyBytes().data);
    const auto* values = static_cast<const uint8_t*>(inputs.ValueBytes().data);
    for (int64_t block = 0; block < inputs.num_kv_blocks; ++block) {
      const int64_t first = pool.NewId(block) * pool.block_stride();
      const auto from = static_cast<size_t>(block) * page_bytes;
      const auto put = [&](const uint8_t* side, int64_t begin) {
        const auto offset = static_cast<size_t>((first + begin) * pool.elem_bytes);
        ASSERT_TRUE(to->Upload(side + from, page_bytes, offset).ok());
      };
      put(keys, pool.key_begin());
      put(values, pool.value_begin());
    }
  }

  static std::vector<int32_t> NewTable(const testdata::DecodeInputs& inputs, const Pool& pool) {
    std::vector<int32_t> table = inputs.block_table;
    for (int32_t& id : table) {
      if (id >= 0) id = static_cast<int32_t>(pool.NewId(id));
    }
    return table;
  }
};

TEST_P(LargePool, IsReadInPlace) {
  const std::shared_ptr<Runtime> runtime = *Runtime::Open({});
  const Stream stream = *Stream::Create(runtime);
  CaseOnDevice dense(runtime, GetParam());
  const testdata::DecodeCase& c = dense.problem;
  const int64_t elem_bytes = c.kv_quant == testdata::KvQuant::kNone ? 2 : 1;
  const Pool pool = {16000, c.kv_block_size * c.num_kv_heads * c.head_dim, elem_bytes};
  ASSERT_GT(pool.num_kv_blocks * pool.block_stride(), int64_t{1} << 32);
  ASSERT_GT(pool.bytes(), int64_t{1} << 32);

  DecodeShape shape = ShapeOf(c, dense.inputs);
  shape.num_kv_blocks = pool.num_kv_blocks;
  shape.kv_strides = {pool.block_stride(), c.num_kv_heads * c.head_dim, c.head_dim};
  const auto op = DecodeAttention::Create(runtime, shape, dense.inputs.softmax_scale);
  ASSERT_TRUE(op.ok()) << op.status().ToString();
  ASSERT_EQ(op->workspace_bytes(), dense.workspace.size());
  DeviceBuffer memory = *DeviceBuffer::Allocate(runtime, static_cast<size_t>(pool.bytes()));
  Scatter(dense.inputs, pool, &memory);
  const std::vector<int32_t> table = NewTable(dense.inputs, pool);
  ASSERT_TRUE(dense.block_table.Upload(table.data(), table.size() * sizeof(int32_t)).ok());

  DecodeTensors tensors = dense.tensors();
  const auto* first = static_cast<const uint8_t*>(memory.data());
  tensors.key_cache = first + pool.key_begin() * elem_bytes;
  tensors.value_cache = first + pool.value_begin() * elem_bytes;
  const auto plan =
      op->Plan(c.context_lens, dense.workspace.data(), dense.workspace.size(), stream.handle());
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  ASSERT_TRUE(op->Run(*plan, tensors, stream.handle()).ok());
  const Status status = runtime->Synchronize(stream.handle());
  ASSERT_TRUE(status.ok()) << status.ToString();

  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", c.ToString());
  ASSERT_TRUE(golden.ok()) << golden.error;
  const testdata::GoldenReport report = testdata::Compare(golden, dense.Out(), dense.Lse());
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_TRUE(dense.GuardsAreIntact());
}

INSTANTIATE_TEST_SUITE_P(A19, LargePool,
                         testing::Values("decode:b3:h8:kv2:d128:bs128:ctx1,129,600:f16:seed40",
                                         "decode:b3:h8:kv2:d128:bs128:ctx1,129,600:f16:"
                                         "kvint8-channel:route-dequant:seed50",
                                         "decode:b3:h8:kv2:d128:bs128:ctx1,129,600:f16:"
                                         "kvint8-channel-asym:route-limbs:seed50"),
                         [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace ascend_attention
