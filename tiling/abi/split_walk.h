// SPDX-License-Identifier: Apache-2.0
// Stream-K: cuts the work of a batch into contiguous parts of equal cost, one
// per core. Integer-only and device-safe (no standard library, no recursion, no
// memory of its own), so that host and device reach the same cuts.
//
// A segment is one (sequence, query block, kv-head group); a query block is at
// most q_tokens_per_item neighbouring query tokens. Segments lie end to end in
// that order; a core takes whole segments until the next one no longer fits its
// budget, then as many 16-token granules of it as still fit:
//
//   cost of an item   = item_cost + granules x granule_cost
//                       (+ partial_cost if its segment is cut)
//   cost of a core    = core_start_cost x cores started before it + sum of its items
//                       <= budget, the same for all cores
//
// With fixed_split_granules, segments are cut at its multiples and nowhere else,
// so that the parts of a sequence do not depend on its batch; cores take whole
// parts.
//
// Next: tiling/abi/split_decision.h - which budget, and whether cutting pays.
#ifndef ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_
#define ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_

#include "tiling/abi/decode_plan.h"
#include "tiling/abi/split_params.h"

namespace ascend_attention {

// How a batch is to be walked.
struct SplitDecision {
  uint64_t budget;     // cost that no core exceeds
  uint32_t num_cores;  // cores that may be used
  uint32_t may_cut;    // 0: every segment, or fixed part of one, stays whole
};

// What came of a walk.
struct WalkResult {
  uint64_t busiest;   // cost of the core that ends last
  uint64_t leftover;  // cost that found no core; 0: the walk covers the batch
  uint64_t spare;     // budget left over at the end of the batch, shared over all cores
  uint32_t num_cores_used;
  uint32_t num_items;
  uint32_t num_splits;
  uint32_t num_partials;
};

// Takes nothing down: for walks that only try a budget.
struct CountOnly {
  static constexpr bool kTakesItems = false;
  AA_HOST_DEVICE void AddItem(uint32_t, const WorkItem&) {}
  AA_HOST_DEVICE void AddSplit(uint32_t, const SplitRange&) {}
  AA_HOST_DEVICE void AddCore(uint32_t, uint32_t, uint32_t) {}
};

// Writes the arrays of a plan, field by field: a device store may not copy a
// struct between memories. The pointers may point to any memory.
template <typename CoreItemsPtr, typename WorkItemPtr, typename SplitRangePtr>
struct PlanArrays {
  static constexpr bool kTakesItems = true;

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

// At most q_tokens_per_item neighbouring query tokens of one sequence.
struct QueryBlock {
  uint32_t sequence;
  uint32_t query_row;
  uint32_t q_len;
  int32_t visible_tokens;
};

// Walks the segments of a batch with one budget for every core. `sink` is told
// items, splits and cores in order, each with its index. Cores after
// num_cores_used are not told.
template <typename Lengths, typename Sink>
class SegmentWalk {
 public:
  AA_HOST_DEVICE SegmentWalk(const SplitParams& params, const SplitDecision& decision,
                             const Lengths& lengths, Sink& sink)
      : params_(params),
        decision_(decision),
        lengths_(lengths),
        sink_(sink),
        block_price_(BlockPriceOf(params)) {}

  AA_HOST_DEVICE WalkResult Run() {
    if (lengths_.q_lens == nullptr) {
      PlaceSingles();
    } else {
      PlaceQueryTokens();
    }
    const uint64_t spare = SpareShare();
    if (HasItems()) FinishCore();
    return WalkResult{busiest_, leftover_, spare, core_, num_items_, num_splits_, num_partials_};
  }

 private:
  // Of one kv-head group.
  struct Price {
    uint64_t granule;
    uint64_t part;  // an item of a cut segment, beside its granules
  };

  // Of all kv-head groups of a query block, if it need not be cut.
  struct BlockPrice {
    uint64_t items;
    uint64_t empty_items;
    uint64_t granule;
    uint64_t max_granules;  // more are always cut
    uint32_t groups;
  };

  // What is needed of this object while whole query blocks fit the core in hand:
  // copies that nothing else writes, so that they stay in registers.
  struct Hand {
    BlockPrice price;
    uint64_t budget;
    uint64_t used;
    uint32_t num_items;
  };

  static AA_HOST_DEVICE BlockPrice BlockPriceOf(const SplitParams& params) {
    const uint32_t groups = NumGroups(params);
    const uint64_t fixed_split = params.fixed_split_granules;
    return BlockPrice{params.item_cost * groups, params.empty_item_cost * groups,
                      params.granule_cost * params.num_kv_heads,
                      fixed_split == 0 ? ~uint64_t{0} : fixed_split, groups};
  }

  AA_HOST_DEVICE Price PriceOf(uint32_t heads) const {
    return Price{params_.granule_cost * heads, params_.item_cost + params_.partial_cost * heads};
  }

  AA_HOST_DEVICE void PlaceSingles() {
    const Lengths lengths = lengths_;
    const uint32_t batch = params_.batch;
    Hand hand = {block_price_, core_budget_, 0, 0};
    for (uint32_t sequence = 0; sequence < batch; ++sequence) {
      PlaceBlock(QueryBlock{sequence, sequence, 1, lengths.context_lens[sequence]}, hand);
    }
    used_ = hand.used;
    num_items_ = hand.num_items;
  }

  AA_HOST_DEVICE void PlaceQueryTokens() {
    Hand hand = {block_price_, core_budget_, 0, 0};
    uint32_t query_row = 0;
    for (uint32_t sequence = 0; sequence < params_.batch; ++sequence) {
      const auto q_len = static_cast<uint32_t>(lengths_.q_lens[sequence]);
      const int32_t context_len = lengths_.context_lens[sequence];
      for (uint32_t token = 0; token < q_len; token += params_.q_tokens_per_item) {
        const auto q_tokens =
            static_cast<uint32_t>(split_walk::Min(q_len - token, params_.q_tokens_per_item));
        const int32_t visible = split_walk::VisibleTokens(context_len, q_len, token);
        PlaceBlock(QueryBlock{sequence, query_row + token, q_tokens, visible}, hand);
      }
      query_row += q_len;
    }
    used_ = hand.used;
    num_items_ = hand.num_items;
  }

  // All kv-head groups of a query block. The usual case, all of them on the core
  // in hand, is what a walk spends its time with.
  __attribute__((always_inline)) AA_HOST_DEVICE void PlaceBlock(const QueryBlock& block,
                                                                Hand& hand) {
    const uint64_t granules =
        split_walk::Granules(split_walk::TokensOf(block.visible_tokens, block.q_len));
    const uint64_t used = hand.used + granules * hand.price.granule +
                          (granules == 0 ? hand.price.empty_items : hand.price.items);
    if (used <= hand.budget && granules <= hand.price.max_granules) {
      hand.used = used;
      if constexpr (Sink::kTakesItems) AddWholeBlock(block, hand.num_items);
      hand.num_items += hand.price.groups;
      return;
    }
    used_ = hand.used;
    num_items_ = hand.num_items;
    PlaceGroups(block, granules);
    hand.budget = core_budget_;
    hand.used = used_;
    hand.num_items = num_items_;
  }

  // The item of a whole segment of the block, without its kv heads.
  static AA_HOST_DEVICE WorkItem ItemOf(const QueryBlock& block) {
    WorkItem item = {};
    item.sequence = block.sequence;
    item.query_row = block.query_row;
    item.q_len = block.q_len;
    item.token_end = split_walk::TokensOf(block.visible_tokens, block.q_len);
    item.visible_tokens = block.visible_tokens;
    item.partial = kNoPartial;
    return item;
  }

  AA_HOST_DEVICE void AddWholeBlock(const QueryBlock& block, uint32_t index) {
    WorkItem item = ItemOf(block);
    const uint32_t num_heads = params_.num_kv_heads;
    const uint32_t heads = params_.kv_heads_per_group;
    for (uint32_t head = 0; head < num_heads; head += heads) {
      item.kv_head_begin = head;
      item.kv_head_count = num_heads - head < heads ? num_heads - head : heads;
      sink_.AddItem(index++, item);
    }
  }

  // Group by group, over as many cores as it takes.
  AA_HOST_DEVICE void PlaceGroups(const QueryBlock& block, uint64_t granules) {
    WorkItem item = ItemOf(block);
    const uint32_t heads = params_.kv_heads_per_group;
    for (uint32_t head = 0; head < params_.num_kv_heads; head += heads) {
      item.kv_head_begin = head;
      item.kv_head_count =
          static_cast<uint32_t>(split_walk::Min(heads, params_.num_kv_heads - head));
      if (granules > block_price_.max_granules) {
        PlaceFixedParts(item, granules);
      } else {
        Place(item, granules);
      }
    }
  }

  // `segment`: the item of a whole segment.
  AA_HOST_DEVICE void Place(const WorkItem& segment, uint64_t granules) {
    const Price price = PriceOf(segment.kv_head_count);
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

  // A segment longer than fixed_split_granules, part by part.
  AA_HOST_DEVICE void PlaceFixedParts(WorkItem part, uint64_t granules) {
    const Price price = PriceOf(part.kv_head_count);
    const uint32_t tokens = part.token_end;
    const uint32_t first_partial = num_partials_;
    while (granules != 0) {
      const uint64_t part_granules = split_walk::Min(granules, params_.fixed_split_granules);
      const uint64_t cost = price.part + part_granules * price.granule;
      granules -= part_granules;
      while (core_ != decision_.num_cores && !Fits(cost)) FinishCore();
      if (core_ == decision_.num_cores) {
        leftover_ += cost;
        continue;
      }
      part.token_end =
          granules == 0 ? tokens : part.token_begin + params_.fixed_split_granules * kTokenGranule;
      part.partial = num_partials_++;
      AddItem(part, cost);
      part.token_begin = part.token_end;
    }
    AddSplit(part, first_partial);
  }

  AA_HOST_DEVICE bool Fits(uint64_t cost) const { return used_ + cost <= core_budget_; }

  // How much of a segment that does not fit as a whole this core should take.
  AA_HOST_DEVICE uint64_t GranulesThatFit(const Price& price) const {
    if (!decision_.may_cut || used_ + price.part >= decision_.budget) return 0;
    const uint64_t room = decision_.budget - used_ - price.part;
    // A cut adds an item and a partial; a part that carries less than half of
    // that is a sliver. A core without items takes what it can.
    const bool is_sliver = HasItems() && room <= price.part / 2;
    return is_sliver ? 0 : room / price.granule;
  }

  AA_HOST_DEVICE bool HasItems() const { return num_items_ != first_item_; }

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
    if (HasItems()) busiest_ = split_walk::Max(busiest_, used_);
    first_item_ = num_items_;
    used_ = core_ * params_.core_start_cost;
    if (core_ == decision_.num_cores) core_budget_ = 0;  // every cost is larger
  }

  // What the last core and those after it do not use, per core.
  AA_HOST_DEVICE uint64_t SpareShare() const {
    uint64_t spare = 0;
    uint64_t used = used_;
    for (uint64_t core = core_; core < decision_.num_cores && used < decision_.budget; ++core) {
      spare += decision_.budget - used;
      used = (core + 1) * params_.core_start_cost;
    }
    return spare / decision_.num_cores;
  }

  const SplitParams& params_;
  const SplitDecision& decision_;
  const Lengths lengths_;
  Sink& sink_;
  const BlockPrice block_price_;

  uint64_t busiest_ = 0;
  uint64_t leftover_ = 0;
  uint64_t used_ = 0;                        // cost of the core in hand, its start included
  uint64_t core_budget_ = decision_.budget;  // 0 when there is no core left
  uint32_t core_ = 0;
  uint32_t first_item_ = 0;  // of the core in hand
  uint32_t num_items_ = 0;
  uint32_t num_splits_ = 0;
  uint32_t num_partials_ = 0;
};

template <typename Lengths, typename Sink>
AA_HOST_DEVICE WalkResult WalkSegments(const SplitParams& params, const SplitDecision& decision,
                                       const Lengths& lengths, Sink& sink) {
  return SegmentWalk<Lengths, Sink>(params, decision, lengths, sink).Run();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_SPLIT_WALK_H_
