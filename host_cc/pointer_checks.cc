// SPDX-License-Identifier: Apache-2.0
#include "host_cc/pointer_checks.h"

#include <cstdio>

#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

std::string AddressText(const void* address) {
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof(text), "0x%llx",
                static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(address)));
  return text;
}

Status CheckAligned(const char* name, const void* address, uintptr_t alignment) {
  if (reinterpret_cast<uintptr_t>(address) % alignment == 0) return OkStatus();
  return InvalidArgument(name, " = ", AddressText(address), " is not a multiple of ", alignment,
                         " bytes");
}

Status CheckPointer(const char* name, const void* address, uintptr_t alignment) {
  if (address == nullptr) return InvalidArgument(name, " is null");
  return CheckAligned(name, address, alignment);
}

Status CheckWorkspace(const void* workspace, size_t size, size_t needed) {
  if (workspace == nullptr) return InvalidArgument("workspace is null; ", needed, " bytes needed");
  AA_RETURN_IF_ERROR(CheckAligned("workspace", workspace, kRegionAlignmentBytes));
  if (size >= needed) return OkStatus();
  return ResourceExhausted("workspace of ", size, " bytes is too small: ", needed, " needed");
}

}  // namespace ascend_attention
