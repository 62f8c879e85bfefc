// SPDX-License-Identifier: Apache-2.0
// CheckPlan: whether bytes are a plan. The layout is recomputed from the
// shape in the header and must agree; the arrays are then followed item by item.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tiling/abi/split_params.h"
#include "tiling/decode_layout.h"
#include "tiling/decode_planner.h"
#include "tiling/fifo_planner.h"
#include "tiling/tile_size.h"

namespace ascend_attention {
namespace {

struct HeaderField {
  const char* name;
  size_t offset;
  size_t size;
};

#define AA_FIELD(name) \
  HeaderField { #name, offsetof(DecodePlanHeader, name), sizeof(DecodePlanHeader::name) }

// The fields that follow from the shape.
constexpr HeaderField kDerivedFields[] = {
    AA_FIELD(header_size),
    AA_FIELD(plan_size),
    AA_FIELD(workspace_size),
    AA_FIELD(kv_head_parts),
    AA_FIELD(kv_heads_per_group),
    AA_FIELD(q_tokens_per_item),
    AA_FIELD(operand_limbs),
    AA_FIELD(kv_tile_tokens),
    AA_FIELD(kv_chunk_tokens),
    AA_FIELD(kv_token_stride),
    AA_FIELD(kv_head_stride),
    AA_FIELD(kv_block_stride),
    AA_FIELD(out_dtype),
    AA_FIELD(reserved),
    AA_FIELD(context_lens),
    AA_FIELD(core_items),
    AA_FIELD(items),
    AA_FIELD(splits),
    AA_FIELD(error_records),
    AA_FIELD(scores),
    AA_FIELD(probs),
    AA_FIELD(o_tiles),
    AA_FIELD(partial_out),
    AA_FIELD(partial_lse),
    AA_FIELD(query_operands),
    AA_FIELD(dequant_keys),
    AA_FIELD(dequant_values),
    AA_FIELD(scores_slot_size),
    AA_FIELD(probs_slot_size),
    AA_FIELD(o_tile_slot_size),
    AA_FIELD(query_operand_slot_size),
    AA_FIELD(dequant_slot_size),
};

#undef AA_FIELD

DecodeShape ShapeOf(const DecodePlanHeader& header) {
  DecodeShape shape;
  shape.batch = header.batch;
  shape.num_heads = header.num_heads;
  shape.num_kv_heads = header.num_kv_heads;
  shape.head_dim = header.head_dim;
  shape.kv_block_size = header.kv_block_size;
  shape.num_kv_blocks = header.num_kv_blocks;
  shape.max_kv_blocks = header.max_kv_blocks;
  shape.dtype = header.dtype;
  shape.out_float32 = header.out_dtype == DType::kFloat32;
  shape.max_q_len = header.max_q_len;
  shape.kv_quant = header.kv_quant;
  shape.kv_route = header.kv_route;
  shape.kv_strides = KvStrides{static_cast<int64_t>(header.kv_block_stride), header.kv_token_stride,
                               header.kv_head_stride};
  shape.fixed_split_tokens = header.fixed_split_tokens;
  return shape;
}

Status CheckIdentity(const DecodePlanHeader& header) {
  if (header.magic != kDecodePlanMagic) {
    return InvalidArgument("plan: magic = ", header.magic, "; expected ", kDecodePlanMagic);
  }
  if (header.abi_version != kDecodePlanAbiVersion) {
    return InvalidArgument("plan: abi_version = ", header.abi_version, "; this library reads ",
                           kDecodePlanAbiVersion);
  }
  return OkStatus();
}

Status CheckLimit(const char* name, uint64_t value, uint64_t limit) {
  if (value <= limit) return OkStatus();
  return InvalidArgument("plan: ", name, " = ", value, "; at most ", limit, " are possible here");
}

// "" or the first field that differs from what follows from the shape.
std::string FindDifference(const DecodePlanHeader& header, const DecodePlanHeader& layout) {
  const auto* got = reinterpret_cast<const uint8_t*>(&header);
  const auto* expected = reinterpret_cast<const uint8_t*>(&layout);
  for (const HeaderField& field : kDerivedFields) {
    if (std::memcmp(got + field.offset, expected + field.offset, field.size) != 0) {
      return field.name;
    }
  }
  return "";
}

// The extents of the layout that the header describes.
StatusOr<SplitParams> FindExtents(const DecodePlanHeader& header) {
  const DecodeShape shape = ShapeOf(header);
  AA_RETURN_IF_ERROR(Validate(shape));
  AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(shape));
  const SplitParams params = LayoutExtents(shape, tiles, header.num_cores);
  AA_ASSIGN_OR_RETURN(const DecodePlanHeader layout, LayOutDecode(shape, tiles, params));
  const std::string difference = FindDifference(header, layout);
  if (difference.empty()) return params;
  return InvalidArgument("plan: header field ", difference,
                         " does not agree with the shape in the header");
}

Status CheckHeader(const DecodePlanHeader& header, size_t size) {
  AA_RETURN_IF_ERROR(CheckIdentity(header));
  if (header.num_cores == 0) return InvalidArgument("plan: num_cores = 0; expected 1 or more");
  if (header.kv_route == KvRoute::kAuto) {
    return InvalidArgument("plan: kv_route = auto; a plan names the route");
  }
  if (header.kv_block_stride > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return InvalidArgument("plan: kv_block_stride = ", header.kv_block_stride,
                           "; expected less than 2^63");
  }
  if (!std::isfinite(header.softmax_scale)) {
    return InvalidArgument("plan: softmax_scale = ", header.softmax_scale, " is not finite");
  }
  AA_ASSIGN_OR_RETURN(const SplitParams params, FindExtents(header));
  if (size != header.plan_size.bytes) {
    return InvalidArgument("plan: ", size, " bytes given; its header says ",
                           header.plan_size.bytes);
  }
  if (header.kv_route == KvRoute::kFifo) return OkStatus();  // CheckFifoPlan
  AA_RETURN_IF_ERROR(CheckLimit("num_items", header.num_items, MaxItems(params)));
  AA_RETURN_IF_ERROR(CheckLimit("num_splits", header.num_splits, MaxSplits(params)));
  return CheckLimit("num_partials", header.num_partials, MaxPartials(params));
}

// Every core's items follow those of the core before it.
Status CheckCoreItems(const DecodePlanHeader& header, const CoreItems* cores) {
  uint64_t next_item = 0;
  for (uint32_t core = 0; core < header.num_cores; ++core) {
    if (cores[core].first_item != next_item) {
      return InvalidArgument("plan: core_items[", core, "].first_item = ", cores[core].first_item,
                             "; expected ", next_item);
    }
    next_item += cores[core].item_count;
  }
  if (next_item == header.num_items) return OkStatus();
  return InvalidArgument("plan: core_items name ", next_item,
                         " items; num_items = ", header.num_items);
}

// Follows items and splits segment by segment: sequences, in each its query
// blocks, in each its kv-head groups.
class SegmentChecker {
 public:
  SegmentChecker(const DecodePlanHeader& header, const WorkItem* items, const SplitRange* splits)
      : header_(header),
        items_(items),
        splits_(splits),
        num_parts_(header.num_kv_heads * header.kv_head_parts),
        max_context_(static_cast<int64_t>(header.max_kv_blocks) * header.kv_block_size) {}

  Status Check() {
    for (uint32_t sequence = 0; sequence < header_.batch; ++sequence) {
      AA_RETURN_IF_ERROR(CheckSequence(sequence));
    }
    if (item_ != header_.num_items) return Bad("belongs to no segment");
    if (split_ != header_.num_splits) {
      return InvalidArgument("plan: splits[", split_, "] belongs to no split segment");
    }
    if (query_row_ != header_.num_query_rows) {
      return InvalidArgument("plan: num_query_rows = ", header_.num_query_rows, "; items have ",
                             query_row_);
    }
    if (partial_ == header_.num_partials) return OkStatus();
    return InvalidArgument("plan: num_partials = ", header_.num_partials, "; items use ", partial_);
  }

 private:
  Status Bad(const char* what) const { return InvalidArgument("plan: items[", item_, "] ", what); }

  // All but the last query block of a sequence are full.
  Status CheckSequence(uint32_t sequence) {
    WorkItem block = {};
    do {
      if (item_ == header_.num_items) {
        return InvalidArgument("plan: no item for sequence ", sequence);
      }
      const WorkItem& first = items_[item_];
      const uint32_t before = block.q_len;
      if (before != 0 &&
          (before != header_.q_tokens_per_item ||
           first.visible_tokens != block.visible_tokens + static_cast<int32_t>(block.q_len))) {
        return Bad("does not continue the query tokens of its sequence");
      }
      AA_RETURN_IF_ERROR(CheckQueryTokens(first));
      block = first;
      block.sequence = sequence;
      block.query_row = query_row_;
      for (uint32_t head = 0; head < num_parts_; head += header_.kv_heads_per_group) {
        AA_RETURN_IF_ERROR(CheckSegment(block, head));
      }
      query_row_ += block.q_len;
    } while (item_ != header_.num_items && items_[item_].sequence == sequence);
    return OkStatus();
  }

  Status CheckQueryTokens(const WorkItem& item) const {
    if (item.q_len < 1 || item.q_len > header_.q_tokens_per_item) {
      return InvalidArgument("plan: items[", item_, "].q_len = ", item.q_len, "; expected 1..",
                             header_.q_tokens_per_item);
    }
    const int64_t tokens = int64_t{item.visible_tokens} + item.q_len - 1;
    if (tokens <= max_context_ && item.visible_tokens > -16) return OkStatus();
    return InvalidArgument("plan: items[", item_, "].visible_tokens = ", item.visible_tokens,
                           "; expected -15..", max_context_ - item.q_len + 1);
  }

  // `block`: an item that has the query tokens of the segment.
  Status CheckSegment(WorkItem block, uint32_t head) {
    block.kv_head_begin = head;
    block.kv_head_count = std::min(num_parts_ - head, header_.kv_heads_per_group);
    if (item_ == header_.num_items) {
      return InvalidArgument("plan: no item for sequence ", block.sequence, ", kv head ", head);
    }
    const uint32_t tokens = split_walk::TokensOf(block.visible_tokens, block.q_len);
    if (items_[item_].partial != kNoPartial) return CheckSplitSegment(block, tokens);
    AA_RETURN_IF_ERROR(CheckPlace(block, 0, tokens));
    if (header_.fixed_split_tokens != 0 && tokens > header_.fixed_split_tokens) {
      return Bad("is not cut at fixed_split_tokens");
    }
    if (items_[item_].token_end != tokens) return Bad("ends before the tokens that it sees");
    ++item_;
    return OkStatus();
  }

  Status CheckSplitSegment(const WorkItem& block, uint32_t tokens) {
    if (split_ == header_.num_splits) return Bad("has a partial but no split names it");
    const SplitRange& split = splits_[split_];
    const SplitRange expected = {block.query_row,     block.q_len, block.kv_head_begin,
                                 block.kv_head_count, partial_,    split.num_partials};
    if (std::memcmp(&split, &expected, sizeof(split)) != 0 || split.num_partials < 2) {
      return InvalidArgument("plan: splits[", split_, "] does not describe sequence ",
                             block.sequence, ", kv head ", block.kv_head_begin);
    }
    ++split_;
    uint32_t token = 0;
    for (uint32_t part = 0; part < split.num_partials; ++part) {
      if (item_ == header_.num_items) {
        return InvalidArgument("plan: splits[", split_ - 1,
                               "] has more parts than there are items");
      }
      AA_RETURN_IF_ERROR(CheckPlace(block, token, tokens));
      AA_RETURN_IF_ERROR(CheckPart(part + 1 == split.num_partials, tokens));
      token = items_[item_].token_end;
      ++partial_;
      ++item_;
    }
    return OkStatus();
  }

  // The item in hand as a part of a cut segment of `tokens` tokens.
  Status CheckPart(bool last, uint32_t tokens) const {
    const WorkItem& item = items_[item_];
    if (item.partial != partial_) return Bad("has a partial slot out of order");
    if (item.token_end == item.token_begin) return Bad("is an empty part");
    if (last && item.token_end != tokens) return Bad("ends before the tokens that it sees");
    if (!last && item.token_end % kTokenGranule != 0) return Bad("is cut inside 16 tokens");
    const uint32_t fixed = header_.fixed_split_tokens;
    const uint32_t length = item.token_end - item.token_begin;
    if (fixed != 0 && (last ? length > fixed : length != fixed)) {
      return Bad("is not cut at fixed_split_tokens");
    }
    return OkStatus();
  }

  // The item in hand belongs to the segment and begins at `token_begin`.
  Status CheckPlace(const WorkItem& segment, uint32_t token_begin, uint32_t token_limit) const {
    const WorkItem& item = items_[item_];
    if (item.sequence != segment.sequence || item.query_row != segment.query_row ||
        item.q_len != segment.q_len || item.kv_head_begin != segment.kv_head_begin ||
        item.kv_head_count != segment.kv_head_count ||
        item.visible_tokens != segment.visible_tokens) {
      return InvalidArgument("plan: items[", item_, "] is not of sequence ", segment.sequence,
                             ", query row ", segment.query_row, ", kv heads ",
                             segment.kv_head_begin, "..",
                             segment.kv_head_begin + segment.kv_head_count - 1);
    }
    if (item.token_begin != token_begin) {
      return InvalidArgument("plan: items[", item_, "].token_begin = ", item.token_begin,
                             "; expected ", token_begin);
    }
    if (item.token_end < item.token_begin || item.token_end > token_limit) {
      return InvalidArgument("plan: items[", item_, "].token_end = ", item.token_end, "; expected ",
                             token_begin, "..", token_limit);
    }
    return OkStatus();
  }

  const DecodePlanHeader& header_;
  const WorkItem* items_;
  const SplitRange* splits_;
  const uint32_t num_parts_;  // kv heads, or their parts
  const int64_t max_context_;
  uint32_t item_ = 0;
  uint32_t split_ = 0;
  uint32_t partial_ = 0;
  uint32_t query_row_ = 0;
};

}  // namespace

Status CheckPlan(const void* data, size_t size) {
  if (data == nullptr || size < sizeof(DecodePlanHeader)) {
    return InvalidArgument("plan: ", size, " bytes given; a header alone has ",
                           sizeof(DecodePlanHeader));
  }
  DecodePlanHeader header;
  std::memcpy(&header, data, sizeof(header));
  AA_RETURN_IF_ERROR(CheckHeader(header, size));
  // A copy of the arrays: bytes from outside need not be aligned.
  const std::vector<uint8_t> bytes(static_cast<const uint8_t*>(data),
                                   static_cast<const uint8_t*>(data) + size);
  if (header.kv_route == KvRoute::kFifo) {
    return CheckFifoPlan(
        header, reinterpret_cast<const int32_t*>(bytes.data() + header.context_lens.bytes));
  }
  const auto* cores = reinterpret_cast<const CoreItems*>(bytes.data() + header.core_items.bytes);
  const auto* items = reinterpret_cast<const WorkItem*>(bytes.data() + header.items.bytes);
  const auto* splits = reinterpret_cast<const SplitRange*>(bytes.data() + header.splits.bytes);
  AA_RETURN_IF_ERROR(CheckCoreItems(header, cores));
  return SegmentChecker(header, items, splits).Check();
}

}  // namespace ascend_attention
