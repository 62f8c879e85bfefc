// SPDX-License-Identifier: Apache-2.0
// UB of a merging vector core, and its rings. Everything starts at offset 0: the
// decode kernel merges its partials when its own buffers are dead.
//
//   ring             producer -> consumer  slots  ids  guards
//   MergePartRing    MTE2 -> V             2      5-6  rows and lse of the parts of one step
//   MergeResultRing  V -> MTE3             2      5-6  merged rows and lse
//
// Ids that no ring of a decode kernel has: when these rings mark their slots free,
// the last waits of the decoder's rings may still stand in a queue, and a flag must
// not be set a second time before its wait.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_BUFFER_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_BUFFER_MAP_H_

#include "ascend_kernels/cce/ring.h"
#include "ascend_kernels/combine/merge_shape.h"

namespace ascend_attention {

// A row value of each row of a slab: one repeat. Spread: one datablock each.
constexpr uint32_t kMergeRowValuesBytes = kMaxSlabRows * 4;
constexpr uint32_t kMergeRowSpreadBytes = kMaxSlabRows * kDatablockBytes;
// A value of each row of each part of a step.
constexpr uint32_t kMergeWeightsBytes = kMaxStepValues * 4;

constexpr uint32_t kMergePartSlots = 2;
constexpr uint32_t kMergePartRows = kMergeWeightsBytes;  // the rows follow the lse
constexpr uint32_t kMergePartSlotBytes = kMergePartRows + kMaxStepLanes * 4;
constexpr uint32_t kMergeResultSlots = 2;
constexpr uint32_t kMergeResultRows = kMergeRowSpreadBytes;  // the rows follow the lse
constexpr uint32_t kMergeResultSlotBytes = kMergeResultRows + kMaxSlabLanes * 4;

constexpr uint32_t kMergePartUb = 0;
constexpr uint32_t kMergeResultUb = kMergePartUb + kMergePartSlots * kMergePartSlotBytes;
constexpr uint32_t kMergeAccUb = kMergeResultUb + kMergeResultSlots * kMergeResultSlotBytes;
constexpr uint32_t kMergeWeightSpreadUb = kMergeAccUb + kMaxSlabLanes * 4;
constexpr uint32_t kMergeRowSpreadUb = kMergeWeightSpreadUb + kMaxStepValues * kDatablockBytes;
constexpr uint32_t kMergeWeightsUb = kMergeRowSpreadUb + kMergeRowSpreadBytes;
constexpr uint32_t kMergeFoldUb = kMergeWeightsUb + kMergeWeightsBytes;
constexpr uint32_t kMergeMaxUb = kMergeFoldUb + kMergeWeightsBytes;
constexpr uint32_t kMergeSumUb = kMergeMaxUb + kMergeRowValuesBytes;
constexpr uint32_t kMergeStepMaxUb = kMergeSumUb + kMergeRowValuesBytes;
constexpr uint32_t kMergeRescaleUb = kMergeStepMaxUb + kMergeRowValuesBytes;
constexpr uint32_t kMergeLseUb = kMergeRescaleUb + kMergeRowValuesBytes;
// 64 bits a row of each part; 7 sets of 32, or one of kMaxStepRows.
constexpr uint32_t kMergeBitsUb = kMergeLseUb + kMergeRowValuesBytes;
constexpr uint32_t kMergeBitsBytes = RoundUp(kMaxStepRows * kF32Lanes / 8, kDatablockBytes);
static_assert(kMergeBitsBytes >= 7 * kMaxStepParts * kF32Lanes / 8, "bits of rows exceed theirs");
static_assert(kMergeBitsUb + kMergeBitsBytes <= 192 * 1024, "merge buffers exceed UB");

using MergePartRing = Ring<PIPE_MTE2, PIPE_V, kMergePartSlots, 5>;
using MergeResultRing = Ring<PIPE_V, PIPE_MTE3, kMergeResultSlots, 5>;

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_BUFFER_MAP_H_
