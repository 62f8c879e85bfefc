// SPDX-License-Identifier: Apache-2.0
// FIFOs of every depth and period, in both directions, under all checkers: each
// element arrives, nothing races, all counters are 0 at the end (the virtual NPU
// faults otherwise). What the checkers say of a FIFO used wrongly: fifo_bugs_test.cc.
#include <set>
#include <tuple>

#include "ascend_kernels/cce/fifo_test_problem.h"
#include "ascend_kernels/strict_checks.h"

namespace ascend_attention {
namespace {

enum class Flow { kToVector, kToCube, kBoth };

class Fifos {
 public:
  Fifos() : session_(&rig_.device(), StrictChecks()) {}

  void ExpectCleanAndRight(const FifoTestCase& c, uint32_t num_blocks = 1, uint32_t launches = 1) {
    SCOPED_TRACE(Text(c));
    FifoProblem problem(&rig_, c, num_blocks);
    for (uint32_t launch = 0; launch < launches; ++launch) {
      const vnpu::LaunchResult result = problem.Launch(launch);
      ASSERT_EQ(result.fault, vnpu::FaultKind::kNone) << result.text;
      ASSERT_EQ(FindingsOf(session_), "");
      ASSERT_EQ(problem.FirstWrong(), "");
    }
    session_.Clear();
  }

 private:
  FifoRig rig_;
  vnpu::Session session_;
};

FifoTestCase Case(uint32_t depth, uint32_t period, Flow flow) {
  FifoTestCase c;
  c.depth = depth;
  c.period = period;
  c.to_vector = flow != Flow::kToCube;
  c.to_cube = flow != Flow::kToVector;
  return c;
}

std::vector<uint32_t> PeriodsOf(uint32_t depth) {
  std::vector<uint32_t> periods;
  for (uint32_t period = 1; period <= depth; ++period) {
    if (depth % period == 0) periods.push_back(period);
  }
  return periods;
}

// Tiles around the turns of the ring and the ends of periods.
std::set<uint32_t> TileCounts(uint32_t depth, uint32_t period) {
  std::set<uint32_t> counts = {1, 2, depth, depth + 1, 2 * depth, 3 * depth + 1};
  for (const uint32_t turn : {depth, 2 * depth}) {
    counts.insert({turn - 1, turn + period - 1, turn + period, turn + period + 1});
  }
  counts.erase(0);
  return counts;
}

class EveryDepth : public ::testing::TestWithParam<uint32_t> {
 protected:
  // How far the cube core may be ahead of the tiles that it gets back; the last is
  // the limit of fifo.h.
  static std::set<uint32_t> Leads(uint32_t period) {
    const uint32_t depth = GetParam();
    return {0, 1, depth - 1, 2 * depth - period};
  }
  // Rows: two halves, halves that differ, one vector core without rows.
  uint32_t NextRows() {
    static constexpr uint32_t kRows[] = {16, 9, 1, 15, 2};
    return kRows[next_rows_++ % 5];
  }
  Fifos fifos_;

 private:
  uint32_t next_rows_ = 0;
};

TEST_P(EveryDepth, OneDirectionWithEveryPeriod) {
  for (const uint32_t period : PeriodsOf(GetParam())) {
    for (const Flow flow : {Flow::kToVector, Flow::kToCube}) {
      for (const uint32_t tiles : TileCounts(GetParam(), period)) {
        FifoTestCase c = Case(GetParam(), period, flow);
        c.tiles = tiles;
        c.rows = NextRows();
        fifos_.ExpectCleanAndRight(c);
      }
    }
  }
}

TEST_P(EveryDepth, BothDirectionsWithEveryPeriodAndLead) {
  for (const uint32_t period : PeriodsOf(GetParam())) {
    for (const uint32_t tiles : TileCounts(GetParam(), period)) {
      for (const uint32_t ahead : Leads(period)) {
        FifoTestCase c = Case(GetParam(), period, Flow::kBoth);
        c.tiles = tiles;
        c.ahead = ahead;
        c.rows = NextRows();
        fifos_.ExpectCleanAndRight(c);
      }
    }
  }
}

// The way there and back orders a slot's loads before its next store, as long as the
// cube core is less than depth tiles ahead.
TEST_P(EveryDepth, BothDirectionsWithoutCredits) {
  for (const uint32_t tiles : TileCounts(GetParam(), 1)) {
    for (const uint32_t ahead : std::set<uint32_t>{0, GetParam() / 2, GetParam() - 1}) {
      FifoTestCase c = Case(GetParam(), 0, Flow::kBoth);
      c.tiles = tiles;
      c.ahead = ahead;
      c.rows = NextRows();
      fifos_.ExpectCleanAndRight(c);
    }
  }
}

TEST_P(EveryDepth, AThousandTiles) {
  for (const uint32_t period : PeriodsOf(GetParam())) {
    for (const Flow flow : {Flow::kToVector, Flow::kToCube, Flow::kBoth}) {
      FifoTestCase c = Case(GetParam(), period, flow);
      c.tiles = 1000;
      c.ahead = 1;
      c.rows = NextRows();
      fifos_.ExpectCleanAndRight(c);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryDepth, ::testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 15));

class EveryLocalDepth : public ::testing::TestWithParam<std::tuple<uint32_t, uint32_t, Flow>> {};

TEST_P(EveryLocalDepth, SlotsOfEveryTileSize) {
  const auto [depth, local_depth, flow] = GetParam();
  Fifos fifos;
  for (const uint32_t period : PeriodsOf(depth)) {
    for (const uint32_t rows : {16u, 7u}) {
      for (const uint32_t cols : {16u, 48u, kFifoTestCols}) {
        FifoTestCase c = Case(depth, period, flow);
        c.local_depth = local_depth;
        c.tiles = 11;
        c.ahead = depth;
        c.rows = rows;
        c.cols = cols;
        fifos.ExpectCleanAndRight(c);
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, EveryLocalDepth,
    ::testing::Combine(::testing::Range(1u, kFifoTestLocalDepths + 1), ::testing::Values(1, 2, 3),
                       ::testing::Values(Flow::kToVector, Flow::kToCube, Flow::kBoth)));

TEST(Fifo, BlocksHaveFifosOfTheirOwn) {
  Fifos fifos;
  for (const Flow flow : {Flow::kToVector, Flow::kToCube, Flow::kBoth}) {
    FifoTestCase c = Case(4, 2, flow);
    c.tiles = 21;
    c.ahead = 3;
    c.rows = 9;
    fifos.ExpectCleanAndRight(c, /*num_blocks=*/24);
    fifos.ExpectCleanAndRight(c, /*num_blocks=*/50);  // more than cores
  }
}

// With every number of tiles, hence of credits that the producer takes at its end.
TEST(Fifo, ALaunchLeavesNothingToTheNext) {
  Fifos fifos;
  for (const uint32_t period : PeriodsOf(4)) {
    for (uint32_t tiles = 1; tiles <= 13; ++tiles) {
      FifoTestCase c = Case(4, period, Flow::kBoth);
      c.tiles = tiles;
      c.ahead = 2;
      fifos.ExpectCleanAndRight(c, /*num_blocks=*/2, /*launches=*/3);
    }
  }
}

TEST(Fifo, AThousandTilesThroughOneSlotEverywhere) {
  Fifos fifos;
  FifoTestCase c = Case(1, 1, Flow::kBoth);
  c.local_depth = 1;
  c.tiles = 1000;
  fifos.ExpectCleanAndRight(c);
}

TEST(Fifo, WithoutTilesNobodyWaits) {
  Fifos fifos;
  for (const uint32_t period : {0u, 1u, 2u}) {
    FifoTestCase c = Case(2, period, Flow::kBoth);
    c.tiles = 0;
    fifos.ExpectCleanAndRight(c);
  }
}

}  // namespace
}  // namespace ascend_attention
