// SPDX-License-Identifier: Apache-2.0
// Variables marked block_local are each core's own, and start anew with each launch.
#include <gtest/gtest.h>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/toolchain/tests/block_local_cases.h"

namespace vnpu {
namespace {

TEST(BlockLocalTest, EveryCoreCountsForItself) {
  std::string error;
  const auto module =
      KernelModule::LoadFile("tools/vnpu/toolchain/tests/block_local_cases.so", &error);
  ASSERT_NE(module, nullptr) << error;
  DeviceConfig config;
  config.host_threads = 4;
  Device device(config);
  constexpr uint32_t kBlocks = 4;
  constexpr uint32_t kCores = 3 * kBlocks;
  void* out = device.Allocate(kCores * 64);
  const Kernel* kernel = module->Find("block_local_cases_0");
  for (int launch = 0; launch < 3; ++launch) {
    const LaunchResult result = device.Launch(*kernel, kBlocks, &out, sizeof(out));
    ASSERT_EQ(result.text, "");
    for (uint32_t core = 0; core < kCores; ++core) {
      EXPECT_EQ(static_cast<int32_t*>(out)[16 * core],
                kCountAtStart + kRounds * static_cast<int32_t>(core))
          << core;
    }
  }
}

}  // namespace
}  // namespace vnpu
