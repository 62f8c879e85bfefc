// SPDX-License-Identifier: Apache-2.0
// What can be said of a device pointer on the host, in words that name it.
#ifndef ASCEND_ATTENTION_HOST_CC_POINTER_CHECKS_H_
#define ASCEND_ATTENTION_HOST_CC_POINTER_CHECKS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tiling/shape.h"
#include "tiling/status.h"

namespace ascend_attention {

constexpr uintptr_t kDatablockBytes = 32;  // grain of the vector cores' loads and stores
constexpr uintptr_t kElementBytes = 4;     // block_table and lse are addressed by element

// "0x1000"
std::string AddressText(const void* address);

// Null is aligned.
Status CheckAligned(const char* name, const void* address, uintptr_t alignment);

// Neither null nor misaligned.
Status CheckPointer(const char* name, const void* address, uintptr_t alignment);

// Neither null nor misaligned (kRegionAlignmentBytes) nor shorter than `needed`.
Status CheckWorkspace(const void* workspace, size_t size, size_t needed);

// The device memory of one argument: a run of bytes, repeated along the axes of a
// strided cache.
struct Memory {
  struct Axis {
    int64_t stride = 0;  // bytes
    int64_t count = 1;
  };
  const char* name;
  const void* begin;
  int64_t run_bytes;
  std::array<Axis, 3> axes = {};  // nested, largest stride first; count 1: none

  int64_t span_bytes() const;  // from the first byte to behind the last
};

// A cache of a valid shape.
Memory CacheMemory(const char* name, const void* begin, const DecodeShape& shape);

// InvalidArgument names both if a byte belongs to both; bytes between the rows of
// a cache are free. Null and empty memory overlaps nothing. Two strided ones must
// have the same axes.
Status CheckApart(const Memory& written, const Memory& other);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_POINTER_CHECKS_H_
