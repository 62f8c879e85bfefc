// SPDX-License-Identifier: Apache-2.0
// Prices from a shape, its tiles and the platform table.
//
// Bytes through the L2 for one token of one kv head, rows = query rows of that
// head, each written once and read once unless said otherwise:
//
//             cache read      converted K, V      S, P of the token        O of its tile
//   direct    4 head_dim      -                   rows x (4 + 2) x 2       rows x head_dim x 4 x 2
//   dequant   2 head_dim      4 head_dim x 2      rows x (4 + 2) x 2         / kv_tile_tokens
//   limbs     2 head_dim      -                   twice the rows, S int32 and P int8: x (4 + 1) x 2
//
// With limbs the cube multiplies two int8 rows for a query row; int8 fractals are
// 32 deep, so that this costs more only where two limbs need more units.
//
// A cube core's loads ask for K and V row by row. Direct and limbs ask HBM: with one
// kv head of 128 in int8, rows of 128 bytes come at 0.8 TB/s and no faster. Dequant asks
// the L2, and vector cores read the cache in bulk.
#include "tiling/decode_costs.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tiling/abi/decode_plan.h"
#include "tiling/abi/split_decision.h"
#include "tiling/checked_math.h"
#include "tiling/decode_layout.h"
#include "tiling/fifo_costs.h"
#include "tiling/kv_layout.h"

namespace ascend_attention {
namespace {

constexpr uint64_t kFloatBytes = 4;      // scores, o_tiles, partials; int32 as well
constexpr uint64_t kConvertedBytes = 2;  // float16, bfloat16
constexpr uint64_t kWrittenAndRead = 2;
constexpr uint64_t kVectorCores = 2;  // of each core
constexpr uint64_t kFractal = 16;     // rows, columns; depth for 16 bits, twice for 8

// Rows of a line of L2 or less.
constexpr uint64_t kRowBytes = 512;
constexpr uint64_t kPart = 256;  // of a row, a load

// The rows that the cube's loads ask for, and the instructions.
void AddLoads(const DecodeShape& shape, const TileSize& tiles, TokenWork& work) {
  const auto head_dim = static_cast<uint64_t>(shape.head_dim);
  const uint64_t heads = tiles.kv_heads_per_group;
  const bool is_dequant = shape.kv_route == KvRoute::kDequant;
  const KvStrides strides = ResolveStrides(shape);
  const uint64_t elem_bytes =
      is_dequant ? kConvertedBytes : static_cast<uint64_t>(KvElemBytes(shape.kv_quant));
  // Neighbouring kv heads make one row.
  const bool joined = is_dequant || strides.head == shape.head_dim;
  const uint64_t row_heads = joined ? heads : 1;
  const uint64_t row_bytes = row_heads * head_dim * elem_bytes;
  const uint64_t rows = 2 * kPart * CeilDiv(row_bytes, kRowBytes) / row_heads;  // K and V
  if (is_dequant) {
    work.l2_rows = rows;
  } else if (strides.token == static_cast<int64_t>(row_heads * head_dim)) {
    work.cache_rows = rows;
  } else {
    work.apart_rows = rows;
  }
  const uint64_t heads_of_load = is_dequant || LoadsHeadsTogether(shape) ? heads : 1;
  const uint64_t load_tokens =
      is_dequant
          ? tiles.kv_chunk_tokens
          : std::min<uint64_t>(tiles.kv_chunk_tokens, static_cast<uint64_t>(shape.kv_block_size));
  work.loads = 2 * kPart / (load_tokens * heads_of_load);
  // P lies in L2, a row of the tile for each matrix row.
  const uint64_t prob_rows = tiles.operand_limbs * tiles.rows_per_group / heads;
  const uint64_t prob_bytes = tiles.kv_tile_tokens * (tiles.operand_limbs == 2 ? 1 : 2);
  work.l2_rows += kPart * prob_rows * CeilDiv(prob_bytes, kRowBytes) / tiles.kv_tile_tokens;
}

}  // namespace

TokenWork WorkOfToken(const DecodeShape& shape, const TileSize& tiles) {
  const auto head_dim = static_cast<uint64_t>(shape.head_dim);
  const uint64_t limbs = tiles.operand_limbs;
  const uint64_t rows = tiles.rows_per_group / tiles.kv_heads_per_group;
  const uint64_t units = tiles.units_per_group / tiles.kv_heads_per_group;
  const uint64_t operand_bytes = shape.kv_route == KvRoute::kLimbs ? 1 : 2;

  TokenWork work;
  work.hbm_bytes = 2 * head_dim * static_cast<uint64_t>(KvElemBytes(shape.kv_quant));
  const uint64_t converted = shape.kv_route == KvRoute::kDequant ? 2 * head_dim : 0;
  const uint64_t scores = limbs * rows * (kFloatBytes + operand_bytes);
  const uint64_t o_tile = CeilDiv(limbs * rows * head_dim * kFloatBytes, tiles.kv_tile_tokens);
  work.l2_bytes =
      work.hbm_bytes + kWrittenAndRead * (converted * kConvertedBytes + scores + o_tile);
  // A fractal is 16 tokens wide, one cycle; 1/256 cycles so that a token has some.
  const uint64_t depth = kFractal * 2 / operand_bytes;
  work.matrix_cycles = 2 * units * CeilDiv(head_dim, depth) * (256 / kFractal);
  AddLoads(shape, tiles, work);
  if (shape.kv_quant != KvQuant::kNone) {
    work.scores = rows;
    work.converted = converted;
  }
  return work;
}

uint64_t TokenTime(const TokenWork& work, const Platform& platform) {
  const PlanCosts& costs = platform.costs;
  constexpr uint64_t kUnitsPerUs = uint64_t{1} << 30;
  const uint64_t hbm = work.hbm_bytes * kUnitsPerUs / costs.hbm_bytes_per_us;
  const uint64_t l2 = work.l2_bytes * kUnitsPerUs / costs.l2_bytes_per_us;
  const uint64_t cycles_per_us = costs.cube_mhz * static_cast<uint64_t>(platform.num_cores);
  const uint64_t cube = work.matrix_cycles * (kUnitsPerUs / 256) / cycles_per_us;
  const auto cores = static_cast<uint64_t>(platform.num_cores);
  const uint64_t load_ps = work.cache_rows * costs.cache_row_ps +
                           work.apart_rows * costs.apart_row_ps + work.l2_rows * costs.l2_row_ps +
                           work.loads * costs.load_ps;
  const uint64_t vector_ps = work.scores * costs.score_ps + work.converted * costs.convert_ps;
  const uint64_t load = load_ps * (kUnitsPerUs / kPart) / (1'000'000 * cores);
  const uint64_t vector = vector_ps * kUnitsPerUs / (1'000'000 * kVectorCores * cores);
  return std::max({hbm, l2, cube, load, vector});
}

namespace {

// With fixed cuts a route, and with it a row's bits, must not depend on the number of
// cores: it is that of a 910B1 with all of them, on any number.
constexpr int kFixedSplitCores = 24;

// Time of the longest batch in 2^-30 microseconds. Dequant adds the first tile of
// each core: its cube waits until that is converted.
uint64_t BatchTime(const DecodeShape& shape, const TileSize& tiles, const Platform& platform) {
  const TokenWork work = WorkOfToken(shape, tiles);
  if (shape.fixed_split_tokens != 0) {
    Platform usual = platform;
    usual.num_cores = kFixedSplitCores;
    return TokenTime(work, usual) * tiles.kv_head_parts;
  }
  const uint64_t token = TokenTime(work, platform) * tiles.kv_head_parts;
  const uint64_t tile = uint64_t{tiles.kv_tile_tokens} * tiles.kv_heads_per_group;
  const uint64_t fill =
      shape.kv_route == KvRoute::kDequant ? tile * static_cast<uint64_t>(platform.num_cores) : 0;
  const uint64_t most = std::numeric_limits<uint64_t>::max();
  const auto tokens = CheckedProduct(shape.batch, shape.max_context(), shape.num_kv_heads);
  if (!tokens || *tokens > most / 2) return most;
  return CheckedMul(token, *tokens + fill).value_or(most);
}

// Sums of costs stay below this, or nothing is compared: kDirect.
constexpr uint64_t kMaxCost = uint64_t{1} << 52;

// Until the last core ends, every sequence of one query token as long as the block
// table allows: cut and merged, or whole segments dealt out, whichever is less. Cut, it
// is what no plan can do better. The planner counts a merge twice (platform.cc).
uint64_t DirectLongestBatch(const SplitParams& params) {
  const uint64_t granules = params.max_granules;
  const auto cost =
      CheckedProduct(granules, params.batch, params.num_kv_heads, params.granule_cost);
  if (!cost || *cost > kMaxCost) return std::numeric_limits<uint64_t>::max();
  LengthTotals totals = {};
  totals.granules = granules * params.batch;
  totals.max_granules = granules;
  totals.num_blocks = totals.num_query_rows = params.batch;
  totals.num_empty = granules == 0 ? params.batch : 0;
  const SplitDecision cut = BestCores(params, totals, true);
  const uint64_t merged = cut.budget + (cut.num_cores > 1 ? params.merge_cost / 2 : 0);
  return std::min(merged, BestCores(params, totals, false).budget);
}

// A cost as time.
uint64_t Nanoseconds(uint64_t cost, uint64_t bytes_per_us) {
  if (cost > kMaxCost) return std::numeric_limits<uint64_t>::max();
  return cost * 1000 / bytes_per_us;
}

// Time of the longest batch on the direct route. Prices are those of a core's share of all
// cores' bandwidth; a batch that few cores serve is read as fast as those can.
StatusOr<uint64_t> DirectTime(const DecodeShape& shape, const Platform& platform) {
  const PlanCosts& costs = platform.costs;
  AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(shape));
  Platform few = platform;
  const uint64_t enough = CeilDiv(costs.hbm_bytes_per_us, costs.core_bytes_per_us);
  few.num_cores = static_cast<int>(std::min<uint64_t>(few.num_cores, enough));
  uint64_t time = std::numeric_limits<uint64_t>::max();
  for (const Platform& on : {platform, few}) {
    const uint64_t cost = DirectLongestBatch(MakeSplitParams(shape, tiles, on));
    time = std::min(time, Nanoseconds(cost, CoreShare(on)));
  }
  const uint64_t rows = tiles.rows_per_group;
  const uint64_t fill = costs.direct_fill_ns + costs.direct_row_ns * rows +
                        costs.direct_head_row_ns * (rows / tiles.kv_heads_per_group);
  return time > kMaxCost ? time : time + fill;
}

// kDirect, unless kFifo takes the longest batch in less time.
StatusOr<KvRoute> ResolveSixteenBit(const DecodeShape& shape, const Platform& platform) {
  if (shape.out_float32) return KvRoute::kFifo;
  if (!FifoServes(shape)) return KvRoute::kDirect;
  DecodeShape candidate = shape;
  candidate.kv_route = KvRoute::kDirect;
  AA_ASSIGN_OR_RETURN(const uint64_t direct, DirectTime(candidate, platform));
  if (direct > kMaxCost) return KvRoute::kDirect;  // not counted: nothing to compare with
  candidate.kv_route = KvRoute::kFifo;
  AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(candidate));
  const uint64_t cost = FifoLongestBatch(candidate, tiles, platform);
  const uint64_t fifo = Nanoseconds(cost, CoreShare(platform));
  return fifo < direct ? KvRoute::kFifo : KvRoute::kDirect;
}

}  // namespace

StatusOr<KvRoute> ResolveRoute(const DecodeShape& shape, const Platform& platform) {
  if (shape.kv_route != KvRoute::kAuto) return shape.kv_route;
  if (shape.kv_quant == KvQuant::kNone) return ResolveSixteenBit(shape, platform);
  DecodeShape candidate = shape;
  KvRoute best = KvRoute::kAuto;
  uint64_t best_time = 0;
  Status refused = OkStatus();
  for (const KvRoute route : {KvRoute::kLimbs, KvRoute::kDequant}) {
    candidate.kv_route = route;
    Status valid = Validate(candidate);
    if (!valid.ok()) {
      refused = valid;
      continue;
    }
    AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(candidate));
    const uint64_t time = BatchTime(candidate, tiles, platform);
    if (best == KvRoute::kAuto || time < best_time) {
      best = route;
      best_time = time;
    }
  }
  if (best == KvRoute::kAuto) return refused;
  return best;
}

SplitParams MakeSplitParams(const DecodeShape& shape, const TileSize& tiles,
                            const Platform& platform) {
  const PlanCosts& costs = platform.costs;
  const uint64_t share = CoreShare(platform);
  const auto head_dim = static_cast<uint64_t>(shape.head_dim);
  const uint64_t rows_per_head = tiles.rows_per_group / tiles.kv_heads_per_group;
  const TokenWork work = WorkOfToken(shape, tiles);
  // Bytes of KV that the cores' shares of the bandwidth move in the time of a token:
  // what it has, unless something else is slower.
  const uint64_t core_time = TokenTime(work, platform) * static_cast<uint64_t>(platform.num_cores);
  const uint64_t moved = (core_time >> 10) * share >> 20;
  const uint64_t token_cost = std::max(work.hbm_bytes, moved);

  SplitParams params = LayoutExtents(shape, tiles, static_cast<uint32_t>(platform.num_cores));
  // Nothing is free: a core with items has a cost.
  params.item_cost = std::max<uint64_t>(CostOf(costs.item_fixed_ns, share), 1);
  params.empty_item_cost = std::max<uint64_t>(CostOf(costs.empty_item_ns, share), 1);
  params.granule_cost = kTokenGranule * token_cost;
  params.partial_cost = rows_per_head * head_dim * kWrittenAndRead * kFloatBytes;
  params.core_start_cost = CostOf(costs.core_start_ns, share);
  params.merge_cost = CostOf(costs.merge_fixed_ns, share);
  return params;
}

}  // namespace ascend_attention
