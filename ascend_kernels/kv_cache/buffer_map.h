// SPDX-License-Identifier: Apache-2.0
// UB of a vector core in reshape_and_cache, and its rings.
//
//   ring        producer -> consumer  slots  ids  guards
//   SlotRing    MTE2 -> S             6      0-5  the slab's part of slot_mapping
//   CopyRing    MTE2 -> MTE3          6      0-5  16-bit cache: rows of a slab
//   RowRing     MTE2 -> V             3      0-2  int8 cache: rows of a slab
//   ParamRing   MTE2 -> V             1      3    scales and offsets of a head group
//   ResultRing  V -> MTE3             2      0-1  int8 rows, and their scales
//
// Two flags are there for the ring's shape, not for need, and the mutation test
// proves it: slots of SlotRing are free once the scalar unit, which issues the next
// load, has read them; and the rows, loaded behind the parameters, are full later.
//
// A *slab* is the keys and values of a few tokens and a group of kv heads, as
// [key, value][tokens][heads][head_dim]: one dense array for most instructions.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_BUFFER_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_BUFFER_MAP_H_

#include "ascend_kernels/cce/ring.h"

namespace ascend_attention {

// 16 KiB of 16-bit rows a load: from there on GM -> UB runs near its peak (CANN
// tuning guide). 128 repeats of fp32 keep within the 255 of an instruction.
constexpr uint32_t kSlabElems = 8192;
// Keys of one token in a slab; larger rows are cut into groups of heads.
constexpr uint32_t kMaxGroupElems = 2048;
constexpr uint32_t kMinHeadDim = 64;
constexpr uint32_t kMaxSlabTokens = kSlabElems / 2 / kMinHeadDim;
constexpr uint32_t kMaxSlabRows = kSlabElems / kMinHeadDim;  // (key or value, token, head)

constexpr uint32_t kSlabBytes = kSlabElems * 2;
constexpr uint32_t kSlotNumberBytes = kMaxSlabTokens * sizeof(int64_t);
constexpr uint32_t kCopySlots = 6;
constexpr uint32_t kRowSlots = 3;
constexpr uint32_t kResultSlots = 2;

// Both schedules: the slot numbers.
constexpr uint32_t kSlotNumbersUb = 0;
constexpr uint32_t kRowsUb = kSlotNumbersUb + kCopySlots * kSlotNumberBytes;
static_assert(kRowsUb + kCopySlots * kSlabBytes <= 192 * 1024, "copy buffers exceed UB");

// Int8 cache: scale and offset of keys and values, lane by lane ...
constexpr uint32_t kParamBytes = kMaxGroupElems * 4;
constexpr uint32_t kKeyScale = 0;
constexpr uint32_t kValueScale = kKeyScale + kParamBytes;
constexpr uint32_t kKeyOffset = kValueScale + kParamBytes;
constexpr uint32_t kValueOffset = kKeyOffset + kParamBytes;
constexpr uint32_t kParamsUb = kRowsUb + kRowSlots * kSlabBytes;
// ... the rows as fp32, their magnitudes and, when those are done with, halves ...
constexpr uint32_t kF32Ub = kParamsUb + kValueOffset + kParamBytes;
constexpr uint32_t kWorkUb = kF32Ub + kSlabElems * 4;
// ... maxima of rows: by datablock, and whole; then the scale, and 127 eight times ...
constexpr uint32_t kBlockMaxUb = kWorkUb + kSlabElems * 4;
constexpr uint32_t kRowMaxUb = kBlockMaxUb + kMaxSlabRows * kDatablockBytes;
constexpr uint32_t kRowScaleUb = kRowMaxUb + kMaxSlabRows * 4;
constexpr uint32_t kDivisorUb = kRowScaleUb + kMaxSlabRows * 4;
// ... and results: int8 rows, then one scale per row, each at the start of a datablock.
constexpr uint32_t kResultScales = kSlabElems;
constexpr uint32_t kResultSlotBytes = kResultScales + kMaxSlabRows * kDatablockBytes;
constexpr uint32_t kResultUb = kDivisorUb + kVectorBytes;
static_assert(kResultUb + kResultSlots * kResultSlotBytes <= 192 * 1024, "buffers exceed UB");

template <uint32_t kNumSlots>
using SlotRing = Ring<PIPE_MTE2, PIPE_S, kNumSlots, 0>;
using CopyRing = Ring<PIPE_MTE2, PIPE_MTE3, kCopySlots, 0>;
using RowRing = Ring<PIPE_MTE2, PIPE_V, kRowSlots, 0>;
using ParamRing = Ring<PIPE_MTE2, PIPE_V, 1, kRowSlots>;
using ResultRing = Ring<PIPE_V, PIPE_MTE3, kResultSlots, 0>;

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_BUFFER_MAP_H_
