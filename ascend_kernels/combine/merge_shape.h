// SPDX-License-Identifier: Apache-2.0
// How rows to merge are cut into pieces that fit a vector core.
//
// A slab is up to slab_rows neighbouring rows; its parts are merged step_parts at
// a time. In UB a step is [parts, slab_rows, head_dim] fp32 with its lse as
// [parts, value_pitch].
//
// Rows of one part are next to each other in GM, so larger slabs mean longer
// copies; smaller slabs occupy more cores. Which rows share a slab does not
// change their bits: the order of summation follows from the number of parts and
// step_parts, and step_parts from head_dim alone.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_SHAPE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_SHAPE_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

constexpr uint32_t kMaxMergeHeadDim = 512;
constexpr uint32_t kMaxStepParts = 32;
// 48 KiB a step: copies above 16 KiB run near their peak (CANN tuning guide), and
// two of them leave room for the results.
constexpr uint32_t kMaxStepLanes = 12288;
constexpr uint32_t kMaxStepRows = 248;    // rows of all parts: repeats of one instruction
constexpr uint32_t kMaxStepValues = 256;  // parts * value_pitch
constexpr uint32_t kMaxSlabRows = kF32Lanes;
constexpr uint32_t kMaxSlabLanes = kMaxStepLanes / 2;
constexpr uint32_t kMaxRepeatPitch = 255 * kF32PerDatablock;  // lanes between two repeats

struct MergeShape {
  uint32_t head_dim;     // a multiple of 16, at most kMaxMergeHeadDim
  uint32_t slab_rows;    // below 8, or a multiple of 8
  uint32_t value_pitch;  // slab_rows rounded up to datablocks
  uint32_t step_parts;   // most parts of a step

  // Whether the values of all rows of all parts are next to each other.
  AICORE_INLINE bool values_are_dense() const { return slab_rows == value_pitch; }
  // Of the rows of one part in UB.
  AICORE_INLINE uint32_t row_repeats() const { return CeilDiv(slab_rows * head_dim, kF32Lanes); }
};

// For `groups` times `group_rows` rows of at most `most_parts` parts each, dealt to
// `workers` cores: at most one slab a core if that fits UB.
AICORE_INLINE MergeShape ChooseMergeShape(uint32_t head_dim, uint32_t most_parts, uint32_t groups,
                                          uint32_t group_rows, uint32_t workers) {
  MergeShape shape;
  shape.head_dim = head_dim;
  shape.step_parts = Min(kMaxStepParts, kMaxStepLanes / head_dim);
  const uint32_t parts = most_parts < 2 ? 2 : Min(most_parts, shape.step_parts);
  const uint32_t slabs_per_group = groups != 0 && groups < workers ? workers / groups : 1;
  uint32_t rows = Min(CeilDiv(group_rows, slabs_per_group), kMaxSlabRows);
  rows = Min(rows, Min(kMaxStepLanes / head_dim, kMaxStepRows) / parts);
  if (rows < kF32PerDatablock) {
    rows = Min(rows, kMaxRepeatPitch / head_dim);
  } else {
    rows -= rows % kF32PerDatablock;
  }
  shape.slab_rows = rows;
  shape.value_pitch = RoundUp(rows, kF32PerDatablock);
  return shape;
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_SHAPE_H_
