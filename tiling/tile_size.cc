// SPDX-License-Identifier: Apache-2.0
// Tile sizes from buffer capacities.
//
// Matrix operands are cut in units of 16 query rows of one kv head, because the
// cube works on 16-row fractals and two kv heads cannot share one:
//   row groups RG = ceil(q_per_kv / 16),  units U = kv heads of the group x RG.
#include "tiling/tile_size.h"

#include <algorithm>
#include <cstdint>

#include "tiling/checked_math.h"

namespace ascend_attention {
namespace {

constexpr uint32_t kUnitRows = 16;
constexpr uint32_t kElemBytes = 2;     // float16, bfloat16
constexpr uint32_t kScoreBytes = 4;    // float32 accumulators
constexpr uint32_t kVectorLanes = 64;  // float32 lanes of one vector repeat
constexpr uint32_t kMaxTileTokens = 512;

// The two vector cores share a group's query rows; each keeps its rows' softmax
// state in one repeat of float32 lanes.
constexpr uint32_t kMaxRowsPerGroup = 2 * kVectorLanes;
constexpr uint32_t kChunksPerTile = 4;

// A load is one instruction per kv block, and a pipe queues 32 instructions: two
// chunks ahead of the matrix work, of at most eight blocks of 16 tokens each.
constexpr uint32_t kMaxChunkTokens = 128;

// Local memories of the A2 (CANN platform files), and the parts that the decode
// kernel gives to each purpose.
constexpr uint32_t kHalfL0aBytes = 32 * 1024;
constexpr uint32_t kHalfL0bBytes = 32 * 1024;
constexpr uint32_t kHalfL0cBytes = 64 * 1024;
constexpr uint32_t kL1SlotBytes = 64 * 1024;

uint32_t RoundDown(uint32_t value, uint32_t multiple) { return value / multiple * multiple; }

// Most units whose Q stays resident in half of L0A (16-bit) and whose O tile
// fits half of L0C (32-bit): both say units x head_dim <= 1024. The smallest
// tile, one vector repeat of 64 tokens, must fit beside them: its scores in the
// other half of L0C, its P in the other half of L0A.
uint32_t MaxUnits(uint32_t head_dim) {
  const uint32_t by_q = kHalfL0aBytes / (kUnitRows * kElemBytes * head_dim);
  const uint32_t by_o = kHalfL0cBytes / (kUnitRows * kScoreBytes * head_dim);
  const uint32_t by_scores = kHalfL0cBytes / (kUnitRows * kScoreBytes * kVectorLanes);
  const uint32_t by_probs = kHalfL0aBytes / (kUnitRows * kElemBytes * kVectorLanes);
  return std::min({by_q, by_o, by_scores, by_probs});
}

// Most kv heads whose smallest chunk, 16 tokens of all of them, fits an L1 slot.
uint32_t MaxHeadsBySlot(uint32_t head_dim) {
  return kL1SlotBytes / (kTokenGranule * head_dim * kElemBytes);
}

// Most tokens of a load: one kv head of it must fit half of L0B, all kv heads
// of it one L1 slot, its instructions the pipe's queue.
uint32_t MaxChunkTokens(uint32_t head_dim, uint32_t kv_heads) {
  const uint32_t by_l0b = kHalfL0bBytes / (head_dim * kElemBytes);
  const uint32_t by_slot = kL1SlotBytes / (kv_heads * head_dim * kElemBytes);
  return RoundDown(std::min({by_l0b, by_slot, kMaxChunkTokens}), kTokenGranule);
}

// Most tokens of a tile: scores in half of L0C and P in half of L0A for all
// units, and all V chunks of the tile in the L1 ring before P arrives.
uint32_t MaxTileTokens(uint32_t units, uint32_t chunk_tokens) {
  const uint32_t by_scores = kHalfL0cBytes / (kUnitRows * kScoreBytes * units);
  const uint32_t by_probs = kHalfL0aBytes / (kUnitRows * kElemBytes * units);
  const uint32_t by_ring = kChunksPerTile * chunk_tokens;
  return RoundDown(std::min({by_scores, by_probs, by_ring, kMaxTileTokens}), kVectorLanes);
}

}  // namespace

StatusOr<TileSize> ChooseTiles(const DecodeShape& shape) {
  const auto head_dim = static_cast<uint32_t>(shape.head_dim);
  const auto kv_heads = static_cast<uint32_t>(shape.num_kv_heads);
  const auto q_per_kv = static_cast<uint32_t>(shape.q_per_kv());
  const auto row_groups = static_cast<uint32_t>(CeilDiv(q_per_kv, kUnitRows));

  // As many kv heads as fit, so that a load reads whole cache rows; then
  // balanced, so that no group is needlessly small.
  const uint32_t max_heads = std::min(
      {MaxUnits(head_dim) / row_groups, MaxHeadsBySlot(head_dim), kMaxRowsPerGroup / q_per_kv});
  if (max_heads == 0) {
    return Unimplemented("num_heads / num_kv_heads = ", q_per_kv, " with head_dim = ", head_dim,
                         " does not fit the buffers; nearest supported: ",
                         std::min(MaxUnits(head_dim) * kUnitRows, kMaxRowsPerGroup));
  }
  TileSize tiles;
  tiles.num_groups = static_cast<uint32_t>(CeilDiv(kv_heads, max_heads));
  tiles.kv_heads_per_group = static_cast<uint32_t>(CeilDiv(kv_heads, tiles.num_groups));
  // Balancing can leave whole groups without heads (9 heads, 4 groups of 3).
  tiles.num_groups = static_cast<uint32_t>(CeilDiv(kv_heads, tiles.kv_heads_per_group));
  tiles.last_group_heads = kv_heads - (tiles.num_groups - 1) * tiles.kv_heads_per_group;
  tiles.rows_per_group = tiles.kv_heads_per_group * q_per_kv;
  tiles.units_per_group = tiles.kv_heads_per_group * row_groups;

  tiles.kv_chunk_tokens = MaxChunkTokens(head_dim, tiles.kv_heads_per_group);
  tiles.kv_tile_tokens = MaxTileTokens(tiles.units_per_group, tiles.kv_chunk_tokens);
  tiles.kv_chunk_tokens = std::min(tiles.kv_chunk_tokens, tiles.kv_tile_tokens);
  return tiles;
}

}  // namespace ascend_attention
