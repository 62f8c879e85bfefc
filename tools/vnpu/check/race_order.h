// SPDX-License-Identifier: Apache-2.0
// Who knows what is complete: the order that flags, barriers and signals make.
//
// A pipe starts its instructions in issue order; what it knows to be complete
// before the next one starts is its clock. The rules:
//
//   issue        what the scalar unit knew when it issued an instruction is
//                complete before that starts, on every pipe            [hw]
//   set_flag     carries the setting pipe's clock and all its own work  [doc]
//   wait_flag    gives that to the waiting pipe, or to the scalar unit. The flag
//                is one bit: what sets it again must know that the last wait
//                is over                                                [doc]
//   pipe_barrier the pipe's own earlier work; PIPE_ALL: all pipes' work to
//                the scalar unit                                        [doc]
//   ffts         carries the clock of the pipe it is queued on and all its own
//                work; mode 0, 1, 2 as in core/sync.cc                  [run]
//   wait_flag_dev gives the oldest signal of its counter to the scalar unit
//   scalar unit  loads complete in order; stores are known to be complete only
//                behind set_flag(PIPE_S, ..), dsb, dcci or PIPE_ALL      [doc]
//
// Marks: doc CANN documentation, hw vendor kernels that rely on it, run checked
// against goldens of such kernels.
#ifndef VNPU_CHECK_RACE_ORDER_H_
#define VNPU_CHECK_RACE_ORDER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tools/vnpu/check/race_clock.h"
#include "tools/vnpu/check/race_sync_use.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/isa/arch_a2.h"

namespace vnpu {

namespace race {

// An instruction, for reports.
struct Place {
  CoreId core;
  Pipe pipe;
  uint16_t insn;
  uint64_t sequence;
  const void* return_address;
};

// A raised signal: one place for each core that took part.
struct Signal {
  Clock clock;
  std::vector<Place> places;
  uint8_t flag = 0;
  uint8_t mode = 0;
};
using SignalRef = std::shared_ptr<const Signal>;

struct FlagToken {
  bool set = false;
  Clock clock;
  Place place;
  // Its last wait: number among those of the waiting pipe, from 1. The scalar
  // unit's are over before anything else is issued: 0.
  int32_t wait = 0;
  Place wait_place;
};

// A flag is one bit: set again where nothing says that its last wait is over.
struct FlagSetAgain {
  SyncEvent event;
  Place wait;
  Place set;
};

// The last wait of `dst` for a flag of `src`.
struct LastFlag {
  bool any = false;
  uint8_t event = 0;
  uint64_t set_sequence = 0;
};

struct PipeState {
  Clock before;         // complete before the next instruction starts
  int32_t started = 0;  // instructions that touched memory, with the current one
  int32_t waits = 0;    // wait_flags that are over
  uint64_t current = ~uint64_t{0};
  bool counted = false;  // the current one is in `started`
  uint64_t joined = 0;   // stamp of the scalar clock it has
  struct Issue {
    uint64_t sequence;
    uint64_t snapshot;
    int32_t loads;
  };
  std::deque<Issue> pending;
};

// One core. The scalar clock has versions, as queued instructions start with
// that of their issue.
class CoreOrder {
 public:
  explicit CoreOrder(const CoreId& id);

  const CoreId id;
  int32_t loads = 0;  // the scalar unit's own work
  int32_t stores_gm = 0;
  int32_t stores_ub = 0;
  mutable int32_t loads_told = 0;  // as many loads anybody may know of

  void OnIssue(const Instruction& in);
  // An instruction of a queued pipe begins to execute; harmless if it has.
  PipeState& Start(const Instruction& in);
  PipeState& pipe(Pipe p) { return pipes_[static_cast<int>(p)]; }
  const Clock& scalar() const { return versions_.back().clock; }
  uint64_t scalar_stamp() const { return versions_.back().stamp; }  // changes with it
  void LearnScalar(const Clock& clock);
  void LearnScalar(int unit, int32_t index);  // of this core
  // The scalar clock with its own loads, for tokens.
  Clock ScalarToken(bool stores) const;
  Clock PipeToken(Pipe p) const;

  // What every unit that may still touch this core's buffers knows.
  BlockClock KnownToAll() const;

  // PIPE_ALL; dsb of GM, which publishes what the scalar unit knows to be stored
  // and what a barrier of the storing pipe lies behind.
  void DrainAll();
  void Fence();
  bool AllDrained() const;

  FlagToken& flag(const SyncEvent& event);
  LastFlag& last_flag(Pipe src, Pipe dst) {
    return last_flags_[static_cast<int>(src)][static_cast<int>(dst)];
  }
  int Unit(int unit) const { return UnitOf(id.role, unit); }

  // Cross-core flags: signals to take, and barriers taken.
  std::deque<SignalRef> signals[kCrossCoreFlags];
  uint64_t barriers_taken[kCrossCoreFlags] = {};
  std::vector<SignalRef> taken;  // the last of each counter, oldest first
  // Cores whose words it has seen in polls.
  std::set<std::pair<uint32_t, CoreRole>> polled;
  // Synchronisation since the last access or signal.
  std::vector<const void*> trailing;

 private:
  struct Version {
    Clock clock;
    uint64_t stamp;
    uint32_t pending;  // issued under it and not started
  };
  Clock& ChangeScalar();

  PipeState pipes_[kNumPipes];
  std::deque<Version> versions_;
  uint64_t first_version_ = 0;
  uint64_t stamp_ = 1;
  std::vector<FlagToken> flags_;
  int16_t flag_slot_[kNumPipes][kNumPipes][kEventsPerPipePair];
  LastFlag last_flags_[kNumPipes][kNumPipes];
};

class Order {
 public:
  void Begin(uint32_t num_blocks, uint32_t aivs_per_block);
  CoreOrder& core(const CoreId& id);
  void OnSignal(const CoreId& id, const Instruction& in, const SyncEvent& event);
  void OnWait(const CoreId& id, const Instruction& in, const SyncEvent& event);
  // The core comes to its end: what synchronised for nothing behind it.
  void OnCoreEnd(const CoreId& id);
  uint32_t num_blocks() const { return num_blocks_; }
  std::map<const void*, SyncUse>& use() { return use_; }
  // Of the signal at hand; the caller clears it.
  std::vector<FlagSetAgain>& set_again() { return set_again_; }

 private:
  struct Barrier {
    std::shared_ptr<OtherBlocks> clocks;
    std::vector<Place> places;
    uint32_t arrived = 0;
    uint8_t flag = 0;
  };
  struct Barriers {
    std::vector<uint64_t> arrivals;  // per core of the kind
    std::deque<Barrier> all;
  };
  struct Pair {
    std::deque<SignalRef> arrived[2];
  };

  void FlagSet(CoreOrder& core, const Instruction& in, const SyncEvent& event);
  void CrossCoreSet(CoreOrder& core, const Instruction& in, const SyncEvent& event);
  void ArriveAll(CoreOrder& core, const SyncEvent& event, Clock clock, const Place& place);
  void ArrivePair(CoreOrder& core, const SyncEvent& event, SignalRef signal);
  void CrossCoreWait(CoreOrder& core, const Instruction& in, int flag);
  SignalRef TakeSignal(CoreOrder& core, int flag);
  void Count(CoreOrder& core, const Instruction& in, bool redundant);
  void CountSet(const Place& place, bool redundant);

  uint32_t num_blocks_ = 0;
  uint32_t aivs_ = 0;
  std::vector<std::unique_ptr<CoreOrder>> cores_;   // block * 3 + role
  std::map<std::pair<uint32_t, int>, Pair> pairs_;  // (block, mode * 16 + flag)
  Barriers barriers_[2][kCrossCoreFlags];           // [is aic]
  std::map<const void*, SyncUse> use_;
  std::vector<FlagSetAgain> set_again_;
};

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_ORDER_H_
