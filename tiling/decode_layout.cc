// SPDX-License-Identifier: Apache-2.0
// The regions of the decode workspace, in the order in which they lie.
#include "tiling/decode_layout.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tiling/checked_math.h"
#include "tiling/kv_layout.h"
#include "tiling/workspace_ledger.h"

namespace ascend_attention {
namespace {

constexpr uint64_t kArrayAlignmentBytes = 64;  // the scalar unit's data-cache line
constexpr uint64_t kFloatBytes = 4;
constexpr uint64_t kLseRowMultiple = 8;  // 32 bytes of floats, the grain of a vector store

// Counts of the plan are 32 bits wide.
constexpr uint64_t kMostItems = std::numeric_limits<uint32_t>::max();

Status CheckItems(const SplitParams& params) {
  const uint64_t items = MaxItems(params);
  if (items <= kMostItems) return OkStatus();
  if (params.fixed_split_granules == 0) {
    return ResourceExhausted("batch = ", params.batch, " needs up to ", items,
                             " work items; at most ", kMostItems, " are possible");
  }
  return ResourceExhausted("fixed_split_tokens = ", params.fixed_split_granules * kTokenGranule,
                           " with batch = ", params.batch, " and ",
                           uint64_t{params.max_granules} * kTokenGranule,
                           " tokens a sequence needs up to ", items, " work items; at most ",
                           kMostItems, " are possible");
}

// Of an element of query, probs and converted K and V: float16, bfloat16 or int8.
uint64_t OperandBytes(const DecodePlanHeader& header) {
  return header.kv_route == KvRoute::kLimbs ? 1 : 2;
}

ByteCount SlotSize(uint64_t bytes) { return ByteCount{RoundUp(bytes, kRegionAlignmentBytes)}; }

DecodePlanHeader ShapePart(const DecodeShape& shape, const TileSize& tiles, uint32_t num_cores) {
  DecodePlanHeader header = {};
  header.magic = kDecodePlanMagic;
  header.abi_version = kDecodePlanAbiVersion;
  header.header_size = ByteCount{sizeof(DecodePlanHeader)};
  header.batch = static_cast<uint32_t>(shape.batch);
  header.num_heads = static_cast<uint32_t>(shape.num_heads);
  header.num_kv_heads = static_cast<uint32_t>(shape.num_kv_heads);
  header.head_dim = static_cast<uint32_t>(shape.head_dim);
  header.kv_block_size = static_cast<uint32_t>(shape.kv_block_size);
  header.max_kv_blocks = static_cast<uint32_t>(shape.max_kv_blocks);
  header.num_kv_blocks = static_cast<uint32_t>(shape.num_kv_blocks);
  header.dtype = shape.dtype;
  header.out_dtype = shape.out_float32 ? DType::kFloat32 : shape.dtype;
  header.kv_quant = shape.kv_quant;
  header.kv_route = shape.kv_route;
  header.kv_head_parts = tiles.kv_head_parts;
  header.max_q_len = static_cast<uint32_t>(shape.max_q_len);
  header.kv_heads_per_group = tiles.kv_heads_per_group;
  header.q_tokens_per_item = tiles.q_tokens_per_item;
  header.operand_limbs = tiles.operand_limbs;
  header.kv_tile_tokens = tiles.kv_tile_tokens;
  header.kv_chunk_tokens = tiles.kv_chunk_tokens;
  header.num_cores = num_cores;
  header.fixed_split_tokens = static_cast<uint32_t>(shape.fixed_split_tokens);
  const KvStrides strides = ResolveStrides(shape);
  header.kv_token_stride = static_cast<uint32_t>(strides.token);
  header.kv_head_stride = static_cast<uint32_t>(strides.head);
  header.kv_block_stride = static_cast<uint64_t>(strides.block);
  return header;
}

// header | core_items | items | splits
Status BookPlan(const SplitParams& params, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  const uint64_t max_items = MaxItems(params);
  AA_RETURN_IF_ERROR(CheckItems(params));
  AA_RETURN_IF_ERROR(ledger.Book("plan header", 1, header.header_size).status());
  AA_ASSIGN_OR_RETURN(const Region cores,
                      ledger.Book("core_items", params.num_cores, ByteCount{sizeof(CoreItems)},
                                  kArrayAlignmentBytes));
  AA_ASSIGN_OR_RETURN(
      const Region items,
      ledger.Book("items", max_items, ByteCount{sizeof(WorkItem)}, kArrayAlignmentBytes));
  AA_ASSIGN_OR_RETURN(const Region splits,
                      ledger.Book("splits", MaxSplits(params), ByteCount{sizeof(SplitRange)},
                                  kArrayAlignmentBytes));
  header.core_items = cores.begin;
  header.items = items.begin;
  header.splits = splits.begin;
  header.plan_size = ByteCount{RoundUp(ledger.used().bytes, kArrayAlignmentBytes)};
  return OkStatus();
}

// header | context_lens
Status BookLengths(const SplitParams& params, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  const uint64_t ids = MaxSegments(params);
  if (ids > kMostItems) {
    return ResourceExhausted("batch = ", params.batch, " with ", params.num_kv_heads,
                             " tiles of query heads has ", ids, " pieces of work; at most ",
                             kMostItems, " are possible");
  }
  AA_RETURN_IF_ERROR(ledger.Book("plan header", 1, header.header_size).status());
  AA_ASSIGN_OR_RETURN(
      const Region lengths,
      ledger.Book("context_lens", params.batch, ByteCount{sizeof(int32_t)}, kArrayAlignmentBytes));
  header.context_lens = lengths.begin;
  header.plan_size = ByteCount{RoundUp(ledger.used().bytes, kArrayAlignmentBytes)};
  return OkStatus();
}

// Slots through which cube and vector cores of one core pass tiles.
Status BookTiles(const TileSize& tiles, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  const uint64_t rows = uint64_t{tiles.operand_limbs} * tiles.rows_per_group;
  const uint64_t scores = rows * tiles.kv_tile_tokens;
  header.scores_slot_size = SlotSize(scores * kFloatBytes);
  header.probs_slot_size = SlotSize(scores * OperandBytes(header));
  header.o_tile_slot_size = SlotSize(rows * header.head_dim * kFloatBytes);
  const bool is_fifo = header.kv_route == KvRoute::kFifo;
  const uint64_t slots = uint64_t{header.num_cores} * (is_fifo ? kFifoDepth : kTileSlots);
  AA_ASSIGN_OR_RETURN(header.scores, ledger.Book("scores", slots, header.scores_slot_size));
  AA_ASSIGN_OR_RETURN(header.probs, ledger.Book("probs", slots, header.probs_slot_size));
  AA_ASSIGN_OR_RETURN(header.o_tiles, ledger.Book("o_tiles", slots, header.o_tile_slot_size));
  return OkStatus();
}

// Results of parts of split segments, merged at the end of the kernel.
Status BookPartials(const TileSize& tiles, const SplitParams& params, WorkspaceLedger& ledger,
                    DecodePlanHeader& header) {
  const uint64_t rows = tiles.rows_per_group;
  const ByteCount out_slot{rows * header.head_dim * kFloatBytes};
  const ByteCount lse_slot{RoundUp(rows, kLseRowMultiple) * kFloatBytes};
  // With kFifo nothing is split.
  const uint64_t slots = header.kv_route == KvRoute::kFifo ? 0 : MaxPartials(params);
  AA_ASSIGN_OR_RETURN(header.partial_out, ledger.Book("partial_out", slots, out_slot));
  AA_ASSIGN_OR_RETURN(header.partial_lse, ledger.Book("partial_lse", slots, lse_slot));
  return OkStatus();
}

// What the vector cores prepare for the cube: queries if the cache is int8, and
// tiles of K and V if it is converted. Empty otherwise.
Status BookOperands(const TileSize& tiles, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  if (header.kv_quant != KvQuant::kNone) {
    const uint64_t rows = uint64_t{tiles.operand_limbs} * tiles.rows_per_group;
    header.query_operand_slot_size = SlotSize(rows * header.head_dim * OperandBytes(header));
  }
  if (header.kv_route == KvRoute::kDequant) {
    const uint64_t elems =
        uint64_t{tiles.kv_tile_tokens} * tiles.kv_heads_per_group * header.head_dim;
    header.dequant_slot_size = SlotSize(elems * OperandBytes(header));
  }
  const uint64_t cores = header.num_cores;
  AA_ASSIGN_OR_RETURN(header.query_operands, ledger.Book("query_operands", cores * kQuerySlots,
                                                         header.query_operand_slot_size));
  AA_ASSIGN_OR_RETURN(header.dequant_keys,
                      ledger.Book("dequant_keys", cores * kDequantSlots, header.dequant_slot_size));
  AA_ASSIGN_OR_RETURN(header.dequant_values, ledger.Book("dequant_values", cores * kDequantSlots,
                                                         header.dequant_slot_size));
  return OkStatus();
}

}  // namespace

SplitParams LayoutExtents(const DecodeShape& shape, const TileSize& tiles, uint32_t num_cores) {
  constexpr int64_t kMaxLength = std::numeric_limits<int32_t>::max();
  const auto longest = static_cast<uint64_t>(std::min(shape.max_context(), kMaxLength));
  SplitParams params = {};
  params.batch = static_cast<uint32_t>(shape.batch);
  params.num_cores = num_cores;
  params.num_kv_heads = static_cast<uint32_t>(shape.num_kv_heads) * tiles.kv_head_parts;
  params.kv_heads_per_group = tiles.kv_heads_per_group;
  params.max_q_len = static_cast<uint32_t>(shape.max_q_len);
  params.q_tokens_per_item = tiles.q_tokens_per_item;
  params.max_granules = static_cast<uint32_t>(CeilDiv(longest, kTokenGranule));
  params.fixed_split_granules = static_cast<uint32_t>(shape.fixed_split_tokens / kTokenGranule);
  return params;
}

StatusOr<DecodePlanHeader> LayOutDecode(const DecodeShape& shape, const TileSize& tiles,
                                        const SplitParams& params) {
  DecodePlanHeader header = ShapePart(shape, tiles, params.num_cores);
  WorkspaceLedger ledger;
  const bool is_fifo = shape.kv_route == KvRoute::kFifo;
  AA_RETURN_IF_ERROR(is_fifo ? BookLengths(params, ledger, header)
                             : BookPlan(params, ledger, header));
  AA_ASSIGN_OR_RETURN(header.error_records, ledger.Book("error_records", params.num_cores,
                                                        ByteCount{sizeof(ErrorRecord)}));
  AA_RETURN_IF_ERROR(BookTiles(tiles, ledger, header));
  AA_RETURN_IF_ERROR(BookPartials(tiles, params, ledger, header));
  AA_RETURN_IF_ERROR(BookOperands(tiles, ledger, header));
  header.workspace_size = ByteCount{RoundUp(ledger.used().bytes, kRegionAlignmentBytes)};
  return header;
}

}  // namespace ascend_attention
