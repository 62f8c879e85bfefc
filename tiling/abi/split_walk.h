// SPDX-License-Identifier: Apache-2.0
// Stream-K: cuts the work of a batch into contiguous parts of equal cost, one
// per core. Integer-only and device-safe (no standard library, no recursion, no
// memory of its own), so that host and device reach the same cuts.
//
// A segment is one (sequence, kv-head group). Segments lie end to end, sequence
// by sequence; a core takes whole segments until the next one no longer fits
// its budget, then as many 16-token granules of it as still fit:
//
//   cost of an item   = item_cost + granules x granule_cost
//                       (+ partial_cost if its segment is cut)
//   cost of a core    = sum of its items <= budget, the same for all cores
//
// WalkSegments spends one budget; DecideSplit finds the smallest budget (to 1/128)
// with which the cores come to the end of the batch, and whether cutting pays.
// Cost is counted in bytes of KV at one core's share of the bandwidth.
//
// Next: tiling/decode_planner.cc - prices, and the arrays the walk writes.
#ifndef ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_
#define ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_

#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

// What the walk knows besides the lengths. Plain data: a kernel gets it as is.
struct SplitParams {
  uint32_t batch;
  uint32_t num_cores;
  uint32_t num_kv_heads;
  uint32_t kv_heads_per_group;
  uint64_t item_cost;        // any item with tokens
  uint64_t empty_item_cost;  // an item of an empty sequence
  uint64_t granule_cost;     // 16 tokens of one kv head
  uint64_t partial_cost;     // writing and merging the partial result of one kv head
  uint64_t core_start_cost;  // one more core
  uint64_t combine_cost;     // one more kernel, if anything is cut
};

// One pass over the lengths.
struct LengthTotals {
  uint64_t granules;      // over all sequences
  uint64_t max_granules;  // longest sequence
  uint32_t num_empty;     // sequences of length 0
};

// How a batch is to be walked.
struct SplitDecision {
  uint64_t budget;     // cost that no core exceeds
  uint32_t num_cores;  // cores that may be used
  uint32_t may_cut;    // 0: every segment stays whole
};

// What came of a walk.
struct WalkResult {
  uint64_t busiest;   // cost of the most loaded core
  uint64_t leftover;  // cost that found no core; 0: the walk covers the batch
  uint32_t num_cores_used;
  uint32_t num_items;
  uint32_t num_splits;
  uint32_t num_partials;
};

namespace split_walk {

AA_HOST_DEVICE uint64_t Min(uint64_t a, uint64_t b) { return a < b ? a : b; }
AA_HOST_DEVICE uint64_t Max(uint64_t a, uint64_t b) { return a < b ? b : a; }
AA_HOST_DEVICE uint64_t CeilDivide(uint64_t a, uint64_t b) { return (a + b - 1) / b; }
AA_HOST_DEVICE uint64_t Granules(uint64_t tokens) {
  return (tokens + kTokenGranule - 1) / kTokenGranule;
}

}  // namespace split_walk

AA_HOST_DEVICE uint32_t NumGroups(const SplitParams& params) {
  return (params.num_kv_heads + params.kv_heads_per_group - 1) / params.kv_heads_per_group;
}

// At most this many segments are cut, into at most this many partial results.
//
// A boundary between two neighbouring cores lies inside at most one segment,
// and there are num_cores - 1 boundaries. A segment with c >= 1 boundaries
// inside has c + 1 parts. Summed over the cut segments:
//   parts = boundaries + cut segments <= (num_cores - 1) + cut segments,
// and cut segments <= min(num_cores - 1, segments). So at most 2 (num_cores - 1).
AA_HOST_DEVICE uint64_t MaxSplits(const SplitParams& params) {
  const uint64_t segments = uint64_t{params.batch} * NumGroups(params);
  return split_walk::Min(params.num_cores - 1, segments);
}
AA_HOST_DEVICE uint64_t MaxPartials(const SplitParams& params) {
  return params.num_cores - 1 + MaxSplits(params);
}
// Every segment is an item, and every boundary inside a segment one more.
AA_HOST_DEVICE uint64_t MaxItems(const SplitParams& params) {
  return uint64_t{params.batch} * NumGroups(params) + params.num_cores - 1;
}

// `Lengths` is a pointer to int32_t in whatever memory the lengths are.
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

// Takes nothing down: for walks that only try a budget.
struct CountOnly {
  AA_HOST_DEVICE void AddItem(uint32_t, const WorkItem&) {}
  AA_HOST_DEVICE void AddSplit(uint32_t, const SplitRange&) {}
  AA_HOST_DEVICE void AddCore(uint32_t, uint32_t, uint32_t) {}
};

// Writes the arrays of a plan, field by field: a device store may not copy a
// struct between memories. The pointers may point to any memory.
template <typename CoreItemsPtr, typename WorkItemPtr, typename SplitRangePtr>
struct PlanArrays {
  CoreItemsPtr cores;
  WorkItemPtr items;
  SplitRangePtr splits;

  AA_HOST_DEVICE void AddItem(uint32_t index, const WorkItem& item) {
    items[index].sequence = item.sequence;
    items[index].query_row = item.query_row;
    items[index].q_len = item.q_len;
    items[index].kv_head_begin = item.kv_head_begin;
    items[index].kv_head_count = item.kv_head_count;
    items[index].token_begin = item.token_begin;
    items[index].token_end = item.token_end;
    items[index].partial = item.partial;
  }
  AA_HOST_DEVICE void AddSplit(uint32_t index, const SplitRange& split) {
    splits[index].query_row = split.query_row;
    splits[index].q_len = split.q_len;
    splits[index].kv_head_begin = split.kv_head_begin;
    splits[index].kv_head_count = split.kv_head_count;
    splits[index].first_partial = split.first_partial;
    splits[index].num_partials = split.num_partials;
  }
  AA_HOST_DEVICE void AddCore(uint32_t index, uint32_t first_item, uint32_t item_count) {
    cores[index].first_item = first_item;
    cores[index].item_count = item_count;
  }
};

// Walks the segments of a batch with one budget for every core. `sink` is told
// items, splits and cores in order, each with its index. Cores after
// num_cores_used are not told.
template <typename Lengths, typename Sink>
class SegmentWalk {
 public:
  AA_HOST_DEVICE SegmentWalk(const SplitParams& params, const SplitDecision& decision,
                             Lengths context_lens, Sink& sink)
      : params_(params), decision_(decision), context_lens_(context_lens), sink_(sink) {}

  AA_HOST_DEVICE WalkResult Run() {
    for (uint32_t sequence = 0; sequence < params_.batch; ++sequence) {
      const uint32_t tokens = static_cast<uint32_t>(context_lens_[sequence]);
      for (uint32_t head = 0; head < params_.num_kv_heads; head += params_.kv_heads_per_group) {
        Place(sequence, head, tokens);
      }
    }
    if (num_items_ != first_item_) FinishCore();
    return WalkResult{busiest_, leftover_, core_, num_items_, num_splits_, num_partials_};
  }

 private:
  // Where the segment in hand stands.
  struct Segment {
    WorkItem item;  // token_begin: first token without a core
    uint64_t granule_cost;
    uint64_t partial_cost;
    uint64_t granules;  // without a core
    uint32_t tokens;
    uint32_t first_partial;
  };

  AA_HOST_DEVICE void Place(uint32_t sequence, uint32_t head, uint32_t tokens) {
    const uint32_t heads = static_cast<uint32_t>(
        split_walk::Min(params_.kv_heads_per_group, params_.num_kv_heads - head));
    Segment segment;
    segment.item = WorkItem{sequence, sequence, 1, head, heads, 0, tokens, kNoPartial};
    segment.granule_cost = params_.granule_cost * heads;
    segment.partial_cost = params_.partial_cost * heads;
    segment.granules = split_walk::Granules(tokens);
    segment.tokens = tokens;
    segment.first_partial = num_partials_;
    while (!PlaceWhole(segment)) PlacePart(segment);
  }

  // Puts the rest of the segment on this core if it fits, or anywhere if there
  // is no core left to be found.
  AA_HOST_DEVICE bool PlaceWhole(Segment& segment) {
    const bool is_cut = segment.item.token_begin != 0;
    uint64_t cost = segment.granules * segment.granule_cost;
    cost += segment.tokens == 0 ? params_.empty_item_cost : params_.item_cost;
    if (is_cut) cost += segment.partial_cost;
    if (core_ == decision_.num_cores) {
      leftover_ += cost;
      return true;
    }
    if (used_ + cost > decision_.budget) return false;
    segment.item.token_end = segment.tokens;
    AddItem(segment, is_cut, cost);
    if (is_cut) AddSplit(segment);
    return true;
  }

  // Fills this core with the beginning of the segment, unless that would be a
  // sliver, and goes to the next core.
  AA_HOST_DEVICE void PlacePart(Segment& segment) {
    const uint64_t overhead = params_.item_cost + segment.partial_cost;
    if (decision_.may_cut && used_ + overhead < decision_.budget) {
      const uint64_t room = decision_.budget - used_ - overhead;
      // A cut adds an item and a partial; a part that carries less than half of
      // that is a sliver. A core without items takes what it can.
      if (used_ == 0 || room > overhead / 2) {
        // Fewer than the segment has left, or PlaceWhole would have taken it.
        const uint64_t granules = room / segment.granule_cost;
        if (granules != 0) AddPart(segment, granules, overhead);
      }
    }
    FinishCore();
  }

  AA_HOST_DEVICE void AddPart(Segment& segment, uint64_t granules, uint64_t overhead) {
    segment.item.token_end =
        segment.item.token_begin + static_cast<uint32_t>(granules) * kTokenGranule;
    AddItem(segment, true, overhead + granules * segment.granule_cost);
    segment.item.token_begin = segment.item.token_end;
    segment.granules -= granules;
  }

  AA_HOST_DEVICE void AddItem(Segment& segment, bool is_cut, uint64_t cost) {
    segment.item.partial = is_cut ? num_partials_++ : kNoPartial;
    sink_.AddItem(num_items_++, segment.item);
    used_ += cost;
  }

  AA_HOST_DEVICE void AddSplit(const Segment& segment) {
    const WorkItem& item = segment.item;
    sink_.AddSplit(num_splits_++,
                   SplitRange{item.query_row, item.q_len, item.kv_head_begin, item.kv_head_count,
                              segment.first_partial, num_partials_ - segment.first_partial});
  }

  AA_HOST_DEVICE void FinishCore() {
    sink_.AddCore(core_++, first_item_, num_items_ - first_item_);
    busiest_ = split_walk::Max(busiest_, used_);
    first_item_ = num_items_;
    used_ = 0;
  }

  const SplitParams& params_;
  const SplitDecision& decision_;
  Lengths context_lens_;
  Sink& sink_;

  uint64_t busiest_ = 0;
  uint64_t leftover_ = 0;
  uint64_t used_ = 0;  // cost of the core in hand
  uint32_t core_ = 0;
  uint32_t first_item_ = 0;  // of the core in hand
  uint32_t num_items_ = 0;
  uint32_t num_splits_ = 0;
  uint32_t num_partials_ = 0;
};

template <typename Lengths, typename Sink>
AA_HOST_DEVICE WalkResult WalkSegments(const SplitParams& params, const SplitDecision& decision,
                                       Lengths context_lens, Sink& sink) {
  return SegmentWalk<Lengths, Sink>(params, decision, context_lens, sink).Run();
}

// Cost of the batch before anything is cut.
AA_HOST_DEVICE uint64_t TotalCost(const SplitParams& params, const LengthTotals& totals) {
  const uint64_t groups = NumGroups(params);
  return (params.batch - totals.num_empty) * groups * params.item_cost +
         totals.num_empty * groups * params.empty_item_cost +
         totals.granules * params.num_kv_heads * params.granule_cost;
}

// No plan can bring the busiest of `cores` cores below this: all cost, spread
// evenly. With fewer segments than cores, every further core costs a cut: one
// more item, one more partial, and one partial for the first cut.
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

// What a core is likely to need beyond the least budget: cuts fall on granules,
// and if there is at least one segment per core, each core ends with a cut.
AA_HOST_DEVICE uint64_t LikelyExcess(const SplitParams& params, const SplitDecision& decision) {
  if (!decision.may_cut) return 0;
  const uint64_t heads = params.kv_heads_per_group;
  uint64_t excess = heads * params.granule_cost / 2;
  if (uint64_t{params.batch} * NumGroups(params) >= decision.num_cores) {
    excess += params.item_cost + 2 * heads * params.partial_cost;
  }
  return excess;
}

// Budgets this close (1/128) are as good as equal.
AA_HOST_DEVICE uint64_t BudgetStep(uint64_t budget) { return budget / 128 + 1; }

// Raises the least budget of `decision` until the batch fits, then halves what
// was raised too much. False if the budget would pass `limit`.
template <typename Lengths>
AA_HOST_DEVICE bool FindBudget(const SplitParams& params, Lengths context_lens, uint64_t limit,
                               SplitDecision& decision) {
  CountOnly sink;
  uint64_t too_small = decision.budget - 1;
  decision.budget = split_walk::Min(limit, decision.budget + LikelyExcess(params, decision));
  for (;;) {
    const uint64_t leftover = WalkSegments(params, decision, context_lens, sink).leftover;
    if (leftover == 0) break;
    if (decision.budget == limit) return false;
    too_small = decision.budget;
    // What found no core is shared out.
    const uint64_t raise = split_walk::Max(split_walk::CeilDivide(leftover, decision.num_cores),
                                           BudgetStep(decision.budget));
    decision.budget = split_walk::Min(limit, decision.budget + raise);
  }
  uint64_t enough = decision.budget;
  while (enough - too_small > BudgetStep(enough)) {
    decision.budget = too_small + (enough - too_small) / 2;
    if (WalkSegments(params, decision, context_lens, sink).leftover == 0) {
      enough = decision.budget;
    } else {
      too_small = decision.budget;
    }
  }
  decision.budget = enough;
  return true;
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
  if (whole.budget + whole_start <= cut_cost &&
      FindBudget(params, context_lens, cut_cost - whole_start, whole)) {
    return whole;
  }
  FindBudget(params, context_lens, ~uint64_t{0}, cut);
  return cut;
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_
