// SPDX-License-Identifier: Apache-2.0
// The cases of memory_cases.cce, for the kernel and its test.
#ifndef VNPU_CHECK_MEMORY_CASES_H_
#define VNPU_CHECK_MEMORY_CASES_H_

#include <stdint.h>

enum class MemoryCase : uint32_t {
  kLoad,   // rows of row_bytes with gaps between them
  kStore,  // the same
  kByteOffsetAsElements,
  kElementOffset,
  kWriteInput,
  kScalarWriteInput,
};

#endif  // VNPU_CHECK_MEMORY_CASES_H_
