// SPDX-License-Identifier: Apache-2.0
// Units of the plan ABI, for host and device code.
//
// Offsets and sizes in a plan are bytes, always, and their type says so:
// ByteOffset and ByteCount convert neither to nor from plain integers, so an
// element count can never be added to a byte pointer by accident. Device-safe:
// no standard library beyond <stdint.h>, trivially copyable.
//
// Next: tiling/abi/decode_plan.h - the structs a kernel reads.
#ifndef ASCEND_ATTENTION_TILING_ABI_UNITS_H_
#define ASCEND_ATTENTION_TILING_ABI_UNITS_H_

#include <stdint.h>

// Functions shared by host and kernels. A device compiler needs the [aicore]
// attribute on everything a kernel calls; a host compiler does not know it.
#ifdef __CCE_AICORE__
#ifndef __aicore__
#define __aicore__ [aicore]
#endif
#define AA_HOST_DEVICE __attribute__((always_inline)) inline __aicore__
#else
#define AA_HOST_DEVICE inline
#endif

namespace ascend_attention {

// Distance in bytes from the start of the object that the owner names.
struct ByteOffset {
  uint64_t bytes;
};

// Extent in bytes.
struct ByteCount {
  uint64_t bytes;
};

AA_HOST_DEVICE constexpr ByteOffset operator+(ByteOffset a, ByteCount b) {
  return ByteOffset{a.bytes + b.bytes};
}
AA_HOST_DEVICE constexpr ByteCount operator+(ByteCount a, ByteCount b) {
  return ByteCount{a.bytes + b.bytes};
}
AA_HOST_DEVICE constexpr ByteCount operator-(ByteOffset a, ByteOffset b) {
  return ByteCount{a.bytes - b.bytes};
}
// A size repeated `n` times; the caller proves n * size < 2^64.
AA_HOST_DEVICE constexpr ByteCount operator*(ByteCount a, uint64_t n) {
  return ByteCount{a.bytes * n};
}
AA_HOST_DEVICE constexpr bool operator==(ByteOffset a, ByteOffset b) { return a.bytes == b.bytes; }
AA_HOST_DEVICE constexpr bool operator==(ByteCount a, ByteCount b) { return a.bytes == b.bytes; }
AA_HOST_DEVICE constexpr bool operator<(ByteCount a, ByteCount b) { return a.bytes < b.bytes; }

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_UNITS_H_
