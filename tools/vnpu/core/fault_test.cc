// SPDX-License-Identifier: Apache-2.0
// One minimal bad kernel per fault, with the whole report as golden text. In
// the texts, {Name} is the line of `@Name` in fault_cases.cce and {entry...} the
// line of the entry that called it.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/fault_cases.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

constexpr char kSource[] = "tools/vnpu/core/fault_cases.cce";

// Marker lines of the kernel source.
std::map<std::string, int> Markers() {
  std::map<std::string, int> lines;
  std::ifstream file(kSource);
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, std::regex("// @(\\w+)"))) lines[match[1]] = line;
    if (text.find("  VectorCases(gm") == 0) lines["aiv"] = line;
    if (text.find("  CubeCases(gm") == 0) lines["aic"] = line;
  }
  return lines;
}

// "{UbBounds}" -> the two frames of a case on an AIV, "{c:L1Bounds}" on an AIC.
std::string Expand(std::string text) {
  const std::map<std::string, int> lines = Markers();
  std::smatch match;
  while (std::regex_search(text, match, std::regex("\\{(c:)?(\\w+)\\}\n"))) {
    const bool cube = match[1].matched;
    const auto line = lines.find(match[2]);
    EXPECT_NE(line, lines.end()) << match[2];
    if (line == lines.end()) return text;
    const std::string frames = std::string("  at ") + kSource + ":" + std::to_string(line->second) +
                               (cube ? " (CubeCases)" : " (VectorCases)") + "\n  in " + kSource +
                               ":" + std::to_string(lines.at(cube ? "aic" : "aiv")) +
                               " (fault_cases)\n";
    text = match.prefix().str() + frames + match.suffix().str();
  }
  return text;
}

class FaultTest : public testing::Test {
 protected:
  FaultTest() {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/core/fault_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    DeviceConfig config;
    config.num_cores = 4;
    config.host_threads = 2;
    device_ = std::make_unique<Device>(config);
    gm_ = device_->Allocate(4096);
  }
  LaunchResult Run(FaultCase which, uint32_t blocks = 2) {
    const struct {
      void* gm;
      uint32_t which;
    } args = {gm_, static_cast<uint32_t>(which)};
    return device_->Launch(*module_->Find("fault_cases_0"), blocks, &args, sizeof(args));
  }
  void Expect(FaultCase which, FaultKind kind, const std::string& golden, uint32_t blocks = 2) {
    const LaunchResult result = Run(which, blocks);
    EXPECT_EQ(result.fault, kind);
    EXPECT_EQ(result.text, Expand(golden));
    // The machine lives on, and nothing of the fault is left in it.
    const LaunchResult after = Run(FaultCase::kNone);
    EXPECT_EQ(after.fault, FaultKind::kNone) << after.text;
  }

  std::shared_ptr<KernelModule> module_;
  std::unique_ptr<Device> device_;
  void* gm_;
};

TEST_F(FaultTest, UbWriteBeyondTheBuffer) {
  Expect(
      FaultCase::kUbBounds, FaultKind::kException,
      R"(out of bounds: copy_gm_to_ubuf writes UB [196576, 196640), which has 196608 bytes (operand dst)
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE2, instruction 0
  copy_gm_to_ubuf(dst=UB+196576, src=GM[allocation #0 (4096 bytes) + 0], sid=0, nBurst=1, lenBurst=2, srcGap=0, dstGap=0)
{UbBounds}
)");
}

TEST_F(FaultTest, GmWriteBeyondTheAllocation) {
  Expect(
      FaultCase::kGmBounds, FaultKind::kException,
      R"(out of bounds: copy_ubuf_to_gm writes 64 bytes of GM at allocation #0 (4096 bytes) + 4064 (operand dst)
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE3, instruction 0
  copy_ubuf_to_gm(dst=GM[allocation #0 (4096 bytes) + 4064], src=UB+0, sid=0, nBurst=2, lenBurst=1, srcGap=0, dstGap=0)
{GmBounds}
)");
}

TEST_F(FaultTest, FreedAllocation) {
  device_->Free(gm_);
  const LaunchResult result = Run(FaultCase::kMisaligned);
  EXPECT_EQ(result.fault, FaultKind::kException);
  EXPECT_EQ(result.text.substr(0, result.text.find('\n')),
            "out of bounds: copy_gm_to_ubuf reads 32 bytes of GM at freed allocation #0 (4096 "
            "bytes) + 0 (operand src)");
}

TEST_F(FaultTest, MisalignedOperand) {
  Expect(FaultCase::kMisaligned, FaultKind::kException,
         R"(misaligned: copy_gm_to_ubuf operand dst at UB+16 must be a multiple of 32 bytes
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE2, instruction 0
  copy_gm_to_ubuf(dst=UB+16, src=GM[allocation #0 (4096 bytes) + 0], sid=0, nBurst=1, lenBurst=1, srcGap=0, dstGap=0)
{Misaligned}
)");
}

TEST_F(FaultTest, FieldWiderThanHardware) {
  Expect(FaultCase::kField, FaultKind::kException,
         R"(argument out of range: vadds repeat = 300, allowed 0..255
  kernel fault_cases_0, block 0 of 2, AIV0, pipe V, instruction 1
  vadds(dst=UB+0, src=UB+0, scalar=1, repeat=300, dstBlk=1, srcBlk=1, dstRep=8, srcRep=8)
{Field}
)");
}

TEST_F(FaultTest, NegativeCount) {
  Expect(FaultCase::kNegative, FaultKind::kException,
         R"(argument out of range: copy_gm_to_ubuf lenBurst = -1, allowed 0..65535
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE2, instruction 0
  copy_gm_to_ubuf(dst=UB+0, src=GM[allocation #0 (4096 bytes) + 0], sid=0, nBurst=1, lenBurst=-1, srcGap=0, dstGap=0)
{Negative}
)");
}

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

// The instruction waited in a queue while the scalar unit went on: the report
// names its own line and the mask it was issued with.
TEST_F(FaultTest, QueuedInstructionNamesItsOwnLine) {
  Expect(FaultCase::kDeferred, FaultKind::kException,
         R"(out of bounds: vadds reads UB [196544, 196800), which has 196608 bytes (operand src)
  kernel fault_cases_0, block 0 of 2, AIV0, pipe V, instruction 2
  vadds(dst=UB+0, src=UB+196544, scalar=1, repeat=1, dstBlk=1, srcBlk=1, dstRep=8, srcRep=8)
{Deferred}
)");
}

TEST_F(FaultTest, Trap) {
  Expect(FaultCase::kTrap, FaultKind::kTrap,
         R"(trap: the kernel called trap()
  kernel fault_cases_0, block 0 of 2, AIV0, pipe S, instruction 0
  trap()
{Trap}
)");
}

// Scalar faults have the line of the access itself, and the last intrinsic.
TEST_F(FaultTest, ScalarAccessBeyondTheAllocation) {
  const int line = Markers().at("ScalarGm") + 1;
  Expect(
      FaultCase::kScalarGm, FaultKind::kException,
      R"(out of bounds: scalar access to GM at 512 bytes past the end of allocation #0 (4096 bytes)
  at tools/vnpu/core/fault_cases.cce:)" +
          std::to_string(line) + R"(
  after instruction 0, pipe_barrier, issued
{ScalarGm}
  kernel fault_cases_0, block 0 of 2, AIV0
)");
}

TEST_F(FaultTest, ScalarAccessBeyondUb) {
  Expect(
      FaultCase::kScalarUb, FaultKind::kException,
      R"(out of bounds: scalar_store_ub writes UB [196606, 196610), which has 196608 bytes (operand address)
  kernel fault_cases_0, block 0 of 2, AIV0, pipe S, instruction 0
  scalar_store_ub(address=UB+196606, size=4)
{ScalarUb}
)");
}

TEST_F(FaultTest, ScalarAccessThroughNoGmPointer) {
  const LaunchResult result = Run(FaultCase::kScalarNull);
  EXPECT_EQ(result.fault, FaultKind::kException);
  EXPECT_EQ(result.text.substr(0, result.text.find('\n')),
            "out of bounds: scalar access to GM at address 64, which is null or an on-chip offset");
}

// Hardware goes on; so does the machine, and says so once.
TEST_F(FaultTest, DivisionByZeroIsANote) {
  const LaunchResult result = Run(FaultCase::kDivision);
  EXPECT_EQ(result.fault, FaultKind::kNone) << result.text;
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_EQ(
      result.notes[0],
      Expand(
          R"(integer division by zero in scalar code: hardware goes on with an arbitrary quotient, here with all bits set
  kernel fault_cases_0, block 0 of 2, AIV0
{Division}
)"));
  EXPECT_TRUE(Run(FaultCase::kNone).notes.empty());
}

TEST_F(FaultTest, StackOverflow) {
  const LaunchResult result = Run(FaultCase::kStack);
  EXPECT_EQ(result.fault, FaultKind::kException);
  EXPECT_EQ(result.text.substr(0, result.text.find('\n')),
            "stack overflow: the scalar program needs more than 262144 bytes");
}

TEST_F(FaultTest, IntrinsicOfTheOtherCore) {
  Expect(FaultCase::kWrongCore, FaultKind::kException,
         R"(wrong core: set_nd_para runs on AIC only
  kernel fault_cases_0, block 0 of 2, AIV0, pipe S, instruction 0
  set_nd_para(value=1)
{WrongCore}
)");
}

TEST_F(FaultTest, PipeOfTheOtherCore) {
  Expect(
      FaultCase::kWrongPipe, FaultKind::kException,
      R"(bad argument: pipe_barrier names pipe MTE1, which an AIV (S, V, MTE2, MTE3) does not have
  kernel fault_cases_0, block 0 of 2, AIV0, pipe S, instruction 0
  pipe_barrier(pipe=MTE1)
{WrongPipe}
)");
}

TEST_F(FaultTest, MaskNeverSet) {
  Expect(
      FaultCase::kNoMask, FaultKind::kException,
      R"(undefined register: vadds needs set_vector_mask before it: its value at kernel start is whatever the last kernel left
  kernel fault_cases_0, block 0 of 2, AIV0, pipe V, instruction 0
  vadds(dst=UB+0, src=UB+0, scalar=1, repeat=1, dstBlk=1, srcBlk=1, dstRep=8, srcRep=8)
{NoMask}
)");
}

TEST_F(FaultTest, PadValueNeverSet) {
  Expect(
      FaultCase::kNoPad, FaultKind::kException,
      R"(undefined register: copy_gm_to_ubuf_align_b16 needs set_mov_pad_val before it: its value at kernel start is whatever the last kernel left
  kernel fault_cases_0, block 0 of 2, AIV0, pipe MTE2, instruction 0
  copy_gm_to_ubuf_align_b16(dst=UB+0, src=GM[allocation #0 (4096 bytes) + 0], sid=0, nBurst=1, lenBurst=30, leftPad=0, rightPad=1, srcGap=0, dstGap=0)
{NoPad}
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

TEST_F(FaultTest, L1WriteBeyondTheBuffer) {
  Expect(
      FaultCase::kL1Bounds, FaultKind::kException,
      R"(out of bounds: copy_gm_to_cbuf_multi_nd2nz_b16 writes L1 [523264, 524800), which has 524288 bytes (operand dst)
  kernel fault_cases_0, block 0 of 2, AIC, pipe MTE2, instruction 0
  copy_gm_to_cbuf_multi_nd2nz_b16(dst=L1+523264, src=GM[allocation #0 (4096 bytes) + 0], sid=0, ndNum=1, nValue=16, dValue=48, srcNdMatrixStride=0, srcDValue=48, dstNzC0Stride=16, dstNzNStride=1, dstNzMatrixStride=0)
{c:L1Bounds}
)");
}

TEST_F(FaultTest, L0cMisaligned) {
  Expect(FaultCase::kL0cMisaligned, FaultKind::kException,
         R"(misaligned: mad operand c at L0C+64 must be a multiple of 1024 bytes
  kernel fault_cases_0, block 0 of 2, AIC, pipe M, instruction 0
  mad(c=L0C+64, a=L0A+0, b=L0B+0, m=16, k=16, n=16, unitFlag=0, kDirectionAlign=0, cmatrixSource=0, cmatrixInitVal=1)
{c:L0cMisaligned}
)");
}

TEST_F(FaultTest, L0aReadBeyondTheBuffer) {
  Expect(FaultCase::kL0aBounds, FaultKind::kException,
         R"(out of bounds: mad reads L0A [65024, 66048), which has 65536 bytes (operand a)
  kernel fault_cases_0, block 0 of 2, AIC, pipe M, instruction 0
  mad(c=L0C+0, a=L0A+65024, b=L0B+0, m=32, k=16, n=16, unitFlag=0, kDirectionAlign=0, cmatrixSource=0, cmatrixInitVal=1)
{c:L0aBounds}
)");
}

TEST_F(FaultTest, RowPitchBeyondSixteenBits) {
  Expect(
      FaultCase::kSrcStride, FaultKind::kException,
      R"(argument out of range: copy_gm_to_cbuf_multi_nd2nz_b16 srcDValue = 65536, allowed 0..65535
  kernel fault_cases_0, block 0 of 2, AIC, pipe MTE2, instruction 0
  copy_gm_to_cbuf_multi_nd2nz_b16(dst=L1+0, src=GM[allocation #0 (4096 bytes) + 0], sid=0, ndNum=1, nValue=1, dValue=16, srcNdMatrixStride=0, srcDValue=65536, dstNzC0Stride=16, dstNzNStride=1, dstNzMatrixStride=0)
{c:SrcStride}
)");
}

TEST_F(FaultTest, LowestBlockAndCoreIsReported) {
  for (uint32_t threads : {1u, 2u, 4u}) {
    DeviceConfig config;
    config.host_threads = threads;
    device_ = std::make_unique<Device>(config);
    gm_ = device_->Allocate(4096);
    for (int round = 0; round < 5; ++round) {
      const LaunchResult result = Run(FaultCase::kLateTrap, 12);
      EXPECT_EQ(result.fault, FaultKind::kTrap);
      EXPECT_EQ(result.text, Expand(R"(trap: the kernel called trap()
  kernel fault_cases_0, block 0 of 12, AIV1, pipe S, instruction 27
  trap()
{LateTrap}
)"));
    }
  }
}

TEST_F(FaultTest, EndlessProgramsRunOutOfTime) {
  DeviceConfig config;
  config.host_threads = 2;
  config.launch_timeout_seconds = 0.2;
  device_ = std::make_unique<Device>(config);
  gm_ = device_->Allocate(4096);
  for (FaultCase which :
       {FaultCase::kEndlessScalar, FaultCase::kEndlessPolls, FaultCase::kEndlessIssues}) {
    const LaunchResult result = Run(which);
    EXPECT_EQ(result.fault, FaultKind::kDeadlock);
    EXPECT_EQ(result.text.substr(0, 47), "timeout: the launch has not ended after 0.2 s; ");
    if (which == FaultCase::kEndlessScalar) {
      const std::string line = std::to_string(Markers().at("EndlessScalar") + 1);
      EXPECT_NE(result.text.find("fault_cases.cce:" + line + "\n"), std::string::npos)
          << result.text;
    }
    const LaunchResult after = Run(FaultCase::kNone);
    EXPECT_EQ(after.fault, FaultKind::kNone) << after.text;
  }
}

TEST_F(FaultTest, TooFewArgumentBytes) {
  const LaunchResult result = device_->Launch(*module_->Find("fault_cases_0"), 1, &gm_, 8);
  EXPECT_EQ(result.fault, FaultKind::kException);
  EXPECT_EQ(
      result.text,
      "bad launch: kernel fault_cases_0 with 1 blocks and 8 argument bytes; it needs at least "
      "1 block and 12 bytes\n");
}

TEST(KernelModule, RefusesWhatIsNoKernelOfThisHost) {
  std::string error;
  EXPECT_EQ(KernelModule::LoadBytes(
                "not an ELF file at all, but long enough to have a header......", 64, &error),
            nullptr);
  EXPECT_EQ(error, "kernel: kernel binary is no ELF file (64 bytes)");
  // The header of a device ELF: 64-bit, machine 0x1029.
  std::string elf(64, '\0');
  elf.replace(0, 5,
              "\x7f"
              "ELF\x02");
  elf[18] = 0x29;
  elf[19] = 0x10;
  EXPECT_EQ(KernelModule::LoadBytes(elf.data(), elf.size(), &error), nullptr);
  EXPECT_EQ(error.substr(0, 46), "kernel: kernel binary has ELF machine 4137, th");
  EXPECT_NE(error.find("without --config=a2"), std::string::npos);
  EXPECT_EQ(KernelModule::LoadFile("no/such/kernel.so", &error), nullptr);
  EXPECT_EQ(error, "no/such/kernel.so: cannot open kernel binary: No such file or directory");
}

TEST(KernelModule, RefusesAFileThatIsCutShort) {
  std::ifstream file("tools/vnpu/core/fault_cases.so", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  ASSERT_GT(bytes.size(), 4096u);
  std::string error;
  for (const size_t size : {size_t{64}, size_t{1000}, size_t{4096}, bytes.size() - 1}) {
    EXPECT_EQ(KernelModule::LoadBytes(bytes.data(), size, &error), nullptr) << size;
    EXPECT_EQ(error, "kernel: kernel binary is cut short: it has " + std::to_string(size) +
                         " bytes of at least " + std::to_string(bytes.size()) +
                         "; build or install it again");
  }
}

// The table of intrinsics is part of the binary interface.
TEST(KernelModule, RefusesAKernelOfAnotherTable) {
  std::ifstream file("tools/vnpu/core/fault_cases.so", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const uint64_t hash = VnpuTableHash();
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&hash), sizeof(hash)));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  std::string error;
  EXPECT_EQ(KernelModule::LoadBytes(bytes.data(), bytes.size(), &error), nullptr);
  EXPECT_EQ(error,
            "kernel: kernel library was built for another version of the virtual NPU: build it "
            "again");
}

TEST(KernelModule, BytesAndFileGiveTheSameKernel) {
  std::ifstream file("tools/vnpu/core/fault_cases.so", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::string error;
  const auto module = KernelModule::LoadBytes(bytes.data(), bytes.size(), &error);
  ASSERT_NE(module, nullptr) << error;
  EXPECT_NE(module->Find("fault_cases_0"), nullptr);
  EXPECT_EQ(module->Find("fault_cases_1"), nullptr);
  EXPECT_EQ(module->Find("fault_cases"), nullptr);
}

}  // namespace
}  // namespace vnpu
