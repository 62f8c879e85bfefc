// SPDX-License-Identifier: Apache-2.0
// The SKU table: core counts, prices, refusals.
#include "tiling/platform.h"

#include <string>

#include "gtest/gtest.h"
#include "tools/vnpu/timing/parameters.h"

namespace ascend_attention {
namespace {

TEST(Platform, KnowsTheUsualCoreCounts) {
  EXPECT_EQ(PlatformFor("Ascend910B1")->num_cores, 24);
  EXPECT_EQ(PlatformFor("Ascend910B3")->num_cores, 20);
  EXPECT_EQ(PlatformFor("Ascend910_9392")->num_cores, 24);
}

TEST(Platform, KeepsTheCoreCountThatTheRuntimeReports) {
  const Platform platform = *PlatformFor("Ascend910_9391", 25);
  EXPECT_EQ(platform.num_cores, 25);
  EXPECT_EQ(platform.soc_name, "Ascend910_9391");
}

TEST(Platform, RefusesAnUnknownPartAndNamesTheKnownOnes) {
  const Status status = PlatformFor("Ascend310P3").status();
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  for (const std::string& name : KnownSocNames()) {
    EXPECT_NE(status.message().find(name), std::string::npos) << name;
  }
  EXPECT_EQ(PlatformFor("Ascend910B1", -1).status().code(), StatusCode::kInvalidArgument);
}

TEST(Platform, EveryRowHasPrices) {
  for (const std::string& name : KnownSocNames()) {
    const PlanCosts costs = PlatformFor(name)->costs;
    EXPECT_GT(costs.hbm_bytes_per_us, 0u) << name;
    EXPECT_GT(costs.core_bytes_per_us, 0u) << name;
    EXPECT_GT(costs.l2_bytes_per_us, 2 * costs.hbm_bytes_per_us) << name;
    EXPECT_GT(costs.cube_mhz, 0u) << name;
    EXPECT_GT(costs.cache_row_ps, costs.l2_row_ps) << name;
    EXPECT_GT(costs.apart_row_ps, costs.cache_row_ps) << name;
    EXPECT_GT(costs.l2_row_ps, 0u) << name;
    EXPECT_GT(costs.load_ps, 0u) << name;
    EXPECT_GT(costs.score_ps, 0u) << name;
    EXPECT_GT(costs.convert_ps, 0u) << name;
    EXPECT_GT(costs.item_fixed_ns, 0u) << name;
    EXPECT_GT(costs.empty_item_ns, 0u) << name;
    EXPECT_GT(costs.merge_fixed_ns, 0u) << name;
    EXPECT_GT(costs.fifo_step16_ns, 0u) << name;
    EXPECT_GE(costs.fifo_step64_ns, costs.fifo_step16_ns) << name;
    EXPECT_GT(costs.fifo_item_ns, 0u) << name;
  }
}

TEST(Platform, SharesTheMemoryUpToWhatACoreCanTake) {
  Platform platform = *PlatformFor("Ascend910B1", 24);
  EXPECT_EQ(CoreShare(platform), platform.costs.hbm_bytes_per_us / 24);
  platform.num_cores = 1;
  EXPECT_EQ(CoreShare(platform), platform.costs.core_bytes_per_us);
  EXPECT_EQ(CostOf(1500, 2000), 3000u);
}

// The planner's prices and the virtual NPU's clock speak of the same chips.
TEST(Platform, AgreesWithTheTimingModelOnEveryPartThatItKnows) {
  int known = 0;
  for (const std::string& soc : KnownSocNames()) {
    vnpu::Parameters clock;
    std::string error;
    if (!vnpu::ParametersOf(soc, &clock, &error)) continue;  // B4-1 has no published figures
    ++known;
    const Platform platform = *PlatformFor(soc);
    EXPECT_EQ(platform.num_cores, static_cast<int>(clock.num_cores)) << soc;
    const double gb_per_s = static_cast<double>(platform.costs.hbm_bytes_per_us) * 1e-3;
    EXPECT_NEAR(gb_per_s / clock.hbm_gb_per_s, 1, 0.05) << soc;
    const auto cycles = [&](uint64_t ps) {
      return static_cast<double>(ps * platform.costs.cube_mhz) * 1e-6;
    };
    EXPECT_NEAR(cycles(platform.costs.cache_row_ps), clock.nd2nz_request_miss_cycles, 0.01);
    EXPECT_NEAR(cycles(platform.costs.apart_row_ps), clock.nd2nz_request_apart_cycles, 0.01);
    EXPECT_NEAR(cycles(platform.costs.l2_row_ps), clock.nd2nz_request_cycles, 0.01);
    EXPECT_GE(cycles(platform.costs.load_ps), clock.nd2nz_setup_cycles);
  }
  EXPECT_EQ(known, 11);
}

}  // namespace
}  // namespace ascend_attention
