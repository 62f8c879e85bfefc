// SPDX-License-Identifier: Apache-2.0
// UB of a vector core in the combine kernel, and its rings.
//
//   ring      producer -> consumer  slots  ids  guards
//   PartialRing  MTE2 -> V           2      0-1  partial rows and their lse
//   ResultRing   V -> MTE3           2      0-1  merged rows and lse
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_BUFFER_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_BUFFER_MAP_H_

#include "ascend_kernels/cce/ring.h"

namespace ascend_attention {

// One slab is 8 query rows: one datablock of fp32 row values.
constexpr uint32_t kSlabRows = 8;
constexpr uint32_t kMaxHeadDim = 128;
constexpr uint32_t kSlabBytes = kSlabRows * kMaxHeadDim * 4;
// Partials merged in one step; 16 x 4 KiB keeps a load above the 16 KiB from
// which GM -> UB copies run near their peak (CANN tuning guide).
constexpr uint32_t kPartialsPerStep = 16;

constexpr uint32_t kPartialSlots = 2;
constexpr uint32_t kPartialLse = kPartialsPerStep * kSlabBytes;  // lse block follows the rows
constexpr uint32_t kPartialSlotBytes = kPartialLse + kPartialsPerStep * kSlabRows * 4;
constexpr uint32_t kResultSlots = 2;
constexpr uint32_t kResultLse = kSlabBytes / 2;  // lse follows the 16-bit rows
constexpr uint32_t kResultSlotBytes = kResultLse + kVectorBytes;

constexpr uint32_t kPartialUb = 0;
constexpr uint32_t kResultUb = kPartialUb + kPartialSlots * kPartialSlotBytes;
constexpr uint32_t kAccUb = kResultUb + kResultSlots * kResultSlotBytes;
constexpr uint32_t kWeightSpreadUb = kAccUb + kSlabBytes;
constexpr uint32_t kRowSpreadUb = kWeightSpreadUb + kPartialsPerStep * kSlabRows * kDatablockBytes;
constexpr uint32_t kMaxUb = kRowSpreadUb + kSlabRows * kDatablockBytes;
constexpr uint32_t kSumUb = kMaxUb + kVectorBytes;
constexpr uint32_t kStepMaxUb = kSumUb + kVectorBytes;
constexpr uint32_t kStepRescaleUb = kStepMaxUb + kVectorBytes;
static_assert(kStepRescaleUb + kVectorBytes <= 192 * 1024, "combine buffers exceed UB");

using PartialRing = Ring<PIPE_MTE2, PIPE_V, kPartialSlots, 0>;
using ResultRing = Ring<PIPE_V, PIPE_MTE3, kResultSlots, 0>;

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_BUFFER_MAP_H_
