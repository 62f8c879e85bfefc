// SPDX-License-Identifier: Apache-2.0
// Sorts intervals and looks for gaps and overlaps; no cleverness on purpose.
#include "tiling/plan_oracle.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace ascend_attention {
namespace {

struct Interval {
  uint64_t begin;
  uint64_t end;
  std::string name;
};

std::string ItemName(uint32_t index) { return "item " + std::to_string(index); }

// "" if sorted intervals neither overlap nor, with `no_gaps`, leave room.
std::string FindOverlap(std::vector<Interval> intervals, bool no_gaps) {
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  for (size_t i = 1; i < intervals.size(); ++i) {
    const Interval& before = intervals[i - 1];
    const Interval& now = intervals[i];
    if (now.begin < before.end) return now.name + " overlaps " + before.name;
    if (no_gaps && now.begin > before.end) return "gap between " + before.name + ", " + now.name;
  }
  return "";
}

// Tokens of one (sequence, kv head).
std::string FindTokenError(const std::vector<Interval>& ranges, uint64_t length) {
  if (ranges.empty()) return "no item";
  if (length == 0 && ranges.size() != 1) return "an empty sequence with several items";
  uint64_t first = ranges.front().begin;
  uint64_t last = ranges.front().end;
  for (const Interval& range : ranges) {
    if (length != 0 && range.begin >= range.end) return range.name + " has no tokens";
    if (range.begin % kTokenGranule != 0) return range.name + " begins inside 16 tokens";
    if (range.end % kTokenGranule != 0 && range.end != length) {
      return range.name + " ends inside 16 tokens";
    }
    first = std::min(first, range.begin);
    last = std::max(last, range.end);
  }
  if (first != 0 || last != length) {
    return "tokens " + std::to_string(first) + ".." + std::to_string(last) + " of " +
           std::to_string(length);
  }
  return FindOverlap(ranges, /*no_gaps=*/true);
}

std::vector<Interval> RegionsOf(const DecodePlanHeader& header) {
  const auto interval = [](const char* name, const Region& region) {
    return Interval{region.begin.bytes, region.begin.bytes + region.size.bytes, name};
  };
  return {Interval{0, header.plan_size.bytes, "plan"},
          interval("error_records", header.error_records),
          interval("scores", header.scores),
          interval("probs", header.probs),
          interval("o_tiles", header.o_tiles),
          interval("partial_out", header.partial_out),
          interval("partial_lse", header.partial_lse),
          interval("query_operands", header.query_operands),
          interval("dequant_keys", header.dequant_keys),
          interval("dequant_values", header.dequant_values)};
}

bool IsFifo(const DecodePlanHeader& header) { return header.kv_route == KvRoute::kFifo; }

// With kFifo: query heads of a tile.
uint64_t FifoRows(const DecodePlanHeader& header) {
  return header.num_heads / header.num_kv_heads < 64 ? 16 : 64;
}

// Bytes that decode_fifo uses: kFifoDepth slots a core.
std::vector<std::pair<Region, uint64_t>> FifoUsedBytes(const DecodePlanHeader& header) {
  const uint64_t rows = FifoRows(header);
  const uint64_t tokens = header.kv_block_size;
  const auto last = [&header](ByteCount size, uint64_t used) {
    return (uint64_t{header.num_cores} * kFifoDepth - 1) * size.bytes + used;
  };
  return {
      {header.error_records, uint64_t{header.num_cores} * sizeof(ErrorRecord)},
      {header.scores, last(header.scores_slot_size, rows * tokens * 4)},
      {header.probs, last(header.probs_slot_size, rows * tokens * 2)},
      {header.o_tiles, last(header.o_tile_slot_size, rows * 128 * 4)},
  };
}

// Bytes that kernels use of each region, counted from the shape.
std::vector<std::pair<Region, uint64_t>> UsedBytes(const DecodePlanHeader& header) {
  if (IsFifo(header)) return FifoUsedBytes(header);
  const uint64_t rows = uint64_t{header.kv_heads_per_group} * header.q_tokens_per_item *
                        (header.num_heads / (header.num_kv_heads * header.kv_head_parts));
  const uint64_t lse_row = (rows + 7) / 8 * 8;
  const bool is_int8 = header.kv_quant != KvQuant::kNone;
  const bool has_limbs = header.kv_route == KvRoute::kLimbs;
  const bool is_converted = header.kv_route == KvRoute::kDequant;
  const uint64_t operands = 2 * rows;  // bytes: two int8 limbs, or one of 16 bits
  const uint64_t results = has_limbs ? 2 * rows : rows;
  const uint64_t tile = header.kv_tile_tokens;
  const uint64_t converted =
      is_converted ? tile * header.kv_heads_per_group * header.head_dim * 2 : 0;
  // `slots` slots per core, of which the last is used to byte `used`.
  const auto last = [&header](uint64_t slots, ByteCount size, uint64_t used) {
    return (header.num_cores * slots - 1) * size.bytes + used;
  };
  return {
      {header.error_records, uint64_t{header.num_cores} * sizeof(ErrorRecord)},
      {header.scores, last(2, header.scores_slot_size, results * tile * 4)},
      {header.probs, last(2, header.probs_slot_size, operands * tile)},
      {header.o_tiles, last(2, header.o_tile_slot_size, results * header.head_dim * 4)},
      {header.partial_out, header.num_partials * rows * header.head_dim * 4},
      {header.partial_lse, header.num_partials * lse_row * 4},
      {header.query_operands,
       last(4, header.query_operand_slot_size, is_int8 ? operands * header.head_dim : 0)},
      {header.dequant_keys, last(2, header.dequant_slot_size, converted)},
      {header.dequant_values, last(2, header.dequant_slot_size, converted)},
  };
}

// What the query tokens of one item say of themselves.
struct QueryRows {
  uint32_t sequence;
  uint32_t first_row_of_sequence;
  int32_t context_len;
  int32_t q_len;
};

std::string FindItemError(const DecodePlanHeader& header, const WorkItem& item,
                          const QueryRows& rows) {
  const auto first = static_cast<int64_t>(item.query_row) - rows.first_row_of_sequence;
  if (first < 0 || item.q_len == 0 || item.q_len > header.q_tokens_per_item ||
      first + item.q_len > rows.q_len) {
    return "query tokens";
  }
  if (item.visible_tokens != rows.context_len - rows.q_len + first + 1) return "visible tokens";
  if (item.kv_head_count == 0 || item.kv_head_count > header.kv_heads_per_group ||
      item.kv_head_begin + item.kv_head_count > header.num_kv_heads * header.kv_head_parts) {
    return "kv heads";
  }
  return "";
}

// The lengths are there, and the ids of all launched cores are every query head of
// every sequence once.
std::string FindFifoCoverageError(const DecodePlan& plan,
                                  const std::vector<int32_t>& context_lens) {
  const DecodePlanHeader& header = plan.header();
  for (uint32_t i = 0; i < header.batch; ++i) {
    if (plan.context_lens()[i] != context_lens[i])
      return "context_lens of sequence " + std::to_string(i);
  }
  if (header.num_query_rows != header.batch) return "num_query_rows";
  const uint64_t q_per_kv = header.num_heads / header.num_kv_heads;
  const uint64_t tiles = header.kv_head_parts;
  const uint64_t ids = uint64_t{header.batch} * header.num_kv_heads * tiles;
  const auto cores = static_cast<uint64_t>(plan.used_cores());
  if (cores < 1 || cores > header.num_cores) return "used cores";
  std::vector<int> visits(uint64_t{header.batch} * header.num_heads);
  for (uint64_t core = 0; core < cores; ++core) {
    if (core >= ids) return "core " + std::to_string(core) + " has nothing to do";
    for (uint64_t id = core; id < ids; id += cores) {
      const uint64_t first = id % tiles * FifoRows(header);
      if (first >= q_per_kv) return "id " + std::to_string(id) + " has no query heads";
      for (uint64_t head = first; head < std::min(q_per_kv, first + FifoRows(header)); ++head) {
        ++visits[id / tiles * q_per_kv + head];
      }
    }
  }
  for (size_t i = 0; i < visits.size(); ++i) {
    if (visits[i] != 1) return "query head " + std::to_string(i) + " is not computed once";
  }
  return "";
}

}  // namespace

std::string FindCoverageError(const DecodePlan& plan, const std::vector<int32_t>& context_lens,
                              const std::vector<int32_t>& q_lens) {
  const DecodePlanHeader& header = plan.header();
  if (header.batch != context_lens.size()) return "batch differs";
  if (IsFifo(header)) return FindFifoCoverageError(plan, context_lens);
  std::vector<QueryRows> sequences;
  uint32_t num_rows = 0;
  for (uint32_t i = 0; i < header.batch; ++i) {
    const int32_t q_len = q_lens.empty() ? 1 : q_lens[i];
    sequences.push_back(QueryRows{i, num_rows, context_lens[i], q_len});
    num_rows += static_cast<uint32_t>(q_len);
  }
  if (header.num_query_rows != num_rows) return "num_query_rows";

  // Ranges of each (query row, kv head), and what they must cover: the tokens
  // that the last query token of the same item sees.
  const uint64_t num_heads = uint64_t{header.num_kv_heads} * header.kv_head_parts;
  std::vector<std::vector<Interval>> ranges(num_rows * num_heads);
  std::vector<uint64_t> lengths(num_rows * num_heads);
  for (uint32_t i = 0; i < header.num_items; ++i) {
    const WorkItem& item = plan.items()[i];
    if (item.sequence >= header.batch) return ItemName(i) + ": sequence beyond the batch";
    const QueryRows& sequence = sequences[item.sequence];
    const std::string error = FindItemError(header, item, sequence);
    if (!error.empty()) return ItemName(i) + ": " + error;
    const int64_t tokens = int64_t{item.visible_tokens} + item.q_len - 1;
    for (uint32_t token = 0; token < item.q_len; ++token) {
      for (uint32_t h = 0; h < item.kv_head_count; ++h) {
        const uint64_t row = (item.query_row + token) * num_heads + item.kv_head_begin + h;
        ranges[row].push_back(Interval{item.token_begin, item.token_end, ItemName(i)});
        lengths[row] = static_cast<uint64_t>(std::max<int64_t>(tokens, 0));
      }
    }
  }
  for (const QueryRows& sequence : sequences) {
    for (uint64_t i = 0; i < static_cast<uint64_t>(sequence.q_len) * num_heads; ++i) {
      const uint64_t row = sequence.first_row_of_sequence * num_heads + i;
      const std::string error = FindTokenError(ranges[row], lengths[row]);
      if (error.empty()) continue;
      return "sequence " + std::to_string(sequence.sequence) + ", query token " +
             std::to_string(i / num_heads) + ", kv head " + std::to_string(i % num_heads) + ": " +
             error;
    }
  }
  return "";
}

std::string FindFixedSplitError(const DecodePlan& plan) {
  const uint32_t fixed = plan.header().fixed_split_tokens;
  if (fixed == 0) return "";
  for (uint32_t i = 0; i < plan.header().num_items; ++i) {
    const WorkItem& item = plan.items()[i];
    const int64_t tokens = int64_t{item.visible_tokens} + item.q_len - 1;
    const bool is_last = int64_t{item.token_end} >= tokens;
    if (item.token_begin % fixed != 0) return ItemName(i) + " begins beside the fixed cuts";
    if (!is_last && item.token_end != item.token_begin + fixed) {
      return ItemName(i) + " ends beside the fixed cuts";
    }
    if (item.token_end - item.token_begin > fixed) return ItemName(i) + " spans a fixed cut";
  }
  return "";
}

namespace {

// Cores own neighbouring, disjoint ranges of items.
std::string FindCoreError(const DecodePlan& plan) {
  std::vector<Interval> cores;
  uint64_t owned = 0;
  for (uint32_t core = 0; core < plan.header().num_cores; ++core) {
    const CoreItems& range = plan.core_items()[core];
    if (range.item_count == 0) continue;
    cores.push_back(Interval{range.first_item, uint64_t{range.first_item} + range.item_count,
                             "core " + std::to_string(core)});
    owned += range.item_count;
  }
  const std::string overlap = FindOverlap(cores, /*no_gaps=*/true);
  if (!overlap.empty()) return overlap;
  return owned == plan.header().num_items ? "" : "cores do not own all items";
}

// Parts of a segment: (token_begin, partial).
using Parts = std::vector<std::pair<uint32_t, uint32_t>>;

// By (query row, first kv head).
std::map<std::pair<uint32_t, uint32_t>, Parts> PartsOfSplitSegments(const DecodePlan& plan) {
  std::map<std::pair<uint32_t, uint32_t>, Parts> parts;
  for (uint32_t i = 0; i < plan.header().num_items; ++i) {
    const WorkItem& item = plan.items()[i];
    if (item.partial == kNoPartial) continue;
    parts[{item.query_row, item.kv_head_begin}].push_back({item.token_begin, item.partial});
  }
  for (auto& [segment, in_token_order] : parts) {
    std::sort(in_token_order.begin(), in_token_order.end());
  }
  return parts;
}

bool Describes(const SplitRange& split, const Parts& parts) {
  if (parts.size() != split.num_partials || split.num_partials < 2) return false;
  for (uint32_t k = 0; k < split.num_partials; ++k) {
    if (parts[k].second != split.first_partial + k) return false;
  }
  return true;
}

std::vector<Interval> ArraysOf(const DecodePlanHeader& header) {
  const auto interval = [](const char* name, ByteOffset begin, uint64_t size) {
    return Interval{begin.bytes, begin.bytes + size, name};
  };
  std::vector<Interval> arrays = {
      interval("header", ByteOffset{0}, sizeof(DecodePlanHeader)),
  };
  if (IsFifo(header)) {
    arrays.push_back(interval("context_lens", header.context_lens, header.batch * sizeof(int32_t)));
    return arrays;
  }
  arrays.push_back(interval("core_items", header.core_items, header.num_cores * sizeof(CoreItems)));
  arrays.push_back(interval("items", header.items, header.num_items * sizeof(WorkItem)));
  arrays.push_back(interval("splits", header.splits, header.num_splits * sizeof(SplitRange)));
  return arrays;
}

}  // namespace

std::string FindPartialError(const DecodePlan& plan) {
  const DecodePlanHeader& header = plan.header();
  if (IsFifo(header)) {
    const bool none = header.num_items + header.num_splits + header.num_partials == 0;
    return none ? "" : "items on the FIFO route";
  }
  const std::string core_error = FindCoreError(plan);
  if (!core_error.empty()) return core_error;
  const auto parts = PartsOfSplitSegments(plan);
  if (parts.size() != header.num_splits) return "number of splits";
  std::vector<Interval> slots;
  uint64_t used = 0;
  for (uint32_t i = 0; i < header.num_splits; ++i) {
    const SplitRange& split = plan.splits()[i];
    const std::string name = "split " + std::to_string(i);
    const auto found = parts.find({split.query_row, split.kv_head_begin});
    if (found == parts.end()) return name + ": nothing is split there";
    if (!Describes(split, found->second)) return name + ": not the slots of its parts";
    slots.push_back(Interval{split.first_partial, split.first_partial + split.num_partials, name});
    used += split.num_partials;
  }
  const std::string slot_error = FindOverlap(slots, /*no_gaps=*/true);
  if (!slot_error.empty()) return slot_error;
  return used == header.num_partials ? "" : "num_partials";
}

std::string FindRegionError(const DecodePlan& plan) {
  const DecodePlanHeader& header = plan.header();
  const std::vector<Interval> regions = RegionsOf(header);
  for (const Interval& region : regions) {
    if (region.begin % kRegionAlignmentBytes != 0) return region.name + " is not aligned";
    if (region.end > header.workspace_size.bytes) return region.name + " leaves the workspace";
  }
  const std::string overlap = FindOverlap(regions, /*no_gaps=*/false);
  if (!overlap.empty()) return overlap;
  for (const auto& [region, used] : UsedBytes(header)) {
    if (used > region.size.bytes) {
      return "region at " + std::to_string(region.begin.bytes) + " is used to byte " +
             std::to_string(used) + " of " + std::to_string(region.size.bytes);
    }
  }
  const std::vector<Interval> arrays = ArraysOf(header);
  for (const Interval& array : arrays) {
    if (array.begin % 64 != 0) return array.name + " is not aligned";
    if (array.end > header.plan_size.bytes) return array.name + " leaves the plan";
  }
  return FindOverlap(arrays, /*no_gaps=*/false);
}

std::string FindPlanError(const DecodePlan& plan, const std::vector<int32_t>& context_lens,
                          const std::vector<int32_t>& q_lens) {
  std::string error = FindCoverageError(plan, context_lens, q_lens);
  if (error.empty()) error = FindPartialError(plan);
  if (error.empty()) error = FindFixedSplitError(plan);
  if (error.empty()) error = FindRegionError(plan);
  return error;
}

}  // namespace ascend_attention
