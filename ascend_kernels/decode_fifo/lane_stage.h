// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a vector core: its rows of a page's scores and o_tile in, of
// its probs out, and its rows of the result out. Pipes MTE2 and MTE3.
//
// Next: ascend_kernels/cce/vector_copy.h - the intrinsic behind each copy.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_LANE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_LANE_STAGE_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/decode/rescale_stage.h"
#include "ascend_kernels/decode/softmax_stage.h"
#include "ascend_kernels/decode_fifo/fifo_buffer_map.h"
#include "ascend_kernels/decode_fifo/fifo_work.h"

namespace ascend_attention {
namespace fifo {

// `rows` neighbouring rows of `row_bytes` each, as one run.
AICORE_INLINE RowCopy OneRun(uint32_t rows, uint32_t row_bytes) {
  RowCopy copy;
  copy.rows = 1;
  copy.row_datablocks = rows * row_bytes / kDatablockBytes;
  return copy;
}

// Rows of kPage floats in GM to rows of whole 64-lane columns; lanes past the page's
// tokens hold anything.
template <uint32_t kPage>
AICORE_INLINE void LoadScores(UbPtr<float> dst, GmPtr<float> scores, const RowRange& lane,
                              const TileShape& shape) {
  RowCopy copy;
  copy.rows = lane.rows;
  copy.row_datablocks = shape.pitch() / kF32PerDatablock;
  copy.src_gap_datablocks = kPage / kF32PerDatablock - copy.row_datablocks;
  GmToUb(dst, scores + lane.first_row * kPage, copy);
}

template <uint32_t kPage, typename T>
AICORE_INLINE void StoreProbs(GmPtr<T> probs, UbPtr<T> src, const RowRange& lane,
                              const TileShape& shape) {
  RowCopy copy;
  copy.rows = lane.rows;
  copy.row_datablocks = shape.pitch() * sizeof(T) / kDatablockBytes;
  copy.dst_gap_datablocks = kPage * sizeof(T) / kDatablockBytes - copy.row_datablocks;
  UbToGm(probs + lane.first_row * kPage, src, copy);
}

AICORE_INLINE void LoadOTile(UbPtr<float> dst, GmPtr<float> o_tile, const RowRange& lane) {
  GmToUb(dst, o_tile + lane.first_row * kHeadDim, OneRun(lane.rows, kHeadDim * sizeof(float)));
}

// Rows of the result and their lse. Out: T, or float.
template <typename Out, typename T>
AICORE_INLINE void StoreRows(const DecodeArgs<T>& args, const Work& work, const RowRange& lane,
                             UbPtr<Out> rows, UbPtr<float> lse) {
  const uint64_t row = work.first_row + lane.first_row;
  GmPtr<Out> out = reinterpret_cast<GmPtr<Out>>(args.out);
  UbToGm(out + row * kHeadDim, rows, OneRun(lane.rows, kHeadDim * sizeof(Out)));
  if ((args.flags & kLaunchWriteLse) != 0) UbToGmRagged(args.lse + row, lse, lane.rows);
}

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_LANE_STAGE_H_
