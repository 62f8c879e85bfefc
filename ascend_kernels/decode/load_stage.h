// SPDX-License-Identifier: Apache-2.0
// GM -> L1 of the cube: query rows of a work item, whole K or V rows of a chunk,
// probs of a tile. Pipe MTE2.
//
// In a token-major cache a token's row holds all kv heads, [num_kv_heads,
// head_dim]; one load takes the kv_head_count neighbouring heads of a work item
// at once, so that every run in GM is kv_head_count * head_dim * 2 bytes long
// (2 KiB for 8 heads of 128). In other layouts the heads are matrices of their
// own. Rows past the context are never touched.
//
// Next: ascend_kernels/cce/cube_copy.h - the intrinsic behind each copy.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_LOAD_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_LOAD_STAGE_H_

#include "ascend_kernels/cce/cube_copy.h"
#include "ascend_kernels/decode/work_cursor.h"

namespace ascend_attention {

// Tokens [begin, begin + count) of a tile.
struct Chunk {
  uint32_t begin;
  uint32_t count;
  uint32_t pitch_rows;  // of the heads' matrices in L1
};

// row_granule: what the way to L0B takes at once, kFractalRows of K or
// kSquareRows<T> of V.
AICORE_INLINE Chunk ChunkAt(const Problem& problem, const Tile& tile, uint32_t begin,
                            uint32_t row_granule) {
  Chunk chunk;
  chunk.begin = begin;
  chunk.count = Min(problem.chunk_tokens, tile.num_tokens - begin);
  chunk.pitch_rows = RoundUp(chunk.count, row_granule);
  return chunk;
}

// Reads the tile's row of block_table once and checks every id: an id outside
// the cache would read someone else's memory.
template <typename Args>
AICORE_INLINE void ReadTileBlocks(const Args& args, const Problem& problem, const Tile& tile,
                                  TileBlocks& blocks) {
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

// The largest distance between matrices that one load instruction takes.
constexpr uint32_t kMaxMatrixStride = 65535;

// How the kv heads of a chunk lie in the cache, but for the rows.
AICORE_INLINE NdToNz HeadsOfChunk(const Problem& problem, const Tile& tile, const Chunk& chunk) {
  NdToNz copy;
  copy.src_row_elems = problem.kv_token_stride;
  copy.dst_pitch_rows = chunk.pitch_rows;
  if (problem.kv_head_stride == problem.head_dim) {
    copy.cols = tile.kv_head_count * problem.head_dim;
    return copy;
  }
  copy.cols = problem.head_dim;
  copy.dst_matrix_elems = chunk.pitch_rows * problem.head_dim;
  if (problem.kv_head_stride <= kMaxMatrixStride) {
    copy.count = tile.kv_head_count;
    copy.src_matrix_elems = problem.kv_head_stride;
  }
  return copy;
}

// One page's rows of a chunk; head by head where no instruction reaches from one
// head to the next.
template <typename T>
AICORE_INLINE void LoadPageRows(L1Ptr<T> dst, GmPtr<T> src, const Problem& problem,
                                const Tile& tile, const NdToNz& copy) {
  if (problem.kv_head_stride <= kMaxMatrixStride) {
    GmToL1Nz<T>(dst, src, copy);
    return;
  }
  for (uint32_t head = 0; head < tile.kv_head_count; ++head) {
    GmToL1Nz<T>(dst + head * copy.dst_matrix_elems,
                src + static_cast<uint64_t>(head) * problem.kv_head_stride, copy);
  }
}

// Rows of `cache` for one chunk, to NZ [chunk tokens, kv_head_count * head_dim].
template <typename T>
AICORE_INLINE void LoadKvChunk(L1Ptr<T> dst, GmPtr<T> cache, const Problem& problem,
                               const Tile& tile, const TileBlocks& blocks, const Chunk& chunk) {
  NdToNz copy = HeadsOfChunk(problem, tile, chunk);
  GmPtr<T> heads = cache + static_cast<uint64_t>(tile.kv_head_begin) * problem.kv_head_stride;
  uint32_t token = blocks.first_offset_tokens + chunk.begin;  // from the first block's start
  for (uint32_t done = 0; done < chunk.count; done += copy.rows, token += copy.rows) {
    const uint32_t index = token / problem.kv_block_size;
    const uint32_t in_block = token - index * problem.kv_block_size;
    copy.rows = Min(chunk.count - done, problem.kv_block_size - in_block);
    LoadPageRows<T>(dst + done * (kDatablockBytes / sizeof(T)),
                    heads + blocks.kv_block[index] * problem.kv_block_stride +
                        static_cast<uint64_t>(in_block) * problem.kv_token_stride,
                    problem, tile, copy);
  }
}

// The query rows of an item, to units [kv head][row group][16, head_dim] in L1.
// Rows of a kv head are those of the first query token, then of the next; one load
// takes the rows of one token in one unit, for all kv heads. A unit with fewer
// than 16 rows keeps what L1 held in the others; those are computed and never
// stored.
template <typename T>
AICORE_INLINE void LoadQueryRows(L1Ptr<T> dst, GmPtr<T> query, const Problem& problem,
                                 const Tile& tile) {
  const uint32_t head_dim = problem.head_dim;
  NdToNz copy;
  copy.count = tile.kv_head_count;
  copy.cols = head_dim;
  copy.src_matrix_elems = problem.q_per_kv * head_dim;
  copy.src_row_elems = head_dim;
  copy.dst_pitch_rows = kUnitRows;
  copy.dst_matrix_elems = tile.row_groups * kUnitRows * head_dim;
  uint32_t row = 0;  // of a kv head
  for (uint32_t token = 0; token < tile.q_len; ++token) {
    const uint64_t head_row = tile.first_head_row + token * problem.num_heads;
    for (uint32_t done = 0; done < problem.q_per_kv; done += copy.rows, row += copy.rows) {
      const uint32_t in_unit = row % kUnitRows;
      copy.rows = Min(problem.q_per_kv - done, kUnitRows - in_unit);
      GmToL1Nz<T>(dst + (row - in_unit) * head_dim + in_unit * (kDatablockBytes / sizeof(T)),
                  query + (head_row + done) * head_dim, copy);
    }
  }
}

// Rows [first_row, first_row + rows) of the matrix_rows of a kv head: of one limb,
// in one unit.
struct MatrixRun {
  uint32_t first_row;
  uint32_t rows;
  uint32_t limb;

  AICORE_INLINE uint32_t unit_row() const { return first_row % kUnitRows; }
};

// The run that starts at `row`.
AICORE_INLINE MatrixRun MatrixRunFrom(const Tile& tile, uint32_t row) {
  const uint32_t limb = row / tile.rows_per_head;
  const uint32_t in_limb = tile.rows_per_head * (limb + 1) - row;
  return MatrixRun{row, Min(in_limb, kUnitRows - row % kUnitRows), limb};
}

// First row of a run in GM, [limb][kv head][rows_per_head]: of the first kv head.
AICORE_INLINE uint32_t GmRowOf(const Problem& problem, const Tile& tile, const MatrixRun& run) {
  return run.limb * (problem.max_rows - tile.rows_per_head) + run.first_row;
}

// Operand rows in GM, the probs of a tile or a prepared query, to units
// [kv head][row group][16, cols] in L1, pitch_elems columns apart.
template <typename T>
AICORE_INLINE void LoadOperandRows(L1Ptr<T> dst, GmPtr<T> src, const Problem& problem,
                                   const Tile& tile, uint32_t cols, uint32_t pitch_elems) {
  NdToNz copy;
  copy.count = tile.kv_head_count;
  copy.cols = cols;
  copy.src_matrix_elems = tile.rows_per_head * pitch_elems;
  copy.src_row_elems = pitch_elems;
  copy.dst_pitch_rows = kUnitRows;
  copy.dst_matrix_elems = tile.row_groups * kUnitRows * pitch_elems;
  for (uint32_t row = 0; row < tile.matrix_rows; row += copy.rows) {
    const MatrixRun run = MatrixRunFrom(tile, row);
    const uint32_t in_unit = run.unit_row();
    copy.rows = run.rows;
    GmToL1Nz<T>(dst + (row - in_unit) * pitch_elems + in_unit * (kDatablockBytes / sizeof(T)),
                src + GmRowOf(problem, tile, run) * pitch_elems, copy);
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_LOAD_STAGE_H_
