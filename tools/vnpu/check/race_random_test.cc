// SPDX-License-Identifier: Apache-2.0
// Thousands of random programs, each judged by the detector and by an oracle
// that looks at all pairs of accesses: every finding is a race of the oracle's,
// and every access that races with an earlier one is in a finding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tools/vnpu/check/race_detector.h"
#include "tools/vnpu/check/race_oracle.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace {

using race_play::Op;
using race_play::OpId;
using race_play::Program;

constexpr uint64_t kGmBytes = race_play::kBytes;

// Invents programs. Steps of all cores are drawn in one order in which they can
// run; flags and signals balance at the end.
class Inventor {
 public:
  Inventor(uint64_t seed, uint32_t blocks) : random_(seed), cores_(blocks * 3) {}

  std::vector<Program> Invent() {
    sync_share_ = 30 + Below(65);
    spread_ = 1u << Below(5);
    const uint32_t steps = 5 + Below(15 * static_cast<uint32_t>(cores_.size()));
    for (uint32_t i = 0; i < steps; ++i) Step(Below(static_cast<uint32_t>(cores_.size())));
    for (uint32_t core = 0; core < cores_.size(); ++core) CloseFlags(core);
    CloseSignals();
    std::vector<Program> programs(cores_.size());
    for (size_t i = 0; i < cores_.size(); ++i) {
      programs[i].num_ops = static_cast<uint32_t>(cores_[i].ops.size());
      std::copy(cores_[i].ops.begin(), cores_[i].ops.end(), programs[i].ops);
    }
    return programs;
  }

 private:
  using Flag = std::tuple<uint32_t, uint32_t, uint32_t>;
  struct Core {
    std::vector<Op> ops;
    std::map<Flag, int> flags;  // 1: set, -1: waited for before it is set
    std::map<uint32_t, uint32_t> signalled, waited;
  };

  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  static bool IsAic(uint32_t core) { return core % 3 == 0; }
  // Room for what CloseFlags and CloseSignals add.
  bool Full(uint32_t core) const { return cores_[core].ops.size() + 40 > race_play::kMaxOps; }
  void Add(uint32_t core, Op op) { cores_[core].ops.push_back(op); }

  void Step(uint32_t core) {
    if (Full(core)) return;
    if (Below(100) >= sync_share_) return IsAic(core) ? AddCube(core) : AddVector(core);
    switch (Below(8)) {
      case 0:
        return Add(core, {race_play::kBarrier, OwnPipe(core, true), 0, 0, 0, 0, 0});
      case 1:
        return Below(4) == 0 ? Add(core, {race_play::kFence, 0, 0, 0, 0, 0, 0}) : AddFlag(core);
      case 2:
      case 3:
        return AddSignal(core);
      default:
        return AddFlag(core);
    }
  }

  uint32_t OwnPipe(uint32_t core, bool or_all) {
    const std::vector<uint32_t> aic = {race_play::kM, race_play::kMte1, race_play::kMte2,
                                       race_play::kFixPipe};
    const std::vector<uint32_t> aiv = {race_play::kV, race_play::kMte2, race_play::kMte3};
    if (or_all && Below(6) == 0) return race_play::kAll;
    const auto& pipes = IsAic(core) ? aic : aiv;
    return pipes[Below(static_cast<uint32_t>(pipes.size()))];
  }

  void AddVector(uint32_t core) {
    const uint32_t ub = Below(16 * spread_) * 32, gm = Below(24 * spread_) * 32;
    switch (Below(7)) {
      case 0:
      case 1:
        return Add(core, {race_play::kLoadUb, ub, gm, 1 + Below(2), 1 + Below(3), Below(2), 0});
      case 2:
      case 3:
        return Add(core, {race_play::kStoreUb, ub, gm, 1 + Below(2), 1 + Below(3), Below(2),
                          Below(4) == 0 ? 1u : 0u});
      case 4:
        return Add(core, {Below(2) == 0 ? race_play::kScalarLoad : race_play::kScalarStore,
                          Below(128 * spread_) * 4, 0, 0, 0, 0, 0});
      default: {
        const uint32_t masks[] = {0xffffffffu, 0x55555555u, 0xaaaaaaaau, 0x000ff0ffu, 0xffu};
        return Add(core,
                   {race_play::kVector, ub, Below(16 * spread_) * 32, 0, masks[Below(5)], 0, 0});
      }
    }
  }

  void AddCube(uint32_t core) {
    const uint32_t gm = Below(24 * spread_) * 32;
    switch (Below(4)) {
      case 0:
        return Add(core, {race_play::kLoadL1, Below(24 * spread_) * 32, gm, 1 + Below(8), 0, 0, 0});
      case 1:
        return Add(core,
                   {race_play::kLoadL0a, Below(2) * 512, Below(24 * spread_) * 32, 0, 0, 0, 0});
      case 2:
        return Add(core, {race_play::kMad, Below(3) * 1024, 0, Below(2) == 0 ? 16u : 160u, Below(2),
                          0, 0});
      default:
        return Add(core, {race_play::kFix, Below(4) * 1024, gm, 16 + Below(3) * 8, 0, 0, 0});
    }
  }

  void AddFlag(uint32_t core) {
    uint32_t src = Below(5) == 0 ? race_play::kS : OwnPipe(core, false);
    uint32_t dst = Below(5) == 0 ? race_play::kS : OwnPipe(core, false);
    if (src == dst) return;
    const Flag flag{src, dst, Below(2)};
    int& state = cores_[core].flags[flag];
    const bool wait_first = state == 0 && dst != race_play::kS && Below(8) == 0;
    SetOrWait(core, flag, state > 0 || wait_first);
  }
  void SetOrWait(uint32_t core, const Flag& flag, bool wait) {
    const auto& [src, dst, event] = flag;
    cores_[core].flags[flag] += wait ? -1 : 1;
    Add(core, {wait ? race_play::kWaitFlag : race_play::kSetFlag, src, dst, event, 0, 0, 0});
  }
  void CloseFlags(uint32_t core) {
    // Sets that a pipe waits for first: they may unblock it.
    for (const bool wait : {false, true}) {
      for (auto& [flag, state] : cores_[core].flags) {
        if (state != 0 && (state > 0) == wait) SetOrWait(core, flag, wait);
      }
    }
  }

  // One flag for each way: 0 AIC to AIVs, 1 AIVs to AIC, 2 AIV pair, 3 all AIVs,
  // 4 all AICs.
  static uint32_t ModeOf(uint32_t flag) { return flag <= 1 ? 2 : flag == 2 ? 1 : 0; }
  static bool Raises(uint32_t core, uint32_t flag) {
    return IsAic(core) == (flag == 0 || flag == 4);
  }
  static bool Waits(uint32_t core, uint32_t flag) {
    return IsAic(core) == (flag == 1 || flag == 4);
  }
  // Signals that `core` has been given.
  uint32_t Given(uint32_t core, uint32_t flag) {
    uint32_t given = ~0u;
    for (uint32_t other = 0; other < cores_.size(); ++other) {
      const bool near = ModeOf(flag) == 0 || other / 3 == core / 3;
      if (near && Raises(other, flag)) given = std::min(given, cores_[other].signalled[flag]);
    }
    return given;
  }
  void AddSignal(uint32_t core) {
    const uint32_t flag = Below(5);
    Core& me = cores_[core];
    if (Waits(core, flag) && Given(core, flag) > me.waited[flag]) {
      ++me.waited[flag];
      return Add(core, {race_play::kWaitSignal, flag, 0, 0, 0, 0, 0});
    }
    // Counters hold 15; programs keep far from that.
    if (!Raises(core, flag) || me.signalled[flag] >= 4) return;
    Raise(core, flag);
  }
  void Raise(uint32_t core, uint32_t flag) {
    ++cores_[core].signalled[flag];
    Add(core, {race_play::kSignal, OwnPipe(core, false), ModeOf(flag), flag, 0, 0, 0});
  }
  void CloseSignals() {
    for (uint32_t flag = 0; flag < 5; ++flag) {
      for (uint32_t core = 0; core < cores_.size(); ++core) {
        uint32_t most = 0;
        for (uint32_t other = 0; other < cores_.size(); ++other) {
          const bool near = ModeOf(flag) == 0 || other / 3 == core / 3;
          if (near && Raises(other, flag)) most = std::max(most, cores_[other].signalled[flag]);
        }
        while (Raises(core, flag) && cores_[core].signalled[flag] < most) Raise(core, flag);
      }
      for (uint32_t core = 0; core < cores_.size(); ++core) {
        while (Waits(core, flag) && cores_[core].waited[flag] < Given(core, flag)) {
          ++cores_[core].waited[flag];
          Add(core, {race_play::kWaitSignal, flag, 0, 0, 0, 0, 0});
        }
      }
    }
  }

  std::mt19937_64 random_;
  std::vector<Core> cores_;
  uint32_t sync_share_ = 50;  // percent of the steps
  uint32_t spread_ = 1;       // how far apart accesses may lie
};

// Which op an instruction is, and in which order ops touched memory.
class Recorder : public Observer {
 public:
  void OnIssue(const CoreId& core, const Instruction& in) override {
    if (IsStep(in.insn)) ops_[{Core(core), in.sequence}] = next_[Core(core)]++;
  }
  void OnAccess(const CoreId& core, const Instruction& in, const Access&, std::string*) override {
    if (!IsStep(in.insn)) return;
    order_.emplace(OpId{Core(core), ops_[{Core(core), in.sequence}]}, order_.size());
  }
  OpId IdOf(const Site& site) const {
    const int core = Core(site.core);
    return OpId{core, ops_.at({core, site.sequence})};
  }
  bool Earlier(const OpId& a, const OpId& b) const { return order_.at(a) < order_.at(b); }

 private:
  static int Core(const CoreId& core) {
    return static_cast<int>(core.block) * 3 + static_cast<int>(core.role);
  }
  // Not what the player does around a step.
  static bool IsStep(uint16_t insn) {
    const std::string name = RowOf(insn).name;
    return name != "scalar_load" && name != "set_vector_mask" && name != "get_subblockid" &&
           name != "get_block_idx" && name != "set_nd_para" && name.rfind("set_atomic", 0) != 0;
  }
  std::map<std::pair<int, uint64_t>, int> ops_;
  std::map<int, int> next_;
  std::map<OpId, size_t> order_;
};

class Collector : public FindingSink {
 public:
  // The oracle judges pairs of instructions.
  void Report(Finding finding) override {
    if (finding.kind != "self-overlap") findings.push_back(std::move(finding));
  }
  std::vector<Finding> findings;
};

class RandomPrograms : public ::testing::TestWithParam<int> {
 protected:
  RandomPrograms() {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/check/race_play.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    programs_ = device_.Allocate(6 * sizeof(Program));
    gm_ = device_.Allocate(kGmBytes);
  }

  // False if the program cannot run to its end: it says nothing.
  bool Run(const std::vector<Program>& programs, Recorder* recorder, Collector* found) {
    use_.clear();
    std::memcpy(programs_, programs.data(), programs.size() * sizeof(Program));
    std::memset(gm_, 0, kGmBytes);
    RaceOptions options;
    options.every_pair = true;
    RaceDetector detector(options, found);
    device_.AddObserver(recorder);
    device_.AddObserver(&detector);
    const void* args[] = {programs_, gm_};
    const LaunchResult result =
        device_.Launch(*module_->Find("race_play_programs_0"),
                       static_cast<uint32_t>(programs.size() / 3), args, sizeof(args));
    device_.RemoveObserver(&detector);
    device_.RemoveObserver(recorder);
    for (const auto& [place, use] : detector.sync_use()) use_[use.insn] = use;
    return result.text.empty();
  }

  Device device_{DeviceConfig()};
  std::shared_ptr<KernelModule> module_;
  void* programs_;
  void* gm_;
  std::map<uint16_t, SyncUse> use_;  // the player has one place for each
};

struct Outcome {
  int pairs = 0;
  std::string error;
};

Outcome Compare(const race_play::Oracle& oracle, const Recorder& recorder,
                const std::vector<Finding>& findings) {
  Outcome outcome;
  std::set<OpId> reported;  // the later of a pair
  for (const Finding& finding : findings) {
    const OpId first = recorder.IdOf(finding.sites[0]), second = recorder.IdOf(finding.sites[1]);
    const auto want = finding.kind == "missing-barrier" ? race_play::Verdict::kMissingBarrier
                                                        : race_play::Verdict::kRace;
    if (oracle.Judge(first, second) != want) outcome.error += "not a race: " + FindingText(finding);
    reported.insert(second);
  }
  const auto& all = oracle.accesses();
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i + 1; j < all.size(); ++j) {
      OpId first = all[i], second = all[j];
      if (recorder.Earlier(second, first)) std::swap(first, second);
      if (oracle.Judge(first, second) == race_play::Verdict::kNone) continue;
      ++outcome.pairs;
      if (reported.count(second) != 0) continue;
      outcome.error += "missed: core " + std::to_string(first.core) + " op " +
                       std::to_string(first.op) + ", core " + std::to_string(second.core) + " op " +
                       std::to_string(second.op) + "\n";
    }
  }
  return outcome;
}

// The steps of the cores, for a person who has to find out who is wrong.
std::string ProgramText(const std::vector<Program>& programs) {
  static const char* const kNames[] = {"load",  "store",  "vector", "sload",  "sstore", "l1",
                                       "l0a",   "mad",    "fix",    "set",    "wait",   "barrier",
                                       "fence", "signal", "await",  "nothing"};
  std::string text;
  for (size_t core = 0; core < programs.size(); ++core) {
    text += "core " + std::to_string(core) + "\n";
    for (uint32_t i = 0; i < programs[core].num_ops; ++i) {
      const Op& op = programs[core].ops[i];
      text += "  " + std::to_string(i) + " " + kNames[op.kind];
      for (const uint32_t value : {op.a, op.b, op.c, op.d, op.e, op.f}) {
        text += " " + std::to_string(value);
      }
      text += "\n";
    }
  }
  return text;
}

constexpr int kShards = 8;
constexpr int kProgramsPerShard = 400;

TEST_P(RandomPrograms, DetectorAndOracleAgree) {
  int ran = 0, racy = 0, clean = 0;
  for (int i = 0; i < kProgramsPerShard; ++i) {
    const uint64_t seed = static_cast<uint64_t>(GetParam()) * 1000000 + i;
    const std::vector<Program> programs = Inventor(seed, 1 + i % 2).Invent();
    Recorder recorder;
    Collector found;
    if (!Run(programs, &recorder, &found)) continue;
    ++ran;
    const race_play::Oracle oracle(programs);
    const Outcome outcome = Compare(oracle, recorder, found.findings);
    ASSERT_EQ(outcome.error, "") << "seed " << seed << "\n" << ProgramText(programs);
    ASSERT_EQ(outcome.pairs == 0, found.findings.empty()) << "seed " << seed;
    (outcome.pairs == 0 ? clean : racy) += 1;
  }
  // The programs are worth something: most run, and both verdicts occur.
  EXPECT_GE(ran, kProgramsPerShard * 8 / 10);
  EXPECT_GE(racy, kProgramsPerShard / 10);
  EXPECT_GE(clean, kProgramsPerShard / 20);
  RecordProperty("ran", ran);
  RecordProperty("racy", racy);
}
// The only step of this kind, or null.
Op* Only(std::vector<Program>* programs, race_play::Kind kind) {
  Op* only = nullptr;
  for (Program& program : *programs) {
    for (uint32_t i = 0; i < program.num_ops; ++i) {
      if (program.ops[i].kind != kind) continue;
      if (only != nullptr) return nullptr;
      only = &program.ops[i];
    }
  }
  return only;
}

bool SameVerdicts(const race_play::Oracle& a, const race_play::Oracle& b) {
  for (const OpId& first : a.accesses()) {
    for (const OpId& second : a.accesses()) {
      if (!(first == second) && a.Judge(first, second) != b.Judge(first, second)) return false;
    }
  }
  return true;
}

// What is called redundant can go: the oracle sees no difference without it.
TEST_P(RandomPrograms, RedundantSynchronisationOrdersNothing) {
  int redundant = 0, needed = 0;
  for (int i = 0; i < kProgramsPerShard; ++i) {
    std::vector<Program> programs = Inventor(GetParam() * 1000000 + i, 1).Invent();
    Recorder recorder;
    Collector found;
    if (!Run(programs, &recorder, &found)) continue;
    std::vector<Program> without = programs;
    const bool barrier = Only(&without, race_play::kBarrier) != nullptr;
    Op* steps[2] = {Only(&without, barrier ? race_play::kBarrier : race_play::kSetFlag),
                    Only(&without, barrier ? race_play::kBarrier : race_play::kWaitFlag)};
    if (steps[0] == nullptr || steps[1] == nullptr) continue;
    const SyncUse& use = use_.at(barrier ? VNPU_INSN_pipe_barrier : VNPU_INSN_wait_flag);
    for (Op* step : steps) step->kind = race_play::kNothing;
    if (use.redundant < use.executions) {
      ++needed;
      continue;
    }
    ++redundant;
    EXPECT_TRUE(SameVerdicts(race_play::Oracle(programs), race_play::Oracle(without)))
        << ProgramText(programs);
  }
  EXPECT_GE(redundant, 5);
  EXPECT_GE(needed, 5);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPrograms, ::testing::Range(0, kShards));

}  // namespace
}  // namespace vnpu
