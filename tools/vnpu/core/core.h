// SPDX-License-Identifier: Apache-2.0
// One AIC or AIV: buffers, special registers, pipes, flags, and the fiber that
// runs its scalar program.
//
// The scalar program issues every intrinsic to a pipe. A pipe that is not
// blocked executes at once; a pipe that waits for a clear flag queues what
// follows (arguments and special registers as of issue) until the flag is set.
// In-core flags are set only by this core, so a scalar wait that is not
// satisfied at once never will be.
//
// Next: tools/vnpu/core/exec.h - what an intrinsic's handler sees.
#ifndef VNPU_CORE_CORE_H_
#define VNPU_CORE_CORE_H_

#include <csignal>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tools/vnpu/core/fiber.h"
#include "tools/vnpu/core/global_memory.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/core/types.h"
#include "tools/vnpu/isa/arch_a2.h"

namespace vnpu {

class Block;
class Core;
class Launch;
enum class FaultKind;

// The core whose fiber runs on this host thread, if any.
Core* CurrentCore();
void SetCurrentCore(Core* core);

enum class CoreState : uint8_t {
  kReady,
  kYielded,         // runnable, but only looked at memory or a clock
  kWaitsCrossCore,  // wait_flag_dev
  kStuck,           // waits for something that only itself could bring about
  kFinished,
  kFaulted,
};

struct Scratchpad {
  uint8_t* data = nullptr;
  uint32_t bytes = 0;
  uint32_t dirty = 0;  // written below this since it was last poisoned
};

struct FaultReport {
  FaultKind kind;
  std::string text;
};

class Core {
 public:
  explicit Core(CoreRole role);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Poisons the buffers and points the fiber at the kernel's entry.
  void Begin(Launch* launch, Block* block, uint32_t block_idx);
  bool CanRun() const;
  // Runs until the scalar program suspends; sets the state.
  void Run();

  int64_t Issue(uint32_t insn, uint32_t type, const int64_t* args, const void* return_address);

  // A plain load or store; returns the host address.
  uint64_t Scalar(uint32_t insn, uint64_t address, uint64_t bytes, const void* return_address);

  // Hardware goes on with an arbitrary quotient: worth a note, not a fault.
  void DivisionByZero(const void* return_address);

  // ---- for handlers, on the fiber
  // `fix`: what to do about it; may be empty.
  [[noreturn]] void Fail(FaultKind kind, const Instruction* in, const std::string& headline,
                         const std::string& fix = "");
  void Yield();
  void SetFlag(const Instruction& in);
  void CrossCoreSet(const Instruction& in);
  void CrossCoreWait(const Instruction& in);
  void Signal(const Instruction& in, const SyncEvent& event);
  void Observe(const Instruction& in, const Access& access);
  // Bounds of an access to GM: [begin, end) must lie in one live allocation.
  void CheckGm(const Instruction& in, int operand, uint64_t begin, uint64_t end, bool write);

  CoreId id() const { return CoreId{block_idx_, role_}; }
  CoreRole role() const { return role_; }
  bool is_aic() const { return role_ == CoreRole::kAic; }
  CoreState state() const { return state_; }
  Launch& launch() { return *launch_; }
  Block& block() { return *block_; }
  Scratchpad& scratchpad(Space space) { return pads_[static_cast<int>(space)]; }
  bool observed() const { return observed_; }
  const std::vector<FaultReport>& faults() const { return faults_; }
  int CounterValue(int flag) const;
  // Raises the counter of a cross-core flag; false beyond 4 bits. `site`: where
  // it was set, by which core.
  bool RaiseCounter(int flag, CoreRole setter, const void* site);
  // "set last by AIC here\n  at ...": of a counter that modes 1 and 2 have raised.
  std::string LastSet(int flag) const;
  // Flags or counters left at the end; empty if balanced.
  std::string Leftovers();
  void AddFault(FaultKind kind, const std::string& headline, const Instruction* in,
                const std::string& fix = "");
  // Who waits for what, one line and its source line; empty if finished.
  std::string DescribeWait() const;
  // What a suspended core waits for: its scalar unit (kS) and blocked pipes.
  struct Waiting {
    Pipe pipe;
    const Instruction* in;
  };
  std::vector<Waiting> Waits() const;
  // True if the set that `wait` waits for is queued behind another wait.
  bool QueuesFlag(const Instruction& wait) const;
  // The pipe with a queued ffts_cross_core_sync of the flag; kAll if none.
  Pipe QueuesCrossCore(int flag) const;
  // The scalar program has come to its end, whatever its pipes still hold.
  bool ended() const {
    return state_ == CoreState::kFinished ||
           (state_ == CoreState::kStuck && blocked_on_ == nullptr);
  }
  bool in_runtime() const { return in_runtime_; }
  // A host signal hit the running fiber; called from the handler.
  [[noreturn]] void LeaveOnSignal(int number, const void* address, uint64_t pc);

  Spr spr;
  // Results of vector instructions that the scalar unit can read.
  uint8_t compare_mask[16];
  bool compare_mask_defined;
  uint64_t rsvd_cnt, acc_val, max_min_cnt, vms4_sr;
  int64_t result;  // of the instruction just issued
  uint64_t sequence() const { return sequence_; }

 private:
  struct Queued {
    Instruction in;
    int64_t args[kMaxArgs];
    Spr spr;
  };

  static void FiberMain(void* self);
  void Finish();
  Pipe ResolvePipe(const Instruction& in, const InsnRow& row);
  void CheckArgs(const Instruction& in, const InsnRow& row);
  bool HasPipe(Pipe pipe) const;
  bool Execute(const Instruction& in);  // false: a wait on a clear flag
  bool TryWait(const Instruction& in);
  void Enqueue(const Instruction& in);
  void Settle();
  [[noreturn]] void FailTimeout(const Instruction* in);
  void BarrierAll(const Instruction& in);
  [[noreturn]] void Stick(const Instruction* in);
  void ComposeSignalFault();
  std::string Context(const Instruction* in) const;
  std::string DescribePair(int flag) const;
  std::string TimeoutHeadline() const;

  const CoreRole role_;
  Fiber fiber_;
  std::string block_local_;  // the kernel's block-local variables while this core is off
  uint8_t* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  Scratchpad pads_[kNumSpaces];

  Launch* launch_ = nullptr;
  Block* block_ = nullptr;
  uint32_t block_idx_ = 0;
  CoreState state_ = CoreState::kFinished;
  bool observed_ = false;
  uint64_t sequence_ = 0;
  uint32_t copies_since_yield_ = 0;

  std::deque<Queued> queues_[kNumPipes];
  uint32_t woken_ = 0;  // pipes whose front may now proceed
  uint8_t flags_[kNumPipes][kNumPipes];
  const void* flag_site_[kNumPipes][kNumPipes][kEventsPerPipePair];
  uint8_t counters_[kCrossCoreFlags];
  struct Setter {
    CoreRole role;
    const void* site;
  };
  Setter counter_setter_[kCrossCoreFlags];
  uint32_t barriers_taken_[kCrossCoreFlags];

  // Allocations used lately: a kernel moves between a handful of tensors.
  static constexpr int kGmHits = 4;
  Allocation gm_hits_[kGmHits];
  int gm_next_hit_ = 0;
  uint64_t gm_generation_ = 0;

  const Instruction* blocked_on_ = nullptr;  // of the suspended scalar program
  Instruction last_issued_;                  // names the place of a scalar fault
  std::vector<FaultReport> faults_;
  volatile sig_atomic_t signal_number_ = 0;
  const void* signal_address_ = nullptr;
  uint64_t signal_pc_ = 0;
  volatile bool in_runtime_ = false;
};

}  // namespace vnpu

#endif  // VNPU_CORE_CORE_H_
