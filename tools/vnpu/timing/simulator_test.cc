// SPDX-License-Identifier: Apache-2.0
// Programs whose times can be worked out on paper. Cycles of 1000 ps; issue
// takes 1, a flag 10 after the results; the comments do the sums.
#include "tools/vnpu/timing/simulator.h"

#include <gtest/gtest.h>

#include "tools/vnpu/timing/testing_recording.h"

namespace vnpu {
namespace {

constexpr CoreId kAic{0, CoreRole::kAic};
constexpr CoreId kAiv0{0, CoreRole::kAiv0};

int64_t BeginOf(const Timeline& t, CoreId core, Pipe pipe, size_t i) {
  const Span* span = SpanOf(t, core, pipe, i);
  return span == nullptr ? -1 : span->begin_ps / kCycle;
}

TEST(Simulator, AnInstructionStartsWhenItIsIssued) {
  RecordingBuilder b(1, true, 0);
  b.Scalar().Scalar().Mad(8);
  const Timeline t = TimeOf(b, RoundParameters());
  const Span* mad = SpanOf(t, kAic, Pipe::kM, 0);
  ASSERT_NE(mad, nullptr);
  EXPECT_EQ(mad->begin_ps, 3 * kCycle);
  EXPECT_EQ(mad->end_ps, (3 + 8 + 2) * kCycle);
  EXPECT_EQ(mad->done_ps, (3 + 8 + 2 + 21) * kCycle);
  EXPECT_EQ(t.total_ps, mad->done_ps);
}

TEST(Simulator, APipeTakesTheNextInstructionWithoutWaitingForResults) {
  RecordingBuilder b(1, true, 0);
  b.Mad(8).Mad(8);
  const Timeline t = TimeOf(b, RoundParameters());
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 1), 1 + 10);
}

TEST(Simulator, APipeBarrierWaitsForResults) {
  RecordingBuilder b(1, true, 0);
  b.Mad(8).Barrier(Pipe::kM).Mad(8);
  const Timeline t = TimeOf(b, RoundParameters());
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 1), 1 + 10 + 21);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kM, WaitCause::kBarrier), 21 * kCycle);
}

TEST(Simulator, AFlagComesAfterTheResultsOfItsPipe) {
  RecordingBuilder b(1, true, 0);
  b.LoadL0b(4).Set(Pipe::kMte1, Pipe::kM, 0).Wait(Pipe::kMte1, Pipe::kM, 0).Mad(8);
  const Timeline t = TimeOf(b, RoundParameters());
  // Load 1 .. 18, results at 26, flag at 36.
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 0), 36);
  // The wait was issued at 3; before that, and behind its last instruction until
  // that one's results, the pipe had nothing to do.
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kM, WaitCause::kIssue), (3 + 21) * kCycle);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kM, WaitCause::kFlag), 33 * kCycle);
  ASSERT_EQ(t.arrows.size(), 1u);
  EXPECT_EQ(t.arrows[0].begin_ps, 26 * kCycle);
  EXPECT_EQ(t.arrows[0].end_ps, 36 * kCycle);
  EXPECT_EQ(t.lanes[t.arrows[0].from].pipe, static_cast<uint8_t>(Pipe::kMte1));
  EXPECT_EQ(t.lanes[t.arrows[0].to].pipe, static_cast<uint8_t>(Pipe::kM));
}

// One slot: load, multiply, load, ... in turn. Two slots: the load of the next
// runs beside the multiplication.
RecordingBuilder PingPong(uint32_t slots, uint32_t rounds) {
  RecordingBuilder b(1, true, 0);
  for (uint32_t s = 0; s < slots; ++s) b.Set(Pipe::kM, Pipe::kMte1, s);
  for (uint32_t i = 0; i < rounds; ++i) {
    const uint32_t slot = i % slots;
    b.Wait(Pipe::kM, Pipe::kMte1, slot).LoadL0b(32).Set(Pipe::kMte1, Pipe::kM, slot);
    b.Wait(Pipe::kMte1, Pipe::kM, slot).Mad(128).Set(Pipe::kM, Pipe::kMte1, slot);
  }
  for (uint32_t s = 0; s < slots; ++s) b.Wait(Pipe::kM, Pipe::kMte1, s);
  return b;
}

TEST(Simulator, OneSlotTakesTurns) {
  const Timeline t = TimeOf(PingPong(1, 8), RoundParameters());
  // Load 129, results 8, flag 10; multiply 130, results 21, flag 10.
  const int64_t round = 129 + 8 + 10 + 130 + 21 + 10;
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, i + 1) - BeginOf(t, kAic, Pipe::kM, i), round) << i;
  }
}

TEST(Simulator, TwoSlotsOverlap) {
  const Timeline t = TimeOf(PingPong(2, 12), RoundParameters());
  // A slot's own round is 308 cycles, two slots share it: one load per 154,
  // which both pipes can keep.
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 11) - BeginOf(t, kAic, Pipe::kM, 9), 308);
}

TEST(Simulator, FourSlotsAreBoundByTheSlowerPipe) {
  const Timeline t = TimeOf(PingPong(4, 16), RoundParameters());
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 15) - BeginOf(t, kAic, Pipe::kM, 14), 130);
}

TEST(Simulator, AFullQueueStopsTheScalarUnit) {
  Parameters p = RoundParameters();
  ASSERT_TRUE(p.Set("queue_depth", 2));
  RecordingBuilder b(1, true, 0);
  b.Mad(98).Mad(98).Mad(98).Mad(98).LoadL0b(4);
  const Timeline t = TimeOf(b, p);
  // First at 1..101, two wait in the queue; the fourth is issued when the
  // second begins, at 101, and the load after it.
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kMte1, 0), 103);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kS, WaitCause::kQueueFull), (101 - 3) * kCycle);
  // MTE1 stood still for the same reason.
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kMte1, WaitCause::kQueueFull), (101 - 3) * kCycle);
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 3), 301);
}

TEST(Simulator, AScalarWaitStopsIssue) {
  RecordingBuilder b(1, true, 0);
  b.Mad(98).Set(Pipe::kM, Pipe::kS, 3).Wait(Pipe::kM, Pipe::kS, 3).LoadL0b(4);
  const Timeline t = TimeOf(b, RoundParameters());
  // Multiply 1..101, results 122, flag 132, the wait itself 1, issue 1.
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kMte1, 0), 134);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kS, WaitCause::kFlag), (132 - 2) * kCycle);
}

TEST(Simulator, BarrierAllDrainsEveryPipe) {
  RecordingBuilder b(1, true, 0);
  b.Mad(98).LoadL0b(100).Barrier(Pipe::kAll).Mad(8);
  const Timeline t = TimeOf(b, RoundParameters());
  // The load: 2..403, results 411; then barrier and issue.
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 1), 413);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kS, WaitCause::kBarrier), (411 - 2) * kCycle);
}

TEST(Simulator, ASignalCrossesToBothVectorCoresAndBack) {
  RecordingBuilder b(1, true, 2);
  b.On(0).Mad(98).Signal(Pipe::kM, 2, 4).Await(5).Mad(8);
  b.On(1).Await(4).Vector(VNPU_INSN_vadds, 64).Signal(Pipe::kV, 2, 5);
  b.On(2).Await(4).Vector(VNPU_INSN_vadds, 128).Signal(Pipe::kV, 2, 5);
  const Timeline t = TimeOf(b, RoundParameters());
  // AIC: 1..101, results 122; AIVs go on at 222, wait and issue 1 each.
  EXPECT_EQ(BeginOf(t, kAiv0, Pipe::kV, 0), 224);
  // AIV1 is later: 224..352, results at 224 + 31 + 128 = 383; AIC at 483.
  EXPECT_EQ(BeginOf(t, kAic, Pipe::kM, 1), 485);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kS, WaitCause::kCrossCore), (483 - 2) * kCycle);
  uint32_t from = 0;
  for (const Wait& wait : t.waits) {
    if (wait.end_ps == 483 * kCycle && t.lanes[wait.lane].pipe == 0) from = wait.from;
  }
  EXPECT_EQ(t.lanes[from].role, static_cast<uint8_t>(CoreRole::kAiv1));
}

TEST(Simulator, ModeOneMeetsBetweenTheVectorCoresOfABlock) {
  RecordingBuilder b(2, false, 2);
  b.On(0).Vector(VNPU_INSN_vadds, 10).Signal(Pipe::kV, 1, 0).Await(0);
  b.On(1).Vector(VNPU_INSN_vadds, 100).Signal(Pipe::kV, 1, 0).Await(0);
  b.On(2).Vector(VNPU_INSN_vadds, 10).Signal(Pipe::kV, 1, 0).Await(0);
  b.On(3).Vector(VNPU_INSN_vadds, 10).Signal(Pipe::kV, 1, 0).Await(0);
  const Timeline t = TimeOf(b, RoundParameters());
  // 1 + 31 + 100 + 100 + 1; the other block does not wait for it.
  EXPECT_EQ(t.core_end_ps[0], 233 * kCycle);
  EXPECT_EQ(t.core_end_ps[2], 143 * kCycle);
}

TEST(Simulator, ModeZeroMeetsAcrossBlocks) {
  RecordingBuilder b(3, false, 1);
  for (uint32_t core = 0; core < 3; ++core) {
    b.On(core).Vector(VNPU_INSN_vadds, 10 * (core + 1)).Signal(Pipe::kV, 0, 14).Await(14);
  }
  const Timeline t = TimeOf(b, RoundParameters());
  for (const int64_t end : t.core_end_ps) EXPECT_EQ(end, (1 + 31 + 30 + 500 + 1) * kCycle);
  EXPECT_EQ(WaitOf(t, kAiv0, Pipe::kS, WaitCause::kBarrier), (1 + 31 + 30 + 500 - 2) * kCycle);
}

TEST(Simulator, ABarrierOfMoreBlocksThanRunAtOnceIsAnError) {
  Parameters p = RoundParameters();
  ASSERT_TRUE(p.Set("num_cores", 1));
  RecordingBuilder b(2, true, 0);
  b.On(0).Signal(Pipe::kM, 0, 1).Await(1);
  b.On(1).Signal(Pipe::kM, 0, 1).Await(1);
  L2State l2;
  Timeline t;
  std::string error;
  EXPECT_FALSE(Simulate(b.recording(), p, &l2, &t, &error));
  EXPECT_EQ(error,
            "timing: the launch of by_hand does not end on Ascend910B1: AIC of block 0 of 2 stands "
            "at wait_flag_dev; 1 blocks run at once");
}

TEST(Simulator, MoreBlocksThanCoresRunInTurn) {
  Parameters p = RoundParameters();
  ASSERT_TRUE(p.Set("num_cores", 2) && p.Set("launch_next_block_us", 1));
  RecordingBuilder b(3, true, 0);
  for (uint32_t core = 0; core < 3; ++core) b.On(core).Mad(98 * (core + 1));
  const Timeline t = TimeOf(b, p);
  // Block 0 ends at 1 + 100 + 21; block 2 begins 1 us later.
  EXPECT_EQ(BeginOf(t, CoreId{2, CoreRole::kAic}, Pipe::kM, 0), 122 + 1000 + 1);
}

TEST(Simulator, VectorKernelsHaveTwoPlacesPerCore) {
  Parameters p = RoundParameters();
  ASSERT_TRUE(p.Set("num_cores", 2));
  RecordingBuilder b(4, false, 1);
  for (uint32_t core = 0; core < 4; ++core) b.On(core).Vector(VNPU_INSN_vadds, 10);
  const Timeline t = TimeOf(b, p);
  for (const int64_t end : t.core_end_ps) EXPECT_EQ(end, 42 * kCycle);
}

TEST(Simulator, LaunchCostsOfAnEmptyKernel) {
  Parameters p;
  std::string error;
  ASSERT_TRUE(ParametersOf("Ascend910B1", &p, &error));
  RecordingBuilder b(24, true, 2);
  const Timeline t = TimeOf(b, p);
  // CATLASS: 20-21 us as seen in the profiler, all cores, MIX.
  EXPECT_NEAR(static_cast<double>(t.total_ps) * 1e-6, 20, 1);
  const Timeline one = TimeOf(RecordingBuilder(1, true, 2), p);
  EXPECT_LT(one.total_ps, t.total_ps);
}

}  // namespace
}  // namespace vnpu
