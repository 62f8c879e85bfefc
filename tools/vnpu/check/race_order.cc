// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_order.h"

#include <algorithm>
#include <cstring>

namespace vnpu {
namespace race {

CoreOrder::CoreOrder(const CoreId& core) : id(core) {
  versions_.push_back(Version{Clock{}, stamp_, 0});
  std::memset(flag_slot_, -1, sizeof(flag_slot_));
}

void CoreOrder::OnIssue(const Instruction& in) {
  PipeState& pipe = pipes_[static_cast<int>(in.pipe)];
  pipe.pending.push_back(
      PipeState::Issue{in.sequence, first_version_ + versions_.size() - 1, loads});
  ++versions_.back().pending;
  loads_told = loads;
}

PipeState& CoreOrder::Start(const Instruction& in) {
  PipeState& pipe = pipes_[static_cast<int>(in.pipe)];
  if (pipe.current == in.sequence) return pipe;
  pipe.current = in.sequence;
  pipe.counted = false;
  while (!pipe.pending.empty() && pipe.pending.front().sequence <= in.sequence) {
    const PipeState::Issue issue = pipe.pending.front();
    pipe.pending.pop_front();
    Version& version = versions_[issue.snapshot - first_version_];
    --version.pending;
    if (issue.sequence < in.sequence) continue;
    if (version.stamp > pipe.joined) {
      Join(&pipe.before, version.clock);
      pipe.joined = version.stamp;
    }
    int32_t& known_loads = pipe.before.own.at[Unit(kScalarLoad)];
    known_loads = std::max(known_loads, issue.loads);
  }
  while (versions_.size() > 1 && versions_.front().pending == 0) {
    versions_.pop_front();
    ++first_version_;
  }
  return pipe;
}

Clock& CoreOrder::ChangeScalar() {
  if (versions_.back().pending != 0) {
    versions_.push_back(Version{versions_.back().clock, 0, 0});
  }
  versions_.back().stamp = ++stamp_;
  return versions_.back().clock;
}

void CoreOrder::LearnScalar(const Clock& clock) {
  if (Holds(scalar(), clock) && HoldsWaits(scalar().own, clock.own)) return;
  Join(&ChangeScalar(), clock);
}

void CoreOrder::LearnScalar(int unit, int32_t index) {
  if (scalar().own.at[Unit(unit)] < index) ChangeScalar().own.at[Unit(unit)] = index;
}

Clock CoreOrder::ScalarToken(bool stores) const {
  Clock token = scalar();
  token.own.at[Unit(kScalarLoad)] = loads;
  loads_told = loads;
  if (stores) {
    token.own.at[Unit(kScalarStoreGm)] = stores_gm;
    token.own.at[Unit(kScalarStoreUb)] = stores_ub;
  }
  return token;
}

Clock CoreOrder::PipeToken(Pipe p) const {
  const PipeState& pipe = pipes_[static_cast<int>(p)];
  Clock token = pipe.before;
  token.own.at[Unit(static_cast<int>(p))] = pipe.started;
  token.own.waits[WaitsOf(id.role, p)] = pipe.waits;
  return token;
}

BlockClock CoreOrder::KnownToAll() const {
  BlockClock all = scalar().own;
  all.at[Unit(kScalarLoad)] = loads;
  for (int p = 1; p < kNumPipes; ++p) {
    const PipeState& pipe = pipes_[p];
    // Without a queue the next instruction starts with the present scalar clock.
    BlockClock known = pipe.before.own;
    if (pipe.pending.empty()) {
      Join(&known, scalar().own);
      known.at[Unit(kScalarLoad)] = loads;
    }
    for (int i = 0; i < kUnitsPerBlock; ++i) all.at[i] = std::min(all.at[i], known.at[i]);
  }
  return all;
}

bool CoreOrder::AllDrained() const {
  Clock all = ScalarToken(true);
  all.own.at[Unit(kScalarLoad)] = 0;
  for (int p = 1; p < kNumPipes; ++p) {
    if (!Holds(scalar(), PipeToken(static_cast<Pipe>(p)))) return false;
  }
  return Holds(scalar(), all);
}

void CoreOrder::DrainAll() {
  const Clock mine = ScalarToken(true);
  Clock& clock = ChangeScalar();
  Join(&clock, mine);
  for (int p = 1; p < kNumPipes; ++p) Join(&clock, PipeToken(static_cast<Pipe>(p)));
}

void CoreOrder::Fence() {
  LearnScalar(kScalarStoreGm, stores_gm);
  LearnScalar(kFencedScalar, stores_gm);
  for (const Pipe p : {Pipe::kMte3, Pipe::kFix}) {
    const int unit = static_cast<int>(p);
    const int32_t behind_barrier = pipe(p).before.own.at[Unit(unit)];
    LearnScalar(FencedUnit(unit), std::max(scalar().own.at[Unit(unit)], behind_barrier));
  }
}

FlagToken& CoreOrder::flag(const SyncEvent& event) {
  int16_t& slot =
      flag_slot_[static_cast<int>(event.src)][static_cast<int>(event.dst)][event.id % 8];
  if (slot < 0) {
    slot = static_cast<int16_t>(flags_.size());
    flags_.emplace_back();
  }
  return flags_[static_cast<size_t>(slot)];
}

void Order::Begin(uint32_t num_blocks, uint32_t aivs_per_block) {
  num_blocks_ = num_blocks;
  aivs_ = aivs_per_block;
  cores_.clear();
  cores_.resize(size_t{num_blocks} * kCoresPerBlock);
  pairs_.clear();
  for (auto& kind : barriers_) {
    for (Barriers& barriers : kind) barriers = Barriers{};
  }
}

CoreOrder& Order::core(const CoreId& id) {
  auto& core = cores_[size_t{id.block} * kCoresPerBlock + static_cast<size_t>(id.role)];
  if (core == nullptr) core = std::make_unique<CoreOrder>(id);
  return *core;
}

void Order::Count(CoreOrder& core, const Instruction& in, bool redundant) {
  SyncUse& use = use_[in.return_address];
  use.insn = in.insn;
  ++use.executions;
  use.redundant += redundant ? 1 : 0;
  core.trailing.push_back(in.return_address);
}

// A set is redundant when the wait for it was.
void Order::CountSet(const Place& place, bool redundant) {
  SyncUse& use = use_[place.return_address];
  use.insn = place.insn;
  ++use.executions;
  use.redundant += redundant ? 1 : 0;
}

void Order::OnCoreEnd(const CoreId& id) {
  CoreOrder& state = core(id);
  for (const void* place : state.trailing) ++use_[place].trailing;
  cores_[size_t{id.block} * kCoresPerBlock + static_cast<size_t>(id.role)] = nullptr;
}

void Order::OnSignal(const CoreId& id, const Instruction& in, const SyncEvent& event) {
  CoreOrder& state = core(id);
  switch (event.kind) {
    case SyncKind::kFlag:
      return FlagSet(state, in, event);
    case SyncKind::kPipeBarrier:
      if (event.src == Pipe::kAll) {
        Count(state, in, state.AllDrained());
        state.DrainAll();
      } else {
        PipeState& pipe = state.Start(in);
        int32_t& own = pipe.before.own.at[state.Unit(static_cast<int>(event.src))];
        Count(state, in, own == pipe.started);
        own = pipe.started;
      }
      return;
    case SyncKind::kCrossCore:
      state.trailing.clear();
      CrossCoreSet(state, in, event);
      return;
    case SyncKind::kDataBarrier: {
      constexpr int kDsbAll = 0, kDsbDdr = 1, kDsbUb = 2;
      const Clock was = state.scalar();
      if (event.id == kDsbAll || event.id == kDsbUb) {
        state.LearnScalar(kScalarStoreUb, state.stores_ub);
      }
      if (event.id == kDsbAll || event.id == kDsbDdr) state.Fence();
      Count(state, in, Holds(was, state.scalar()));
      return;
    }
    case SyncKind::kCacheClean:
      return;  // race_cache.h
  }
}

void Order::FlagSet(CoreOrder& core, const Instruction& in, const SyncEvent& event) {
  const bool by_scalar = event.src == Pipe::kS;
  const BlockClock& knows = by_scalar ? core.scalar().own : core.Start(in).before.own;
  FlagToken& token = core.flag(event);
  const Place place{core.id, event.src, in.insn, in.sequence, in.return_address};
  if (knows.waits[WaitsOf(core.id.role, event.dst)] < token.wait) {
    set_again_.push_back(FlagSetAgain{event, token.wait_place, place});
  }
  token.set = true;
  token.clock = by_scalar ? core.ScalarToken(true) : core.PipeToken(event.src);
  token.place = place;
}

void Order::OnWait(const CoreId& id, const Instruction& in, const SyncEvent& event) {
  CoreOrder& state = core(id);
  if (event.kind == SyncKind::kCrossCore) return CrossCoreWait(state, in, event.id);
  FlagToken& token = state.flag(event);
  if (!token.set) return;
  token.set = false;
  bool redundant;
  if (event.dst == Pipe::kS) {
    Clock knows = state.ScalarToken(false);
    redundant = Holds(knows, token.clock);
    state.LearnScalar(token.clock);
  } else {
    PipeState& pipe = state.Start(in);
    redundant = Holds(pipe.before, token.clock);
    if (!redundant || !HoldsWaits(pipe.before.own, token.clock.own)) {
      Join(&pipe.before, token.clock);
    }
    token.wait = ++pipe.waits;
    token.wait_place = Place{id, event.dst, in.insn, in.sequence, in.return_address};
  }
  state.last_flag(event.src, event.dst) = LastFlag{true, event.id, token.place.sequence};
  Count(state, in, redundant);
  CountSet(token.place, redundant);
}

void Order::CrossCoreSet(CoreOrder& core, const Instruction& in, const SyncEvent& event) {
  core.Start(in);
  const Place place{core.id, in.pipe, in.insn, in.sequence, in.return_address};
  if (event.mode == 0) return ArriveAll(core, event, core.PipeToken(in.pipe), place);
  auto signal = std::make_shared<Signal>();
  signal->clock = core.PipeToken(in.pipe);
  signal->places.push_back(place);
  signal->flag = event.id;
  signal->mode = event.mode;
  if (core.id.role != CoreRole::kAic) return ArrivePair(core, event, std::move(signal));
  for (const CoreRole role : {CoreRole::kAiv0, CoreRole::kAiv1}) {
    this->core(CoreId{core.id.block, role}).signals[event.id].push_back(signal);
  }
}

void Order::ArrivePair(CoreOrder& core, const SyncEvent& event, SignalRef signal) {
  Pair& pair = pairs_[{core.id.block, event.mode * static_cast<int>(kCrossCoreFlags) + event.id}];
  pair.arrived[core.id.role == CoreRole::kAiv1 ? 1 : 0].push_back(std::move(signal));
  if (pair.arrived[0].empty() || pair.arrived[1].empty()) return;
  auto both = std::make_shared<Signal>(*pair.arrived[0].front());
  Join(&both->clock, pair.arrived[1].front()->clock);
  both->places.push_back(pair.arrived[1].front()->places[0]);
  for (auto& arrived : pair.arrived) arrived.pop_front();
  const uint32_t block = core.id.block;
  if (event.mode == 2) {
    this->core(CoreId{block, CoreRole::kAic}).signals[event.id].push_back(both);
    return;
  }
  for (const CoreRole role : {CoreRole::kAiv0, CoreRole::kAiv1}) {
    this->core(CoreId{block, role}).signals[event.id].push_back(both);
  }
}

void Order::ArriveAll(CoreOrder& core, const SyncEvent& event, Clock clock, const Place& place) {
  const bool is_aic = core.id.role == CoreRole::kAic;
  const uint32_t per_block = is_aic ? 1 : aivs_;
  Barriers& barriers = barriers_[is_aic][event.id];
  barriers.arrivals.resize(size_t{num_blocks_} * per_block);
  const uint32_t index = core.id.block * per_block + (core.id.role == CoreRole::kAiv1 ? 1 : 0);
  const uint64_t number = barriers.arrivals[index]++;
  if (number >= barriers.all.size()) {
    barriers.all.emplace_back();
    barriers.all.back().clocks = std::make_shared<OtherBlocks>(num_blocks_);
    barriers.all.back().flag = event.id;
  }
  Barrier& barrier = barriers.all[number];
  if (clock.others != nullptr) {
    for (uint32_t b = 0; b < num_blocks_; ++b) Join(&(*barrier.clocks)[b], (*clock.others)[b]);
  }
  Join(&(*barrier.clocks)[core.id.block], clock.own);
  barrier.places.push_back(place);
  ++barrier.arrived;
}

// Counters before barriers, as the machine does.
SignalRef Order::TakeSignal(CoreOrder& core, int flag) {
  auto& queue = core.signals[flag];
  if (!queue.empty()) {
    SignalRef front = queue.front();
    queue.pop_front();
    return front;
  }
  Barriers& barriers = barriers_[core.id.role == CoreRole::kAic][flag];
  const uint64_t number = core.barriers_taken[flag]++;
  if (number >= barriers.all.size()) return nullptr;
  const Barrier& barrier = barriers.all[number];
  auto signal = std::make_shared<Signal>();
  signal->clock.own = (*barrier.clocks)[core.id.block];
  if (num_blocks_ > 1) signal->clock.others = barrier.clocks;
  signal->places = barrier.places;
  signal->flag = barrier.flag;
  return signal;
}

void Order::CrossCoreWait(CoreOrder& core, const Instruction& in, int flag) {
  const SignalRef signal = TakeSignal(core, flag);
  if (signal == nullptr) return;
  const bool redundant = Holds(core.ScalarToken(false), signal->clock);
  core.LearnScalar(signal->clock);
  Count(core, in, redundant);
  for (const Place& place : signal->places) CountSet(place, redundant);
  auto& taken = core.taken;
  taken.erase(std::remove_if(taken.begin(), taken.end(),
                             [&](const SignalRef& old) { return old->flag == signal->flag; }),
              taken.end());
  taken.push_back(signal);
}

}  // namespace race
}  // namespace vnpu
