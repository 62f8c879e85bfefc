// SPDX-License-Identifier: Apache-2.0
// Merges partial results of the same query rows by their log-sum-exp, a few
// partials p a step, for the 8 rows r of a slab, pipe V:
//
//   m'[r]      = max(m[r], max_p lse[p, r])
//   w[p, r]    = exp(lse[p, r] - m'[r]),   a[r] = exp(m[r] - m'[r])
//   sum[r]     = a[r] * sum[r] + sum_p w[p, r]
//   acc[r, :]  = a[r] * acc[r, :] + sum_p w[p, r] * o[p, r, :]
//   at the end   out = acc / sum,  lse = m + ln(sum)
//
// m, sum, acc start at -inf, 0, 0. The rows o[p] are normalised already.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_STAGE_H_

#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/combine/buffer_map.h"

namespace ascend_attention {

struct MergeState {
  UbPtr<float> acc;     // [8, head_dim]
  UbPtr<float> max;     // [8], first datablock of a repeat
  UbPtr<float> sum;     // [8]
  UbPtr<float> spread;  // [8, 8] scratch
};

struct MergeScratch {
  UbPtr<float> step_max;       // [8]
  UbPtr<float> rescale;        // [8]
  UbPtr<float> weight_spread;  // [partials * 8, 8]
};

AICORE_INLINE uint32_t SlabRepeats(uint32_t head_dim) { return kSlabRows * head_dim / kF32Lanes; }

AICORE_INLINE void ResetMerge(const MergeState& state, uint32_t head_dim) {
  FillDense(state.acc, 0.0f, SlabRepeats(head_dim));
  FillDense(state.max, kMinusInfinity, 1);
  FillDense(state.sum, 0.0f, 1);
  VectorBarrier();
}

// m', a; turns `lse` [partials, 8] into w and adds the weights to sum. The
// barriers of the sum order w; nothing reads sum before a barrier of its reader.
AICORE_INLINE void WeighPartials(UbPtr<float> lse, const MergeState& state,
                                 const MergeScratch& scratch, uint32_t partials) {
  UseLanesBelow(kSlabRows);
  CopyDense(scratch.step_max, state.max, 1);
  for (uint32_t partial = 0; partial < partials; ++partial) {
    VectorBarrier();
    MaxDense(scratch.step_max, scratch.step_max, lse + partial * kSlabRows, 1);
  }
  VectorBarrier();
  SubDense(scratch.rescale, state.max, scratch.step_max, 1);
  VectorBarrier();
  ExpDense(scratch.rescale, scratch.rescale, 1);
  CopyDense(state.max, scratch.step_max, 1);
  UseAllLanes();
  SubShared(lse, lse, scratch.step_max, CeilDiv(partials * kSlabRows, kF32Lanes));
  VectorBarrier();
  ExpDense(lse, lse, CeilDiv(partials * kSlabRows, kF32Lanes));
  UseLanesBelow(kSlabRows);
  MulDense(state.sum, state.sum, scratch.rescale, 1);
  for (uint32_t partial = 0; partial < partials; ++partial) {
    VectorBarrier();
    AddDense(state.sum, state.sum, lse + partial * kSlabRows, 1);
  }
  UseAllLanes();
}

// rows: o [partials, 8, head_dim], scratch afterwards; lse: [partials, 8].
AICORE_INLINE void MergePartials(UbPtr<float> rows, UbPtr<float> lse, const MergeState& state,
                                 const MergeScratch& scratch, uint32_t partials,
                                 uint32_t head_dim) {
  WeighPartials(lse, state, scratch, partials);
  SpreadRows(scratch.weight_spread, lse, partials * kSlabRows);
  SpreadRows(state.spread, scratch.rescale, kSlabRows);
  VectorBarrier();
  for (uint32_t lane = 0; lane < head_dim; lane += kF32Lanes) {
    MulPerRow(rows + lane, rows + lane, scratch.weight_spread, partials * kSlabRows, head_dim);
    MulPerRow(state.acc + lane, state.acc + lane, state.spread, kSlabRows, head_dim);
  }
  for (uint32_t partial = 0; partial < partials; ++partial) {
    VectorBarrier();
    AddDense(state.acc, state.acc, rows + partial * kSlabRows * head_dim, SlabRepeats(head_dim));
  }
}

// out: [8, head_dim] in 16 bits; out_lse: [8].
template <typename T>
AICORE_INLINE void FinishMerge(UbPtr<T> out, UbPtr<float> out_lse, const MergeState& state,
                               uint32_t head_dim) {
  SpreadRows(state.spread, state.sum, kSlabRows);
  LnDense(out_lse, state.sum, 1);
  VectorBarrier();
  AddDense(out_lse, out_lse, state.max, 1);
  for (uint32_t lane = 0; lane < head_dim; lane += kF32Lanes) {
    DivPerRow(state.acc + lane, state.acc + lane, state.spread, kSlabRows, head_dim);
  }
  VectorBarrier();
  FromF32(out, state.acc, SlabRepeats(head_dim));
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_STAGE_H_
