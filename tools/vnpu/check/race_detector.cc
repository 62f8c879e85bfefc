// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_detector.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tools/vnpu/check/race_cache.h"
#include "tools/vnpu/check/race_order.h"
#include "tools/vnpu/check/race_shadow.h"
#include "tools/vnpu/check/race_text.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {

using race::Clock;
using race::CoreOrder;
using race::Hazard;
using race::HazardKind;
using race::PipeState;
using race::Place;
using race::Range;
using race::Relation;
using race::Touch;

namespace {

constexpr uint64_t kWordBytes = 8;  // a poll reads at most this many bytes

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

// The special registers of the fixpipe.
enum FixRegister { kNdPara, kQuantPre, kFpc, kNumFixRegisters };
constexpr const char* kFixRegisterNames[] = {"nd_para", "quant_pre", "fpc"};

// A racing first look of what may turn out to be a poll.
struct Deferred {
  Hazard hazard;
  uint64_t address;
  const void* return_address;  // of the load
};

// What is kept per core beside its order.
struct CoreData {
  race::BufferShadow buffers[kNumSpaces];
  race::ScalarCache cache;
  std::vector<Deferred> deferred;
  struct FixUse {
    bool any = false;
    uint64_t value = 0;
    Touch touch;
  };
  FixUse fix[kNumFixRegisters];
};

}  // namespace

class RaceDetector::Impl {
 public:
  Impl(const RaceOptions& options, FindingSink* sink) : options_(options), sink_(sink) {}

  void Begin(const LaunchInfo& info);
  void End();
  void EndCore(const CoreId& id);
  void Access(const CoreId& id, const Instruction& in, const vnpu::Access& access);
  void Clean(const CoreId& id, const Instruction& in);

  race::Order order;

 private:
  static Touch MakeTouch(const CoreId& id, const Instruction& in, const vnpu::Access& access);
  CoreData& Data(const CoreId& id);
  void PipeAccess(CoreOrder& core, const Instruction& in, const vnpu::Access& access);
  void ScalarGm(CoreOrder& core, const Instruction& in, const vnpu::Access& access);
  void ScalarUb(CoreOrder& core, const Instruction& in, const vnpu::Access& access);
  void ImpliedReads(CoreOrder& core, const Instruction& in, const vnpu::Access& access);
  void FixRegisters(CoreOrder& core, const Instruction& in, const Touch& touch);
  void UseFixRegister(CoreOrder& core, FixRegister reg, uint64_t value, const Touch& touch);
  // Compares with what is there and adds it. Returns the unit-flag partner's index.
  int32_t CheckBuffer(CoreOrder& core, const Touch& touch, const Clock& clock);
  uint32_t CheckGm(CoreOrder& core, const Touch& touch, const Clock& clock);
  void JudgeGm(CoreOrder& core, const Touch& first, const Touch& second, const Clock& clock,
               const race::GmShadow::Part& part, Relation* relation);
  void JudgeStale(CoreOrder& core, const Touch& first, const Touch& second);
  bool PollLearns(const Touch& first, const Touch& second, Relation relation);
  bool Defer(const Hazard& hazard);
  void Settle(CoreData* data, uint64_t address, const void* return_address);
  void Report(const Hazard& hazard);

  using Key = std::tuple<HazardKind, const void*, const void*, uint64_t, uint64_t, uint64_t>;

  const RaceOptions options_;
  FindingSink* const sink_;
  LaunchInfo info_;
  std::vector<std::unique_ptr<CoreData>> cores_;
  std::vector<std::unique_ptr<CoreData>> spare_;
  race::GmShadow gm_;
  std::vector<std::shared_ptr<const Clock>> learned_;
  std::vector<uint32_t> learned_from_;  // blocks
  std::map<Key, size_t> known_;
  std::vector<Finding> findings_;
  std::pair<uint64_t, uint64_t> last_pair_;
};

void RaceDetector::Impl::Begin(const LaunchInfo& info) {
  info_ = info;
  order.Begin(info.num_blocks, info.aivs_per_block);
  cores_.clear();
  cores_.resize(size_t{info.num_blocks} * race::kCoresPerBlock);
  gm_.Clear();
  known_.clear();
  findings_.clear();
}

void RaceDetector::Impl::End() {
  for (auto& data : cores_) {
    if (data == nullptr) continue;
    for (const Deferred& deferred : data->deferred) Report(deferred.hazard);
  }
  for (Finding& finding : findings_) sink_->Report(std::move(finding));
  findings_.clear();
  cores_.clear();
  gm_.Clear();
}

CoreData& RaceDetector::Impl::Data(const CoreId& id) {
  auto& data = cores_[size_t{id.block} * race::kCoresPerBlock + static_cast<size_t>(id.role)];
  if (data != nullptr) return *data;
  if (spare_.empty()) {
    data = std::make_unique<CoreData>();
  } else {
    data = std::move(spare_.back());
    spare_.pop_back();
  }
  return *data;
}

void RaceDetector::Impl::EndCore(const CoreId& id) {
  order.OnCoreEnd(id);
  auto& data = cores_[size_t{id.block} * race::kCoresPerBlock + static_cast<size_t>(id.role)];
  if (data == nullptr) return;
  for (const Deferred& deferred : data->deferred) Report(deferred.hazard);
  data->deferred.clear();
  for (auto& buffer : data->buffers) buffer.Clear();
  data->cache = race::ScalarCache();
  for (auto& use : data->fix) use.any = false;
  spare_.push_back(std::move(data));
}

Touch RaceDetector::Impl::MakeTouch(const CoreId& id, const Instruction& in,
                                    const vnpu::Access& access) {
  Touch touch;
  touch.shape = race::MakeShape(access);
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

void RaceDetector::Impl::Access(const CoreId& id, const Instruction& in,
                                const vnpu::Access& access) {
  CoreOrder& core = order.core(id);
  core.trailing.clear();
  if (in.pipe != Pipe::kS) {
    PipeAccess(core, in, access);
    ImpliedReads(core, in, access);
  } else if (access.space == Space::kGm) {
    ScalarGm(core, in, access);
  } else {
    ScalarUb(core, in, access);
  }
}

void RaceDetector::Impl::PipeAccess(CoreOrder& core, const Instruction& in,
                                    const vnpu::Access& access) {
  Touch touch = MakeTouch(core.id, in, access);
  if (touch.shape.empty()) return;
  PipeState& pipe = core.Start(in);
  if (!pipe.counted) {
    pipe.counted = true;
    ++pipe.started;
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
  if (race::SmallStore(touch)) {
    auto release = std::make_shared<Clock>(pipe.before);
    // Completion is told by prefixes: this store alone only if all before it are.
    int32_t& own = release->own.at[core.Unit(touch.unit)];
    if (own == touch.index - 1) own = touch.index;
    touch.release = std::move(release);
  }
  CheckGm(core, touch, pipe.before);
}

// Operands that handlers do not name.
void RaceDetector::Impl::ImpliedReads(CoreOrder& core, const Instruction& in,
                                      const vnpu::Access& access) {
  vnpu::Access read{};
  read.write = false;
  if (IsFixpipe(in.insn) && access.operand == 1) {
    FixRegisters(core, in, MakeTouch(core.id, in, access));
    constexpr int64_t kVectorModes[] = {2, 4, 12, 23};
    if (std::find(std::begin(kVectorModes), std::end(kVectorModes), in.args[8]) ==
        std::end(kVectorModes)) {
      return;
    }
    read.space = Space::kFb;
    read.base = (in.spr->fpc >> 8 & 0xff) * 128;
    read.run = static_cast<uint64_t>(in.args[3]) * 8;
  } else if (in.insn == VNPU_INSN_mad && access.operand == 0 && access.write && in.args[8] != 0 &&
             in.args[9] == 0) {
    read.space = Space::kBt;
    read.run = static_cast<uint64_t>(in.args[5]) * 4;
  } else {
    return;
  }
  read.operand = access.operand;
  PipeAccess(core, in, read);
}

void RaceDetector::Impl::FixRegisters(CoreOrder& core, const Instruction& in, const Touch& touch) {
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

void RaceDetector::Impl::UseFixRegister(CoreOrder& core, FixRegister reg, uint64_t value,
                                        const Touch& touch) {
  CoreData::FixUse& last = Data(core.id).fix[reg];
  const Clock& clock = core.pipe(Pipe::kFix).before;
  if (last.any && last.value != value && !race::Knows(clock, core.id.block, last.touch)) {
    Report(Hazard{HazardKind::kFixRegister, last.touch, touch,
                  Range{touch.shape.begin, touch.shape.end}, kFixRegisterNames[reg]});
  }
  last.any = true;
  last.value = value;
  last.touch = touch;
}

void RaceDetector::Impl::ScalarUb(CoreOrder& core, const Instruction& in,
                                  const vnpu::Access& access) {
  Touch touch = MakeTouch(core.id, in, access);
  if (touch.shape.empty()) return;
  touch.unit = touch.write ? race::kScalarStoreUb : race::kScalarLoad;
  touch.index = touch.write ? ++core.stores_ub : ++core.loads;
  CheckBuffer(core, touch, core.scalar());
}

void RaceDetector::Impl::ScalarGm(CoreOrder& core, const Instruction& in,
                                  const vnpu::Access& access) {
  Touch touch = MakeTouch(core.id, in, access);
  if (touch.shape.empty()) return;
  CoreData& data = Data(core.id);
  const bool cached = in.insn == VNPU_INSN_scalar_load || in.insn == VNPU_INSN_scalar_store;
  const bool fresh = cached && data.cache.Use(touch.shape.begin, in.sequence);
  if (touch.write) {
    touch.unit = race::kScalarStoreGm;
    touch.dirty = touch.line = cached;
    touch.index = cached ? 0 : ++core.stores_gm;
    // A store past the cache follows those before it [inf].
    touch.release = std::make_shared<Clock>(core.ScalarToken(!cached));
  } else {
    touch.unit = race::kScalarLoad;
    touch.index = ++core.loads;
    touch.polls = touch.shape.run <= kWordBytes && (!cached || fresh);
    if (touch.polls) Settle(&data, touch.shape.begin, in.return_address);
  }
  learned_.clear();
  learned_from_.clear();
  const uint32_t number = CheckGm(core, touch, core.scalar());
  for (size_t i = 0; i < learned_.size(); ++i) {
    core.LearnScalar(
        race::Carry(*learned_[i], learned_from_[i], core.id.block, order.num_blocks()));
  }
  if (touch.dirty) {
    gm_.Hold(number);
    data.cache.AddDirty(touch.shape.begin, number);
  }
}

void RaceDetector::Impl::Clean(const CoreId& id, const Instruction& in) {
  constexpr int64_t kEntire = 1, kUnifiedBufferOnly = 1;
  if (in.args[2] == kUnifiedBufferOnly) return;
  CoreOrder& core = order.core(id);
  CoreData& data = Data(id);
  const bool all = in.args[1] == kEntire;
  const auto address = static_cast<uint64_t>(in.args[0]);
  for (const uint32_t number : data.cache.TakeDirty(all, address)) {
    Touch& touch = gm_.touch(number);
    touch.dirty = false;
    touch.index = ++core.stores_gm;
    core.LearnScalar(race::kScalarStoreGm, touch.index);
    auto release = std::make_shared<Clock>(*touch.release);
    release->own.at[core.Unit(race::kScalarStoreGm)] = touch.index;
    touch.release = std::move(release);
    gm_.Release(number);
  }
  if (all) {
    data.cache.CleanAll(in.sequence, core.scalar());
  } else {
    data.cache.Clean(address, in.sequence, core.scalar());
  }
}

int32_t RaceDetector::Impl::CheckBuffer(CoreOrder& core, const Touch& touch, const Clock& clock) {
  race::BufferShadow& buffer = Data(core.id).buffers[static_cast<int>(touch.space)];
  int32_t partner = 0;
  buffer.Visit(touch.shape, [&](const Touch& first) {
    const Relation relation = race::Relate(first, touch, clock, options_.strict_gm_visibility);
    if (relation > Relation::kOrdered) {
      Range common;
      const Range whole{touch.shape.begin, touch.shape.end};
      if (race::Meet(first.shape, touch.shape, whole, &common)) {
        if (IsHazard(relation)) Report(Hazard{KindOf(relation), first, touch, common});
        if (relation == Relation::kUnitFlag) partner = std::max(partner, first.index);
      }
    }
    return race::Supersedes(touch, first, relation) && race::Covers(touch.shape, first.shape);
  });
  buffer.Add(touch);
  if (buffer.crowded()) buffer.Forget(core.KnownToAll());
  return partner;
}

uint32_t RaceDetector::Impl::CheckGm(CoreOrder& core, const Touch& touch, const Clock& clock) {
  return gm_.Access(touch, true, [&](const Touch& first, const race::GmShadow::Part& part) {
    Relation relation = race::Relate(first, touch, clock, options_.strict_gm_visibility);
    JudgeGm(core, first, touch, clock, part, &relation);
    if (!race::Supersedes(touch, first, relation)) return false;
    return (part.dense && part.now.begin <= part.earlier.begin &&
            part.now.end >= part.earlier.end) ||
           race::Covers(touch.shape, first.shape);
  });
}

void RaceDetector::Impl::JudgeGm(CoreOrder& core, const Touch& first, const Touch& second,
                                 const Clock& clock, const race::GmShadow::Part& part,
                                 Relation* relation) {
  const bool lines = (first.line || second.line) && first.write && second.write;
  const bool cached_load = second.place.insn == VNPU_INSN_scalar_load;
  const bool stale = cached_load && *relation == Relation::kOrdered;
  if (!IsHazard(*relation) && !lines && !stale) return;
  Range common;
  const Range both{std::max(part.earlier.begin, part.now.begin),
                   std::min(part.earlier.end, part.now.end)};
  if (!race::Meet(first.shape, second.shape, both, &common)) {
    if (!lines) return;
    *relation = race::RelateLine(first, second, clock);
    common = Range{second.shape.begin, second.shape.end};
  } else if (stale) {
    return JudgeStale(core, first, second);
  }
  if (!IsHazard(*relation) || PollLearns(first, second, *relation)) return;
  const Hazard hazard{KindOf(*relation), first, second, common};
  if (*relation == Relation::kRace && Defer(hazard)) return;
  Report(hazard);
}

// The core knows of the write, but its cache may hold what was there before.
void RaceDetector::Impl::JudgeStale(CoreOrder& core, const Touch& first, const Touch& second) {
  const Clock* clean = Data(core.id).cache.KnownAtClean(second.shape.begin);
  if (clean != nullptr && race::Knows(*clean, core.id.block, first)) return;
  Report(
      Hazard{HazardKind::kStaleCache, first, second, Range{second.shape.begin, second.shape.end}});
}

// A poll that sees another core's small store is no race, and learns from it.
bool RaceDetector::Impl::PollLearns(const Touch& first, const Touch& second, Relation relation) {
  if (relation != Relation::kRace || !second.polls || first.same_core(second) ||
      first.release == nullptr || !race::SmallStore(first)) {
    return false;
  }
  learned_.push_back(first.release);
  learned_from_.push_back(first.place.core.block);
  return true;
}

// A cached word load against another core's small store: wait for the load to
// come back as a poll.
bool RaceDetector::Impl::Defer(const Hazard& hazard) {
  if (hazard.first.same_core(hazard.second)) return false;
  const bool first_loads = hazard.first.place.insn == VNPU_INSN_scalar_load;
  const Touch& load = first_loads ? hazard.first : hazard.second;
  const Touch& store = first_loads ? hazard.second : hazard.first;
  if (load.place.insn != VNPU_INSN_scalar_load || load.shape.run > kWordBytes ||
      !race::SmallStore(store)) {
    return false;
  }
  Data(load.place.core)
      .deferred.push_back(Deferred{hazard, load.shape.begin, load.place.return_address});
  return true;
}

void RaceDetector::Impl::Settle(CoreData* data, uint64_t address, const void* return_address) {
  auto& all = data->deferred;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const Deferred& deferred) {
                             return deferred.address == address &&
                                    deferred.return_address == return_address;
                           }),
            all.end());
}

void RaceDetector::Impl::Report(const Hazard& hazard) {
  const Place& a = hazard.first.place;
  const Place& b = hazard.second.place;
  const bool every = options_.every_pair;
  const uint64_t core_a = a.core.block * 4 + static_cast<uint64_t>(a.core.role);
  const Key key{hazard.kind,
                a.return_address,
                b.return_address,
                every ? a.sequence << 16 | core_a : 0,
                every ? b.sequence << 2 | static_cast<uint64_t>(b.core.role) : 0,
                every ? b.core.block : uint64_t{a.insn} << 16 | b.insn};
  const auto [it, added] = known_.emplace(key, findings_.size());
  const std::pair<uint64_t, uint64_t> pair{a.sequence << 16 | core_a, b.sequence};
  if (!added) {
    // Operands and pages of the same two instructions count once.
    if (pair != last_pair_) ++findings_[it->second].count;
  } else {
    findings_.push_back(race::Compose(hazard, order.core(b.core), info_));
  }
  last_pair_ = pair;
}

RaceDetector::RaceDetector(const RaceOptions& options, FindingSink* sink)
    : impl_(std::make_unique<Impl>(options, sink)) {}
RaceDetector::~RaceDetector() = default;

const std::map<const void*, SyncUse>& RaceDetector::sync_use() const { return impl_->order.use(); }
void RaceDetector::ClearSyncUse() { impl_->order.use().clear(); }

void RaceDetector::OnLaunchBegin(const LaunchInfo& info) { impl_->Begin(info); }
void RaceDetector::OnLaunchEnd(LaunchResult*) { impl_->End(); }
void RaceDetector::OnCoreEnd(const CoreId& core) { impl_->EndCore(core); }

void RaceDetector::OnIssue(const CoreId& core, const Instruction& in) {
  if (in.pipe != Pipe::kS && in.pipe != Pipe::kAll) impl_->order.core(core).OnIssue(in);
}

void RaceDetector::OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                            std::string*) {
  impl_->Access(core, in, access);
}

void RaceDetector::OnSignal(const CoreId& core, const Instruction& in, const SyncEvent& event) {
  if (event.kind == SyncKind::kCacheClean) {
    impl_->Clean(core, in);
  } else {
    impl_->order.OnSignal(core, in, event);
  }
}

void RaceDetector::OnWait(const CoreId& core, const Instruction& in, const SyncEvent& event) {
  impl_->order.OnWait(core, in, event);
}

}  // namespace vnpu
