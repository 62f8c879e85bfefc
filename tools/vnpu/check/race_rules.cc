// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_rules.h"

namespace vnpu {
namespace race {
namespace {

constexpr int kInterlockedFractals = 10;

bool KnowsUnit(const Clock& clock, uint32_t here, const Touch& touch, int unit) {
  const int at = UnitOf(touch.place.core.role, unit);
  if (touch.place.core.block == here) return clock.own.at[at] >= touch.index;
  return clock.others != nullptr && (*clock.others)[touch.place.core.block].at[at] >= touch.index;
}

bool SameUnit(const Touch& a, const Touch& b) { return a.unit == b.unit; }

Relation RelateSamePipe(const Touch& first, const Touch& second) {
  if (!first.write) return Relation::kNoConflict;
  if (first.place.pipe == Pipe::kM && first.fractals >= kInterlockedFractals &&
      second.fractals >= kInterlockedFractals) {
    return Relation::kNoConflict;
  }
  return Relation::kMissingBarrier;
}

bool UnitFlagPair(const Touch& first, const Touch& second) {
  return first.unit_flag && second.unit_flag && first.place.pipe != second.place.pipe;
}

}  // namespace

bool Knows(const Clock& clock, uint32_t here, const Touch& touch) {
  return KnowsUnit(clock, here, touch, touch.unit);
}

Relation Relate(const Touch& first, const Touch& second, const Clock& clock, bool strict) {
  if (!first.write && !second.write) return Relation::kNoConflict;
  const bool same_core = first.same_core(second);
  if (same_core) {
    if (SameUnit(first, second) && first.index == second.index && !first.dirty) {
      return Relation::kNoConflict;
    }
    if (IsScalarUnit(first.unit) && IsScalarUnit(second.unit)) return Relation::kNoConflict;
  }
  if (first.dirty) return second.write ? Relation::kLostUpdate : Relation::kUnpublished;
  if (first.atomic && second.atomic) return Relation::kNoConflict;
  const uint32_t here = second.place.core.block;
  if (Knows(clock, here, first)) {
    const int fenced = FencedUnit(first.unit);
    const bool published =
        !strict || same_core || !first.write || fenced < 0 || KnowsUnit(clock, here, first, fenced);
    return published ? Relation::kOrdered : Relation::kUnfenced;
  }
  if (same_core && UnitFlagPair(first, second)) return Relation::kUnitFlag;
  if (same_core && SameUnit(first, second)) return RelateSamePipe(first, second);
  if (first.polls && SmallStore(second)) return Relation::kNoConflict;
  return Relation::kRace;
}

Relation RelateLine(const Touch& first, const Touch& second, const Clock& clock) {
  if (!first.write || !second.write || !(first.line || second.line)) return Relation::kNoConflict;
  if (first.same_core(second) && IsScalarUnit(first.unit) && IsScalarUnit(second.unit)) {
    return Relation::kNoConflict;
  }
  if (!first.dirty && Knows(clock, second.place.core.block, first)) return Relation::kOrdered;
  return Relation::kLostUpdate;
}

bool Supersedes(const Touch& second, const Touch& first, Relation relation) {
  if (first.line != second.line) return false;
  if (first.dirty) return second.dirty && first.same_core(second);
  if (second.atomic && first.write && !first.atomic) return false;
  if (second.atomic && !first.write) return false;
  if (second.polls && !first.polls) return false;
  if (second.write && relation == Relation::kOrdered) return true;
  // A small mad is a hazard to later ones where a large one over it is none.
  return first.same_core(second) && SameUnit(first, second) && (second.write || !first.write) &&
         first.fractals >= second.fractals;
}

}  // namespace race
}  // namespace vnpu
