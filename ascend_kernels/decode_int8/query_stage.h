// SPDX-License-Identifier: Apache-2.0
// The query operand of an item, for the rows r of one vector core, pipe V. What
// scales a key channel scales the query instead, so that the cube sees plain int8
// keys:
//
//   q'[r, d] = q[r, d] * key_scale[kv head, d]     channel schemes; else q' = q
//   u[r]     = max_d |q'[r, d]| / c
//   operand[r, d] ~ q'[r, d] / u[r]                c, ~: operand_stage.h
//   factor[r] = softmax_scale * u[r]
//   bias[r]  = factor[r] * sum_d operand[r, d] * key_offset[kv head, d]   asymmetric
//
// Then softmax_scale * q . key = factor * (operand . int8 key) + bias. The bias is
// the same for all tokens of a row: it changes lse, and nothing else. It takes the
// rounded query like the scores: the rounding meets int8 + offset, a key, and not
// int8 alone, which may be much larger.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_QUERY_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_QUERY_STAGE_H_

#include "ascend_kernels/decode_int8/operand_stage.h"
#include "ascend_kernels/decode_int8/rows_stage.h"

namespace ascend_attention {
namespace int8 {

// A query in the making: 16-bit rows, whole 64-lane columns each, and the key scale
// of the item's kv heads in the second matrix of a work pair; their key offset,
// which is read last, apart.
template <typename T>
struct QueryInput {
  UbPtr<T> rows;
  UbPtr<float> key_scale;
  UbPtr<float> key_offset;
};

template <typename T>
AICORE_INLINE QueryInput<T> QueryInputAt(uint32_t pair_offset_bytes,
                                         uint32_t key_offset_offset_bytes) {
  constexpr uint32_t kRowsBytes = kMaxMatrixElems * sizeof(T);
  static_assert(kRowsBytes + kScaleBytes <= kMatrixBytes, "query input exceeds a matrix");
  const uint32_t begin = pair_offset_bytes + kMatrixBytes;
  return QueryInput<T>{UbAt<T>(begin), UbAt<float>(begin + kRowsBytes),
                       UbAt<float>(key_offset_offset_bytes)};
}

// One fp32 a row, of one item.
struct QueryRows {
  UbPtr<float> factor;
  UbPtr<float> bias;
};

struct QueryScratch {
  UbPtr<float> lane_reduce;  // [rows, 64], and the operands in 16 bits
  UbPtr<float> unit;         // [rows]
  UbPtr<float> spread;       // [rows, 8]
};

// x: the pair that holds `input`; its values are scratch.
template <typename Format, typename T>
AICORE_INLINE void PrepareQueryRows(UbPtr<typename Format::Operand> operand, const Pair& x,
                                    const QueryInput<T>& input, const QueryRows& rows,
                                    const QueryScratch& scratch, const TileShape& shape,
                                    const RowsByHead& by_head, KvQuant quant, float softmax_scale) {
  const UbPtr<half> halves = reinterpret_cast<UbPtr<half>>(scratch.lane_reduce);
  ToF32(x.values, input.rows, shape.repeats());
  VectorBarrier();
  if (quant != KvQuant::kInt8Token) MulByHead(x.values, input.key_scale, by_head);
  FillTail(x.values, 0.0f, shape);
  VectorBarrier();
  RowUnits(scratch.unit, x.values, x.scratch, scratch.lane_reduce, shape, Format::kQueryUnit);
  VectorBarrier();
  SpreadRows(scratch.spread, scratch.unit, shape.rows);
  ScaleDense(rows.factor, scratch.unit, softmax_scale, 1);
  VectorBarrier();
  DivRows(x.values, scratch.spread, shape);
  VectorBarrier();
  const UbPtr<float> rounded = ToOperand(Format(), operand, x, halves, shape.repeats());
  if (quant == KvQuant::kInt8ChannelAsym) {
    DotByHead(rows.bias, rounded, input.key_offset, scratch.lane_reduce, by_head);
    VectorBarrier();
    MulDense(rows.bias, rows.bias, rows.factor, 1);
  } else {
    FillDense(rows.bias, 0.0f, 1);
  }
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_QUERY_STAGE_H_
