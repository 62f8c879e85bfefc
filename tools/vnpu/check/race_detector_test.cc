// SPDX-License-Identifier: Apache-2.0
// One kernel per kind of hazard with the text of its report, its correct twin,
// and correct kernels that come near to a race. `{Name}` in a text stands for
// the frame of the line that ends in `// @Name`.
#include "tools/vnpu/check/race_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tools/vnpu/check/race_cases.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

// Frames of the marked lines: "  at <file>:<line> (<case>)\n". A case's function
// starts with CASE(name).
const std::map<std::string, std::string>& Frames() {
  static const auto* frames = [] {
    auto* all = new std::map<std::string, std::string>;
    for (const char* name :
         {"race_cases.cce", "race_cases_vector.h", "race_cases_correct.h", "race_cases_cube.h"}) {
      const std::string path = std::string("tools/vnpu/check/") + name;
      std::ifstream file(path);
      EXPECT_TRUE(file) << path;
      std::string line, function;
      for (int number = 1; std::getline(file, line); ++number) {
        std::smatch match;
        if (std::regex_search(line, match, std::regex("^CASE\\((\\w+)\\)"))) function = match[1];
        if (!std::regex_search(line, match, std::regex("// @(\\w+)"))) continue;
        EXPECT_EQ(all->count(match[1]), 0u) << match[1];
        (*all)[match[1]] = "  at " + path + ":" + std::to_string(number) + " (" + function + ")\n";
      }
    }
    return all;
  }();
  return *frames;
}

std::string WithFrames(std::string text) {
  for (const auto& [name, frame] : Frames()) {
    const std::string mark = "{" + name + "}\n";
    for (size_t at; (at = text.find(mark)) != std::string::npos;) {
      text.replace(at, mark.size(), frame);
    }
  }
  return text;
}

struct NamedCase {
  RaceCase which;
  const char* name;
};
#define NAMED_CASE(name) {RaceCase::k##name, #name},
constexpr NamedCase kRacy[] = {RACE_CASES_ONE_AIV(NAMED_CASE) RACE_CASES_AIVS(NAMED_CASE)
                                   RACE_CASES_CUBE(NAMED_CASE) RACE_CASES_MIXED(NAMED_CASE)};
constexpr NamedCase kCorrect[] = {RACE_CASES_CORRECT_ONE_AIV(NAMED_CASE) RACE_CASES_CORRECT_AIVS(
    NAMED_CASE) RACE_CASES_CORRECT_CUBE(NAMED_CASE)};

// race_cases_golden.txt: "== <case> <blocks>", then the findings.
struct Golden {
  uint32_t blocks = 0;
  std::string text;
};
const std::map<std::string, Golden>& Goldens() {
  static const auto* goldens = [] {
    auto* all = new std::map<std::string, Golden>;
    std::ifstream file("tools/vnpu/check/race_cases_golden.txt");
    EXPECT_TRUE(file);
    Golden* current = nullptr;
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (std::regex_match(line, match, std::regex("== (\\w+) (\\d+)"))) {
        current = &(*all)[match[1]];
        current->blocks = static_cast<uint32_t>(std::stoul(match[2]));
      } else if (current != nullptr) {
        current->text += line + "\n";
      }
    }
    for (auto& [name, golden] : *all) golden.text = WithFrames(golden.text);
    return all;
  }();
  return *goldens;
}

class Runner {
 public:
  Runner() {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/check/race_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    gm_ = static_cast<uint8_t*>(device_.Allocate(kBytes));
    device_.NameRegion(gm_, kBytes, "data", RegionRule::kReadWrite);
  }

  // The findings, one text each, an empty line behind each.
  std::string Run(RaceCase which, bool fixed, uint32_t blocks, RaceOptions options = {}) {
    FindingList findings;
    Run(which, fixed, blocks, options, &findings);
    std::string text;
    for (const Finding& finding : findings.findings()) text += FindingText(finding) + "\n";
    return text;
  }
  void Run(RaceCase which, bool fixed, uint32_t blocks, RaceOptions options, FindingSink* sink) {
    std::memset(gm_, 0, kBytes);
    RaceDetector detector(options, sink);
    device_.AddObserver(&detector);
    const struct {
      void* gm;
      uint32_t which, fixed;
    } args = {gm_, static_cast<uint32_t>(which), fixed};
    const LaunchResult result =
        device_.Launch(*module_->Find("race_cases_0"), blocks, &args, sizeof(args));
    device_.RemoveObserver(&detector);
    EXPECT_EQ(result.text, "");
    use_ = detector.sync_use();
  }
  const std::map<const void*, SyncUse>& use() const { return use_; }

 private:
  static constexpr uint64_t kBytes = 65536;
  Device device_{DeviceConfig()};
  std::shared_ptr<KernelModule> module_;
  uint8_t* gm_;
  std::map<const void*, SyncUse> use_;
};

std::string TestName(const ::testing::TestParamInfo<NamedCase>& info) { return info.param.name; }

class Racy : public ::testing::TestWithParam<NamedCase> {};

TEST_P(Racy, IsReportedAndItsTwinIsClean) {
  const auto golden = Goldens().find(GetParam().name);
  ASSERT_NE(golden, Goldens().end()) << "no text for this case";
  RaceOptions options;
  options.strict_gm_visibility = GetParam().which == RaceCase::kNoFence;
  options.strict_flags = GetParam().which == RaceCase::kFlagSetAgain;
  options.drained_end = GetParam().which == RaceCase::kUndrainedEnd;
  Runner runner;
  EXPECT_EQ(runner.Run(GetParam().which, false, golden->second.blocks, options),
            golden->second.text);
  EXPECT_EQ(runner.Run(GetParam().which, true, golden->second.blocks, options), "");
  // A launch begins from nothing.
  EXPECT_EQ(runner.Run(GetParam().which, false, golden->second.blocks, options),
            golden->second.text);
}
INSTANTIATE_TEST_SUITE_P(Cases, Racy, ::testing::ValuesIn(kRacy), TestName);

class Correct : public ::testing::TestWithParam<NamedCase> {};

TEST_P(Correct, IsNotAccused) {
  // These use the same bytes in every block.
  const bool one_block =
      GetParam().which == RaceCase::kChainThroughPeer || GetParam().which == RaceCase::kStoreLoop;
  Runner runner;
  for (const uint32_t blocks : {1u, 3u}) {
    if (blocks > 1 && one_block) continue;
    EXPECT_EQ(runner.Run(GetParam().which, false, blocks), "") << blocks << " blocks";
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, Correct, ::testing::ValuesIn(kCorrect), TestName);

TEST(RaceDetector, AsksForFencesOnlyInStrictMode) {
  Runner runner;
  EXPECT_EQ(runner.Run(RaceCase::kNoFence, false, 1), "");
  RaceOptions strict;
  strict.strict_gm_visibility = true;
  EXPECT_NE(runner.Run(RaceCase::kNoFence, false, 1, strict), "");
  EXPECT_NE(runner.Run(RaceCase::kBarrierRounds, false, 2, strict), "");
  // Nothing crosses cores here.
  EXPECT_EQ(runner.Run(RaceCase::kPingPong, false, 1, strict), "");
}

TEST(RaceDetector, LeavesTheEndToTheLaunchUnlessAsked) {
  Runner runner;
  EXPECT_EQ(runner.Run(RaceCase::kUndrainedEnd, false, 1), "");
  RaceOptions drained;
  drained.drained_end = true;
  // The end of each core is its own: none of them waits for its store.
  EXPECT_NE(runner.Run(RaceCase::kPairOfAivs, false, 1, drained).find("undrained end: "),
            std::string::npos);
}

// What is set twice is said beside a race, not instead of it.
TEST(RaceDetector, ReportsFlagsBesideRaces) {
  Runner runner;
  RaceOptions strict;
  strict.strict_flags = true;
  const std::string text = runner.Run(RaceCase::kStagingTile, false, 1, strict);
  const std::string race = runner.Run(RaceCase::kStagingTile, false, 1);
  EXPECT_EQ(text.substr(0, race.size()), race);
  EXPECT_NE(text.find("flag set twice: V->MTE3 EVENT_ID0", race.size()), std::string::npos) << text;
}

TEST(RaceDetector, CountsSynchronisationThatTellsNothingNew) {
  Runner runner;
  EXPECT_EQ(runner.Run(RaceCase::kRedundant, false, 1), "");
  std::map<uint16_t, std::vector<uint64_t>> redundant;  // one entry a place
  uint64_t trailing = 0;
  for (const auto& [place, use] : runner.use()) {
    EXPECT_EQ(use.executions, 1u);
    redundant[use.insn].push_back(use.redundant);
    trailing += use.trailing;
  }
  for (auto& [insn, counts] : redundant) std::sort(counts.begin(), counts.end());
  EXPECT_EQ(redundant[VNPU_INSN_pipe_barrier], (std::vector<uint64_t>{0, 0, 1}));
  EXPECT_EQ(redundant[VNPU_INSN_wait_flag], (std::vector<uint64_t>{0, 1}));
  EXPECT_EQ(redundant[VNPU_INSN_set_flag], (std::vector<uint64_t>{0, 1}));
  EXPECT_EQ(trailing, 1u);
}

class Collector : public FindingSink {
 public:
  void Report(Finding finding) override { findings.push_back(std::move(finding)); }
  std::vector<Finding> findings;
};

// One finding for two places that meet often, or one for each pair of instructions.
TEST(RaceDetector, ReportsEveryPairOnRequest) {
  Runner runner;
  Collector merged, pairs;
  runner.Run(RaceCase::kCredits, false, 1, RaceOptions(), &merged);
  RaceOptions options;
  options.every_pair = true;
  runner.Run(RaceCase::kCredits, false, 1, options, &pairs);
  uint64_t met = 0;
  for (const Finding& finding : merged.findings) met += finding.count;
  EXPECT_GT(met, merged.findings.size());
  // Here nothing is left out for being a consequence of something else.
  EXPECT_GE(pairs.findings.size(), met);
  std::set<std::string> texts;
  for (const Finding& finding : pairs.findings) {
    EXPECT_EQ(finding.count, 1u);
    EXPECT_TRUE(texts.insert(FindingText(finding)).second) << FindingText(finding);
  }
}

}  // namespace
}  // namespace vnpu
