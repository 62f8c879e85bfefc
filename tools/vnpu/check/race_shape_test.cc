// SPDX-License-Identifier: Apache-2.0
// Shapes against sets of bytes that are written out one by one.
#include "tools/vnpu/check/race_shape.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace vnpu {
namespace race {
namespace {

using ByteSet = std::set<uint64_t>;

// Written from the description of Access alone.
ByteSet BytesOf(const Access& access) {
  ByteSet bytes;
  for (uint64_t i = 0; i < access.dims[0].count; ++i) {
    for (uint64_t j = 0; j < access.dims[1].count; ++j) {
      for (uint64_t k = 0; k < access.dims[2].count; ++k) {
        const uint64_t begin =
            access.base + static_cast<uint64_t>(static_cast<int64_t>(i) * access.dims[0].stride +
                                                static_cast<int64_t>(j) * access.dims[1].stride +
                                                static_cast<int64_t>(k) * access.dims[2].stride);
        for (uint64_t b = 0; b < access.run; ++b) {
          if (access.lane_mask != nullptr) {
            const uint64_t lane = k * (32 / access.lane_bytes) + b / access.lane_bytes;
            if ((access.lane_mask[lane / 64] >> (lane % 64) & 1) == 0) continue;
          }
          bytes.insert(begin + b);
        }
      }
    }
  }
  return bytes;
}

class Source {
 public:
  explicit Source(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t limit) { return random_() % limit; }

  Access Plain() {
    Access access{};
    access.base = 2000 + Below(400);
    access.run = 1 + Below(40);
    for (Dim& dim : access.dims) {
      if (Below(2) != 0) continue;
      dim.count = 1 + Below(5);
      dim.stride = static_cast<int64_t>(Below(90)) - 20;
    }
    return access;
  }

  Access Lanes(uint64_t* mask) {
    Access access{};
    access.base = 2000 + Below(12) * 32;
    access.run = 32;
    access.lane_bytes = 2u << Below(2);
    const uint64_t blocks = 1 + Below(8);
    const uint64_t strides[] = {0, 32, 32, 64, 96};
    access.dims[1] = Dim{1 + Below(3), static_cast<int64_t>(Below(10) * 32)};
    access.dims[2] = Dim{blocks, static_cast<int64_t>(strides[Below(5)])};
    const uint64_t kinds[] = {~uint64_t{0},
                              0x5555555555555555,
                              0xff00ff,
                              (uint64_t{1} << Below(64)) - 1,
                              ~uint64_t{0} << Below(64),
                              random_()};
    mask[0] = kinds[Below(6)];
    mask[1] = kinds[Below(6)];
    access.lane_mask = mask;
    return access;
  }

 private:
  std::mt19937_64 random_;
};

bool Inside(const ByteSet& bytes, const Range& range) {
  for (uint64_t b = range.begin; b < range.end; ++b) {
    if (bytes.count(b) == 0) return false;
  }
  return true;
}

TEST(RaceShape, AgreesWithBytesWrittenOut) {
  Source source(7);
  int met = 0, covered = 0;
  for (int i = 0; i < 20000; ++i) {
    uint64_t masks[2][2];
    const Access a = source.Below(2) != 0 ? source.Plain() : source.Lanes(masks[0]);
    const Access b = source.Below(2) != 0 ? source.Plain() : source.Lanes(masks[1]);
    const ByteSet bytes_a = BytesOf(a), bytes_b = BytesOf(b);
    const Shape shape_a = MakeShape(a), shape_b = MakeShape(b);
    ASSERT_EQ(shape_a.empty(), bytes_a.empty());
    if (bytes_a.empty() || bytes_b.empty()) continue;
    ASSERT_LE(shape_a.begin, *bytes_a.begin()) << i;
    ASSERT_GE(shape_a.end, *bytes_a.rbegin() + 1) << i;
    if (shape_a.lane_bytes == 0) {
      ASSERT_EQ(shape_a.end - shape_a.begin, *bytes_a.rbegin() + 1 - *bytes_a.begin()) << i;
    }
    const Range window{1900 + source.Below(600), 2000 + source.Below(1200)};
    bool want = false;
    for (const uint64_t byte : bytes_a) {
      want |= bytes_b.count(byte) != 0 && byte >= window.begin && byte < window.end;
    }
    Range common{0, 0};
    ASSERT_EQ(Meet(shape_a, shape_b, window, &common), want) << i;
    if (want) {
      ++met;
      ASSERT_LT(common.begin, common.end);
      ASSERT_TRUE(common.begin >= window.begin && common.end <= window.end);
      ASSERT_TRUE(Inside(bytes_a, common) && Inside(bytes_b, common)) << i;
    }
    if (Covers(shape_a, shape_b)) {
      ++covered;
      for (const uint64_t byte : bytes_b) ASSERT_EQ(bytes_a.count(byte), 1u) << i;
    }
    ASSERT_TRUE(Covers(shape_a, shape_a));
  }
  EXPECT_GT(met, 1000);
  EXPECT_GT(covered, 100);
}

TEST(RaceShape, Text) {
  Access access{};
  access.base = 256;
  access.run = 64;
  EXPECT_EQ(ShapeText(MakeShape(access)), "[256, 320)");
  access.dims[2] = Dim{4, 64};
  EXPECT_EQ(ShapeText(MakeShape(access)), "[256, 512)");
  access.dims[2] = Dim{4, 96};
  EXPECT_EQ(ShapeText(MakeShape(access)), "[256, 608), 64 of every 96 bytes");
}

}  // namespace
}  // namespace race
}  // namespace vnpu
