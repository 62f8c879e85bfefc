// SPDX-License-Identifier: Apache-2.0
// What every plan must be, whatever the lengths: complete, disjoint, inside its
// workspace, and always the same bytes.
#include "tiling/decode_planner.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/plan_oracle.h"

namespace ascend_attention {
namespace {

constexpr float kScale = 0.088388f;

DecodeShape Shape(int64_t batch, int64_t num_heads = 32, int64_t num_kv_heads = 8,
                  int64_t head_dim = 128) {
  DecodeShape shape;
  shape.batch = batch;
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = head_dim;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1 << 20;
  shape.max_kv_blocks = 1024;  // 131072 tokens
  return shape;
}

Platform Cores(int num_cores) { return *PlatformFor("Ascend910B1", num_cores); }

DecodePlan MustPlan(const DecodeShape& shape, const Platform& platform,
                    const std::vector<int32_t>& lens) {
  StatusOr<DecodePlan> plan = PlanDecode(shape, platform, lens.data(), lens.size(), kScale);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return *std::move(plan);
}

// The batches that engines send, and those that break planners.
std::vector<int32_t> RandomLengths(std::mt19937& random, size_t batch) {
  const auto below = [&random](uint32_t limit) { return static_cast<int32_t>(random() % limit); };
  std::vector<int32_t> lens(batch);
  const int kind = below(7);
  const int32_t common = below(8192);
  for (size_t i = 0; i < batch; ++i) {
    switch (kind) {
      case 0:
        lens[i] = below(131073);
        break;  // anything
      case 1:
        lens[i] = below(300);
        break;  // all short
      case 2:
        lens[i] = common;
        break;  // all the same
      case 3:
        lens[i] = i + 1 == batch ? 131072 : below(200);
        break;  // one giant
      case 4:
        lens[i] = below(2) ? 0 : below(4000);
        break;  // half of it padding
      case 5:
        lens[i] = (1 << below(18)) + below(3) - 1;
        break;  // around powers of two
      default:
        lens[i] = 16 * below(64) + (below(4) == 0 ? 1 : 0);
        break;  // granule edges
    }
    if (lens[i] > 131072) lens[i] = 131072;
  }
  return lens;
}

size_t RandomBatch(std::mt19937& random) {
  const uint32_t kind = random() % 4;
  if (kind == 0) return 1 + random() % 8;
  if (kind == 1) return 1 + random() % 40;
  if (kind == 2) return 1 + random() % 256;
  return 1 + random() % 1000;
}

struct HeadShape {
  int64_t num_heads, num_kv_heads, head_dim;
};
constexpr HeadShape kHeadShapes[] = {{32, 8, 128}, {28, 4, 128},  {16, 1, 128}, {32, 32, 128},
                                     {64, 8, 128}, {40, 10, 128}, {12, 12, 64}, {71, 1, 64},
                                     {9, 9, 128},  {128, 1, 128}, {1, 1, 64},   {96, 32, 64}};

TEST(DecodePlanner, CoversEveryTokenOnceInDisjointRegions) {
  std::mt19937 random(20240601);
  int split_plans = 0;
  int whole_plans = 0;
  for (int round = 0; round < 1200; ++round) {
    const HeadShape& heads = kHeadShapes[round % std::size(kHeadShapes)];
    const int cores = std::vector<int>{1, 7, 20, 24, 25}[random() % 5];
    const size_t batch = RandomBatch(random);
    const DecodeShape shape = Shape(static_cast<int64_t>(batch + random() % 3), heads.num_heads,
                                    heads.num_kv_heads, heads.head_dim);
    const std::vector<int32_t> lens = RandomLengths(random, batch);
    const DecodePlan plan = MustPlan(shape, Cores(cores), lens);
    ASSERT_EQ(FindPlanError(plan, lens), "") << "round " << round;
    const Status checked = CheckPlan(plan.bytes().data(), plan.bytes().size());
    ASSERT_TRUE(checked.ok()) << "round " << round << ": " << checked.ToString();
    ASSERT_LE(plan.header().workspace_size.bytes, DecodeWorkspaceBytes(shape, Cores(cores))->bytes);
    (plan.has_splits() ? split_plans : whole_plans)++;
  }
  // Both routes must have been walked.
  EXPECT_GT(split_plans, 300);
  EXPECT_GT(whole_plans, 100);
}

// Another library's scratch for split sequences is too small from batch 29 at
// 4096 tokens, 21 at 8192 and 20 at 32768 (24 cores): neighbours get
// overwritten. Here the partial slots must hold every part.
TEST(DecodePlanner, HoldsAllPartialsWhereFixedFormulasOverflow) {
  struct Case {
    size_t batch;
    int32_t length;
  };
  for (const Case& c :
       {Case{29, 4096}, Case{32, 8192}, Case{21, 16384}, Case{20, 32768}, Case{256, 8192}}) {
    for (const HeadShape& heads : {HeadShape{32, 8, 128}, HeadShape{16, 1, 128}}) {
      const std::vector<int32_t> lens(c.batch, c.length);
      const DecodePlan plan = MustPlan(
          Shape(static_cast<int64_t>(c.batch), heads.num_heads, heads.num_kv_heads, heads.head_dim),
          Cores(24), lens);
      EXPECT_EQ(FindPlanError(plan, lens), "") << c.batch << " x " << c.length;
      EXPECT_LE(plan.header().num_partials, 46u);
    }
  }
}

TEST(DecodePlanner, NeverNeedsMorePartialsThanTwicePerBoundary) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const int cores = 1 + static_cast<int>(random() % 32);
    const std::vector<int32_t> lens = RandomLengths(random, 1 + random() % 64);
    const DecodePlan plan =
        MustPlan(Shape(static_cast<int64_t>(lens.size()), 16, 1), Cores(cores), lens);
    ASSERT_LE(plan.header().num_partials, 2u * (static_cast<uint32_t>(cores) - 1));
  }
}

TEST(DecodePlanner, WorkspaceBoundGrowsWithEveryCapacity) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    const HeadShape& heads = kHeadShapes[round % std::size(kHeadShapes)];
    DecodeShape small =
        Shape(1 + random() % 1000, heads.num_heads, heads.num_kv_heads, heads.head_dim);
    const bool is_fifo = heads.head_dim == 128 && random() % 2 == 0;
    small.kv_route = is_fifo ? KvRoute::kFifo : KvRoute::kDirect;
    small.max_kv_blocks = random() % 2000;
    small.num_kv_blocks = random() % 100000;
    DecodeShape large = small;
    large.batch += random() % 100;
    large.max_kv_blocks += random() % 100;
    large.num_kv_blocks += random() % 100;
    const int cores = 1 + static_cast<int>(random() % 40);
    const int more_cores = cores + static_cast<int>(random() % 8);
    const uint64_t bound = DecodeWorkspaceBytes(small, Cores(cores))->bytes;
    ASSERT_LE(bound, DecodeWorkspaceBytes(large, Cores(cores))->bytes);
    ASSERT_LE(bound, DecodeWorkspaceBytes(small, Cores(more_cores))->bytes);
  }
}

TEST(DecodePlanner, GivesTheSameBytesAgain) {
  std::mt19937 random(13);
  DecodePlan reused;
  for (int round = 0; round < 200; ++round) {
    const std::vector<int32_t> lens = RandomLengths(random, RandomBatch(random));
    const DecodeShape shape = Shape(static_cast<int64_t>(lens.size()));
    const DecodePlan fresh = MustPlan(shape, Cores(24), lens);
    // Into memory that held another plan: nothing of it may shine through.
    ASSERT_TRUE(PlanDecode(shape, Cores(24), lens.data(), lens.size(), kScale, &reused).ok());
    ASSERT_EQ(fresh.bytes(), reused.bytes());
    ASSERT_EQ(fresh.prediction().busiest_core, reused.prediction().busiest_core);
  }
}

// Everything but the counts and the arrays can be known before the lengths.
TEST(DecodePlanner, LayoutDoesNotDependOnLengths) {
  const std::vector<int32_t> short_lens(40, 3);
  const std::vector<int32_t> long_lens(40, 100000);
  DecodePlanHeader a = MustPlan(Shape(40), Cores(24), short_lens).header();
  DecodePlanHeader b = MustPlan(Shape(40), Cores(24), long_lens).header();
  a.num_items = b.num_items = 0;
  a.num_splits = b.num_splits = 0;
  a.num_partials = b.num_partials = 0;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&a), sizeof(a)),
            std::string(reinterpret_cast<const char*>(&b), sizeof(b)));
}

TEST(DecodePlanner, EmptySequencesGetOneItemPerGroupAndNoPartial) {
  const std::vector<int32_t> lens = {0, 0, 5, 0};
  const DecodePlan plan = MustPlan(Shape(4, 32, 32), Cores(24), lens);  // 4 groups of 8
  ASSERT_EQ(plan.header().num_items, 16u);
  for (uint32_t i = 0; i < 8; ++i) {
    EXPECT_EQ(plan.items()[i].token_begin, 0u);
    EXPECT_EQ(plan.items()[i].token_end, 0u);
    EXPECT_EQ(plan.items()[i].partial, kNoPartial);
  }
}

TEST(DecodePlanner, PlansABatchWithoutAnyTokenAndWithoutACache) {
  DecodeShape shape = Shape(3);
  shape.num_kv_blocks = 0;
  shape.max_kv_blocks = 0;
  const std::vector<int32_t> lens = {0, 0, 0};
  const DecodePlan plan = MustPlan(shape, Cores(24), lens);
  EXPECT_EQ(FindPlanError(plan, lens), "");
  EXPECT_EQ(plan.header().num_items, 3u);
}

TEST(DecodePlanner, UsesOneCoreForOneShortSequence) {
  const DecodePlan plan = MustPlan(Shape(1), Cores(24), {64});
  EXPECT_EQ(plan.used_cores(), 1);
  EXPECT_FALSE(plan.has_splits());
}

TEST(DecodePlanner, SplitsNothingOnOneCore) {
  const DecodePlan plan = MustPlan(Shape(5), Cores(1), {131072, 1, 0, 77, 4096});
  EXPECT_FALSE(plan.has_splits());
  EXPECT_EQ(plan.core_items()[0].item_count, 5u);
}

TEST(DecodePlanner, SplitsOneLongSequenceOverAllCores) {
  const DecodePlan plan = MustPlan(Shape(1), Cores(25), {131072});
  EXPECT_EQ(plan.used_cores(), 25);
  EXPECT_EQ(plan.header().num_splits, 1u);
  EXPECT_EQ(plan.header().num_partials, 25u);
}

TEST(DecodePlanner, PlansASmallerBatchThanItsCapacity) {
  const std::vector<int32_t> lens = {4096, 17};
  const DecodePlan plan = MustPlan(Shape(64), Cores(24), lens);
  EXPECT_EQ(plan.header().batch, 2u);
  EXPECT_EQ(FindPlanError(plan, lens), "");
  EXPECT_EQ(plan.bytes(), MustPlan(Shape(2), Cores(24), lens).bytes());
}

Status PlanError(const DecodeShape& shape, const std::vector<int32_t>& lens, int cores = 24,
                 float scale = kScale) {
  Platform platform = Cores(24);
  platform.num_cores = cores;
  return PlanDecode(shape, platform, lens.data(), lens.size(), scale).status();
}

TEST(DecodePlannerErrors, NameTheArgumentItsValueAndWhatIsAllowed) {
  EXPECT_EQ(PlanError(Shape(4), {}).ToString(), "INVALID_ARGUMENT: batch = 0; expected 1..4");
  EXPECT_EQ(PlanError(Shape(1), {1, 2}).ToString(),
            "INVALID_ARGUMENT: batch = 2 exceeds the planned capacity of 1");
  EXPECT_EQ(PlanError(Shape(4), {5, 0, -3, -4}).ToString(),
            "INVALID_ARGUMENT: context_lens[2] = -3 is negative; expected 0..131072");
  EXPECT_EQ(PlanError(Shape(4), {5, 131073, 0, 0}).ToString(),
            "OUT_OF_RANGE: context_lens[1] = 131073 exceeds what a block_table row holds: "
            "1024 x 128 = 131072");
  EXPECT_EQ(PlanError(Shape(1), {1}, 0).ToString(),
            "INVALID_ARGUMENT: num_cores = 0; expected 1..1024");
  EXPECT_EQ(PlanError(Shape(1), {1}, 24, std::numeric_limits<float>::infinity()).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(PlanError(Shape(1), {1}, 24, std::nanf("")).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(PlanError(Shape(1, 32, 8, 80), {1}).code(), StatusCode::kUnimplemented);
}

TEST(DecodePlannerErrors, LeaveAnExistingPlanAsItWas) {
  const std::vector<int32_t> lens = {100, 200};
  DecodePlan plan = MustPlan(Shape(2), Cores(24), lens);
  const std::vector<uint8_t> before = plan.bytes();
  const std::vector<int32_t> bad = {100, -1};
  EXPECT_FALSE(PlanDecode(Shape(2), Cores(24), bad.data(), bad.size(), kScale, &plan).ok());
  EXPECT_EQ(plan.bytes(), before);
}

TEST(DecodePlannerErrors, RefusePricesOutsideTheIntegerRange) {
  Platform platform = Cores(24);
  platform.costs.hbm_bytes_per_us = 0;
  const int32_t length = 5;
  EXPECT_EQ(PlanDecode(Shape(1), platform, &length, 1, kScale).status().code(),
            StatusCode::kInvalidArgument);
  platform = Cores(24);
  platform.costs.item_fixed_ns = ~uint64_t{0};
  EXPECT_EQ(PlanDecode(Shape(1), platform, &length, 1, kScale).status().code(),
            StatusCode::kInvalidArgument);
}

// Prices of zero are odd but allowed; no item may get lost for being free.
TEST(DecodePlanner, GivesFreeItemsACore) {
  Platform platform = Cores(24);
  platform.costs.item_fixed_ns = 0;
  platform.costs.empty_item_ns = 0;
  const std::vector<int32_t> lens = {0, 0, 0};
  const StatusOr<DecodePlan> plan =
      PlanDecode(Shape(3), platform, lens.data(), lens.size(), kScale);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(FindPlanError(*plan, lens), "");
}

// Sums of int32 lengths pass 2^40 tokens; nothing may wrap on the way.
TEST(DecodePlanner, PlansTheLongestLengthsThatInt32Allows) {
  DecodeShape shape = Shape(1000, 1, 1, 64);
  shape.max_kv_blocks = 1 << 24;
  const std::vector<int32_t> lens(1000, std::numeric_limits<int32_t>::max());
  const DecodePlan plan = MustPlan(shape, Cores(24), lens);
  EXPECT_EQ(FindPlanError(plan, lens), "");
  EXPECT_LE(plan.prediction().balance(), 1.01);
}

}  // namespace
}  // namespace ascend_attention
