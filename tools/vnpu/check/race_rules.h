// SPDX-License-Identifier: Apache-2.0
// When two accesses to the same bytes are a hazard.
//
//   different pipes or cores, one writes, no order       race          [doc]
//   same pipe, the second reads or writes what the first writes, no
//   pipe_barrier or longer way round between them         missing barrier:
//     V     read or write after write                     [hw]
//     MTE1, MTE2, MTE3, FIX  the same                     [doc], MTE1 and FIX [hw]
//     M     only when one of the two mads is smaller than 10 fractals of
//           16 x 16; larger ones the hardware interlocks  [doc]
//   same pipe, write after read                           no hazard: instructions start in
//                                                         order and read first [inf]
//   one instruction with itself                           see race_overlap.h
//   two atomic stores                                     no hazard     [doc]
//   mad and fixpipe with unit flags on the same L0C       ordered by hardware [doc]
//   scalar stores in the data cache (dirty until dcci)    see race_cache.h
#ifndef VNPU_CHECK_RACE_RULES_H_
#define VNPU_CHECK_RACE_RULES_H_

#include <cstdint>
#include <memory>

#include "tools/vnpu/check/race_clock.h"
#include "tools/vnpu/check/race_order.h"
#include "tools/vnpu/check/race_shape.h"

namespace vnpu {
namespace race {

// One operand of one instruction: what it touches and where in the order it is.
struct Touch {
  Shape shape;
  Place place;
  Space space;
  bool write;
  bool atomic = false;
  bool dirty = false;      // a store in the scalar data cache, not cleaned yet
  bool line = false;       // written back as a whole 64-byte line
  bool polls = false;      // a scalar read past the cache: may be a poll
  bool unit_flag = false;  // mad or fixpipe with its L0C handshake on
  uint8_t fractals = 255;  // of a mad's result; at most 255
  uint8_t unit;            // of its core
  int32_t index;           // of the unit
  // What a core that sees this store knows; of small stores to GM.
  std::shared_ptr<const Clock> release;

  bool same_core(const Touch& other) const {
    return place.core.block == other.place.core.block && place.core.role == other.place.core.role;
  }
};

enum class Relation : uint8_t {
  kNoConflict,
  kOrdered,
  kRace,
  kMissingBarrier,
  kUnpublished,  // the second reads behind the cache that holds the first
  kLostUpdate,   // writing the line back undoes the second
  kUnfenced,     // complete, but no dsb before the signal (strict mode)
  kUnitFlag,     // ordered by the L0C handshake
};

// Both touch a common byte; `clock` is what is complete before `second`.
Relation Relate(const Touch& first, const Touch& second, const Clock& clock, bool strict);
// They share no byte, but a 64-byte line that one of them writes back.
Relation RelateLine(const Touch& first, const Touch& second, const Clock& clock);
// True if `clock`, of a core of block `here`, holds the completion of `touch`.
bool Knows(const Clock& clock, uint32_t here, const Touch& touch);
// Whoever conflicts with `first` later and is not ordered behind it conflicts
// with `second` too, where `second` covers it.
bool Supersedes(const Touch& second, const Touch& first, Relation relation);

constexpr uint64_t kCacheLine = 64;
// A store that can be a soft signal: at most this many bytes in one run.
constexpr uint64_t kSoftSignalBytes = 64;
inline bool SmallStore(const Touch& touch) {
  return touch.write && touch.shape.dense() && touch.shape.run <= kSoftSignalBytes;
}

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_RULES_H_
