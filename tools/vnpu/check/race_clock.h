// SPDX-License-Identifier: Apache-2.0
// Vector clocks of the race detector: how much of each unit's work is known to
// be complete.
//
// Units complete their accesses as if in order: who knows that instruction i of
// a unit is complete knows it of all before i. So knowledge is one number per
// unit. A kernel hears much of its own block and rarely of others: the numbers
// of the own block are held in place, those of other blocks are shared.
//
// Next: tools/vnpu/check/race_order.h - who learns what, and when.
#ifndef VNPU_CHECK_RACE_CLOCK_H_
#define VNPU_CHECK_RACE_CLOCK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "tools/vnpu/core/types.h"

namespace vnpu {
namespace race {

// Units of one core. 0..6 are the pipes; Pipe::kS stands for scalar loads.
constexpr int kScalarLoad = static_cast<int>(Pipe::kS);
constexpr int kScalarStoreGm = 7;
constexpr int kScalarStoreUb = 8;
// The same work of a unit that stores to GM, behind a dsb: what other cores may
// rely on when a runtime needs fences.
constexpr int kFencedMte3 = 9;
constexpr int kFencedFix = 10;
constexpr int kFencedScalar = 11;
constexpr int kUnitsPerCore = 12;
constexpr int kCoresPerBlock = 3;
constexpr int kUnitsPerBlock = kCoresPerBlock * kUnitsPerCore;

inline int UnitOf(CoreRole role, int unit) { return static_cast<int>(role) * kUnitsPerCore + unit; }
inline bool IsScalarUnit(int unit) {
  return unit == kScalarLoad || unit == kScalarStoreGm || unit == kScalarStoreUb;
}
// Where a unit's fenced work is counted; -1 for units that store nothing to GM.
inline int FencedUnit(int unit) {
  if (unit == static_cast<int>(Pipe::kMte3)) return kFencedMte3;
  if (unit == static_cast<int>(Pipe::kFix)) return kFencedFix;
  return unit == kScalarStoreGm ? kFencedScalar : -1;
}

constexpr int kWaitsPerBlock = kCoresPerBlock * kNumPipes;
inline int WaitsOf(CoreRole role, Pipe pipe) {
  return static_cast<int>(role) * kNumPipes + static_cast<int>(pipe);
}

// Per unit of a block: that many instructions are complete. Apart from them, per
// pipe: that many of its wait_flags are over, which orders no access, but says when
// a flag may be set again.
struct BlockClock {
  int32_t at[kUnitsPerBlock] = {};
  int32_t waits[kWaitsPerBlock] = {};
};

inline void Join(BlockClock* into, const BlockClock& from) {
  for (int i = 0; i < kUnitsPerBlock; ++i) {
    into->at[i] = into->at[i] < from.at[i] ? from.at[i] : into->at[i];
  }
  for (int i = 0; i < kWaitsPerBlock; ++i) {
    into->waits[i] = into->waits[i] < from.waits[i] ? from.waits[i] : into->waits[i];
  }
}
// Of the work; HoldsWaits of the rest.
inline bool Holds(const BlockClock& clock, const BlockClock& part) {
  int32_t behind = 0;
  for (int i = 0; i < kUnitsPerBlock; ++i) behind |= clock.at[i] < part.at[i];
  return behind == 0;
}

inline bool HoldsWaits(const BlockClock& clock, const BlockClock& part) {
  int32_t behind = 0;
  for (int i = 0; i < kWaitsPerBlock; ++i) behind |= clock.waits[i] < part.waits[i];
  return behind == 0;
}

// By block index; the entry of the holder's own block means nothing.
using OtherBlocks = std::vector<BlockClock>;

struct Clock {
  BlockClock own;
  std::shared_ptr<const OtherBlocks> others;  // null: nothing known
};

bool Holds(const Clock& clock, const Clock& part);
void Join(Clock* into, const Clock& from);
// What a core of block `to` learns from `clock` of block `from`.
Clock Carry(const Clock& clock, uint32_t from, uint32_t to, uint32_t num_blocks);

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_CLOCK_H_
