// SPDX-License-Identifier: Apache-2.0
// Plans of KvRoute::kFifo: complete, inside their workspace, always the same bytes, and
// predicted as the ids fall on the cores.
#include "tiling/fifo_planner.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/plan_oracle.h"
#include "tiling/tile_size.h"

namespace ascend_attention {
namespace {

constexpr float kScale = 0.088388f;

Platform Cores(int num_cores) { return *PlatformFor("Ascend910B1", num_cores); }

DecodeShape Shape(int64_t batch, int64_t num_heads = 16, int64_t num_kv_heads = 1,
                  int64_t kv_block_size = 128) {
  DecodeShape shape;
  shape.batch = batch;
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = 128;
  shape.kv_block_size = kv_block_size;
  shape.num_kv_blocks = 1 << 16;
  shape.max_kv_blocks = 256;
  shape.dtype = DType::kBFloat16;
  shape.kv_route = KvRoute::kFifo;
  return shape;
}

StatusOr<DecodePlan> Plan(const DecodeShape& shape, const std::vector<int32_t>& lens,
                          int cores = 24) {
  return PlanDecode(shape, Cores(cores), lens.data(), lens.size(), kScale);
}

class Problems {
 public:
  explicit Problems(uint32_t seed) : random_(seed) {}

  int64_t Below(int64_t limit) { return static_cast<int64_t>(random_() % limit); }

  // Any number of query heads a kv head, most of them no multiple of 16.
  DecodeShape NextShape() {
    const int64_t num_kv_heads = Below(2) == 0 ? 1 : 1 + Below(12);
    const int64_t q_per_kv = 1 + Below(Below(2) == 0 ? 128 : 20);
    DecodeShape shape =
        Shape(1 + Below(300), num_kv_heads * q_per_kv, num_kv_heads, Below(2) == 0 ? 64 : 128);
    shape.num_kv_blocks = Below(5000);
    shape.max_kv_blocks = Below(200);
    shape.dtype = Below(2) == 0 ? DType::kFloat16 : DType::kBFloat16;
    shape.out_float32 = Below(2) == 0;
    if (Below(3) == 0) {  // head-major
      shape.kv_strides = {num_kv_heads * shape.kv_block_size * 128, 128, shape.kv_block_size * 128};
    }
    return shape;
  }

  std::vector<int32_t> NextLengths(const DecodeShape& shape) {
    std::vector<int32_t> lens(static_cast<size_t>(1 + Below(shape.batch)));
    const int64_t longest =
        Below(3) == 0 ? std::min<int64_t>(shape.max_context(), 130) : shape.max_context();
    for (int32_t& length : lens) {
      length = Below(6) == 0 ? 0 : static_cast<int32_t>(Below(longest + 1));
    }
    return lens;
  }

 private:
  std::mt19937 random_;
};

TEST(FifoPlan, IsCompleteAndInsideItsWorkspace) {
  Problems problems(20260501);
  int with_remainder = 0;
  int few_ids = 0;
  for (int round = 0; round < 800; ++round) {
    const DecodeShape shape = problems.NextShape();
    const std::vector<int32_t> lens = problems.NextLengths(shape);
    const int cores = 1 + static_cast<int>(problems.Below(64));
    const StatusOr<DecodePlan> plan = Plan(shape, lens, cores);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    ASSERT_EQ(FindPlanError(*plan, lens), "") << "round " << round;
    const Status checked = CheckPlan(plan->bytes().data(), plan->bytes().size());
    ASSERT_TRUE(checked.ok()) << "round " << round << ": " << checked.ToString();
    ASSERT_LE(plan->header().workspace_size.bytes,
              DecodeWorkspaceBytes(shape, Cores(cores))->bytes);
    ASSERT_FALSE(plan->has_splits());
    const auto q_per_kv = static_cast<uint32_t>(shape.q_per_kv());
    with_remainder += q_per_kv % FifoQueryTile(q_per_kv) != 0;
    few_ids += plan->used_cores() < cores;
  }
  EXPECT_GT(with_remainder, 200);
  EXPECT_GT(few_ids, 10);
}

TEST(FifoPlan, HeaderSaysWhatTheKernelNeeds) {
  DecodeShape shape = Shape(3, 40, 2, 64);
  shape.out_float32 = true;
  const DecodePlan plan = *Plan(shape, {100, 0, 16384}, 24);
  const DecodePlanHeader& header = plan.header();
  EXPECT_EQ(header.kv_route, KvRoute::kFifo);
  EXPECT_EQ(header.out_dtype, DType::kFloat32);
  EXPECT_EQ(header.reserved, 0u);
  EXPECT_EQ(header.kv_head_parts, 2u);  // 20 query heads in tiles of 16
  EXPECT_EQ(header.kv_heads_per_group, 1u);
  EXPECT_EQ(header.q_tokens_per_item, 1u);
  EXPECT_EQ(header.operand_limbs, 1u);
  EXPECT_EQ(header.kv_tile_tokens, 64u);
  EXPECT_EQ(header.kv_chunk_tokens, 64u);
  EXPECT_EQ(header.num_query_rows, 3u);
  EXPECT_EQ(header.num_items + header.num_splits + header.num_partials, 0u);
  EXPECT_EQ(header.core_items.bytes + header.items.bytes + header.splits.bytes, 0u);
  EXPECT_EQ(header.partial_out.size.bytes + header.partial_lse.size.bytes, 0u);
  EXPECT_EQ(header.query_operands.size.bytes + header.dequant_keys.size.bytes, 0u);
  EXPECT_EQ(header.scores_slot_size.bytes, 16u * 64 * 4);
  EXPECT_EQ(header.probs_slot_size.bytes, 16u * 64 * 2);
  EXPECT_EQ(header.o_tile_slot_size.bytes, 16u * 128 * 4);
  EXPECT_EQ(header.scores.size.bytes, 24u * kFifoDepth * 16 * 64 * 4);
  EXPECT_EQ(plan.used_cores(), 12);
  EXPECT_EQ(std::vector<int32_t>(plan.context_lens(), plan.context_lens() + 3),
            (std::vector<int32_t>{100, 0, 16384}));

  shape.out_float32 = false;
  EXPECT_EQ(Plan(shape, {5})->header().out_dtype, DType::kBFloat16);
  shape.kv_route = KvRoute::kDirect;
  EXPECT_EQ(Plan(shape, {5})->context_lens(), nullptr);
  EXPECT_EQ(Plan(shape, {5})->header().context_lens.bytes, 0u);
}

// 63 query heads are four tiles of 16, 64 one of 64, 65 two of 64.
TEST(FifoPlan, CutsQueryHeadsIntoTiles) {
  const auto parts = [](int64_t q_per_kv) {
    return Plan(Shape(1, 2 * q_per_kv, 2), {5})->header().kv_head_parts;
  };
  EXPECT_EQ(parts(1), 1u);
  EXPECT_EQ(parts(16), 1u);
  EXPECT_EQ(parts(17), 2u);
  EXPECT_EQ(parts(63), 4u);
  EXPECT_EQ(parts(64), 1u);
  EXPECT_EQ(parts(65), 2u);
  EXPECT_EQ(parts(128), 2u);
}

TEST(FifoPlan, GivesTheSameBytesAgain) {
  Problems problems(6);
  DecodePlan reused;
  for (int round = 0; round < 100; ++round) {
    const DecodeShape shape = problems.NextShape();
    const std::vector<int32_t> lens = problems.NextLengths(shape);
    const DecodePlan fresh = *Plan(shape, lens);
    // Into memory that held another plan, now and then of another route.
    if (round % 3 == 0) {
      const std::vector<int32_t> other = {100, 2000};
      DecodeShape direct = Shape(2);
      direct.kv_route = KvRoute::kDirect;
      ASSERT_TRUE(PlanDecode(direct, Cores(24), other.data(), 2, kScale, &reused).ok());
    }
    ASSERT_TRUE(PlanDecode(shape, Cores(24), lens.data(), lens.size(), kScale, &reused).ok());
    ASSERT_EQ(fresh.bytes(), reused.bytes()) << "round " << round;
    ASSERT_EQ(fresh.prediction().busiest_core, reused.prediction().busiest_core);
    // A smaller batch than the capacity is a batch of its size.
    DecodeShape exact = shape;
    exact.batch = static_cast<int64_t>(lens.size());
    ASSERT_EQ(fresh.bytes(), Plan(exact, lens)->bytes());
  }
}

TEST(FifoPlan, WorkspaceGrowsWithEveryCapacity) {
  Problems problems(12);
  for (int round = 0; round < 300; ++round) {
    const DecodeShape small = problems.NextShape();
    DecodeShape large = small;
    large.batch += problems.Below(100);
    large.max_kv_blocks += problems.Below(100);
    large.num_kv_blocks += problems.Below(100);
    const int cores = 1 + static_cast<int>(problems.Below(40));
    const uint64_t bound = DecodeWorkspaceBytes(small, Cores(cores))->bytes;
    ASSERT_LE(bound, DecodeWorkspaceBytes(large, Cores(cores))->bytes);
    ASSERT_LE(bound, DecodeWorkspaceBytes(small, Cores(cores + 3))->bytes);
  }
}

// One core after the other, one id after the other.
uint64_t BusiestByHand(const DecodePlan& plan, const FifoPrices& prices, uint64_t* total) {
  const DecodePlanHeader& header = plan.header();
  const uint64_t ids_of_sequence = uint64_t{header.num_kv_heads} * header.kv_head_parts;
  const auto cores = static_cast<uint64_t>(plan.used_cores());
  uint64_t busiest = 0;
  *total = 0;
  for (uint64_t core = 0; core < cores; ++core) {
    uint64_t cost = core * prices.core_start_cost;
    for (uint64_t id = core; id < header.batch * ids_of_sequence; id += cores) {
      const auto length = static_cast<uint64_t>(plan.context_lens()[id / ids_of_sequence]);
      const uint64_t pages = (length + header.kv_block_size - 1) / header.kv_block_size;
      cost += pages == 0 ? prices.empty_item_cost : prices.item_cost + pages * prices.step_cost;
    }
    *total += cost;
    busiest = std::max(busiest, cost);
  }
  return busiest;
}

TEST(FifoPlan, PredictsTheCoreThatEndsLast) {
  Problems problems(31);
  for (int round = 0; round < 300; ++round) {
    const DecodeShape shape = problems.NextShape();
    const std::vector<int32_t> lens = problems.NextLengths(shape);
    const Platform platform = Cores(1 + static_cast<int>(problems.Below(64)));
    const DecodePlan plan = *Plan(shape, lens, platform.num_cores);
    uint64_t total = 0;
    const uint64_t busiest =
        BusiestByHand(plan, MakeFifoPrices(shape, *ChooseTiles(shape), platform), &total);
    const uint64_t share = CoreShare(platform);
    const uint64_t core_cost = CostOf(platform.costs.core_fixed_ns, share);
    const auto cores = static_cast<uint64_t>(plan.used_cores());
    ASSERT_EQ(plan.prediction().busiest_core, core_cost + busiest) << "round " << round;
    ASSERT_EQ(plan.prediction().ideal, core_cost + (total + cores - 1) / cores);
    ASSERT_EQ(plan.prediction().bytes_per_us, share);
  }
}

TEST(FifoPlan, ABatchWithoutAnyTokenAndWithoutACache) {
  DecodeShape shape = Shape(3);
  shape.num_kv_blocks = 0;
  shape.max_kv_blocks = 0;
  const DecodePlan plan = *Plan(shape, {0, 0, 0});
  EXPECT_EQ(FindPlanError(plan, {0, 0, 0}), "");
  EXPECT_EQ(plan.used_cores(), 3);
}

TEST(PlanOracle, SeesDamageOfAFifoPlan) {
  const std::vector<int32_t> lens = {5000, 128, 0, 9001, 777, 4096};
  DecodePlan plan = *Plan(Shape(6, 40, 2), lens);  // two tiles of 16 on each kv head
  ASSERT_EQ(FindPlanError(plan, lens), "");
  auto& header = const_cast<DecodePlanHeader&>(plan.header());
  header.kv_head_parts = 1;
  EXPECT_EQ(FindCoverageError(plan, lens), "query head 16 is not computed once");
  header.kv_head_parts = 3;
  EXPECT_EQ(FindCoverageError(plan, lens), "id 2 has no query heads");
  header.kv_head_parts = 2;
  header.scores.size.bytes -= 1;
  EXPECT_NE(FindRegionError(plan), "");
  header.scores.size.bytes += 1;
  header.context_lens.bytes -= 64;
  EXPECT_NE(FindRegionError(plan), "");
  header.context_lens.bytes += 64;
  const_cast<int32_t*>(plan.context_lens())[3] += 1;
  EXPECT_EQ(FindCoverageError(plan, lens), "context_lens of sequence 3");
}

TEST(FifoPlanErrors, NameTheArgumentItsValueAndWhatIsAllowed) {
  EXPECT_EQ(Plan(Shape(4), {5, 0, -3, -4}).status().ToString(),
            "INVALID_ARGUMENT: context_lens[2] = -3 is negative; expected 0..32768");
  EXPECT_EQ(Plan(Shape(4), {5, 32769}).status().ToString(),
            "OUT_OF_RANGE: context_lens[1] = 32769 exceeds what a block_table row holds: "
            "256 x 128 = 32768");
  EXPECT_EQ(Plan(Shape(1), {1, 2}).status().ToString(),
            "INVALID_ARGUMENT: batch = 2 exceeds the planned capacity of 1");
  const int32_t length = 9;
  const int32_t q_len = 2;
  EXPECT_EQ(PlanDecode(Shape(1), Cores(24), &length, 1, kScale, &q_len).status().ToString(),
            "INVALID_ARGUMENT: q_lens[0] = 2; expected 1..1");
  Platform platform = Cores(24);
  platform.costs.fifo_step64_ns = ~uint64_t{0};
  EXPECT_EQ(PlanDecode(Shape(1), platform, &length, 1, kScale).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(FifoPlanErrors, RefuseMoreWorkThanCanBeCounted) {
  DecodeShape shape = Shape(1 << 30, 8, 8);
  shape.max_kv_blocks = 1;
  EXPECT_EQ(DecodeWorkspaceBytes(shape, Cores(24)).status().ToString(),
            "RESOURCE_EXHAUSTED: batch = 1073741824 with 8 tiles of query heads has 8589934592 "
            "pieces of work; at most 4294967295 are possible");
  // 2000 sequences x 128 kv heads of 2^25 pages: more microseconds than a cost can be.
  shape = Shape(2000, 128, 128, 64);
  shape.max_kv_blocks = 1 << 25;
  const std::vector<int32_t> lens(2000, std::numeric_limits<int32_t>::max());
  EXPECT_EQ(Plan(shape, lens).status().ToString(),
            "OUT_OF_RANGE: context_lens: 67108864000 pages of 64 tokens, 256000 pieces of work; "
            "their cost is more than can be counted");
  shape.batch = 1;
  const DecodePlan longest = *Plan(shape, {std::numeric_limits<int32_t>::max()});
  EXPECT_EQ(FindPlanError(longest, {std::numeric_limits<int32_t>::max()}), "");
}

}  // namespace
}  // namespace ascend_attention
