// SPDX-License-Identifier: Apache-2.0
// Golden reports of kernels whose results depend on bytes that nobody wrote,
// and their correct twins, which must be clean.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "tools/vnpu/check/case_text.h"
#include "tools/vnpu/check/definedness_cases.h"
#include "tools/vnpu/check/definedness_checker.h"
#include "tools/vnpu/core/device.h"

namespace vnpu {
namespace {

constexpr char kSource[] = "tools/vnpu/check/definedness_cases.cce";

class DefinednessTest : public testing::Test {
 protected:
  explicit DefinednessTest(const DefinednessOptions& options = {}) {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/check/definedness_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    DeviceConfig config;
    config.host_threads = 1;
    device_ = std::make_unique<Device>(config);
    checker_ = std::make_unique<DefinednessChecker>(device_.get(), &list_, options);
    device_->AddObserver(checker_.get());
    probs_ = New("probs", 16 * kPageRows * 2, RegionRule::kReadOnly, true);
    value_ = New("value_cache", kPageBytes, RegionRule::kReadOnly, true);
    out_ = New("out", 1024, RegionRule::kOutput, false);
    scratch_ = New("workspace", 4096, RegionRule::kReadWrite, false);
  }
  ~DefinednessTest() override { device_->RemoveObserver(checker_.get()); }

  uint8_t* New(const char* name, uint64_t bytes, RegionRule rule, bool defined) {
    auto* memory = static_cast<uint8_t*>(device_->Allocate(bytes));
    EXPECT_TRUE(device_->NameRegion(memory, bytes, name, rule));
    if (defined) device_->SetDefined(memory, bytes, true);
    return memory;
  }

  // All findings of one launch.
  std::string Run(DefinednessCase which, uint32_t rows = 20) {
    const struct {
      void *probs, *value, *out, *scratch;
      uint32_t which, rows;
    } args = {probs_, value_, out_, scratch_, static_cast<uint32_t>(which), rows};
    list_.Clear();
    const LaunchResult result =
        device_->Launch(*module_->Find("definedness_cases_0"), 1, &args, sizeof(args));
    EXPECT_EQ(result.text, "");
    std::string text;
    for (const Finding& finding : list_.findings()) text += FindingText(finding);
    return text;
  }
  std::string Golden(const std::string& text) {
    return WithLines(text, kSource, "definedness_cases");
  }
  // Rows of the value page past `rows` hold what an earlier owner left.
  void StaleTail(uint32_t rows) {
    const uint64_t valid = uint64_t{rows} * kPageColumns * 2;
    std::memset(value_ + valid, 0xff, kPageBytes - valid);  // NaN
    device_->SetDefined(value_ + valid, kPageBytes - valid, false);
  }
  bool OutDefined(uint64_t bytes) {
    uint64_t any = 0;
    for (uint64_t at = 0; at < bytes; at += 64) any |= checker_->UndefinedBits(out_ + at, 64);
    return any == 0;
  }

  FindingList list_;
  std::shared_ptr<KernelModule> module_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<DefinednessChecker> checker_;
  uint8_t *probs_, *value_, *out_, *scratch_;
};

TEST_F(DefinednessTest, NanInAPageTailReachesTheOutput) {
  StaleTail(20);
  EXPECT_EQ(
      Run(DefinednessCase::kProductOfWholePage),
      Golden(R"(undefined output: bytes of value_cache + 640 that nobody has written reach out + 0
  kernel definedness_cases_0
first  block 0 AIC, pipe MTE2, instruction 1: copy_gm_to_cbuf_multi_nd2nz_b16 reads value_cache + 640 (allocation #1, 1024 bytes)
{ValuePage}
second block 0 AIC, pipe FIX, instruction 9: copy_matrix_cc_to_gm stores to out + 0 (allocation #2, 1024 bytes)
{ProductStore}
fix     use valid elements only (exact m, k, n; lane masks; burst lengths), and check the address they come from (64-bit page products)
        the same two places met 16 times
)"));
}

TEST_F(DefinednessTest, ProductOfValidRowsIsClean) {
  StaleTail(20);
  EXPECT_EQ(Run(DefinednessCase::kProductOfValidRows), "");
  EXPECT_TRUE(OutDefined(1024));
}

TEST_F(DefinednessTest, StaleColumnsInScratchAreClean) {
  StaleTail(20);
  EXPECT_EQ(Run(DefinednessCase::kProductThroughScratch), "");
  EXPECT_TRUE(OutDefined(1024));
  // The stale half of the scratch rows is still known as such.
  EXPECT_EQ(checker_->UndefinedBits(scratch_, 64), 0u);
  EXPECT_EQ(checker_->UndefinedBits(scratch_ + 64, 64), ~uint64_t{0});
}

TEST_F(DefinednessTest, BufferThatNothingHasWritten) {
  EXPECT_EQ(Run(DefinednessCase::kUnwrittenBuffer),
            Golden(R"(undefined output: bytes of UB+256 that nobody has written reach out + 0
  kernel definedness_cases_0
first  block 0 AIV0, pipe V, instruction 5: vadd reads UB+256
{Unwritten}
second block 0 AIV0, pipe MTE3, instruction 7: copy_ubuf_to_gm stores to out + 0 (allocation #2, 1024 bytes)
{UnwrittenStore}
fix     use valid elements only (exact m, k, n; lane masks; burst lengths), or fill the rest before it is used
        the same two places met 4 times
)"));
}

// Page 5 Mi is 5 GiB into the cache; 32 bits of its offset lead to another page.
TEST_F(DefinednessTest, PageOffsetIn32Bits) {
  constexpr uint32_t kPage = 5 << 20;
  value_ = New("key_cache", uint64_t{6} << 30, RegionRule::kReadOnly, false);
  device_->SetDefined(value_ + uint64_t{kPage} * kPageBytes, kPageBytes, true);
  EXPECT_EQ(Run(DefinednessCase::kPage64Bit, kPage), "");
  EXPECT_TRUE(OutDefined(kPageBytes));
  EXPECT_EQ(
      Run(DefinednessCase::kPage32Bit, kPage),
      Golden(
          R"(undefined output: bytes of key_cache + 1073741824 that nobody has written reach out + 0
  kernel definedness_cases_0
first  block 0 AIV0, pipe MTE2, instruction 3: copy_gm_to_ubuf reads key_cache + 1073741824 (allocation #4, 6442450944 bytes)
{Page}
second block 0 AIV0, pipe MTE3, instruction 5: copy_ubuf_to_gm stores to out + 0 (allocation #2, 1024 bytes)
{PageStore}
fix     use valid elements only (exact m, k, n; lane masks; burst lengths), and check the address they come from (64-bit page products)
        the same two places met 16 times
)"));
}

TEST_F(DefinednessTest, SumOverBytesBehindABurst) {
  EXPECT_EQ(Run(DefinednessCase::kSumOverDummy),
            Golden(R"(undefined output: bytes of UB+240 that nobody has written reach out + 0
  kernel definedness_cases_0
first  block 0 AIV0, pipe MTE2, instruction 3: copy_gm_to_ubuf_align_b32 leaves UB+240 behind its burst undefined
{Dummy}
second block 0 AIV0, pipe MTE3, instruction 7: copy_ubuf_to_gm_align_b32 stores to out + 0 (allocation #2, 1024 bytes)
{DummyStore}
fix     use valid elements only (exact m, k, n; lane masks; burst lengths), or fill the rest before it is used
)"));
}

TEST_F(DefinednessTest, SumOverPadsOfARegisterThatNobodySet) {
  EXPECT_EQ(Run(DefinednessCase::kSumOverUnsetPadding),
            Golden(R"(undefined output: bytes of UB+240 that nobody has written reach out + 0
  kernel definedness_cases_0
first  block 0 AIV0, pipe MTE2, instruction 3: copy_gm_to_ubuf_align_b32 leaves UB+240 behind its burst undefined
{UnsetPad}
second block 0 AIV0, pipe MTE3, instruction 7: copy_ubuf_to_gm_align_b32 stores to out + 0 (allocation #2, 1024 bytes)
{UnsetPadStore}
fix     use valid elements only (exact m, k, n; lane masks; burst lengths), or fill the rest before it is used
)"));
}

TEST_F(DefinednessTest, SumsOverPaddingAndActiveLanesAreClean) {
  EXPECT_EQ(Run(DefinednessCase::kSumBesideUnsetPadding), "");
  EXPECT_EQ(Run(DefinednessCase::kSumOverPadding), "");
  EXPECT_EQ(Run(DefinednessCase::kSumOverActiveLanes), "");
}

TEST_F(DefinednessTest, PartialTilesAreClean) {
  EXPECT_EQ(Run(DefinednessCase::kMaskedLanes), "");
  EXPECT_TRUE(OutDefined(256));
  StaleTail(20);
  EXPECT_EQ(Run(DefinednessCase::kPartialTile), "");
  EXPECT_EQ(Run(DefinednessCase::kInPlace), "");
}

TEST_F(DefinednessTest, ScalarCodeLooksAtWhatNobodyWrote) {
  EXPECT_EQ(
      Run(DefinednessCase::kScalarFlag),
      Golden(
          R"(undefined scalar: bytes of workspace + 0 that nobody has written are loaded by scalar code
  kernel definedness_cases_0
block 0 AIV0, pipe S, instruction 3: ld_dev loads, for a branch or an address, workspace + 0 (allocation #3, 4096 bytes)
{Flag}
fix     write them before they are read, or wait for whoever does
)"));
  device_->SetDefined(scratch_, 4, true);
  EXPECT_EQ(Run(DefinednessCase::kScalarFlag), "");
}

TEST_F(DefinednessTest, ScalarCodeLooksPastTheEnd) {
  scratch_ = static_cast<uint8_t*>(device_->Allocate(96, 64));
  device_->SetDefined(scratch_, 96, true);
  EXPECT_EQ(Run(DefinednessCase::kScalarPastEnd, 23), "");
  const std::string text = Run(DefinednessCase::kScalarPastEnd, 24);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "region overrun: scalar_load reads past the end of allocation #4 (96 bytes)");
  device_->NameRegion(scratch_, 96, "table", RegionRule::kReadOnly);
  EXPECT_EQ(Run(DefinednessCase::kScalarPastEnd, 24),
            Golden(
                R"(region overrun: scalar_load reads past the end of table (96 bytes)
  kernel definedness_cases_0
block 0 AIV0, pipe S, instruction 3: scalar_load loads, for a branch or an address, 0 bytes past the end of allocation #4 (table, 96 bytes)
{Past}
fix     check the index against the number of elements, its unit (bytes or elements), and the size that was booked for table
)"));
}

TEST_F(DefinednessTest, OffsetsOfAGather) {
  EXPECT_EQ(
      Run(DefinednessCase::kGatherOffsets),
      Golden(R"(undefined address: bytes of workspace + 0 that nobody has written decide an address
  kernel definedness_cases_0
first  block 0 AIV0, pipe MTE2, instruction 6: copy_gm_to_ubuf reads workspace + 0 (allocation #3, 4096 bytes)
{Offsets}
second block 0 AIV0, pipe V, instruction 8: vgather takes an address from them
{Gather}
fix     fill all offsets that are used before this instruction
        the same two places met 8 times
)"));
  EXPECT_EQ(Run(DefinednessCase::kGatherOffsetsWritten), "");
}

TEST_F(DefinednessTest, AtomicAddOntoAnOutputThatWasNotCleared) {
  EXPECT_EQ(Run(DefinednessCase::kAtomicAdd),
            Golden(R"(undefined output: bytes of out + 0 that nobody has written reach out + 0
  kernel definedness_cases_0
block 0 AIV0, pipe MTE3, instruction 7: copy_ubuf_to_gm adds to out + 0 (allocation #2, 1024 bytes), from out + 0
{Atomic}
fix     clear the output before atomics add to it, and add valid elements only
        the same two places met 4 times
)"));
  device_->SetDefined(out_, 256, true);
  EXPECT_EQ(Run(DefinednessCase::kAtomicAdd), "");
}

TEST_F(DefinednessTest, AFindingIsToldOnceAndCounted) {
  StaleTail(20);
  Run(DefinednessCase::kProductOfWholePage);
  ASSERT_EQ(list_.findings().size(), 1u);
  EXPECT_GT(list_.findings()[0].count, 1u);
}

class CompleteOutputsTest : public DefinednessTest {
 protected:
  static DefinednessOptions Options() {
    DefinednessOptions options;
    options.outputs_complete = true;
    return options;
  }
  CompleteOutputsTest() : DefinednessTest(Options()) {}
};

TEST_F(CompleteOutputsTest, ElementOffsetUsedAsByteOffset) {
  EXPECT_EQ(Run(DefinednessCase::kElementOffsetAsBytes),
            R"(output not written: 496 of 1024 bytes of out, the first at out + 528
  kernel definedness_cases_0
fix     check the unit of offsets and strides (bytes or elements) and the tail of the loop that stores out
)");
  device_->SetDefined(out_, 1024, false);
  EXPECT_EQ(Run(DefinednessCase::kByteOffset), "");
}

TEST_F(CompleteOutputsTest, AnOutputThatIsNeverWritten) {
  const void* more = device_->Allocate(64);
  ASSERT_NE(more, nullptr);
  device_->NameRegion(more, 64, "never", RegionRule::kOutput);
  EXPECT_EQ(Run(DefinednessCase::kByteOffset),
            R"(output not written: 64 of 64 bytes of never, the first at never + 0
  kernel definedness_cases_0
fix     check the unit of offsets and strides (bytes or elements) and the tail of the loop that stores never
)");
}

}  // namespace
}  // namespace vnpu
