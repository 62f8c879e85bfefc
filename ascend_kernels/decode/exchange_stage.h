// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a vector core: a tile's scores and o_tile in, its
// probs out, an item's output or partial result out. Pipes MTE2 and MTE3.
//
// Rows are the query rows of a kv-head group; a vector core moves `rows` of
// them from `first_row` on.
//
// Next: ascend_kernels/cce/vector_copy.h - the intrinsic behind each copy.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_EXCHANGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_EXCHANGE_STAGE_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/decode/rescale_stage.h"
#include "ascend_kernels/decode/row_map.h"
#include "ascend_kernels/decode/softmax_stage.h"
#include "ascend_kernels/decode/work_cursor.h"

namespace ascend_attention {

AICORE_INLINE RowRange RowsOfThisCore(const Tile& tile) {
  return RowsOfThisLane(tile.kv_head_count * tile.rows_per_head);
}

// [rows, kv_tile_tokens] in GM to dense rows of whole 64-lane columns in UB;
// lanes past the tile's tokens keep what UB held.
AICORE_INLINE void LoadScores(UbPtr<float> dst, GmPtr<float> scores, const Problem& problem,
                              uint32_t first_row, const TileShape& shape) {
  RowCopy copy;
  copy.rows = shape.rows;
  copy.row_datablocks = CeilDiv(shape.tokens, kF32PerDatablock);
  copy.src_gap_datablocks = problem.tile_tokens / kF32PerDatablock - copy.row_datablocks;
  copy.dst_gap_datablocks = shape.pitch() / kF32PerDatablock - copy.row_datablocks;
  GmToUb(dst, scores + first_row * problem.tile_tokens, copy);
}

// Dense rows in UB to [rows, kv_tile_tokens] in GM.
template <typename T>
AICORE_INLINE void StoreProbs(GmPtr<T> probs, UbPtr<T> src, const Problem& problem,
                              uint32_t first_row, const TileShape& shape) {
  RowCopy copy;
  copy.rows = shape.rows;
  copy.row_datablocks = shape.pitch() * sizeof(T) / kDatablockBytes;
  copy.dst_gap_datablocks = problem.tile_tokens * sizeof(T) / kDatablockBytes - copy.row_datablocks;
  UbToGm(probs + first_row * problem.tile_tokens, src, copy);
}

// Dense [rows, head_dim] as one run.
AICORE_INLINE RowCopy WholeRows(const OutputShape& shape, uint32_t elem_bytes) {
  RowCopy copy;
  copy.rows = 1;
  copy.row_datablocks = shape.rows * shape.head_dim * elem_bytes / kDatablockBytes;
  return copy;
}

AICORE_INLINE void LoadOTile(UbPtr<float> dst, GmPtr<float> o_tile, uint32_t first_row,
                             const OutputShape& shape) {
  GmToUb(dst, o_tile + first_row * shape.head_dim, WholeRows(shape, sizeof(float)));
}

AICORE_INLINE RowMap RowMapOf(const Problem& problem, const Tile& tile) {
  return RowMap{tile.q_len, problem.q_per_kv, problem.num_heads, tile.first_head_row};
}

// lse values in UB, twice: one a lane, and one a datablock, from which rows that
// start anywhere can be stored.
struct LseRows {
  UbPtr<float> dense;
  UbPtr<float> spread;
};

// An item's result of this core: out rows and lse values, run by run.
template <typename T, typename Args>
AICORE_INLINE void StoreOutput(const Args& args, const RowMap& map, UbPtr<T> out,
                               const LseRows& lse, uint32_t first_row, const OutputShape& shape) {
  const uint32_t end = first_row + shape.rows;
  for (uint32_t row = first_row; row < end;) {
    const RowRun run = RunFrom(map, row, end);
    const uint32_t in_ub = row - first_row;
    UbToGm(args.out + static_cast<uint64_t>(run.head_row) * shape.head_dim,
           out + in_ub * shape.head_dim,
           WholeRows(OutputShape{run.rows, shape.head_dim}, sizeof(T)));
    if ((args.flags & kLaunchWriteLse) != 0) {
      GmPtr<float> dst = args.lse + run.head_row;
      if (map.q_len == 1) {
        UbToGmRagged(dst, lse.dense, run.rows);
      } else {
        UbToGmOneEach(dst, lse.spread + in_ub * kF32PerDatablock, run.rows);
      }
    }
    row += run.rows;
  }
}

// The same of an item whose sequence is split: fp32 rows and lse to its partial
// slot, for the merge.
AICORE_INLINE void StorePartial(GmPtr<uint8_t> workspace, const Problem& problem, const Tile& tile,
                                UbPtr<float> rows, UbPtr<float> lse, uint32_t first_row,
                                const OutputShape& shape) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  const uint64_t partial = tile.partial;
  const uint64_t out_row = partial * problem.max_rows + first_row;
  const uint64_t lse_row = partial * RoundUp(problem.max_rows, kF32PerDatablock) + first_row;
  UbToGm(GmAt<float>(workspace, &header->partial_out.begin) + out_row * shape.head_dim, rows,
         WholeRows(shape, sizeof(float)));
  UbToGmRagged(GmAt<float>(workspace, &header->partial_lse.begin) + lse_row, lse, shape.rows);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_EXCHANGE_STAGE_H_
