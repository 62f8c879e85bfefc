// SPDX-License-Identifier: Apache-2.0
// Plans of random problems, every option of a shape at once: complete, inside the
// booked workspace, and accepted by CheckPlan. Beside them what single options
// promise: query tokens, fixed splits, routes, strides.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/decode_planner.h"
#include "tiling/plan_oracle.h"

namespace ascend_attention {
namespace {

constexpr float kScale = 0.1f;

Platform Cores(int num_cores) { return *PlatformFor("Ascend910B1", num_cores); }

struct Batch {
  std::vector<int32_t> context_lens;
  std::vector<int32_t> q_lens;  // empty: one each
};

StatusOr<DecodePlan> Plan(const DecodeShape& shape, const Batch& batch, int cores = 24) {
  return PlanDecode(shape, Cores(cores), batch.context_lens.data(), batch.context_lens.size(),
                    kScale, batch.q_lens.empty() ? nullptr : batch.q_lens.data());
}

DecodePlan MustPlan(const DecodeShape& shape, const Batch& batch, int cores = 24) {
  StatusOr<DecodePlan> plan = Plan(shape, batch, cores);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return *std::move(plan);
}

DecodeShape Shape(int64_t batch, int64_t num_heads = 32, int64_t num_kv_heads = 8) {
  DecodeShape shape;
  shape.batch = batch;
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1 << 16;
  shape.max_kv_blocks = 256;
  return shape;
}

class Problems {
 public:
  explicit Problems(uint32_t seed) : random_(seed) {}

  int64_t Below(int64_t limit) { return static_cast<int64_t>(random_() % limit); }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return *(values.begin() + Below(static_cast<int64_t>(values.size())));
  }

  DecodeShape NextShape() {
    DecodeShape shape;
    shape.batch = OneOf({1, 2, 7, 33, 150});
    shape.num_kv_heads = OneOf({1, 2, 4, 5, 8, 9, 12, 32});
    shape.num_heads = shape.num_kv_heads * OneOf({1, 2, 4, 5, 7, 8, 16, 17, 32});
    shape.head_dim = OneOf({64, 96, 128, 192, 256});
    shape.kv_block_size = 16 * (1 + Below(32));
    shape.num_kv_blocks = 1 + Below(5000);
    shape.max_kv_blocks = 1 + Below(200);
    shape.dtype = OneOf({DType::kFloat16, DType::kBFloat16});
    if (Below(3) == 0) {
      shape.kv_quant =
          OneOf({KvQuant::kInt8Channel, KvQuant::kInt8ChannelAsym, KvQuant::kInt8Token});
      shape.kv_route = OneOf({KvRoute::kAuto, KvRoute::kDequant, KvRoute::kLimbs});
    } else if (Below(2) == 0) {
      shape.max_q_len = 1 + Below(16);
    }
    if (Below(4) == 0) shape.fixed_split_tokens = 64 + 16 * Below(60);
    SetStrides(shape);
    return shape;
  }

  Batch NextBatch(const DecodeShape& shape) {
    Batch batch;
    const int64_t size = 1 + Below(shape.batch);
    const int64_t longest =
        OneOf({shape.max_context(), std::min<int64_t>(shape.max_context(), 40)});
    const bool has_q_lens = shape.max_q_len > 1 && Below(5) != 0;
    for (int64_t i = 0; i < size; ++i) {
      batch.context_lens.push_back(Below(6) == 0 ? 0 : static_cast<int32_t>(Below(longest + 1)));
      if (has_q_lens) batch.q_lens.push_back(static_cast<int32_t>(1 + Below(shape.max_q_len)));
    }
    return batch;
  }

 private:
  // Token-major, head-major, or one of them as a slice of a pool of both caches.
  void SetStrides(DecodeShape& shape) {
    const int64_t kind = Below(5);
    if (kind == 0) return;
    const bool is_head_major = kind % 2 == 0;
    KvStrides& strides = shape.kv_strides;
    strides.token = is_head_major ? shape.head_dim : shape.num_kv_heads * shape.head_dim;
    strides.head = is_head_major ? shape.kv_block_size * shape.head_dim : shape.head_dim;
    strides.block = shape.num_kv_heads * shape.kv_block_size * shape.head_dim * (kind > 2 ? 2 : 1);
  }

  std::mt19937 random_;
};

TEST(PlanProperties, HoldForEveryOption) {
  Problems problems(20260401);
  std::map<std::string, int> seen;
  for (int round = 0; round < 2500; ++round) {
    const DecodeShape shape = problems.NextShape();
    const Batch batch = problems.NextBatch(shape);
    const int cores = problems.OneOf({1, 2, 20, 24, 25});
    const StatusOr<DecodePlan> plan = Plan(shape, batch, cores);
    if (!plan.ok()) {  // more query heads than a head_dim allows; nothing else is refused
      ASSERT_NE(plan.status().message().find("num_heads / num_kv_heads = "), std::string::npos)
          << plan.status().ToString();
      ++seen["refused"];
      continue;
    }
    ASSERT_EQ(FindPlanError(*plan, batch.context_lens, batch.q_lens), "") << "round " << round;
    const Status checked = CheckPlan(plan->bytes().data(), plan->bytes().size());
    ASSERT_TRUE(checked.ok()) << "round " << round << ": " << checked.ToString();
    ASSERT_LE(plan->header().workspace_size.bytes,
              DecodeWorkspaceBytes(shape, Cores(cores))->bytes);
    ++seen[shape.fixed_split_tokens != 0 ? "fixed" : plan->has_splits() ? "split" : "whole"];
    ++seen[plan->header().kv_route == KvRoute::kLimbs     ? "limbs"
           : plan->header().kv_route == KvRoute::kDequant ? "dequant"
                                                          : "direct"];
    if (plan->header().q_tokens_per_item < shape.max_q_len) ++seen["several query blocks"];
  }
  for (const char* kind : {"fixed", "split", "whole", "limbs", "dequant", "direct"}) {
    EXPECT_GT(seen[kind], 150) << kind;
  }
  EXPECT_GT(seen["several query blocks"], 50);
  EXPECT_LT(seen["refused"], 500);
}

TEST(PlanProperties, SameProblemSameBytes) {
  Problems problems(5);
  DecodePlan reused;
  for (int round = 0; round < 200; ++round) {
    const DecodeShape shape = problems.NextShape();
    const Batch batch = problems.NextBatch(shape);
    const StatusOr<DecodePlan> fresh = Plan(shape, batch);
    if (!fresh.ok()) continue;
    const int32_t* q_lens = batch.q_lens.empty() ? nullptr : batch.q_lens.data();
    ASSERT_TRUE(PlanDecode(shape, Cores(24), batch.context_lens.data(), batch.context_lens.size(),
                           kScale, &reused, q_lens)
                    .ok());
    ASSERT_EQ(fresh->bytes(), reused.bytes()) << "round " << round;
  }
}

TEST(QueryTokens, OneEachIsWhatNullMeans) {
  const Batch without = {{100, 0, 5000}, {}};
  const Batch with = {{100, 0, 5000}, {1, 1, 1}};
  EXPECT_EQ(MustPlan(Shape(3), without).bytes(), MustPlan(Shape(3), with).bytes());
}

// The last query token sees the whole context, each before it one token less.
TEST(QueryTokens, SeeTheContextUpToThemselves) {
  DecodeShape shape = Shape(3);
  shape.max_q_len = 4;
  const DecodePlan plan = MustPlan(shape, {{200, 2, 0}, {3, 4, 2}}, 1);
  ASSERT_EQ(plan.header().num_query_rows, 9u);
  ASSERT_EQ(plan.header().num_items, 3u);
  EXPECT_EQ(plan.items()[0].visible_tokens, 198);
  EXPECT_EQ(plan.items()[0].token_end, 200u);
  EXPECT_EQ(plan.items()[1].query_row, 3u);
  EXPECT_EQ(plan.items()[1].visible_tokens, -1);  // two query tokens see nothing
  EXPECT_EQ(plan.items()[1].token_end, 2u);
  EXPECT_EQ(plan.items()[2].query_row, 7u);
  EXPECT_EQ(plan.items()[2].visible_tokens, -1);
  EXPECT_EQ(plan.items()[2].token_end, 0u);
}

// 16 query tokens x 16 query heads of a kv head are two items of 128 rows; the
// first one's tokens end before those of the second.
TEST(QueryTokens, AreCutWhereRowsEnd) {
  DecodeShape shape = Shape(1, 16, 1);
  shape.max_q_len = 16;
  const DecodePlan plan = MustPlan(shape, {{1000}, {16}}, 1);
  ASSERT_EQ(plan.header().q_tokens_per_item, 8u);
  ASSERT_EQ(plan.header().num_items, 2u);
  EXPECT_EQ(plan.items()[0].token_end, 992u);
  EXPECT_EQ(plan.items()[1].query_row, 8u);
  EXPECT_EQ(plan.items()[1].visible_tokens, 993);
  EXPECT_EQ(plan.items()[1].token_end, 1000u);
}

// Found by the random problems: arrays are aligned, so that the layout for fewer
// query tokens may have the same offsets but fewer items.
TEST(QueryTokens, CheckPlanAllowsAsManyItemsAsMaxQLenDoes) {
  DecodeShape shape = Shape(1, 64, 1);
  shape.head_dim = 256;  // 4 units: one query token an item
  for (int64_t max_q_len = 1; max_q_len <= 16; ++max_q_len) {
    shape.max_q_len = max_q_len;
    const DecodePlan plan = MustPlan(shape, {{5000}, {static_cast<int32_t>(max_q_len)}}, 1);
    const Status checked = CheckPlan(plan.bytes().data(), plan.bytes().size());
    EXPECT_TRUE(checked.ok()) << max_q_len << ": " << checked.ToString();
  }
}

TEST(QueryTokens, RefusalsNameTheEntry) {
  DecodeShape shape = Shape(4);
  shape.max_q_len = 16;
  EXPECT_EQ(Plan(shape, {{9, 9, 9, 9}, {1, 2, 16, 17}}).status().ToString(),
            "INVALID_ARGUMENT: q_lens[3] = 17; expected 1..16");
  EXPECT_EQ(Plan(shape, {{9, 9, 9, 9}, {1, 0, 16, 16}}).status().ToString(),
            "INVALID_ARGUMENT: q_lens[1] = 0; expected 1..16");
  EXPECT_EQ(Plan(Shape(2), {{9, 9}, {1, 2}}).status().ToString(),
            "INVALID_ARGUMENT: q_lens[1] = 2; expected 1..1");
}

// A sequence's parts: what its rows are computed from, in order.
using Part = std::tuple<uint32_t, uint32_t, uint32_t, uint32_t, int32_t>;

std::vector<Part> PartsOf(const DecodePlan& plan, uint32_t sequence) {
  std::vector<Part> parts;
  for (uint32_t i = 0; i < plan.header().num_items; ++i) {
    const WorkItem& item = plan.items()[i];
    if (item.sequence != sequence) continue;
    parts.emplace_back(item.kv_head_begin, item.token_begin, item.token_end, item.q_len,
                       item.visible_tokens);
  }
  std::sort(parts.begin(), parts.end());
  return parts;
}

// Whatever else is in the batch, and however many cores there are.
TEST(FixedSplit, CutsASequenceTheSameInEveryBatch) {
  Problems problems(77);
  for (int round = 0; round < 100; ++round) {
    DecodeShape shape = Shape(64, 16 * (1 + problems.Below(2)), problems.OneOf({1, 4, 16}));
    shape.fixed_split_tokens = problems.OneOf({64, 256, 512, 1008});
    shape.max_q_len = problems.OneOf({1, 5, 16});
    const auto length = static_cast<int32_t>(problems.Below(20000));
    const auto q_len = static_cast<int32_t>(1 + problems.Below(shape.max_q_len));
    const std::vector<Part> alone = PartsOf(MustPlan(shape, {{length}, {q_len}}, 24), 0);
    Batch batch = problems.NextBatch(shape);
    batch.q_lens.resize(batch.context_lens.size(), 1);
    const auto at = static_cast<size_t>(problems.Below(batch.context_lens.size()));
    batch.context_lens[at] = length;
    batch.q_lens[at] = q_len;
    const DecodePlan plan = MustPlan(shape, batch, problems.OneOf({1, 7, 24}));
    ASSERT_EQ(PartsOf(plan, static_cast<uint32_t>(at)), alone) << "round " << round;
  }
}

TEST(FixedSplit, LeavesShortSequencesWhole) {
  DecodeShape shape = Shape(3);
  shape.fixed_split_tokens = 1024;
  const DecodePlan plan = MustPlan(shape, {{1024, 1025, 7}, {}});
  EXPECT_EQ(plan.header().num_splits, 1u);
  EXPECT_EQ(plan.header().num_partials, 2u);
  EXPECT_EQ(PartsOf(plan, 1).size(), 2u);
}

TEST(FixedSplit, DealsPartsEvenly) {
  DecodeShape shape = Shape(3);
  shape.fixed_split_tokens = 256;
  const DecodePlan plan = MustPlan(shape, {{32768, 17, 900}, {}});
  EXPECT_GE(plan.used_cores(), 22);  // 133 parts, 6 on all cores but the last
  EXPECT_LE(plan.prediction().balance(), 1.15);
}

TEST(FixedSplit, RefusalsSayWhatIsAllowed) {
  for (const int64_t tokens : {int64_t{-64}, int64_t{48}, int64_t{100}, int64_t{1} << 31}) {
    DecodeShape shape = Shape(1);
    shape.fixed_split_tokens = tokens;
    EXPECT_EQ(Plan(shape, {{5}, {}}).status().ToString(),
              "INVALID_ARGUMENT: fixed_split_tokens = " + std::to_string(tokens) +
                  "; expected 0 or a multiple of 16, at least 64 and less than 2^31");
  }
}

// The bound is for any lengths: every sequence as long as the table allows.
TEST(FixedSplit, BooksPartialsForTheLongestBatch) {
  DecodeShape shape = Shape(10);
  shape.fixed_split_tokens = 512;
  const std::vector<int32_t> lens(10, static_cast<int32_t>(shape.max_context()));
  const DecodePlan plan = MustPlan(shape, {lens, {}});
  EXPECT_EQ(plan.header().num_partials, 10 * shape.max_context() / 512);
  EXPECT_EQ(plan.header().workspace_size.bytes, DecodeWorkspaceBytes(shape, Cores(24))->bytes);
}

TEST(FixedSplit, RefusesMorePartsThanAPlanCanCount) {
  DecodeShape shape = Shape(1 << 20);
  shape.fixed_split_tokens = 64;
  shape.max_kv_blocks = 1 << 20;
  EXPECT_EQ(DecodeWorkspaceBytes(shape, Cores(24)).status().ToString(),
            "RESOURCE_EXHAUSTED: fixed_split_tokens = 64 with batch = 1048576 and 134217728 tokens "
            "a sequence needs up to 2199023255552 work items; at most 4294967295 are possible");
}

TEST(Int8, HeaderNamesRouteAndOperands) {
  DecodeShape shape = Shape(4);
  shape.kv_quant = KvQuant::kInt8Channel;
  const Batch batch = {{100, 200, 0, 4000}, {}};
  const DecodePlan limbs = MustPlan(shape, batch);
  EXPECT_EQ(limbs.header().kv_route, KvRoute::kLimbs);  // the cheapest for 32 heads on 8
  EXPECT_EQ(limbs.header().operand_limbs, 2u);
  EXPECT_EQ(limbs.header().dequant_keys.size.bytes, 0u);
  EXPECT_GT(limbs.header().query_operands.size.bytes, 0u);
  shape.kv_route = KvRoute::kDequant;
  const DecodePlan dequant = MustPlan(shape, batch);
  EXPECT_EQ(dequant.header().operand_limbs, 1u);
  EXPECT_GT(dequant.header().dequant_keys.size.bytes, 0u);
  EXPECT_EQ(dequant.header().dequant_values.size.bytes, dequant.header().dequant_keys.size.bytes);
}

TEST(Strides, AreInTheHeader) {
  DecodeShape shape = Shape(1);
  EXPECT_EQ(MustPlan(shape, {{5}, {}}).header().kv_token_stride, 1024u);
  EXPECT_EQ(MustPlan(shape, {{5}, {}}).header().kv_head_stride, 128u);
  EXPECT_EQ(MustPlan(shape, {{5}, {}}).header().kv_block_stride, 131072u);
  shape.kv_strides = {int64_t{1} << 40, 128, 16384};  // head-major, in a large pool
  EXPECT_EQ(MustPlan(shape, {{5}, {}}).header().kv_token_stride, 128u);
  EXPECT_EQ(MustPlan(shape, {{5}, {}}).header().kv_head_stride, 16384u);
  EXPECT_EQ(MustPlan(shape, {{5}, {}}).header().kv_block_stride, uint64_t{1} << 40);
}

// Dense strides given in numbers are the dense layout.
TEST(Strides, DenseByNameAndByNumberAreTheSame) {
  DecodeShape shape = Shape(1);
  const DecodePlan by_name = MustPlan(shape, {{5000}, {}});
  shape.kv_strides = {131072, 1024, 128};
  EXPECT_EQ(MustPlan(shape, {{5000}, {}}).bytes(), by_name.bytes());
}

}  // namespace
}  // namespace ascend_attention
