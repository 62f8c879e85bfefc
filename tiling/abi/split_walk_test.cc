// SPDX-License-Identifier: Apache-2.0
// The walk by itself: it must compile as device code does, and a device store
// must give the bytes that a host store gives.
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/abi/split_decision.h"

namespace ascend_attention {
namespace {

// Prices in round numbers: a granule of one kv head costs 10.
SplitParams RoundParams(uint32_t batch, uint32_t num_cores, uint32_t num_kv_heads,
                        uint32_t kv_heads_per_group) {
  SplitParams params = {};
  params.batch = batch;
  params.num_cores = num_cores;
  params.num_kv_heads = num_kv_heads;
  params.kv_heads_per_group = kv_heads_per_group;
  params.max_q_len = 1;
  params.q_tokens_per_item = 1;
  params.max_granules = 1 << 27;
  params.item_cost = 20;
  params.empty_item_cost = 5;
  params.granule_cost = 10;
  params.partial_cost = 2;
  return params;
}

using Lengths = BatchLengths<const int32_t*>;

Lengths Of(const std::vector<int32_t>& lens) { return Lengths{lens.data(), nullptr}; }

struct Recorded {
  static constexpr bool kTakesItems = true;

  std::vector<WorkItem> items;
  std::vector<SplitRange> splits;
  std::vector<CoreItems> cores;

  void AddItem(uint32_t index, const WorkItem& item) {
    EXPECT_EQ(index, items.size());
    items.push_back(item);
  }
  void AddSplit(uint32_t index, const SplitRange& split) {
    EXPECT_EQ(index, splits.size());
    splits.push_back(split);
  }
  void AddCore(uint32_t index, uint32_t first_item, uint32_t item_count) {
    EXPECT_EQ(index, cores.size());
    cores.push_back(CoreItems{first_item, item_count});
  }
};

TEST(SplitWalk, CutsASegmentWhereTheBudgetEnds) {
  const SplitParams params = RoundParams(1, 3, 1, 1);
  const std::vector<int32_t> lens = {160};    // 10 granules
  const SplitDecision decision = {62, 3, 1};  // room for 4 granules beside 22
  Recorded sink;
  const WalkResult result = WalkSegments(params, decision, Of(lens), sink);
  EXPECT_EQ(result.leftover, 0u);
  EXPECT_EQ(result.busiest, 62u);
  ASSERT_EQ(sink.items.size(), 3u);
  EXPECT_EQ(sink.items[0].token_end, 64u);
  EXPECT_EQ(sink.items[1].token_begin, 64u);
  EXPECT_EQ(sink.items[1].token_end, 128u);
  EXPECT_EQ(sink.items[2].token_end, 160u);
  ASSERT_EQ(sink.splits.size(), 1u);
  EXPECT_EQ(sink.splits[0].num_partials, 3u);
  EXPECT_EQ(sink.items[2].partial, 2u);
}

// Core c begins c starts late, and takes so much less.
TEST(SplitWalk, LaterCoresTakeLess) {
  SplitParams params = RoundParams(1, 3, 1, 1);
  params.core_start_cost = 15;
  const std::vector<int32_t> lens = {160};  // 10 granules
  Recorded sink;
  const WalkResult result = WalkSegments(params, {72, 3, 1}, Of(lens), sink);
  EXPECT_EQ(result.leftover, 0u);
  EXPECT_EQ(result.busiest, 72u);  // core 0: 22 + 5 x 10; core 1: 15 + 22 + 3 x 10
  EXPECT_EQ(result.spare, 0u);     // core 2: 30 + 22 + 2 x 10
  ASSERT_EQ(sink.items.size(), 3u);
  EXPECT_EQ(sink.items[0].token_end, 80u);
  EXPECT_EQ(sink.items[1].token_end, 128u);
  EXPECT_EQ(sink.items[2].token_end, 160u);

  // One budget less and the last granule has no core; what is spare counts starts.
  EXPECT_NE(TryBudget(params, {71, 3, 1}, Of(lens)).leftover, 0u);
  const std::vector<int32_t> shorter = {32};
  EXPECT_EQ(TryBudget(params, {72, 3, 1}, Of(shorter)).spare, (72u - 40 + 72 - 15 + 72 - 30) / 3);
}

// Two equal segments on two cores: the second may end a start later. A core that would
// end later than one core with both is not started.
TEST(SplitWalk, StartsNoCoreThatEndsLater) {
  SplitParams params = RoundParams(2, 2, 1, 1);
  params.merge_cost = 1000;
  params.core_start_cost = 49;
  const std::vector<int32_t> lens = {48, 48};  // cost 50 each
  const LengthTotals totals = SumLengths(params, Of(lens));
  SplitDecision decision = DecideSplit(params, totals, Of(lens));
  EXPECT_EQ(decision.num_cores, 2u);
  EXPECT_EQ(decision.budget, 99u);
  params.core_start_cost = 101;
  decision = DecideSplit(params, totals, Of(lens));
  EXPECT_EQ(decision.num_cores, 1u);
  EXPECT_EQ(decision.budget, 100u);
}

TEST(SplitWalk, ReportsWhatFoundNoCore) {
  const SplitParams params = RoundParams(2, 1, 1, 1);
  const std::vector<int32_t> lens = {16, 48};
  const SplitDecision decision = {30, 1, 0};
  CountOnly sink;
  EXPECT_EQ(WalkSegments(params, decision, Of(lens), sink).leftover, 20u + 30u);
}

TEST(SplitWalk, DoesNotStartASliver) {
  const SplitParams params = RoundParams(2, 2, 1, 1);
  const std::vector<int32_t> lens = {64, 160};
  // After sequence 0 (cost 60) 32 are left: 22 of overhead and one granule,
  // which is less than half the overhead.
  const SplitDecision decision = {92, 2, 1};
  Recorded sink;
  WalkSegments(params, decision, Of(lens), sink);
  ASSERT_GE(sink.cores.size(), 1u);
  EXPECT_EQ(sink.cores[0].item_count, 1u);
  // With room for two granules it does start.
  const SplitDecision wider = {102, 2, 1};
  Recorded wider_sink;
  WalkSegments(params, wider, Of(lens), wider_sink);
  ASSERT_GE(wider_sink.cores.size(), 1u);
  EXPECT_EQ(wider_sink.cores[0].item_count, 2u);
}

TEST(SplitWalk, GivesEveryGroupOfAnEmptySequenceOneItem) {
  const SplitParams params = RoundParams(2, 4, 5, 2);
  const std::vector<int32_t> lens = {0, 32};
  const SplitDecision decision = DecideSplit(params, SumLengths(params, Of(lens)), Of(lens));
  Recorded sink;
  const WalkResult result = WalkSegments(params, decision, Of(lens), sink);
  EXPECT_EQ(result.leftover, 0u);
  ASSERT_GE(sink.items.size(), 3u);
  for (int group = 0; group < 3; ++group) {
    EXPECT_EQ(sink.items[group].sequence, 0u);
    EXPECT_EQ(sink.items[group].token_end, 0u);
    EXPECT_EQ(sink.items[group].partial, kNoPartial);
  }
  EXPECT_EQ(sink.items[2].kv_head_begin, 4u);
  EXPECT_EQ(sink.items[2].kv_head_count, 1u);  // the last group is smaller
}

TEST(SplitWalk, CutsAtFixedMultiplesOnly) {
  SplitParams params = RoundParams(2, 3, 1, 1);
  params.fixed_split_granules = 4;
  const std::vector<int32_t> lens = {160, 64};  // 10 and 4 granules
  const LengthTotals totals = SumLengths(params, Of(lens));
  EXPECT_EQ(totals.num_cut_blocks, 1u);
  EXPECT_EQ(totals.num_parts, 3u);
  EXPECT_EQ(NumUnits(params, totals), 4u);
  EXPECT_EQ(TotalCost(params, totals), 3u * 22 + 100 + 20 + 40);
  const SplitDecision decision = DecideSplit(params, totals, Of(lens));
  Recorded sink;
  const WalkResult result = WalkSegments(params, decision, Of(lens), sink);
  EXPECT_EQ(result.leftover, 0u);
  ASSERT_EQ(sink.items.size(), 4u);
  EXPECT_EQ(sink.items[0].token_end, 64u);
  EXPECT_EQ(sink.items[1].token_end, 128u);
  EXPECT_EQ(sink.items[2].token_end, 160u);
  EXPECT_EQ(sink.items[3].partial, kNoPartial);
  ASSERT_EQ(sink.splits.size(), 1u);
  EXPECT_EQ(sink.splits[0].num_partials, 3u);
}

TEST(SplitWalk, GivesEveryQueryBlockItsTokens) {
  SplitParams params = RoundParams(2, 1, 1, 1);
  params.max_q_len = 5;
  params.q_tokens_per_item = 2;
  const std::vector<int32_t> lens = {3, 40};
  const std::vector<int32_t> q_lens = {5, 1};
  const Lengths lengths = {lens.data(), q_lens.data()};
  const LengthTotals totals = SumLengths(params, lengths);
  EXPECT_EQ(totals.num_blocks, 4u);
  EXPECT_EQ(totals.num_empty, 1u);
  EXPECT_EQ(totals.num_query_rows, 6u);
  Recorded sink;
  EXPECT_EQ(WalkSegments(params, {1000, 1, 0}, lengths, sink).leftover, 0u);
  ASSERT_EQ(sink.items.size(), 4u);
  EXPECT_EQ(sink.items[0].visible_tokens, -1);  // tokens 0 and 1 of 5 see nothing of 3
  EXPECT_EQ(sink.items[0].token_end, 0u);
  EXPECT_EQ(sink.items[1].visible_tokens, 1);
  EXPECT_EQ(sink.items[1].token_end, 2u);
  EXPECT_EQ(sink.items[2].q_len, 1u);
  EXPECT_EQ(sink.items[2].token_end, 3u);
  EXPECT_EQ(sink.items[3].query_row, 5u);
}

// The bounds of a plan whose every sequence is as long as may be.
TEST(SplitWalk, BoundsCountSegmentsAndParts) {
  SplitParams params = RoundParams(10, 24, 5, 2);
  params.max_q_len = 16;
  params.q_tokens_per_item = 6;
  EXPECT_EQ(MaxSegments(params), 10u * 3 * 3);
  EXPECT_EQ(MaxItems(params), 90u + 23);
  EXPECT_EQ(MaxPartials(params), 46u);
  params.fixed_split_granules = 4;
  params.max_granules = 41;
  EXPECT_EQ(MaxItems(params), 90u * 11);
  EXPECT_EQ(MaxPartials(params), 90u * 11);
  EXPECT_EQ(MaxSplits(params), 90u);
  params.max_granules = 4;  // nothing is longer than a part
  EXPECT_EQ(MaxItems(params), 90u);
  EXPECT_EQ(MaxPartials(params), 0u);
  params.batch = 1u << 31;  // does not wrap
  params.num_kv_heads = 1u << 31;
  params.kv_heads_per_group = 1;
  params.max_granules = 1 << 27;
  EXPECT_EQ(MaxItems(params), uint64_t{1} << 63);
}

// Lengths at the end of the int32 range must not wrap.
TEST(SplitWalk, CountsGranulesOfTheLongestInt32Length) {
  const std::vector<int32_t> lens = {2147483647, 0, 1};
  const LengthTotals totals = SumLengths(RoundParams(3, 1, 1, 1), Of(lens));
  EXPECT_EQ(totals.granules, 134217728u + 1u);
  EXPECT_EQ(totals.max_granules, 134217728u);
  EXPECT_EQ(totals.num_empty, 1u);
}

#ifdef __clang__
// The vendor compiler is a clang and knows global memory as an address space:
// the walk must read lengths from, and write arrays to, such pointers.
#define TEST_GM __attribute__((address_space(1)))

TEST(SplitWalk, WritesTheSameBytesThroughDevicePointers) {
  const SplitParams params = RoundParams(4, 3, 3, 2);
  const std::vector<int32_t> lens = {100, 0, 777, 16};
  const SplitDecision decision = {700, 3, 1};
  struct Arrays {
    CoreItems cores[3];
    WorkItem items[10];
    SplitRange splits[2];
  };
  Arrays host = {};
  PlanArrays<CoreItems*, WorkItem*, SplitRange*> host_sink = {host.cores, host.items, host.splits};
  const WalkResult expected = WalkSegments(params, decision, Of(lens), host_sink);
  ASSERT_EQ(expected.leftover, 0u);

  Arrays device = {};
  PlanArrays<TEST_GM CoreItems*, TEST_GM WorkItem*, TEST_GM SplitRange*> device_sink = {
      (TEST_GM CoreItems*)device.cores, (TEST_GM WorkItem*)device.items,
      (TEST_GM SplitRange*)device.splits};
  const BatchLengths<const TEST_GM int32_t*> device_lens = {(const TEST_GM int32_t*)lens.data(),
                                                            nullptr};
  const WalkResult result = WalkSegments(params, decision, device_lens, device_sink);
  EXPECT_EQ(result.num_items, expected.num_items);
  EXPECT_GT(result.num_splits, 0u);
  EXPECT_EQ(std::memcmp(&host, &device, sizeof(host)), 0);
}
#endif

}  // namespace
}  // namespace ascend_attention
