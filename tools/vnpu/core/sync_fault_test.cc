// SPDX-License-Identifier: Apache-2.0
// One minimal bad kernel per mistake with flags, barriers and cross-core flags,
// with the whole report as golden text.
#include "tools/vnpu/core/fault_harness.h"

namespace vnpu {
namespace {

TEST_F(FaultTest, FlagSetTwice) {
  Expect(FaultCase::kDoubleSet, FaultKind::kException,
         R"(flag set twice: MTE2->V EVENT_ID3 is one bit, and V has not waited since it was set here
{DoubleSetFirst}
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE2, instruction 1
  set_flag(src=MTE2, dst=V, event=3)
{DoubleSet}
fix     wait_flag between the two sets, or use another event: one event holds one slot
)");
}

TEST_F(FaultTest, FlagLeftAtTheEnd) {
  Expect(FaultCase::kLeftover, FaultKind::kException,
         R"(leftover flags: set at the end of the kernel, they would leak into the next one
  V->MTE3 EVENT_ID1, set here and never waited for
{Leftover}
  kernel fault_cases_0, block 0 of 2, AIV0
fix     wait for every flag that is set, or do not set it in the last round
)");
}

TEST_F(FaultTest, DeadlockOfAPipe) {
  Expect(FaultCase::kPipeDeadlock, FaultKind::kDeadlock,
         R"(deadlock: 4 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
block 0 AIV0, block 0 AIV1, block 1 AIV0, block 1 AIV1
  scalar unit waits in pipe_barrier for the pipes below
{PipeDeadlock}
  pipe V waits for flag MTE2->V EVENT_ID2, which is not set
{PipeDeadlockWait}
cycle in block 0:
  AIV0 scalar unit waits in pipe_barrier for pipe V
  AIV0 pipe V waits for flag MTE2->V EVENT_ID2, which AIV0 scalar unit has not come to set
fix     set the flag before it is waited for; each wait_flag takes one set_flag with the same pipes and event
)");
}

TEST_F(FaultTest, DeadlockOfTheScalarUnit) {
  Expect(FaultCase::kScalarDeadlock, FaultKind::kDeadlock,
         R"(deadlock: 4 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
block 0 AIV0, block 0 AIV1, block 1 AIV0, block 1 AIV1
  scalar unit waits for flag V->S EVENT_ID0, which is not set
{ScalarDeadlock}
cycle in block 0:
  AIV0 scalar unit waits for flag V->S EVENT_ID0, which AIV0 scalar unit has not come to set
fix     set the flag before it is waited for; each wait_flag takes one set_flag with the same pipes and event
)");
}

TEST_F(FaultTest, BlockedPipeAtTheEnd) {
  Expect(FaultCase::kEndDeadlock, FaultKind::kDeadlock,
         R"(deadlock: 4 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
block 0 AIV0, block 0 AIV1, block 1 AIV0, block 1 AIV1
  has ended with blocked pipes
  pipe MTE2 waits for flag MTE3->MTE2 EVENT_ID5, which is not set
{EndDeadlock}
nobody sets, in block 0:
  AIV0 pipe MTE2 waits for flag MTE3->MTE2 EVENT_ID5, which AIV0 has ended without setting
fix     set the flag before it is waited for; each wait_flag takes one set_flag with the same pipes and event
)");
}

TEST_F(FaultTest, OnlyOneAivSignals) {
  Expect(FaultCase::kOneAivSignals, FaultKind::kDeadlock,
         R"(deadlock: 2 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
block 0 AIC, block 1 AIC
  scalar unit waits in wait_flag_dev for cross-core flag 4, whose counter is 0: AIV0 has set it, AIV1 has not
{c:OneAivSignals}
nobody sets, in block 0:
  AIC scalar unit waits for cross-core flag 4, which AIV1 has ended without setting
fix     one side must signal before it waits; each wait_flag_dev takes one ffts_cross_core_sync of the other side (of both AIVs in mode 2)
)");
}

TEST_F(FaultTest, CubeAndVectorWaitForEachOther) {
  Expect(FaultCase::kCrossCoreCycle, FaultKind::kDeadlock,
         R"(deadlock: 6 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
block 0 AIC, block 1 AIC
  scalar unit waits in wait_flag_dev for cross-core flag 3, whose counter is 0
{c:CycleAic}
block 0 AIV0, block 0 AIV1, block 1 AIV0, block 1 AIV1
  scalar unit waits in wait_flag_dev for cross-core flag 4, whose counter is 0
{CycleAiv}
cycle in block 0:
  AIC scalar unit waits for cross-core flag 3, which AIV0 scalar unit has not come to set
  AIV0 scalar unit waits for cross-core flag 4, which AIC scalar unit has not come to set
fix     one side must signal before it waits; each wait_flag_dev takes one ffts_cross_core_sync of the other side (of both AIVs in mode 2)
)");
}

TEST_F(FaultTest, TwoPipesWaitForEachOther) {
  Expect(FaultCase::kPipeCycle, FaultKind::kDeadlock,
         R"(deadlock: 4 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
block 0 AIV0, block 0 AIV1, block 1 AIV0, block 1 AIV1
  scalar unit waits in pipe_barrier for the pipes below
{PipeCycle}
  pipe V waits for flag MTE2->V EVENT_ID0, which is not set
{PipeCycleV}
  pipe MTE2 waits for flag V->MTE2 EVENT_ID1, which is not set
{PipeCycleMte2}
cycle in block 0:
  AIV0 pipe V waits for flag MTE2->V EVENT_ID0, which AIV0 pipe MTE2 sets behind a wait of its own
  AIV0 pipe MTE2 waits for flag V->MTE2 EVENT_ID1, which AIV0 pipe V sets behind a wait of its own
fix     set the flag before it is waited for; each wait_flag takes one set_flag with the same pipes and event
)");
}

TEST_F(FaultTest, CreditsLeftAtTheEnd) {
  Expect(
      FaultCase::kCredits, FaultKind::kException,
      R"(leftover cross-core flag: counter 5 of AIC is 2 at the end of the kernel; the next kernel would not wait
  set last by AIV1 here
{Credits}
  kernel fault_cases_0, block 0 of 2, AIC
fix     wait_flag_dev once per set: the receiver of credits takes as many as were handed out before it ends
)");
  EXPECT_EQ(Run(FaultCase::kCreditsTaken).text, "");
}

TEST_F(FaultTest, BarrierOf22Of24Cores) {
  DeviceConfig config;
  config.num_cores = 24;
  config.host_threads = 2;
  device_ = std::make_unique<Device>(config);
  gm_ = device_->Allocate(4096);
  Expect(FaultCase::kAbsentBlocks, FaultKind::kDeadlock,
         R"(deadlock: 22 of 72 cores wait and no core can go on
  kernel fault_cases_0, 24 blocks
barrier of all AICs on cross-core flag 7: 22 of 24 have arrived; missing: block 22 AIC, block 23 AIC
block 0 AIC, block 1 AIC, block 2 AIC, block 3 AIC, block 4 AIC, block 5 AIC, block 6 AIC and 15 more
  scalar unit waits in wait_flag_dev for cross-core flag 7, whose counter is 0
{c:AbsentBlocks}
fix     every core of the kind that was launched must set a mode-0 flag: none may return before it
)",
         24);
}

TEST_F(FaultTest, CounterBeyondFourBits) {
  Expect(
      FaultCase::kCounterOverflow, FaultKind::kException,
      R"(counter overflow: cross-core flag 3 of AIV0 of block 0 already has 15 sets that nobody has waited for
  kernel fault_cases_0, block 0 of 2, AIC, pipe FIX, instruction 15
  ffts_cross_core_sync(pipe=FIX, config=801)
{c:CounterOverflow}
fix     let the receiver signal back (a credit) before the sender is 15 sets ahead
)");
}

TEST_F(FaultTest, CounterLeftAtTheEnd) {
  Expect(
      FaultCase::kCounterLeftover, FaultKind::kException,
      R"(leftover cross-core flag: counter 3 of AIV0 is 1 at the end of the kernel; the next kernel would not wait
  set last by AIC here
{c:CounterLeftover}
  kernel fault_cases_0, block 0 of 2, AIV0
fix     wait_flag_dev once per set: the receiver of credits takes as many as were handed out before it ends
)");
}

TEST_F(FaultTest, CoreAbsentFromTheBarrier) {
  Expect(FaultCase::kAbsentCore, FaultKind::kDeadlock,
         R"(deadlock: 3 of 6 cores wait and no core can go on
  kernel fault_cases_0, 2 blocks
barrier of all AIVs on cross-core flag 7: 3 of 4 have arrived; missing: block 1 AIV1
block 0 AIV0, block 0 AIV1, block 1 AIV0
  scalar unit waits in wait_flag_dev for cross-core flag 7, whose counter is 0
{AbsentCore}
fix     every core of the kind that was launched must set a mode-0 flag: none may return before it
)");
}

TEST_F(FaultTest, BarrierOfMoreBlocksThanCores) {
  Expect(
      FaultCase::kTooManyBlocks, FaultKind::kException,
      R"(barrier cannot complete: mode 0 waits for all 5 blocks of the launch, but only 4 run at a time
  kernel fault_cases_0, block 0 of 5, AIV0, pipe MTE3, instruction 0
  ffts_cross_core_sync(pipe=MTE3, config=1793)
{TooManyBlocks}
)",
      5);
}

TEST_F(FaultTest, CrossCoreConfigWithoutMeaning) {
  Expect(
      FaultCase::kBadConfig, FaultKind::kException,
      R"(bad argument: ffts_cross_core_sync config 49 is not 1 | mode << 4 | flag << 8 with mode 0..2, flag 0..15
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE3, instruction 0
  ffts_cross_core_sync(pipe=MTE3, config=49)
{BadConfig}
)");
}

}  // namespace
}  // namespace vnpu
