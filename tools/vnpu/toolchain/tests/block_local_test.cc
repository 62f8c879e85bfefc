// SPDX-License-Identifier: Apache-2.0
// Variables marked block_local are each core's own, and start anew with each launch.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/toolchain/tests/block_local_cases.h"

namespace vnpu {
namespace {

TEST(BlockLocalTest, EveryCoreCountsForItself) {
  DeviceConfig config;
  config.host_threads = 4;
  Device device(config);
  constexpr uint32_t kBlocks = 4;
  constexpr uint32_t kCores = 3 * kBlocks;
  void* out = device.Allocate(kCores * 64);
  std::vector<std::shared_ptr<KernelModule>> modules;
  for (int launch = 0; launch < 3; ++launch) {
    std::string error;
    modules.push_back(
        KernelModule::LoadFile("tools/vnpu/toolchain/tests/block_local_cases.so", &error));
    ASSERT_NE(modules.back(), nullptr) << error;
    const Kernel* kernel = modules.back()->Find("block_local_cases_0");
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
