// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/memory_checker.h"

#include <gtest/gtest.h>

#include <memory>

#include "tools/vnpu/check/case_text.h"
#include "tools/vnpu/check/memory_cases.h"
#include "tools/vnpu/core/device.h"

namespace vnpu {
namespace {

constexpr uint64_t kBytes = 64 * 1024;

class MemoryCheckerTest : public testing::Test {
 protected:
  MemoryCheckerTest() : checker_(&list_) {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/check/memory_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    DeviceConfig config;
    config.host_threads = 1;
    device_ = std::make_unique<Device>(config);
    device_->AddObserver(&checker_);
    gm_ = static_cast<uint8_t*>(device_->Allocate(kBytes));
  }

  // All findings of one launch as text, source lines as markers.
  std::string Report(MemoryCase which, uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    const struct {
      void *gm, *tensor;
      uint32_t which, rows, row, gap;
    } args = {gm_ + offset, gm_ + offset, static_cast<uint32_t>(which), rows, row, gap};
    list_.Clear();
    const LaunchResult result =
        device_->Launch(*module_->Find("memory_cases_0"), 1, &args, sizeof(args));
    if (!result.text.empty()) return result.text;
    std::string text;
    for (const Finding& finding : list_.findings()) text += FindingText(finding);
    return text;
  }
  // The headlines only.
  std::string Run(MemoryCase which, uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    const std::string text = Report(which, offset, rows, row, gap);
    return list_.findings().empty() ? text.substr(0, text.find('\n'))
                                    : list_.findings().front().headline;
  }
  std::string Store(uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    return Run(MemoryCase::kStore, offset, rows, row, gap);
  }
  std::string Load(uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    return Run(MemoryCase::kLoad, offset, rows, row, gap);
  }
  void Name(uint64_t offset, uint64_t bytes, const char* name, RegionRule rule) {
    ASSERT_TRUE(device_->NameRegion(gm_ + offset, bytes, name, rule));
  }
  std::string Golden(const std::string& text) {
    return WithLines(text, "tools/vnpu/check/memory_cases.cce", "memory_cases");
  }

  FindingList list_;
  MemoryChecker checker_;
  std::shared_ptr<KernelModule> module_;
  std::unique_ptr<Device> device_;
  uint8_t* gm_;
};

TEST_F(MemoryCheckerTest, AccessInsideARegionIsClean) {
  Name(1024, 4096, "scores", RegionRule::kReadWrite);
  EXPECT_EQ(Store(1024, 1, 4096, 0), "");
  EXPECT_EQ(Load(1024 + 4000, 1, 96, 0), "");
  EXPECT_EQ(Store(0, 1, 1024, 0), "");  // beside it
}

TEST_F(MemoryCheckerTest, RunningOverTheEndOfARegion) {
  Name(1024, 4096, "scores", RegionRule::kReadWrite);
  Name(5120, 512, "probs", RegionRule::kReadWrite);
  EXPECT_EQ(Report(MemoryCase::kStore, 1024 + 4000, 1, 97, 0),
            Golden(R"(region overrun: writes past the end of scores (4096 bytes) into probs
  kernel memory_cases_0
block 0 AIV0, pipe MTE3, instruction 0: copy_ubuf_to_gm_align_b8 operand dst writes 97 bytes at scores + 4000 (allocation #0, 65536 bytes)
{Store}
fix     check the unit of offsets and strides (bytes or elements) and the size that was booked for scores
)"));
  EXPECT_EQ(Store(5120 + 500, 1, 13, 0),
            "region overrun: writes past the end of probs (512 bytes)");
  EXPECT_EQ(Load(1000, 1, 32, 0), "region overrun: reads from outside into scores (4096 bytes)");
}

TEST_F(MemoryCheckerTest, GuardZoneBetweenRegions) {
  Name(0, 1024, "scores", RegionRule::kReadWrite);
  Name(1024, 64, "canary after scores", RegionRule::kNoAccess);
  EXPECT_EQ(Store(1000, 1, 40, 0),
            "guard zone: writes bytes [0, 16) of canary after scores (64 bytes)");
  EXPECT_EQ(Load(1030, 1, 4, 0), "guard zone: reads byte 6 of canary after scores (64 bytes)");
}

// Rows that step over a zone do not touch it; its bounding range would.
TEST_F(MemoryCheckerTest, StridedRowsAreCheckedRowByRow) {
  Name(100, 50, "zone", RegionRule::kNoAccess);
  EXPECT_EQ(Store(0, 4, 100, 50), "");
  EXPECT_EQ(Store(0, 4, 101, 49), "guard zone: writes bytes [0, 1) of zone (50 bytes)");
}

TEST_F(MemoryCheckerTest, WriteToAReadOnlyInput) {
  Name(2048, 2048, "key_cache", RegionRule::kReadOnly);
  EXPECT_EQ(Load(2048, 1, 2048, 0), "");
  EXPECT_EQ(Report(MemoryCase::kWriteInput, 2048 + 64, 1, 64, 0),
            Golden(R"(read-only input written: key_cache + 64
  kernel memory_cases_0
block 0 AIV0, pipe MTE3, instruction 0: copy_ubuf_to_gm operand dst writes 64 bytes at key_cache + 64 (allocation #0, 65536 bytes)
{WriteInput}
fix     write to a tensor of its own, or name this one as an output
)"));
  EXPECT_EQ(Run(MemoryCase::kScalarWriteInput, 2048 + 8, 0, 0, 0),
            "read-only input written: key_cache + 8");
}

// Four rows of 256 halves in a tensor that is exactly as long.
TEST_F(MemoryCheckerTest, ByteOffsetAddedToAPointerToHalves) {
  gm_ = static_cast<uint8_t*>(device_->Allocate(4 * 512));
  Name(0, 4 * 512, "query", RegionRule::kReadOnly);
  EXPECT_EQ(
      Report(MemoryCase::kByteOffsetAsElements, 0, 4, 512, 0),
      Golden(
          R"(out of bounds: copy_gm_to_ubuf_align_b16 reads 512 bytes of GM at 0 bytes past the end of allocation #1 (query, 2048 bytes) (operand src)
  kernel memory_cases_0, block 0 of 1, AIV0, pipe MTE2, instruction 2
  copy_gm_to_ubuf_align_b16(dst=UB+0, src=GM[0 bytes past the end of allocation #1 (query, 2048 bytes)], sid=0, nBurst=1, lenBurst=512, leftPad=0, rightPad=0, srcGap=0, dstGap=0)
{Byte}
)"));
  EXPECT_EQ(Run(MemoryCase::kElementOffset, 0, 4, 512, 0), "");
}

// The same with other tensors behind it.
TEST_F(MemoryCheckerTest, ByteOffsetIntoTheNextTensor) {
  Name(0, 3 * 512, "query", RegionRule::kReadOnly);
  Name(3 * 512, 4096, "key_cache", RegionRule::kReadOnly);
  EXPECT_EQ(Run(MemoryCase::kByteOffsetAsElements, 0, 2, 512, 0), "");
  EXPECT_EQ(Run(MemoryCase::kByteOffsetAsElements, 256, 2, 512, 0),
            "region overrun: reads past the end of query (1536 bytes) into key_cache");
}

TEST_F(MemoryCheckerTest, ALaterNameReplacesAnEarlierOne) {
  Name(0, 4096, "workspace", RegionRule::kReadOnly);
  Name(1024, 1024, "workspace/probs", RegionRule::kReadWrite);
  EXPECT_EQ(Store(1024, 1, 1024, 0), "");
  EXPECT_EQ(Store(0, 1, 32, 0), "");  // the first name is gone
  device_->ClearRegions(gm_, 4096);
  EXPECT_EQ(Store(1024, 1, 2048, 0), "");
}

TEST_F(MemoryCheckerTest, PaddingOfAnAllocation) {
  gm_ = static_cast<uint8_t*>(device_->Allocate(100, 60));
  EXPECT_EQ(Load(96, 1, 64, 0), "");  // what the padding is for
  EXPECT_EQ(Store(0, 1, 100, 0), "");
  EXPECT_EQ(Store(96, 1, 32, 0),
            "overrun: writes past the 100 bytes of allocation #1 into the padding behind them");
  EXPECT_EQ(Load(96, 1, 65, 0),
            "out of bounds: copy_gm_to_ubuf_align_b8 reads 65 bytes of GM at allocation #1 (100 "
            "bytes) + 96 (operand src)");
}

TEST_F(MemoryCheckerTest, RemembersTheLastByteUsed) {
  Name(1024, 4096, "scores", RegionRule::kReadWrite);
  Name(8192, 4096, "unused", RegionRule::kReadWrite);
  EXPECT_EQ(Store(1024 + 10, 3, 20, 80), "");
  std::vector<MemoryUsage> usage = checker_.Usage();
  ASSERT_EQ(usage.size(), 3u);
  EXPECT_EQ(usage[0].name, "scores");
  EXPECT_EQ(usage[0].bytes, 4096u);
  EXPECT_EQ(usage[0].write_end, 10u + 2 * 100 + 20);
  EXPECT_EQ(usage[0].read_end, 0u);
  EXPECT_EQ(usage[1].name, "unused");
  EXPECT_EQ(usage[1].write_end, 0u);
  EXPECT_EQ(usage[2].name, "allocation #0");
  EXPECT_EQ(usage[2].bytes, kBytes);
  EXPECT_EQ(usage[2].write_end, 1024u + 230);
  // The next launch starts from nothing.
  EXPECT_EQ(Load(40000, 1, 32, 0), "");
  usage = checker_.Usage();
  ASSERT_EQ(usage.size(), 3u);
  EXPECT_EQ(usage[0].write_end, 0u);
  EXPECT_EQ(usage[2].read_end, 40032u);
}

// The core refuses freed memory; names die with it.
TEST_F(MemoryCheckerTest, FreedMemory) {
  Name(0, 4096, "scores", RegionRule::kReadWrite);
  ASSERT_TRUE(device_->Free(gm_));
  EXPECT_EQ(Store(32, 1, 32, 0),
            "out of bounds: copy_ubuf_to_gm_align_b8 writes 32 bytes of GM at freed allocation #0 "
            "(65536 bytes) + 32 (operand dst)");
  EXPECT_TRUE(checker_.Usage().empty());
}

}  // namespace
}  // namespace vnpu
