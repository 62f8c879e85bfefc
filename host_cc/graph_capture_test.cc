// SPDX-License-Identifier: Apache-2.0
// Streams that capture a graph: what a captured launch is, and which plans it allows.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/cache_write.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/launch.h"
#include "host_cc/testing/fake_acl.h"

namespace ascend_attention {
namespace {

void* const stream = reinterpret_cast<void*>(uintptr_t{0x5100});
void* const capture_stream = reinterpret_cast<void*>(uintptr_t{0x5200});

class GraphCapture : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = fake_.OpenRuntime();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    runtime_ = *opened;
    op_ = Make();
    workspace_ = *DeviceBuffer::Allocate(runtime_, op_->workspace_bytes());
    tensors_.query = reinterpret_cast<void*>(0x100000000);
    tensors_.key_cache = reinterpret_cast<void*>(0x200000000);
    tensors_.value_cache = reinterpret_cast<void*>(0x300000000);
    tensors_.block_table = reinterpret_cast<const int32_t*>(0x400000000);
    tensors_.out = reinterpret_cast<void*>(0x600000000);
    fake_.capturing = {capture_stream};
  }

  std::optional<DecodeAttention> Make() {
    DecodeShape shape;
    shape.batch = 4;
    shape.num_heads = 32;
    shape.num_kv_heads = 8;
    shape.head_dim = 128;
    shape.kv_block_size = 128;
    shape.num_kv_blocks = 512;
    shape.max_kv_blocks = 64;
    shape.max_q_len = 4;
    const auto made = DecodeAttention::Create(runtime_, shape, 0.125f, /*num_cores=*/20);
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    return *made;
  }

  StatusOr<PreparedPlan> Plan(const DecodeAttention& op, const std::vector<int32_t>& lens,
                              const std::vector<int32_t>& q_lens = {}, void* on = stream) {
    return op.Plan(lens, workspace_.data(), workspace_.size(), on, q_lens);
  }

  // A graph with one Run, planned for `lens`.
  void Capture(const std::vector<int32_t>& lens) {
    const auto plan = Plan(*op_, lens);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    const Status run = op_->Run(*plan, tensors_, capture_stream);
    ASSERT_TRUE(run.ok()) << run.ToString();
  }

  static bool Has(const Status& status, const std::string& part) {
    return status.message().find(part) != std::string::npos;
  }

  FakeAcl fake_;
  std::shared_ptr<Runtime> runtime_;
  std::optional<DecodeAttention> op_;
  DeviceBuffer workspace_;
  DecodeTensors tensors_;
};

TEST_F(GraphCapture, ACapturedLaunchTakesAllCoresAtOnce) {
  const auto plan = Plan(*op_, {5});  // work for one core
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(op_->Run(*plan, tensors_, stream).ok());
  ASSERT_TRUE(op_->Run(*plan, tensors_, capture_stream).ok());
  ASSERT_EQ(fake_.launches.size(), 2u);
  EXPECT_EQ(fake_.launches[0].num_blocks, 1u);
  EXPECT_FALSE(fake_.launches[0].all_at_once);
  EXPECT_EQ(fake_.launches[1].num_blocks, 20u);
  EXPECT_TRUE(fake_.launches[1].all_at_once);
  EXPECT_EQ(fake_.launches[1].As<DecodeKernelArgs>().workspace, workspace_.data());
}

// What a checker is told: names with their rules.
std::multimap<std::string, int>& Names() {
  static auto* const names = new std::multimap<std::string, int>;
  return *names;
}

TEST_F(GraphCapture, ACapturedRunNeitherWaitsForTheUploadNorForTheStream) {
  Capture({5});
  EXPECT_EQ(fake_.Count("aclrtStreamWaitEvent"), 0);
  EXPECT_EQ(fake_.Count("aclrtSynchronizeStream"), 0);
}

TEST_F(GraphCapture, NamesInAGraphForbidNothingAndFollowThePlan) {
  fake_.api()->vnpuAclChecksEnabled = [](int32_t) -> int { return 1; };
  fake_.api()->vnpuAclMarkUndefined = [](int32_t, const void*, uint64_t) -> int {
    ADD_FAILURE() << "what a replay finds in the workspace is not ours to say";
    return 0;
  };
  fake_.api()->vnpuAclNameRegion = [](int32_t, const void*, uint64_t, const char* name,
                                      int rule) -> int {
    Names().emplace(name, rule);
    return 0;
  };
  Names().clear();
  Capture({5});
  EXPECT_EQ(fake_.Count("aclrtSynchronizeStream"), 0);
  EXPECT_EQ(Names().count("query"), 1u);
  EXPECT_EQ(Names().count("workspace/scores"), 1u);
  Names().clear();
  ASSERT_TRUE(Plan(*op_, {8000}).ok());
  EXPECT_EQ(fake_.Count("aclrtSynchronizeStream"), 1);  // names take effect at once
  EXPECT_EQ(Names().count("query"), 0u);
  EXPECT_EQ(Names().count("workspace/scores"), 1u);
  for (const auto& [name, rule] : Names()) EXPECT_EQ(rule, VNPU_ACL_READ_WRITE) << name;
}

TEST_F(GraphCapture, APlanIsNotCaptured) {
  const auto first = Plan(*op_, {5});
  ASSERT_TRUE(first.ok());
  const int copies = fake_.Count("aclrtMemcpyAsync");
  const auto plan = Plan(*op_, {6}, {}, capture_stream);
  ASSERT_EQ(plan.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(plan.status(), "plan before the capture")) << plan.status().ToString();
  EXPECT_EQ(fake_.Count("aclrtMemcpyAsync"), copies);
  // What was planned before is still there.
  EXPECT_TRUE(op_->Run(*first, tensors_, stream).ok());
}

TEST_F(GraphCapture, LengthsMayChangeBetweenReplaysTheirNumberMayNot) {
  Capture({5, 6});
  EXPECT_TRUE(Plan(*op_, {8192, 0}).ok());
  const auto more = Plan(*op_, {5, 6, 7});
  ASSERT_EQ(more.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(more.status(), "the plan has 3 sequences and 3 query rows"));
  EXPECT_TRUE(Has(more.status(), "for 2 sequences and 2 query rows")) << more.status().ToString();
  EXPECT_FALSE(Plan(*op_, {5, 6}, {1, 2}).ok());
  // As many rows of another batch: the captured block table is not theirs.
  EXPECT_FALSE(Plan(*op_, {6}, {2}).ok());
  EXPECT_TRUE(Plan(*op_, {5, 6}).ok());
}

TEST_F(GraphCapture, AWorkspaceInAGraphIsForItsOperatorAlone) {
  Capture({5, 6});
  std::optional<DecodeAttention> other = Make();
  const auto refused = Plan(*other, {5, 6});
  ASSERT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(refused.status(), "captured with another DecodeAttention"));
  op_.reset();  // and with it the graph, by contract
  EXPECT_TRUE(Plan(*other, {5, 6, 7}).ok());
}

TEST_F(GraphCapture, ALibraryWithoutGraphsCapturesNothing) {
  fake_.api()->aclmdlRICaptureGetInfo = nullptr;
  const auto capturing = runtime_->IsCapturing(capture_stream);
  ASSERT_TRUE(capturing.ok());
  EXPECT_FALSE(*capturing);
  EXPECT_TRUE(Plan(*op_, {6}, {}, capture_stream).ok());
}

TEST_F(GraphCapture, ARuntimeThatCannotTellIsAnError) {
  const auto plan = Plan(*op_, {5});
  ASSERT_TRUE(plan.ok());
  fake_.FailNext("aclmdlRICaptureGetInfo", ACL_ERROR_RT_PARAM_INVALID, "no such stream");
  const Status run = op_->Run(*plan, tensors_, stream);
  EXPECT_TRUE(Has(run, "aclmdlRICaptureGetInfo() failed: 107000")) << run.ToString();
  EXPECT_TRUE(fake_.launches.empty());
}

TEST_F(GraphCapture, SlotsAreNotCheckedWhileCapturing) {
  CacheWriteShape shape;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 4;
  const auto writer = CacheWriter::Create(runtime_, shape);
  ASSERT_TRUE(writer.ok()) << writer.status().ToString();
  CacheWriteTensors tensors;
  tensors.num_tokens = 1;
  tensors.key = reinterpret_cast<void*>(0x100000000);
  tensors.value = reinterpret_cast<void*>(0x110000000);
  tensors.slot_mapping = reinterpret_cast<const int64_t*>(0x120000000);
  tensors.key_cache = reinterpret_cast<void*>(0x200000000);
  tensors.value_cache = reinterpret_cast<void*>(0x300000000);
  EXPECT_EQ(writer->Run(tensors, capture_stream, /*check_slots=*/true).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fake_.launches.empty());
  EXPECT_TRUE(writer->Run(tensors, capture_stream).ok());
  EXPECT_EQ(fake_.launches.size(), 1u);
}

}  // namespace
}  // namespace ascend_attention
