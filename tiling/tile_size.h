// SPDX-License-Identifier: Apache-2.0
// How much one tile holds: a pure function of the shape. Every capacity
// inequality stands beside the choice that it limits (tile_size.cc).
//
// Next: tiling/decode_costs.h - what a token costs in such tiles.
#ifndef ASCEND_ATTENTION_TILING_TILE_SIZE_H_
#define ASCEND_ATTENTION_TILING_TILE_SIZE_H_

#include <cstdint>

#include "tiling/shape.h"
#include "tiling/status.h"

namespace ascend_attention {

struct TileSize {
  uint32_t kv_head_parts = 1;  // parts of a kv head's query heads that take the place of kv heads
  uint32_t kv_heads_per_group = 0;  // kv heads that one work item serves
  uint32_t num_groups = 0;          // groups per sequence; the last may be smaller
  uint32_t last_group_heads = 0;    // kv heads of the last group, 1..kv_heads_per_group
  uint32_t q_tokens_per_item = 0;   // most query tokens of a work item
  uint32_t operand_limbs = 0;       // matrix rows per query row
  uint32_t rows_per_group = 0;      // query rows of a full item: kv heads x tokens x q_per_kv
  uint32_t units_per_group = 0;     // 16-row matrix units of a full item
  uint32_t kv_tile_tokens = 0;      // tokens of one softmax step
  uint32_t kv_chunk_tokens = 0;     // tokens of one K or V load
};

// `shape` must be valid and its kv_route not kAuto. Unimplemented if no tile
// fits the buffers.
StatusOr<TileSize> ChooseTiles(const DecodeShape& shape);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_TILE_SIZE_H_
