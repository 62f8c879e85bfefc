// SPDX-License-Identifier: Apache-2.0
// CheckPlan: whether bytes are a plan. The layout is recomputed from the
// shape in the header and must agree; the arrays are then followed item by item.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tiling/abi/split_walk.h"
#include "tiling/decode_layout.h"
#include "tiling/decode_planner.h"
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
    AA_FIELD(kv_heads_per_group),
    AA_FIELD(kv_tile_tokens),
    AA_FIELD(kv_chunk_tokens),
    AA_FIELD(core_items),
    AA_FIELD(items),
    AA_FIELD(splits),
    AA_FIELD(error_records),
    AA_FIELD(scores),
    AA_FIELD(probs),
    AA_FIELD(o_tiles),
    AA_FIELD(partial_out),
    AA_FIELD(partial_lse),
    AA_FIELD(scores_slot_size),
    AA_FIELD(probs_slot_size),
    AA_FIELD(o_tile_slot_size),
    AA_FIELD(query_operands),
    AA_FIELD(dequant_keys),
    AA_FIELD(dequant_values),
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
  return shape;
}

// The part of SplitParams on which the layout depends.
SplitParams ExtentsOf(const DecodePlanHeader& header, const TileSize& tiles) {
  SplitParams params = {};
  params.batch = header.batch;
  params.num_cores = header.num_cores;
  params.num_kv_heads = header.num_kv_heads;
  params.kv_heads_per_group = tiles.kv_heads_per_group;
  return params;
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

Status CheckHeader(const DecodePlanHeader& header, size_t size) {
  AA_RETURN_IF_ERROR(CheckIdentity(header));
  const DecodeShape shape = ShapeOf(header);
  AA_RETURN_IF_ERROR(Validate(shape));
  if (header.num_cores == 0) return InvalidArgument("plan: num_cores = 0; expected 1 or more");
  if (!std::isfinite(header.softmax_scale)) {
    return InvalidArgument("plan: softmax_scale = ", header.softmax_scale, " is not finite");
  }
  AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(shape));
  const SplitParams params = ExtentsOf(header, tiles);
  AA_ASSIGN_OR_RETURN(const DecodePlanHeader layout, LayOutDecode(shape, tiles, params));
  const auto* got = reinterpret_cast<const uint8_t*>(&header);
  const auto* expected = reinterpret_cast<const uint8_t*>(&layout);
  for (const HeaderField& field : kDerivedFields) {
    if (std::memcmp(got + field.offset, expected + field.offset, field.size) != 0) {
      return InvalidArgument("plan: header field ", field.name,
                             " does not agree with the shape in the header");
    }
  }
  if (size != layout.plan_size.bytes) {
    return InvalidArgument("plan: ", size, " bytes given; its header says ",
                           layout.plan_size.bytes);
  }
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

// Follows items and splits segment by segment.
class SegmentChecker {
 public:
  SegmentChecker(const DecodePlanHeader& header, const WorkItem* items, const SplitRange* splits)
      : header_(header),
        items_(items),
        splits_(splits),
        max_context_(uint64_t{header.max_kv_blocks} * header.kv_block_size) {}

  Status Check() {
    for (uint32_t sequence = 0; sequence < header_.batch; ++sequence) {
      for (uint32_t head = 0; head < header_.num_kv_heads; head += header_.kv_heads_per_group) {
        AA_RETURN_IF_ERROR(CheckSegment(sequence, head));
      }
    }
    if (item_ != header_.num_items) return Bad("belongs to no segment");
    if (split_ != header_.num_splits) {
      return InvalidArgument("plan: splits[", split_, "] belongs to no split segment");
    }
    if (partial_ == header_.num_partials) return OkStatus();
    return InvalidArgument("plan: num_partials = ", header_.num_partials, "; items use ", partial_);
  }

 private:
  Status Bad(const char* what) const { return InvalidArgument("plan: items[", item_, "] ", what); }

  Status CheckSegment(uint32_t sequence, uint32_t head) {
    uint32_t heads = header_.num_kv_heads - head;
    if (heads > header_.kv_heads_per_group) heads = header_.kv_heads_per_group;
    if (item_ == header_.num_items) {
      return InvalidArgument("plan: no item for sequence ", sequence, ", kv head ", head);
    }
    if (items_[item_].partial == kNoPartial) {
      AA_RETURN_IF_ERROR(CheckPlace(sequence, head, heads, 0));
      ++item_;
      return OkStatus();
    }
    return CheckSplitSegment(sequence, head, heads);
  }

  Status CheckSplitSegment(uint32_t sequence, uint32_t head, uint32_t heads) {
    if (split_ == header_.num_splits) return Bad("has a partial but no split names it");
    const SplitRange& split = splits_[split_];
    const SplitRange expected = {sequence, 1, head, heads, partial_, split.num_partials};
    if (std::memcmp(&split, &expected, sizeof(split)) != 0 || split.num_partials < 2) {
      return InvalidArgument("plan: splits[", split_, "] does not describe sequence ", sequence,
                             ", kv head ", head);
    }
    ++split_;
    uint32_t token = 0;
    for (uint32_t part = 0; part < split.num_partials; ++part) {
      if (item_ == header_.num_items) {
        return InvalidArgument("plan: splits[", split_ - 1,
                               "] has more parts than there are items");
      }
      AA_RETURN_IF_ERROR(CheckPlace(sequence, head, heads, token));
      const WorkItem& item = items_[item_];
      if (item.partial != partial_) return Bad("has a partial slot out of order");
      if (item.token_end == item.token_begin) return Bad("is an empty part");
      const bool last = part + 1 == split.num_partials;
      if (!last && item.token_end % kTokenGranule != 0) return Bad("is cut inside 16 tokens");
      token = item.token_end;
      ++partial_;
      ++item_;
    }
    return OkStatus();
  }

  // The item in hand covers this segment from `token_begin`.
  Status CheckPlace(uint32_t sequence, uint32_t head, uint32_t heads, uint32_t token_begin) {
    const WorkItem& item = items_[item_];
    if (item.sequence != sequence || item.query_row != sequence || item.q_len != 1 ||
        item.kv_head_begin != head || item.kv_head_count != heads) {
      return InvalidArgument("plan: items[", item_, "] is not of sequence ", sequence,
                             ", kv heads ", head, "..", head + heads - 1);
    }
    if (item.token_begin != token_begin) {
      return InvalidArgument("plan: items[", item_, "].token_begin = ", item.token_begin,
                             "; expected ", token_begin);
    }
    if (item.token_end < item.token_begin || item.token_end > max_context_) {
      return InvalidArgument("plan: items[", item_, "].token_end = ", item.token_end, "; expected ",
                             token_begin, "..", max_context_);
    }
    return OkStatus();
  }

  const DecodePlanHeader& header_;
  const WorkItem* items_;
  const SplitRange* splits_;
  const uint64_t max_context_;
  uint32_t item_ = 0;
  uint32_t split_ = 0;
  uint32_t partial_ = 0;
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
  const auto* cores = reinterpret_cast<const CoreItems*>(bytes.data() + header.core_items.bytes);
  const auto* items = reinterpret_cast<const WorkItem*>(bytes.data() + header.items.bytes);
  const auto* splits = reinterpret_cast<const SplitRange*>(bytes.data() + header.splits.bytes);
  AA_RETURN_IF_ERROR(CheckCoreItems(header, cores));
  return SegmentChecker(header, items, splits).Check();
}

}  // namespace ascend_attention
