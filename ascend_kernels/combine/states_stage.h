// SPDX-License-Identifier: Apache-2.0
// What a caller's parts need before and after the merge, pipe V: conversion to and
// from fp32, and zeros in the place of rows whose lse is -inf. Nobody need have
// written those rows; a weight of 0 would not silence a NaN there.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_STAGE_H_

#include "ascend_kernels/combine/merge_stage.h"

namespace ascend_attention {

// scratch: 64 lanes.
AICORE_INLINE void ReplaceByZeros(UbPtr<float> scratch) {
  FillDense(scratch, 0.0f, 1);
  VectorBarrier();
  UseReplacement(scratch);
}

// bits: 64 for each row of each part, rounded up to datablocks for each row. The
// first barrier orders the conversion of the rows, too.
AICORE_INLINE void DropEmptyRows(const MergeParts& parts, UbPtr<uint8_t> bits,
                                 UbPtr<float> lse_spread, const MergeShape& shape) {
  SpreadRows(lse_spread, parts.lse, parts.count * shape.value_pitch);
  VectorBarrier();
  // As ScaleRows: all rows of all parts, or row by row all parts.
  const bool dense = shape.values_are_dense();
  const uint32_t sets = dense ? 1 : shape.slab_rows;
  const uint32_t set_rows = dense ? parts.count * shape.slab_rows : parts.count;
  const uint32_t spread_pitch = dense ? kF32PerDatablock : shape.value_pitch * kF32PerDatablock;
  const uint32_t row_pitch = dense ? shape.head_dim : shape.slab_rows * shape.head_dim;
  const uint32_t bits_pitch = RoundUp(set_rows * kF32Lanes / 8, kDatablockBytes);
  for (uint32_t set = 0; set < sets; ++set) {
    RowsAbove(bits + set * bits_pitch, lse_spread + set * kF32PerDatablock, kMinusInfinity,
              set_rows, spread_pitch);
  }
  VectorBarrier();
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    UseFirstLanes(shape.head_dim - lane);
    for (uint32_t set = 0; set < sets; ++set) {
      UbPtr<float> lanes = parts.rows + set * shape.head_dim + lane;
      KeepRows(lanes, lanes, bits + set * bits_pitch, set_rows, row_pitch);
    }
  }
  UseAllLanes();
}

AICORE_INLINE void ToResult(UbPtr<float> result, UbPtr<float> rows, uint32_t repeats) {
  CopyDense(result, rows, repeats);
}
AICORE_INLINE void ToResult(UbPtr<half> result, UbPtr<float> rows, uint32_t repeats) {
  FromF32(result, rows, repeats);
}
AICORE_INLINE void ToResult(UbPtr<bfloat16_t> result, UbPtr<float> rows, uint32_t repeats) {
  FromF32(result, rows, repeats);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_STAGE_H_
