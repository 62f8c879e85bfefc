// SPDX-License-Identifier: Apache-2.0
// Flags, barriers and cross-core flags. A flag is one bit per (setting pipe,
// waiting pipe, event); a cross-core flag is a 4-bit counter per core.
//
//   mode  called on   who must arrive        whose counter rises by one
//   0     AIC / AIV   every core of the kind  every core of the kind
//   1     AIV         both AIVs of the block  both AIVs of the block
//   2     AIC         the AIC                 both AIVs of the block
//   2     AIV         both AIVs of the block  the AIC
#include <cstring>

#include "tools/vnpu/core/block.h"
#include "tools/vnpu/core/core.h"
#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/core/launch.h"
#include "tools/vnpu/isa/insns/handlers.h"

namespace vnpu {

void Core::SetFlag(const Instruction& in) {
  const int src = static_cast<int>(in.args[0]);
  const int dst = static_cast<int>(in.args[1]);
  const int event = static_cast<int>(in.args[2]);
  uint8_t& flags = flags_[src][dst];
  if ((flags >> event & 1) != 0) {
    std::string first = launch_->kernel().calls->Describe(flag_site_[src][dst][event]);
    first.pop_back();
    Fail(FaultKind::kException, &in,
         "flag set twice: " + std::string(PipeName(static_cast<Pipe>(src))) + "->" +
             PipeName(static_cast<Pipe>(dst)) + " EVENT_ID" + std::to_string(event) +
             " is one bit, and " + PipeName(static_cast<Pipe>(dst)) +
             " has not waited since it was set here\n" + first,
         std::string("wait_flag between the two sets, or use another event: one event holds one "
                     "slot"));
  }
  flags |= static_cast<uint8_t>(1u << event);
  flag_site_[src][dst][event] = in.return_address;
  Signal(in, SyncEvent{SyncKind::kFlag, static_cast<Pipe>(src), static_cast<Pipe>(dst),
                       static_cast<uint8_t>(event), 0});
  if (!queues_[dst].empty()) woken_ |= 1u << dst;
}

bool Core::TryWait(const Instruction& in) {
  const int src = static_cast<int>(in.args[0]);
  const int dst = static_cast<int>(in.args[1]);
  const int event = static_cast<int>(in.args[2]);
  uint8_t& flags = flags_[src][dst];
  if ((flags >> event & 1) == 0) return false;
  flags &= static_cast<uint8_t>(~(1u << event));
  if (observed_) {
    const SyncEvent waited{SyncKind::kFlag, static_cast<Pipe>(src), static_cast<Pipe>(dst),
                           static_cast<uint8_t>(event), 0};
    for (Observer* observer : launch_->observers()) observer->OnWait(id(), in, waited);
  }
  return true;
}

int Core::CounterValue(int flag) const {
  return counters_[flag] +
         static_cast<int>(launch_->BarriersDone(is_aic(), flag) - barriers_taken_[flag]);
}

bool Core::RaiseCounter(int flag, CoreRole setter, const void* site) {
  if (CounterValue(flag) >= static_cast<int>(kCrossCoreCounterMax)) return false;
  ++counters_[flag];
  counter_setter_[flag] = Setter{setter, site};
  return true;
}

void Core::CrossCoreSet(const Instruction& in) {
  const auto config = static_cast<uint64_t>(in.args[1]);
  const int mode = static_cast<int>(config >> 4 & 3);
  const int flag = static_cast<int>(config >> 8 & 15);
  const std::string name = "cross-core flag " + std::to_string(flag);
  const auto fail = [&](const std::string& headline) {
    Fail(FaultKind::kException, &in, headline);
  };
  if (in.pipe == Pipe::kS) fail("bad argument: ffts_cross_core_sync cannot be queued on pipe S");
  if ((config & ~uint64_t{0xf31}) != 0 || (config & 1) == 0 || mode == 3) {
    fail("bad argument: ffts_cross_core_sync config " + std::to_string(config) +
         " is not 1 | mode << 4 | flag << 8 with mode 0..2, flag 0..15");
  }
  Signal(in, SyncEvent{SyncKind::kCrossCore, in.pipe, in.pipe, static_cast<uint8_t>(flag),
                       static_cast<uint8_t>(mode)});
  if (mode == 0) {
    const uint32_t per_block = is_aic() ? 1 : launch_->aivs_per_block();
    const uint32_t index = block_idx_ * per_block + (role_ == CoreRole::kAiv1 ? 1 : 0);
    const std::string error = launch_->Arrive(is_aic(), index, flag);
    if (!error.empty()) fail(error);
    return;
  }
  const auto raise = [&](Core* core) {
    if (core->RaiseCounter(flag, role_, in.return_address)) return;
    Fail(FaultKind::kException, &in,
         "counter overflow: " + name + " of " + RoleName(core->role()) + " of block " +
             std::to_string(block_idx_) + " already has 15 sets that nobody has waited for",
         "let the receiver signal back (a credit) before the sender is 15 sets ahead");
  };
  const auto fail_shape = [&](const std::string& needs) {
    const std::string what = is_aic() ? "this kernel has no AIV part"
                                      : "this kernel has no AIC part and runs one AIV per block";
    Fail(FaultKind::kException, &in,
         "bad argument: mode " + std::to_string(mode) + " needs " + needs + "; " + what,
         "make it a mix kernel, with cores aic and aiv (an empty half will do): its blocks have "
         "one AIC and two AIVs");
  };
  if (mode == 2 && is_aic()) {
    if (block_->aivs() != 2) fail_shape("AIC and AIV parts");
    raise(block_->aiv(0));
    raise(block_->aiv(1));
    return;
  }
  if (is_aic()) fail("bad argument: mode 1 is for AIVs only");
  if (block_->aivs() != 2) {
    fail_shape(mode == 1 ? "two AIVs per block" : "AIC and AIV parts");
  }
  Block::Pair& pair = (mode == 1 ? block_->mode1 : block_->mode2)[flag];
  ++pair.arrived[role_ == CoreRole::kAiv1 ? 1 : 0];
  if (pair.arrived[0] == 0 || pair.arrived[1] == 0) return;
  --pair.arrived[0];
  --pair.arrived[1];
  if (mode == 2) {
    raise(block_->aic());
  } else {
    raise(block_->aiv(0));
    raise(block_->aiv(1));
  }
}

void Core::CrossCoreWait(const Instruction& in) {
  const int flag = static_cast<int>(in.args[0]);
  blocked_on_ = &in;
  while (CounterValue(flag) == 0) {
    state_ = CoreState::kWaitsCrossCore;
    fiber_.Suspend();
  }
  blocked_on_ = nullptr;
  if (CounterValue(flag) > static_cast<int>(kCrossCoreCounterMax)) {
    Fail(FaultKind::kException, &in,
         "counter overflow: cross-core flag " + std::to_string(flag) + " has " +
             std::to_string(CounterValue(flag)) + " sets that this core has not waited for");
  }
  if (counters_[flag] > 0) {
    --counters_[flag];
  } else {
    ++barriers_taken_[flag];
  }
  if (!observed_) return;
  const SyncEvent waited{SyncKind::kCrossCore, Pipe::kS, Pipe::kS, static_cast<uint8_t>(flag), 0};
  for (Observer* observer : launch_->observers()) observer->OnWait(id(), in, waited);
}

namespace insns {

void SetFlag(Exec& x) { x.core().SetFlag(x.in()); }
void WaitFlag(Exec&) {}  // Core::Execute decides it: the only instruction that can block a pipe

void PipeBarrier(Exec& x) {
  if (x.in().pipe == Pipe::kS) {
    x.Fail("bad argument", "PIPE_S has no barrier: the scalar unit runs in order");
  }
  x.core().Signal(x.in(), SyncEvent{SyncKind::kPipeBarrier, x.in().pipe, x.in().pipe, 0, 0});
}

void CrossCoreSet(Exec& x) { x.core().CrossCoreSet(x.in()); }
void CrossCoreWait(Exec& x) { x.core().CrossCoreWait(x.in()); }

void DataSyncBarrier(Exec& x) {
  x.core().Signal(x.in(), SyncEvent{SyncKind::kDataBarrier, Pipe::kS, Pipe::kS,
                                    static_cast<uint8_t>(x.arg(0)), 0});
  x.core().Yield();
}

// The scalar data cache is not modelled: scalar accesses go to memory. What
// needs a dcci on hardware is for a checker to say, from this signal.
void DataCacheClean(Exec& x) {
  x.core().Signal(x.in(), SyncEvent{SyncKind::kCacheClean, Pipe::kS, Pipe::kS,
                                    static_cast<uint8_t>(x.arg(1)), 0});
  x.core().Yield();
}

// The access itself is the kernel's own, right after this.
void ScalarLoad(Exec& x) { x.Access(0, x.u(0), Runs(x.u(1)), false, 1, nullptr, 0); }
void ScalarStore(Exec& x) { x.Access(0, x.u(0), Runs(x.u(1)), true, 1, nullptr, 0); }

// Their operands are aligned to their size, as for every scalar access.
void LoadDevice(Exec& x) {
  x.core().Yield();
  const uint64_t bytes = x.u(2);
  const auto align = static_cast<uint32_t>(bytes);
  const uint8_t* from = x.Access(0, x.u(0) + x.u(1), Runs(bytes), false, align, nullptr, 0);
  int64_t bits = 0;
  std::memcpy(&bits, from, bytes);
  x.Result(bits);
}

void StoreDevice(Exec& x) {
  const uint64_t bytes = x.u(3);
  const auto align = static_cast<uint32_t>(bytes);
  uint8_t* to = x.Access(1, x.u(1) + x.u(2), Runs(bytes), true, align, nullptr, 0);
  const int64_t bits = x.arg(0);
  std::memcpy(to, &bits, bytes);
  x.core().Yield();
}

}  // namespace insns
}  // namespace vnpu
