// SPDX-License-Identifier: Apache-2.0
// Softmax of one tile, for the rows r of one vector core, pipe V:
//
//   s[r, j] = factor[r] * S[r, j]  (* key_scale[kv head, j], kInt8Token)
//   t[r]    = max_j s[r, j]                            this tile's own maximum
//   p[r, j] = c * exp(s[r, j] - t[r])                  largest is c
//   m'[r]   = max(m[r], t[r])     a[r] = exp(m[r] - m'[r])     b[r] = exp(t[r] - m'[r])
//   l'[r]   = a[r] * l[r] + b[r] * sum_j p[r, j]
//
// Weights are relative to their own tile: a limb has a fixed step, so weights
// relative to the running maximum would lose tiles of many small ones. What the
// cube sees:
//
//   channel schemes  w = round(p)
//   kInt8Token       w = round(p * value_scale[kv head, j] / u[r]),
//                    u[r] = max_j |p * value_scale| / c
//
// round: dithered in limbs. The sum above takes p as it is: limbs round many small p
// to a step that is larger, and lse would see it. Halves keep 11 bits of each; there,
// but for kInt8Token, it takes the rounded p, whose errors the division undoes in
// part. o_tile counts b[r] (* u[r]) in the output (output_stage.h). factor, S:
// query_stage.h, operand_stage.h. Lanes of the last 64-lane column beyond the
// tile's tokens become -inf, hence p = 0.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_WEIGHTS_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_WEIGHTS_STAGE_H_

#include "ascend_kernels/decode/softmax_stage.h"
#include "ascend_kernels/decode_int8/operand_stage.h"
#include "ascend_kernels/decode_int8/rows_stage.h"

namespace ascend_attention {
namespace int8 {

// One fp32 a row, scratch of one tile. a and b are neighbours: one op for both.
struct TileRows {
  UbPtr<float> tile_max;  // t
  UbPtr<float> row_max;   // m', then b * u
  UbPtr<float> shifted;   // t - ln c, then u
  UbPtr<float> sum;
  UbPtr<float> a;
  UbPtr<float> b;
};

AICORE_INLINE TileRows TileRowsAt(uint32_t offset_bytes) {
  const UbPtr<float> rows = UbAt<float>(offset_bytes);
  return TileRows{rows,
                  rows + kMaxRows,
                  rows + 2 * kMaxRows,
                  rows + 3 * kMaxRows,
                  rows + 4 * kMaxRows,
                  rows + 5 * kMaxRows};
}
static_assert(kMaxRows == kF32Lanes, "one repeat holds one value of every row");

// What a tile leaves for the update of the output, one datablock a row.
struct Rescale {
  UbPtr<float> old_output;  // a
  UbPtr<float> o_tile;      // b, or b * u
};

struct WeightsScratch {
  UbPtr<float> lane_reduce;  // [rows, 64], and the operands in 16 bits
  UbPtr<float> spread;       // [rows, 8]
  UbPtr<float> dither;       // [64], a constant
  TileRows rows;
};

// kInt8Token: one row a kv head, as many lanes as rows of the tile; what lies beyond
// the tile's tokens may be anything.
struct TokenScales {
  UbPtr<float> keys;
  UbPtr<float> values;
};

// S to s.
template <typename Format>
AICORE_INLINE void ScoresFromSums(const Pair& x, UbPtr<float> factor, UbPtr<float> spread,
                                  const TileShape& shape) {
  SpreadRows(spread, factor, shape.rows);
  FromSums(Format(), x, shape.repeats());
  VectorBarrier();
  MulRows(x.values, spread, shape);
}

// s to p; m and the state's part of l; a and b.
template <typename Format>
AICORE_INLINE void TileProbs(UbPtr<float> scores, const RowState& state,
                             const WeightsScratch& scratch, const TileShape& shape) {
  const TileRows& rows = scratch.rows;
  FillTail(scores, kMinusInfinity, shape);
  VectorBarrier();
  RowMax(rows.tile_max, scores, scratch.lane_reduce, shape);
  VectorBarrier();
  MaxDense(rows.row_max, rows.tile_max, state.row_max, 1);
  OffsetDense(rows.shifted, rows.tile_max, -Format::kLnProbsUnit, 1);
  VectorBarrier();
  SpreadRows(scratch.spread, rows.shifted, shape.rows);
  SubDense(rows.a, state.row_max, rows.row_max, 1);
  SubDense(rows.b, rows.tile_max, rows.row_max, 1);
  VectorBarrier();
  SubtractRows(scores, scratch.spread, shape);
  ExpDense(rows.a, rows.a, 2);  // and b
  CopyDense(state.row_max, rows.row_max, 1);
  VectorBarrier();
  ExpDense(scores, scores, shape.repeats());
  MulDense(state.row_sum, state.row_sum, rows.a, 1);
  VectorBarrier();
}

// Channel schemes: p to the tile's sum, and to the operand. Limbs take the sum first:
// it stands behind the barriers of the operand.
AICORE_INLINE void ChannelWeights(LimbFormat format, UbPtr<int8_t> operand, const Pair& x,
                                  const Rescale& rescale, const WeightsScratch& scratch,
                                  const TileShape& shape) {
  SpreadRows(rescale.o_tile, scratch.rows.b, shape.rows);
  RowSum(scratch.rows.sum, x.values, scratch.lane_reduce, shape);
  ToWeights(format, operand, x, reinterpret_cast<UbPtr<half>>(scratch.lane_reduce), scratch.dither,
            shape.repeats());
}
AICORE_INLINE void ChannelWeights(HalfFormat format, UbPtr<half> operand, const Pair& x,
                                  const Rescale& rescale, const WeightsScratch& scratch,
                                  const TileShape& shape) {
  SpreadRows(rescale.o_tile, scratch.rows.b, shape.rows);
  const UbPtr<float> rounded = ToOperand(
      format, operand, x, reinterpret_cast<UbPtr<half>>(scratch.lane_reduce), shape.repeats());
  VectorBarrier();
  RowSum(scratch.rows.sum, rounded, scratch.lane_reduce, shape);
  VectorBarrier();
}

// kInt8Token: p to the tile's sum, p * value_scale to the operand.
template <typename Format>
AICORE_INLINE void TokenWeights(UbPtr<typename Format::Operand> operand, const Pair& x,
                                UbPtr<float> value_scales, const Rescale& rescale,
                                const WeightsScratch& scratch, const TileShape& shape,
                                const RowsByHead& by_head) {
  const TileRows& rows = scratch.rows;
  RowSum(rows.sum, x.values, scratch.lane_reduce, shape);
  MulByHead(x.values, value_scales, by_head);
  FillTail(x.values, 0.0f, shape);
  VectorBarrier();
  RowUnits(rows.shifted, x.values, x.scratch, scratch.lane_reduce, shape, Format::kProbsUnit);
  VectorBarrier();
  SpreadRows(scratch.spread, rows.shifted, shape.rows);
  MulDense(rows.row_max, rows.b, rows.shifted, 1);
  VectorBarrier();
  DivRows(x.values, scratch.spread, shape);
  SpreadRows(rescale.o_tile, rows.row_max, shape.rows);
  VectorBarrier();
  ToWeights(Format(), operand, x, reinterpret_cast<UbPtr<half>>(scratch.lane_reduce),
            scratch.dither, shape.repeats());
}

// x: sums of the tile, scratch afterwards.
template <typename Format>
AICORE_INLINE void TileWeights(UbPtr<typename Format::Operand> operand, const Pair& x,
                               UbPtr<float> factor, const TokenScales& scales,
                               const Rescale& rescale, const RowState& state,
                               const WeightsScratch& scratch, const TileShape& shape,
                               const RowsByHead& by_head, KvQuant quant) {
  const TileRows& rows = scratch.rows;
  ScoresFromSums<Format>(x, factor, scratch.spread, shape);
  if (quant == KvQuant::kInt8Token) {
    VectorBarrier();
    MulByHead(x.values, scales.keys, by_head);
  }
  TileProbs<Format>(x.values, state, scratch, shape);
  SpreadRows(rescale.old_output, rows.a, shape.rows);
  if (quant == KvQuant::kInt8Token) {
    TokenWeights<Format>(operand, x, scales.values, rescale, scratch, shape, by_head);
  } else {
    ChannelWeights(Format(), operand, x, rescale, scratch, shape);
  }
  MulDense(rows.sum, rows.sum, rows.b, 1);  // the sum stands behind a barrier
  VectorBarrier();
  AddDense(state.row_sum, state.row_sum, rows.sum, 1);
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_WEIGHTS_STAGE_H_
