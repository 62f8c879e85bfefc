// SPDX-License-Identifier: Apache-2.0
// One core in time: its scalar unit and its pipes. Inside the simulator.
#ifndef VNPU_TIMING_SIMULATED_CORE_H_
#define VNPU_TIMING_SIMULATED_CORE_H_

#include <cstdint>
#include <vector>

#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/timing/cross_core_board.h"
#include "tools/vnpu/timing/event_queue.h"
#include "tools/vnpu/timing/fifo.h"
#include "tools/vnpu/timing/memory_flows.h"
#include "tools/vnpu/timing/op_cost.h"
#include "tools/vnpu/timing/parameters.h"
#include "tools/vnpu/timing/recording.h"
#include "tools/vnpu/timing/scalar_cache.h"
#include "tools/vnpu/timing/timeline_builder.h"

namespace vnpu {

// What all cores of a launch share.
struct SharedParts {
  const Parameters& parameters;
  EventQueue& events;
  MemoryFlows& flows;
  L2State& l2;
  TimelineBuilder& out;
  CrossCoreBoard& board;
  std::vector<Handover> handovers;  // completed, to be taken by the simulator
};

// A set that nobody has waited for yet.
struct Token {
  int64_t set;  // the work before it was done
  int64_t at;   // the waiting side may see it
  uint32_t lane;
  bool all;  // mode 0
};

class SimulatedCore {
 public:
  static constexpr uint32_t kAgents = 8;  // per core: the pipes by number

  SimulatedCore(uint32_t index, const CoreRecording& recording, SharedParts* shared);

  void Begin(int64_t time);
  // An event of this core: pipe 0 is the scalar unit.
  void Wake(uint32_t pipe, int64_t now);
  void BeginFlow(uint32_t pipe, int64_t now);
  void EndFlow(uint32_t pipe, int64_t now, const FlowEnd& flow);
  void Take(const Handover& handover, int64_t at);

  bool finished() const { return finished_; }
  int64_t end() const { return end_; }
  const CoreRecording& recording() const { return recording_; }
  // What the core cannot get past; for the report of a stuck launch.
  const Op* stuck_at() const;

 private:
  struct Pending {
    uint32_t op;
    int64_t issued;
  };
  struct PipeState {
    Fifo<Pending> queue;
    uint32_t lane = UINT32_MAX;
    int64_t free_at = 0;     // the instruction before has left
    int64_t results_at = 0;  // of all earlier work
    bool flowing = false;    // an instruction whose end others decide
    int waits_for = -1;      // index of a flag nobody has set yet
    TransferCost transfer;
    int64_t transfer_begin = 0;
    uint32_t transfer_op = 0;
    bool idle() const { return queue.empty() && !flowing; }
  };
  enum class Progress { kDone, kLater };

  uint32_t Agent(uint32_t pipe) const { return index_ * kAgents + pipe; }
  const Op& OpAt(uint32_t at) const { return recording_.ops[at]; }
  uint32_t ScalarLane() const { return pipes_[0].lane; }
  int64_t Picoseconds(double cycles) const;

  // ---- scalar unit
  void RunScalar(int64_t now);
  Progress StepScalar(const Op& op, int64_t now);
  Progress Enqueue(const Op& op, int64_t now);
  Progress WaitForSignal(const Op& op);
  Progress WaitForFlag(const Op& op);
  Progress DrainAll(const Op& op, int64_t now);
  Progress LoadGm(const Op& op, int64_t now);
  void StoreGm(const Op& op);
  void CleanCache(const Op& op);
  // The scalar unit works for `ps` on `op`.
  void Spend(const Op& op, int64_t ps);
  // It stands still until `time`, if that is later than where it is.
  void StandStill(int64_t time, WaitCause cause, const Op& op, uint32_t from);

  // ---- pipes
  void RunPipe(uint32_t pipe, int64_t now);
  Progress StepPipe(uint32_t pipe, const Pending& pending, int64_t now);
  void Execute(PipeState* pipe, const Op& op, int64_t now);
  void Transfer(uint32_t pipe, uint32_t op, int64_t now);
  Progress TakeFlag(uint32_t pipe, const Op& op, int64_t now);
  void Signal(uint32_t pipe, const Op& op, int64_t now);
  void Popped(uint32_t pipe, int64_t now);
  void CheckIdle(int64_t now);

  static int FlagIndex(const Op& op) {
    return static_cast<int>((op.figure[0] * kNumPipes + op.figure[1]) * kEventsPerPipePair +
                            op.figure[2]);
  }
  void SetFlag(const Op& op, int64_t time);
  void AddArrow(const Token& token, int64_t end, uint32_t to, const Op& op, bool cross_core);

  const uint32_t index_;
  const CoreRecording& recording_;
  SharedParts& shared_;
  PipeState pipes_[kNumPipes];
  std::vector<Fifo<Token>> flags_;
  std::vector<Fifo<Token>> signals_;
  ScalarCache cache_;

  uint32_t next_ = 0;    // op of the scalar program
  int64_t time_ = 0;     // up to which the scalar unit has run
  int full_pipe_ = -1;   // stands still for room in this queue
  bool drains_ = false;  // stands still at PIPE_ALL
  bool issued_all_ = false;
  bool finished_ = false;
  int64_t end_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_SIMULATED_CORE_H_
