// SPDX-License-Identifier: Apache-2.0
// Prediction and checks of plans without work items.
#include "tiling/fifo_planner.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tiling/checked_math.h"

namespace ascend_attention {
namespace {

// Sums of costs stay below this, so that none of them wraps.
constexpr uint64_t kMaxCost = uint64_t{1} << 52;

// Costs by core. The ids of a sequence cost the same and follow each other around the
// cores: all cores get as many, some neighbours one more. Those are a step up at the
// first and a step down behind the last; the sum over the steps is the cost of a core.
class CoreCosts {
 public:
  explicit CoreCosts(uint32_t cores, uint64_t ids_per_sequence)
      : cores_(cores),
        rounds_(ids_per_sequence / cores),
        rest_(static_cast<uint32_t>(ids_per_sequence % cores)),
        steps_(cores + 1) {}

  // The next sequence, whose ids cost this much each.
  void Add(uint64_t cost) {
    all_ += rounds_ * cost;
    if (rest_ == 0) return;
    const uint32_t end = next_ + rest_;
    steps_[next_] += cost;
    if (end <= cores_) {
      steps_[end] -= cost;
    } else {
      steps_[cores_] -= cost;
      steps_[0] += cost;
      steps_[end - cores_] -= cost;
    }
    next_ = end >= cores_ ? end - cores_ : end;
  }

  // When the last core ends; core i starts i * core_start later than the first.
  uint64_t Busiest(uint64_t core_start) const {
    uint64_t cost = all_;
    uint64_t busiest = 0;
    for (uint32_t core = 0; core < cores_; ++core) {
      cost += steps_[core];
      busiest = std::max(busiest, core * core_start + cost);
    }
    return busiest;
  }

 private:
  const uint32_t cores_;
  const uint64_t rounds_;  // ids of every sequence that every core gets
  const uint32_t rest_;    // cores that get one more
  uint64_t all_ = 0;
  uint32_t next_ = 0;            // core of the next sequence's first id beyond the rounds
  std::vector<uint64_t> steps_;  // wrap below zero; their sums do not
};

Status CheckZero(const char* name, uint64_t value) {
  if (value == 0) return OkStatus();
  return InvalidArgument("plan: ", name, " = ", value, "; expected 0 on kv_route = fifo");
}

}  // namespace

uint64_t NumFifoIds(const DecodePlanHeader& header) {
  return uint64_t{header.batch} * header.num_kv_heads * header.kv_head_parts;
}

uint32_t NumFifoCores(const DecodePlanHeader& header) {
  return static_cast<uint32_t>(std::min<uint64_t>(header.num_cores, NumFifoIds(header)));
}

StatusOr<PlanPrediction> PredictFifo(const DecodePlanHeader& header, const FifoPrices& prices,
                                     const Platform& platform, const int32_t* context_lens) {
  const auto cost_of = [&prices](uint32_t pages) {
    return pages == 0 ? prices.empty_item_cost : prices.item_cost + pages * prices.step_cost;
  };
  const uint32_t page_tokens = header.kv_block_size;
  // 64 or 128: page counts are shifts.
  const uint32_t page_shift = page_tokens == 64 ? 6 : 7;
  const auto pages_of = [&](uint32_t sequence) {
    return (static_cast<uint32_t>(context_lens[sequence]) + page_tokens - 1) >> page_shift;
  };
  uint64_t pages = 0;
  uint64_t num_empty = 0;
  for (uint32_t sequence = 0; sequence < header.batch; ++sequence) {
    pages += pages_of(sequence);
    num_empty += context_lens[sequence] == 0;
  }
  const uint64_t ids_per_sequence = uint64_t{header.num_kv_heads} * header.kv_head_parts;
  const auto steps = CheckedProduct(pages, prices.step_cost, ids_per_sequence);
  const auto starts =
      CheckedProduct(header.batch, prices.item_cost + prices.empty_item_cost, ids_per_sequence);
  if (!steps || !starts || *steps >= kMaxCost || *starts >= kMaxCost) {
    return OutOfRange("context_lens: ", pages, " pages of ", page_tokens, " tokens, ",
                      NumFifoIds(header),
                      " pieces of work; their cost is more than can be counted");
  }
  const uint32_t cores = NumFifoCores(header);
  CoreCosts costs(cores, ids_per_sequence);
  for (uint32_t sequence = 0; sequence < header.batch; ++sequence) {
    costs.Add(cost_of(pages_of(sequence)));
  }
  const uint64_t total =
      *steps + ids_per_sequence * ((header.batch - num_empty) * prices.item_cost +
                                   num_empty * prices.empty_item_cost);
  const uint64_t all_starts = prices.core_start_cost * (uint64_t{cores} * (cores - 1) / 2);
  PlanPrediction prediction;
  prediction.bytes_per_us = CoreShare(platform);
  const uint64_t core_cost = CostOf(platform.costs.core_fixed_ns, prediction.bytes_per_us);
  prediction.busiest_core = core_cost + costs.Busiest(prices.core_start_cost);
  prediction.ideal = core_cost + CeilDiv(total + all_starts, cores);
  return prediction;
}

Status CheckFifoPlan(const DecodePlanHeader& header, const int32_t* context_lens) {
  AA_RETURN_IF_ERROR(CheckZero("num_items", header.num_items));
  AA_RETURN_IF_ERROR(CheckZero("num_splits", header.num_splits));
  AA_RETURN_IF_ERROR(CheckZero("num_partials", header.num_partials));
  if (header.num_query_rows != header.batch) {
    return InvalidArgument("plan: num_query_rows = ", header.num_query_rows, "; expected ",
                           header.batch, ", one a sequence");
  }
  const int64_t longest = int64_t{header.max_kv_blocks} * header.kv_block_size;
  for (uint32_t sequence = 0; sequence < header.batch; ++sequence) {
    const int32_t length = context_lens[sequence];
    if (length >= 0 && length <= longest) continue;
    return InvalidArgument("plan: context_lens[", sequence, "] = ", length, "; expected 0..",
                           longest);
  }
  return OkStatus();
}

}  // namespace ascend_attention
