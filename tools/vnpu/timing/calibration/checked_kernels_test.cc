// SPDX-License-Identifier: Apache-2.0
// The kernels of the calibration are clean: no race, no access out of bounds, no
// result that depends on memory nobody wrote. A figure of a kernel that skips a
// wait would be worth nothing.
#include <gtest/gtest.h>

#include <functional>

#include "tools/vnpu/report/session.h"
#include "tools/vnpu/timing/calibration/attention_runs.h"
#include "tools/vnpu/timing/calibration/stream_runs.h"

namespace vnpu {
namespace calibration {
namespace {

// What `run` launches on a device with all checkers attached, without findings.
void ExpectClean(const std::function<LaunchResult(Device*)>& run) {
  Device device{DeviceConfig()};
  Session session(&device, SessionOptions());
  const LaunchResult result = run(&device);
  EXPECT_EQ(result.fault, FaultKind::kNone) << result.text;
  ASSERT_EQ(session.launches().size(), 1u);
  EXPECT_TRUE(session.launches()[0].findings.empty());
}

TEST(CheckedKernelsTest, SplitKv) {
  for (const uint64_t tiles : {5, 6, 7}) {
    ExpectClean([&](Device* device) {
      SplitKvAttention attention(device, tiles * 128, 3);
      return attention.Launch();
    });
  }
}

TEST(CheckedKernelsTest, PagedFifo) {
  for (const FifoShape& shape : {FifoShape{5, 16, 16, 128 * 5}, FifoShape{3, 128, 64, 64 * 4}}) {
    for (const auto schedule : {paged_fifo::kStepTwo, paged_fifo::kFifo, paged_fifo::kPrefetch}) {
      SCOPED_TRACE(schedule);
      ExpectClean([&](Device* device) {
        PagedFifoAttention attention(device, shape, 2);
        return attention.Launch(schedule, false);
      });
    }
  }
}

TEST(CheckedKernelsTest, PagedFifoWithCredits) {
  ExpectClean([](Device* device) {
    PagedFifoAttention attention(device, FifoShape{3, 16, 16, 128 * 5}, 2);
    return attention.Launch(paged_fifo::kPrefetch, true);
  });
}

TEST(CheckedKernelsTest, Copy) {
  ExpectClean([](Device* device) { return DeviceCopy(device, 9 * 65536).Launch(2); });
}

TEST(CheckedKernelsTest, WeightStream) {
  for (const uint32_t is_nz : {0u, 1u}) {
    ExpectClean([&](Device* device) {
      return WeightStreamRun(device, {20, 1024, 512, 512, 256, 256, is_nz}).Launch(1);
    });
  }
}

TEST(CheckedKernelsTest, Gemm) {
  for (const Gemm& shape : {Gemm{256, 512, 512, 256, 512, 256, 256, 64, 2},
                            Gemm{128, 128, 1024, 128, 128, 128, 512, 256, 1}}) {
    ExpectClean([&](Device* device) { return GemmRun(device, shape).Launch(); });
  }
}

TEST(CheckedKernelsTest, SerialBlocks) {
  ExpectClean([](Device* device) { return SerialBlocks(device, 3, 3).Launch(2); });
}

}  // namespace
}  // namespace calibration
}  // namespace vnpu
