// SPDX-License-Identifier: Apache-2.0
// What scalar_cases.cce reads and writes, for host and kernel.
#ifndef VNPU_ISA_SCALAR_CASES_H_
#define VNPU_ISA_SCALAR_CASES_H_

#include <stdint.h>

struct ScalarInputs {
  uint64_t integer;
  float real, second;
  double tiny;
};

struct ScalarResults {
  uint64_t set, cleared;
  int64_t first_zero, first_one, zeros, ones, leading, sign_bits;
  int32_t nearest, away, floor, ceil;
  uint16_t half_bits, bfloat_bits, odd_bits, half_sum, bfloat_product, double_bits;
  uint64_t imm;
};

#endif  // VNPU_ISA_SCALAR_CASES_H_
