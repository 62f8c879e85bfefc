// SPDX-License-Identifier: Apache-2.0
// Sizes of block_local_cases.cce.
#ifndef VNPU_TOOLCHAIN_TESTS_BLOCK_LOCAL_CASES_H_
#define VNPU_TOOLCHAIN_TESTS_BLOCK_LOCAL_CASES_H_

#include <stdint.h>

constexpr int32_t kCountAtStart = 100;
constexpr int kRounds = 5;

#endif  // VNPU_TOOLCHAIN_TESTS_BLOCK_LOCAL_CASES_H_
