// SPDX-License-Identifier: Apache-2.0
// The bytes that the decode and combine kernels read: one plan per batch of
// lengths, written by the planner (host or device, same bytes), read only
// through ascend_kernels/decode/{work_cursor,plan_memory}.h.
//
// A plan blob sits at byte 0 of the workspace:
//
//   DecodePlanHeader | CoreItems[num_cores] | WorkItem[num_items] |
//   SplitRange[num_splits]                       (each array 64-byte aligned)
//
// Arrays and regions are booked for the most that any lengths of this batch can
// need, so no offset depends on the lengths; the counts say what is used.
//
// Structs are plain data with natural alignment and no padding holes; the
// layout is pinned by decode_plan_test.cc and mirrored in Python. Device-safe.
//
// Next: ascend_kernels/decode/decode_cube.h - what a cube core does with its items.
#ifndef ASCEND_ATTENTION_TILING_ABI_DECODE_PLAN_H_
#define ASCEND_ATTENTION_TILING_ABI_DECODE_PLAN_H_

#include "tiling/abi/units.h"

namespace ascend_attention {

enum class DType : uint32_t {
  kFloat16 = 0,
  kBFloat16 = 1,
};

constexpr uint32_t kDecodePlanMagic = 0x4c504441;  // "ADPL", little endian
constexpr uint32_t kDecodePlanAbiVersion = 1;

// Regions and arrays of the workspace start on this boundary: the L2 line of
// the A2 (CANN Ascend C tuning guide).
constexpr uint64_t kRegionAlignmentBytes = 512;

// WorkItem::partial of an item whose sequence is not split: the decode kernel
// writes `out` and `lse` itself.
constexpr uint32_t kNoPartial = 0xffffffffu;

// A part of the workspace, from the workspace's first byte.
struct Region {
  ByteOffset begin;
  ByteCount size;
};

// What one decode work unit covers: one contiguous token range of one
// sequence, for `kv_head_count` neighbouring kv heads and all their query
// heads. token_begin is a multiple of kTokenGranule; token_end is a multiple
// too, or the sequence's context length. An empty sequence has one item per
// kv-head group with token_begin == token_end == 0: out = 0, lse = -inf.
struct WorkItem {
  uint32_t sequence;       // row of block_table, context_lens
  uint32_t query_row;      // first row of query/out: sequence while q_len is 1
  uint32_t q_len;          // query tokens of this sequence; 1
  uint32_t kv_head_begin;  // first kv head
  uint32_t kv_head_count;  // 1..kv_heads_per_group
  uint32_t token_begin;
  uint32_t token_end;
  uint32_t partial;  // slot of partial_out / partial_lse, or kNoPartial
};

// Items of one core: items[first_item .. first_item + item_count).
struct CoreItems {
  uint32_t first_item;
  uint32_t item_count;
};

// One (sequence, kv-head group) that several cores share: its partial results
// are partial_out / partial_lse slots [first_partial, first_partial +
// num_partials), in token order. Read by the combine kernel.
struct SplitRange {
  uint32_t query_row;
  uint32_t q_len;
  uint32_t kv_head_begin;
  uint32_t kv_head_count;
  uint32_t first_partial;
  uint32_t num_partials;
};

// A kernel that meets an impossible value (a kv block id outside the cache, tiles
// larger than its buffers) writes its core's record and traps; the host turns
// the record into the error text. `code` 0 means no error. A plan of another
// version has no record: where it keeps them is unknown. Written by the cube
// core; 64 bytes, so that no two of them share a data-cache line.
struct alignas(64) ErrorRecord {
  uint32_t code;  // ErrorCode
  uint32_t core;
  int64_t row;    // block_table row
  int64_t index;  // block_table column
  int64_t value;  // what was read
  int64_t limit;  // allowed: 0 <= value < limit
  uint64_t reserved[3];
};

enum class ErrorCode : uint32_t {
  kNone = 0,
  kKvBlockOutOfRange = 1,  // block_table[row, index] = value, limit = num_kv_blocks
  kTilesDoNotFit = 2,      // row, index, value, limit = kv_tile_tokens, kv_chunk_tokens, query rows
                           // of a group, head_dim: more than the kernel's buffers hold
};

struct DecodePlanHeader {
  uint32_t magic;
  uint32_t abi_version;
  ByteCount header_size;  // sizeof(DecodePlanHeader)
  ByteCount plan_size;    // header and arrays
  ByteCount workspace_size;

  // Problem shape (tiling/shape.h).
  uint32_t batch;
  uint32_t num_heads;
  uint32_t num_kv_heads;
  uint32_t head_dim;
  uint32_t kv_block_size;
  uint32_t max_kv_blocks;  // columns of block_table
  uint32_t num_kv_blocks;  // blocks in the cache
  DType dtype;
  float softmax_scale;

  // Tile choice (tiling/tile_size.h).
  uint32_t kv_heads_per_group;
  uint32_t kv_tile_tokens;   // tokens of one softmax step; row pitch of scores and probs
  uint32_t kv_chunk_tokens;  // tokens of one K or V load into an L1 slot

  uint32_t num_cores;
  uint32_t num_items;
  uint32_t num_splits;
  uint32_t num_partials;

  // Arrays, from the plan's first byte.
  ByteOffset core_items;
  ByteOffset items;
  ByteOffset splits;

  // Workspace regions. Scores, probs and o_tiles hold num_cores x kTileSlots
  // slots; slot t of core c starts at begin + (c * kTileSlots + t) * slot size.
  Region error_records;  // ErrorRecord[num_cores]
  Region scores;         // float [rows, kv_tile_tokens] per slot
  Region probs;          // dtype [rows, kv_tile_tokens] per slot
  Region o_tiles;        // float [rows, head_dim] per slot
  Region partial_out;    // float [num_partials, rows, head_dim], normalised
  Region partial_lse;    // float [num_partials, RoundUp(rows, 8)]
  ByteCount scores_slot_size;
  ByteCount probs_slot_size;
  ByteCount o_tile_slot_size;
};

// Launch flag of the decode and combine kernels: `lse` is wanted.
constexpr uint64_t kLaunchWriteLse = 1;

// Slots per core in scores, probs and o_tiles: the cube computes tile i+1 while
// the vector cores still read tile i.
constexpr uint32_t kTileSlots = 2;

// Cut points of a sequence lie on multiples of this: kv_block_size is one, and
// the cube's fractals are 16 rows.
constexpr uint32_t kTokenGranule = 16;

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_DECODE_PLAN_H_
