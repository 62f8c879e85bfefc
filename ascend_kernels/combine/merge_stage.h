// SPDX-License-Identifier: Apache-2.0
// Merges parts of attention over the same rows r by their log-sum-exp, a few parts
// p a step, pipe V:
//
//   m'[r]      = max(m[r], max_p lse[p, r])
//   w[p, r]    = exp(lse[p, r] - m'[r]),   a[r] = exp(m[r] - m'[r])
//   sum[r]     = a[r] * sum[r] + sum_p w[p, r]
//   acc[r, :]  = a[r] * acc[r, :] + sum_p w[p, r] * o[p, r, :]
//   at the end   out = acc / max(sum, 1),  lse = m + ln(sum)
//
// m, sum, acc start at the lowest finite number, 0, 0. A part that saw no token
// has lse = -inf, hence w = exp(-inf - m') = 0, whatever m' is. A row with a
// finite lse has sum >= 1: its largest lse weighs exp(0). All other rows have
// sum = 0, hence out = 0 and lse = -inf.
//
// Sums over the parts are taken by halves: the second half is added onto the
// first until one is left. For few parts that is few dependent instructions, and
// the order is the same on every core.
//
// Next: ascend_kernels/cce/vector_math.h - the intrinsic behind each step.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_STAGE_H_

#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/combine/buffer_map.h"

namespace ascend_attention {

constexpr float kLowestFloat = -3.40282347e38f;

// Running state of the rows of a slab.
struct MergeState {
  UbPtr<float> acc;  // [slab_rows, head_dim]
  UbPtr<float> max;  // one fp32 a row
  UbPtr<float> sum;  // one fp32 a row
};

// The parts of one step, all scratch when they are merged. Rows that the slab
// lacks hold anything.
struct MergeParts {
  UbPtr<float> rows;  // o [count, slab_rows, head_dim], finite where lse is
  UbPtr<float> lse;   // [count, value_pitch]
  uint32_t count;
};

struct MergeScratch {
  UbPtr<float> weights;        // [parts, value_pitch]
  UbPtr<float> fold;           // [parts, value_pitch]
  UbPtr<float> weight_spread;  // one datablock a weight
  UbPtr<float> step_max;       // one fp32 a row
  UbPtr<float> rescale;        // one fp32 a row
  UbPtr<float> row_spread;     // one datablock a row
};

AICORE_INLINE MergeState StateOfMerge() {
  return MergeState{UbAt<float>(kMergeAccUb), UbAt<float>(kMergeMaxUb), UbAt<float>(kMergeSumUb)};
}
AICORE_INLINE MergeScratch ScratchOfMerge() {
  return MergeScratch{UbAt<float>(kMergeWeightsUb),      UbAt<float>(kMergeFoldUb),
                      UbAt<float>(kMergeWeightSpreadUb), UbAt<float>(kMergeStepMaxUb),
                      UbAt<float>(kMergeRescaleUb),      UbAt<float>(kMergeRowSpreadUb)};
}

// --- lanes that are no multiple of 64 ------------------------------------------

// The first `count` lanes of a repeat, all from 64 on.
AICORE_INLINE void UseFirstLanes(uint32_t count) {
  if (count >= kF32Lanes) {
    UseAllLanes();
  } else {
    UseLanesBelow(count);
  }
}

AICORE_INLINE void MaxLanes(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t lanes) {
  const uint32_t rest = lanes % kF32Lanes;
  const uint32_t whole = lanes - rest;
  if (whole != 0) MaxDense(dst, a, b, whole / kF32Lanes);
  if (rest == 0) return;
  UseLanesBelow(rest);
  MaxDense(dst + whole, a + whole, b + whole, 1);
  UseAllLanes();
}

AICORE_INLINE void AddLanes(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t lanes) {
  const uint32_t rest = lanes % kF32Lanes;
  const uint32_t whole = lanes - rest;
  if (whole != 0) AddDense(dst, a, b, whole / kF32Lanes);
  if (rest == 0) return;
  UseLanesBelow(rest);
  AddDense(dst + whole, a + whole, b + whole, 1);
  UseAllLanes();
}

// rows += others, [rows, head_dim] each.
AICORE_INLINE void AddRows(UbPtr<float> rows, UbPtr<float> others, uint32_t num_rows,
                           uint32_t head_dim) {
  ColumnPitch pitch;
  pitch.dst = pitch.a = pitch.b = head_dim;
  for (uint32_t lane = 0; lane < head_dim; lane += kF32Lanes) {
    UseFirstLanes(head_dim - lane);
    AddColumn(rows + lane, rows + lane, others + lane, num_rows, pitch);
  }
  UseAllLanes();
}

// --- steps of the formula --------------------------------------------------------

AICORE_INLINE void ResetMerge(const MergeState& state, const MergeShape& shape) {
  FillDense(state.acc, 0.0f, shape.row_repeats());
  FillDense(state.max, kLowestFloat, 1);
  FillDense(state.sum, 0.0f, 1);
}

// step_max: m'.
AICORE_INLINE void MaxOverParts(const MergeParts& parts, const MergeState& state,
                                const MergeScratch& scratch, const MergeShape& shape) {
  CopyDense(scratch.fold, parts.lse, CeilDiv(parts.count * shape.value_pitch, kF32Lanes));
  for (uint32_t left = parts.count; left > 1;) {
    const uint32_t half = CeilDiv(left, 2);
    VectorBarrier();
    MaxLanes(scratch.fold, scratch.fold, scratch.fold + half * shape.value_pitch,
             (left - half) * shape.value_pitch);
    left = half;
  }
  VectorBarrier();
  MaxDense(scratch.step_max, state.max, scratch.fold, 1);
}

// lse[p, r] -= value of row r.
AICORE_INLINE void SubtractFromLse(const MergeParts& parts, UbPtr<float> values,
                                   const MergeShape& shape) {
  if (shape.value_pitch == kF32PerDatablock) {
    SubShared(parts.lse, parts.lse, values, CeilDiv(parts.count * kF32PerDatablock, kF32Lanes));
    return;
  }
  UseFirstLanes(shape.value_pitch);
  for (uint32_t part = 0; part < parts.count; ++part) {
    UbPtr<float> lse = parts.lse + part * shape.value_pitch;
    SubDense(lse, lse, values, 1);
  }
  UseAllLanes();
}

// m'; a; w in `weights` and, to be added up, in `fold`.
AICORE_INLINE void WeighParts(const MergeParts& parts, const MergeState& state,
                              const MergeScratch& scratch, const MergeShape& shape) {
  const uint32_t repeats = CeilDiv(parts.count * shape.value_pitch, kF32Lanes);
  MaxOverParts(parts, state, scratch, shape);
  VectorBarrier();
  SubDense(scratch.rescale, state.max, scratch.step_max, 1);
  SubtractFromLse(parts, scratch.step_max, shape);
  VectorBarrier();
  ExpDense(scratch.rescale, scratch.rescale, 1);
  ExpDense(scratch.weights, parts.lse, repeats);
  ExpDense(scratch.fold, parts.lse, repeats);
  CopyDense(state.max, scratch.step_max, 1);
}

// rows[p, r, :] *= w[p, r]; acc[r, :] *= a[r].
AICORE_INLINE void ScaleRows(const MergeParts& parts, const MergeState& state,
                             const MergeScratch& scratch, const MergeShape& shape) {
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    UseFirstLanes(shape.head_dim - lane);
    MulPerRow(state.acc + lane, state.acc + lane, scratch.row_spread, shape.slab_rows,
              shape.head_dim);
    if (shape.values_are_dense()) {
      MulPerRow(parts.rows + lane, parts.rows + lane, scratch.weight_spread,
                parts.count * shape.slab_rows, shape.head_dim);
      continue;
    }
    // Row by row, all parts: a part has 8 weights, however many rows.
    for (uint32_t row = 0; row < shape.slab_rows; ++row) {
      UbPtr<float> lanes = parts.rows + row * shape.head_dim + lane;
      MulPerRow(lanes, lanes, scratch.weight_spread + row * kF32PerDatablock, parts.count,
                shape.slab_rows * shape.head_dim, shape.value_pitch * kF32PerDatablock);
    }
  }
  UseAllLanes();
}

AICORE_INLINE void AddParts(const MergeParts& parts, const MergeState& state,
                            const MergeScratch& scratch, const MergeShape& shape) {
  WeighParts(parts, state, scratch, shape);
  VectorBarrier();
  MulDense(state.sum, state.sum, scratch.rescale, 1);
  SpreadRows(scratch.weight_spread, scratch.weights, parts.count * shape.value_pitch);
  SpreadRows(scratch.row_spread, scratch.rescale, shape.slab_rows);
  VectorBarrier();
  ScaleRows(parts, state, scratch, shape);
  for (uint32_t left = parts.count; left > 1;) {
    const uint32_t half = CeilDiv(left, 2);
    VectorBarrier();
    AddLanes(scratch.fold, scratch.fold, scratch.fold + half * shape.value_pitch,
             (left - half) * shape.value_pitch);
    AddRows(parts.rows, parts.rows + half * shape.slab_rows * shape.head_dim,
            (left - half) * shape.slab_rows, shape.head_dim);
    left = half;
  }
  VectorBarrier();
  AddDense(state.sum, state.sum, scratch.fold, 1);
  AddRows(state.acc, parts.rows, shape.slab_rows, shape.head_dim);
}

// state.acc becomes out; lse: one fp32 a row.
AICORE_INLINE void FinishMerge(UbPtr<float> lse, const MergeState& state,
                               const MergeScratch& scratch, const MergeShape& shape) {
  AtLeastDense(scratch.rescale, state.sum, 1.0f, 1);
  LnDense(lse, state.sum, 1);
  VectorBarrier();
  SpreadRows(scratch.row_spread, scratch.rescale, shape.slab_rows);
  AddDense(lse, lse, state.max, 1);
  VectorBarrier();
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    UseFirstLanes(shape.head_dim - lane);
    DivPerRow(state.acc + lane, state.acc + lane, scratch.row_spread, shape.slab_rows,
              shape.head_dim);
  }
  UseAllLanes();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_STAGE_H_
