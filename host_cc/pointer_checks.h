// SPDX-License-Identifier: Apache-2.0
// What can be said of a device pointer on the host, in words that name it.
#ifndef ASCEND_ATTENTION_HOST_CC_POINTER_CHECKS_H_
#define ASCEND_ATTENTION_HOST_CC_POINTER_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <string>

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

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_POINTER_CHECKS_H_
