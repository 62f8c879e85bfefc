// SPDX-License-Identifier: Apache-2.0
// From an issued intrinsic to the figures that set its cost.
#ifndef VNPU_TIMING_DECODE_OP_H_
#define VNPU_TIMING_DECODE_OP_H_

#include "tools/vnpu/core/types.h"
#include "tools/vnpu/timing/recording.h"

namespace vnpu {

// All but site and gm_*.
Op DecodeOp(const Instruction& in);

// Rows of 32 bytes that the busiest of UB's 16 bank groups must deliver, or
// take, for one repeat: 8 datablocks per operand at `base` bytes, `stride`
// datablocks apart. A row that is read twice counts once.
struct BankOperand {
  uint64_t base;
  uint64_t stride;
};
uint32_t BankConflict(const BankOperand* operands, int count);

}  // namespace vnpu

#endif  // VNPU_TIMING_DECODE_OP_H_
