// SPDX-License-Identifier: Apache-2.0
// The merge_states kernels on the virtual NPU against the formula in double, under
// the race and memory checkers: outputs start as NaN, rows of empty parts were
// never written, every buffer is exactly as long as it must be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "ascend_kernels/strict_checks.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

enum class Type { kF16, kBf16, kF32 };

struct MergeCase {
  Type type;
  uint32_t parts, rows, head_dim, blocks;
  float spread = 4.0f;  // of lse around 0
};

const char* NameOf(Type type) {
  return type == Type::kF16 ? "f16" : type == Type::kBf16 ? "bf16" : "f32";
}
uint32_t BytesOf(Type type) { return type == Type::kF32 ? 4 : 2; }

std::ostream& operator<<(std::ostream& os, const MergeCase& c) {
  return os << NameOf(c.type) << " parts " << c.parts << " rows " << c.rows << " head_dim "
            << c.head_dim << " blocks " << c.blocks << " spread " << c.spread;
}

// Nearest value of the type, ties to even.
void Store(Type type, float value, uint8_t* to) {
  if (type == Type::kF32) {
    std::memcpy(to, &value, 4);
  } else if (type == Type::kF16) {
    const _Float16 rounded = static_cast<_Float16>(value);
    std::memcpy(to, &rounded, 2);
  } else {
    uint32_t word;
    std::memcpy(&word, &value, 4);
    if (std::isnan(value)) {
      word |= 0x10000;
    } else {
      word += 0x7fff + ((word >> 16) & 1);
    }
    const uint16_t bits = static_cast<uint16_t>(word >> 16);
    std::memcpy(to, &bits, 2);
  }
}

float Load(Type type, const uint8_t* from) {
  if (type == Type::kF32) {
    float value;
    std::memcpy(&value, from, 4);
    return value;
  }
  if (type == Type::kF16) {
    _Float16 value;
    std::memcpy(&value, from, 2);
    return static_cast<float>(value);
  }
  uint16_t bits;
  std::memcpy(&bits, from, 2);
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

// Half the distance of two neighbours at 1.
double HalfUlp(Type type) {
  return type == Type::kF32 ? 0x1p-24 : type == Type::kF16 ? 0x1p-11 : 0x1p-8;
}

struct Merged {
  std::vector<float> out, lse;
};

// One device with the parts of one case on it.
class Parts {
 public:
  explicit Parts(const MergeCase& c) : case_(c), device_(Config()) {
    uint32_t state = c.parts * 2654435761u + c.rows * 97 + c.head_dim;
    const auto uniform = [&] {
      state = state * 1664525u + 1013904223u;
      return static_cast<float>(state >> 8) / (1 << 23) - 1.0f;
    };
    values.resize(size_t{c.parts} * c.rows * c.head_dim);
    lse.resize(size_t{c.parts} * c.rows);
    for (float& value : values) value = Rounded(2.0f * uniform());
    for (float& value : lse) value = c.spread * uniform();
  }

  // The part saw no token of this row: nobody wrote its out.
  void MakeEmpty(uint32_t part, uint32_t row) {
    lse[size_t{part} * case_.rows + row] = -kInfinity;
    float* first = &values[(size_t{part} * case_.rows + row) * case_.head_dim];
    std::fill(first, first + case_.head_dim, kNan);
  }

  Merged Launch(bool want_lse = true) {
    const uint32_t bytes = BytesOf(case_.type);
    uint8_t* parts_out = Allocate(values.size() * bytes);
    for (size_t i = 0; i < values.size(); ++i) Store(case_.type, values[i], parts_out + i * bytes);
    uint8_t* parts_lse = Allocate(lse.size() * sizeof(float));
    std::memcpy(parts_lse, lse.data(), lse.size() * sizeof(float));
    const size_t out_elems = size_t{case_.rows} * case_.head_dim;
    uint8_t* out = Allocate(out_elems * bytes);
    uint8_t* merged_lse = Allocate(case_.rows * sizeof(float));
    std::memset(out, 0xff, out_elems * bytes);
    std::memset(merged_lse, 0xff, case_.rows * sizeof(float));

    vnpu::SessionOptions options = StrictChecks();
    options.outputs_complete = want_lse;
    vnpu::Session session(&device_, options);
    Name(parts_out, values.size() * bytes, "parts_out", vnpu::RegionRule::kReadOnly, true);
    Name(parts_lse, lse.size() * sizeof(float), "parts_lse", vnpu::RegionRule::kReadOnly, true);
    Name(out, out_elems * bytes, "out", vnpu::RegionRule::kOutput, false);
    Name(merged_lse, case_.rows * sizeof(float), "lse", vnpu::RegionRule::kOutput, false);
    for (size_t i = 0; i < lse.size(); ++i) {
      if (lse[i] != -kInfinity) continue;
      device_.SetDefined(parts_out + i * case_.head_dim * bytes, case_.head_dim * bytes, false);
    }
    const struct {
      const void *parts_out, *parts_lse;
      void *out, *lse;
      uint64_t num_parts, rows, head_dim;
    } args = {parts_out,   parts_lse,  out,           want_lse ? merged_lse : nullptr,
              case_.parts, case_.rows, case_.head_dim};
    const std::string name = std::string("merge_states_") + NameOf(case_.type);
    std::string error;
    const auto module =
        vnpu::KernelModule::LoadFile("ascend_kernels/combine/" + name + ".so", &error);
    EXPECT_NE(module, nullptr) << error;
    const vnpu::LaunchResult result =
        device_.Launch(*module->Find(name + "_0"), case_.blocks, &args, sizeof(args));
    fault = result.fault;
    EXPECT_EQ(result.text, "") << case_;

    Merged merged;
    for (size_t i = 0; i < out_elems; ++i) merged.out.push_back(Load(case_.type, out + i * bytes));
    merged.lse.resize(case_.rows);
    std::memcpy(merged.lse.data(), merged_lse, case_.rows * sizeof(float));
    for (void* memory : {parts_out, parts_lse, out, merged_lse}) device_.Free(memory);
    return merged;
  }

  // Against the formula in double.
  void Check(const Merged& merged) const {
    for (uint32_t row = 0; row < case_.rows; ++row) {
      double max = -kInfinity;
      for (uint32_t part = 0; part < case_.parts; ++part) max = std::max(max, LseOf(part, row));
      if (max == -kInfinity) {
        EXPECT_EQ(merged.lse[row], -kInfinity) << case_ << " row " << row;
        for (uint32_t d = 0; d < case_.head_dim; ++d) {
          ASSERT_EQ(merged.out[row * case_.head_dim + d], 0.0f) << case_ << " row " << row;
        }
        continue;
      }
      CheckRow(merged, row, max);
    }
  }

  vnpu::FaultKind fault = vnpu::FaultKind::kNone;
  std::vector<float> values;  // [parts, rows, head_dim]
  std::vector<float> lse;     // [parts, rows]

 private:
  static vnpu::DeviceConfig Config() {
    vnpu::DeviceConfig config;
    config.host_threads = 1;
    return config;
  }

  double LseOf(uint32_t part, uint32_t row) const { return lse[size_t{part} * case_.rows + row]; }

  float Rounded(float value) const {
    uint8_t bytes[4];
    Store(case_.type, value, bytes);
    return Load(case_.type, bytes);
  }

  void CheckRow(const Merged& merged, uint32_t row, double max) const {
    double sum = 0.0;
    for (uint32_t part = 0; part < case_.parts; ++part) sum += std::exp(LseOf(part, row) - max);
    // Weights and sums in fp32: subtraction and exp of arguments up to 2 spread, a
    // sum by halves of at most 32 at a time, steps one after the other, a division.
    const double fp32 = 0x1p-23;
    const double relative = fp32 * (2 * std::abs(max) + 2 * case_.spread + 12 + case_.parts / 16.0);
    EXPECT_NEAR(merged.lse[row], max + std::log(sum), relative) << case_ << " row " << row;
    for (uint32_t d = 0; d < case_.head_dim; ++d) {
      double expected = 0.0;
      double magnitude = 0.0;
      for (uint32_t part = 0; part < case_.parts; ++part) {
        if (LseOf(part, row) == -kInfinity) continue;
        const double term = std::exp(LseOf(part, row) - max) / sum *
                            values[(size_t{part} * case_.rows + row) * case_.head_dim + d];
        expected += term;
        magnitude += std::abs(term);
      }
      const double tolerance =
          2 * relative * magnitude + HalfUlp(case_.type) * std::abs(expected) + 0x1p-25;
      ASSERT_NEAR(merged.out[row * case_.head_dim + d], expected, tolerance)
          << case_ << " row " << row << " d " << d;
    }
  }

  uint8_t* Allocate(uint64_t bytes) { return static_cast<uint8_t*>(device_.Allocate(bytes)); }

  void Name(void* begin, uint64_t bytes, const char* name, vnpu::RegionRule rule, bool defined) {
    EXPECT_TRUE(device_.NameRegion(begin, bytes, name, rule));
    device_.SetDefined(begin, bytes, defined);
  }

  MergeCase case_;
  vnpu::Device device_;
};

class MergeStates : public ::testing::TestWithParam<MergeCase> {};

TEST_P(MergeStates, MeetsTheFormula) {
  Parts parts(GetParam());
  parts.Check(parts.Launch());
}

TEST_P(MergeStates, IgnoresPartsThatSawNoToken) {
  const MergeCase& c = GetParam();
  Parts parts(c);
  for (uint32_t row = 0; row < c.rows; ++row) {
    for (uint32_t part = 0; part < c.parts; ++part) {
      // Every fifth row altogether, of the others two parts of three.
      if (row % 5 == 2 || (row + part) % 3 != 0) parts.MakeEmpty(part, row);
    }
  }
  parts.Check(parts.Launch());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MergeStates,
    ::testing::Values(
        // Each head_dim, few and many rows for few and many cores.
        MergeCase{Type::kF16, 2, 100, 128, 3}, MergeCase{Type::kBf16, 3, 77, 64, 2},
        MergeCase{Type::kF32, 2, 300, 128, 2}, MergeCase{Type::kF16, 5, 33, 96, 2},
        MergeCase{Type::kF32, 4, 70, 96, 1}, MergeCase{Type::kBf16, 7, 20, 192, 3},
        MergeCase{Type::kF32, 33, 9, 256, 4}, MergeCase{Type::kF16, 2, 50, 512, 2},
        MergeCase{Type::kF32, 3, 200, 16, 1}, MergeCase{Type::kBf16, 9, 65, 80, 2},
        // Several steps; hundreds of parts.
        MergeCase{Type::kF16, 70, 13, 128, 3}, MergeCase{Type::kF32, 65, 7, 64, 1},
        MergeCase{Type::kBf16, 300, 3, 64, 2}, MergeCase{Type::kF32, 200, 2, 512, 2},
        // One part; one row; more cores than rows.
        MergeCase{Type::kF16, 1, 130, 128, 2}, MergeCase{Type::kF32, 1, 5, 96, 1},
        MergeCase{Type::kBf16, 40, 1, 128, 48}, MergeCase{Type::kF16, 6, 11, 64, 48},
        // Large log-sum-exps, of which few matter.
        MergeCase{Type::kF32, 12, 40, 64, 2, 300.0f}, MergeCase{Type::kBf16, 40, 6, 96, 1, 90.0f}));

TEST(MergeStatesOnce, OnePartIsReturnedBitForBit) {
  for (const Type type : {Type::kF16, Type::kBf16, Type::kF32}) {
    Parts parts(MergeCase{type, 1, 50, 96, 2});
    const Merged merged = parts.Launch();
    EXPECT_EQ(merged.out, parts.values);
    EXPECT_EQ(merged.lse, parts.lse);
  }
}

TEST(MergeStatesOnce, ARowsBitsDependOnNeitherItsNeighboursNorTheCores) {
  const MergeCase c{Type::kF32, 37, 90, 128, 2};
  Parts all(c);
  const Merged merged = all.Launch();
  Parts one(MergeCase{Type::kF32, 37, 1, 128, 48});
  constexpr uint32_t kRow = 41;
  for (uint32_t part = 0; part < c.parts; ++part) {
    one.lse[part] = all.lse[part * c.rows + kRow];
    std::copy_n(&all.values[(part * c.rows + kRow) * c.head_dim], c.head_dim,
                &one.values[part * c.head_dim]);
  }
  const Merged alone = one.Launch();
  EXPECT_EQ(alone.lse[0], merged.lse[kRow]);
  EXPECT_TRUE(std::equal(alone.out.begin(), alone.out.end(), &merged.out[kRow * c.head_dim]));
}

TEST(MergeStatesOnce, LowestLseStillWeighs) {
  Parts parts(MergeCase{Type::kF32, 2, 3, 64, 1});
  const float lowest = std::numeric_limits<float>::lowest();
  parts.lse = {lowest, -1e30f, 1e30f, lowest, -kInfinity, -1e30f};
  const Merged merged = parts.Launch();
  for (uint32_t d = 0; d < 64; ++d) {
    // Two equal ones, one beside an empty part, one beside a far smaller one.
    EXPECT_FLOAT_EQ(merged.out[d], (parts.values[d] + parts.values[3 * 64 + d]) / 2);
    EXPECT_EQ(merged.out[64 + d], parts.values[64 + d]);
    EXPECT_EQ(merged.out[128 + d], parts.values[128 + d]);
  }
  EXPECT_EQ(merged.lse, (std::vector<float>{lowest, -1e30f, 1e30f}));
}

TEST(MergeStatesOnce, LeavesLseAloneWhenItIsNotWanted) {
  Parts parts(MergeCase{Type::kF16, 3, 20, 64, 2});
  const Merged merged = parts.Launch(/*want_lse=*/false);
  for (const float lse : merged.lse) EXPECT_TRUE(std::isnan(lse));
}

}  // namespace
}  // namespace ascend_attention
