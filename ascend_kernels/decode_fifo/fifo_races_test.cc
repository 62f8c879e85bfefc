// SPDX-License-Identifier: Apache-2.0
// The history of decode_fifo (fifo_variants.h), judged by the race detector: what the
// older forms leave to luck, which of it their waits of the scalar unit happen to cover,
// and that the form that ships needs none of them. A race is compared as one line:
//
//   first pipe does what to which buffer (stage < schedule) | second pipe ... | the missing edge
//
// The detector judges the order that flags and signals make, not the one that happened:
// all these kernels give right outputs here.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/strict_checks.h"

namespace ascend_attention {
namespace {

// With a fence before each signal (cross_core.h) the scalar unit waits for all pipes there:
// what is left is what no signal lies behind.
#ifdef ASCEND_ATTENTION_FENCE_SIGNALS
constexpr bool kFenced = true;
#else
constexpr bool kFenced = false;
#endif

using Races = std::set<std::string>;
using Flags = std::set<std::string>;

// "ns::Class<(pipe_t)4, T>::Method<3u>" -> "Method".
std::string BareName(const std::string& function) {
  std::string name;
  int depth = 0;
  for (const char c : function) {
    depth += c == '<';
    if (depth == 0) name += c;
    depth -= c == '>';
  }
  return name.substr(name.rfind(':') + 1);
}

// The functions around an instruction, from the stage to what Run calls: neither the op
// nor the entry.
std::string Place(const std::string& frames) {
  std::istringstream lines(frames);
  std::string place;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("ascend_kernels/cce/") != std::string::npos) continue;
    if (line.find("ascend_kernels/") == std::string::npos) continue;
    const size_t begin = line.find(" (") + 2;
    const std::string name = BareName(line.substr(begin, line.rfind(')') - begin));
    if (name == "Run") break;
    place += (place.empty() ? "" : " < ") + name;
  }
  return place;
}

// "L1 [4096, 6144), 512 of every 4096 bytes" -> "L1": which tile of a buffer it is, the
// functions say.
std::string WithoutRanges(std::string text) {
  for (size_t begin; (begin = text.find(" [")) != std::string::npos;) {
    text.erase(begin, text.find(')', begin) + 1 - begin);
  }
  const size_t stripes = text.find(" of every ");
  return stripes == std::string::npos ? text : text.substr(0, text.rfind(", ", stripes));
}

std::string RaceLine(const vnpu::Finding& finding) {
  std::string line;
  for (const vnpu::Site& site : finding.sites) {
    line += std::string(vnpu::PipeName(site.pipe)) + " " + WithoutRanges(site.what) + " (" +
            Place(site.frames) + ") | ";
  }
  return line + WithoutRanges(finding.missing);
}

// "flag set twice: MTE2->V EVENT_ID0 is one bit, ..." -> "AIV MTE2->V EVENT_ID0".
std::string FlagLine(const vnpu::Finding& finding) {
  const size_t begin = finding.headline.find(": ") + 2;
  const std::string flag =
      finding.headline.substr(begin, finding.headline.find(" is one bit") - begin);
  const bool aic = finding.sites[0].core.role == vnpu::CoreRole::kAic;
  return (aic ? "AIC " : "AIV ") + flag;
}

struct Outcome {
  vnpu::LaunchResult launch;
  std::string text;  // of all findings
  Races races;
  Flags flags;         // set again where nothing orders their wait before
  std::string others;  // findings that are neither
};

Outcome Watch(const std::string& kernel, const std::string& line) {
  const DecodeCase c = testdata::ParseCase(line);
  EXPECT_TRUE(c.ok()) << c.error;
  Problem problem(c, /*host_threads=*/0, kernel);
  vnpu::SessionOptions options = StrictChecks();
  options.fail_launch = false;
  vnpu::Session session(&problem.device(), options);
  problem.DescribeMemory();
  Outcome outcome;
  outcome.launch = problem.Launch();
  outcome.text = FindingsOf(session);
  for (const vnpu::Finding& finding : session.launches().back().findings) {
    if (finding.checker == "race" && finding.kind == "write-after-read") {
      outcome.races.insert(RaceLine(finding));
    } else if (finding.checker == "race" && finding.kind == "flag-set-again") {
      outcome.flags.insert(FlagLine(finding));
    } else {
      outcome.others += vnpu::FindingText(finding);
    }
  }
  return outcome;
}

// One block for all, so that sequences follow each other on it.
std::string Line(const std::string& heads_and_page, const std::string& context_lens) {
  const auto batch = 1 + std::count(context_lens.begin(), context_lens.end(), ',');
  return "decode:b" + std::to_string(batch) + ":" + heads_and_page + ":ctx" + context_lens +
         ":bf16:cores1:route-fifo:outf32:seed90";
}
const char* const kShapes[] = {"h16:kv1:d128:bs128", "h64:kv1:d128:bs64"};

const char kBaseline[] = "decode_fifo_baseline_bf16";
const char kPrefetch[] = "decode_fifo_prefetch_bf16";
const char kSlotEvents[] = "decode_fifo_bf16";
const char kUndrained[] = "fifo_undrained_test_kernel";
const char kNoCredits[] = "fifo_no_credits_test_kernel";
const char kTileCredits[] = "fifo_tile_credits_test_kernel";
const char kSharedFlags[] = "fifo_shared_flags_test_kernel";

std::string Edge(const std::string& told, const std::string& done, const std::string& buffer) {
  return told + " is not told that " + done + " is done with " + buffer + ": no flag " + done +
         "->" + told + " and no barrier lies between the two";
}

// --- the hazards of the older forms as they are: two tiles, three flags ------------------

const Races& ProbsTile() {
  static const Races kNone;
  if (kFenced) return kNone;
  static const Races kRaces = {
      "MTE3 reads UB (StoreProbs < ComputeProbs) | V writes UB (SoftmaxTile < ComputeProbs) | " +
      Edge("V", "MTE3", "UB")};
  return kRaces;
}
const Races& ZeroTileUnderProbs() {
  static const Races kRaces = {
      "MTE3 reads UB (StoreRows < StoreSlot < WriteZeros) | "
      "V writes UB (SoftmaxTile < ComputeProbs) | " +
      Edge("V", "MTE3", "UB")};
  return kRaces;
}
const Races& ZeroTileUnderZeros() {
  static const Races kRaces = {
      "MTE3 reads UB (StoreRows < StoreSlot < WriteZeros) | V writes UB (WriteZeros) | " +
      Edge("V", "MTE3", "UB")};
  return kRaces;
}
// Of races or flags.
Races Both(Races races, const Races& more) {
  races.insert(more.begin(), more.end());
  return races;
}

// A flag for all slots is set again before its wait is known to be over, and is one bit:
//   MTE2->V 0   S[i+1] needs P[i-1]: MTE2 may have it while V has yet to wait for S[i].
//   MTE2->V 2   O[i+1] needs P[i+1]: V makes it before it waits for O[i].
//   V->MTE3 0   as the tile that it speaks of: nothing tells V that MTE3 has waited.
const char kTileStored[] = "AIV V->MTE3 EVENT_ID0";
const Flags& FlagsOfPages() {
  static const Flags kOfOTiles = {"AIV MTE2->V EVENT_ID2"};
  if (kFenced) return kOfOTiles;
  static const Flags kFlags = {"AIV MTE2->V EVENT_ID0", "AIV MTE2->V EVENT_ID2", kTileStored};
  return kFlags;
}

struct OlderForm {
  const char* context_lens;
  Races races;
  Flags flags;
};

TEST(FifoRaces, OlderFormsOverwriteTheTileThatIsStoredAndSetFlagsTwice) {
  const OlderForm forms[] = {
      // One page: out needs o_tile, o_tile needs probs. Nothing follows before the wait.
      {"64,40,1", {}, {}},
      // The next page's softmax needs neither.
      {"300", ProbsTile(), FlagsOfPages()},
      // Zeros of an empty sequence; what comes next is another sequence's.
      {"0,64", ZeroTileUnderProbs(), {kTileStored}},
      {"0,0", ZeroTileUnderZeros(), {kTileStored}},
      {"0,300", Both(ZeroTileUnderProbs(), ProbsTile()), Both(FlagsOfPages(), {kTileStored})},
      // Behind a result the scalar unit waits for MTE3.
      {"64,0", {}, {}},
      {"700,0,0,700", Both(Both(ProbsTile(), ZeroTileUnderProbs()), ZeroTileUnderZeros()),
       Both(FlagsOfPages(), {kTileStored})},
  };
  for (const OlderForm& form : forms) {
    for (const char* kernel : {kBaseline, kPrefetch}) {
      for (const char* shape : kShapes) {
        const std::string line = Line(shape, form.context_lens);
        const Outcome outcome = Watch(kernel, line);
        EXPECT_EQ(outcome.launch.text, "") << kernel << " " << line;
        EXPECT_EQ(outcome.races, form.races) << kernel << " " << line;
        EXPECT_EQ(outcome.flags, form.flags) << kernel << " " << line;
        EXPECT_EQ(outcome.others, "") << kernel << " " << line;
      }
    }
  }
}

// --- prefetch, with the accidental wait for FIX gone ---------------------------------

Races OverwrittenOnTheCube() {
  Races races;
  if (kFenced) return races;
  const auto add = [&races](const std::string& first, const std::string& second,
                            const std::string& edge) {
    races.insert(first + " | " + second + " | " + edge);
  };
  // MTE2 loads a page over the one of two pages before.
  const std::string l1 = Edge("MTE2", "MTE1", "L1");
  add("MTE1 reads L1 (LoadKeys < ComputeScores)",
      "MTE2 writes L1 (LoadPage < LoadKeysOf < ComputeScores)", l1);
  add("MTE1 reads L1 (LoadValues < ComputeOTile)",
      "MTE2 writes L1 (LoadPage < LoadValuesOf < ComputeOTile)", l1);
  // Either product over the operands and sums of either.
  for (const std::string before : {"ComputeScores", "ComputeOTile"}) {
    for (const std::string after : {"ComputeScores", "ComputeOTile"}) {
      const std::string multiply = "(Multiply < MultiplyOperands < ";
      const std::string right = after == "ComputeScores" ? "LoadKeys" : "LoadValues";
      add("M reads L0A " + multiply + before + ")", "MTE1 writes L0A (LoadLeft < " + after + ")",
          Edge("MTE1", "M", "L0A"));
      add("M reads L0B " + multiply + before + ")",
          "MTE1 writes L0B (" + right + " < " + after + ")", Edge("MTE1", "M", "L0B"));
      add("FIX reads L0C (StoreProduct < " + before + ")", "M writes L0C " + multiply + after + ")",
          Edge("M", "FIX", "L0C"));
    }
  }
  return races;
}

Flags FlagsOnTheCube() {
  if (kFenced) return {};
  return {"AIC MTE2->MTE1 EVENT_ID0", "AIC MTE2->MTE1 EVENT_ID2", "AIC MTE2->MTE1 EVENT_ID4",
          "AIC MTE1->M EVENT_ID0", "AIC M->FIX EVENT_ID0"};
}

TEST(FifoRaces, PrefetchIsKeptWholeByTheWaitForStoresAlone) {
  for (const char* shape : kShapes) {
    const std::string line = Line(shape, "1100");
    const Outcome outcome = Watch(kUndrained, line);
    EXPECT_EQ(outcome.launch.text, "") << line;
    EXPECT_EQ(outcome.flags, Both(FlagsOnTheCube(), FlagsOfPages())) << line;
    EXPECT_EQ(outcome.others, "") << line;
    EXPECT_EQ(outcome.races, Both(OverwrittenOnTheCube(), ProbsTile())) << line;
    // Several sequences: the next one's probs over the result, too.
    Races races = Both(OverwrittenOnTheCube(), ProbsTile());
    races.insert(
        "MTE3 reads UB (StoreRows < StoreSlot < WriteResult) | "
        "V writes UB (SoftmaxTile < ComputeProbs) | " +
        Edge("V", "MTE3", "UB"));
    const Outcome three = Watch(kUndrained, Line(shape, "700,700,700"));
    EXPECT_EQ(three.races, races) << line;
    const Flags flags = Both(FlagsOnTheCube(), FlagsOfPages());
    EXPECT_EQ(three.flags, Both(flags, {kTileStored})) << line;
    EXPECT_EQ(three.others, "") << line;
  }
}

// --- what ships ------------------------------------------------------------------------

// Nor, as it happens, credits: the schedule orders all slots of a FIFO two tiles later.
//   S[i+1] is stored behind O[i-1], which needs P[i-1], which needs S[i-1] in UB.
//   P[i+1] is stored behind the use of O[i-1], which needs P[i-1] in L1.
//   O[i+1] needs P[i+1], which V makes behind its use of O[i-1].
// They stay: a change of the schedule would otherwise be a race that outputs do not show.
TEST(FifoRaces, SlotEventsNeedNoWaitForStores) {
  for (const char* context_lens : {"64,40,1", "0,0,300,0", "1100,0,700", "2700"}) {
    for (const char* shape : kShapes) {
      for (const char* kernel : {kSlotEvents, kTileCredits, kNoCredits}) {
        const Outcome outcome = Watch(kernel, Line(shape, context_lens));
        EXPECT_EQ(outcome.launch.text, "") << kernel << " " << context_lens;
        EXPECT_EQ(outcome.races, Races()) << kernel << " " << context_lens;
        EXPECT_EQ(outcome.flags, Flags()) << kernel << " " << context_lens;
        EXPECT_EQ(outcome.others, "") << kernel << " " << context_lens;
      }
    }
  }
}

// One flag for ping and pong each way cannot hold what two slots have to say.
TEST(FifoRaces, AFlagForTwoSlotsIsSetTwice) {
  for (const char* shape : kShapes) {
    const Outcome outcome = Watch(kSharedFlags, Line(shape, "1100"));
    EXPECT_EQ(outcome.launch.fault, vnpu::FaultKind::kException);
    const std::string& text = outcome.launch.text;
    EXPECT_EQ(text.substr(0, text.find('\n')),
              "flag set twice: MTE1->MTE2 EVENT_ID0 is one bit, and MTE2 has not waited since it "
              "was set here");
    EXPECT_NE(text.find("SharedFlagRing"), std::string::npos) << text;
    EXPECT_NE(text.find("ComputeScores"), std::string::npos) << text;
    EXPECT_NE(text.find("wait_flag between the two sets, or use another event: one event holds "
                        "one slot"),
              std::string::npos)
        << text;
    // And in the other direction, before the fault: MTE2 publishes a page whose flag MTE1
    // may not have taken for the page before.
    EXPECT_EQ(outcome.flags.count("AIC MTE2->MTE1 EVENT_ID0"), 1u) << outcome.text;
  }
}

// --- README.md ---------------------------------------------------------------------------

// Of a finding it quotes all lines but the call stacks, for which it gives their functions.
TEST(FifoRaces, ReadmeQuotesFindings) {
  if (kFenced) GTEST_SKIP() << "README.md quotes kernels without fences";
  std::string said;
  for (const char* kernel : {kUndrained, kBaseline, kSharedFlags}) {
    const Outcome outcome = Watch(kernel, Line(kShapes[0], "1100"));
    said += outcome.text + outcome.launch.text;
  }
  std::ifstream readme("ascend_kernels/decode_fifo/README.md");
  int quoted = 0;
  bool in_block = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.rfind("```", 0) == 0) {
      in_block = line == "```finding";
    } else if (in_block && line.rfind("  ", 0) != 0) {
      ++quoted;
      EXPECT_NE(said.find(line + "\n"), std::string::npos) << line;
    }
  }
  EXPECT_GE(quoted, 10);
}

}  // namespace
}  // namespace ascend_attention
