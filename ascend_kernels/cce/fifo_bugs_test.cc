// SPDX-License-Identifier: Apache-2.0
// FIFOs used wrongly, in ways known from published kernels: what says so. Whether a
// lost flag or signal would be noticed. And what credits cost (modelled).
#include <cstdio>

#include "ascend_kernels/cce/fifo_test_problem.h"
#include "ascend_kernels/strict_checks.h"
#include "tools/vnpu/mutation/mutator.h"

namespace ascend_attention {
namespace {

// One launch, seen by everyone.
struct Outcome {
  vnpu::LaunchResult result;
  std::vector<vnpu::Finding> findings;
  std::string wrong;
  uint64_t order = 0;
  int64_t modelled_ps = 0;

  bool clean() const { return result.text.empty() && findings.empty() && wrong.empty(); }
  // Whether a race is among the findings whose text holds all these words.
  bool HasRace(const std::vector<std::string>& words) const {
    for (const vnpu::Finding& finding : findings) {
      const std::string text = vnpu::FindingText(finding);
      bool all = finding.checker == "race" && !finding.missing.empty();
      for (const std::string& word : words) all &= text.find(word) != std::string::npos;
      if (all) return true;
    }
    return false;
  }
  bool FaultHas(const std::string& word) const {
    return result.text.find(word) != std::string::npos;
  }
};

Outcome Watch(FifoRig* rig, const FifoTestCase& c, bool timing = false) {
  vnpu::SessionOptions options = StrictChecks();
  options.fail_launch = false;  // findings are counted, and the content is compared
  options.digest_order = true;
  options.timing = timing;
  FifoProblem problem(rig, c);
  vnpu::Session session(&rig->device(), options);
  Outcome outcome;
  outcome.result = problem.Launch();
  const vnpu::LaunchRecord& record = session.launches().back();
  outcome.findings = record.findings;
  outcome.wrong = problem.FirstWrong();
  outcome.order = session.order_digest();
  if (record.timeline != nullptr) outcome.modelled_ps = record.timeline->total_ps;
  return outcome;
}

FifoTestCase Case(uint32_t depth, uint32_t period) {
  FifoTestCase c;
  c.depth = depth;
  c.period = period;
  c.tiles = 3 * depth + 1;
  return c;
}
FifoTestCase OneWay(FifoTestCase c, bool to_cube) {
  c.to_vector = !to_cube;
  c.to_cube = to_cube;
  return c;
}

class FifoBugs : public ::testing::Test {
 protected:
  Outcome Run(const FifoTestCase& c) { return Watch(&rig_, c); }

  // Launches without the first place of `call` inside the function `in`, then once more
  // with it.
  Outcome RunWithout(const FifoTestCase& c, const std::string& call, const std::string& in) {
    vnpu::Mutator mutator(&rig_.device());
    mutator.Record("fifo_relay_");
    EXPECT_TRUE(Run(c).clean());
    const std::vector<vnpu::Mutation> mutations = mutator.Mutations();
    for (const vnpu::Mutation& m : mutations) {
      if (m.kind != vnpu::MutationKind::kDrop || m.what.find(call) == std::string::npos) continue;
      if (m.frames.find(in) == std::string::npos) continue;
      mutator.Apply(&m);
      Outcome outcome = Run(c);
      EXPECT_GT(mutator.applied(), 0u);
      mutator.Apply(nullptr);
      EXPECT_TRUE(Run(c).clean()) << "the next launch";
      return outcome;
    }
    ADD_FAILURE() << "no " << call << " in " << in;
    return Outcome();
  }

  FifoRig rig_;
};

TEST_F(FifoBugs, WithoutCreditsNothingOrdersOneDirection) {
  for (const uint32_t depth : {1u, 2u, 4u}) {
    const Outcome to_vector = Run(OneWay(Case(depth, 0), /*to_cube=*/false));
    EXPECT_TRUE(to_vector.HasRace({"copy_matrix_cc_to_gm", "copy_gm_to_ubuf", "is not told"}));
    const Outcome to_cube = Run(OneWay(Case(depth, 0), /*to_cube=*/true));
    EXPECT_TRUE(
        to_cube.HasRace({"copy_ubuf_to_gm", "copy_gm_to_cbuf_multi_nd2nz_b16", "is not told"}));
    EXPECT_TRUE(Run(OneWay(Case(depth, depth), false)).clean());
    EXPECT_TRUE(Run(OneWay(Case(depth, depth), true)).clean());
  }
}

TEST_F(FifoBugs, WithoutCreditsALeadOfTheDepthIsARace) {
  for (const uint32_t depth : {1u, 2u, 4u}) {
    FifoTestCase c = Case(depth, 0);
    c.ahead = depth;
    const Outcome outcome = Run(c);
    // A slot is stored to before both vector cores are known to have loaded it.
    EXPECT_TRUE(outcome.HasRace({"copy_gm_to_ubuf reads", "copy_matrix_cc_to_gm writes",
                                 "missing AIC is not told that MTE2 of AIV0 is done"}));
    c.ahead = depth - 1;
    EXPECT_TRUE(Run(c).clean());
  }
}

TEST_F(FifoBugs, WithoutCreditsCountersOverflow) {
  FifoTestCase c = OneWay(Case(2, 0), /*to_cube=*/false);
  c.tiles = 40;
  EXPECT_TRUE(Run(c).FaultHas("counter overflow: cross-core flag 0"));
}

TEST_F(FifoBugs, LaneOffsetNeverApplied) {
  FifoTestCase c = Case(2, 1);
  c.lane_offsets = 0;
  // Both vector cores take the first half of the rows.
  EXPECT_NE(Run(OneWay(c, /*to_cube=*/false)).wrong.find("tile 0 row 8"), std::string::npos);
  const Outcome to_cube = Run(OneWay(c, /*to_cube=*/true));
  EXPECT_NE(to_cube.wrong, "");
  EXPECT_TRUE(to_cube.HasRace({"AIV0, pipe MTE3", "AIV1, pipe MTE3"}));
}

TEST_F(FifoBugs, LaneOffsetAppliedTwice) {
  FifoTestCase c = Case(2, 1);
  c.lane_offsets = 2;
  // The second vector core takes the first half of the next slot.
  const Outcome to_vector = Run(OneWay(c, /*to_cube=*/false));
  EXPECT_NE(to_vector.wrong.find("tile 0 row 8"), std::string::npos);
  EXPECT_TRUE(to_vector.HasRace({"AIC, pipe FIX", "AIV1, pipe MTE2"}));
  // Behind the last slot no memory is ours.
  const Outcome to_cube = Run(OneWay(c, /*to_cube=*/true));
  EXPECT_NE(to_cube.wrong, "");
  EXPECT_TRUE(to_cube.FaultHas("out of bounds: copy_ubuf_to_gm"));
}

TEST_F(FifoBugs, LocalSlotsCloserThanTheirSize) {
  for (const uint32_t local_depth : {2u, 3u}) {
    for (const bool to_cube : {false, true}) {
      FifoTestCase c = OneWay(Case(2, 1), to_cube);
      c.local_depth = local_depth;
      c.cols = kFifoTestCols;
      EXPECT_TRUE(Run(c).clean());
      c.slots_per_slot = 2;
      const Outcome outcome = Run(c);
      EXPECT_TRUE(outcome.HasRace({"copy_gm_to_ubuf writes UB", "MTE2 is not told that V is"}));
      EXPECT_TRUE(outcome.HasRace(
          {"copy_gm_to_cbuf_multi_nd2nz_b16 writes L1", "MTE2 is not told that MTE1 is"}));
    }
  }
}

TEST_F(FifoBugs, ProducerThatLeavesCreditsBehind) {
  const FifoTestCase c = Case(4, 2);
  const Outcome to_vector = RunWithout(OneWay(c, false), "wait_flag_dev", "~FifoProducer");
  EXPECT_TRUE(to_vector.FaultHas("leftover cross-core flag: counter 1 of AIC is 1"))
      << to_vector.result.text;
  const Outcome to_cube = RunWithout(OneWay(c, true), "wait_flag_dev", "~FifoProducer");
  EXPECT_TRUE(to_cube.FaultHas("leftover cross-core flag: counter 3 of AIV0 is 1"))
      << to_cube.result.text;
}

TEST_F(FifoBugs, ConsumerThatGivesOneCreditTooFew) {
  for (const uint32_t period : {1u, 2u, 4u}) {
    FifoTestCase c = Case(4, period);
    c.tiles = 8;
    c.unpopped = 1;
    for (const bool to_cube : {false, true}) {
      const Outcome outcome = Run(OneWay(c, to_cube));
      EXPECT_EQ(outcome.result.fault, vnpu::FaultKind::kDeadlock);
      EXPECT_TRUE(outcome.FaultHas("~FifoProducer")) << outcome.result.text;
      EXPECT_TRUE(outcome.FaultHas("has ended without setting")) << outcome.result.text;
    }
  }
}

TEST_F(FifoBugs, ALeadBeyondTheLimitDeadlocks) {
  for (const uint32_t depth : {2u, 4u, 6u}) {
    for (const uint32_t period : {2u, depth}) {
      FifoTestCase c = Case(depth, period);
      c.tiles = 8 * depth;
      c.ahead = 2 * depth - period;
      EXPECT_TRUE(Run(c).clean());
      ++c.ahead;
      const Outcome outcome = Run(c);
      EXPECT_EQ(outcome.result.fault, vnpu::FaultKind::kDeadlock);
      EXPECT_TRUE(outcome.FaultHas("waits for cross-core flag 1, which AIV0"))
          << outcome.result.text;
      EXPECT_TRUE(outcome.FaultHas("waits for cross-core flag 3, which AIC"))
          << outcome.result.text;
    }
  }
}

// --- mutations -----------------------------------------------------------------

struct Instance {
  uint32_t depth, period, local_depth, ahead;
};

class FifoMutations : public ::testing::TestWithParam<Instance> {
 protected:
  // What every branch of the instance and every slot take part in.
  static std::vector<FifoTestCase> Cases() {
    FifoTestCase both = Case(GetParam().depth, GetParam().period);
    both.local_depth = GetParam().local_depth;
    both.ahead = GetParam().ahead;
    both.tiles = 4 * both.depth + 3;
    if (both.period == 0) return {both};
    FifoTestCase one_row = both;
    one_row.rows = 1;
    return {both, OneWay(both, false), OneWay(both, true), one_row};
  }
  FifoRig rig_;
};

// As ascend-attention mutate does: caught, or the order of all accesses is the same.
TEST_P(FifoMutations, NoLostSynchronisationSurvives) {
  const std::vector<FifoTestCase> cases = Cases();
  vnpu::Mutator mutator(&rig_.device());
  mutator.Record("fifo_relay_");
  std::vector<uint64_t> orders;
  for (const FifoTestCase& c : cases) {
    const Outcome outcome = Watch(&rig_, c);
    ASSERT_TRUE(outcome.clean()) << Text(c) << outcome.result.text;
    orders.push_back(outcome.order);
  }
  int caught = 0, redundant = 0;
  for (const vnpu::Mutation& m : mutator.Mutations()) {
    if (!vnpu::IsSync(m.kind)) continue;
    mutator.Apply(&m);
    bool is_caught = false, same_order = true;
    for (size_t i = 0; i < cases.size() && !is_caught; ++i) {
      const Outcome outcome = Watch(&rig_, cases[i]);
      is_caught = !outcome.clean();
      same_order &= outcome.order == orders[i];
    }
    caught += is_caught;
    redundant += !is_caught && same_order;
    EXPECT_TRUE(is_caught || same_order) << vnpu::MutationKindName(m.kind) << ": " << m.what << "\n"
                                         << m.frames;
  }
  std::printf("%d caught, %d proven redundant\n", caught, redundant);
  EXPECT_GT(caught, 70);
}
INSTANTIATE_TEST_SUITE_P(Instances, FifoMutations,
                         ::testing::Values(Instance{1, 1, 1, 0}, Instance{2, 1, 2, 1},
                                           Instance{2, 2, 3, 1}, Instance{4, 2, 2, 2},
                                           Instance{2, 0, 2, 1}));

// --- cost ----------------------------------------------------------------------

class FifoCost : public ::testing::Test {
 protected:
  double ModelledUs(const FifoTestCase& c) {
    const Outcome outcome = Watch(&rig_, c, /*timing=*/true);
    EXPECT_TRUE(outcome.clean()) << outcome.result.text;
    EXPECT_GT(outcome.modelled_ps, 0);
    return static_cast<double>(outcome.modelled_ps) * 1e-6;
  }
  // 64 tiles of 16 x 128 each way, three ahead.
  double ThereAndBack(uint32_t depth, uint32_t period) {
    FifoTestCase c = Case(depth, period);
    c.tiles = 64;
    c.cols = kFifoTestCols;
    c.ahead = 3;
    return ModelledUs(c);
  }
  double ToVector(uint32_t depth, uint32_t period) {
    FifoTestCase c = OneWay(Case(depth, period), /*to_cube=*/false);
    c.tiles = 64;
    c.cols = kFifoTestCols;
    return ModelledUs(c);
  }

 private:
  FifoRig rig_;
};

// Published: without credits a kernel took half the time that it took with one for each
// tile of a FIFO of depth 2 (hw-native-sys/simpler#671, #676). Modelled, a third of the
// time goes, and most of it to the depth: credits that come in time cost about 1 %.
TEST_F(FifoCost, CreditsForEachTileOfAShortFifoCostMost) {
  const double per_tile = ThereAndBack(2, 1);
  for (const uint32_t depth : {4u, 6u, 8u}) {
    const double halves = ThereAndBack(depth, depth / 2);
    const double free = ThereAndBack(depth, 0);
    std::printf(
        "modelled, depth %u: credits every half %.1f us, none %.1f us; "
        "depth 2, each tile: %.2f and %.2f times as long\n",
        depth, halves, free, per_tile / halves, per_tile / free);
    EXPECT_GT(per_tile, 1.25 * halves);
    EXPECT_GT(halves, free);
  }
}

// Published: 10 to 12 % of a kernel with a FIFO of depth 8 (PTO-ISA #172).
TEST_F(FifoCost, OneCreditForAllSlotsCostsMoreThanTwo) {
  const double whole = ToVector(8, 8), half = ToVector(8, 4);
  std::printf("modelled, depth 8, one way: one credit a turn %.2f times as long as two\n",
              whole / half);
  EXPECT_GT(whole, 1.05 * half);
  EXPECT_GT(ThereAndBack(8, 8), 1.05 * ThereAndBack(8, 4));
}

}  // namespace
}  // namespace ascend_attention
