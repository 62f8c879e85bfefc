// SPDX-License-Identifier: Apache-2.0
// The clock on a device: real kernels, one launch after the other.
#include "tools/vnpu/timing/clock.h"

#include <gtest/gtest.h>

#include <memory>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/timing/micro/micro_cases.h"

namespace vnpu {
namespace {

using vnpu_micro::Request;
using vnpu_micro::Which;

constexpr uint64_t kBytes = 64 << 10;

class ClockOn : public ::testing::Test {
 protected:
  void Open(const std::string& soc) {
    DeviceConfig config;
    config.soc_name = soc;
    device_ = std::make_unique<Device>(config);
    known_ = clock_.Configure(device_->config(), &error_);
    device_->AddObserver(&clock_);
    gm_ = device_->Allocate(kBytes);
  }
  std::shared_ptr<Timeline> Launch(const Request& request, const char* core = "cube",
                                   uint32_t blocks = 1) {
    const std::string name = std::string("micro_") + core;
    std::string error;
    const auto module = KernelModule::LoadFile("tools/vnpu/timing/micro/" + name + ".so", &error);
    EXPECT_NE(module, nullptr) << error;
    const struct {
      void* gm;
      Request request;
    } args = {gm_, request};
    result_ = device_->Launch(*module->Find(name + "_0"), blocks, &args, sizeof(args));
    return clock_.TakeTimeline();
  }

  Clock clock_;
  std::unique_ptr<Device> device_;
  void* gm_ = nullptr;
  bool known_ = false;
  std::string error_;
  LaunchResult result_;
};

TEST_F(ClockOn, L2StaysFromLaunchToLaunchUntilItIsCleared) {
  Open("Ascend910B1");
  ASSERT_TRUE(known_) << error_;
  const Request load{Which::kGmToL1, {kBytes, 0, 0}, 1};
  const auto cold = Launch(load), warm = Launch(load);
  clock_.l2().Clear();
  const auto cleared = Launch(load);
  ASSERT_TRUE(cold != nullptr && warm != nullptr && cleared != nullptr);
  EXPECT_EQ(cold->hbm_bytes, kBytes);
  EXPECT_EQ(warm->hbm_bytes, 0u);
  EXPECT_LT(warm->total_ps, cold->total_ps);
  EXPECT_EQ(cleared->total_ps, cold->total_ps);
  // Freed memory is gone from L2, whoever gets its addresses.
  device_->Free(gm_);
  gm_ = device_->Allocate(kBytes);
  EXPECT_EQ(Launch(load)->hbm_bytes, kBytes);
}

TEST_F(ClockOn, ATimelineNamesKernelPartAndPlaces) {
  Open("Ascend910B3");
  const auto t = Launch(Request{Which::vexp_f32, {8, 0, 0}, 3}, "vector", 2);
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->kernel, "micro_vector_0");
  EXPECT_EQ(t->soc, "Ascend910B3");
  EXPECT_EQ(t->num_blocks, 2u);
  int found = 0;
  for (const Span& span : t->spans) {
    if (std::string(RowOf(span.insn).name) != "vexp") continue;
    ++found;
    EXPECT_NE(t->sites[span.site].find("micro_vector.cce"), std::string::npos)
        << t->sites[span.site];
  }
  EXPECT_EQ(found, 6);
}

TEST_F(ClockOn, TwoDevicesKeepTheSameTime) {
  Open("Ascend910B1");
  const Request load{Which::kNd2Nz, {32 << 10, 0, 0}, 20};
  const auto first = Launch(load, "cube", 24);
  Clock again;
  Device other(device_->config());
  ASSERT_TRUE(again.Configure(other.config(), &error_));
  other.AddObserver(&again);
  device_ = nullptr;
  const auto module = KernelModule::LoadFile("tools/vnpu/timing/micro/micro_cube.so", &error_);
  const struct {
    void* gm;
    Request request;
  } args = {other.Allocate(kBytes), load};
  other.Launch(*module->Find("micro_cube_0"), 24, &args, sizeof(args));
  const auto second = again.TakeTimeline();
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(first->total_ps, second->total_ps);
  EXPECT_EQ(first->core_end_ps, second->core_end_ps);
  EXPECT_EQ(first->spans.size(), second->spans.size());
}

TEST_F(ClockOn, AnUnknownPartHasNoTimelineAndSaysSo) {
  Open("Ascend310P3");
  EXPECT_FALSE(known_);
  EXPECT_NE(error_.find("no timing parameters for soc_name = 'Ascend310P3'"), std::string::npos);
  EXPECT_EQ(Launch(Request{Which::kGmToL1, {kBytes, 0, 0}, 1}), nullptr);
  EXPECT_EQ(clock_.error(), error_);
  EXPECT_EQ(result_.text, "");
}

TEST_F(ClockOn, AFaultHasNoTimeline) {
  Open("Ascend910B1");
  EXPECT_EQ(Launch(Request{Which::kGmToUb, {kBytes, 0, 0}, 1}, "cube"), nullptr);
  EXPECT_NE(result_.fault, FaultKind::kNone);
  EXPECT_NE(Launch(Request{Which::kGmToL1, {kBytes, 0, 0}, 1}), nullptr);
}

}  // namespace
}  // namespace vnpu
