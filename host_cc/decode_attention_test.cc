// SPDX-License-Identifier: Apache-2.0
// What the operator asks of the runtime: uploads, launches, and what it does
// when a call fails.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/launch.h"
#include "host_cc/runtime_impl.h"
#include "host_cc/testing/fake_acl.h"
#include "tiling/support.h"

namespace ascend_attention {
namespace {

void* const stream = reinterpret_cast<void*>(uintptr_t{0x5100});
void* const other_stream = reinterpret_cast<void*>(uintptr_t{0x5200});

DecodeShape Shape() {
  DecodeShape shape;
  shape.batch = 4;
  shape.num_heads = 32;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 512;
  shape.max_kv_blocks = 64;
  return shape;
}

class Decode : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = fake_.OpenRuntime();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    runtime_ = *opened;
    Make(Shape());
  }

  void TearDown() override { fake_.RunCopies(); }  // while the workspace exists

  void Make(const DecodeShape& shape, int num_cores = 0) {
    auto made = DecodeAttention::Create(runtime_, shape, 0.125f, num_cores);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    op_.emplace(*made);
    workspace_ = *DeviceBuffer::Allocate(runtime_, op_->workspace_bytes());
    ASSERT_TRUE(workspace_.Fill(0xff).ok());
    tensors_.query = reinterpret_cast<void*>(0x100000000);
    tensors_.key_cache = reinterpret_cast<void*>(0x200000000);
    tensors_.value_cache = reinterpret_cast<void*>(0x300000000);
    tensors_.block_table = reinterpret_cast<const int32_t*>(0x400000000);
    tensors_.out = reinterpret_cast<void*>(0x600000000);
  }

  StatusOr<PreparedPlan> Plan(const std::vector<int32_t>& lens) {
    return op_->Plan(lens, workspace_.data(), workspace_.size(), stream);
  }

  std::vector<uint8_t> WorkspaceBytes(size_t begin, size_t size) {
    std::vector<uint8_t> bytes(size);
    EXPECT_TRUE(workspace_.Download(bytes.data(), size, begin).ok());
    return bytes;
  }

  FakeAcl fake_;
  std::shared_ptr<Runtime> runtime_;
  std::optional<DecodeAttention> op_;
  DeviceBuffer workspace_;
  DecodeTensors tensors_;
};

TEST_F(Decode, LoadsTheKernelOfItsDtypeOnce) {
  EXPECT_EQ(fake_.loaded_kernels, (std::set<std::string>{"decode_f16_0"}));
  Make(Shape());
  EXPECT_EQ(fake_.Count("aclrtBinaryLoadFromData"), 1);
  DecodeShape bf16 = Shape();
  bf16.dtype = DType::kBFloat16;
  Make(bf16);
  EXPECT_EQ(fake_.loaded_kernels.count("decode_bf16_0"), 1u);
  EXPECT_EQ(fake_.Count("aclrtBinaryLoadFromData"), 2);
}

TEST_F(Decode, UploadsThePlanAndClearsTheErrorRecords) {
  const auto plan = Plan({100, 0, 8192});
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  const std::vector<uint8_t>& bytes = plan->plan().bytes();
  EXPECT_EQ(WorkspaceBytes(0, bytes.size()), bytes);
  const Region& records = plan->plan().header().error_records;
  EXPECT_EQ(WorkspaceBytes(records.begin.bytes, records.size.bytes),
            std::vector<uint8_t>(records.size.bytes, 0));
  // Nothing behind them: the memory needs no initial value.
  const size_t end = records.begin.bytes + records.size.bytes;
  EXPECT_EQ(WorkspaceBytes(end, workspace_.size() - end),
            std::vector<uint8_t>(workspace_.size() - end, 0xff));
}

TEST_F(Decode, PassesEveryArgumentInItsPlace) {
  tensors_.lse = reinterpret_cast<float*>(0x700000000);
  const auto plan = Plan({8192});  // one long sequence: split
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(plan->plan().has_splits());
  ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  ASSERT_EQ(fake_.launches.size(), 1u);  // it merges the parts, too

  const FakeAcl::Launch& decode = fake_.launches[0];
  EXPECT_EQ(decode.kernel, "decode_f16_0");
  EXPECT_EQ(decode.stream, stream);
  EXPECT_EQ(decode.num_blocks, static_cast<uint32_t>(plan->plan().used_cores()));
  const auto& args = decode.As<DecodeKernelArgs>();
  EXPECT_EQ(args.sync_address, 0xff7500u);
  EXPECT_EQ(args.query, tensors_.query);
  EXPECT_EQ(args.key_cache, tensors_.key_cache);
  EXPECT_EQ(args.value_cache, tensors_.value_cache);
  EXPECT_EQ(args.block_table, tensors_.block_table);
  EXPECT_EQ(args.out, tensors_.out);
  EXPECT_EQ(args.lse, tensors_.lse);
  EXPECT_EQ(args.workspace, workspace_.data());
  EXPECT_EQ(args.flags, kLaunchWriteLse);
}

// Only a launch that merges has a barrier over its blocks.
TEST_F(Decode, BlocksThatWaitForEachOtherStartTogether) {
  for (const std::vector<int32_t>& lens : {std::vector<int32_t>{8192}, {5, 5}}) {
    const auto plan = Plan(lens);
    ASSERT_TRUE(plan.ok());
    ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
    EXPECT_EQ(fake_.launches.back().all_at_once, plan->plan().has_splits());
  }
  EXPECT_TRUE(fake_.launches[0].all_at_once);
  EXPECT_FALSE(fake_.launches[1].all_at_once);
}

TEST_F(Decode, PlansQueryTokens) {
  DecodeShape shape = Shape();
  shape.max_q_len = 4;
  Make(shape);
  const std::vector<int32_t> lens = {100, 0, 8192};
  for (const std::vector<int32_t>& q_lens : {std::vector<int32_t>{1, 4, 3}, {}}) {
    const auto plan = op_->Plan(lens, workspace_.data(), op_->workspace_bytes(), stream, q_lens);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_EQ(plan->plan().header().num_query_rows, q_lens.empty() ? 3u : 8u);
    // The bytes of the planner, which is called in the same way.
    const DecodePlan expected =
        *PlanDecode(op_->shape(), runtime_->platform(), lens.data(), lens.size(), 0.125f,
                    q_lens.empty() ? nullptr : q_lens.data());
    EXPECT_EQ(plan->plan().bytes(), expected.bytes());
    EXPECT_EQ(WorkspaceBytes(0, expected.bytes().size()), expected.bytes());
    ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  }
}

DecodeTensors WithScales(DecodeTensors tensors) {
  tensors.key_scale = reinterpret_cast<const float*>(0x800000000);
  tensors.value_scale = reinterpret_cast<const float*>(0x900000000);
  return tensors;
}

TEST_F(Decode, PassesEveryArgumentOfAnInt8Cache) {
  for (const KvRoute route : {KvRoute::kDequant, KvRoute::kLimbs}) {
    DecodeShape shape = Shape();
    shape.kv_quant = KvQuant::kInt8ChannelAsym;
    shape.kv_route = route;
    Make(shape);
    EXPECT_EQ(op_->shape().kv_route, route);
    DecodeTensors tensors = WithScales(tensors_);
    tensors.key_offset = reinterpret_cast<const float*>(0xa00000000);
    tensors.value_offset = reinterpret_cast<const float*>(0xb00000000);
    tensors.lse = reinterpret_cast<float*>(0x700000000);
    const auto plan = Plan({8192});
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_EQ(plan->plan().header().kv_route, route);
    ASSERT_TRUE(op_->Run(*plan, tensors, stream).ok());
    const FakeAcl::Launch& launch = fake_.launches.back();
    EXPECT_EQ(launch.kernel,
              route == KvRoute::kDequant ? "decode_int8_dequant_f16_0" : "decode_int8_limbs_f16_0");
    EXPECT_EQ(launch.num_blocks, static_cast<uint32_t>(plan->plan().used_cores()));
    ASSERT_EQ(launch.args.size(), sizeof(DecodeInt8KernelArgs));
    const auto& args = launch.As<DecodeInt8KernelArgs>();
    EXPECT_EQ(args.sync_address, 0xff7500u);
    EXPECT_EQ(args.query, tensors.query);
    EXPECT_EQ(args.key_cache, tensors.key_cache);
    EXPECT_EQ(args.value_cache, tensors.value_cache);
    EXPECT_EQ(args.key_scale, tensors.key_scale);
    EXPECT_EQ(args.key_offset, tensors.key_offset);
    EXPECT_EQ(args.value_scale, tensors.value_scale);
    EXPECT_EQ(args.value_offset, tensors.value_offset);
    EXPECT_EQ(args.block_table, tensors.block_table);
    EXPECT_EQ(args.out, tensors.out);
    EXPECT_EQ(args.lse, tensors.lse);
    EXPECT_EQ(args.workspace, workspace_.data());
    EXPECT_EQ(args.flags, kLaunchWriteLse);
  }
}

// The order of the parameters of the kernel entries.
TEST(LaunchArgs, LieInTheOrderOfTheEntry) {
  DecodeInt8KernelArgs args;
  const void* const* slots = reinterpret_cast<const void* const*>(&args);
  const void* const fields[] = {
      &args.sync_address, &args.query,       &args.key_cache,    &args.value_cache, &args.key_scale,
      &args.key_offset,   &args.value_scale, &args.value_offset, &args.block_table, &args.out,
      &args.lse,          &args.workspace,   &args.flags};
  for (size_t i = 0; i < std::size(fields); ++i) EXPECT_EQ(fields[i], slots + i) << i;
}

TEST_F(Decode, TakesTheRouteThatThePlannerChooses) {
  for (const int64_t num_heads : {8, 512}) {
    DecodeShape shape = Shape();
    shape.num_heads = num_heads;
    shape.kv_quant = KvQuant::kInt8Channel;
    Make(shape);
    const KvRoute route = op_->shape().kv_route;
    const int32_t context_len = 4096;
    const DecodePlan expected = *PlanDecode(shape, runtime_->platform(), &context_len, 1, 0.125f);
    EXPECT_EQ(route, expected.header().kv_route);
    const auto plan = Plan({4096, 17});
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_EQ(plan->plan().header().kv_route, route);
    ASSERT_TRUE(op_->Run(*plan, WithScales(tensors_), stream).ok());
    EXPECT_EQ(fake_.launches.back().kernel,
              *DecodeKernelName(KvQuant::kInt8Channel, route, DType::kFloat16) + "_0");
  }
}

TEST_F(Decode, PlansStridedCaches) {
  DecodeShape shape = Shape();
  // Slices [:, 1] of a pool [num_kv_blocks, 3, num_kv_heads, kv_block_size, head_dim].
  shape.kv_strides = {3 * 8 * 128 * 128, 128, 128 * 128};
  Make(shape);
  const auto plan = Plan({100, 8192});
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  const DecodePlanHeader& header = plan->plan().header();
  EXPECT_EQ(header.kv_block_stride, 3u * 8 * 128 * 128);
  EXPECT_EQ(header.kv_token_stride, 128u);
  EXPECT_EQ(header.kv_head_stride, 128u * 128);
}

TEST_F(Decode, AsksForNoLseWithoutAPlaceForIt) {
  const auto plan = Plan({5, 5});
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  ASSERT_EQ(fake_.launches.size(), 1u);
  EXPECT_EQ(fake_.launches[0].As<DecodeKernelArgs>().flags, 0u);
}

TEST_F(Decode, UsesTheCoresOfRuntimeOrOperator) {
  EXPECT_EQ(Plan({5})->plan().header().num_cores, 24u);
  Make(Shape(), 7);
  EXPECT_EQ(Plan({8192})->plan().header().num_cores, 7u);
  fake_.num_cores = 30;
  RuntimeOptions options;
  options.num_cores = 25;
  runtime_ = *fake_.OpenRuntime(options);
  Make(Shape());
  const auto plan = Plan({8192, 8192, 8192, 8192});
  EXPECT_EQ(plan->plan().header().num_cores, 25u);
  ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  EXPECT_EQ(fake_.launches[0].num_blocks, 25u);
}

TEST_F(Decode, RunNeitherWaitsNorAllocates) {
  const auto plan = Plan({8192, 3});
  ASSERT_TRUE(plan.ok());
  fake_.ClearCalls();
  ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  EXPECT_EQ(fake_.Count("aclrtLaunchKernelWithHostArgs"), 1);
  for (const char* call : {"aclrtSynchronizeStream", "aclrtSynchronizeEvent", "aclrtMalloc",
                           "aclrtMallocHost", "aclrtMemcpy", "aclrtMemcpyAsync"}) {
    EXPECT_EQ(fake_.Count(call), 0) << call;
  }
}

TEST_F(Decode, AnotherStreamWaitsForTheUpload) {
  const auto plan = Plan({5});
  ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  EXPECT_EQ(fake_.Count("aclrtStreamWaitEvent"), 0);
  ASSERT_TRUE(op_->Run(*plan, tensors_, other_stream).ok());
  EXPECT_EQ(fake_.Count("aclrtStreamWaitEvent"), 1);
}

TEST_F(Decode, PlanMayEndBeforeItsUpload) {
  fake_.DeferCopies();
  std::vector<uint8_t> first_bytes;
  {
    const auto first = Plan({100, 200});
    ASSERT_TRUE(first.ok());
    first_bytes = first->plan().bytes();
  }
  DeviceBuffer second_workspace = *DeviceBuffer::Allocate(runtime_, workspace_.size());
  const auto second =
      op_->Plan({1, 2, 3}, second_workspace.data(), second_workspace.size(), stream);
  ASSERT_TRUE(second.ok());
  fake_.RunCopies();
  ASSERT_EQ(fake_.Count("aclrtMemcpyAsync"), 2);
  EXPECT_EQ(WorkspaceBytes(0, first_bytes.size()), first_bytes);
}

TEST_F(Decode, ReusesUploadBuffersOnceTheyAreIdle) {
  for (int step = 0; step < 10; ++step) ASSERT_TRUE(Plan({100, 200}).ok());
  EXPECT_EQ(fake_.host_blocks, 1);
  EXPECT_EQ(fake_.events, 1);
  fake_.DeferCopies();
  for (int step = 0; step < 3; ++step) ASSERT_TRUE(Plan({100, 200}).ok());
  EXPECT_EQ(fake_.host_blocks, 3);
}

TEST_F(Decode, FreesEverythingAtTheEnd) {
  // Engine memory, which no runtime of ours owns.
  const size_t size = op_->workspace_bytes();
  const std::unique_ptr<void, decltype(&std::free)> workspace(std::aligned_alloc(512, size),
                                                              &std::free);
  fake_.DeferCopies();
  auto plan = op_->Plan({5}, workspace.get(), size, stream);
  ASSERT_TRUE(plan.ok());
  workspace_ = DeviceBuffer();
  op_.reset();
  runtime_.reset();
  EXPECT_EQ(fake_.host_blocks, 1);  // the plan keeps what it needs
  plan = Internal("dropped");
  EXPECT_EQ(fake_.Count("aclrtSynchronizeEvent"), 1);
  EXPECT_EQ(fake_.host_blocks, 0);
  EXPECT_EQ(fake_.events, 0);
  EXPECT_EQ(fake_.device_blocks, 0);
}

// ---- Failing calls -----------------------------------------------------------

TEST_F(Decode, ReportsAFailedUploadAndHasNoCurrentPlan) {
  const auto before = Plan({5});
  for (const char* call : {"aclrtMemcpyAsync", "aclrtRecordEvent"}) {
    fake_.FailNext(call, 507000, "detail");
    const Status status = Plan({7}).status();
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_EQ(status.message().rfind(call, 0), 0u) << status.message();
    EXPECT_NE(status.message().find("failed: 507000 (runtime internal error): detail"),
              std::string::npos)
        << status.message();
  }
  // The workspace may hold half a plan.
  EXPECT_EQ(op_->Run(*before, tensors_, stream).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fake_.launches.empty());
}

TEST_F(Decode, ReportsHostMemoryExhausted) {
  fake_.FailNext("aclrtMallocHost", 207001);
  EXPECT_EQ(Plan({5}).status().ToString(),
            "RESOURCE_EXHAUSTED: aclrtMallocHost(16384) failed: 207001 (out of memory)");
  fake_.FailNext("aclrtCreateEventExWithFlag", 207007);
  EXPECT_EQ(Plan({5}).status().ToString(),
            "RESOURCE_EXHAUSTED: aclrtCreateEventExWithFlag() failed: 207007 (out of events)");
  EXPECT_EQ(fake_.host_blocks, 0);
}

TEST_F(Decode, ReportsAFailedLaunch) {
  const auto plan = Plan({8192});
  fake_.FailNext("aclrtLaunchKernelWithHostArgs", 107003, "no such stream");
  EXPECT_EQ(op_->Run(*plan, tensors_, stream).ToString(),
            "INVALID_ARGUMENT: aclrtLaunchKernelWithHostArgs(decode_f16, " +
                std::to_string(plan->plan().used_cores()) +
                " blocks) failed: 107003 (stream not in the current context): no such stream");
  EXPECT_TRUE(fake_.launches.empty());
}

TEST_F(Decode, ReportsALoadFailureByFileAndFunction) {
  DecodeShape shape = Shape();
  shape.dtype = DType::kBFloat16;
  fake_.FailNext("aclrtBinaryLoadFromData", 107000, "not an ELF");
  const Status load = DecodeAttention::Create(runtime_, shape, 1.0f).status();
  EXPECT_NE(
      load.message().find("/vnpu/decode_bf16.so) failed: 107000 (invalid parameter): not an ELF"),
      std::string::npos)
      << load.message();
  fake_.FailNext("aclrtBinaryGetFunction", 507027);
  const Status get = DecodeAttention::Create(runtime_, shape, 1.0f).status();
  EXPECT_NE(get.message().find("/vnpu/decode_bf16.so, decode_bf16_0) failed: 507027"),
            std::string::npos)
      << get.message();
}

}  // namespace
}  // namespace ascend_attention
