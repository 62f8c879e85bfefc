// SPDX-License-Identifier: Apache-2.0
// GM -> L1 of the cube: query rows of a work item, whole K or V rows of a chunk,
// probs of a tile. Pipe MTE2.
//
// A token's row in the cache holds all kv heads, [num_kv_heads, head_dim]; one
// load takes the kv_head_count neighbouring heads of a work item at once, so
// that every run in GM is kv_head_count * head_dim * 2 bytes long (2 KiB for 8
// heads of 128) and rows past the context are never touched.
//
// Next: ascend_kernels/cce/cube_copy.h - the intrinsic behind each copy.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_LOAD_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_LOAD_STAGE_H_

#include "ascend_kernels/cce/cube_copy.h"
#include "ascend_kernels/decode/work_cursor.h"

namespace ascend_attention {

// kv_block_size >= 16 and token_begin is a multiple of 16: a tile of 512 tokens
// touches at most 32 kv blocks when they are 16 tokens long, fewer otherwise.
constexpr uint32_t kMaxTileBlocks = kMaxTileTokens / kTokenGranule;

// Physical kv blocks under one tile, in token order.
struct TileBlocks {
  uint32_t first_offset_tokens;  // of the tile in its first block
  uint32_t kv_block[kMaxTileBlocks];
};

// Tokens [begin, begin + count) of a tile.
struct Chunk {
  uint32_t begin;
  uint32_t count;
  uint32_t pitch_rows;  // count rounded up to whole fractals
};

AICORE_INLINE Chunk ChunkAt(const Problem& problem, const Tile& tile, uint32_t begin) {
  Chunk chunk;
  chunk.begin = begin;
  chunk.count = Min(problem.chunk_tokens, tile.num_tokens - begin);
  chunk.pitch_rows = RoundUp(chunk.count, kFractalRows);
  return chunk;
}

// Reads the tile's row of block_table once and checks every id: an id outside
// the cache would read someone else's memory.
template <typename T>
AICORE_INLINE void ReadTileBlocks(const DecodeArgs<T>& args, const Problem& problem,
                                  const Tile& tile, TileBlocks& blocks) {
  const uint32_t first = tile.token_begin / problem.kv_block_size;
  const uint32_t last = (tile.token_begin + tile.num_tokens - 1) / problem.kv_block_size;
  GmPtr<int32_t> row =
      args.block_table + static_cast<uint64_t>(tile.sequence) * problem.max_kv_blocks;
  for (uint32_t column = first; column <= last; ++column) {
    const int32_t kv_block = row[column];
    if (kv_block < 0 || static_cast<uint32_t>(kv_block) >= problem.num_kv_blocks) {
      Fail(args.workspace, Finding{ErrorCode::kKvBlockOutOfRange, tile.sequence, column, kv_block,
                                   problem.num_kv_blocks});
    }
    blocks.kv_block[column - first] = static_cast<uint32_t>(kv_block);
  }
  blocks.first_offset_tokens = tile.token_begin - first * problem.kv_block_size;
}

// Rows of `cache` for one chunk, to NZ [chunk tokens, kv_head_count * head_dim].
template <typename T>
AICORE_INLINE void LoadKvChunk(L1Ptr<T> dst, GmPtr<T> cache, const Problem& problem,
                               const Tile& tile, const TileBlocks& blocks, const Chunk& chunk) {
  NdToNz copy;
  copy.cols = tile.kv_head_count * problem.head_dim;
  copy.src_row_elems = problem.num_kv_heads * problem.head_dim;
  copy.dst_pitch_rows = chunk.pitch_rows;
  const uint32_t head_elems = tile.kv_head_begin * problem.head_dim;
  uint32_t token = blocks.first_offset_tokens + chunk.begin;  // from the first block's start
  for (uint32_t done = 0; done < chunk.count; done += copy.rows, token += copy.rows) {
    const uint32_t index = token / problem.kv_block_size;
    const uint32_t in_block = token - index * problem.kv_block_size;
    copy.rows = Min(chunk.count - done, problem.kv_block_size - in_block);
    const uint64_t cache_row =
        static_cast<uint64_t>(blocks.kv_block[index]) * problem.kv_block_size + in_block;
    GmToL1Nz<T>(dst + done * (kDatablockBytes / sizeof(T)),
                cache + cache_row * copy.src_row_elems + head_elems, copy);
  }
}

// Rows [unit][16, cols] of a group in L1 from [q_per_kv, cols] rows in GM: the
// query of an item, or the probs of a tile. A unit whose rows are fewer than 16
// keeps what L1 held in the others; those rows are computed and never stored.
template <typename T>
AICORE_INLINE void LoadUnits(L1Ptr<T> dst, GmPtr<T> src, const Problem& problem, const Tile& tile,
                             uint32_t cols, uint32_t pitch_elems) {
  NdToNz copy;
  copy.count = tile.kv_head_count;
  copy.cols = cols;
  copy.src_matrix_elems = problem.q_per_kv * pitch_elems;
  copy.src_row_elems = pitch_elems;
  copy.dst_pitch_rows = kUnitRows;
  copy.dst_matrix_elems = problem.row_groups * kUnitRows * pitch_elems;
  for (uint32_t group = 0; group < problem.row_groups; ++group) {
    const uint32_t first_row = group * kUnitRows;
    copy.rows = Min(problem.q_per_kv - first_row, kUnitRows);
    GmToL1Nz<T>(dst + first_row * pitch_elems, src + first_row * pitch_elems, copy);
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_LOAD_STAGE_H_
