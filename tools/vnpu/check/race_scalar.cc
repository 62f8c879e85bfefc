// SPDX-License-Identifier: Apache-2.0
// The scalar unit's accesses; the rules are in race_cache.h.
#include <algorithm>

#include "tools/vnpu/check/race_engine.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace race {
namespace {

constexpr uint64_t kWordBytes = 8;  // a poll reads at most this many bytes

}  // namespace

void Engine::ScalarUb(CoreOrder& core, const Instruction& in, const Access& access) {
  Touch touch = MakeTouch(core.id, in, access);
  if (touch.shape.empty()) return;
  touch.unit = touch.write ? kScalarStoreUb : kScalarLoad;
  touch.index = touch.write ? ++core.stores_ub : ++core.loads;
  Digest(core.id, touch.unit, touch.index, core.scalar());
  CheckBuffer(core, touch, core.scalar());
}

void Engine::ScalarGm(CoreOrder& core, const Instruction& in, const Access& access) {
  Touch touch = MakeTouch(core.id, in, access);
  if (touch.shape.empty()) return;
  CoreData& data = Data(core.id);
  const bool cached = in.insn == VNPU_INSN_scalar_load || in.insn == VNPU_INSN_scalar_store;
  const bool fresh = cached && data.cache.Use(touch.shape.begin, in.sequence);
  if (touch.write) {
    touch.unit = kScalarStoreGm;
    touch.dirty = touch.line = cached;
    touch.index = cached ? 0 : ++core.stores_gm;
    // A store past the cache follows those before it [inf].
    touch.release = std::make_shared<Clock>(core.ScalarToken(!cached));
  } else {
    touch.unit = kScalarLoad;
    touch.index = ++core.loads;
    touch.polls = touch.shape.run <= kWordBytes && (!cached || fresh);
  }
  Digest(core.id, touch.unit, core.loads + core.stores_gm, core.scalar());
  learned_.clear();
  KeepScalar(core, &data, touch, touch.write ? &data.stores : &data.loads);
  for (const Learned& learned : learned_) {
    const CoreId& from = learned.store.core;
    core.LearnScalar(Carry(*learned.clock, from.block, core.id.block, order.num_blocks()));
    core.polled.insert({from.block, from.role});
    Settle(&data, touch.shape.begin, learned.store);
  }
}

// The same load or store at the next address, with the same knowledge: nobody
// can have learned of the one in front without this one.
bool Engine::JoinsRun(const CoreOrder& core, const CoreData::Run& run, const Touch& touch) {
  if (run.number == GmShadow::kNone || touch.polls || touch.write != touch.dirty) return false;
  const Touch& last = gm_.touch(run.number);
  if (last.shape.end != touch.shape.begin || !last.shape.dense() || last.polls ||
      last.dirty != touch.dirty || last.place.return_address != touch.place.return_address) {
    return false;
  }
  if (!touch.write) return core.loads_told < run.first_load;
  return run.stamp == core.scalar_stamp() &&
         last.shape.begin / kCacheLine == (touch.shape.end - 1) / kCacheLine;
}

void Engine::KeepScalar(CoreOrder& core, CoreData* data, const Touch& touch, CoreData::Run* run) {
  const bool joins = JoinsRun(core, *run, touch);
  uint32_t number = CheckGm(core, touch, core.scalar(), !joins);
  if (joins && gm_.Lengthen(run->number, touch.shape.end)) {
    Touch& last = gm_.touch(run->number);
    last.index = touch.index;
    last.release = touch.release;
    return;
  }
  if (joins) number = CheckGm(core, touch, core.scalar());
  if (run->number != GmShadow::kNone) gm_.Release(run->number);
  *run = CoreData::Run{number, touch.index, core.scalar_stamp()};
  gm_.Hold(number);
  if (!touch.dirty) return;
  gm_.Hold(number);
  data->cache.AddDirty(touch.shape.begin, number);
}

void Engine::Clean(const CoreId& id, const Instruction& in) {
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
    core.LearnScalar(kScalarStoreGm, touch.index);
    auto release = std::make_shared<Clock>(*touch.release);
    release->own.at[core.Unit(kScalarStoreGm)] = touch.index;
    touch.release = std::move(release);
    gm_.Release(number);
  }
  if (all) {
    data.cache.CleanAll(in.sequence, core.scalar());
  } else {
    data.cache.Clean(address, in.sequence, core.scalar());
  }
}

// The core knows of the write, but its cache may hold what was there before.
void Engine::JudgeStale(CoreOrder& core, const Touch& first, const Touch& second) {
  const Clock* clean = Data(core.id).cache.KnownAtClean(second.shape.begin);
  if (clean != nullptr && Knows(*clean, core.id.block, first)) return;
  Report(
      Hazard{HazardKind::kStaleCache, first, second, Range{second.shape.begin, second.shape.end}});
}

// A poll that sees another core's small store is no race, and learns from it.
bool Engine::PollLearns(const Touch& first, const Touch& second, Relation relation) {
  if (relation != Relation::kRace || !second.polls || first.same_core(second) ||
      first.release == nullptr || !SmallStore(first)) {
    return false;
  }
  learned_.push_back(Learned{first.release, first.place});
  return true;
}

// A cached word load against another core's small store: wait for the load to
// come back as a poll.
bool Engine::Defer(const Hazard& hazard) {
  if (hazard.first.same_core(hazard.second)) return false;
  const bool first_loads = hazard.first.place.insn == VNPU_INSN_scalar_load;
  const Touch& load = first_loads ? hazard.first : hazard.second;
  const Touch& store = first_loads ? hazard.second : hazard.first;
  if (load.place.insn != VNPU_INSN_scalar_load || load.shape.run > kWordBytes ||
      !SmallStore(store)) {
    return false;
  }
  Data(load.place.core).deferred.push_back(Deferred{hazard, load.shape.begin, store.place});
  return true;
}

// The load has come back as a poll, and seen the store.
void Engine::Settle(CoreData* data, uint64_t address, const Place& store) {
  auto& all = data->deferred;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const Deferred& deferred) {
                             const Place& place = deferred.store;
                             return deferred.address == address &&
                                    place.sequence == store.sequence &&
                                    place.core.block == store.core.block &&
                                    place.core.role == store.core.role;
                           }),
            all.end());
}

}  // namespace race
}  // namespace vnpu
