// SPDX-License-Identifier: Apache-2.0
// A list of intrinsics as data: tests write it, the player kernels execute it
// through the wrappers of the dialect. For the host and for kernels.
#ifndef VNPU_ISA_INSNS_PROGRAM_H_
#define VNPU_ISA_INSNS_PROGRAM_H_

#include <stdint.h>

namespace vnpu_test {

constexpr int kMaxSteps = 64;
constexpr int kStepArgs = 14;

struct Step {
  uint32_t insn;  // VnpuInsn
  uint32_t type;  // VnpuType
  int64_t args[kStepArgs];
};

struct Program {
  uint64_t image_bytes;  // of UB (vector player) or L1 (cube player), in and out
  uint64_t num_steps;
  uint64_t read_back;  // values of reading instructions, in order
  uint64_t values[16];
  Step steps[kMaxSteps];
};

// One intrinsic by its number, without a wrapper.
struct RawStep {
  uint32_t insn;
  uint32_t type;
  int64_t args[16];
};

}  // namespace vnpu_test

#endif  // VNPU_ISA_INSNS_PROGRAM_H_
