// SPDX-License-Identifier: Apache-2.0
// Small programs as data: race_random_test.cc invents them, race_play.cce
// executes them. For the host and for the kernel.
#ifndef VNPU_CHECK_RACE_PLAY_H_
#define VNPU_CHECK_RACE_PLAY_H_

#include <stdint.h>

namespace race_play {

enum Kind : uint32_t {
  kLoadUb,       // a: UB, b: GM, bursts of c * 32 bytes: d, gap e * 32 bytes in GM
  kStoreUb,      // a: UB, b: GM, the same; f: atomic
  kVector,       // a: UB dst, b: UB src, lanes: d (bits 0..31) of 4 bytes
  kScalarLoad,   // a: UB, 4 bytes
  kScalarStore,  // a: UB, 4 bytes
  kLoadL1,       // a: L1, b: GM, c * 32 bytes
  kLoadL0a,      // a: L0A, b: L1, 512 bytes
  kMad,          // a: L0C, n: c, adds to what is there: d
  kFix,          // a: L0C, b: GM, 2 rows of 64 bytes, c * 4 bytes apart
  kSetFlag,      // a -> b, event c
  kWaitFlag,     // a -> b, event c
  kBarrier,      // pipe a
  kFence,        // dsb(DSB_ALL)
  kSignal,       // pipe a, mode b, flag c
  kWaitSignal,   // flag a
  kNothing,
};

struct Op {
  uint32_t kind;
  uint32_t a, b, c, d, e, f;
};
constexpr uint32_t kMaxOps = 96;
struct Program {
  uint32_t num_ops;
  Op ops[kMaxOps];
};
// Programs of a launch: [block][AIC, AIV0, AIV1].

}  // namespace race_play

#endif  // VNPU_CHECK_RACE_PLAY_H_
