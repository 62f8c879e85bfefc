// SPDX-License-Identifier: Apache-2.0
// Pointers into the memories of an A2 core, typed by memory: passing a UB
// address where GM is meant is a compile error on the device compiler and on
// the virtual NPU alike.
//
// On-chip pointers are byte offsets from 0 inside their own buffer; the buffer
// maps (decode/buffer_map.h, ...) own all offsets.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_ADDRESS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_ADDRESS_H_

#include <stdint.h>

#include "tiling/abi/units.h"

// Every function of a kernel is inlined: the cube and the vector pass are
// linked into one binary and must not export equal names.
#define AICORE_INLINE __attribute__((always_inline)) inline __aicore__

namespace ascend_attention {

template <typename T>
using GmPtr = __gm__ T*;
template <typename T>
using UbPtr = __ubuf__ T*;
template <typename T>
using L1Ptr = __cbuf__ T*;
template <typename T>
using L0aPtr = __ca__ T*;
template <typename T>
using L0bPtr = __cb__ T*;
template <typename T>
using L0cPtr = __cc__ T*;

template <typename T>
AICORE_INLINE UbPtr<T> UbAt(uint32_t offset_bytes) {
  return reinterpret_cast<UbPtr<T>>(static_cast<uintptr_t>(offset_bytes));
}
template <typename T>
AICORE_INLINE L1Ptr<T> L1At(uint32_t offset_bytes) {
  return reinterpret_cast<L1Ptr<T>>(static_cast<uintptr_t>(offset_bytes));
}
template <typename T>
AICORE_INLINE L0aPtr<T> L0aAt(uint32_t offset_bytes) {
  return reinterpret_cast<L0aPtr<T>>(static_cast<uintptr_t>(offset_bytes));
}
template <typename T>
AICORE_INLINE L0bPtr<T> L0bAt(uint32_t offset_bytes) {
  return reinterpret_cast<L0bPtr<T>>(static_cast<uintptr_t>(offset_bytes));
}
template <typename T>
AICORE_INLINE L0cPtr<T> L0cAt(uint32_t offset_bytes) {
  return reinterpret_cast<L0cPtr<T>>(static_cast<uintptr_t>(offset_bytes));
}

// The only ways from a byte offset to a typed GM pointer: an offset held in a
// register, and one that itself lies in GM.
template <typename T>
AICORE_INLINE GmPtr<T> GmAt(GmPtr<uint8_t> base, ByteOffset offset) {
  return reinterpret_cast<GmPtr<T>>(base + offset.bytes);
}
template <typename T>
AICORE_INLINE GmPtr<T> GmAt(GmPtr<uint8_t> base, GmPtr<ByteOffset> offset) {
  return reinterpret_cast<GmPtr<T>>(base + offset->bytes);
}

constexpr uint32_t kDatablockBytes = 32;  // grain of the vector unit and of UB copies
constexpr uint32_t kFractalBytes = 512;   // 16 rows x 32 bytes, grain of L0A and L0B
constexpr uint32_t kFractalRows = 16;
constexpr uint32_t kVectorBytes = 256;            // one repeat of the vector unit
constexpr uint32_t kF32Lanes = kVectorBytes / 4;  // fp32 lanes of one repeat
constexpr uint32_t kF32PerDatablock = kDatablockBytes / 4;

// Of the cube's operands. What the transposing load turns at once is a square of
// 32 bytes a row: one fractal of 16-bit elements, two of 8-bit ones, one above the
// other.
template <typename T>
constexpr uint32_t kSquareRows = kDatablockBytes / sizeof(T);

// What the cube sums products of T in.
template <typename T>
struct MmadSum {
  using Type = float;
};
template <>
struct MmadSum<int8_t> {
  using Type = int32_t;
};

AICORE_INLINE constexpr uint32_t CeilDiv(uint32_t a, uint32_t b) { return (a + b - 1) / b; }
AICORE_INLINE constexpr uint32_t RoundUp(uint32_t a, uint32_t b) { return CeilDiv(a, b) * b; }
AICORE_INLINE constexpr uint32_t Min(uint32_t a, uint32_t b) { return a < b ? a : b; }

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_ADDRESS_H_
