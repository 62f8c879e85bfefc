// SPDX-License-Identifier: Apache-2.0
// Numbers of the kernels in launch_cases.cce, for host and kernel.
#ifndef VNPU_CORE_LAUNCH_CASES_H_
#define VNPU_CORE_LAUNCH_CASES_H_

enum class LaunchCase : unsigned {
  kIdentity,   // every AIV writes who it is
  kBarrier,    // rounds of a value around the ring of all AIVs
  kPairs,      // mode 1 between the AIVs of a block
  kHandshake,  // mode 2, AIC -> AIVs -> AIC, several rounds
  kQueued,     // waits issued before their sets
  kPoll,       // block 0 polls memory that the last block writes
  kAtomic,     // all AIVs add to the same floats
  kFar,        // copies at offsets beyond 4 GiB
};

constexpr int kBarrierRounds = 5;
constexpr int kHandshakeRounds = 6;

#endif  // VNPU_CORE_LAUNCH_CASES_H_
