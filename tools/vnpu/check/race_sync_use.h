// SPDX-License-Identifier: Apache-2.0
// What each synchronisation of a kernel was good for: mutation tests prove with
// it that a removed one was redundant.
#ifndef VNPU_CHECK_RACE_SYNC_USE_H_
#define VNPU_CHECK_RACE_SYNC_USE_H_

#include <cstdint>

namespace vnpu {

// A wait, a barrier or a set at one place. Redundant: it told nobody anything
// that was not known, so without it every order stays as it is. A set counts
// when it is waited for, and is redundant when that wait is.
struct SyncUse {
  uint16_t insn = 0;  // VnpuInsn
  uint64_t executions = 0;
  uint64_t redundant = 0;
  // Nothing of its core came behind it but other waits and the end.
  uint64_t trailing = 0;
};

}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_SYNC_USE_H_
