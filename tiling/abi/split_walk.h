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
// Cost is counted in bytes of KV at one core's share of the bandwidth.
//
// Next: tiling/abi/split_decision.h - which budget, and whether cutting pays.
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
    items[index].visible_tokens = item.visible_tokens;
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
    const uint32_t heads = params_.kv_heads_per_group;
    const uint32_t last_heads = params_.num_kv_heads % heads;  // of a smaller last group, or 0
    const Price price = PriceOf(heads);
    const Price last_price = PriceOf(last_heads);
    for (uint32_t sequence = 0; sequence < params_.batch; ++sequence) {
      const uint32_t tokens = static_cast<uint32_t>(context_lens_[sequence]);
      uint32_t head = 0;
      for (; head + heads <= params_.num_kv_heads; head += heads) {
        Place(WholeSegment(sequence, head, heads, tokens), price);
      }
      if (last_heads != 0) {
        Place(WholeSegment(sequence, head, last_heads, tokens), last_price);
      }
    }
    if (num_items_ != first_item_) FinishCore();
    return WalkResult{busiest_, leftover_, core_, num_items_, num_splits_, num_partials_};
  }

 private:
  // Of one kv-head group.
  struct Price {
    uint64_t granule;
    uint64_t part;  // an item of a cut segment, beside its granules
  };

  AA_HOST_DEVICE Price PriceOf(uint32_t heads) const {
    return Price{params_.granule_cost * heads, params_.item_cost + params_.partial_cost * heads};
  }

  static AA_HOST_DEVICE WorkItem WholeSegment(uint32_t sequence, uint32_t head, uint32_t heads,
                                              uint32_t tokens) {
    return WorkItem{sequence,  sequence, 1, head, heads, 0, tokens, static_cast<int32_t>(tokens),
                    kNoPartial};
  }

  // `segment`: the item of a whole segment.
  AA_HOST_DEVICE void Place(const WorkItem& segment, const Price& price) {
    const uint64_t granules = split_walk::Granules(segment.token_end);
    const uint64_t fixed = granules == 0 ? params_.empty_item_cost : params_.item_cost;
    const uint64_t cost = fixed + granules * price.granule;
    if (Fits(cost)) {
      AddItem(segment, cost);
    } else {
      PlaceOverCores(segment, price, granules, cost);
    }
  }

  // Fills cores with parts of the segment until what is left fits one: all of
  // it, if no part has found room.
  AA_HOST_DEVICE void PlaceOverCores(WorkItem rest, const Price& price, uint64_t granules,
                                     uint64_t whole_cost) {
    const uint32_t tokens = rest.token_end;
    const uint32_t first_partial = num_partials_;
    uint64_t cost = whole_cost;
    while (core_ != decision_.num_cores && !Fits(cost)) {
      const uint64_t part_granules = GranulesThatFit(price);
      if (part_granules != 0) {
        rest.token_end = rest.token_begin + static_cast<uint32_t>(part_granules) * kTokenGranule;
        rest.partial = num_partials_++;
        AddItem(rest, price.part + part_granules * price.granule);
        rest.token_begin = rest.token_end;
        granules -= part_granules;
        cost = price.part + granules * price.granule;
      }
      FinishCore();
    }
    if (core_ == decision_.num_cores) {
      leftover_ += cost;
      return;
    }
    rest.token_end = tokens;
    const bool is_cut = num_partials_ != first_partial;
    if (is_cut) rest.partial = num_partials_++;
    AddItem(rest, cost);
    if (is_cut) AddSplit(rest, first_partial);
  }

  AA_HOST_DEVICE bool Fits(uint64_t cost) const {
    return core_ != decision_.num_cores && used_ + cost <= decision_.budget;
  }

  // How much of a segment that does not fit as a whole this core should take.
  AA_HOST_DEVICE uint64_t GranulesThatFit(const Price& price) const {
    if (!decision_.may_cut || used_ + price.part >= decision_.budget) return 0;
    const uint64_t room = decision_.budget - used_ - price.part;
    // A cut adds an item and a partial; a part that carries less than half of
    // that is a sliver. A core without items takes what it can.
    const bool is_sliver = used_ != 0 && room <= price.part / 2;
    return is_sliver ? 0 : room / price.granule;
  }

  AA_HOST_DEVICE void AddItem(const WorkItem& item, uint64_t cost) {
    sink_.AddItem(num_items_++, item);
    used_ += cost;
  }

  AA_HOST_DEVICE void AddSplit(const WorkItem& item, uint32_t first_partial) {
    sink_.AddSplit(num_splits_++,
                   SplitRange{item.query_row, item.q_len, item.kv_head_begin, item.kv_head_count,
                              first_partial, num_partials_ - first_partial});
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

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_
