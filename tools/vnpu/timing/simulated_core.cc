// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/simulated_core.h"

#include <algorithm>
#include <cmath>

namespace vnpu {

SimulatedCore::SimulatedCore(uint32_t index, const CoreRecording& recording, SharedParts* shared)
    : index_(index),
      recording_(recording),
      shared_(*shared),
      flags_(kNumPipes * kNumPipes * kEventsPerPipePair),
      signals_(kCrossCoreFlags),
      cache_(shared->parameters) {
  for (int pipe = 0; pipe < kNumPipes; ++pipe) {
    pipes_[pipe].lane = shared_.out.LaneOf(index, static_cast<Pipe>(pipe));
  }
}

int64_t SimulatedCore::Picoseconds(double cycles) const {
  return std::llround(shared_.parameters.cycles_to_ps(cycles));
}

void SimulatedCore::Begin(int64_t time) {
  time_ = time;
  for (PipeState& pipe : pipes_) {
    pipe.free_at = pipe.results_at = time;
    if (pipe.lane != UINT32_MAX) {
      shared_.out.AddWait(pipe.lane, time, WaitCause::kLaunch, 0, pipe.lane);
    }
  }
  shared_.events.Wake(Agent(0), time);
}

void SimulatedCore::Wake(uint32_t pipe, int64_t now) {
  if (pipe == 0) {
    RunScalar(now);
  } else {
    RunPipe(pipe, now);
  }
}

const Op* SimulatedCore::stuck_at() const {
  if (next_ < recording_.ops.size()) return &recording_.ops[next_];
  for (const PipeState& pipe : pipes_) {
    if (!pipe.queue.empty()) return &OpAt(pipe.queue.front().op);
  }
  return nullptr;
}

// ---- flags

void SimulatedCore::SetFlag(const Op& op, int64_t time) {
  const int index = FlagIndex(op);
  const int64_t at = time + Picoseconds(shared_.parameters.flag_cycles);
  flags_[index].push_back(Token{time, at, pipes_[op.figure[0]].lane, false});
  PipeState& waiting = pipes_[op.figure[1]];
  if (waiting.waits_for != index) return;
  waiting.waits_for = -1;
  shared_.events.Wake(Agent(op.figure[1]), op.figure[1] == 0 ? std::max(at, time_) : at);
}

void SimulatedCore::AddArrow(const Token& token, int64_t end, uint32_t to, const Op& op,
                             bool cross_core) {
  const uint32_t id = cross_core ? op.figure[0] : op.figure[2];
  shared_.out.AddArrow(Arrow{token.set, end, token.lane, to, id, cross_core ? 1u : 0u});
}

// ---- pipes

void SimulatedCore::RunPipe(uint32_t number, int64_t now) {
  PipeState& pipe = pipes_[number];
  while (!pipe.flowing && pipe.waits_for < 0 && !pipe.queue.empty()) {
    const Pending pending = pipe.queue.front();
    const int64_t start = std::max(pipe.free_at, pending.issued);
    if (start > now) {
      shared_.events.Wake(Agent(number), start);
      return;
    }
    const Op& op = OpAt(pending.op);
    shared_.out.AddWait(pipe.lane, pending.issued, WaitCause::kIssue, op.site, ScalarLane());
    if (StepPipe(number, pending, now) == Progress::kLater) return;
    pipe.queue.pop_front();
    Popped(number, now);
  }
  CheckIdle(now);
}

SimulatedCore::Progress SimulatedCore::StepPipe(uint32_t number, const Pending& pending,
                                                int64_t now) {
  PipeState& pipe = pipes_[number];
  const Op& op = OpAt(pending.op);
  switch (op.kind) {
    case OpKind::kSetFlag:
      SetFlag(op, std::max(now, pipe.results_at));
      return Progress::kDone;
    case OpKind::kWaitFlag:
      return TakeFlag(number, op, now);
    case OpKind::kPipeBarrier:
      if (pipe.results_at > now) {
        shared_.events.Wake(Agent(number), pipe.results_at);
        return Progress::kLater;
      }
      shared_.out.AddWait(pipe.lane, now, WaitCause::kBarrier, op.site, pipe.lane);
      return Progress::kDone;
    case OpKind::kSignal:
      Signal(number, op, now);
      return Progress::kDone;
    default:
      if (IsTransfer(op.kind)) {
        Transfer(number, pending.op, now);
      } else {
        Execute(&pipe, op, now);
      }
      return Progress::kDone;
  }
}

void SimulatedCore::Execute(PipeState* pipe, const Op& op, int64_t now) {
  const LocalCost cost = LocalCostOf(op, shared_.parameters);
  pipe->free_at = now + Picoseconds(cost.busy);
  const int64_t done = now + std::max(Picoseconds(cost.done), Picoseconds(cost.busy));
  pipe->results_at = std::max(pipe->results_at, done);
  shared_.out.AddSpan(pipe->lane, pipe->free_at, done, op, 0);
  if (op.kind == OpKind::kMad) {
    shared_.out.timeline().mad_flops += 2.0 * op.figure[0] * op.figure[1] * op.figure[2];
  }
}

void SimulatedCore::Transfer(uint32_t number, uint32_t at, int64_t now) {
  PipeState& pipe = pipes_[number];
  const Op& op = OpAt(at);
  pipe.transfer =
      TransferCostOf(op, recording_.gm.data() + op.gm_first, shared_.parameters, &shared_.l2);
  if (pipe.transfer.bytes == 0) return;  // nothing to move
  pipe.transfer_begin = now;
  pipe.transfer_op = at;
  pipe.flowing = true;
  shared_.events.BeginFlow(Agent(number), now + Picoseconds(pipe.transfer.setup));
  Timeline& totals = shared_.out.timeline();
  totals.hbm_bytes += pipe.transfer.hbm_bytes;
  if (op.kind == OpKind::kUbToGm || op.kind == OpKind::kL1ToGm || op.kind == OpKind::kFixpipeToGm) {
    totals.gm_write_bytes += pipe.transfer.bytes;
  } else {
    totals.gm_read_bytes += pipe.transfer.bytes;
    totals.l2_hit_bytes += pipe.transfer.hit_bytes;
  }
}

void SimulatedCore::BeginFlow(uint32_t number, int64_t now) {
  shared_.flows.Begin(now, pipes_[number].transfer.flow, Agent(number));
}

void SimulatedCore::EndFlow(uint32_t number, int64_t now, const FlowEnd& flow) {
  PipeState& pipe = pipes_[number];
  const Op& op = OpAt(pipe.transfer_op);
  const int64_t earliest = pipe.transfer_begin + Picoseconds(pipe.transfer.floor);
  const int64_t done = std::max(now + Picoseconds(pipe.transfer.tail), earliest);
  pipe.flowing = false;
  pipe.free_at = now;
  pipe.results_at = std::max(pipe.results_at, done);
  const int64_t l2 = std::min(flow.l2_ps, now - pipe.transfer_begin);
  const int64_t hbm = std::min(flow.hbm_ps, now - pipe.transfer_begin - l2);
  shared_.out.AddSpan(pipe.lane, now - hbm - l2, done, op, pipe.transfer.bytes);
  shared_.out.AddWait(pipe.lane, now - l2, WaitCause::kHbm, op.site, pipe.lane);
  shared_.out.AddWait(pipe.lane, now, WaitCause::kL2, op.site, pipe.lane);
  RunPipe(number, now);
}

SimulatedCore::Progress SimulatedCore::TakeFlag(uint32_t number, const Op& op, int64_t now) {
  PipeState& pipe = pipes_[number];
  Fifo<Token>& tokens = flags_[FlagIndex(op)];
  if (tokens.empty()) {
    pipe.waits_for = FlagIndex(op);
    return Progress::kLater;
  }
  const Token token = tokens.front();
  if (token.at > now) {
    shared_.events.Wake(Agent(number), token.at);
    return Progress::kLater;
  }
  tokens.pop_front();
  shared_.out.AddWait(pipe.lane, now, WaitCause::kFlag, op.site, token.lane);
  AddArrow(token, now, pipe.lane, op, false);
  return Progress::kDone;
}

void SimulatedCore::Signal(uint32_t number, const Op& op, int64_t now) {
  const PipeState& pipe = pipes_[number];
  const Arrival arrival{std::max(now, pipe.results_at), pipe.lane};
  shared_.board.Arrive(index_, op.figure[0], op.figure[1], arrival, &shared_.handovers);
}

// A queue has room again.
void SimulatedCore::Popped(uint32_t number, int64_t now) {
  if (full_pipe_ != static_cast<int>(number)) return;
  full_pipe_ = -1;
  StandStill(now, WaitCause::kQueueFull, recording_.ops[next_], pipes_[number].lane);
  shared_.events.Wake(Agent(0), time_);
}

void SimulatedCore::CheckIdle(int64_t now) {
  if (!drains_ && !issued_all_) return;
  for (int number = 1; number < kNumPipes; ++number) {
    if (!pipes_[number].idle()) return;
  }
  if (drains_) {
    drains_ = false;
    shared_.events.Wake(Agent(0), std::max(now, time_));
    return;
  }
  if (finished_) return;
  finished_ = true;
  end_ = time_;
  for (const PipeState& pipe : pipes_) {
    end_ = std::max({end_, pipe.free_at, pipe.results_at});
  }
  shared_.out.EndCore(index_, end_);
}

}  // namespace vnpu
