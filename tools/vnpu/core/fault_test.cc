// SPDX-License-Identifier: Apache-2.0
// One minimal bad kernel per fault, with the whole report as golden text; those
// of synchronisation are in sync_fault_test.cc.
#include <fstream>
#include <iterator>

#include "tools/vnpu/core/fault_harness.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

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

TEST_F(FaultTest, MisalignedScalarLoad) {
  Expect(
      FaultCase::kScalarMisaligned, FaultKind::kException,
      R"(misaligned: ld_dev operand address at allocation #0 (4096 bytes) + 6 must be a multiple of 4 bytes
  kernel fault_cases_0, block 0 of 2, AIV0, pipe S, instruction 0
  ld_dev(address=GM[allocation #0 (4096 bytes) + 6], offset=0, size=4)
{ScalarMisaligned}
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

// A frame may be larger than the guard page: it must not jump over it.
TEST_F(FaultTest, FramesLargerThanTheStack) {
  for (const FaultCase which : {FaultCase::kFrame1M, FaultCase::kFrame8M, FaultCase::kFrame256M,
                                FaultCase::kFrameDynamic}) {
    const LaunchResult result = Run(which);
    EXPECT_EQ(result.fault, FaultKind::kException);
    EXPECT_EQ(result.text.substr(0, result.text.find('\n')),
              "stack overflow: the scalar program needs more than 262144 bytes")
        << result.text;
  }
  const LaunchResult after = Run(FaultCase::kNone);
  EXPECT_EQ(after.fault, FaultKind::kNone) << after.text;
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
