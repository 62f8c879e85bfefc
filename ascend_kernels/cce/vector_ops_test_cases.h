// SPDX-License-Identifier: Apache-2.0
// Shared by vector_ops_test_kernel.cce and ops_test.cc: which op to run.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_OPS_TEST_CASES_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_OPS_TEST_CASES_H_

#include <stdint.h>

namespace ascend_attention {

enum VectorOp : uint32_t {
  kOpFillDense,
  kOpAddDense,
  kOpSubDense,
  kOpMulDense,
  kOpMaxDense,
  kOpScaleDense,
  kOpExpDense,
  kOpLnDense,
  kOpCopyDense,
  kOpAtLeastDense,
  kOpDivDense,
  kOpAddScaledDense,
  kOpRoundDense,
  kOpOffsetDense,
  kOpAbsDense,
  kOpSubShared,
  kOpDivShared,
  kOpFillColumn,  // from here on `pitch` counts
  kOpAddColumn,
  kOpMaxColumn,
  kOpMulPerLane,
  kOpAddPerLane,
  kOpAddProductPerLane,
  kOpSpreadRows,
  kOpSubPerRow,
  kOpMulPerRow,
  kOpDivPerRow,
  kOpMaxOfLanes,
  kOpSumOfLanes,
  kOpMaxOfDatablocks,
  kOpFromF32,  // from here on pitch 0 is half, 1 is bfloat16_t, 2 is an integer
  kOpToF32,    // from int32_t
  kOpToInt8,   // these two to and from half
  kOpFromInt8,
  kOpRoundToInt16,  // from float
  kOpFromInt16,     // to half
};

struct VectorOpCase {
  VectorOp op;
  uint32_t repeats;  // or rows
  uint32_t pitch;    // lanes
  uint32_t lanes;    // 0: all; 1..63: lanes below; 64 + n: lanes from n on; 128 + n: n = lane mod 8
  float scalar;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_OPS_TEST_CASES_H_
