// SPDX-License-Identifier: Apache-2.0
// Which budget the stream-K walk gets: the smallest one (to 1/128) with which
// the cores come to the end of the batch; how many cores; and whether segments
// may be cut, which costs one more kernel. Device-safe like the walk.
//
// Next: tiling/decode_planner.cc - prices, and the arrays the walk writes.
#ifndef ASCEND_ATTENTION_TILING_ABI_SPLIT_DECISION_H_
#define ASCEND_ATTENTION_TILING_ABI_SPLIT_DECISION_H_

#include "tiling/abi/split_walk.h"

namespace ascend_attention {

// One pass over the lengths.
struct LengthTotals {
  uint64_t granules;      // over all sequences
  uint64_t max_granules;  // longest sequence
  uint32_t num_empty;     // sequences of length 0
};

template <typename Lengths>
AA_HOST_DEVICE LengthTotals SumLengths(Lengths context_lens, uint32_t batch) {
  LengthTotals totals = {0, 0, 0};
  for (uint32_t sequence = 0; sequence < batch; ++sequence) {
    const uint64_t granules = split_walk::Granules(static_cast<uint32_t>(context_lens[sequence]));
    totals.granules += granules;
    totals.max_granules = split_walk::Max(totals.max_granules, granules);
    totals.num_empty += granules == 0;
  }
  return totals;
}

// Cost of the batch before anything is cut.
AA_HOST_DEVICE uint64_t TotalCost(const SplitParams& params, const LengthTotals& totals) {
  const uint64_t groups = NumGroups(params);
  return (params.batch - totals.num_empty) * groups * params.item_cost +
         totals.num_empty * groups * params.empty_item_cost +
         totals.granules * params.num_kv_heads * params.granule_cost;
}

// No plan that gives work to `cores` cores can bring the busiest below this: all
// cost, spread evenly. With fewer segments than cores, every further core costs
// a cut: one more item, one more partial, and one partial for the first cut.
AA_HOST_DEVICE uint64_t EvenShare(const SplitParams& params, const LengthTotals& totals,
                                  uint64_t cores) {
  const uint64_t segments = uint64_t{params.batch} * NumGroups(params);
  uint64_t cost = TotalCost(params, totals);
  if (cores > segments) {
    const uint64_t cuts = cores - segments;
    cost += cuts * params.item_cost;
    cost += (cuts + 1) * params.partial_cost * params.kv_heads_per_group;
  }
  return split_walk::CeilDivide(cost, cores);
}

// No core can do with less: an even share; without cuts the longest segment;
// with cuts one granule of a cut segment.
AA_HOST_DEVICE uint64_t LeastBudget(const SplitParams& params, const LengthTotals& totals,
                                    uint64_t cores, bool may_cut) {
  const uint64_t heads = params.kv_heads_per_group;
  uint64_t least = params.item_cost;
  if (may_cut) {
    least += heads * (params.granule_cost + params.partial_cost);
  } else {
    least += heads * params.granule_cost * totals.max_granules;
  }
  least = split_walk::Max(least, params.empty_item_cost);
  return split_walk::Max(least, EvenShare(params, totals, cores));
}

// The number of cores with the least estimated time: more cores share the
// work, but each has to be started. The budget is the least one.
AA_HOST_DEVICE SplitDecision BestCores(const SplitParams& params, const LengthTotals& totals,
                                       bool may_cut) {
  uint64_t limit = params.num_cores;
  if (!may_cut) limit = split_walk::Min(limit, uint64_t{params.batch} * NumGroups(params));
  SplitDecision best = {0, 0, may_cut};
  uint64_t best_cost = ~uint64_t{0};
  for (uint32_t cores = 1; cores <= limit; ++cores) {
    const uint64_t budget = LeastBudget(params, totals, cores, may_cut);
    const uint64_t cost = budget + cores * params.core_start_cost;
    if (cost < best_cost) {
      best_cost = cost;
      best.budget = budget;
      best.num_cores = cores;
    }
  }
  return best;
}

// Budgets this close (1/128) are as good as equal.
AA_HOST_DEVICE uint64_t BudgetStep(uint64_t budget) { return budget / 128 + 1; }

// Cost that finds no core; 0 if the decision is good for the batch.
template <typename Lengths>
AA_HOST_DEVICE uint64_t Leftover(const SplitParams& params, const SplitDecision& decision,
                                 Lengths context_lens) {
  CountOnly sink;
  return WalkSegments(params, decision, context_lens, sink).leftover;
}

// Lowers a budget that is enough towards one that is too small.
template <typename Lengths>
AA_HOST_DEVICE void Tighten(const SplitParams& params, Lengths context_lens, uint64_t too_small,
                            SplitDecision& decision) {
  uint64_t enough = decision.budget;
  while (enough - too_small > BudgetStep(enough)) {
    decision.budget = too_small + (enough - too_small) / 2;
    if (Leftover(params, decision, context_lens) == 0) {
      enough = decision.budget;
    } else {
      too_small = decision.budget;
    }
  }
  decision.budget = enough;
}

// With whole segments only. False if no budget up to `limit` is enough, which is
// the usual answer for a large batch: so that is tried first.
template <typename Lengths>
AA_HOST_DEVICE bool FindWholeBudget(const SplitParams& params, Lengths context_lens, uint64_t limit,
                                    SplitDecision& decision) {
  const uint64_t least = decision.budget;
  if (least > limit) return false;
  decision.budget = limit;
  if (Leftover(params, decision, context_lens) != 0) return false;
  Tighten(params, context_lens, least - 1, decision);
  return true;
}

// With cuts: begins with what a core is likely to need beyond the least budget.
// Cuts fall on granules; with a segment or more per core, each core ends in a cut.
template <typename Lengths>
AA_HOST_DEVICE void FindCutBudget(const SplitParams& params, Lengths context_lens,
                                  SplitDecision& decision) {
  const uint64_t heads = params.kv_heads_per_group;
  uint64_t too_small = decision.budget - 1;
  decision.budget += heads * params.granule_cost / 2;
  if (uint64_t{params.batch} * NumGroups(params) >= decision.num_cores) {
    decision.budget += params.item_cost + 2 * heads * params.partial_cost;
  }
  for (;;) {
    const uint64_t leftover = Leftover(params, decision, context_lens);
    if (leftover == 0) break;
    too_small = decision.budget;
    // What found no core is shared out.
    decision.budget += split_walk::Max(split_walk::CeilDivide(leftover, decision.num_cores),
                                       BudgetStep(decision.budget));
  }
  Tighten(params, context_lens, too_small, decision);
}

// Whole segments if that takes no longer than cutting and combining, else cuts.
template <typename Lengths>
AA_HOST_DEVICE SplitDecision DecideSplit(const SplitParams& params, const LengthTotals& totals,
                                         Lengths context_lens) {
  SplitDecision cut = BestCores(params, totals, true);
  SplitDecision whole = BestCores(params, totals, false);
  const uint64_t cut_cost =
      cut.budget + cut.num_cores * params.core_start_cost + params.combine_cost;
  const uint64_t whole_start = whole.num_cores * params.core_start_cost;
  if (whole_start < cut_cost &&
      FindWholeBudget(params, context_lens, cut_cost - whole_start, whole)) {
    return whole;
  }
  FindCutBudget(params, context_lens, cut);
  return cut;
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_SPLIT_DECISION_H_
