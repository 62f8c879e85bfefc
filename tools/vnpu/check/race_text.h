// SPDX-License-Identifier: Apache-2.0
// From a hazard to the finding that users read: the two places, the order that
// is missing, and what would bring it about.
#ifndef VNPU_CHECK_RACE_TEXT_H_
#define VNPU_CHECK_RACE_TEXT_H_

#include <string>

#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/check/race_order.h"
#include "tools/vnpu/check/race_rules.h"

namespace vnpu {
namespace race {

enum class HazardKind : uint8_t {
  kRace,
  kMissingBarrier,
  kUnpublished,
  kUnfenced,
  kLostUpdate,
  kStaleCache,
  kFixRegister,
  kSelfOverlap,  // one instruction; see race_overlap.h
  kUndrained,    // one access, on its way when its core leaves the kernel
};

struct Hazard {
  HazardKind kind;
  Touch first;
  Touch second;
  Range common;                 // bytes that both touch
  const char* reg = nullptr;    // kFixRegister: "nd_para"
  uint64_t values[2] = {0, 0};  // that the two use
};

// `second` is of core `order`; `info` of the running launch.
Finding Compose(const Hazard& hazard, CoreOrder& order, const LaunchInfo& info);
Finding ComposeSetAgain(const FlagSetAgain& again, const LaunchInfo& info);

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_TEXT_H_
