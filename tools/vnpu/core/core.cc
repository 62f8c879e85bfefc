// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/core.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "tools/vnpu/core/block.h"
#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/core/launch.h"

namespace vnpu {
namespace {

// A quiet NaN in float and in half: values that were never written show.
constexpr uint32_t kPoison = 0x7fff7fff;
// A kernel that polls GM through copies must let the others run now and then.
constexpr uint32_t kCopiesPerYield = 64;

thread_local Core* current_core = nullptr;

void Poison(Scratchpad* pad, uint32_t bytes) {
  auto* words = reinterpret_cast<uint32_t*>(pad->data);
  for (uint32_t i = 0; i < (bytes + 3) / 4; ++i) words[i] = kPoison;
  pad->dirty = 0;
}

}  // namespace

Core* CurrentCore() { return current_core; }
void SetCurrentCore(Core* core) { current_core = core; }

const uint8_t* RunningCompareMask() { return current_core->compare_mask; }

Core::Core(CoreRole role) : role_(role), fiber_(kScalarStackBytes) {
  if (role == CoreRole::kAic) {
    scratchpad(Space::kL1).bytes = kL1Bytes;
    scratchpad(Space::kL0a).bytes = kL0aBytes;
    scratchpad(Space::kL0b).bytes = kL0bBytes;
    scratchpad(Space::kL0c).bytes = kL0cBytes;
    scratchpad(Space::kBt).bytes = kBtBytes;
    scratchpad(Space::kFb).bytes = kFbBytes;
  } else {
    scratchpad(Space::kUb).bytes = kUbBytes;
  }
  for (const Scratchpad& pad : pads_) memory_bytes_ += pad.bytes;
  void* memory =
      mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  memory_ = static_cast<uint8_t*>(memory);
  uint8_t* next = memory_;
  for (Scratchpad& pad : pads_) {
    pad.data = next;
    pad.dirty = pad.bytes;
    next += pad.bytes;
  }
}

Core::~Core() { munmap(memory_, memory_bytes_); }

void Core::Begin(Launch* launch, Block* block, uint32_t block_idx) {
  launch_ = launch;
  block_ = block;
  block_idx_ = block_idx;
  for (Scratchpad& pad : pads_) Poison(&pad, pad.dirty);
  std::memset(&spr, 0, sizeof(spr));
  // Runtimes start kernels with infinities and NaNs kept [doc].
  spr.ctrl = uint64_t{1} << kCtrlKeepInfNan;
  std::memset(compare_mask, 0xff, sizeof(compare_mask));
  compare_mask_defined = false;
  rsvd_cnt = acc_val = max_min_cnt = vms4_sr = 0;
  result = 0;
  observed_ = !launch->observers().empty();
  sequence_ = 0;
  copies_since_yield_ = 0;
  for (auto& queue : queues_) queue.clear();
  woken_ = 0;
  std::memset(flags_, 0, sizeof(flags_));
  std::memset(counters_, 0, sizeof(counters_));
  std::memset(counter_setter_, 0, sizeof(counter_setter_));
  for (int f = 0; f < static_cast<int>(kCrossCoreFlags); ++f) {
    barriers_taken_[f] = launch->BarriersDone(is_aic(), f);
  }
  for (Allocation& hit : gm_hits_) hit = Allocation{};
  gm_generation_ = launch->gm().generation();
  blocked_on_ = nullptr;
  last_issued_ = Instruction{};
  faults_.clear();
  signal_number_ = 0;
  in_runtime_ = false;
  state_ = CoreState::kReady;
  block_local_ = launch->kernel().block_local_image;
  fiber_.Prepare(&Core::FiberMain, this);
}

void Core::FiberMain(void* self) {
  Core* core = static_cast<Core*>(self);
  const Kernel& kernel = core->launch_->kernel();
  for (Observer* observer : core->launch_->observers()) observer->OnCoreBegin(core->id());
  (core->is_aic() ? kernel.aic : kernel.aiv)(core->launch_->args());
  core->Finish();
}

void Core::Finish() {
  in_runtime_ = true;
  for (const auto& queue : queues_) {
    if (!queue.empty()) Stick(nullptr);
  }
  state_ = CoreState::kFinished;
  const std::string left = Leftovers();
  if (!left.empty()) {
    AddFault(FaultKind::kException, left, nullptr,
             "wait for every flag that is set, or do not set it in the last round");
  }
  if (left.empty()) {
    for (Observer* observer : launch_->observers()) observer->OnCoreEnd(id());
  }
  fiber_.Leave();
}

bool Core::CanRun() const {
  switch (state_) {
    case CoreState::kReady:
    case CoreState::kYielded:
      return true;
    case CoreState::kWaitsCrossCore:
      return CounterValue(static_cast<int>(blocked_on_->args[0])) > 0;
    default:
      return false;
  }
}

void Core::Run() {
  state_ = CoreState::kReady;
  current_core = this;
  char* const shared = launch_->kernel().block_local;
  if (shared != nullptr) std::memcpy(shared, block_local_.data(), block_local_.size());
  fiber_.Resume();
  if (shared != nullptr) {
    block_local_.assign(shared, block_local_.size());
    // A library that is loaded again takes its image from here.
    std::memcpy(shared, launch_->kernel().block_local_image.data(), block_local_.size());
  }
  current_core = nullptr;
  if (signal_number_ != 0) ComposeSignalFault();
}

void Core::Yield() {
  state_ = CoreState::kYielded;
  fiber_.Suspend();
}

// ---- issue

bool Core::HasPipe(Pipe pipe) const {
  switch (pipe) {
    case Pipe::kS:
    case Pipe::kMte2:
    case Pipe::kMte3:
      return true;
    case Pipe::kV:
      return !is_aic();
    case Pipe::kM:
    case Pipe::kMte1:
    case Pipe::kFix:
      return is_aic();
    default:
      return false;
  }
}

Pipe Core::ResolvePipe(const Instruction& in, const InsnRow& row) {
  if (row.pipe != Pipe::kArg0 && row.pipe != Pipe::kArg1) return row.pipe;
  const int64_t number = in.args[row.pipe == Pipe::kArg0 ? 0 : 1];
  const int operands = in.insn == VNPU_INSN_set_flag || in.insn == VNPU_INSN_wait_flag ? 2 : 1;
  for (int i = 0; i < operands; ++i) {
    const int64_t value = in.args[i];
    if (in.insn == VNPU_INSN_pipe_barrier && value == static_cast<int64_t>(Pipe::kAll)) break;
    if (value < 0 || value >= kNumPipes || !HasPipe(static_cast<Pipe>(value))) {
      const std::string name =
          value >= 0 && value < 8 ? PipeName(static_cast<Pipe>(value)) : std::to_string(value);
      Fail(FaultKind::kException, &in,
           "bad argument: " + std::string(row.name) + " names pipe " + name + ", which an " +
               (is_aic() ? "AIC (S, M, MTE1, MTE2, MTE3, FIX)" : "AIV (S, V, MTE2, MTE3)") +
               " does not have");
    }
  }
  if (operands == 2 && in.args[0] == in.args[1]) {
    Fail(FaultKind::kException, &in,
         "bad argument: " + std::string(row.name) + " from a pipe to itself; use pipe_barrier");
  }
  return static_cast<Pipe>(number);
}

void Core::CheckArgs(const Instruction& in, const InsnRow& row) {
  const auto mine = static_cast<unsigned>(is_aic() ? CoreSet::kAic : CoreSet::kAiv);
  if ((static_cast<unsigned>(row.cores) & mine) == 0) {
    Fail(FaultKind::kException, &in,
         "wrong core: " + std::string(row.name) + " runs on " + (is_aic() ? "AIV" : "AIC") +
             " only");
  }
  for (int i = 0; i < row.num_limited; ++i) {
    const int index = row.limited[i];
    const ArgSpec& spec = row.args[index];
    const int64_t value = in.args[index];
    if (value >= spec.min && value <= spec.max) continue;
    Fail(FaultKind::kException, &in,
         "argument out of range: " + std::string(row.name) + " " + spec.name + " = " +
             std::to_string(value) + ", allowed " + std::to_string(spec.min) + ".." +
             std::to_string(spec.max));
  }
}

int64_t Core::Issue(uint32_t insn, uint32_t type, const int64_t* args, const void* return_address) {
  const InsnRow& row = RowOf(insn);
  Instruction in;
  in.insn = static_cast<uint16_t>(insn);
  in.type = static_cast<uint8_t>(type);
  in.pipe = row.pipe < Pipe::kAll ? row.pipe : Pipe::kS;
  in.sequence = sequence_++;
  in.return_address = return_address;
  in.args = args;
  in.spr = &spr;
  int64_t changed[kMaxArgs];
  in_runtime_ = true;
  if (launch_->filter() != nullptr) {
    std::memcpy(changed, args, row.num_args * sizeof(int64_t));
    in.args = changed;
    if (launch_->filter()->OnIssue(id(), in, changed) == StreamFilter::Action::kDrop) {
      in_runtime_ = false;
      return 0;
    }
  }
  last_issued_ = in;
  last_issued_.args = nullptr;  // they live as long as this call
  if (launch_->expired()) FailTimeout(&in);
  CheckArgs(in, row);
  in.pipe = ResolvePipe(in, row);
  if (observed_) {
    for (Observer* observer : launch_->observers()) observer->OnIssue(id(), in);
  }
  result = 0;
  if (in.pipe == Pipe::kS) {
    if (!Execute(in)) Stick(&in);
  } else if (in.pipe == Pipe::kAll) {
    BarrierAll(in);
  } else if (!queues_[static_cast<int>(in.pipe)].empty() || !Execute(in)) {
    Enqueue(in);
  }
  if (woken_ != 0) Settle();
  if (row.cost == CostClass::kDmaIn && ++copies_since_yield_ >= kCopiesPerYield) {
    copies_since_yield_ = 0;
    Yield();
  }
  in_runtime_ = false;
  return result;
}

uint64_t Core::Scalar(uint32_t insn, uint64_t address, uint64_t bytes, const void* return_address) {
  const InsnRow& row = RowOf(insn);
  if (!observed_ && launch_->filter() == nullptr) {
    // Accesses of GM are left to the host: wild ones hit a guard page.
    if (row.args[0].space == Space::kGm) return address;
    Scratchpad& ub = scratchpad(Space::kUb);
    if (address < ub.bytes && bytes <= ub.bytes - address) {
      if (insn == VNPU_INSN_scalar_store_ub && address + bytes > ub.dirty) {
        ub.dirty = static_cast<uint32_t>(address + bytes);
      }
      return reinterpret_cast<uint64_t>(ub.data + address);
    }
  }
  const int64_t args[] = {static_cast<int64_t>(address), static_cast<int64_t>(bytes)};
  Issue(insn, VNPU_T_none, args, return_address);
  return row.args[0].space == Space::kGm
             ? address
             : reinterpret_cast<uint64_t>(scratchpad(Space::kUb).data + address);
}

bool Core::Execute(const Instruction& in) {
  if (in.insn == VNPU_INSN_wait_flag) {
    if (!TryWait(in)) return false;
  } else {
    Exec exec(*this, in);
    RowOf(in.insn).handler(exec);
  }
  if (observed_) {
    for (Observer* observer : launch_->observers()) observer->OnRetire(id(), in);
  }
  return true;
}

void Core::Enqueue(const Instruction& in) {
  auto& queue = queues_[static_cast<int>(in.pipe)];
  queue.emplace_back();
  Queued& entry = queue.back();
  entry.in = in;
  std::memcpy(entry.args, in.args, RowOf(in.insn).num_args * sizeof(int64_t));
  entry.spr = *in.spr;
  entry.in.args = entry.args;  // a deque never moves its elements at push_back, pop_front
  entry.in.spr = &entry.spr;
}

// Runs what the flags set so far have unblocked.
void Core::Settle() {
  while (woken_ != 0) {
    const int pipe = __builtin_ctz(woken_);
    woken_ &= woken_ - 1;
    auto& queue = queues_[pipe];
    while (!queue.empty() && Execute(queue.front().in)) queue.pop_front();
  }
}

void Core::BarrierAll(const Instruction& in) {
  for (const auto& queue : queues_) {
    if (!queue.empty()) Stick(&in);
  }
  Execute(in);
}

// ---- observers, memory

void Core::Signal(const Instruction& in, const SyncEvent& event) {
  if (!observed_) return;
  for (Observer* observer : launch_->observers()) observer->OnSignal(id(), in, event);
}

void Core::Observe(const Instruction& in, const Access& access) {
  for (Observer* observer : launch_->observers()) {
    std::string finding;
    observer->OnAccess(id(), in, access, &finding);
    if (!finding.empty()) Fail(FaultKind::kException, &in, finding);
  }
}

void Core::CheckGm(const Instruction& in, int operand, uint64_t begin, uint64_t end, bool write) {
  const GlobalMemory& gm = launch_->gm();
  const uint64_t generation = gm.generation();
  if (generation != gm_generation_) {
    gm_generation_ = generation;
    for (Allocation& hit : gm_hits_) hit = Allocation{};
  }
  for (const Allocation& hit : gm_hits_) {
    if (begin >= hit.begin && end <= hit.limit()) return;
  }
  Allocation found;
  if (!gm.Find(begin, &found) || end > found.limit()) {
    const InsnRow& row = RowOf(in.insn);
    Fail(FaultKind::kException, &in,
         "out of bounds: " + std::string(row.name) + (write ? " writes " : " reads ") +
             std::to_string(end - begin) + " bytes of GM at " + gm.Describe(begin) + " (operand " +
             row.args[operand].name + ")");
  }
  gm_hits_[gm_next_hit_] = found;
  gm_next_hit_ = (gm_next_hit_ + 1) % kGmHits;
}

}  // namespace vnpu
