// SPDX-License-Identifier: Apache-2.0
// What foreign_cases.cce does, for host and kernel.
#ifndef VNPU_ISA_FOREIGN_CASES_H_
#define VNPU_ISA_FOREIGN_CASES_H_

#include <stdint.h>

enum ForeignCase : int32_t {
  kForeignForms,  // each form of an intrinsic beside the one with all its fields
  kForeignById,   // kForeignById + n: row n of unmodelled.inc
  kForeignFmatrix = 10000,
  kForeignImg2col,  // as a template of the element type names it
  kForeignPackedMad,
  kForeignStrideMode,
  kForeignBoundary,
  kForeignAtomic,
  kForeignFusedConversion,
};

// Rows of results, 256 bytes each: AIV pairs (2i, 2i + 1) are to be equal.
constexpr int kForeignRowBytes = 256;
constexpr int kForeignPairs = 11;
constexpr int kForeignCubeRows = 2;  // after the pairs: fills by bits
constexpr int kForeignScalars = 2 * kForeignPairs + kForeignCubeRows;
constexpr int kForeignRows = kForeignScalars + 1;

#endif  // VNPU_ISA_FOREIGN_CASES_H_
