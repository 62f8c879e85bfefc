// SPDX-License-Identifier: Apache-2.0
// Prices of ids and pages from the platform table, and the longest batch.
#include "tiling/fifo_costs.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tiling/abi/decode_plan.h"
#include "tiling/checked_math.h"
#include "tiling/kv_layout.h"

namespace ascend_attention {
namespace {

// A step's price is that of a page of so many tokens. One of 64 takes nine tenths of it:
// the way between the cores is as long [inf].
constexpr int64_t kStepTokens = 128;
constexpr uint64_t kShortStepSaves = 10;

// Bytes of one kv head's page, K and V.
uint64_t PageBytes(const DecodeShape& shape) {
  return 2 *
         static_cast<uint64_t>(shape.kv_block_size * shape.head_dim * KvElemBytes(shape.kv_quant));
}

}  // namespace

FifoPrices MakeFifoPrices(const DecodeShape& shape, const TileSize& tiles,
                          const Platform& platform) {
  const PlanCosts& costs = platform.costs;
  const uint64_t share = CoreShare(platform);
  const uint64_t page = PageBytes(shape);
  const bool is_large = tiles.rows_per_group >= 64;
  const uint64_t step_ns = is_large ? costs.fifo_step64_ns : costs.fifo_step16_ns;
  const bool is_short = shape.kv_block_size < kStepTokens;
  const uint64_t step = CostOf(is_short ? step_ns - step_ns / kShortStepSaves : step_ns, share);
  // Tiles of one kv head are neighbouring ids: they read a page at about the same time,
  // from HBM once. No core loads it faster than its engine allows.
  const uint64_t from_hbm = page / tiles.kv_head_parts;
  const uint64_t into_core = page * share / costs.core_bytes_per_us;

  FifoPrices prices = {};
  prices.item_cost = std::max<uint64_t>(CostOf(costs.fifo_item_ns, share), 1);
  prices.empty_item_cost = std::max<uint64_t>(CostOf(costs.empty_item_ns, share), 1);
  prices.step_cost = std::max({step, from_hbm, into_core});
  prices.pair_saves = std::min(CostOf(costs.fifo_pair_ns, share), prices.item_cost);
  prices.core_start_cost = CostOf(costs.core_start_ns, share);
  return prices;
}

uint64_t FifoLongestBatch(const DecodeShape& shape, const TileSize& tiles,
                          const Platform& platform) {
  const FifoPrices prices = MakeFifoPrices(shape, tiles, platform);
  const auto pages = static_cast<uint64_t>(shape.max_kv_blocks);
  uint64_t item = pages == 0 ? prices.empty_item_cost : prices.item_cost + pages * prices.step_cost;
  if (pages == 2) item -= prices.pair_saves;
  const uint64_t ids = static_cast<uint64_t>(shape.batch) * tiles.num_groups;
  const uint64_t cores = std::min<uint64_t>(static_cast<uint64_t>(platform.num_cores), ids);
  const uint64_t last_of_most = (ids - 1) % cores;  // the last core with the most ids
  const auto most = CheckedMul(CeilDiv(ids, cores), item);
  if (!most || *most > std::numeric_limits<uint64_t>::max() / 2) {
    return std::numeric_limits<uint64_t>::max();
  }
  return std::max(last_of_most * prices.core_start_cost + *most,
                  (cores - 1) * prices.core_start_cost + ids / cores * item);
}

}  // namespace ascend_attention
