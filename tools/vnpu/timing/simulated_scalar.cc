// SPDX-License-Identifier: Apache-2.0
// The scalar unit of a simulated core: issue, scalar waits, loads and stores.
#include <algorithm>
#include <cmath>

#include "tools/vnpu/timing/simulated_core.h"

namespace vnpu {

void SimulatedCore::Spend(const Op& op, int64_t ps) {
  time_ += ps;
  shared_.out.AddSpan(ScalarLane(), time_, time_, op, 0);
}

void SimulatedCore::StandStill(int64_t time, WaitCause cause, const Op& op, uint32_t from) {
  if (time <= time_) return;
  time_ = time;
  shared_.out.AddWait(ScalarLane(), time, cause, op.site, from);
}

// The scalar unit runs ahead of the simulation as far as nothing that happens
// meanwhile can matter to it.
void SimulatedCore::RunScalar(int64_t now) {
  while (next_ < recording_.ops.size()) {
    if (StepScalar(recording_.ops[next_], now) == Progress::kLater) return;
    ++next_;
  }
  issued_all_ = true;
  CheckIdle(now);
}

SimulatedCore::Progress SimulatedCore::StepScalar(const Op& op, int64_t now) {
  if (op.pipe == Pipe::kAll) return DrainAll(op, now);
  if (op.pipe != Pipe::kS) return Enqueue(op, now);
  const Parameters& p = shared_.parameters;
  switch (op.kind) {
    case OpKind::kWaitSignal:
      return WaitForSignal(op);
    case OpKind::kWaitFlag:
      return WaitForFlag(op);
    case OpKind::kScalarLoad:
    case OpKind::kLoadDevice:
      return LoadGm(op, now);
    case OpKind::kSetFlag:
      Spend(op, Picoseconds(p.issue_cycles));
      SetFlag(op, time_);
      return Progress::kDone;
    case OpKind::kScalarStore:
      StoreGm(op);
      return Progress::kDone;
    case OpKind::kStoreDevice:
      Spend(op, std::llround(p.gm_store_ns * 1000));
      return Progress::kDone;
    case OpKind::kScalarUb:
      Spend(op, Picoseconds(p.scalar_ub_cycles));
      return Progress::kDone;
    case OpKind::kSystemCount:
      Spend(op, std::llround(p.sys_cnt_ns * 1000));
      return Progress::kDone;
    case OpKind::kCacheClean:
      CleanCache(op);
      return Progress::kDone;
    case OpKind::kDataBarrier:
      Spend(op, Picoseconds(p.dsb_cycles));
      return Progress::kDone;
    default:
      Spend(op, Picoseconds(p.issue_cycles));
      return Progress::kDone;
  }
}

SimulatedCore::Progress SimulatedCore::Enqueue(const Op& op, int64_t now) {
  const int number = static_cast<int>(op.pipe);
  PipeState& pipe = pipes_[number];
  if (pipe.queue.size() >= static_cast<size_t>(shared_.parameters.queue_depth)) {
    // Whether there will be room at time_ is not known before then.
    if (time_ > now) {
      shared_.events.Wake(Agent(0), time_);
    } else {
      full_pipe_ = number;
    }
    return Progress::kLater;
  }
  Spend(op, Picoseconds(shared_.parameters.issue_cycles));
  pipe.queue.push_back(Pending{next_, time_});
  if (pipe.queue.size() == 1 && !pipe.flowing) {
    shared_.events.Wake(Agent(number), std::max(time_, pipe.free_at));
  }
  return Progress::kDone;
}

SimulatedCore::Progress SimulatedCore::WaitForFlag(const Op& op) {
  Fifo<Token>& tokens = flags_[FlagIndex(op)];
  if (tokens.empty()) {
    pipes_[0].waits_for = FlagIndex(op);
    return Progress::kLater;
  }
  const Token token = tokens.front();
  tokens.pop_front();
  StandStill(token.at, WaitCause::kFlag, op, token.lane);
  AddArrow(token, time_, ScalarLane(), op, false);
  Spend(op, Picoseconds(shared_.parameters.issue_cycles));
  return Progress::kDone;
}

SimulatedCore::Progress SimulatedCore::WaitForSignal(const Op& op) {
  Fifo<Token>& tokens = signals_[op.figure[0]];
  if (tokens.empty()) return Progress::kLater;
  const Token token = tokens.front();
  tokens.pop_front();
  StandStill(token.at, token.all ? WaitCause::kBarrier : WaitCause::kCrossCore, op, token.lane);
  AddArrow(token, time_, ScalarLane(), op, true);
  Spend(op, Picoseconds(shared_.parameters.issue_cycles));
  return Progress::kDone;
}

SimulatedCore::Progress SimulatedCore::DrainAll(const Op& op, int64_t now) {
  int64_t until = std::max(time_, now);
  uint32_t from = ScalarLane();
  for (int number = 1; number < kNumPipes; ++number) {
    const PipeState& pipe = pipes_[number];
    if (!pipe.idle()) {
      drains_ = true;
      return Progress::kLater;
    }
    const int64_t end = std::max(pipe.free_at, pipe.results_at);
    if (end > until) {
      until = end;
      from = pipe.lane;
    }
  }
  StandStill(until, WaitCause::kBarrier, op, from);
  Spend(op, Picoseconds(shared_.parameters.issue_cycles));
  return Progress::kDone;
}

// What L2 holds at that time decides: the simulation must have come to it.
SimulatedCore::Progress SimulatedCore::LoadGm(const Op& op, int64_t now) {
  if (time_ > now) {
    shared_.events.Wake(Agent(0), time_);
    return Progress::kLater;
  }
  const Parameters& p = shared_.parameters;
  Spend(op, Picoseconds(p.dcache_hit_cycles));
  Timeline& totals = shared_.out.timeline();
  for (uint32_t i = 0; i < op.gm_count; ++i) {
    const GmRuns& gm = recording_.gm[op.gm_first + i];
    const uint64_t last = cache_.LineOf(gm.base + gm.run - 1);
    for (uint64_t line = cache_.LineOf(gm.base); line <= last; ++line) {
      if (op.kind == OpKind::kScalarLoad && cache_.Touch(line)) continue;
      L2Touch touch;
      shared_.l2.Access(line * cache_.line_bytes(), cache_.line_bytes(), false, &touch);
      totals.hbm_bytes += touch.miss_bytes + touch.evicted_bytes;
      const double ns = touch.miss_bytes > 0 ? p.gm_load_hbm_ns : p.gm_load_l2_ns;
      StandStill(time_ + std::llround(ns * 1000), WaitCause::kScalarGm, op, ScalarLane());
    }
    totals.gm_read_bytes += gm.run;
  }
  return Progress::kDone;
}

void SimulatedCore::StoreGm(const Op& op) {
  Spend(op, Picoseconds(shared_.parameters.dcache_hit_cycles));
  for (uint32_t i = 0; i < op.gm_count; ++i) {
    const GmRuns& gm = recording_.gm[op.gm_first + i];
    const uint64_t last = cache_.LineOf(gm.base + gm.run - 1);
    for (uint64_t line = cache_.LineOf(gm.base); line <= last; ++line) cache_.Touch(line);
    shared_.out.timeline().gm_write_bytes += gm.run;
  }
}

void SimulatedCore::CleanCache(const Op& op) {
  if (op.figure[0] != 0) {
    cache_.Clear();
  } else if (op.gm_count > 0) {
    cache_.Drop(cache_.LineOf(recording_.gm[op.gm_first].base));
  }
  Spend(op, Picoseconds(shared_.parameters.dcci_cycles));
}

void SimulatedCore::Take(const Handover& handover, int64_t at) {
  signals_[handover.flag].push_back(
      Token{handover.last.time, at, handover.last.lane, handover.all});
  if (next_ >= recording_.ops.size()) return;
  const Op& op = recording_.ops[next_];
  if (op.kind == OpKind::kWaitSignal && op.figure[0] == handover.flag) {
    shared_.events.Wake(Agent(0), std::max(at, time_));
  }
}

}  // namespace vnpu
