// SPDX-License-Identifier: Apache-2.0
// Online softmax of one tile, for the rows r of one vector core, pipe V:
//
//   s[r, j]  = scale * S[r, j]                      j < tokens
//   m'[r]    = max(m[r], max_j s[r, j])
//   p[r, j]  = round16(c * exp(s[r, j] - m'[r]))
//   a[r]     = exp(m[r] - m'[r])
//   l'[r]    = a[r] * l[r] + sum_j p[r, j]
//
// m and l start at kLeastScore and 0, so a = 0 on the first tile. A masked score is
// -inf: a row that has seen no token yet keeps m = kLeastScore and l = 0, without
// -inf - (-inf). The sum takes the rounded p: numerator and denominator of the average see the same
// weights, and the constant c cancels. c is 2^15 for half, whose smallest number is 2^-24: a token
// whose score is 17 below the largest would weigh nothing, and a hundred thousand such tokens are
// half a percent of the output. bfloat16 has the exponents of fp32, c is 1. Columns of the last
// 64-lane column beyond `tokens` become -inf, hence p = 0, and so does what a query token must not
// see: the mask is causal.
//
// Next: ascend_kernels/cce/vector_math.h - the intrinsic behind each step.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_SOFTMAX_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_SOFTMAX_STAGE_H_

#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/decode/buffer_map.h"
#include "ascend_kernels/decode/row_map.h"

namespace ascend_attention {

template <typename T>
struct ProbsScale;
template <>
struct ProbsScale<half> {
  static constexpr float kValue = 32768.0f;
};
template <>
struct ProbsScale<bfloat16_t> {
  static constexpr float kValue = 1.0f;
};

// Running state of the rows of one work item: one fp32 a row, kMaxRows lanes.
struct RowState {
  UbPtr<float> row_max;  // m
  UbPtr<float> row_sum;  // l
};

// Scratch of the vector core.
struct SoftmaxScratch {
  UbPtr<float> lane_reduce;  // [rows, 64]
  UbPtr<float> tile_max;     // [rows]
  UbPtr<float> tile_sum;     // [rows]
  UbPtr<float> rescale;      // [rows]
  UbPtr<float> spread;       // [rows, 8]
};

// Shape of a tile in UB: rows dense, `columns` 64-lane columns each.
struct TileShape {
  uint32_t rows;
  uint32_t tokens;
  uint32_t columns;  // ceil(tokens / 64)

  AICORE_INLINE uint32_t pitch() const { return columns * kF32Lanes; }
  AICORE_INLINE uint32_t repeats() const { return rows * columns; }
};

// Below every score, finite.
constexpr float kLeastScore = -3.0e38f;

AICORE_INLINE void ResetRows(const RowState& state) {
  FillDense(state.row_max, kLeastScore, 1);
  FillDense(state.row_sum, 0.0f, 1);
}

AICORE_INLINE void MaskTail(UbPtr<float> scores, const TileShape& shape) {
  const uint32_t valid_lanes = shape.tokens % kF32Lanes;
  if (valid_lanes == 0) return;
  UseLanesFrom(valid_lanes);
  FillColumn(scores + (shape.columns - 1) * kF32Lanes, kMinusInfinity, shape.rows, shape.pitch());
  UseAllLanes();
  VectorBarrier();
}

// Which tokens of a tile the rows of one vector core may see: a row of query
// token t sees the first visible_tokens + t of them.
struct CausalMask {
  RowMap map;
  uint32_t first_row;  // of this core, among the item's rows
  int32_t visible_tokens;
};

// `rows` rows from `row` on: lanes from `visible` on become -inf.
AICORE_INLINE void MaskRows(UbPtr<float> scores, const TileShape& shape, uint32_t row,
                            uint32_t rows, uint32_t visible) {
  uint32_t column = visible / kF32Lanes;
  UbPtr<float> first = scores + row * shape.pitch();
  if (visible % kF32Lanes != 0) {
    UseLanesFrom(visible % kF32Lanes);
    FillColumn(first + column * kF32Lanes, kMinusInfinity, rows, shape.pitch());
    UseAllLanes();
    ++column;
  }
  for (; column < shape.columns; ++column) {
    FillColumn(first + column * kF32Lanes, kMinusInfinity, rows, shape.pitch());
  }
}

// Only the last tokens of a sequence are hidden from some of its query tokens.
AICORE_INLINE void MaskUnseen(UbPtr<float> scores, const TileShape& shape, const CausalMask& mask) {
  if (mask.visible_tokens >= static_cast<int32_t>(shape.tokens)) return;
  const uint32_t end = mask.first_row + shape.rows;
  for (uint32_t row = mask.first_row; row < end;) {
    const RowRun run = RunFrom(mask.map, row, end);
    const int32_t visible = mask.visible_tokens + static_cast<int32_t>(run.query_token);
    if (visible < static_cast<int32_t>(shape.tokens)) {
      MaskRows(scores, shape, row - mask.first_row, run.rows,
               visible < 0 ? 0 : static_cast<uint32_t>(visible));
    }
    row += run.rows;
  }
  VectorBarrier();
}

// values[r] = max over all lanes of row r.
AICORE_INLINE void RowMax(UbPtr<float> values, UbPtr<float> matrix, UbPtr<float> lane_reduce,
                          const TileShape& shape) {
  if (shape.columns == 1) {
    MaxOfLanes(values, matrix, shape.rows, kF32Lanes);
    return;
  }
  ColumnPitch pitch;
  pitch.a = shape.pitch();
  pitch.b = shape.pitch();
  MaxColumn(lane_reduce, matrix, matrix + kF32Lanes, shape.rows, pitch);
  pitch.a = kF32Lanes;
  for (uint32_t column = 2; column < shape.columns; ++column) {
    VectorBarrier();
    MaxColumn(lane_reduce, lane_reduce, matrix + column * kF32Lanes, shape.rows, pitch);
  }
  VectorBarrier();
  MaxOfLanes(values, lane_reduce, shape.rows, kF32Lanes);
}

// values[r] = sum over all lanes of row r.
AICORE_INLINE void RowSum(UbPtr<float> values, UbPtr<float> matrix, UbPtr<float> lane_reduce,
                          const TileShape& shape) {
  if (shape.columns == 1) {
    SumOfLanes(values, matrix, shape.rows, kF32Lanes);
    return;
  }
  ColumnPitch pitch;
  pitch.a = shape.pitch();
  pitch.b = shape.pitch();
  AddColumn(lane_reduce, matrix, matrix + kF32Lanes, shape.rows, pitch);
  pitch.a = kF32Lanes;
  for (uint32_t column = 2; column < shape.columns; ++column) {
    VectorBarrier();
    AddColumn(lane_reduce, lane_reduce, matrix + column * kF32Lanes, shape.rows, pitch);
  }
  VectorBarrier();
  SumOfLanes(values, lane_reduce, shape.rows, kF32Lanes);
}

// matrix[r, :] -= value of row r.
AICORE_INLINE void SubtractRows(UbPtr<float> matrix, UbPtr<float> spread, const TileShape& shape) {
  for (uint32_t column = 0; column < shape.columns; ++column) {
    UbPtr<float> lanes = matrix + column * kF32Lanes;
    SubPerRow(lanes, lanes, spread, shape.rows, shape.pitch());
  }
}

// scores: S on entry, scratch afterwards. probs: p, same dense shape, 16 bit.
// rescale_spread: a, one datablock a row.
template <typename T>
AICORE_INLINE void SoftmaxTile(UbPtr<T> probs, UbPtr<float> scores, UbPtr<float> rescale_spread,
                               const RowState& state, const SoftmaxScratch& scratch,
                               const TileShape& shape, const CausalMask& mask, float scale) {
  ScaleDense(scores, scores, scale, shape.repeats());
  VectorBarrier();
  MaskTail(scores, shape);
  MaskUnseen(scores, shape, mask);
  RowMax(scratch.tile_max, scores, scratch.lane_reduce, shape);
  VectorBarrier();
  MaxDense(scratch.tile_max, scratch.tile_max, state.row_max, 1);  // m'
  VectorBarrier();
  SpreadRows(scratch.spread, scratch.tile_max, shape.rows);
  SubDense(scratch.rescale, state.row_max, scratch.tile_max, 1);
  VectorBarrier();
  SubtractRows(scores, scratch.spread, shape);
  ExpDense(scratch.rescale, scratch.rescale, 1);  // a
  CopyDense(state.row_max, scratch.tile_max, 1);
  VectorBarrier();
  ExpDense(scores, scores, shape.repeats());
  SpreadRows(rescale_spread, scratch.rescale, shape.rows);
  MulDense(state.row_sum, state.row_sum, scratch.rescale, 1);
  VectorBarrier();
  if (ProbsScale<T>::kValue != 1.0f) {
    ScaleDense(scores, scores, ProbsScale<T>::kValue, shape.repeats());
    VectorBarrier();
  }
  FromF32(probs, scores, shape.repeats());
  VectorBarrier();
  ToF32(scores, probs, shape.repeats());
  VectorBarrier();
  RowSum(scratch.tile_sum, scores, scratch.lane_reduce, shape);
  VectorBarrier();
  AddDense(state.row_sum, state.row_sum, scratch.tile_sum, 1);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_SOFTMAX_STAGE_H_
