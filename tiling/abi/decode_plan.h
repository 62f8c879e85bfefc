// SPDX-License-Identifier: Apache-2.0
// The bytes that the decode kernels read: one plan per batch of
// lengths, written by the planner (host or device, same bytes), read only
// through ascend_kernels/decode/{work_cursor,plan_memory}.h.
//
// A plan blob sits at byte 0 of the workspace:
//
//   DecodePlanHeader | CoreItems[num_cores] | WorkItem[num_items] |
//   SplitRange[num_splits]                       (each array 64-byte aligned)
//
// With KvRoute::kFifo it is DecodePlanHeader | int32 context_lens[batch]: the kernel
// finds its work from the lengths, and there are no items and no splits.
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
  kFloat32 = 2,  // of out only
};

// What the cache holds. Int8 values stand for (int8 + offset) * scale, fp32.
enum class KvQuant : uint32_t {
  kNone = 0,             // dtype
  kInt8Channel = 1,      // scale [num_kv_heads, head_dim], offset 0
  kInt8ChannelAsym = 2,  // scale and offset [num_kv_heads, head_dim]
  kInt8Token = 3,        // scale [num_kv_blocks, num_kv_heads, kv_block_size], offset 0
};

// How the cache reaches the cube.
enum class KvRoute : uint32_t {
  kAuto = 0,     // in a shape: the planner chooses; never in a plan
  kDirect = 1,   // KvQuant::kNone: loaded as it is
  kDequant = 2,  // int8: the vector cores convert tiles to dtype first
  kLimbs = 3,    // int8: query and probs as two int8 limbs, multiplied with int8 K and V
  kFifo = 4,     // KvQuant::kNone: page by page, without work items (ascend_kernels/decode_fifo)
};

constexpr uint32_t kDecodePlanMagic = 0x4c504441;  // "ADPL", little endian
constexpr uint32_t kDecodePlanAbiVersion = 3;

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
// sequence, for `kv_head_count` neighbouring kv heads, q_len query tokens and all
// query heads of those. token_begin is a multiple of kTokenGranule; token_end is
// a multiple too, or the last token that the item's last query token sees. An
// item that sees no token has token_begin == token_end == 0: out = 0, lse = -inf.
//
// The mask is causal, aligned to the end of the context: query token t of the
// sequence's q tokens sees tokens [0, context_len - q + t + 1).
//
// The item's query rows, in scores, probs, o_tiles and partials, are ordered
//   [kv_head_count][q_len][q_per_kv]
// so that all rows of one kv head are neighbours.
//
// A kv head with more query heads than one item holds is cut into kv_head_parts
// parts of equally many query heads, each of which reads the kv head. Parts stand
// in the place of kv heads then: part p of kv head h has the number
// h * kv_head_parts + p, kv_head_count is 1, and q_per_kv counts a part's heads.
struct WorkItem {
  uint32_t sequence;       // row of block_table, context_lens
  uint32_t query_row;      // of the item's first query token, in query and out
  uint32_t q_len;          // query tokens, 1..q_tokens_per_item
  uint32_t kv_head_begin;  // first kv head (part)
  uint32_t kv_head_count;  // 1..kv_heads_per_group
  uint32_t token_begin;
  uint32_t token_end;
  int32_t visible_tokens;  // of the item's first query token; token t sees t more. May be < 1
  uint32_t partial;        // slot of partial_out / partial_lse, or kNoPartial
};

// Items of one core: items[first_item .. first_item + item_count).
struct CoreItems {
  uint32_t first_item;
  uint32_t item_count;
};

// One (sequence, query tokens, kv-head group) with several partial results: they
// are partial_out / partial_lse slots [first_partial, first_partial +
// num_partials), in token order. Merged at the end of the decode kernel.
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
  kLengthOutOfRange = 3,   // kFifo: context_lens[row] = value, 0 <= value < limit
};

// In the order in which the kernels need it: what comes before a core's first load
// lies in two 64-byte lines of the scalar unit's data cache, each a load of some
// 250 ns; the rest is read while data is on its way.
struct DecodePlanHeader {
  uint32_t magic;
  uint32_t abi_version;
  DType dtype;
  KvQuant kv_quant;
  KvRoute kv_route;  // never kAuto

  // Problem shape (tiling/shape.h).
  uint32_t num_heads;
  uint32_t num_kv_heads;
  uint32_t head_dim;
  uint32_t kv_block_size;
  uint32_t max_kv_blocks;  // columns of block_table
  uint32_t num_kv_blocks;  // blocks in the cache

  // Tile choice (tiling/tile_size.h).
  uint32_t kv_heads_per_group;
  uint32_t q_tokens_per_item;  // most query tokens of a work item
  uint32_t operand_limbs;      // matrix rows per query row: 2 with kLimbs, else 1
  uint32_t kv_tile_tokens;     // tokens of one softmax step; row pitch of scores and probs
  uint32_t kv_chunk_tokens;    // tokens of one K or V load into an L1 slot

  // Element (block, token, head, d) of a cache lies at block * kv_block_stride +
  // token * kv_token_stride + head * kv_head_stride + d elements.
  uint32_t kv_token_stride;
  uint32_t kv_head_stride;
  uint64_t kv_block_stride;

  // Arrays, from the plan's first byte; num_splits and num_partials say whether
  // there is something to merge.
  ByteOffset core_items;
  ByteOffset items;
  float softmax_scale;
  uint32_t num_splits;
  uint32_t num_partials;
  uint32_t num_query_rows;  // rows of query and out: query tokens of all sequences
  ByteOffset splits;
  uint32_t kv_head_parts;  // 1 if an item holds all query heads of a kv head
  uint32_t num_cores;
  uint32_t batch;
  uint32_t max_q_len;  // of any sequence that the plan's shape allows
  uint32_t num_items;
  uint32_t fixed_split_tokens;  // cuts lie on its multiples, in every sequence; 0: where cost says
  DType out_dtype;              // dtype, or with kFifo kFloat32
  uint32_t reserved;            // 0
  ByteOffset context_lens;      // kFifo: int32 [batch], from the plan's first byte; else 0

  // Workspace regions. `rows` is a full item's kv_heads_per_group *
  // q_tokens_per_item * q_per_kv; with limbs, scores, probs and o_tiles hold
  // operand_limbs such blocks of rows, limb by limb. Per-core regions hold
  // num_cores x n slots; slot t of core c starts at begin + (c * n + t) * slot size.
  // With kFifo, rows is FifoQueryTile(q_per_kv), kv_tile_tokens is kv_block_size and
  // n is kFifoDepth.
  ByteCount scores_slot_size;
  ByteCount probs_slot_size;
  ByteCount o_tile_slot_size;
  Region scores;          // n = kTileSlots: float (int32 with limbs) [limbs, rows, kv_tile_tokens]
  Region probs;           // n = kTileSlots: dtype (int8 with limbs, float16 with kDequant)
                          // [limbs, rows, kv_tile_tokens]
  Region o_tiles;         // n = kTileSlots: float (int32 with limbs) [limbs, rows, head_dim]
  Region partial_out;     // float [num_partials, rows, head_dim], normalised
  Region partial_lse;     // float [num_partials, RoundUp(rows, 8)]
  Region error_records;   // ErrorRecord[num_cores]
  Region query_operands;  // int8 cache only, n = kQuerySlots: float16 (int8 with limbs)
                          // [limbs, rows, head_dim]
  Region dequant_keys;    // kDequant only, n = kDequantSlots: float16
                          // [kv_tile_tokens, kv_heads_per_group, head_dim]
  Region dequant_values;  // like dequant_keys
  ByteCount query_operand_slot_size;
  ByteCount dequant_slot_size;

  ByteCount header_size;  // sizeof(DecodePlanHeader)
  ByteCount plan_size;    // header and arrays
  ByteCount workspace_size;
};

// Launch flag of the decode kernels: `lse` is wanted.
constexpr uint64_t kLaunchWriteLse = 1;

// Slots per core in scores, probs and o_tiles: the cube computes the scores of tiles
// i+1 and i+2 while the vector cores still work on tile i.
constexpr uint32_t kTileSlots = 3;

// With kFifo: slots per core in scores, probs and o_tiles, and query rows of a kv head
// that a core works on at a time.
constexpr uint32_t kFifoDepth = 4;
AA_HOST_DEVICE constexpr uint32_t FifoQueryTile(uint32_t q_per_kv) {
  return q_per_kv >= 64 ? 64 : 16;
}

// Slots per core in query_operands: the vector cores prepare the queries of items
// up to this many ahead of the cube.
constexpr uint32_t kQuerySlots = 4;

// Slots per core in dequant_keys and dequant_values.
constexpr uint32_t kDequantSlots = 2;

// Cut points of a sequence lie on multiples of this: kv_block_size is one, and
// the cube's fractals are 16 rows.
constexpr uint32_t kTokenGranule = 16;

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_DECODE_PLAN_H_
