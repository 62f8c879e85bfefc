// SPDX-License-Identifier: Apache-2.0
// Scores of one K chunk, for `num_heads` kv heads h and each 16-row unit u of h:
//
//   S[u, 16 rows, chunk] = Q[u, 16 rows, head_dim] * K[h, chunk, head_dim]^T
//
// L1 -> L0B by MTE1, mmad by M into L0C; fp32 sums (int32 of int8), no scaling
// (the vector cores scale). A unit's result sits at unit * 16 * kv_tile_tokens
// sums, the chunk's columns inside it.
//
// Next: ascend_kernels/cce/cube_copy.h - one intrinsic a copy; mmad.h beside it.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_QK_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_QK_STAGE_H_

#include "ascend_kernels/cce/cube_copy.h"
#include "ascend_kernels/cce/mmad.h"
#include "ascend_kernels/decode/load_stage.h"

namespace ascend_attention {

// kv heads [first_head, first_head + num_heads) of an item's group.
struct HeadRange {
  uint32_t first_head;
  uint32_t num_heads;
  uint32_t per_slot;  // heads of the chunk that one L0B slot holds
};

// The heads of a chunk in portions of one L0B slot; the last one has none.
template <typename T>
AICORE_INLINE HeadRange FirstHeads(const Problem& problem, const Tile& tile, const Chunk& chunk) {
  const uint32_t per_slot = kL0bSlotBytes / (chunk.pitch_rows * problem.head_dim * sizeof(T));
  return HeadRange{0, Min(per_slot, tile.kv_head_count), per_slot};
}
AICORE_INLINE HeadRange HeadsAfter(const HeadRange& heads, const Tile& tile) {
  const uint32_t first = heads.first_head + heads.num_heads;
  return HeadRange{first, Min(heads.per_slot, tile.kv_head_count - first), heads.per_slot};
}

// Elements of one head's chunk in L1 and in L0B.
AICORE_INLINE uint32_t HeadChunkElems(const Problem& problem, const Chunk& chunk) {
  return chunk.pitch_rows * problem.head_dim;
}

// K rows [chunk, head_dim] in NZ are the operand K^T as they are.
template <typename T>
AICORE_INLINE void LoadKeyOperand(L0bPtr<T> dst, L1Ptr<T> chunk_l1, const Problem& problem,
                                  const Chunk& chunk, const HeadRange& heads) {
  const uint32_t head_elems = HeadChunkElems(problem, chunk);
  const uint32_t fractals = heads.num_heads * head_elems * sizeof(T) / kFractalBytes;
  L1ToL0b<T>(dst, chunk_l1 + heads.first_head * head_elems, fractals);
}

template <typename T>
AICORE_INLINE void ScoreHeads(L0cPtr<typename MmadSum<T>::Type> scores, L0aPtr<T> query,
                              L0bPtr<T> keys, const Problem& problem, const Tile& tile,
                              const Chunk& chunk, const HeadRange& heads) {
  MmadShape shape;
  shape.k = problem.head_dim;
  shape.n = chunk.count;
  for (uint32_t head = 0; head < heads.num_heads; ++head) {
    L0bPtr<T> key = keys + head * HeadChunkElems(problem, chunk);
    for (uint32_t group = 0; group < tile.row_groups; ++group) {
      const uint32_t unit = (heads.first_head + head) * tile.row_groups + group;
      shape.m = Min(tile.matrix_rows - group * kUnitRows, kUnitRows);
      // Column c of a unit lies c / 16 fractals of 16 x 16 sums further on.
      Mmad<T>(scores + (unit * problem.tile_tokens + chunk.begin) * kUnitRows,
              query + unit * problem.head_dim * kUnitRows, key, shape, Accumulate::kNo);
    }
  }
}

// Result units [unit][16, pitch] in L0C to rows [limb][kv head][rows_per_head, pitch]
// in GM, the first `cols` columns: scores of a tile, or its o_tile.
template <typename C>
AICORE_INLINE void StoreUnits(GmPtr<C> dst, L0cPtr<C> src, const Problem& problem, const Tile& tile,
                              uint32_t cols, uint32_t pitch_elems) {
  NzToNd copy;
  copy.count = tile.kv_head_count;
  copy.cols = cols;
  copy.src_matrix_bytes = tile.row_groups * kUnitRows * pitch_elems * sizeof(C);
  copy.dst_matrix_elems = tile.rows_per_head * pitch_elems;
  copy.dst_row_elems = pitch_elems;
  SetMatrices(copy);
  for (uint32_t row = 0; row < tile.matrix_rows; row += copy.rows) {
    const MatrixRun run = MatrixRunFrom(tile, row);
    const uint32_t in_unit = run.unit_row();
    copy.rows = run.rows;
    L0cToGm(dst + GmRowOf(problem, tile, run) * pitch_elems,
            src + (row - in_unit) * pitch_elems + in_unit * kFractalRows, copy);
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_QK_STAGE_H_
