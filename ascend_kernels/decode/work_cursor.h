// SPDX-License-Identifier: Apache-2.0
// How the decode kernel reads its plan: the problem's constants, and the stream
// of tiles of one core.
//
// A core's work items, cut into tiles of kv_tile_tokens, form one stream: the
// schedules run across item borders without draining, so that a batch of short
// sequences pipelines like one long sequence.
//
// Next: ascend_kernels/decode/decode_cube.h - what the cube does with a tile.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_WORK_CURSOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_WORK_CURSOR_H_

#include "ascend_kernels/decode/buffer_map.h"
#include "ascend_kernels/decode/decode_args.h"
#include "ascend_kernels/decode/plan_memory.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

// Constants of the launch, read once from the plan header.
struct Problem {
  uint32_t num_heads;
  uint32_t num_kv_heads;
  uint32_t kv_head_parts;  // items of one kv head, each with a part of its query heads
  uint32_t q_per_kv;       // of a kv head, or of a part
  uint32_t head_dim;
  uint32_t kv_block_size;
  uint32_t max_kv_blocks;
  uint32_t num_kv_blocks;
  uint32_t tile_tokens;
  uint32_t chunk_tokens;
  uint32_t max_kv_heads;       // of an item
  uint32_t max_rows_per_head;  // query rows of an item, for one kv head
  uint32_t max_rows;           // query rows of an item
  uint32_t operand_limbs;      // matrix rows per query row
  uint32_t kv_token_stride;    // elements
  uint32_t kv_head_stride;     // elements
  uint64_t kv_block_stride;    // elements
  float softmax_scale;
};

// At most kv_tile_tokens tokens of one work item.
struct Tile {
  uint32_t sequence;
  uint32_t first_head_row;  // of query, out and lse: query row * num_heads + first query head
  uint32_t q_len;           // query tokens
  uint32_t rows_per_head;   // query rows of one kv head: q_len * q_per_kv
  uint32_t matrix_rows;     // of one kv head: rows_per_head * operand_limbs, limb by limb
  uint32_t row_groups;      // 16-row units of those
  uint32_t kv_head_begin;
  uint32_t kv_head_count;
  uint32_t partial;  // or kNoPartial
  uint32_t token_begin;
  uint32_t num_tokens;     // 0 only for an item that sees no token
  int32_t visible_tokens;  // of the item's first query token, counted from token_begin
  bool first_of_item;
  bool last_of_item;
};

// kv_block_size >= 16 and token_begin is a multiple of 16: a tile of 512 tokens
// touches at most 32 kv blocks when they are 16 tokens long, fewer otherwise.
constexpr uint32_t kMaxTileBlocks = kMaxTileTokens / kTokenGranule;

// Physical kv blocks under one tile, in token order.
struct TileBlocks {
  uint32_t first_offset_tokens;  // of the tile in its first block
  uint32_t kv_block[kMaxTileBlocks];
};

AICORE_INLINE Problem ReadProblem(GmPtr<uint8_t> workspace) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  Problem problem;
  problem.num_heads = header->num_heads;
  problem.num_kv_heads = header->num_kv_heads;
  problem.kv_head_parts = header->kv_head_parts;
  problem.q_per_kv = problem.num_heads / (problem.num_kv_heads * problem.kv_head_parts);
  problem.head_dim = header->head_dim;
  problem.kv_block_size = header->kv_block_size;
  problem.max_kv_blocks = header->max_kv_blocks;
  problem.num_kv_blocks = header->num_kv_blocks;
  problem.tile_tokens = header->kv_tile_tokens;
  problem.chunk_tokens = header->kv_chunk_tokens;
  problem.max_kv_heads = header->kv_heads_per_group;
  problem.max_rows_per_head = header->q_tokens_per_item * problem.q_per_kv;
  problem.max_rows = problem.max_kv_heads * problem.max_rows_per_head;
  problem.operand_limbs = header->operand_limbs;
  problem.kv_token_stride = header->kv_token_stride;
  problem.kv_head_stride = header->kv_head_stride;
  problem.kv_block_stride = header->kv_block_stride;
  problem.softmax_scale = header->softmax_scale;
  return problem;
}

// Whether the plan's tiles fit this kernel's buffers and queues (buffer_map.h,
// decode_cube.h); a plan from the planner always does. T: what the cube multiplies.
template <typename T>
AICORE_INLINE bool TilesFit(const Problem& problem) {
  const uint32_t matrix_rows = problem.max_rows_per_head * problem.operand_limbs;
  const uint32_t units = problem.max_kv_heads * CeilDiv(matrix_rows, kUnitRows);
  const uint32_t tile = problem.tile_tokens;
  const uint32_t chunk = problem.chunk_tokens;
  const uint32_t head_chunk_bytes = chunk * problem.head_dim * sizeof(T);
  return units != 0 && units * problem.head_dim <= kMaxUnitLanes && units * tile <= kMaxUnitLanes &&
         problem.max_rows <= 2 * kMaxRows && tile != 0 && tile <= kMaxTileTokens &&
         tile % kF32Lanes == 0 && chunk % kSquareRows<T> == 0 && chunk <= kMaxChunkTokens &&
         tile <= kMaxChunksPerTile * chunk &&
         problem.max_kv_heads * head_chunk_bytes <= kKvSlotBytes &&
         head_chunk_bytes <= kL0bSlotBytes;
}

// The slots of one core in a per-core region of the workspace, used in turn.
// Reuse is ordered by the signals of events.h.
template <typename T, uint32_t kNumSlots = kTileSlots>
class GmSlots {
 public:
  AICORE_INLINE void Open(GmPtr<uint8_t> workspace, uint64_t region_bytes, uint64_t slot_bytes) {
    const uint64_t core_bytes = static_cast<uint64_t>(BlockIndex()) * kNumSlots * slot_bytes;
    first_ = GmAt<T>(workspace, ByteOffset{region_bytes + core_bytes});
    slot_elems_ = slot_bytes / sizeof(T);
  }

  AICORE_INLINE GmPtr<T> Next() {
    const GmPtr<T> slot = first_ + next_ * slot_elems_;
    next_ = next_ + 1 == kNumSlots ? 0 : next_ + 1;
    return slot;
  }

 private:
  GmPtr<T> first_ = nullptr;
  uint64_t slot_elems_ = 0;
  uint32_t next_ = 0;
};

// Where the cores of one block exchange scores, probs and o_tiles. T: what the cube
// multiplies. Rows of a slot: limb by limb, those of a full item each.
template <typename T>
struct TileExchange {
  using Sum = typename MmadSum<T>::Type;

  // Three slow loads of the plan, so that a core may queue its first loads before.
  AICORE_INLINE void Open(GmPtr<uint8_t> workspace) {
    GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
    scores.Open(workspace, header->scores.begin.bytes, header->scores_slot_size.bytes);
    probs.Open(workspace, header->probs.begin.bytes, header->probs_slot_size.bytes);
    o_tiles.Open(workspace, header->o_tiles.begin.bytes, header->o_tile_slot_size.bytes);
  }

  GmSlots<Sum> scores;   // [limbs, max_rows, kv_tile_tokens]
  GmSlots<T> probs;      // [limbs, max_rows, kv_tile_tokens]
  GmSlots<Sum> o_tiles;  // [limbs, max_rows, head_dim]
};

class TileCursor {
 public:
  AICORE_INLINE TileCursor(GmPtr<uint8_t> workspace, const Problem& problem)
      : num_heads_(problem.num_heads),
        q_per_kv_(problem.q_per_kv),
        kv_head_parts_(problem.kv_head_parts),
        operand_limbs_(problem.operand_limbs),
        tile_tokens_(problem.tile_tokens) {
    GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
    GmPtr<CoreItems> core_items = GmAt<CoreItems>(workspace, &header->core_items) + BlockIndex();
    items_ = GmAt<WorkItem>(workspace, &header->items) + core_items->first_item;
    items_left_ = core_items->item_count;
  }

  // The next tile, or false at the end of the core's work. An empty sequence is
  // one tile without tokens.
  AICORE_INLINE bool Next(Tile& tile) {
    const bool first_of_item = token_ == token_end_;
    if (first_of_item) {
      if (items_left_ == 0) return false;
      OpenItem();
    }
    const uint32_t num_tokens = Min(tile_tokens_, token_end_ - token_);
    tile.sequence = sequence_;
    tile.first_head_row = first_head_row_;
    tile.q_len = q_len_;
    tile.rows_per_head = rows_per_head_;
    tile.matrix_rows = matrix_rows_;
    tile.row_groups = row_groups_;
    tile.kv_head_begin = kv_head_begin_;
    tile.kv_head_count = kv_head_count_;
    tile.partial = partial_;
    tile.token_begin = token_;
    tile.num_tokens = num_tokens;
    tile.visible_tokens = visible_tokens_ - static_cast<int32_t>(token_);
    tile.first_of_item = first_of_item;
    token_ += num_tokens;
    tile.last_of_item = token_ == token_end_;
    return true;
  }

  // Leaves out what is left of the item that Next() is in.
  AICORE_INLINE void SkipItem() { token_ = token_end_; }

 private:
  AICORE_INLINE void OpenItem() {
    sequence_ = items_->sequence;
    q_len_ = items_->q_len;
    rows_per_head_ = q_len_ * q_per_kv_;
    matrix_rows_ = rows_per_head_ * operand_limbs_;
    row_groups_ = CeilDiv(matrix_rows_, kUnitRows);
    visible_tokens_ = items_->visible_tokens;
    kv_head_begin_ = items_->kv_head_begin;
    kv_head_count_ = items_->kv_head_count;
    first_head_row_ = items_->query_row * num_heads_ + kv_head_begin_ * q_per_kv_;
    if (kv_head_parts_ != 1) kv_head_begin_ /= kv_head_parts_;
    partial_ = items_->partial;
    token_ = items_->token_begin;
    token_end_ = items_->token_end;
    ++items_;
    --items_left_;
  }

  uint32_t num_heads_;
  uint32_t q_per_kv_;
  uint32_t kv_head_parts_;
  uint32_t operand_limbs_;
  uint32_t tile_tokens_;
  GmPtr<WorkItem> items_;
  uint32_t items_left_;
  uint32_t sequence_ = 0;
  uint32_t first_head_row_ = 0;
  uint32_t q_len_ = 0;
  uint32_t rows_per_head_ = 0;
  uint32_t matrix_rows_ = 0;
  uint32_t row_groups_ = 0;
  int32_t visible_tokens_ = 0;
  uint32_t kv_head_begin_ = 0;
  uint32_t kv_head_count_ = 0;
  uint32_t partial_ = kNoPartial;
  uint32_t token_ = 0;
  uint32_t token_end_ = 0;
};

// Tiles that have tokens; the cube has nothing to do for the others.
AICORE_INLINE bool NextWithTokens(TileCursor& cursor, Tile& tile) {
  while (cursor.Next(tile)) {
    if (tile.num_tokens != 0) return true;
  }
  return false;
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_WORK_CURSOR_H_
