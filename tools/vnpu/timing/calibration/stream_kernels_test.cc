// SPDX-License-Identifier: Apache-2.0
// The copy and matmul kernels of the calibration compute what they claim, on
// small shapes.
#include <gtest/gtest.h>

#include <cstring>

#include "tools/vnpu/timing/calibration/stream_runs.h"

namespace vnpu {
namespace calibration {
namespace {

// Small integers: sums of their products are exact in fp32.
int SmallInteger(uint64_t index, uint64_t salt) {
  return static_cast<int>((index * 2654435761u + salt * 40503u) >> 13 & 7) - 3;
}
uint16_t HalfBits(int v) {
  const _Float16 h = static_cast<_Float16>(v);
  uint16_t bits;
  std::memcpy(&bits, &h, 2);
  return bits;
}
uint16_t Bf16Bits(int v) {
  const float f = static_cast<float>(v);
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return static_cast<uint16_t>(bits >> 16);
}

TEST(DeviceCopyTest, Copies) {
  Device device{DeviceConfig()};
  const uint64_t bytes = 7 * 65536;
  DeviceCopy copy(&device, bytes);
  for (uint64_t i = 0; i < bytes; ++i) copy.source()[i] = static_cast<uint8_t>(i * 37 >> 3);
  const LaunchResult result = copy.Launch(3);
  ASSERT_EQ(result.fault, FaultKind::kNone) << result.text;
  EXPECT_EQ(std::memcmp(copy.source(), copy.target(), bytes), 0);
}

TEST(EmptyTest, Runs) {
  Device device{DeviceConfig()};
  const LaunchResult result = LaunchEmpty(&device, 24);
  EXPECT_EQ(result.fault, FaultKind::kNone) << result.text;
}

class WeightStreamTest : public testing::TestWithParam<WeightStream> {};
TEST_P(WeightStreamTest, Multiplies) {
  const WeightStream s = GetParam();
  Device device{DeviceConfig()};
  WeightStreamRun run(&device, s);
  for (uint64_t i = 0; i < uint64_t{s.m} * s.k; ++i) run.a()[i] = HalfBits(SmallInteger(i, 1));
  for (uint64_t k = 0; k < s.k; ++k) {
    for (uint64_t n = 0; n < s.n_pitch; ++n) {
      const uint64_t at = s.is_nz != 0 ? n / 16 * s.k * 16 + k * 16 + n % 16 : k * s.n_pitch + n;
      run.w()[at] = HalfBits(SmallInteger(k * s.n_pitch + n, 2));
    }
  }
  const LaunchResult result = run.Launch(2);
  ASSERT_EQ(result.fault, FaultKind::kNone) << result.text;
  for (uint64_t m = 0; m < s.m; ++m) {
    for (uint64_t n = 0; n < s.n; ++n) {
      int want = 0;
      for (uint64_t k = 0; k < s.k; ++k) {
        want += SmallInteger(m * s.k + k, 1) * SmallInteger(k * s.n_pitch + n, 2);
      }
      ASSERT_EQ(run.c()[m * s.n_pitch + n], want) << m << ", " << n;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, WeightStreamTest,
                         testing::Values(WeightStream{16, 384, 384, 512, 128, 128, 0},
                                         WeightStream{16, 256, 512, 512, 512, 128, 0},
                                         WeightStream{20, 512, 768, 768, 256, 256, 0},
                                         WeightStream{20, 512, 768, 768, 256, 256, 1}));

class GemmTest : public testing::TestWithParam<Gemm> {};
TEST_P(GemmTest, Multiplies) {
  const Gemm s = GetParam();
  Device device{DeviceConfig()};
  GemmRun run(&device, s);
  for (uint64_t i = 0; i < uint64_t{s.m} * s.k; ++i) run.a()[i] = HalfBits(SmallInteger(i, 1));
  for (uint64_t i = 0; i < uint64_t{s.n} * s.k; ++i) run.b()[i] = HalfBits(SmallInteger(i, 2));
  const LaunchResult result = run.Launch();
  ASSERT_EQ(result.fault, FaultKind::kNone) << result.text;
  for (uint64_t m = 0; m < s.m; m += 5) {
    for (uint64_t n = 0; n < s.n; n += 3) {
      int want = 0;
      for (uint64_t k = 0; k < s.k; ++k) {
        want += SmallInteger(m * s.k + k, 1) * SmallInteger(n * s.k + k, 2);
      }
      ASSERT_EQ(run.c()[m * s.n + n], want) << m << ", " << n;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, GemmTest,
                         testing::Values(Gemm{256, 512, 512, 128, 512, 256, 256, 64, 2},
                                         Gemm{128, 256, 512, 128, 128, 128, 128, 128, 2},
                                         Gemm{128, 128, 1024, 128, 128, 128, 512, 256, 1}));

TEST(SerialBlocksTest, Scores) {
  Device device{DeviceConfig()};
  SerialBlocks run(&device, 3, 2);
  for (int i = 0; i < 3 * 16 * 128; ++i) run.query()[i] = Bf16Bits(SmallInteger(i, 1));
  for (int i = 0; i < 3 * 2 * 128 * 128; ++i) run.key()[i] = Bf16Bits(SmallInteger(i, 2));
  const LaunchResult result = run.Launch(2);
  ASSERT_EQ(result.fault, FaultKind::kNone) << result.text;
  for (int page = 0; page < 6; ++page) {
    for (int row = 0; row < 16; ++row) {
      for (int token = 0; token < 128; token += 7) {
        int want = 0;
        for (int d = 0; d < 128; ++d) {
          want += SmallInteger((page / 2 * 16 + row) * 128 + d, 1) *
                  SmallInteger((page * 128 + token) * 128 + d, 2);
        }
        ASSERT_EQ(run.scores()[(page * 16 + row) * 128 + token], want);
      }
    }
  }
}

}  // namespace
}  // namespace calibration
}  // namespace vnpu
