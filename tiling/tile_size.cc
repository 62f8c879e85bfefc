// SPDX-License-Identifier: Apache-2.0
// Tile sizes from buffer capacities.
//
// Matrix operands are cut in units of 16 rows of one kv head, because the cube
// works on 16-row fractals and two kv heads cannot share one:
//   rows of a kv head    = query tokens of the item x q_per_kv x limbs
//   units                = kv heads of the group x ceil(rows of a kv head / 16)
#include "tiling/tile_size.h"

#include <algorithm>
#include <cstdint>

#include "tiling/checked_math.h"
#include "tiling/kv_layout.h"

namespace ascend_attention {
namespace {

constexpr uint32_t kUnitRows = 16;
constexpr uint32_t kScoreBytes = 4;    // float32 or int32 accumulators
constexpr uint32_t kVectorLanes = 64;  // float32 lanes of one vector repeat
constexpr uint32_t kMaxTileTokens = 512;

// The two vector cores share a group's query rows; each keeps its rows' softmax
// state in one repeat of float32 lanes.
constexpr uint32_t kMaxRowsPerGroup = 2 * kVectorLanes;
constexpr uint32_t kChunksPerTile = 4;
constexpr uint32_t kMaxChunkTokens = 128;

// A load is one instruction per kv block, and per kv head if heads are loaded one
// by one. A pipe queues 32 instructions: two chunks ahead of the matrix work,
// and as many again for everything else.
constexpr uint32_t kMaxLoadsPerChunk = 8;
constexpr uint32_t kMaxSeparateHeads = 4;

// From this run length on the chip reads at its full rate: the L2 line (CANN
// tuning guide; published reads of 256-byte runs stop at 0.98 of 1.3 TB/s).
constexpr uint32_t kFullRateRunBytes = 512;

// Local memories of the A2 (CANN platform files), and the parts that the decode
// kernels give to each purpose.
constexpr uint32_t kHalfL0aBytes = 32 * 1024;
constexpr uint32_t kHalfL0bBytes = 32 * 1024;
constexpr uint32_t kHalfL0cBytes = 64 * 1024;
constexpr uint32_t kL1SlotBytes = 64 * 1024;

// UB of a vector core for an int8 cache: fp32 matrices of the core's rows, which
// are half of an item's, in whole vector repeats, and one row of scales a kv head.
constexpr uint32_t kInt8MatrixElems = 4096;
constexpr uint32_t kInt8ScaleElems = 1024;

uint32_t RoundDown(uint32_t value, uint32_t multiple) { return value / multiple * multiple; }

class TileChooser {
 public:
  explicit TileChooser(const DecodeShape& shape)
      : head_dim_(static_cast<uint32_t>(shape.head_dim)),
        row_lanes_(static_cast<uint32_t>(CeilDiv(shape.head_dim, kVectorLanes)) * kVectorLanes),
        is_int8_(shape.kv_quant != KvQuant::kNone),
        max_q_len_(static_cast<uint32_t>(shape.max_q_len)),
        kv_block_size_(static_cast<uint32_t>(shape.kv_block_size)),
        cache_elem_bytes_(static_cast<uint32_t>(KvElemBytes(shape.kv_quant))),
        limbs_(shape.kv_route == KvRoute::kLimbs ? 2 : 1),
        operand_bytes_(shape.kv_route == KvRoute::kLimbs ? 1 : 2),
        // The transposed load of V takes squares: 16 x 16 of 16 bits, 32 x 32 of 8.
        chunk_multiple_(kTokenGranule * limbs_),
        // Converted tiles are dense, however the cache lies.
        separate_heads_(shape.kv_route != KvRoute::kDequant && !LoadsHeadsTogether(shape)),
        contiguous_heads_(HeadsAreContiguous(shape)),
        parts_(KvHeadParts(static_cast<uint32_t>(shape.q_per_kv()))),
        kv_heads_(static_cast<uint32_t>(shape.num_kv_heads) * parts_),
        q_per_kv_(static_cast<uint32_t>(shape.q_per_kv()) / parts_) {}

  StatusOr<TileSize> Choose() const {
    if (MaxKvHeads(1) == 0) {
      return Unimplemented("num_heads / num_kv_heads = ", q_per_kv_, " with head_dim = ", head_dim_,
                           " does not fit the buffers");
    }
    TileSize tiles;
    tiles.kv_head_parts = parts_;
    tiles.operand_limbs = limbs_;
    tiles.q_tokens_per_item = QTokensPerItem();
    SetGroups(MaxKvHeads(tiles.q_tokens_per_item), tiles);
    const uint32_t heads = tiles.kv_heads_per_group;
    tiles.rows_per_group = heads * tiles.q_tokens_per_item * q_per_kv_;
    tiles.units_per_group = heads * UnitsPerHead(tiles.q_tokens_per_item);
    tiles.kv_chunk_tokens = MaxChunkTokens(heads);
    tiles.kv_tile_tokens = MaxTileTokens(tiles);
    tiles.kv_chunk_tokens = std::min(tiles.kv_chunk_tokens, tiles.kv_tile_tokens);
    return tiles;
  }

 private:
  uint32_t UnitsPerHead(uint32_t q_tokens) const {
    return static_cast<uint32_t>(CeilDiv(q_tokens * q_per_kv_ * limbs_, kUnitRows));
  }

  // Most units whose Q stays resident in half of L0A and whose O tile fits half
  // of L0C; the latter says units x head_dim <= 1024. The smallest tile, one
  // vector repeat of 64 tokens, must fit beside them: its scores in the other
  // half of L0C, its P in the other half of L0A.
  uint32_t MaxUnits() const {
    const uint32_t by_q = kHalfL0aBytes / (kUnitRows * operand_bytes_ * head_dim_);
    const uint32_t by_o = kHalfL0cBytes / (kUnitRows * kScoreBytes * head_dim_);
    const uint32_t by_scores = kHalfL0cBytes / (kUnitRows * kScoreBytes * kVectorLanes);
    const uint32_t by_probs = kHalfL0aBytes / (kUnitRows * operand_bytes_ * kVectorLanes);
    return std::min({by_q, by_o, by_scores, by_probs});
  }

  // Most query rows of an item that the two vector cores hold.
  uint32_t MaxRows() const {
    if (!is_int8_) return kMaxRowsPerGroup;
    return std::min(kMaxRowsPerGroup, 2 * (kInt8MatrixElems / row_lanes_));
  }

  // The fewest equal parts of a kv head's query heads that an item holds one of.
  uint32_t KvHeadParts(uint32_t q_per_kv) const {
    uint32_t parts = 1;
    while (q_per_kv % parts != 0 || q_per_kv / parts > MaxQPerKv()) ++parts;
    return parts;
  }

  uint32_t MaxQPerKv() const { return std::min(MaxUnits() * kUnitRows / limbs_, MaxRows()); }

  // Most kv heads of an item with so many query tokens: their units, their
  // query rows, the smallest chunk of all of them in an L1 slot, and the
  // instructions of a chunk.
  uint32_t MaxKvHeads(uint32_t q_tokens) const {
    // Parts of one kv head are not neighbours in the cache.
    const uint32_t by_parts = parts_ == 1 ? kv_heads_ : 1;
    const uint32_t by_units = MaxUnits() / UnitsPerHead(q_tokens);
    const uint32_t by_rows = MaxRows() / (q_tokens * q_per_kv_);
    const uint32_t by_slot = kL1SlotBytes / (chunk_multiple_ * head_dim_ * operand_bytes_);
    const uint32_t by_queue = separate_heads_ ? kMaxSeparateHeads : kv_heads_;
    const uint32_t by_scales = is_int8_ ? kInt8ScaleElems / row_lanes_ : kv_heads_;
    return std::min({by_parts, by_units, by_rows, by_slot, by_queue, by_scales});
  }

  // Kv heads that make a run as long as the chip reads at its full rate.
  uint32_t KvHeadsOfFullRun() const {
    if (contiguous_heads_) return 1;
    return static_cast<uint32_t>(CeilDiv(kFullRateRunBytes, head_dim_ * cache_elem_bytes_));
  }

  // All query tokens of a sequence in one item read its KV once, instead of once
  // per part: worth kv heads, as long as runs stay at the full rate. Parts are
  // equal, but for the last.
  uint32_t QTokensPerItem() const {
    const uint32_t least_heads = std::min({KvHeadsOfFullRun(), kv_heads_, MaxKvHeads(1)});
    for (uint32_t parts = 1;; ++parts) {
      const auto q_tokens = static_cast<uint32_t>(CeilDiv(max_q_len_, parts));
      if (MaxKvHeads(q_tokens) >= least_heads) return q_tokens;
    }
  }

  // As many kv heads as fit, so that a load reads whole cache rows; then
  // balanced, so that no group is needlessly small.
  void SetGroups(uint32_t max_heads, TileSize& tiles) const {
    tiles.num_groups = static_cast<uint32_t>(CeilDiv(kv_heads_, max_heads));
    tiles.kv_heads_per_group = static_cast<uint32_t>(CeilDiv(kv_heads_, tiles.num_groups));
    // Balancing can leave whole groups without heads (9 heads, 4 groups of 3).
    tiles.num_groups = static_cast<uint32_t>(CeilDiv(kv_heads_, tiles.kv_heads_per_group));
    tiles.last_group_heads = kv_heads_ - (tiles.num_groups - 1) * tiles.kv_heads_per_group;
  }

  // Most kv blocks that so many tokens, from any granule on, lie in.
  uint32_t BlocksTouched(uint32_t tokens) const {
    if (tokens <= kTokenGranule) return 1;
    return (tokens - 2 * kTokenGranule) / kv_block_size_ + 2;
  }

  // Most tokens of a load: one kv head of it must fit half of L0B, all kv heads
  // of it one L1 slot, its instructions the pipe's queue.
  uint32_t MaxChunkTokens(uint32_t heads) const {
    const uint32_t by_l0b = kHalfL0bBytes / (head_dim_ * operand_bytes_);
    const uint32_t by_slot = kL1SlotBytes / (heads * head_dim_ * operand_bytes_);
    uint32_t chunk = RoundDown(std::min({by_l0b, by_slot, kMaxChunkTokens}), chunk_multiple_);
    const uint32_t loads_per_block = separate_heads_ ? heads : 1;
    while (chunk > chunk_multiple_ && loads_per_block * BlocksTouched(chunk) > kMaxLoadsPerChunk) {
      chunk -= chunk_multiple_;
    }
    return chunk;
  }

  // Most tokens of a tile: scores in half of L0C and P in half of L0A for all
  // units, all V chunks of the tile in the L1 ring before P arrives, and an int8
  // cache's matrices in UB.
  uint32_t MaxTileTokens(const TileSize& tiles) const {
    const uint32_t units = tiles.units_per_group;
    const uint32_t by_scores = kHalfL0cBytes / (kUnitRows * kScoreBytes * units);
    const uint32_t by_probs = kHalfL0aBytes / (kUnitRows * operand_bytes_ * units);
    const uint32_t by_ring = kChunksPerTile * tiles.kv_chunk_tokens;
    uint32_t most = std::min({by_scores, by_probs, by_ring, kMaxTileTokens});
    if (is_int8_) {
      const auto rows = static_cast<uint32_t>(CeilDiv(tiles.rows_per_group, 2));
      most = std::min({most, kInt8MatrixElems / rows, kInt8ScaleElems / tiles.kv_heads_per_group});
    }
    return RoundDown(most, kVectorLanes);
  }

  const uint32_t head_dim_;
  const uint32_t row_lanes_;
  const bool is_int8_;
  const uint32_t max_q_len_;
  const uint32_t kv_block_size_;
  const uint32_t cache_elem_bytes_;
  const uint32_t limbs_;
  const uint32_t operand_bytes_;
  const uint32_t chunk_multiple_;
  const bool separate_heads_;
  const bool contiguous_heads_;
  const uint32_t parts_;
  const uint32_t kv_heads_;  // or parts of them
  const uint32_t q_per_kv_;  // query heads of a kv head, or of a part
};

// A kv head's page and a tile of its query heads: what decode_fifo's buffers are made
// for. The last tile of a kv head may have fewer.
TileSize FifoTiles(const DecodeShape& shape) {
  const auto q_per_kv = static_cast<uint32_t>(shape.q_per_kv());
  TileSize tiles;
  tiles.rows_per_group = FifoQueryTile(q_per_kv);
  tiles.units_per_group = tiles.rows_per_group / kUnitRows;
  tiles.kv_head_parts = static_cast<uint32_t>(CeilDiv(q_per_kv, tiles.rows_per_group));
  tiles.kv_heads_per_group = 1;
  tiles.num_groups = static_cast<uint32_t>(shape.num_kv_heads) * tiles.kv_head_parts;
  tiles.last_group_heads = 1;
  tiles.q_tokens_per_item = 1;
  tiles.operand_limbs = 1;
  tiles.kv_tile_tokens = static_cast<uint32_t>(shape.kv_block_size);
  tiles.kv_chunk_tokens = tiles.kv_tile_tokens;
  return tiles;
}

}  // namespace

StatusOr<TileSize> ChooseTiles(const DecodeShape& shape) {
  if (shape.kv_route == KvRoute::kFifo) return FifoTiles(shape);
  return TileChooser(shape).Choose();
}

}  // namespace ascend_attention
