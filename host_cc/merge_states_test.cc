// SPDX-License-Identifier: Apache-2.0
// The merge operator: what it refuses by name, what it launches, and what comes out
// on the virtual NPU under the checkers.
#include "host_cc/include/ascend_attention/merge_states.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/testing/fake_acl.h"

namespace ascend_attention {
namespace {

void* At(uintptr_t address) { return reinterpret_cast<void*>(address); }

MergeStatesArgs GoodArgs() {
  MergeStatesArgs args;
  args.parts_out = At(0x10000);
  args.parts_lse = static_cast<float*>(At(0x40004));
  args.out = At(0x50020);
  args.lse = static_cast<float*>(At(0x60000));
  args.num_parts = 2;
  args.rows = 100;
  args.head_dim = 128;
  return args;
}

struct BadCase {
  const char* name;
  std::function<void(MergeStatesArgs&)> spoil;
  const char* error;
};

class BadMerge : public testing::TestWithParam<BadCase> {};

TEST_P(BadMerge, IsRefusedByName) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  MergeStatesArgs args = GoodArgs();
  GetParam().spoil(args);
  EXPECT_EQ(MergeStates(*runtime, args, nullptr).ToString(), GetParam().error);
  EXPECT_TRUE(fake.launches.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadMerge,
    testing::Values(
        BadCase{"DType", [](auto& a) { a.dtype = static_cast<StateDType>(5); },
                "UNIMPLEMENTED: dtype code 5 has no kernel; supported: 0 (float16), 1 (bfloat16), "
                "2 (float32)"},
        BadCase{"NoHeadDim", [](auto& a) { a.head_dim = 0; },
                "INVALID_ARGUMENT: head_dim = 0; expected at least 1"},
        BadCase{"SmallHeadDim", [](auto& a) { a.head_dim = 8; },
                "UNIMPLEMENTED: head_dim = 8 has no kernel (multiples of 16 in 16..512 have); "
                "nearest supported: 16"},
        BadCase{"OddHeadDim", [](auto& a) { a.head_dim = 100; },
                "UNIMPLEMENTED: head_dim = 100 has no kernel (multiples of 16 in 16..512 have); "
                "nearest supported: 96, 112"},
        BadCase{"LargeHeadDim", [](auto& a) { a.head_dim = 1024; },
                "UNIMPLEMENTED: head_dim = 1024 has no kernel (multiples of 16 in 16..512 have); "
                "nearest supported: 512"},
        BadCase{"NoParts", [](auto& a) { a.num_parts = 0; },
                "INVALID_ARGUMENT: num_parts = 0; expected 1..2147483647"},
        BadCase{"NegativeRows", [](auto& a) { a.rows = -1; },
                "INVALID_ARGUMENT: rows = -1; expected 0..16777215, so that a part is less than 4 "
                "GiB"},
        BadCase{"ManyRows",
                [](auto& a) {
                  a.dtype = StateDType::kFloat32;
                  a.rows = 1 << 23;
                },
                "INVALID_ARGUMENT: rows = 8388608; expected 0..8388607, so that a part is less "
                "than 4 GiB"},
        BadCase{"NullPartsOut", [](auto& a) { a.parts_out = nullptr; },
                "INVALID_ARGUMENT: parts_out is null"},
        BadCase{"PartsOut", [](auto& a) { a.parts_out = At(0x10010); },
                "INVALID_ARGUMENT: parts_out = 0x10010 is not a multiple of 32 bytes"},
        BadCase{"NullPartsLse", [](auto& a) { a.parts_lse = nullptr; },
                "INVALID_ARGUMENT: parts_lse is null"},
        BadCase{"PartsLse", [](auto& a) { a.parts_lse = static_cast<float*>(At(0x40002)); },
                "INVALID_ARGUMENT: parts_lse = 0x40002 is not a multiple of 4 bytes"},
        BadCase{"NullOut", [](auto& a) { a.out = nullptr; }, "INVALID_ARGUMENT: out is null"},
        BadCase{"Out", [](auto& a) { a.out = At(0x50001); },
                "INVALID_ARGUMENT: out = 0x50001 is not a multiple of 32 bytes"},
        BadCase{"Lse", [](auto& a) { a.lse = static_cast<float*>(At(0x60002)); },
                "INVALID_ARGUMENT: lse = 0x60002 is not a multiple of 4 bytes"},
        BadCase{"OutInParts", [](auto& a) { a.out = At(0x10000 + 25600); },
                "INVALID_ARGUMENT: out = 0x16400, 25600 bytes, overlaps parts_out = 0x10000, 51200 "
                "bytes; expected memory of its own"},
        BadCase{"LseInPartsLse", [](auto& a) { a.lse = const_cast<float*>(a.parts_lse) + 199; },
                "INVALID_ARGUMENT: lse = 0x40320, 400 bytes, overlaps parts_lse = 0x40004, 800 "
                "bytes; expected memory of its own"},
        BadCase{"LseInOut", [](auto& a) { a.lse = static_cast<float*>(At(0x50004)); },
                "INVALID_ARGUMENT: lse = 0x50004, 400 bytes, overlaps out = 0x50020, 25600 bytes; "
                "expected memory of its own"}),
    [](const auto& info) { return std::string(info.param.name); });

struct KernelArgs {
  const void *parts_out, *parts_lse;
  void *out, *lse;
  uint64_t num_parts, rows, head_dim;
};

TEST(MergeStates, LaunchesOneKernelOnTheVectorCores) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  MergeStatesArgs args = GoodArgs();
  args.dtype = StateDType::kBFloat16;
  ASSERT_TRUE(MergeStates(*runtime, args, At(0x77)).ok());
  ASSERT_EQ(fake.launches.size(), 1u);
  const FakeAcl::Launch& launch = fake.launches[0];
  EXPECT_EQ(launch.kernel, "merge_states_bf16_0");
  EXPECT_EQ(launch.num_blocks, 48u);
  EXPECT_FALSE(launch.all_at_once);
  EXPECT_EQ(launch.stream, At(0x77));
  ASSERT_EQ(launch.args.size(), sizeof(KernelArgs));
  const auto& passed = launch.As<KernelArgs>();
  EXPECT_EQ(passed.parts_out, args.parts_out);
  EXPECT_EQ(passed.parts_lse, args.parts_lse);
  EXPECT_EQ(passed.out, args.out);
  EXPECT_EQ(passed.lse, args.lse);
  EXPECT_EQ(passed.num_parts, 2u);
  EXPECT_EQ(passed.rows, 100u);
  EXPECT_EQ(passed.head_dim, 128u);
}

TEST(MergeStates, StartsNoMoreCoresThanRowsAndNoneForNone) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  MergeStatesArgs args = GoodArgs();
  args.lse = nullptr;
  args.rows = 5;
  ASSERT_TRUE(MergeStates(*runtime, args, nullptr).ok());
  EXPECT_EQ(fake.launches.at(0).num_blocks, 5u);
  EXPECT_EQ(fake.launches.at(0).As<KernelArgs>().lse, nullptr);
  args = MergeStatesArgs{};
  args.num_parts = 1;
  args.head_dim = 64;
  EXPECT_TRUE(MergeStates(*runtime, args, nullptr).ok());
  EXPECT_EQ(fake.launches.size(), 1u);
}

// Two parts with weights e^0 and e^1, an empty part full of NaN, and a row without tokens.
TEST(MergeStates, MergesOnTheVirtualNpu) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr int64_t kHeadDim = 96;
  const std::shared_ptr<Runtime> runtime = *Runtime::Open({});
  const Stream stream = *Stream::Create(runtime);
  std::vector<float> values(3 * 2 * kHeadDim, kNan);
  for (int64_t d = 0; d < kHeadDim; ++d) {
    values[d] = 1.0f + static_cast<float>(d);
    values[2 * kHeadDim + d] = -2.0f;
  }
  const std::vector<float> lses = {0.0f, -kInfinity, 1.0f, -kInfinity, -kInfinity, -kInfinity};
  DeviceBuffer parts = *DeviceBuffer::Allocate(runtime, values.size() * sizeof(float));
  DeviceBuffer parts_lse = *DeviceBuffer::Allocate(runtime, lses.size() * sizeof(float));
  DeviceBuffer out = *DeviceBuffer::Allocate(runtime, 2 * kHeadDim * sizeof(float));
  DeviceBuffer lse = *DeviceBuffer::Allocate(runtime, 2 * sizeof(float));
  ASSERT_TRUE(parts.Upload(values.data(), parts.size()).ok());
  ASSERT_TRUE(parts_lse.Upload(lses.data(), parts_lse.size()).ok());
  ASSERT_TRUE(out.Fill(0xff).ok());
  MergeStatesArgs args;
  args.parts_out = parts.data();
  args.parts_lse = static_cast<float*>(parts_lse.data());
  args.out = out.data();
  args.lse = static_cast<float*>(lse.data());
  args.num_parts = 3;
  args.rows = 2;
  args.head_dim = kHeadDim;
  args.dtype = StateDType::kFloat32;
  ASSERT_TRUE(MergeStates(*runtime, args, stream.handle()).ok());
  const Status done = stream.Synchronize();
  ASSERT_TRUE(done.ok()) << done.ToString();

  std::vector<float> merged(2 * kHeadDim), merged_lse(2);
  ASSERT_TRUE(out.Download(merged.data(), out.size()).ok());
  ASSERT_TRUE(lse.Download(merged_lse.data(), lse.size()).ok());
  const double weight = 1 / (1 + std::exp(1.0));
  for (int64_t d = 0; d < kHeadDim; ++d) {
    EXPECT_NEAR(merged[d], weight * (1.0 + static_cast<double>(d)) - (1 - weight) * 2, 1e-5);
    EXPECT_EQ(merged[kHeadDim + d], 0.0f);
  }
  EXPECT_NEAR(merged_lse[0], std::log(1 + std::exp(1.0)), 1e-6);
  EXPECT_EQ(merged_lse[1], -kInfinity);
}

}  // namespace
}  // namespace ascend_attention
