// SPDX-License-Identifier: Apache-2.0
// KvRoute::kFifo and a float32 out: what is launched, on how many blocks, and what
// is refused before.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/launch.h"
#include "host_cc/testing/fake_acl.h"

namespace ascend_attention {
namespace {

void* const stream = reinterpret_cast<void*>(uintptr_t{0x5100});

DecodeShape FifoShape() {
  DecodeShape shape;
  shape.batch = 40;
  shape.num_heads = 40;
  shape.num_kv_heads = 2;  // 20 query heads each: a tile of 16, and one of 4
  shape.head_dim = 128;
  shape.kv_block_size = 64;
  shape.num_kv_blocks = 512;
  shape.max_kv_blocks = 64;
  shape.kv_route = KvRoute::kFifo;
  return shape;
}

template <typename T>
T* At(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

DecodeTensors Tensors() {
  DecodeTensors tensors;
  tensors.query = At<void>(0x100000000);
  tensors.key_cache = At<void>(0x200000000);
  tensors.value_cache = At<void>(0x300000000);
  tensors.block_table = At<const int32_t>(0x400000000);
  tensors.out = At<void>(0x600000000);
  return tensors;
}

class FifoRoute : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = fake_.OpenRuntime();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    runtime_ = *opened;
  }

  std::string CreateError(const DecodeShape& shape) {
    return DecodeAttention::Create(runtime_, shape, 0.125f).status().ToString();
  }

  FakeAcl fake_;
  std::shared_ptr<Runtime> runtime_;
};

TEST_F(FifoRoute, LaunchesItsKernelWithTheArgumentsOfTheOther) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    DecodeShape shape = FifoShape();
    shape.dtype = dtype;
    const auto op = *DecodeAttention::Create(runtime_, shape, 0.125f);
    const auto workspace = *DeviceBuffer::Allocate(runtime_, op.workspace_bytes());
    const std::vector<int32_t> lens = {100, 0, 4096};
    const auto plan = op.Plan(lens, workspace.data(), workspace.size(), stream);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_FALSE(plan->plan().has_splits());
    DecodeTensors tensors = Tensors();
    tensors.lse = At<float>(0x700000000);
    ASSERT_TRUE(op.Run(*plan, tensors, stream).ok());
    const FakeAcl::Launch& launch = fake_.launches.back();
    EXPECT_EQ(launch.kernel, dtype == DType::kFloat16 ? "decode_fifo_f16_0" : "decode_fifo_bf16_0");
    EXPECT_FALSE(launch.all_at_once);
    ASSERT_EQ(launch.args.size(), sizeof(DecodeKernelArgs));
    const auto& args = launch.As<DecodeKernelArgs>();
    EXPECT_EQ(args.sync_address, 0xff7500u);
    EXPECT_EQ(args.query, tensors.query);
    EXPECT_EQ(args.key_cache, tensors.key_cache);
    EXPECT_EQ(args.value_cache, tensors.value_cache);
    EXPECT_EQ(args.block_table, tensors.block_table);
    EXPECT_EQ(args.out, tensors.out);
    EXPECT_EQ(args.lse, tensors.lse);
    EXPECT_EQ(args.workspace, workspace.data());
    EXPECT_EQ(args.flags, kLaunchWriteLse);
  }
}

TEST_F(FifoRoute, UploadsTheLengths) {
  const auto op = *DecodeAttention::Create(runtime_, FifoShape(), 0.125f);
  const auto workspace = *DeviceBuffer::Allocate(runtime_, op.workspace_bytes());
  const std::vector<int32_t> lens = {100, 0, 4096, 7};
  const auto plan = op.Plan(lens, workspace.data(), workspace.size(), stream);
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  const DecodePlanHeader& header = plan->plan().header();
  EXPECT_EQ(header.kv_route, KvRoute::kFifo);
  EXPECT_EQ(header.num_items, 0u);
  std::vector<int32_t> uploaded(lens.size());
  ASSERT_TRUE(
      workspace
          .Download(uploaded.data(), uploaded.size() * sizeof(int32_t), header.context_lens.bytes)
          .ok());
  EXPECT_EQ(uploaded, lens);
}

// One block per (sequence, kv head, query tile), as far as there are cores.
TEST_F(FifoRoute, LaunchesNoMoreBlocksThanItHasWork) {
  DecodeShape one_head = FifoShape();
  one_head.num_heads = one_head.num_kv_heads = 1;
  const auto blocks = [&](const DecodeShape& shape, size_t batch, int num_cores) {
    const auto op = *DecodeAttention::Create(runtime_, shape, 0.125f, num_cores);
    const auto workspace = *DeviceBuffer::Allocate(runtime_, op.workspace_bytes());
    const auto plan =
        op.Plan(std::vector<int32_t>(batch, 0), workspace.data(), workspace.size(), stream);
    EXPECT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_TRUE(op.Run(*plan, Tensors(), stream).ok());
    return fake_.launches.back().num_blocks;
  };
  EXPECT_EQ(blocks(one_head, 1, 0), 1u);
  EXPECT_EQ(blocks(one_head, 23, 0), 23u);
  EXPECT_EQ(blocks(one_head, 25, 0), 24u);
  EXPECT_EQ(blocks(one_head, 25, 7), 7u);
  EXPECT_EQ(blocks(FifoShape(), 1, 0), 4u);  // 2 kv heads x 2 tiles
  EXPECT_EQ(blocks(FifoShape(), 5, 0), 20u);
  EXPECT_EQ(blocks(FifoShape(), 6, 0), 24u);
}

TEST_F(FifoRoute, AFloat32OutTakesFourBytesAnElement) {
  for (const bool is_float32 : {false, true}) {
    DecodeShape shape = FifoShape();
    shape.out_float32 = is_float32;
    const auto op = *DecodeAttention::Create(runtime_, shape, 0.125f);
    const auto workspace = *DeviceBuffer::Allocate(runtime_, op.workspace_bytes());
    const auto plan = *op.Plan({5, 6}, workspace.data(), workspace.size(), stream);
    EXPECT_EQ(plan.plan().header().out_dtype, is_float32 ? DType::kFloat32 : DType::kFloat16);
    const uintptr_t bytes = uintptr_t{2} * 40 * 128 * (is_float32 ? 4 : 2);
    DecodeTensors tensors = Tensors();
    tensors.lse = At<float>(0x600000000 + bytes);
    EXPECT_TRUE(op.Run(plan, tensors, stream).ok());
    tensors.lse = At<float>(0x600000000 + bytes - 4);
    const std::string text = op.Run(plan, tensors, stream).ToString();
    EXPECT_EQ(text.rfind("INVALID_ARGUMENT: lse = ", 0), 0u) << text;
    EXPECT_NE(text.find(" overlaps out = 0x600000000, " + std::to_string(bytes) + " bytes"),
              std::string::npos)
        << text;
  }
}

TEST_F(FifoRoute, ItsFloat32OutChoosesTheRoute) {
  DecodeShape shape = FifoShape();
  shape.kv_route = KvRoute::kAuto;
  shape.out_float32 = true;
  const auto op = DecodeAttention::Create(runtime_, shape, 0.125f);
  ASSERT_TRUE(op.ok()) << op.status().ToString();
  EXPECT_EQ(op->shape().kv_route, KvRoute::kFifo);
}

TEST_F(FifoRoute, RefusesWhatItCannotDo) {
  struct Refused {
    void (*spoil)(DecodeShape&);
    const char* starts;
    const char* nearest;
  };
  for (const auto& [spoil, starts, nearest] : {
           Refused{[](DecodeShape& s) { s.head_dim = 64; }, "UNIMPLEMENTED: head_dim = 64",
                   "nearest supported: 128"},
           Refused{[](DecodeShape& s) { s.head_dim = 256; }, "UNIMPLEMENTED: head_dim = 256",
                   "nearest supported: 128"},
           Refused{[](DecodeShape& s) { s.kv_block_size = 16; },
                   "UNIMPLEMENTED: kv_block_size = 16", "nearest supported: 64"},
           Refused{[](DecodeShape& s) { s.kv_block_size = 96; },
                   "UNIMPLEMENTED: kv_block_size = 96", "nearest supported: 64, 128"},
           Refused{[](DecodeShape& s) { s.kv_block_size = 256; },
                   "UNIMPLEMENTED: kv_block_size = 256", "nearest supported: 128"},
           Refused{[](DecodeShape& s) { s.max_q_len = 2; }, "UNIMPLEMENTED: max_q_len = 2",
                   "nearest supported: 1"},
           Refused{[](DecodeShape& s) { s.num_heads = 2 * 129; },
                   "UNIMPLEMENTED: num_heads / num_kv_heads = 129", "nearest supported: 128"},
           Refused{[](DecodeShape& s) { s.fixed_split_tokens = 512; },
                   "UNIMPLEMENTED: fixed_split_tokens = 512", "nearest supported: 0"},
           Refused{[](DecodeShape& s) { s.kv_quant = KvQuant::kInt8Token; },
                   "UNIMPLEMENTED: kv_route = fifo", "nearest supported: "},
           Refused{[](DecodeShape& s) {
                     s.out_float32 = true;
                     s.kv_route = KvRoute::kDirect;
                   },
                   "UNIMPLEMENTED: out_dtype = float32", "nearest supported: kv_route = fifo"},
       }) {
    DecodeShape shape = FifoShape();
    spoil(shape);
    const std::string text = CreateError(shape);
    EXPECT_EQ(text.rfind(starts, 0), 0u) << text;
    EXPECT_NE(text.find(nearest), std::string::npos) << text;
  }
  EXPECT_EQ(fake_.Count("aclrtBinaryLoadFromData"), 0);
  EXPECT_EQ(CreateError(FifoShape()), "OK");
}

}  // namespace
}  // namespace ascend_attention
