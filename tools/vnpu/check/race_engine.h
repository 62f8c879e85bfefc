// SPDX-License-Identifier: Apache-2.0
// What is behind RaceDetector: takes each access in turn, compares it with the
// earlier ones that are kept, and reports what no order keeps apart.
//
//   race_engine.cc   accesses of pipes, buffers and GM, reports
//   race_scalar.cc   accesses of the scalar unit and its data cache
#ifndef VNPU_CHECK_RACE_ENGINE_H_
#define VNPU_CHECK_RACE_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/check/race_cache.h"
#include "tools/vnpu/check/race_detector.h"
#include "tools/vnpu/check/race_order.h"
#include "tools/vnpu/check/race_overlap.h"
#include "tools/vnpu/check/race_shadow.h"
#include "tools/vnpu/check/race_text.h"

namespace vnpu {
namespace race {

// The special registers of the fixpipe.
enum FixRegister { kNdPara, kQuantPre, kFpc, kNumFixRegisters };

// A racing first look of what may turn out to be a poll.
struct Deferred {
  Hazard hazard;
  uint64_t address;
  Place store;
};

// What is kept per core beside its order.
struct CoreData {
  BufferShadow buffers[kNumSpaces];
  ScalarCache cache;
  std::vector<Deferred> deferred;
  struct FixUse {
    bool any = false;
    uint64_t value = 0;
    Touch touch;
  };
  FixUse fix[kNumFixRegisters];
  // The last scalar load or store of GM, as long as more of the same may join
  // it: loops over words are one entry.
  struct Run {
    uint32_t number = GmShadow::kNone;
    int32_t first_load = 0;
    uint64_t stamp = 0;  // of the scalar clock
  };
  Run loads, stores;
  std::map<uint8_t, Touch> last_gm;  // of each pipe, with drained_end
};

class Engine {
 public:
  Engine(const RaceOptions& options, FindingSink* sink) : options_(options), sink_(sink) {}

  void Begin(const LaunchInfo& info);
  void End();
  void EndCore(const CoreId& id);
  void OnAccess(const CoreId& id, const Instruction& in, const Access& access);
  // The instruction has been executed.
  void OnRetire(const CoreId& id, const Instruction& in);
  void OnSignal(const CoreId& id, const Instruction& in, const SyncEvent& event);
  void Clean(const CoreId& id, const Instruction& in);
  uint64_t order_digest() const { return digest_; }

  Order order;

 private:
  void Digest(const CoreId& id, int unit, int32_t index, const Clock& clock);
  static Touch MakeTouch(const CoreId& id, const Instruction& in, const Access& access);
  CoreData& Data(const CoreId& id);
  void PipeAccess(CoreOrder& core, const Instruction& in, const Access& access);
  void ScalarGm(CoreOrder& core, const Instruction& in, const Access& access);
  void ScalarUb(CoreOrder& core, const Instruction& in, const Access& access);
  void FixRegisters(CoreOrder& core, const Instruction& in, const Touch& touch);
  void UseFixRegister(CoreOrder& core, FixRegister reg, uint64_t value, const Touch& touch);
  // Compares with what is there and adds it. Returns the unit-flag partner's index.
  int32_t CheckBuffer(CoreOrder& core, const Touch& touch, const Clock& clock);
  uint32_t CheckGm(CoreOrder& core, const Touch& touch, const Clock& clock, bool keep = true);
  void KeepScalar(CoreOrder& core, CoreData* data, const Touch& touch, CoreData::Run* run);
  bool JoinsRun(const CoreOrder& core, const CoreData::Run& run, const Touch& touch);
  void JudgeGm(CoreOrder& core, const Touch& first, const Touch& second, const Clock& clock,
               const GmShadow::Part& part, Relation* relation);
  void JudgeStale(CoreOrder& core, const Touch& first, const Touch& second);
  bool PollLearns(const Touch& first, const Touch& second, Relation relation);
  bool Defer(const Hazard& hazard);
  void JudgeEnd(const CoreOrder& core, const CoreData& data);
  void Settle(CoreData* data, uint64_t address, const Place& store);
  void Report(const Hazard& hazard);
  // Counts it where it is known.
  bool IsNew(HazardKind kind, const Place& a, const Place& b);
  void ReportAll();

  // Block, core and sequence of two instructions.
  using OnCore = std::tuple<uint32_t, CoreRole, uint64_t>;
  using Pair = std::pair<OnCore, OnCore>;
  using Key = std::tuple<HazardKind, const void*, const void*, uint32_t, Pair>;
  // Where a report went, and the last pair of instructions that it counted.
  struct Known {
    size_t finding;
    Pair last;
  };

  const RaceOptions options_;
  FindingSink* const sink_;
  LaunchInfo info_;
  std::vector<std::unique_ptr<CoreData>> cores_;
  std::vector<std::unique_ptr<CoreData>> spare_;
  GmShadow gm_;
  struct Learned {
    std::shared_ptr<const Clock> clock;
    Place store;
  };
  std::vector<Learned> learned_;  // by the poll at hand
  std::map<Key, Known> known_;
  std::vector<Finding> findings_;
  // Flags set again before their wait is known to be over, by wait and set.
  std::map<std::pair<const void*, const void*>, size_t> set_again_;
  std::vector<Finding> set_again_findings_;
  std::vector<Hazard> hazards_;  // of the access at hand
  OwnAccesses own_;              // of the vector instruction at hand
  uint64_t digest_ = 0;
};

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_ENGINE_H_
