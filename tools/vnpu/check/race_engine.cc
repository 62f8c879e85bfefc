// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_engine.h"

#include <algorithm>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace race {
namespace {

bool IsFixpipe(uint16_t insn) {
  return insn == VNPU_INSN_copy_matrix_cc_to_gm || insn == VNPU_INSN_copy_matrix_cc_to_cbuf;
}
bool IsMad(uint16_t insn) { return insn == VNPU_INSN_mad || insn == VNPU_INSN_mad_bias; }

HazardKind KindOf(Relation relation) {
  switch (relation) {
    case Relation::kMissingBarrier:
      return HazardKind::kMissingBarrier;
    case Relation::kUnpublished:
      return HazardKind::kUnpublished;
    case Relation::kUnfenced:
      return HazardKind::kUnfenced;
    case Relation::kLostUpdate:
      return HazardKind::kLostUpdate;
    default:
      return HazardKind::kRace;
  }
}

bool IsHazard(Relation relation) {
  return relation != Relation::kNoConflict && relation != Relation::kOrdered &&
         relation != Relation::kUnitFlag;
}

constexpr const char* kFixRegisterNames[] = {"nd_para", "quant_pre", "fpc"};

}  // namespace

void Engine::Begin(const LaunchInfo& info) {
  info_ = info;
  order.Begin(info.num_blocks, info.aivs_per_block);
  cores_.clear();
  cores_.resize(size_t{info.num_blocks} * kCoresPerBlock);
  gm_.Clear();
  known_.clear();
  set_again_.clear();
  set_again_findings_.clear();
  findings_.clear();
}

void Engine::End() {
  for (auto& data : cores_) {
    if (data == nullptr) continue;
    for (const Deferred& deferred : data->deferred) Report(deferred.hazard);
  }
  if (options_.strict_flags) {
    for (Finding& finding : set_again_findings_) findings_.push_back(std::move(finding));
  }
  for (Finding& finding : findings_) sink_->Report(std::move(finding));
  findings_.clear();
  cores_.clear();
  gm_.Clear();
}

CoreData& Engine::Data(const CoreId& id) {
  auto& data = cores_[size_t{id.block} * kCoresPerBlock + static_cast<size_t>(id.role)];
  if (data != nullptr) return *data;
  if (spare_.empty()) {
    data = std::make_unique<CoreData>();
  } else {
    data = std::move(spare_.back());
    spare_.pop_back();
  }
  return *data;
}

void Engine::EndCore(const CoreId& id) {
  auto& data = cores_[size_t{id.block} * kCoresPerBlock + static_cast<size_t>(id.role)];
  if (data == nullptr) return order.OnCoreEnd(id);
  for (const Deferred& deferred : data->deferred) Report(deferred.hazard);
  if (options_.drained_end) JudgeEnd(order.core(id), *data);
  order.OnCoreEnd(id);
  data->deferred.clear();
  data->last_gm.clear();
  for (auto& buffer : data->buffers) buffer.Clear();
  data->cache = ScalarCache();
  for (auto& use : data->fix) use.any = false;
  for (CoreData::Run* run : {&data->loads, &data->stores}) {
    if (run->number != GmShadow::kNone) gm_.Release(run->number);
    *run = CoreData::Run();
  }
  spare_.push_back(std::move(data));
}

// A pipe completes in order: its last access tells.
void Engine::JudgeEnd(const CoreOrder& core, const CoreData& data) {
  for (const auto& [unit, last] : data.last_gm) {
    if (Knows(core.scalar(), core.id.block, last)) continue;
    Report(Hazard{HazardKind::kUndrained, last, last, Range{last.shape.begin, last.shape.end}});
  }
}

Touch Engine::MakeTouch(const CoreId& id, const Instruction& in, const Access& access) {
  Touch touch;
  touch.shape = MakeShape(access);
  touch.place = Place{id, in.pipe, in.insn, in.sequence, in.return_address};
  touch.space = access.space;
  touch.write = access.write;
  touch.unit = static_cast<uint8_t>(in.pipe);
  touch.index = 0;
  if (access.space == Space::kGm) {
    touch.atomic = access.write && in.spr->atomic_type != VNPU_T_none &&
                   (in.pipe == Pipe::kMte3 || in.pipe == Pipe::kFix);
  } else if (access.space == Space::kL0c) {
    if (IsMad(in.insn)) {
      const int64_t fractals = ((in.args[3] + 15) / 16) * ((in.args[5] + 15) / 16);
      touch.fractals = static_cast<uint8_t>(std::min<int64_t>(fractals, 255));
      touch.unit_flag = in.args[6] != 0;
    } else if (IsFixpipe(in.insn)) {
      touch.unit_flag = in.args[7] != 0;
    }
  }
  return touch;
}

void Engine::OnAccess(const CoreId& id, const Instruction& in, const Access& access) {
  CoreOrder& core = order.core(id);
  core.trailing.clear();
  if (in.pipe == Pipe::kV && access.space == Space::kUb) own_.Add(id, in, access);
  if (in.pipe != Pipe::kS) {
    PipeAccess(core, in, access);
    if (IsFixpipe(in.insn) && access.operand == 1) {
      FixRegisters(core, in, MakeTouch(core.id, in, access));
    }
  } else if (access.space == Space::kGm) {
    ScalarGm(core, in, access);
  } else {
    ScalarUb(core, in, access);
  }
}

// Sums, so that it does not matter which core ran first.
void Engine::Digest(const CoreId& id, int unit, int32_t index, const Clock& clock) {
  if (!options_.digest_order) return;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  const auto add = [&hash](int64_t value) {
    hash = (hash ^ static_cast<uint64_t>(value)) * 1099511628211u;
  };
  add(id.block);
  add(UnitOf(id.role, unit));
  add(index);
  for (const int32_t known : clock.own.at) add(known);
  if (clock.others != nullptr) {
    for (const BlockClock& other : *clock.others) {
      for (const int32_t known : other.at) add(known);
    }
  }
  digest_ += hash ^ hash >> 29;
}

void Engine::PipeAccess(CoreOrder& core, const Instruction& in, const Access& access) {
  Touch touch = MakeTouch(core.id, in, access);
  if (touch.shape.empty()) return;
  PipeState& pipe = core.Start(in);
  if (!pipe.counted) {
    pipe.counted = true;
    ++pipe.started;
    Digest(core.id, static_cast<int>(in.pipe), pipe.started, pipe.before);
  }
  touch.index = pipe.started;
  if (access.space != Space::kGm) {
    const int32_t partner = CheckBuffer(core, touch, pipe.before);
    if (partner > 0) {
      const Pipe other = in.pipe == Pipe::kM ? Pipe::kFix : Pipe::kM;
      int32_t& known = pipe.before.own.at[core.Unit(static_cast<int>(other))];
      known = std::max(known, partner);
    }
    return;
  }
  if (SmallStore(touch)) {
    auto release = std::make_shared<Clock>(pipe.before);
    // Completion is told by prefixes: this store alone only if all before it are.
    int32_t& own = release->own.at[core.Unit(touch.unit)];
    if (own == touch.index - 1) own = touch.index;
    touch.release = std::move(release);
  }
  if (options_.drained_end) Data(core.id).last_gm[touch.unit] = touch;
  CheckGm(core, touch, pipe.before);
}

void Engine::FixRegisters(CoreOrder& core, const Instruction& in, const Touch& touch) {
  Touch mine = touch;
  mine.index = core.pipe(Pipe::kFix).started;
  const int64_t mode = in.args[8];
  if (in.args[11] != 0) UseFixRegister(core, kNdPara, in.spr->nd_para, mine);
  constexpr int64_t kScalarModes[] = {3, 5, 13, 24}, kVectorModes[] = {2, 4, 12, 23};
  const auto is = [mode](const int64_t (&modes)[4]) {
    return std::find(std::begin(modes), std::end(modes), mode) != std::end(modes);
  };
  if (is(kScalarModes)) UseFixRegister(core, kQuantPre, in.spr->quant_pre, mine);
  if (is(kVectorModes)) UseFixRegister(core, kFpc, in.spr->fpc, mine);
}

void Engine::UseFixRegister(CoreOrder& core, FixRegister reg, uint64_t value, const Touch& touch) {
  CoreData::FixUse& last = Data(core.id).fix[reg];
  const Clock& clock = core.pipe(Pipe::kFix).before;
  if (last.any && last.value != value && !Knows(clock, core.id.block, last.touch)) {
    Report(Hazard{HazardKind::kFixRegister,
                  last.touch,
                  touch,
                  Range{touch.shape.begin, touch.shape.end},
                  kFixRegisterNames[reg],
                  {last.value, value}});
  }
  last.any = true;
  last.value = value;
  last.touch = touch;
}

int32_t Engine::CheckBuffer(CoreOrder& core, const Touch& touch, const Clock& clock) {
  BufferShadow& buffer = Data(core.id).buffers[static_cast<int>(touch.space)];
  int32_t partner = 0;
  buffer.Visit(touch.shape, [&](const Touch& first) {
    const Relation relation = Relate(first, touch, clock, options_.strict_gm_visibility);
    if (relation > Relation::kOrdered) {
      Range common;
      const Range whole{touch.shape.begin, touch.shape.end};
      if (Meet(first.shape, touch.shape, whole, &common)) {
        if (IsHazard(relation)) hazards_.push_back(Hazard{KindOf(relation), first, touch, common});
        if (relation == Relation::kUnitFlag) partner = std::max(partner, first.index);
      }
    }
    return Supersedes(touch, first, relation) && Covers(touch.shape, first.shape);
  });
  ReportAll();
  buffer.Add(touch);
  if (buffer.crowded()) buffer.Forget(core.KnownToAll());
  return partner;
}

uint32_t Engine::CheckGm(CoreOrder& core, const Touch& touch, const Clock& clock, bool keep) {
  const auto judge = [&](const Touch& first, const GmShadow::Part& part) {
    Relation relation = Relate(first, touch, clock, options_.strict_gm_visibility);
    JudgeGm(core, first, touch, clock, part, &relation);
    if (!Supersedes(touch, first, relation)) return false;
    return (part.dense && part.now.begin <= part.earlier.begin &&
            part.now.end >= part.earlier.end) ||
           Covers(touch.shape, first.shape);
  };
  const uint32_t number = gm_.Access(touch, keep, judge);
  ReportAll();
  return number;
}

void Engine::JudgeGm(CoreOrder& core, const Touch& first, const Touch& second, const Clock& clock,
                     const GmShadow::Part& part, Relation* relation) {
  const bool lines = (first.line || second.line) && first.write && second.write;
  const bool cached_load = second.place.insn == VNPU_INSN_scalar_load;
  const bool stale = cached_load && *relation == Relation::kOrdered;
  if (!IsHazard(*relation) && !lines && !stale) return;
  Range common;
  const Range both{std::max(part.earlier.begin, part.now.begin),
                   std::min(part.earlier.end, part.now.end)};
  if (!Meet(first.shape, second.shape, both, &common)) {
    if (!lines) return;
    *relation = RelateLine(first, second, clock);
    common = Range{second.shape.begin, second.shape.end};
  } else if (stale) {
    return JudgeStale(core, first, second);
  }
  if (!IsHazard(*relation) || PollLearns(first, second, *relation)) return;
  const Hazard hazard{KindOf(*relation), first, second, common};
  if (*relation == Relation::kRace && Defer(hazard)) return;
  hazards_.push_back(hazard);
}

// A write that does not wait for the readers of the previous one does not wait
// for that one either: the order that is missing is the readers'.
void Engine::ReportAll() {
  if (hazards_.empty()) return;
  bool race = false;
  for (const Hazard& hazard : hazards_) race |= hazard.kind == HazardKind::kRace;
  for (const Hazard& hazard : hazards_) {
    if (race && hazard.kind == HazardKind::kMissingBarrier && !options_.every_pair) continue;
    Report(hazard);
  }
  hazards_.clear();
}

void Engine::Report(const Hazard& hazard) {
  const Place& b = hazard.second.place;
  if (!IsNew(hazard.kind, hazard.first.place, b)) return;
  findings_.push_back(Compose(hazard, order.core(b.core), info_));
}

void Engine::OnRetire(const CoreId& id, const Instruction& in) {
  if (in.pipe != Pipe::kV) return;
  const OwnAccesses::Overlap overlap = own_.Find(id, in);
  if (!overlap.any) return;
  const Place place{id, in.pipe, in.insn, in.sequence, in.return_address};
  if (!IsNew(HazardKind::kSelfOverlap, place, place)) return;
  findings_.push_back(ComposeOverlap(id, in, own_, overlap, info_));
}

void Engine::OnSignal(const CoreId& id, const Instruction& in, const SyncEvent& event) {
  order.OnSignal(id, in, event);
  for (const FlagSetAgain& again : order.set_again()) {
    const auto places = std::make_pair(again.wait.return_address, again.set.return_address);
    const auto [it, added] = set_again_.emplace(places, set_again_findings_.size());
    if (added) {
      set_again_findings_.push_back(ComposeSetAgain(again, info_));
    } else {
      ++set_again_findings_[it->second].count;
    }
  }
  order.set_again().clear();
}

bool Engine::IsNew(HazardKind kind, const Place& a, const Place& b) {
  const auto instruction = [](const Place& place) {
    return std::make_tuple(place.core.block, place.core.role, place.sequence);
  };
  const Pair pair{instruction(a), instruction(b)};
  const Key key{kind, a.return_address, b.return_address, uint32_t{a.insn} << 16 | b.insn,
                options_.every_pair ? pair : Pair()};
  const auto [it, added] = known_.emplace(key, Known{findings_.size(), pair});
  Known& known = it->second;
  if (!added && known.last != pair) {
    // Operands and pages of the same two instructions count once.
    known.last = pair;
    ++findings_[known.finding].count;
  }
  return added;
}

}  // namespace race
}  // namespace vnpu
