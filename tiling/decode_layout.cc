// SPDX-License-Identifier: Apache-2.0
// The regions of the decode workspace, in the order in which they lie.
#include "tiling/decode_layout.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tiling/checked_math.h"
#include "tiling/workspace_ledger.h"

namespace ascend_attention {
namespace {

constexpr uint64_t kArrayAlignmentBytes = 64;  // the scalar unit's data-cache line
constexpr uint64_t kElemBytes = 2;             // float16, bfloat16
constexpr uint64_t kFloatBytes = 4;
constexpr uint64_t kLseRowMultiple = 8;  // 32 bytes of floats, the grain of a vector store

// Most entries a 32-bit count in the plan can stand for.
Status CheckCount(const char* name, uint64_t count) {
  if (count <= std::numeric_limits<uint32_t>::max()) return OkStatus();
  return ResourceExhausted("plan needs ", count, " ", name, "; at most 4294967295 are possible");
}

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
  header.kv_quant = KvQuant::kNone;
  header.kv_route = KvRoute::kDirect;
  header.num_query_rows = header.batch;
  header.q_tokens_per_item = 1;
  header.operand_limbs = 1;
  header.kv_head_stride = header.head_dim;
  header.kv_token_stride = header.num_kv_heads * header.head_dim;
  header.kv_block_stride = uint64_t{header.kv_block_size} * header.kv_token_stride;
  header.kv_heads_per_group = tiles.kv_heads_per_group;
  header.kv_tile_tokens = tiles.kv_tile_tokens;
  header.kv_chunk_tokens = tiles.kv_chunk_tokens;
  header.num_cores = num_cores;
  return header;
}

// header | core_items | items | splits
Status BookPlan(const SplitParams& params, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  const uint64_t max_items = MaxItems(params);
  AA_RETURN_IF_ERROR(CheckCount("work items", max_items));
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

// Slots through which cube and vector cores of one core pass tiles.
Status BookTiles(const TileSize& tiles, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  const uint64_t rows = tiles.rows_per_group;
  const uint64_t scores = rows * tiles.kv_tile_tokens;
  header.scores_slot_size = ByteCount{RoundUp(scores * kFloatBytes, kRegionAlignmentBytes)};
  header.probs_slot_size = ByteCount{RoundUp(scores * kElemBytes, kRegionAlignmentBytes)};
  header.o_tile_slot_size =
      ByteCount{RoundUp(rows * header.head_dim * kFloatBytes, kRegionAlignmentBytes)};
  const uint64_t slots = uint64_t{header.num_cores} * kTileSlots;
  AA_ASSIGN_OR_RETURN(header.scores, ledger.Book("scores", slots, header.scores_slot_size));
  AA_ASSIGN_OR_RETURN(header.probs, ledger.Book("probs", slots, header.probs_slot_size));
  AA_ASSIGN_OR_RETURN(header.o_tiles, ledger.Book("o_tiles", slots, header.o_tile_slot_size));
  return OkStatus();
}

// Results of parts of split segments, read by the combine kernel.
Status BookPartials(const TileSize& tiles, const SplitParams& params, WorkspaceLedger& ledger,
                    DecodePlanHeader& header) {
  const uint64_t rows = tiles.rows_per_group;
  const ByteCount out_slot{rows * header.head_dim * kFloatBytes};
  const ByteCount lse_slot{RoundUp(rows, kLseRowMultiple) * kFloatBytes};
  const uint64_t slots = MaxPartials(params);
  AA_ASSIGN_OR_RETURN(header.partial_out, ledger.Book("partial_out", slots, out_slot));
  AA_ASSIGN_OR_RETURN(header.partial_lse, ledger.Book("partial_lse", slots, lse_slot));
  return OkStatus();
}

// What the vector cores prepare for the cube if the cache is int8; else empty.
Status BookOperands(uint64_t num_cores, WorkspaceLedger& ledger, DecodePlanHeader& header) {
  const uint64_t queries = num_cores * kQuerySlots;
  const uint64_t tiles = num_cores * kDequantSlots;
  AA_ASSIGN_OR_RETURN(header.query_operands,
                      ledger.Book("query_operands", queries, header.query_operand_slot_size));
  AA_ASSIGN_OR_RETURN(header.dequant_keys,
                      ledger.Book("dequant_keys", tiles, header.dequant_slot_size));
  AA_ASSIGN_OR_RETURN(header.dequant_values,
                      ledger.Book("dequant_values", tiles, header.dequant_slot_size));
  return OkStatus();
}

// Time as bytes of KV that one core's share of the bandwidth moves meanwhile.
uint64_t CostOf(uint64_t nanoseconds, uint64_t bytes_per_us) {
  return nanoseconds * bytes_per_us / 1000;
}

}  // namespace

SplitParams MakeSplitParams(const DecodeShape& shape, const TileSize& tiles,
                            const Platform& platform) {
  const PlanCosts& costs = platform.costs;
  const auto cores = static_cast<uint64_t>(platform.num_cores);
  const uint64_t share = std::min(costs.hbm_bytes_per_us / cores, costs.core_bytes_per_us);
  const auto head_dim = static_cast<uint64_t>(shape.head_dim);
  const auto q_per_kv = static_cast<uint64_t>(shape.q_per_kv());

  SplitParams params = {};
  params.batch = static_cast<uint32_t>(shape.batch);
  params.num_cores = static_cast<uint32_t>(platform.num_cores);
  params.num_kv_heads = static_cast<uint32_t>(shape.num_kv_heads);
  params.kv_heads_per_group = tiles.kv_heads_per_group;
  params.item_cost = CostOf(costs.item_fixed_ns, share);
  params.empty_item_cost = CostOf(costs.empty_item_ns, share);
  params.granule_cost = kTokenGranule * head_dim * 2 * kElemBytes;  // K and V
  params.partial_cost = q_per_kv * head_dim * 2 * kFloatBytes;      // written once, read once
  params.core_start_cost = CostOf(costs.core_start_ns, share);
  params.combine_cost = CostOf(costs.combine_launch_ns, share);
  return params;
}

StatusOr<DecodePlanHeader> LayOutDecode(const DecodeShape& shape, const TileSize& tiles,
                                        const SplitParams& params) {
  DecodePlanHeader header = ShapePart(shape, tiles, params.num_cores);
  WorkspaceLedger ledger;
  AA_RETURN_IF_ERROR(BookPlan(params, ledger, header));
  AA_ASSIGN_OR_RETURN(header.error_records, ledger.Book("error_records", params.num_cores,
                                                        ByteCount{sizeof(ErrorRecord)}));
  AA_RETURN_IF_ERROR(BookTiles(tiles, ledger, header));
  AA_RETURN_IF_ERROR(BookPartials(tiles, params, ledger, header));
  AA_RETURN_IF_ERROR(BookOperands(params.num_cores, ledger, header));
  header.workspace_size = ByteCount{RoundUp(ledger.used().bytes, kRegionAlignmentBytes)};
  return header;
}

}  // namespace ascend_attention
