// SPDX-License-Identifier: Apache-2.0
// The attention kernels of the calibration compute attention: small shapes
// against a float64 reference. A schedule that mixes up tiles would fail here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tools/vnpu/timing/calibration/attention_runs.h"

namespace vnpu {
namespace calibration {
namespace {

float ToFloat(_Float16 v) { return static_cast<float>(v); }
uint16_t HalfBits(float v) {
  const _Float16 h = static_cast<_Float16>(v);
  uint16_t bits;
  std::memcpy(&bits, &h, 2);
  return bits;
}
float FromHalf(uint16_t bits) {
  _Float16 h;
  std::memcpy(&h, &bits, 2);
  return ToFloat(h);
}
// Values with few enough bits to be exact in bf16.
uint16_t Bf16Bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return static_cast<uint16_t>(bits >> 16);
}
float FromBf16(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float v;
  std::memcpy(&v, &wide, 4);
  return v;
}

// Multiples of 1/32 in [-1, 1).
float SmallValue(uint64_t index, uint64_t salt) {
  uint64_t z = (index + salt * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  z ^= z >> 29;
  z *= 0x94d049bb133111eb;
  return static_cast<float>(static_cast<int64_t>(z >> 58) - 32) / 32;
}

// Softmax attention of one row in double.
template <typename Key, typename Value>
std::vector<double> Reference(const std::vector<double>& query, int64_t tokens, double scale,
                              const Key& key, const Value& value) {
  std::vector<double> scores(tokens);
  double top = -1e300;
  for (int64_t t = 0; t < tokens; ++t) {
    double dot = 0;
    for (int64_t d = 0; d < kHeadDim; ++d) dot += query[d] * key(t, d);
    scores[t] = dot * scale;
    top = std::max(top, scores[t]);
  }
  std::vector<double> out(kHeadDim, 0);
  double sum = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const double p = std::exp(scores[t] - top);
    sum += p;
    for (int64_t d = 0; d < kHeadDim; ++d) out[d] += p * value(t, d);
  }
  for (double& o : out) o /= sum;
  return out;
}

struct SplitCase {
  uint64_t context;
  uint32_t cores;
};
void PrintTo(const SplitCase& c, std::ostream* os) { *os << c.context << " on " << c.cores; }

class SplitKvTest : public testing::TestWithParam<SplitCase> {};

TEST_P(SplitKvTest, ComputesAttention) {
  Device device{DeviceConfig()};
  SplitKvAttention attention(&device, GetParam().context, GetParam().cores);
  for (uint32_t i = 0; i < split_kv::kQueryHeads * kHeadDim; ++i) {
    attention.query()[i] = HalfBits(SmallValue(i, 1));
  }
  for (uint64_t i = 0; i < attention.cache_elems(); ++i) {
    attention.key()[i] = HalfBits(SmallValue(i, 2));
    attention.value()[i] = HalfBits(SmallValue(i, 3));
  }
  const uint32_t tiles = attention.plan().tiles;
  for (uint32_t t = 0; t < tiles; ++t) {
    attention.block_table()[t] = static_cast<int32_t>((t * 7 + 3) % tiles);
  }
  const LaunchResult result = attention.Launch();
  ASSERT_EQ(result.fault, FaultKind::kNone) << result.text;
  for (int64_t head = 0; head < split_kv::kQueryHeads; ++head) {
    std::vector<double> query(kHeadDim);
    for (uint32_t d = 0; d < kHeadDim; ++d) query[d] = SmallValue(head * kHeadDim + d, 1);
    const auto at = [&](int64_t token, int64_t d, uint64_t salt) {
      const int64_t page = attention.block_table()[token / 128];
      const int64_t row = (page * 128 + token % 128) * split_kv::kKvHeads + head / 4;
      return static_cast<double>(SmallValue(row * kHeadDim + d, salt));
    };
    const auto want = Reference(
        query, static_cast<int64_t>(GetParam().context), 0.08838834764,
        [&](int64_t t, int64_t d) { return at(t, d, 2); },
        [&](int64_t t, int64_t d) { return at(t, d, 3); });
    for (uint32_t d = 0; d < kHeadDim; ++d) {
      ASSERT_NEAR(FromHalf(attention.out()[head * kHeadDim + d]), want[d], 1e-3)
          << "head " << head << " dim " << d;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SplitKvTest,
                         testing::Values(SplitCase{128 * 6, 3},  // two pairs a core
                                         SplitCase{128 * 7, 3},  // an odd tile, a short split
                                         SplitCase{128 * 5, 4},  // groups of 16 heads
                                         SplitCase{128 * 24, 24}));

struct FifoCase {
  FifoShape shape;
  uint32_t blocks;
  paged_fifo::Schedule schedule;
  bool credits;
};
void PrintTo(const FifoCase& c, std::ostream* os) {
  *os << "batch " << c.shape.batch << " heads " << c.shape.num_heads << " context "
      << c.shape.context << " schedule " << c.schedule << " credits " << c.credits;
}

class PagedFifoTest : public testing::TestWithParam<FifoCase> {};

TEST_P(PagedFifoTest, ComputesAttention) {
  const FifoCase& c = GetParam();
  Device device{DeviceConfig()};
  PagedFifoAttention attention(&device, c.shape, c.blocks);
  for (uint32_t i = 0; i < c.shape.batch * c.shape.num_heads * kHeadDim; ++i) {
    attention.query()[i] = Bf16Bits(SmallValue(i, 1));
  }
  for (uint64_t i = 0; i < attention.cache_elems(); ++i) {
    attention.key()[i] = Bf16Bits(SmallValue(i, 2));
    attention.value()[i] = Bf16Bits(SmallValue(i, 3));
  }
  const LaunchResult result = attention.Launch(c.schedule, c.credits);
  ASSERT_EQ(result.fault, FaultKind::kNone) << result.text;
  const int64_t pages = c.shape.context / c.shape.page();
  for (int64_t row = 0; row < int64_t{c.shape.batch} * c.shape.num_heads; ++row) {
    const int64_t sequence = row / c.shape.num_heads;
    std::vector<double> query(kHeadDim);
    for (uint32_t d = 0; d < kHeadDim; ++d) query[d] = FromBf16(attention.query()[row * 128 + d]);
    const auto at = [&](int64_t token, int64_t d, uint64_t salt) {
      const int64_t page = attention.block_table()[sequence * pages + token / c.shape.page()];
      const int64_t cache_row = page * c.shape.page() + token % c.shape.page();
      return static_cast<double>(SmallValue(cache_row * kHeadDim + d, salt));
    };
    const auto want = Reference(
        query, c.shape.context, attention.scale(),
        [&](int64_t t, int64_t d) { return at(t, d, 2); },
        [&](int64_t t, int64_t d) { return at(t, d, 3); });
    for (uint32_t d = 0; d < kHeadDim; ++d) {
      ASSERT_NEAR(attention.out()[row * kHeadDim + d], want[d], 4e-3)
          << "row " << row << " dim " << d;
    }
  }
}

std::vector<FifoCase> FifoCases() {
  std::vector<FifoCase> cases;
  for (const auto schedule : {paged_fifo::kStepTwo, paged_fifo::kFifo, paged_fifo::kPrefetch}) {
    for (const uint32_t pages : {1u, 2u, 5u}) {
      cases.push_back({{3, 16, 16, 128 * pages}, 2, schedule, false});
      cases.push_back({{2, 128, 64, 64 * pages}, 3, schedule, false});
      if (schedule == paged_fifo::kStepTwo) continue;
      cases.push_back({{3, 16, 16, 128 * pages}, 2, schedule, true});
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Shapes, PagedFifoTest, testing::ValuesIn(FifoCases()));

}  // namespace
}  // namespace calibration
}  // namespace vnpu
