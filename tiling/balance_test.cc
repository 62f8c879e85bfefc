// SPDX-License-Identifier: Apache-2.0
// How well work is spread over the cores: the batches on which other planners
// leave cores idle, against the ideal and against the best possible cuts.
//
// Two ratios, both of costs as the cost model counts them (decode_costs.cc):
//   balance: busiest core / ideal. Each core that works counts its fixed cost;
//     the ideal has every item and, if there are fewer segments than cores, the
//     cuts that no plan can avoid, spread evenly over the cores.
//   vs best: the same busiest core / the busiest core of the best contiguous
//     cuts on 16-token boundaries for as many cores, found by exhaustive search.
//     What is lost between 1 and `balance` but not here cannot be gained.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/abi/split_params.h"
#include "tiling/decode_costs.h"
#include "tiling/decode_planner.h"
#include "tiling/tile_size.h"

namespace ascend_attention {
namespace {

struct Batch {
  std::string name;
  std::vector<int32_t> lens;
};

std::vector<int32_t> With(std::vector<int32_t> lens, int32_t last) {
  lens.push_back(last);
  return lens;
}

std::vector<Batch> Batches() {
  std::mt19937 random(64);
  std::vector<int32_t> uniform(64);
  for (int32_t& length : uniform) length = 64 + static_cast<int32_t>(random() % 3937);
  // Median 1000 tokens, a few over ten thousand.
  std::vector<int32_t> log_normal(64);
  std::lognormal_distribution<double> distribution(std::log(1000.0), 1.0);
  for (int32_t& length : log_normal) length = static_cast<int32_t>(distribution(random));
  std::vector<int32_t> powers(32);
  for (size_t i = 0; i < powers.size(); ++i) powers[i] = 128 << (i % 8);
  return {{"1 x 4096", {4096}},
          {"1 x 3968", {3968}},
          {"1 x 8192", {8192}},
          {"4 x 3968", std::vector<int32_t>(4, 3968)},
          {"8 x 1024", std::vector<int32_t>(8, 1024)},
          {"32 x 2048", std::vector<int32_t>(32, 2048)},
          {"25 x 2048", std::vector<int32_t>(25, 2048)},
          {"23 x 128 + 32768", With(std::vector<int32_t>(23, 128), 32768)},
          {"7 x 1024 + 3500", With(std::vector<int32_t>(7, 1024), 3500)},
          {"15 x 4096 + 32768", With(std::vector<int32_t>(15, 4096), 32768)},
          {"64 x U(64, 4000)", uniform},
          {"64 x log-normal", log_normal},
          {"32 x 128..16384", powers},
          {"31 x 4096 + 131072", With(std::vector<int32_t>(31, 4096), 131072)}};
}

struct Heads {
  int64_t num_heads, num_kv_heads;
};

DecodeShape Shape(const Heads& heads, size_t batch) {
  DecodeShape shape;
  shape.batch = static_cast<int64_t>(batch);
  shape.num_heads = heads.num_heads;
  shape.num_kv_heads = heads.num_kv_heads;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1 << 20;
  shape.max_kv_blocks = 1024;
  return shape;
}

// The shape as the planner resolves it.
DecodeShape Direct(DecodeShape shape) {
  shape.kv_route = KvRoute::kDirect;
  return shape;
}

// The best contiguous cuts by dynamic programming. A position is a segment and
// a number of its granules; best_[p] is the least busiest core with which the
// cores so far reach position p.
class BestCuts {
 public:
  BestCuts(const SplitParams& params, const std::vector<int32_t>& lens) : params_(params) {
    before_.push_back(0);
    for (const int32_t length : lens) {
      for (uint32_t head = 0; head < params.num_kv_heads; head += params.kv_heads_per_group) {
        AddSegment(length, std::min(params.kv_heads_per_group, params.num_kv_heads - head));
      }
    }
    positions_.push_back({segments_.size(), 0});
  }

  size_t num_positions() const { return positions_.size(); }

  // `known`: a busiest core that is possible. Only better ones are looked for.
  uint64_t Busiest(int cores, uint64_t known) const {
    std::vector<uint64_t> best(positions_.size(), known);
    best[0] = 0;
    for (int core = 0; core < cores; ++core) {  // the first starts at 0
      for (size_t end = positions_.size() - 1; end > 0; --end) {
        for (size_t begin = end; begin-- > 0;) {
          const uint64_t cost = Cost(begin, end);
          const uint64_t ends = static_cast<uint64_t>(core) * params_.core_start_cost + cost;
          best[end] = std::min(best[end], std::max(best[begin], ends));
          // Further back is at most two partials cheaper.
          if (cost > known + 2 * params_.partial_cost * params_.num_kv_heads) break;
        }
      }
    }
    return best.back();
  }

 private:
  struct Segment {
    uint64_t granules;
    uint64_t granule_cost;
    uint64_t part_cost;  // of any part of it, beside its granules
  };
  struct Position {
    size_t segment;
    uint64_t granules;
  };

  void AddSegment(int32_t length, uint32_t heads) {
    const auto granules = static_cast<uint64_t>((length + 15) / 16);
    const Segment segment = {granules, params_.granule_cost * heads,
                             params_.item_cost + params_.partial_cost * heads};
    for (uint64_t k = 0; k < std::max<uint64_t>(granules, 1); ++k) {
      positions_.push_back({segments_.size(), k});
    }
    const uint64_t fixed = length == 0 ? params_.empty_item_cost : params_.item_cost;
    before_.push_back(before_.back() + fixed + granules * segment.granule_cost);
    segments_.push_back(segment);
  }

  uint64_t Cost(size_t begin, size_t end) const {
    const Position& from = positions_[begin];
    const Position& to = positions_[end];
    if (from.segment == to.segment) {
      const Segment& segment = segments_[from.segment];
      return segment.part_cost + (to.granules - from.granules) * segment.granule_cost;
    }
    uint64_t cost = 0;
    size_t first_whole = from.segment;
    if (from.granules != 0) {
      const Segment& segment = segments_[first_whole++];
      cost += segment.part_cost + (segment.granules - from.granules) * segment.granule_cost;
    }
    cost += before_[to.segment] - before_[first_whole];
    if (to.granules != 0) {
      const Segment& segment = segments_[to.segment];
      cost += segment.part_cost + to.granules * segment.granule_cost;
    }
    return cost;
  }

  const SplitParams params_;
  std::vector<Segment> segments_;
  std::vector<uint64_t> before_;  // cost of all whole segments before one
  std::vector<Position> positions_;
};

// Busiest core / even share, in tokens x kv heads: no fixed costs anywhere.
double TokenRatio(const DecodePlan& plan) {
  uint64_t total = 0;
  uint64_t most = 0;
  for (uint32_t core = 0; core < plan.header().num_cores; ++core) {
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < plan.core_items()[core].item_count; ++i) {
      const WorkItem& item = plan.items()[plan.core_items()[core].first_item + i];
      tokens += uint64_t{item.token_end - item.token_begin} * item.kv_head_count;
    }
    total += tokens;
    most = std::max(most, tokens);
  }
  return static_cast<double>(most) * plan.header().num_cores / static_cast<double>(total);
}

struct Row {
  double balance;
  std::optional<double> vs_best;  // if anything is cut and the search is affordable
};

constexpr size_t kMaxPositions = 9000;

// Busiest core of the plan / of the best cuts.
double VersusBest(const DecodePlan& plan, const BestCuts& search, const Platform& platform) {
  const PlanPrediction& prediction = plan.prediction();
  const uint64_t core_fixed = platform.costs.core_fixed_ns * prediction.bytes_per_us / 1000;
  const uint64_t busiest = prediction.busiest_core - core_fixed;
  const uint64_t best = search.Busiest(plan.used_cores(), busiest) + core_fixed;
  return static_cast<double>(prediction.busiest_core) / static_cast<double>(best);
}

Row Measure(const Heads& heads, int cores, const Batch& batch) {
  const DecodeShape shape = Shape(heads, batch.lens.size());
  const Platform platform = *PlatformFor("Ascend910B1", cores);
  const DecodePlan plan = *PlanDecode(shape, platform, batch.lens.data(), batch.lens.size(), 0.1f);
  const SplitParams params = MakeSplitParams(Direct(shape), *ChooseTiles(Direct(shape)), platform);
  const BestCuts search(params, batch.lens);
  Row row = {plan.prediction().balance(), std::nullopt};
  if (plan.has_splits() && search.num_positions() < kMaxPositions) {
    row.vs_best = VersusBest(plan, search, platform);
  }
  const std::string vs_best = row.vs_best ? std::to_string(*row.vs_best).substr(0, 5) : "-";
  std::printf("  %-20s %2d/%d cores %4u items %2u splits  balance %.3f  vs best %5s  tokens %.3f\n",
              batch.name.c_str(), plan.used_cores(), cores, plan.header().num_items,
              plan.header().num_splits, row.balance, vs_best.c_str(), TokenRatio(plan));
  return row;
}

void PrintTitle(const Heads& heads, int cores) {
  std::printf("h%d kv%d, %d cores\n", static_cast<int>(heads.num_heads),
              static_cast<int>(heads.num_kv_heads), cores);
}

void ExpectBalanced(const Heads& heads, int cores) {
  PrintTitle(heads, cores);
  for (const Batch& batch : Batches()) {
    const Row row = Measure(heads, cores, batch);
    EXPECT_LE(row.balance, 1.05) << batch.name;
    EXPECT_LE(row.vs_best.value_or(1.0), 1.02) << batch.name;
  }
}

// Where even the best cuts leave more than five percent.
void ExpectCloseToBest(const Heads& heads, int cores) {
  PrintTitle(heads, cores);
  for (const Batch& batch : Batches()) {
    const Row row = Measure(heads, cores, batch);
    if (row.balance > 1.05) {
      ASSERT_TRUE(row.vs_best.has_value()) << batch.name << ": out of balance, not searched";
    }
    EXPECT_LE(row.vs_best.value_or(1.0), 1.02) << batch.name;
  }
}

TEST(Balance, BusiestCoreIsWithinFivePercentOfIdealForKv8) { ExpectBalanced({32, 8}, 24); }
TEST(Balance, BusiestCoreIsWithinFivePercentOfIdealForKv4) { ExpectBalanced({28, 4}, 24); }
TEST(Balance, BusiestCoreIsWithinFivePercentOfIdealForKv32) { ExpectBalanced({32, 32}, 24); }

// One kv head: a token is 512 bytes and a whole batch of this list 8 to 110 us.
// There the cuts themselves (an item and two partials for each boundary) are up
// to a tenth of a core's time, so the measure is the best possible cuts.
TEST(Balance, BusiestCoreIsCloseToTheBestCutsForKv1) { ExpectCloseToBest({16, 1}, 24); }

// 7, 20 and 25 cores do not divide these batches as well as 24.
TEST(Balance, BusiestCoreIsCloseToTheBestCutsForOtherCoreCounts) {
  for (const int cores : {7, 20, 25}) {
    ExpectCloseToBest({32, 8}, cores);
    ExpectCloseToBest({28, 4}, cores);
    ExpectCloseToBest({32, 32}, cores);
  }
}

// The measure itself: one sequence on 24 cores, where the answer is plain: every core
// takes the granules that fit between its start and the end of all.
TEST(Balance, SearchFindsTheBestCutsOfOneSequence) {
  const DecodeShape shape = Shape({32, 8}, 1);
  const SplitParams params =
      MakeSplitParams(Direct(shape), *ChooseTiles(Direct(shape)), *PlatformFor("Ascend910B1", 24));
  const uint64_t best = BestCuts(params, {4096}).Busiest(24, uint64_t{1} << 40);
  const auto granules_until = [&](uint64_t end) {
    uint64_t granules = 0;
    for (uint64_t core = 0; core < 24; ++core) {
      const uint64_t begin =
          core * params.core_start_cost + params.item_cost + 8 * params.partial_cost;
      if (begin < end) granules += (end - begin) / (8 * params.granule_cost);
    }
    return granules;
  };
  EXPECT_GE(granules_until(best), 256u);
  EXPECT_LT(granules_until(best - 1), 256u);
}

// Small random batches, where the search is cheap and everything can go wrong.
TEST(Balance, RandomBatchesAreCloseToTheBestCuts) {
  std::mt19937 random(5);
  int searched = 0;
  for (int round = 0; round < 200; ++round) {
    Batch batch = {"random", {}};
    batch.lens.resize(1 + random() % 12);
    for (int32_t& length : batch.lens) length = static_cast<int32_t>(random() % 900);
    const int cores = 2 + static_cast<int>(random() % 8);
    const DecodeShape shape = Shape({32, 8}, batch.lens.size());
    const Platform platform = *PlatformFor("Ascend910B1", cores);
    const DecodePlan plan =
        *PlanDecode(shape, platform, batch.lens.data(), batch.lens.size(), 0.1f);
    if (!plan.has_splits()) continue;
    const SplitParams params =
        MakeSplitParams(Direct(shape), *ChooseTiles(Direct(shape)), platform);
    ASSERT_LE(VersusBest(plan, BestCuts(params, batch.lens), platform), 1.03) << "round " << round;
    ++searched;
  }
  EXPECT_GT(searched, 50);
}

}  // namespace
}  // namespace ascend_attention
