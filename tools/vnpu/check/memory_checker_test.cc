// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/memory_checker.h"

#include <gtest/gtest.h>

#include <memory>

#include "tools/vnpu/core/device.h"

namespace vnpu {
namespace {

constexpr uint64_t kBytes = 64 * 1024;

class MemoryCheckerTest : public testing::Test {
 protected:
  MemoryCheckerTest() {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/check/memory_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    DeviceConfig config;
    config.host_threads = 1;
    device_ = std::make_unique<Device>(config);
    device_->AddObserver(&checker_);
    gm_ = static_cast<uint8_t*>(device_->Allocate(kBytes));
  }
  // The first line of the report, or empty.
  std::string Run(bool store, uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    const struct {
      void* gm;
      uint32_t store, rows, row, gap;
    } args = {gm_ + offset, store ? 1u : 0u, rows, row, gap};
    const LaunchResult result =
        device_->Launch(*module_->Find("memory_cases_0"), 1, &args, sizeof(args));
    EXPECT_EQ(result.fault != FaultKind::kNone, !result.text.empty());
    return result.text.substr(0, result.text.find('\n'));
  }
  std::string Store(uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    return Run(true, offset, rows, row, gap);
  }
  std::string Load(uint64_t offset, uint32_t rows, uint32_t row, uint32_t gap) {
    return Run(false, offset, rows, row, gap);
  }
  bool Add(uint64_t offset, uint64_t bytes, const char* name, RegionRule rule) {
    return checker_.AddRegion(gm_ + offset, bytes, name, rule);
  }

  MemoryChecker checker_;
  std::shared_ptr<KernelModule> module_;
  std::unique_ptr<Device> device_;
  uint8_t* gm_;
};

TEST_F(MemoryCheckerTest, AccessInsideARegionIsClean) {
  ASSERT_TRUE(Add(1024, 4096, "scores", RegionRule::kReadWrite));
  EXPECT_EQ(Store(1024, 1, 4096, 0), "");
  EXPECT_EQ(Load(1024 + 4000, 1, 96, 0), "");
  EXPECT_EQ(Store(0, 1, 1024, 0), "");  // beside it
}

TEST_F(MemoryCheckerTest, RunningOverTheEndOfARegion) {
  ASSERT_TRUE(Add(1024, 4096, "scores", RegionRule::kReadWrite));
  ASSERT_TRUE(Add(5120, 512, "probs", RegionRule::kReadWrite));
  EXPECT_EQ(Store(1024 + 4000, 1, 97, 0),
            "region overrun: copy_ubuf_to_gm_align_b8 operand dst writes from byte 4000 of "
            "'scores' (4096 bytes), and leaves it into 'probs'");
  EXPECT_EQ(Store(5120 + 500, 1, 13, 0),
            "region overrun: copy_ubuf_to_gm_align_b8 operand dst writes from byte 500 of 'probs' "
            "(512 bytes), and leaves it");
  EXPECT_EQ(Load(1000, 1, 32, 0),
            "region overrun: copy_gm_to_ubuf_align_b8 operand src reads from outside into "
            "'scores'");
}

TEST_F(MemoryCheckerTest, GuardZoneBetweenRegions) {
  ASSERT_TRUE(Add(0, 1024, "scores", RegionRule::kReadWrite));
  ASSERT_TRUE(Add(1024, 64, "canary after scores", RegionRule::kNoAccess));
  EXPECT_EQ(Store(1000, 1, 40, 0),
            "guard zone: copy_ubuf_to_gm_align_b8 operand dst writes bytes [0, 16) of 'canary "
            "after scores'");
  EXPECT_EQ(Load(1030, 1, 4, 0),
            "guard zone: copy_gm_to_ubuf_align_b8 operand src reads byte 6 of 'canary after "
            "scores'");
}

// Rows that step over a zone do not touch it; its bounding range would.
TEST_F(MemoryCheckerTest, StridedRowsAreCheckedRowByRow) {
  ASSERT_TRUE(Add(100, 50, "zone", RegionRule::kNoAccess));
  EXPECT_EQ(Store(0, 4, 100, 50), "");
  EXPECT_EQ(Store(0, 4, 101, 49),
            "guard zone: copy_ubuf_to_gm_align_b8 operand dst writes bytes [0, 1) of 'zone'");
}

TEST_F(MemoryCheckerTest, ReadOnlyInputs) {
  ASSERT_TRUE(Add(2048, 2048, "key_cache", RegionRule::kReadOnly));
  EXPECT_EQ(Load(2048, 1, 2048, 0), "");
  EXPECT_EQ(Store(2100, 1, 4, 0),
            "read-only: copy_ubuf_to_gm_align_b8 operand dst writes byte 52 of 'key_cache'");
}

TEST_F(MemoryCheckerTest, RegionsDoNotOverlap) {
  EXPECT_TRUE(Add(100, 100, "a", RegionRule::kReadWrite));
  EXPECT_FALSE(Add(199, 10, "b", RegionRule::kReadWrite));
  EXPECT_FALSE(Add(50, 51, "c", RegionRule::kReadWrite));
  EXPECT_FALSE(Add(100, 100, "d", RegionRule::kReadWrite));
  EXPECT_TRUE(Add(200, 10, "e", RegionRule::kReadWrite));
  checker_.ClearRegions();
  EXPECT_TRUE(Add(100, 100, "a", RegionRule::kReadWrite));
}

TEST_F(MemoryCheckerTest, RemembersTheLastByteUsed) {
  ASSERT_TRUE(Add(1024, 4096, "scores", RegionRule::kReadWrite));
  ASSERT_TRUE(Add(8192, 4096, "unused", RegionRule::kReadWrite));
  EXPECT_EQ(Store(1024 + 10, 3, 20, 80), "");
  EXPECT_EQ(Load(1024, 1, 5, 0), "");
  EXPECT_EQ(Load(40000, 1, 32, 0), "");
  const std::vector<MemoryUsage> usage = checker_.Usage();
  ASSERT_EQ(usage.size(), 3u);
  EXPECT_EQ(usage[0].name, "scores");
  EXPECT_EQ(usage[0].write_end, 10u + 2 * 100 + 20);
  EXPECT_EQ(usage[0].read_end, 5u);
  EXPECT_EQ(usage[1].name, "unused");
  EXPECT_EQ(usage[1].write_end, 0u);
  EXPECT_EQ(usage[2].name, "allocation #0");
  EXPECT_EQ(usage[2].bytes, kBytes);
  EXPECT_EQ(usage[2].read_end, 40032u);
  EXPECT_EQ(usage[2].write_end, 1024u + 230);
  checker_.ClearUsage();
  EXPECT_EQ(checker_.Usage().size(), 2u);  // the named ones
}

// The core refuses freed memory; the checker forgets names inside it.
TEST_F(MemoryCheckerTest, FreedMemory) {
  ASSERT_TRUE(Add(0, 4096, "scores", RegionRule::kReadWrite));
  ASSERT_TRUE(device_->Free(gm_));
  EXPECT_EQ(Store(32, 1, 32, 0),
            "out of bounds: copy_ubuf_to_gm_align_b8 writes 32 bytes of GM at freed allocation #0 "
            "(65536 bytes) + 32 (operand dst)");
  EXPECT_TRUE(checker_.Usage().empty());
}

}  // namespace
}  // namespace vnpu
