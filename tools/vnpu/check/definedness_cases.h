// SPDX-License-Identifier: Apache-2.0
// The cases of definedness_cases.cce, for the kernel and its test.
#ifndef VNPU_CHECK_DEFINEDNESS_CASES_H_
#define VNPU_CHECK_DEFINEDNESS_CASES_H_

#include <stdint.h>

enum class DefinednessCase : uint32_t {
  // Cube: out = probs x value page, of which `rows` rows are valid.
  kProductOfWholePage,
  kProductOfValidRows,
  kProductThroughScratch,
  // Vector.
  kUnwrittenBuffer,
  kPage32Bit,
  kPage64Bit,
  kElementOffsetAsBytes,
  kByteOffset,
  kSumOverDummy,
  kSumOverPadding,
  kSumOverUnsetPadding,
  kSumBesideUnsetPadding,
  kSumOverActiveLanes,
  kMaskedLanes,
  kPartialTile,
  kInPlace,
  kScalarFlag,
  kGatherOffsets,
  kGatherOffsetsWritten,
  kAtomicAdd,
  kScalarPastEnd,
};

constexpr uint32_t kPageRows = 32;
constexpr uint32_t kPageColumns = 16;
constexpr uint32_t kPageBytes = kPageRows * kPageColumns * 2;

#endif  // VNPU_CHECK_DEFINEDNESS_CASES_H_
