// SPDX-License-Identifier: Apache-2.0
// What the operator asks of the runtime: uploads, launches, and what it does
// when a call fails.
#include <gtest/gtest.h>

#include <cstdlib>
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
    tensors_.query = reinterpret_cast<void*>(0x1000);
    tensors_.key_cache = reinterpret_cast<void*>(0x2000);
    tensors_.value_cache = reinterpret_cast<void*>(0x3000);
    tensors_.block_table = reinterpret_cast<const int32_t*>(0x4000);
    tensors_.out = reinterpret_cast<void*>(0x6000);
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
  tensors_.lse = reinterpret_cast<float*>(0x7000);
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
