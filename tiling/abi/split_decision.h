// SPDX-License-Identifier: Apache-2.0
// Which budget the stream-K walk gets: the smallest one (to 1/128) with which
// the cores come to the end of the batch; how many cores; and whether segments
// may be cut, which costs a merge. Device-safe like the walk.
//
// Next: tiling/decode_planner.cc - prices, and the arrays the walk writes.
#ifndef ASCEND_ATTENTION_TILING_ABI_SPLIT_DECISION_H_
#define ASCEND_ATTENTION_TILING_ABI_SPLIT_DECISION_H_

#include "tiling/abi/split_walk.h"

namespace ascend_attention {

// One pass over the lengths. Counts are of query blocks: each has NumGroups
// segments.
struct LengthTotals {
  uint64_t granules;      // over all query blocks
  uint64_t max_granules;  // of one query block
  uint64_t num_blocks;
  uint64_t num_empty;       // query blocks that see no token
  uint64_t num_cut_blocks;  // by fixed_split_granules
  uint64_t num_parts;       // of those
  uint64_t num_query_rows;
};

namespace split_decision {

AA_HOST_DEVICE void AddBlock(const SplitParams& params, uint32_t tokens, LengthTotals& totals) {
  const uint64_t granules = split_walk::Granules(tokens);
  totals.granules += granules;
  totals.max_granules = split_walk::Max(totals.max_granules, granules);
  totals.num_blocks += 1;
  totals.num_empty += granules == 0;
  if (params.fixed_split_granules != 0 && granules > params.fixed_split_granules) {
    totals.num_cut_blocks += 1;
    totals.num_parts += split_walk::CeilDivide(granules, params.fixed_split_granules);
  }
}

// The usual batch, in a loop without branches: one query token each, no fixed
// cuts.
template <typename Lengths>
AA_HOST_DEVICE LengthTotals SumSingles(const SplitParams& params, const Lengths& lengths) {
  uint64_t sum = 0;
  uint32_t most = 0;
  uint32_t num_empty = 0;
  for (uint32_t sequence = 0; sequence < params.batch; ++sequence) {
    // Wraps for no length below 2^31.
    const uint32_t tokens = static_cast<uint32_t>(lengths.context_lens[sequence]);
    const uint32_t granules = (tokens + kTokenGranule - 1) / kTokenGranule;
    sum += granules;
    most = most < granules ? granules : most;
    num_empty += granules == 0;
  }
  return LengthTotals{sum, most, params.batch, num_empty, 0, 0, params.batch};
}

}  // namespace split_decision

template <typename Lengths>
AA_HOST_DEVICE LengthTotals SumLengths(const SplitParams& params, const Lengths& lengths) {
  if (lengths.q_lens == nullptr && params.fixed_split_granules == 0) {
    return split_decision::SumSingles(params, lengths);
  }
  LengthTotals totals = {};
  for (uint32_t sequence = 0; sequence < params.batch; ++sequence) {
    const int32_t context_len = lengths.context_lens[sequence];
    const uint32_t q_len =
        lengths.q_lens == nullptr ? 1 : static_cast<uint32_t>(lengths.q_lens[sequence]);
    for (uint32_t token = 0; token < q_len; token += params.q_tokens_per_item) {
      const auto q_tokens =
          static_cast<uint32_t>(split_walk::Min(q_len - token, params.q_tokens_per_item));
      const int32_t visible = split_walk::VisibleTokens(context_len, q_len, token);
      split_decision::AddBlock(params, split_walk::TokensOf(visible, q_tokens), totals);
    }
    totals.num_query_rows += q_len;
  }
  return totals;
}

// Cost of the batch with no cuts but the fixed ones.
AA_HOST_DEVICE uint64_t TotalCost(const SplitParams& params, const LengthTotals& totals) {
  const uint64_t groups = NumGroups(params);
  const uint64_t whole = totals.num_blocks - totals.num_empty - totals.num_cut_blocks;
  return (whole + totals.num_parts) * groups * params.item_cost +
         totals.num_parts * params.num_kv_heads * params.partial_cost +
         totals.num_empty * groups * params.empty_item_cost +
         totals.granules * params.num_kv_heads * params.granule_cost;
}

// What cores can take one by one, if there are no further cuts.
AA_HOST_DEVICE uint64_t NumUnits(const SplitParams& params, const LengthTotals& totals) {
  return (totals.num_blocks - totals.num_cut_blocks + totals.num_parts) * NumGroups(params);
}

// No plan that gives work to `cores` cores can bring the last one to an end below this:
// all cost, spread so that all end together. Cores start one after the other. With fewer segments
// than cores, every further core costs a cut: one more item, one more partial, and one partial for
// the first cut.
AA_HOST_DEVICE uint64_t EvenShare(const SplitParams& params, const LengthTotals& totals,
                                  uint64_t cores) {
  const uint64_t units = NumUnits(params, totals);
  uint64_t cost = TotalCost(params, totals);
  if (cores > units) {
    const uint64_t cuts = cores - units;
    cost += cuts * params.item_cost;
    cost += (cuts + 1) * params.partial_cost * params.kv_heads_per_group;
  }
  cost += params.core_start_cost * (cores * (cores - 1) / 2);
  return split_walk::CeilDivide(cost, cores);
}

// No core can do with less, whatever the others do: without cuts the longest
// segment or fixed part; with cuts one granule of a cut segment.
AA_HOST_DEVICE uint64_t LeastUnit(const SplitParams& params, const LengthTotals& totals,
                                  bool may_cut) {
  const uint64_t heads = params.kv_heads_per_group;
  const bool has_parts = may_cut || totals.num_parts != 0;
  uint64_t granules = may_cut ? 1 : totals.max_granules;
  if (totals.num_parts != 0) granules = params.fixed_split_granules;
  const uint64_t least = params.item_cost + heads * granules * params.granule_cost +
                         (has_parts ? heads * params.partial_cost : 0);
  return split_walk::Max(least, params.empty_item_cost);
}

// Cuts fall on granules: some core has at least its share of them rounded up, if
// all groups have the same number of kv heads.
AA_HOST_DEVICE uint64_t LeastGranules(const SplitParams& params, const LengthTotals& totals,
                                      uint64_t cores) {
  if (params.num_kv_heads % params.kv_heads_per_group != 0) return 0;
  const uint64_t granules = split_walk::CeilDivide(totals.granules * NumGroups(params), cores);
  const uint64_t partial = cores > NumUnits(params, totals) ? params.partial_cost : 0;
  return params.item_cost + params.kv_heads_per_group * (granules * params.granule_cost + partial);
}

// The last core to start has at least an item, of a granule if it has tokens.
AA_HOST_DEVICE uint64_t LeastOfLast(const SplitParams& params, const LengthTotals& totals,
                                    uint64_t cores) {
  const uint64_t item = totals.num_empty != 0
                            ? split_walk::Min(params.item_cost, params.empty_item_cost)
                            : params.item_cost + params.granule_cost;
  return (cores - 1) * params.core_start_cost + item;
}

// The number of cores with the least estimated time: more cores share the
// work, but each starts later than the one before. The budget is the least one.
AA_HOST_DEVICE SplitDecision BestCores(const SplitParams& params, const LengthTotals& totals,
                                       bool may_cut) {
  const uint64_t units = NumUnits(params, totals);
  const uint64_t limit = may_cut ? params.num_cores : split_walk::Min(params.num_cores, units);
  const uint64_t least = LeastUnit(params, totals, may_cut);
  // Enough work for all: the last core still takes more from the others than
  // its start costs. Rounding up adds less than one to either side.
  const uint64_t even = EvenShare(params, totals, limit);
  if (units >= limit && even >= least && even >= limit * (params.core_start_cost + 2) &&
      even >= LeastOfLast(params, totals, limit)) {
    return SplitDecision{even, static_cast<uint32_t>(limit), may_cut};
  }
  SplitDecision best = {~uint64_t{0}, 0, may_cut};
  for (uint32_t cores = 1; cores <= limit; ++cores) {
    uint64_t budget = split_walk::Max(least, EvenShare(params, totals, cores));
    budget = split_walk::Max(budget, LeastOfLast(params, totals, cores));
    if (totals.granules != 0) {
      budget = split_walk::Max(budget, LeastGranules(params, totals, cores));
    }
    if (budget < best.budget) {
      best.budget = budget;
      best.num_cores = cores;
    }
  }
  return best;
}

// Budgets this close (1/128) are as good as equal.
AA_HOST_DEVICE uint64_t BudgetStep(uint64_t budget) { return budget / 128 + 1; }

template <typename Lengths>
AA_HOST_DEVICE WalkResult TryBudget(const SplitParams& params, const SplitDecision& decision,
                                    const Lengths& lengths) {
  CountOnly sink;
  return WalkSegments(params, decision, lengths, sink);
}

// The smallest budget that is enough, from decision.budget on. A walk says how
// far off its budget was: what found no core, or what was left over at the end;
// the next one tries that. Between a budget that is enough and one that is not,
// a guess outside gives way to the middle.
template <typename Lengths>
AA_HOST_DEVICE void FindBudget(const SplitParams& params, const Lengths& lengths,
                               uint64_t too_small, SplitDecision& decision) {
  const uint64_t cut_grain = params.granule_cost * params.kv_heads_per_group;
  uint64_t enough = 0;  // 0: not known yet
  for (;;) {
    const uint64_t budget = decision.budget;
    const WalkResult walk = TryBudget(params, decision, lengths);
    const uint64_t step = BudgetStep(budget);
    if (walk.leftover != 0) {
      too_small = budget;
      const uint64_t missing = split_walk::CeilDivide(walk.leftover, decision.num_cores);
      decision.budget = budget + split_walk::Max(missing, step);
    } else if (decision.may_cut) {
      enough = budget;
      // All cores but the last are full, to a granule: if those are small, a
      // smaller budget can win no more than what is left over.
      if (4 * cut_grain <= step && walk.spare <= step) break;
      decision.budget = budget - walk.spare;
    } else {
      enough = walk.busiest;     // the same segments on every core
      decision.budget = enough;  // no guess: cores end where segments do
    }
    if (enough == 0) continue;
    if (enough <= too_small + step) break;
    if (decision.budget <= too_small || decision.budget >= enough) {
      decision.budget = too_small + (enough - too_small) / 2;
    }
  }
  decision.budget = enough;
}

// With whole segments only. False if no budget up to `limit` is enough, which is
// the usual answer for a large batch: so that is tried first.
template <typename Lengths>
AA_HOST_DEVICE bool FindWholeBudget(const SplitParams& params, const Lengths& lengths,
                                    uint64_t limit, SplitDecision& decision) {
  const uint64_t least = decision.budget;
  if (least > limit) return false;
  decision.budget = limit;
  if (TryBudget(params, decision, lengths).leftover != 0) return false;
  FindBudget(params, lengths, least - 1, decision);
  return true;
}

// With cuts: begins with what a core is likely to need beyond the least budget.
// Cuts fall on granules; with a segment or more per core, each core ends in a cut.
template <typename Lengths>
AA_HOST_DEVICE void FindCutBudget(const SplitParams& params, const LengthTotals& totals,
                                  const Lengths& lengths, SplitDecision& decision) {
  const uint64_t heads = params.kv_heads_per_group;
  const uint64_t too_small = decision.budget - 1;
  decision.budget += heads * params.granule_cost / 2;
  if (NumUnits(params, totals) >= decision.num_cores) {
    decision.budget += params.item_cost + 2 * heads * params.partial_cost;
  }
  FindBudget(params, lengths, too_small, decision);
}

// Whole segments if that takes no longer than cutting and merging, else cuts.
// With fixed cuts there is nothing to choose.
template <typename Lengths>
AA_HOST_DEVICE SplitDecision DecideSplit(const SplitParams& params, const LengthTotals& totals,
                                         const Lengths& lengths) {
  SplitDecision whole = BestCores(params, totals, false);
  if (params.fixed_split_granules != 0) {
    FindBudget(params, lengths, whole.budget - 1, whole);
    return whole;
  }
  SplitDecision cut = BestCores(params, totals, true);
  if (FindWholeBudget(params, lengths, cut.budget + params.merge_cost, whole)) return whole;
  FindCutBudget(params, totals, lengths, cut);
  return cut;
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_SPLIT_DECISION_H_
