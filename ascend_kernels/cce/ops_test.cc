// SPDX-License-Identifier: Apache-2.0
// Each op of cce/ against a plain loop over the formula in its comment, run on
// the virtual NPU: sizes, pitches, lane masks, untouched neighbours.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ascend_kernels/cce/vector_ops_test_cases.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {
namespace {

constexpr uint32_t kFloats = 8192;  // the test kernel's buffers, 32 KiB
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A kernel binary and a device to run it on.
class Rig {
 public:
  explicit Rig(const std::string& name) {
    std::string error;
    module_ = vnpu::KernelModule::LoadFile("ascend_kernels/cce/" + name + ".so", &error);
    EXPECT_NE(module_, nullptr) << error;
    kernel_ = module_->Find(name + "_0");
  }

  template <typename T>
  T* Upload(const std::vector<T>& values) {
    T* memory = static_cast<T*>(device_.Allocate(values.size() * sizeof(T)));
    std::memcpy(memory, values.data(), values.size() * sizeof(T));
    return memory;
  }

  template <typename Args>
  void Run(const Args& args) {
    const vnpu::LaunchResult result = device_.Launch(*kernel_, 1, &args, sizeof(args));
    EXPECT_EQ(result.fault, vnpu::FaultKind::kNone) << result.text;
  }

 private:
  vnpu::Device device_{vnpu::DeviceConfig()};
  std::shared_ptr<vnpu::KernelModule> module_;
  const vnpu::Kernel* kernel_ = nullptr;
};

// Values of both signs and many magnitudes, different for each salt.
std::vector<float> Values(uint32_t salt, float scale = 4.0f) {
  std::vector<float> values(kFloats);
  uint32_t state = salt * 2654435761u + 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = (static_cast<float>(state >> 8) / (1 << 23) - 1.0f) * scale;
  }
  return values;
}

struct VectorRun {
  std::vector<float> a, b, before, after;
};

VectorRun RunVector(const VectorOpCase& op, std::vector<float> a, std::vector<float> b) {
  Rig rig("vector_ops_test");
  VectorRun run;
  run.a = std::move(a);
  run.b = std::move(b);
  run.before = Values(99, 1000.0f);
  float* dst = rig.Upload(run.before);
  const struct {
    void *a, *b, *dst;
    uint32_t op, repeats, pitch, lanes;
    float scalar;
  } args = {rig.Upload(run.a), rig.Upload(run.b), dst,      static_cast<uint32_t>(op.op),
            op.repeats,        op.pitch,          op.lanes, op.scalar};
  rig.Run(args);
  run.after.assign(dst, dst + kFloats);
  return run;
}

bool LaneActive(const VectorOpCase& op, uint32_t lane) {
  if (op.lanes == 0) return true;
  if (op.lanes >= 128) return lane % 8 == op.lanes - 128;
  return op.lanes < 64 ? lane < op.lanes : lane >= op.lanes - 64;
}

// Where `expected` has a value the result must be within `ulps` of it; where it
// is NaN the destination must be as before.
void ExpectResult(const VectorRun& run, const std::vector<float>& expected, float ulps) {
  for (uint32_t i = 0; i < kFloats; ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_EQ(run.after[i], run.before[i]) << "touched lane " << i;
    } else if (std::isinf(expected[i])) {
      ASSERT_EQ(run.after[i], expected[i]) << "lane " << i;
    } else {
      const float bound = ulps * std::abs(expected[i]) * std::numeric_limits<float>::epsilon();
      ASSERT_LE(std::abs(run.after[i] - expected[i]), bound) << "lane " << i;
    }
  }
}

using Formula = std::function<float(const VectorRun&, uint32_t row, uint32_t lane, uint32_t index)>;

// Lanes of `rows` rows `pitch` apart in all operands.
void ExpectLanes(const VectorOpCase& op, uint32_t pitch, const VectorRun& run, const Formula& f,
                 float ulps = 0.0f) {
  std::vector<float> expected(kFloats, kNan);
  for (uint32_t row = 0; row < op.repeats; ++row) {
    for (uint32_t lane = 0; lane < 64; ++lane) {
      const uint32_t index = row * pitch + lane;
      if (LaneActive(op, lane)) expected[index] = f(run, row, lane, index);
    }
  }
  ExpectResult(run, expected, ulps);
}

using Product = std::function<double(const VectorRun&, uint32_t, uint32_t lane, uint32_t a_index)>;

// Dense sums dst += product, of rows of a `pitch` apart. Whether the product is
// rounded before it is added is not documented.
void ExpectSums(const VectorOpCase& op, uint32_t pitch, const VectorRun& run, const Product& f) {
  for (uint32_t i = 0; i < kFloats; ++i) {
    const uint32_t row = i / 64;
    const uint32_t lane = i % 64;
    if (row >= op.repeats || !LaneActive(op, lane)) {
      ASSERT_EQ(run.after[i], run.before[i]) << "touched lane " << i;
      continue;
    }
    const double product = f(run, row, lane, row * pitch + lane);
    const double magnitude = std::abs(product) + std::abs(run.before[i]);
    ASSERT_NEAR(run.after[i], run.before[i] + product,
                magnitude * std::numeric_limits<float>::epsilon())
        << "lane " << i;
  }
}

class DenseOps : public ::testing::TestWithParam<std::tuple<uint32_t, uint32_t>> {
 protected:
  void Check(VectorOp op, const Formula& f, float ulps = 0.0f, bool positive = false) {
    const auto [repeats, lanes] = GetParam();
    const VectorOpCase c{op, repeats, 64, lanes, -1.625f};
    std::vector<float> a = Values(1);
    if (positive) {
      for (float& value : a) value = std::abs(value) + 1e-3f;
    }
    ExpectLanes(c, 64, RunVector(c, a, Values(2)), f, ulps);
  }
};

TEST_P(DenseOps, Fill) {
  Check(kOpFillDense, [](auto&, auto, auto, auto) { return -1.625f; });
}
TEST_P(DenseOps, Add) {
  Check(kOpAddDense, [](auto& r, auto, auto, auto i) { return r.a[i] + r.b[i]; });
}
TEST_P(DenseOps, Sub) {
  Check(kOpSubDense, [](auto& r, auto, auto, auto i) { return r.a[i] - r.b[i]; });
}
TEST_P(DenseOps, Mul) {
  Check(kOpMulDense, [](auto& r, auto, auto, auto i) { return r.a[i] * r.b[i]; });
}
TEST_P(DenseOps, Max) {
  Check(kOpMaxDense, [](auto& r, auto, auto, auto i) { return std::max(r.a[i], r.b[i]); });
}
TEST_P(DenseOps, Scale) {
  Check(kOpScaleDense, [](auto& r, auto, auto, auto i) { return r.a[i] * -1.625f; });
}
TEST_P(DenseOps, Abs) {
  Check(kOpAbsDense, [](auto& r, auto, auto, auto i) { return std::abs(r.a[i]); });
}
TEST_P(DenseOps, Copy) {
  Check(kOpCopyDense, [](auto& r, auto, auto, auto i) { return r.a[i]; });
}
TEST_P(DenseOps, Exp) {
  Check(
      kOpExpDense,
      [](auto& r, auto, auto, auto i) {
        return static_cast<float>(std::exp(static_cast<double>(r.a[i])));
      },
      1.0f);
}
TEST_P(DenseOps, Ln) {
  Check(
      kOpLnDense,
      [](auto& r, auto, auto, auto i) {
        return static_cast<float>(std::log(static_cast<double>(r.a[i])));
      },
      1.0f, /*positive=*/true);
}
TEST_P(DenseOps, AtLeast) {
  Check(kOpAtLeastDense, [](auto& r, auto, auto, auto i) { return std::max(r.a[i], -1.625f); });
}
TEST_P(DenseOps, Offset) {
  Check(kOpOffsetDense, [](auto& r, auto, auto, auto i) { return r.a[i] - 1.625f; });
}
TEST_P(DenseOps, Div) {
  Check(kOpDivDense, [](auto& r, auto, auto, auto i) { return r.a[i] / r.b[i]; });
}
TEST_P(DenseOps, AddScaled) {
  const auto [repeats, lanes] = GetParam();
  const VectorOpCase c{kOpAddScaledDense, repeats, 64, lanes, -1.625f};
  ExpectSums(c, 64, RunVector(c, Values(1), Values(2)),
             [](auto& r, auto, auto, auto i) { return r.a[i] * -1.625; });
}
TEST_P(DenseOps, RoundsTiesToEven) {
  const auto [repeats, lanes] = GetParam();
  const VectorOpCase c{kOpRoundDense, repeats, 64, lanes, 0.0f};
  std::vector<float> a = Values(7, 300.0f);
  for (uint32_t i = 0; i < kFloats; i += 3) a[i] = std::floor(a[i]) + 0.5f;
  ExpectLanes(c, 64, RunVector(c, a, Values(2)), [](auto& r, auto, auto, auto i) {
    return static_cast<float>(std::nearbyint(r.a[i]));
  });
}
TEST_P(DenseOps, SubSharedDatablock) {
  Check(kOpSubShared, [](auto& r, auto, auto lane, auto i) { return r.a[i] - r.b[lane % 8]; });
}
TEST_P(DenseOps, DivSharedDatablock) {
  Check(kOpDivShared, [](auto& r, auto, auto lane, auto i) { return r.a[i] / r.b[lane % 8]; });
}
INSTANTIATE_TEST_SUITE_P(RepeatsAndLanes, DenseOps,
                         ::testing::Values(std::make_tuple(0u, 0u), std::make_tuple(1u, 0u),
                                           std::make_tuple(128u, 0u), std::make_tuple(3u, 8u),
                                           std::make_tuple(2u, 64u + 17u)));

class RowOps : public ::testing::TestWithParam<std::tuple<uint32_t, uint32_t, uint32_t>> {
 protected:
  VectorOpCase Case(VectorOp op) const {
    const auto [rows, pitch, lanes] = GetParam();
    return VectorOpCase{op, rows, pitch, lanes, 7.5f};
  }
  void Check(VectorOp op, const Formula& f) {
    const VectorOpCase c = Case(op);
    ExpectLanes(c, c.pitch, RunVector(c, Values(3), Values(4)), f);
  }
};

TEST_P(RowOps, FillColumn) {
  Check(kOpFillColumn, [](auto&, auto, auto, auto) { return 7.5f; });
}
TEST_P(RowOps, AddColumn) {
  Check(kOpAddColumn, [](auto& r, auto, auto, auto i) { return r.a[i] + r.b[i]; });
}
TEST_P(RowOps, MaxColumn) {
  Check(kOpMaxColumn, [](auto& r, auto, auto, auto i) { return std::max(r.a[i], r.b[i]); });
}
TEST_P(RowOps, SubPerRow) {
  Check(kOpSubPerRow,
        [](auto& r, auto row, auto lane, auto i) { return r.a[i] - r.b[row * 8 + lane % 8]; });
}
TEST_P(RowOps, MulPerRow) {
  Check(kOpMulPerRow,
        [](auto& r, auto row, auto lane, auto i) { return r.a[i] * r.b[row * 8 + lane % 8]; });
}
TEST_P(RowOps, DivPerRow) {
  Check(kOpDivPerRow,
        [](auto& r, auto row, auto lane, auto i) { return r.a[i] / r.b[row * 8 + lane % 8]; });
}
TEST_P(RowOps, MulPerLane) {
  Check(kOpMulPerLane, [](auto& r, auto, auto lane, auto i) { return r.a[i] * r.b[lane]; });
}
TEST_P(RowOps, AddPerLane) {
  Check(kOpAddPerLane, [](auto& r, auto, auto lane, auto i) { return r.a[i] + r.b[lane]; });
}
TEST_P(RowOps, AddProductPerLane) {
  const VectorOpCase c = Case(kOpAddProductPerLane);
  ExpectSums(c, c.pitch, RunVector(c, Values(3), Values(4)), [](auto& r, auto, auto lane, auto i) {
    return static_cast<double>(r.a[i]) * r.b[lane];
  });
}
TEST_P(RowOps, MaxOfLanes) {
  const VectorOpCase c = Case(kOpMaxOfLanes);
  const VectorRun run = RunVector(c, Values(5), Values(6));
  std::vector<float> expected(kFloats, kNan);
  for (uint32_t row = 0; row < c.repeats; ++row) {
    float best = -std::numeric_limits<float>::infinity();
    for (uint32_t lane = 0; lane < 64; ++lane) {
      if (LaneActive(c, lane)) best = std::max(best, run.a[row * c.pitch + lane]);
    }
    expected[row] = best;
  }
  ExpectResult(run, expected, 0.0f);
}
TEST_P(RowOps, SumOfLanes) {
  const VectorOpCase c = Case(kOpSumOfLanes);
  const VectorRun run = RunVector(c, Values(5), Values(6));
  for (uint32_t row = 0; row < c.repeats; ++row) {
    double sum = 0.0;
    double magnitude = 0.0;
    for (uint32_t lane = 0; lane < 64; ++lane) {
      if (!LaneActive(c, lane)) continue;
      sum += run.a[row * c.pitch + lane];
      magnitude += std::abs(run.a[row * c.pitch + lane]);
    }
    // A tree of 64 leaves rounds 6 times.
    EXPECT_NEAR(run.after[row], sum, 6 * magnitude * std::numeric_limits<float>::epsilon());
  }
  for (uint32_t i = c.repeats; i < kFloats; ++i) ASSERT_EQ(run.after[i], run.before[i]);
}
TEST_P(RowOps, SpreadRowsIgnoresTheMask) {
  const VectorOpCase c = Case(kOpSpreadRows);
  const VectorRun run = RunVector(c, Values(5), Values(6));
  std::vector<float> expected(kFloats, kNan);
  for (uint32_t i = 0; i < (c.repeats + 7) / 8 * 64; ++i) expected[i] = run.a[i / 8];
  ExpectResult(run, expected, 0.0f);
}
INSTANTIATE_TEST_SUITE_P(
    RowsPitchLanes, RowOps,
    ::testing::Values(std::make_tuple(1u, 64u, 0u), std::make_tuple(7u, 128u, 0u),
                      std::make_tuple(64u, 128u, 0u), std::make_tuple(15u, 512u, 0u),
                      std::make_tuple(16u, 192u, 64u + 3u), std::make_tuple(5u, 64u, 9u)));

uint16_t Bits16(float value, bool bfloat16) {
  uint16_t bits;
  if (bfloat16) {
    uint32_t word;
    std::memcpy(&word, &value, 4);
    word += 0x7fff + ((word >> 16) & 1);  // nearest, ties to even
    return static_cast<uint16_t>(word >> 16);
  }
  const _Float16 rounded = static_cast<_Float16>(value);
  std::memcpy(&bits, &rounded, 2);
  return bits;
}

float FromBits16(uint16_t bits, bool bfloat16) {
  if (bfloat16) {
    const uint32_t word = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, 4);
    return value;
  }
  _Float16 value;
  std::memcpy(&value, &bits, 2);
  return static_cast<float>(value);
}

class Conversions : public ::testing::TestWithParam<std::tuple<bool, uint32_t>> {};

TEST_P(Conversions, To16BitsRoundsToNearestEven) {
  const auto [bfloat16, repeats] = GetParam();
  const VectorOpCase c{kOpFromF32, repeats, bfloat16 ? 1u : 0u, 0, 0.0f};
  std::vector<float> a = Values(8, 300.0f);
  a[0] = 1.0f + 1.0f / 2048;  // half an fp16 step above 1: to even, down
  a[1] = 1.0f + 3.0f / 2048;  // to even, up
  a[2] = 1.0f + 1.0f / 256;   // the same for bf16
  a[3] = 6e-8f;               // fp16 subnormal
  const VectorRun run = RunVector(c, a, Values(2));
  std::vector<uint16_t> after(kFloats * 2);
  std::memcpy(after.data(), run.after.data(), kFloats * 4);
  std::vector<uint16_t> before(kFloats * 2);
  std::memcpy(before.data(), run.before.data(), kFloats * 4);
  for (uint32_t i = 0; i < kFloats * 2; ++i) {
    const uint16_t expected = i < repeats * 64 ? Bits16(run.a[i], bfloat16) : before[i];
    ASSERT_EQ(after[i], expected) << "element " << i;
  }
}

TEST_P(Conversions, From16BitsIsExact) {
  const auto [bfloat16, repeats] = GetParam();
  const VectorOpCase c{kOpToF32, repeats, bfloat16 ? 1u : 0u, 0, 0.0f};
  const std::vector<float> source = Values(9, 300.0f);
  std::vector<uint16_t> bits(kFloats * 2);
  for (uint32_t i = 0; i < kFloats; ++i) bits[i] = Bits16(source[i], bfloat16);
  std::vector<float> a(kFloats);
  std::memcpy(a.data(), bits.data(), kFloats * 4);
  const VectorRun run = RunVector(c, a, Values(2));
  for (uint32_t i = 0; i < kFloats; ++i) {
    const float expected = i < repeats * 64 ? FromBits16(bits[i], bfloat16) : run.before[i];
    ASSERT_EQ(run.after[i], expected) << "element " << i;
  }
}
INSTANTIATE_TEST_SUITE_P(TypesAndRepeats, Conversions,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(1u, 5u, 128u)));

class IntegerConversions : public ::testing::TestWithParam<uint32_t> {
 protected:
  static VectorRun Convert(VectorOp op, const void* source) {
    std::vector<float> a(kFloats);
    std::memcpy(a.data(), source, kFloats * sizeof(float));
    return RunVector(VectorOpCase{op, GetParam(), 2, 0, 0.0f}, a, Values(2));
  }
  // Element i of the destination, seen as T.
  template <typename T>
  static T At(const std::vector<float>& values, uint32_t i) {
    T value;
    std::memcpy(&value, reinterpret_cast<const T*>(values.data()) + i, sizeof(T));
    return value;
  }
};

TEST_P(IntegerConversions, Int32ToF32) {
  std::vector<int32_t> source(kFloats);
  for (uint32_t i = 0; i < kFloats; ++i) source[i] = static_cast<int32_t>(i * 2047) - 8000000;
  const VectorRun run = Convert(kOpToF32, source.data());
  for (uint32_t i = 0; i < kFloats; ++i) {
    const float expected = i < GetParam() * 64 ? static_cast<float>(source[i]) : run.before[i];
    ASSERT_EQ(run.after[i], expected) << i;
  }
}

TEST_P(IntegerConversions, HalfToInt8RoundsToEvenAndSaturates) {
  std::vector<_Float16> source(2 * kFloats);
  for (uint32_t i = 0; i < 2 * kFloats; ++i) {
    source[i] = static_cast<_Float16>(static_cast<float>(i % 601) / 2 - 150.0f);
  }
  const VectorRun run = Convert(kOpToInt8, source.data());
  for (uint32_t i = 0; i < 4 * kFloats; ++i) {
    if (i < GetParam() * 128) {
      const float rounded = std::nearbyint(static_cast<float>(source[i]));
      ASSERT_EQ(At<int8_t>(run.after, i), std::min(127.0f, std::max(-128.0f, rounded))) << i;
    } else {
      ASSERT_EQ(At<int8_t>(run.after, i), At<int8_t>(run.before, i)) << i;
    }
  }
}

TEST_P(IntegerConversions, Int8ToHalfIsExact) {
  std::vector<int8_t> source(4 * kFloats);
  for (uint32_t i = 0; i < 4 * kFloats; ++i) source[i] = static_cast<int8_t>(i * 7);
  const VectorRun run = Convert(kOpFromInt8, source.data());
  for (uint32_t i = 0; i < 2 * kFloats; ++i) {
    if (i < GetParam() * 128) {
      ASSERT_EQ(static_cast<float>(At<_Float16>(run.after, i)), source[i]) << i;
    } else {
      ASSERT_EQ(At<uint16_t>(run.after, i), At<uint16_t>(run.before, i)) << i;
    }
  }
}
// The values of fp32 -> int8 by way of int16 and half.
TEST_P(IntegerConversions, F32ToInt16RoundsToEvenSaturatesAndDropsNan) {
  std::vector<float> source(kFloats);
  for (uint32_t i = 0; i < kFloats; ++i) source[i] = static_cast<float>(i) / 2 - 2000.0f;
  source[0] = 1e30f;
  source[1] = -std::numeric_limits<float>::infinity();
  source[2] = kNan;
  const VectorRun run = Convert(kOpRoundToInt16, source.data());
  for (uint32_t i = 0; i < 2 * kFloats; ++i) {
    int16_t expected = At<int16_t>(run.before, i);
    if (i < 3) {
      expected = std::array<int16_t, 3>{32767, -32768, 0}[i];
    } else if (i < GetParam() * 64) {
      expected = static_cast<int16_t>(std::nearbyint(source[i]));
    }
    ASSERT_EQ(At<int16_t>(run.after, i), expected) << i;
  }
}

TEST_P(IntegerConversions, Int16ToHalfIsExactBelow2048) {
  std::vector<int16_t> source(2 * kFloats);
  for (uint32_t i = 0; i < 2 * kFloats; ++i) source[i] = static_cast<int16_t>(i % 4097 - 2048);
  const VectorRun run = Convert(kOpFromInt16, source.data());
  for (uint32_t i = 0; i < 2 * kFloats; ++i) {
    if (i < GetParam() * 128) {
      ASSERT_EQ(static_cast<float>(At<_Float16>(run.after, i)), source[i]) << i;
    } else {
      ASSERT_EQ(At<uint16_t>(run.after, i), At<uint16_t>(run.before, i)) << i;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Repeats, IntegerConversions, ::testing::Values(1u, 3u, 128u));

class DatablockMaxima : public ::testing::TestWithParam<std::tuple<uint32_t, uint32_t>> {};

TEST_P(DatablockMaxima, AreDenseRowsOf8AndKeepNan) {
  const auto [rows, pitch] = GetParam();
  std::vector<float> a = Values(5);
  a[3] = kNan;
  const VectorRun run =
      RunVector(VectorOpCase{kOpMaxOfDatablocks, rows, pitch, 0, 0.0f}, a, Values(6));
  ASSERT_TRUE(std::isnan(run.after[0]));
  for (uint32_t i = 1; i < kFloats; ++i) {
    float expected = run.before[i];
    if (i < rows * 8) {
      const float* block = a.data() + i / 8 * pitch + i % 8 * 8;
      expected = *std::max_element(block, block + 8);
    }
    ASSERT_EQ(run.after[i], expected) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, DatablockMaxima,
                         ::testing::Combine(::testing::Values(1u, 17u, 32u),
                                            ::testing::Values(64u, 96u, 256u)));

struct CubeShape {
  uint32_t count, m, k, n;
};

class CubeChain : public ::testing::TestWithParam<std::tuple<CubeShape, bool>> {
 protected:
  // Twice the product: the kernel multiplies once without and once with
  // accumulation.
  void Check(bool transposed_b) {
    const auto [shape, bfloat16] = GetParam();
    Rig rig("cube_ops_test");
    const std::vector<uint16_t> a = Operand(shape.count * shape.m * shape.k, 1, bfloat16);
    const std::vector<uint16_t> b = Operand(shape.count * shape.n * shape.k, 2, bfloat16);
    const std::vector<float> before(shape.count * shape.m * shape.n, -1.0f);
    float* c = rig.Upload(before);
    const struct {
      void *a, *b, *c;
      uint32_t count, m, k, n, transposed_b, type;
    } args = {rig.Upload(a),          rig.Upload(b),     c, shape.count, shape.m, shape.k, shape.n,
              transposed_b ? 1u : 0u, bfloat16 ? 1u : 0u};
    rig.Run(args);
    const uint32_t width = transposed_b ? shape.k : shape.n;
    for (uint32_t i = 0; i < shape.count; ++i) {
      for (uint32_t row = 0; row < shape.m; ++row) {
        for (uint32_t column = 0; column < shape.n; ++column) {
          double sum = 0.0;
          double magnitude = 0.0;
          for (uint32_t k = 0; k < shape.k; ++k) {
            const uint32_t b_row = transposed_b ? column : k;
            const uint32_t b_column = transposed_b ? k : column;
            const double product =
                static_cast<double>(FromBits16(a[(i * shape.m + row) * shape.k + k], bfloat16)) *
                FromBits16(b[b_row * shape.count * width + i * width + b_column], bfloat16);
            sum += product;
            magnitude += std::abs(product);
          }
          ASSERT_NEAR(c[(i * shape.m + row) * shape.n + column], 2 * sum,
                      2 * magnitude * shape.k * std::numeric_limits<float>::epsilon() / 2)
              << i << " " << row << " " << column;
        }
      }
    }
  }

  static std::vector<uint16_t> Operand(uint32_t elements, uint32_t salt, bool bfloat16) {
    std::vector<uint16_t> bits(elements);
    uint32_t state = salt * 97;
    for (uint16_t& value : bits) {
      state = state * 1664525u + 1013904223u;
      value = Bits16(static_cast<float>(state >> 8) / (1 << 23) - 1.0f, bfloat16);
    }
    return bits;
  }
};

TEST_P(CubeChain, RowsOfBAreColumnsOfTheProduct) { Check(/*transposed_b=*/true); }
INSTANTIATE_TEST_SUITE_P(
    Shapes, CubeChain,
    ::testing::Combine(::testing::Values(CubeShape{1, 2, 64, 3}, CubeShape{4, 4, 128, 32},
                                         CubeShape{8, 16, 128, 17}, CubeShape{3, 7, 64, 128},
                                         CubeShape{2, 1, 64, 16}),
                       ::testing::Bool()));

class CubeChainRowMajorB : public CubeChain {};

TEST_P(CubeChainRowMajorB, RowsOfBAreTheSum) { Check(/*transposed_b=*/false); }
INSTANTIATE_TEST_SUITE_P(
    Shapes, CubeChainRowMajorB,
    ::testing::Combine(::testing::Values(CubeShape{1, 2, 16, 64}, CubeShape{4, 4, 32, 128},
                                         CubeShape{8, 16, 48, 64}, CubeShape{3, 7, 33, 64},
                                         CubeShape{2, 1, 64, 128}),
                       ::testing::Bool()));

// Int8 operands: the sums are exact.
class CubeChainInt8 : public ::testing::TestWithParam<CubeShape> {
 protected:
  void Check(bool transposed_b) {
    const CubeShape shape = GetParam();
    Rig rig("cube_ops_test");
    const std::vector<int8_t> a = Operand(shape.count * shape.m * shape.k, 3);
    const std::vector<int8_t> b = Operand(shape.count * shape.n * shape.k, 4);
    int32_t* c = rig.Upload(std::vector<int32_t>(shape.count * shape.m * shape.n, -1));
    const struct {
      void *a, *b, *c;
      uint32_t count, m, k, n, transposed_b, type;
    } args = {rig.Upload(a), rig.Upload(b),          c, shape.count, shape.m, shape.k,
              shape.n,       transposed_b ? 1u : 0u, 2};
    rig.Run(args);
    const uint32_t width = transposed_b ? shape.k : shape.n;
    for (uint32_t i = 0; i < shape.count; ++i) {
      for (uint32_t row = 0; row < shape.m; ++row) {
        for (uint32_t column = 0; column < shape.n; ++column) {
          int32_t sum = 0;
          for (uint32_t k = 0; k < shape.k; ++k) {
            const uint32_t b_row = transposed_b ? column : k;
            const uint32_t b_column = transposed_b ? k : column;
            sum += a[(i * shape.m + row) * shape.k + k] *
                   b[b_row * shape.count * width + i * width + b_column];
          }
          ASSERT_EQ(c[(i * shape.m + row) * shape.n + column], 2 * sum)
              << i << " " << row << " " << column;
        }
      }
    }
  }

  static std::vector<int8_t> Operand(uint32_t elements, uint32_t salt) {
    std::vector<int8_t> values(elements);
    uint32_t state = salt * 97;
    for (int8_t& value : values) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<int8_t>(state >> 24);
    }
    return values;
  }
};

TEST_P(CubeChainInt8, RowsOfBAreColumnsOfTheProduct) { Check(/*transposed_b=*/true); }
INSTANTIATE_TEST_SUITE_P(Shapes, CubeChainInt8,
                         ::testing::Values(CubeShape{1, 2, 64, 3}, CubeShape{4, 8, 128, 32},
                                           CubeShape{8, 16, 96, 17}, CubeShape{3, 7, 64, 128}));

class CubeChainInt8RowMajorB : public CubeChainInt8 {};

TEST_P(CubeChainInt8RowMajorB, RowsOfBAreTheSum) { Check(/*transposed_b=*/false); }
INSTANTIATE_TEST_SUITE_P(Shapes, CubeChainInt8RowMajorB,
                         ::testing::Values(CubeShape{1, 2, 16, 64}, CubeShape{4, 8, 32, 128},
                                           CubeShape{8, 16, 48, 96}, CubeShape{3, 7, 33, 64},
                                           CubeShape{2, 4, 64, 128}));

}  // namespace
}  // namespace ascend_attention
