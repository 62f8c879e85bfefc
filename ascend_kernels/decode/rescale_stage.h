// SPDX-License-Identifier: Apache-2.0
// The running output of a work item, for the rows r of one vector core, pipe V:
//
//   each tile   o_acc[r, :] = a[r] * o_acc[r, :] + o_tile[r, :]
//   at the end  o[r, :]     = o_acc[r, :] / l[r],   lse[r] = ln(l[r] / c) + m[r]
//
// o_acc starts at 0. a, l, m, c: softmax_stage.h. A row that saw no token has
// l = 0 and o_acc = 0: the divisor is kept above 0, so o = 0, and lse = -inf.
//
// head_dim is a multiple of 16: the last 64-lane column may be narrower, and the
// last repeat of a dense matrix reach beyond it, into slack of its buffer.
//
// No stage ends with a barrier: the flag that hands its result on, or the first
// barrier of what reads it, orders it already (`ascend-attention mutate`).
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_RESCALE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_RESCALE_STAGE_H_

#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/decode/softmax_stage.h"

namespace ascend_attention {

// [rows, head_dim] fp32, dense.
struct OutputShape {
  uint32_t rows;
  uint32_t head_dim;

  AICORE_INLINE uint32_t repeats() const { return CeilDiv(rows * head_dim, kF32Lanes); }
};

// Lanes of the 64-lane column that begins at `lane`: all, or what is left of a row.
AICORE_INLINE void UseLanesOfColumn(const OutputShape& shape, uint32_t lane) {
  if (shape.head_dim - lane < kF32Lanes) UseLanesBelow(shape.head_dim - lane);
}

AICORE_INLINE void AccumulateOTile(UbPtr<float> o_acc, UbPtr<float> o_tile,
                                   UbPtr<float> rescale_spread, const OutputShape& shape) {
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    UseLanesOfColumn(shape, lane);
    MulPerRow(o_acc + lane, o_acc + lane, rescale_spread, shape.rows, shape.head_dim);
  }
  UseAllLanes();
  VectorBarrier();
  AddDense(o_acc, o_acc, o_tile, shape.repeats());
}

// Below every sum of a row that saw a token: its largest p is c >= 1.
constexpr float kLeastSum = 1.0e-30f;

// In place: o_acc becomes o. divisor: [rows] scratch.
AICORE_INLINE void NormaliseRows(UbPtr<float> o_acc, UbPtr<float> row_sum, UbPtr<float> divisor,
                                 UbPtr<float> spread, const OutputShape& shape) {
  AtLeastDense(divisor, row_sum, kLeastSum, 1);
  VectorBarrier();
  SpreadRows(spread, divisor, shape.rows);
  VectorBarrier();
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    UseLanesOfColumn(shape, lane);
    DivPerRow(o_acc + lane, o_acc + lane, spread, shape.rows, shape.head_dim);
  }
  UseAllLanes();
}

// probs_scale: c, a power of two.
AICORE_INLINE void LogSumExp(UbPtr<float> lse, const RowState& state, float probs_scale) {
  ScaleDense(lse, state.row_sum, 1.0f / probs_scale, 1);
  VectorBarrier();
  LnDense(lse, lse, 1);
  VectorBarrier();
  AddDense(lse, lse, state.row_max, 1);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_RESCALE_STAGE_H_
