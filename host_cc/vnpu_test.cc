// SPDX-License-Identifier: Apache-2.0
// The operator on the virtual NPU beyond single results: shared workspaces,
// streams, threads, faults found on the device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/testing/case_on_device.h"
#include "testdata/golden.h"

namespace ascend_attention {
namespace {

constexpr char kLongCase[] = "decode:b6:h8:kv2:d64:bs64:ctx0,1,64,1000,2500,130:f16:cores24:seed7";
constexpr char kFifoCase[] =
    "decode:b5:h3:kv1:d128:bs64:ctx63,64,65,15,16:bf16:route-fifo:outf32:seed71";
constexpr char kShortCase[] = "decode:b4:h8:kv2:d128:bs64:ctx1,255,600,257:f16:seed2";

class OnVnpu : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Runtime::Open({});
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    runtime_ = *opened;
    stream_.emplace(*Stream::Create(runtime_));
  }

  static void ExpectGolden(const CaseOnDevice& decode) {
    const std::string line = decode.problem.ToString();
    const testdata::Golden golden = testdata::LoadGolden("testdata/golden", line);
    ASSERT_TRUE(golden.ok()) << golden.error;
    const testdata::GoldenReport report = testdata::Compare(golden, decode.Out(), decode.Lse());
    EXPECT_TRUE(report.ok) << line << "\n" << report.text;
  }

  void ExpectNoIdPastTheContext(const char* line) {
    CaseOnDevice decode(runtime_, line);
    const auto columns = static_cast<size_t>(decode.problem.max_kv_blocks());
    const int32_t poison = 0x7fffffff;
    for (size_t row = 0; row < decode.problem.context_lens.size(); ++row) {
      const auto used = static_cast<size_t>(
          (decode.problem.context_lens[row] + decode.problem.kv_block_size - 1) /
          decode.problem.kv_block_size);
      for (size_t column = used; column < columns; ++column) {
        ASSERT_TRUE(decode.block_table
                        .Upload(&poison, sizeof(poison), (row * columns + column) * sizeof(poison))
                        .ok());
      }
    }
    const Status status = decode.Decode(stream());
    ASSERT_TRUE(status.ok()) << status.ToString();
    ExpectGolden(decode);
  }

  void ExpectRefusalWithoutPlan(const char* line) {
    CaseOnDevice decode(runtime_, line);
    const auto plan = decode.Plan(stream());
    ASSERT_TRUE(plan.ok());
    ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
    ASSERT_TRUE(decode.workspace.Fill(0).ok());
    ASSERT_TRUE(decode.Run(*plan, stream()).ok());
    const Status status = runtime_->Synchronize(stream());
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_NE(status.message().find("507016 (AI Core trap)"), std::string::npos)
        << status.message();
  }

  void* stream() const { return stream_->handle(); }

  std::shared_ptr<Runtime> runtime_;
  std::optional<Stream> stream_;
};

TEST_F(OnVnpu, IsAVirtualDevice) {
  EXPECT_TRUE(runtime_->is_virtual());
  EXPECT_NE(runtime_->description().find("(virtual NPU)"), std::string::npos);
}

// A12: nothing waits between the two.
TEST_F(OnVnpu, TwoPlansOfDifferentLengthsShareAWorkspaceOnOneStream) {
  CaseOnDevice first(runtime_, kLongCase);
  CaseOnDevice second(runtime_, kShortCase);
  const size_t size = std::max(first.op.workspace_bytes(), second.op.workspace_bytes());
  const DeviceBuffer shared = *DeviceBuffer::Allocate(runtime_, size);
  for (CaseOnDevice* decode : {&first, &second, &first}) {
    auto plan = decode->op.Plan(decode->problem.context_lens, shared.data(), size, stream());
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    // The plan may go at once: it is in the workspace when the kernels run.
    ASSERT_TRUE(decode->Run(*plan, stream()).ok());
  }
  ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
  ExpectGolden(first);
  ExpectGolden(second);
}

// A12 and A23 over kernels: each starts with the flags and the workspace that
// another one has left, on other cores, with other regions.
TEST_F(OnVnpu, KernelsOfEveryKindFollowEachOtherInOneWorkspace) {
  std::vector<std::unique_ptr<CaseOnDevice>> cases;
  size_t size = 0;
  for (const char* line : {
           kLongCase,
           "decode:b2:h8:kv2:d128:bs128:ctx4000,500:f16:cores20:kvint8-channel:route-dequant:"
           "seed53",
           "decode:b2:h4:kv1:d64:bs128:ctx4096,4099:f16:cores7:qlen4:seed23",
           "decode:b2:h8:kv2:d128:bs128:ctx4000,500:f16:cores20:kvint8-channel:route-limbs:seed53",
           "decode:b4:h4:kv4:d64:bs16:ctx0,15,17,100:bf16:interleaved:seed41",
           "decode:b5:h3:kv1:d128:bs64:ctx63,64,65,15,16:bf16:route-fifo:outf32:seed71",
           kShortCase,
           "decode:b3:h4:kv1:d128:bs64:ctx300,1,130:f16:cores1:route-fifo:seed73",
       }) {
    cases.push_back(std::make_unique<CaseOnDevice>(runtime_, line));
    size = std::max(size, cases.back()->op.workspace_bytes());
  }
  const DeviceBuffer shared = *DeviceBuffer::Allocate(runtime_, size);
  for (int round = 0; round < 2; ++round) {
    for (const auto& decode : cases) {
      auto plan = decode->Plan(shared.data(), size, stream());
      ASSERT_TRUE(plan.ok()) << plan.status().ToString();
      ASSERT_TRUE(decode->Run(*plan, stream()).ok());
    }
    const Status status = runtime_->Synchronize(stream());
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const auto& decode : cases) {
      ExpectGolden(*decode);
      decode->FillOutputs(0x3c);
    }
  }
}

TEST_F(OnVnpu, OnePlanRunsForEveryLayer) {
  CaseOnDevice decode(runtime_, kLongCase);
  const auto plan = decode.Plan(stream());
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(decode.Run(*plan, stream()).ok());
  ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
  const std::vector<uint16_t> first = decode.OutBits();
  decode.FillOutputs(0x3c);
  for (int layer = 0; layer < 3; ++layer) ASSERT_TRUE(decode.Run(*plan, stream()).ok());
  ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
  EXPECT_EQ(decode.OutBits(), first);
}

TEST_F(OnVnpu, RunsOnAnotherStreamThanThePlans) {
  CaseOnDevice decode(runtime_, kLongCase);
  const Stream other = *Stream::Create(runtime_);
  const auto plan = decode.Plan(stream());
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(decode.Run(*plan, other.handle()).ok());
  ASSERT_TRUE(runtime_->Synchronize(other.handle()).ok());
  ExpectGolden(decode);
}

TEST_F(OnVnpu, WritesNoLseUnlessAsked) {
  CaseOnDevice decode(runtime_, kLongCase);
  DecodeTensors tensors = decode.tensors();
  tensors.lse = nullptr;
  const auto plan = decode.Plan(stream());
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(decode.op.Run(*plan, tensors, stream()).ok());
  ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", kLongCase);
  ASSERT_TRUE(golden.ok()) << golden.error;
  const testdata::GoldenReport report = testdata::Compare(golden, decode.Out(), {});
  EXPECT_TRUE(report.ok) << report.text;
  for (const float value : decode.Lse()) EXPECT_TRUE(std::isnan(value));
}

TEST_F(OnVnpu, TwoThreadsUseTwoStreams) {
  const auto work = [&](const char* line) {
    const Stream own = *Stream::Create(runtime_);
    CaseOnDevice decode(runtime_, line);
    for (int step = 0; step < 3; ++step) {
      decode.FillOutputs(0x3c);
      const Status status = decode.Decode(own.handle());
      ASSERT_TRUE(status.ok()) << status.ToString();
      ExpectGolden(decode);
    }
  };
  std::thread first(work, kLongCase);
  std::thread second(work, kShortCase);
  first.join();
  second.join();
}

TEST_F(OnVnpu, BadPageIdFoundOnTheDeviceIsNamed) {
  struct BadId {
    const char* line;
    size_t row;  // a sequence of more than 17 kv blocks
    int32_t id;
  };
  for (const auto& [line, row, bad] :
       {BadId{kLongCase, 4, 99999}, BadId{kLongCase, 4, -1},
        BadId{"decode:b2:h4:kv1:d64:bs128:ctx4096,4099:f16:cores7:qlen4:seed23", 1, -1},
        BadId{"decode:b2:h8:kv2:d128:bs128:ctx500,4000:f16:kvint8-channel:route-dequant:seed53", 1,
              99999},
        BadId{"decode:b2:h8:kv2:d128:bs128:ctx500,4000:f16:kvint8-token:route-limbs:seed53", 1, -1},
        BadId{"decode:b2:h8:kv2:d128:bs64:ctx90,1300:bf16:route-fifo:seed53", 1, 99999},
        BadId{"decode:b3:h64:kv1:d128:bs64:ctx90,0,1300:f16:route-fifo:outf32:seed53", 2, -1}}) {
    CaseOnDevice decode(runtime_, line);
    const auto columns = static_cast<size_t>(decode.problem.max_kv_blocks());
    ASSERT_TRUE(
        decode.block_table.Upload(&bad, sizeof(bad), (row * columns + 17) * sizeof(bad)).ok());
    const Stream own = *Stream::Create(runtime_);
    const auto plan = decode.Plan(own.handle());
    ASSERT_TRUE(plan.ok());
    ASSERT_TRUE(decode.Run(*plan, own.handle()).ok());
    const Status status = runtime_->Synchronize(own.handle());
    EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
    EXPECT_EQ(status.message().rfind("block_table[" + std::to_string(row) +
                                         "][17] = " + std::to_string(bad) + " is outside [0, " +
                                         std::to_string(decode.inputs.num_kv_blocks) +
                                         "); found on the device: ",
                                     0),
              0u)
        << status.message();
  }
  // The device goes on working.
  CaseOnDevice decode(runtime_, kShortCase);
  const Status status = decode.Decode(stream());
  ASSERT_TRUE(status.ok()) << status.ToString();
  ExpectGolden(decode);
}

// Lengths are checked on the host; a workspace can be overwritten behind its back.
TEST_F(OnVnpu, BadLengthFoundOnTheDeviceIsNamed) {
  CaseOnDevice decode(runtime_, kFifoCase);
  const int64_t limit = decode.problem.max_kv_blocks() * decode.problem.kv_block_size + 1;
  for (const int32_t row : {0, 3}) {
    for (const int32_t bad : {-1, static_cast<int32_t>(limit), std::numeric_limits<int32_t>::min(),
                              std::numeric_limits<int32_t>::max()}) {
      decode.FillOutputs(0x3c);
      const auto plan = decode.Plan(stream());
      ASSERT_TRUE(plan.ok());
      ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
      const size_t at =
          plan->plan().header().context_lens.bytes + static_cast<size_t>(row) * sizeof(bad);
      ASSERT_TRUE(decode.workspace.Upload(&bad, sizeof(bad), at).ok());
      ASSERT_TRUE(decode.Run(*plan, stream()).ok());
      const Status status = runtime_->Synchronize(stream());
      EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
      EXPECT_EQ(status.message().rfind("context_lens[" + std::to_string(row) +
                                           "] = " + std::to_string(bad) + " is outside [0, " +
                                           std::to_string(limit) + "); found on the device: ",
                                       0),
                0u)
          << status.message();
    }
  }
  const Status status = decode.Decode(stream());
  ASSERT_TRUE(status.ok()) << status.ToString();
  ExpectGolden(decode);
}

TEST_F(OnVnpu, TwentyLaunchesOfTheFifoKernelAreEqualBitForBit) {
  for (const char* line :
       {kFifoCase, "decode:b2:h17:kv1:d128:bs64:ctx16,200:f16:route-fifo:seed72"}) {
    CaseOnDevice decode(runtime_, line);
    const auto plan = decode.Plan(stream());
    ASSERT_TRUE(plan.ok());
    std::vector<uint16_t> out;
    std::vector<float> lse;
    for (int launch = 0; launch < 20; ++launch) {
      decode.FillOutputs(0x3c);
      ASSERT_TRUE(decode.Run(*plan, stream()).ok());
      ASSERT_TRUE(runtime_->Synchronize(stream()).ok());
      if (launch == 0) {
        out = decode.OutBits();
        lse = decode.Lse();
      }
      ASSERT_EQ(decode.OutBits(), out) << launch;
      ASSERT_EQ(decode.Lse(), lse) << launch;
    }
    ExpectGolden(decode);
  }
}

TEST_F(OnVnpu, IdsPastTheContextAreNotRead) {
  for (const char* line : {kLongCase, kFifoCase}) ExpectNoIdPastTheContext(line);
}

TEST_F(OnVnpu, AWorkspaceWithoutItsPlanIsRefusedByTheKernel) {
  for (const char* line : {kLongCase, kFifoCase}) ExpectRefusalWithoutPlan(line);
}

}  // namespace
}  // namespace ascend_attention
