// SPDX-License-Identifier: Apache-2.0
// What scalar_access_cases.cce does, chosen by number.
#ifndef VNPU_TOOLCHAIN_TESTS_SCALAR_ACCESS_CASES_H_
#define VNPU_TOOLCHAIN_TESTS_SCALAR_ACCESS_CASES_H_

#include <stdint.h>

enum class ScalarCase : uint32_t {
  kSizes,        // one load and one store of 1, 2, 4 and 8 bytes
  kStruct,       // a struct, field by field through the stack
  kLoop,         // out[i] = in[i] + 1: a host's compiler would use vectors
  kFill,         // out[i] = 0: a host's compiler would call memset
  kSpin,         // block 0 polls what block 1 stores
  kUbReads,      // UB after the vector unit wrote it
  kUbWrites,     // UB before the vector unit reads it
  kUbZero,       // UB address 0 is no null pointer
  kUbBytes,      // every size in UB
  kHalf,         // half and bfloat16 in GM and UB
  kFetchAdd,     // atomic on GM
  kConstant,     // one load whose address is an expression of constants
  kTwoBranches,  // one store per branch
  kSysCnt,       // the cycle counter, by assembly
};

struct ScalarFields {
  uint8_t byte;
  uint16_t half_word;
  uint32_t word;
  uint64_t double_word;
};

constexpr uint32_t kLoopCount = 13;

#endif  // VNPU_TOOLCHAIN_TESTS_SCALAR_ACCESS_CASES_H_
