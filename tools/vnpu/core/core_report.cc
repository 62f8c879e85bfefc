// SPDX-License-Identifier: Apache-2.0
// How a core puts faults and waits into words.
#include <algorithm>
#include <cstdio>

#include "tools/vnpu/core/block.h"
#include "tools/vnpu/core/core.h"
#include "tools/vnpu/core/host_signals.h"
#include "tools/vnpu/core/launch.h"

namespace vnpu {
namespace {

std::string DescribeGm(uint64_t address, const void* gm) {
  return "GM[" + static_cast<const GlobalMemory*>(gm)->Describe(address) + "]";
}

std::string FlagName(int src, int dst, int event) {
  return std::string(PipeName(static_cast<Pipe>(src))) + "->" + PipeName(static_cast<Pipe>(dst)) +
         " EVENT_ID" + std::to_string(event);
}

}  // namespace

std::string Core::Context(const Instruction* in) const {
  std::string text = "  kernel " + launch_->kernel().name + ", block " +
                     std::to_string(block_idx_) + " of " + std::to_string(launch_->num_blocks()) +
                     ", " + RoleName(role_);
  if (in == nullptr) return text + "\n";
  const InsnRow& row = RowOf(in->insn);
  text += ", pipe " + std::string(PipeName(in->pipe)) + ", instruction " +
          std::to_string(in->sequence) + "\n";
  text += "  " + std::string(row.name) + "(" + FormatArgs(*in, &DescribeGm, &launch_->gm()) + ")\n";
  return text + launch_->kernel().calls->Describe(in->return_address);
}

void Core::AddFault(FaultKind kind, const std::string& headline, const Instruction* in,
                    const std::string& fix) {
  const std::string last = fix.empty() ? "" : "fix     " + fix + "\n";
  faults_.push_back(FaultReport{kind, headline + "\n" + Context(in) + last});
  for (Observer* observer : launch_->observers()) observer->OnFault(id(), faults_.back().text);
}

void Core::Fail(FaultKind kind, const Instruction* in, const std::string& headline,
                const std::string& fix) {
  AddFault(kind, headline, in, fix);
  state_ = CoreState::kFaulted;
  fiber_.Leave();  // the fiber is abandoned as it is
}

// The scalar program waits for something that only its own later instructions
// could bring about.
void Core::Stick(const Instruction* in) {
  blocked_on_ = in;
  state_ = CoreState::kStuck;
  fiber_.Leave();
}

// One AIV alone has set the flag: modes 1 and 2 need both.
std::string Core::DescribePair(int flag) const {
  const Block::Pair& pair = (is_aic() ? block_->mode2 : block_->mode1)[flag];
  if (pair.arrived[0] == pair.arrived[1]) return "";
  const int ahead = pair.arrived[0] > pair.arrived[1] ? 0 : 1;
  return ": AIV" + std::to_string(ahead) + " has set it, AIV" + std::to_string(1 - ahead) +
         " has not";
}

std::string Core::DescribeWait() const {
  if (state_ == CoreState::kFinished || state_ == CoreState::kFaulted) return "";
  const CallTable& calls = *launch_->kernel().calls;
  const auto waiting_for = [](const Instruction& in) {
    return "flag " + FlagName(in.args[0], in.args[1], in.args[2]) + ", which is not set\n";
  };
  std::string text;
  if (blocked_on_ == nullptr) {
    text = state_ == CoreState::kStuck ? "  has ended with blocked pipes\n" : "  runs or polls\n";
  } else if (blocked_on_->insn == VNPU_INSN_wait_flag_dev) {
    text = "  scalar unit waits in wait_flag_dev for cross-core flag " +
           std::to_string(blocked_on_->args[0]) + ", whose counter is 0" +
           DescribePair(static_cast<int>(blocked_on_->args[0])) + "\n";
  } else if (blocked_on_->insn == VNPU_INSN_wait_flag) {
    text = "  scalar unit waits for " + waiting_for(*blocked_on_);
  } else {
    text = "  scalar unit waits in " + std::string(RowOf(blocked_on_->insn).name) +
           " for the pipes below\n";
  }
  if (blocked_on_ != nullptr) text += calls.Describe(blocked_on_->return_address);
  for (int pipe = 0; pipe < kNumPipes; ++pipe) {
    const auto& queue = queues_[pipe];
    if (queue.empty()) continue;
    text += "  pipe " + std::string(PipeName(static_cast<Pipe>(pipe))) + " waits for " +
            waiting_for(queue.front().in);
    text += calls.Describe(queue.front().in.return_address);
  }
  return text;
}

std::vector<Core::Waiting> Core::Waits() const {
  std::vector<Waiting> waits;
  if (state_ == CoreState::kFinished || state_ == CoreState::kFaulted) return waits;
  if (blocked_on_ != nullptr) waits.push_back(Waiting{Pipe::kS, blocked_on_});
  for (int pipe = 0; pipe < kNumPipes; ++pipe) {
    if (queues_[pipe].empty()) continue;
    waits.push_back(Waiting{static_cast<Pipe>(pipe), &queues_[pipe].front().in});
  }
  return waits;
}

bool Core::QueuesFlag(const Instruction& wait) const {
  for (const Queued& entry : queues_[wait.args[0]]) {
    if (entry.in.insn != VNPU_INSN_set_flag) continue;
    if (std::equal(entry.args, entry.args + 3, wait.args)) return true;
  }
  return false;
}

Pipe Core::QueuesCrossCore(int flag) const {
  for (int pipe = 0; pipe < kNumPipes; ++pipe) {
    for (const Queued& entry : queues_[pipe]) {
      if (entry.in.insn == VNPU_INSN_ffts_cross_core_sync && (entry.args[1] >> 8 & 15) == flag) {
        return static_cast<Pipe>(pipe);
      }
    }
  }
  return Pipe::kAll;
}

std::string Core::LastSet(int flag) const {
  const Setter& setter = counter_setter_[flag];
  if (setter.site == nullptr) return "";
  std::string text = std::string("\n  set last by ") + RoleName(setter.role) + " here\n" +
                     launch_->kernel().calls->Describe(setter.site);
  text.pop_back();
  return text;
}

std::string Core::Leftovers() {
  std::string flags;
  const CallTable& calls = *launch_->kernel().calls;
  for (int src = 0; src < kNumPipes; ++src) {
    for (int dst = 0; dst < kNumPipes; ++dst) {
      for (int event = 0; event < static_cast<int>(kEventsPerPipePair); ++event) {
        if ((flags_[src][dst] >> event & 1) == 0) continue;
        flags += "\n  " + FlagName(src, dst, event) + ", set here and never waited for\n" +
                 calls.Describe(flag_site_[src][dst][event]);
        flags.pop_back();  // the newline
      }
    }
  }
  if (flags.empty()) return "";
  return "leftover flags: set at the end of the kernel, they would leak into the next one" + flags;
}

void Core::DivisionByZero(const void* return_address) {
  in_runtime_ = true;  // not to be left half way when the time is up
  const std::string line = launch_->kernel().calls->Describe(return_address);
  launch_->AddNote(id(), return_address,
                   "integer division by zero in scalar code: hardware goes on with an arbitrary "
                   "quotient, here with all bits set\n" +
                       Context(nullptr) + line);
  in_runtime_ = false;
}

// In a signal handler, on another stack: only notes what happened.
void Core::LeaveOnSignal(int number, const void* address, uint64_t pc) {
  signal_number_ = number;
  signal_address_ = address;
  signal_pc_ = pc;
  fiber_.Leave();
}

std::string Core::TimeoutHeadline() const {
  char limit[32];
  std::snprintf(limit, sizeof(limit), "%g", launch_->config().launch_timeout_seconds);
  return "timeout: the launch has not ended after " + std::string(limit) +
         " s; this core was running";
}

void Core::FailTimeout(const Instruction* in) { Fail(FaultKind::kDeadlock, in, TimeoutHeadline()); }

void Core::ComposeSignalFault() {
  const auto address = reinterpret_cast<uint64_t>(signal_address_);
  std::string headline;
  FaultKind kind = FaultKind::kException;
  if (signal_number_ == kInterruptSignal) {
    kind = FaultKind::kDeadlock;
    headline = TimeoutHeadline();
  } else if (in_runtime_) {
    headline = "internal error: the virtual NPU itself failed with signal " +
               std::to_string(signal_number_);
  } else if (signal_number_ == SIGFPE) {
    headline = "integer division by zero or overflow in scalar code";
  } else if (signal_number_ == SIGILL || signal_number_ == SIGTRAP) {
    headline = "scalar code ran into a compiler trap (undefined behaviour or assert)";
  } else if (fiber_.InGuard(signal_address_)) {
    headline = "stack overflow: the scalar program needs more than " +
               std::to_string(kScalarStackBytes) + " bytes";
  } else if (address < kL1Bytes) {
    headline = "out of bounds: scalar access to GM at address " + std::to_string(address) +
               ", which is null or an on-chip offset";
  } else {
    headline = "out of bounds: scalar access to GM at " + launch_->gm().Describe(address);
  }
  if (!in_runtime_) {
    const std::string line = launch_->kernel().calls->DescribePc(signal_pc_);
    if (!line.empty()) headline += "\n" + line.substr(0, line.size() - 1);
  }
  if (sequence_ > 0) {
    headline += "\n  after instruction " + std::to_string(last_issued_.sequence) + ", " +
                RowOf(last_issued_.insn).name + ", issued\n" +
                launch_->kernel().calls->Describe(last_issued_.return_address);
    headline.pop_back();  // the newline
  }
  signal_number_ = 0;
  state_ = CoreState::kFaulted;
  AddFault(kind, headline, nullptr);
}

}  // namespace vnpu
