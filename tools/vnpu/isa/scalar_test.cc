// SPDX-License-Identifier: Apache-2.0
// Scalar helpers and the half and bfloat16 types, as compiled kernels use them.
#include <cmath>

#include "tools/vnpu/isa/insns/player.h"
#include "tools/vnpu/isa/scalar_cases.h"

namespace vnpu_test {
namespace {

class ScalarTest : public testing::Test {
 protected:
  ScalarTest() : device_(vnpu::DeviceConfig{}) {
    std::string error;
    module_ = vnpu::KernelModule::LoadFile("tools/vnpu/isa/scalar_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    in_ = static_cast<ScalarInputs*>(device_.Allocate(sizeof(ScalarInputs)));
    out_ = static_cast<ScalarResults*>(device_.Allocate(sizeof(ScalarResults)));
  }
  ScalarResults Run(uint64_t integer, float real, float second = 1.0f, double tiny = 0.0) {
    *in_ = ScalarInputs{integer, real, second, tiny};
    const void* args[2] = {in_, out_};
    const vnpu::LaunchResult result =
        device_.Launch(*module_->Find("scalar_cases_0"), 1, args, sizeof(args));
    EXPECT_EQ(result.text, "");
    return *out_;
  }

  vnpu::Device device_;
  std::shared_ptr<vnpu::KernelModule> module_;
  ScalarInputs* in_;
  ScalarResults* out_;
};

TEST_F(ScalarTest, BitHelpers) {
  ScalarResults r = Run(0x17, 0.0f);
  EXPECT_EQ(r.set, 0x1fu);
  EXPECT_EQ(r.cleared, 0x07u);
  EXPECT_EQ(r.first_zero, 3);
  EXPECT_EQ(r.first_one, 0);
  EXPECT_EQ(r.zeros, 60);
  EXPECT_EQ(r.ones, 4);
  EXPECT_EQ(r.leading, 59);
  EXPECT_EQ(r.sign_bits, 58);
  EXPECT_EQ(r.imm, 0x40u);
  r = Run(0, 0.0f);
  EXPECT_EQ(r.first_one, -1);
  EXPECT_EQ(r.leading, 64);
  EXPECT_EQ(Run(~uint64_t{0}, 0.0f).first_zero, -1);
}

TEST_F(ScalarTest, FloatToInteger) {
  const struct {
    float in;
    int32_t nearest, away, floor, ceil;
  } cases[] = {{2.5f, 2, 3, 2, 3},
               {-2.5f, -2, -3, -3, -2},
               {0.4f, 0, 0, 0, 1},
               {3e9f, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
               {-3e9f, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN},
               {NAN, 0, 0, 0, 0}};
  for (const auto& c : cases) {
    const ScalarResults r = Run(0, c.in);
    EXPECT_EQ(r.nearest, c.nearest) << c.in;
    EXPECT_EQ(r.away, c.away) << c.in;
    EXPECT_EQ(r.floor, c.floor) << c.in;
    EXPECT_EQ(r.ceil, c.ceil) << c.in;
  }
}

TEST_F(ScalarTest, NarrowTypesRoundToNearestEvenAndKeepDenormals) {
  Random random(6);
  for (int i = 0; i < 300; ++i) {
    const int exponent = static_cast<int>(random.Below(60)) - 35;
    const auto v = static_cast<float>(std::ldexp(random.Real(-2, 2), exponent));
    const auto w = static_cast<float>(random.Real(-2, 2));
    const ScalarResults r = Run(0, v, w);
    EXPECT_EQ(r.half_bits, HalfBits(v)) << v;
    EXPECT_EQ(r.bfloat_bits, BfloatBits(v)) << v;
    EXPECT_EQ(r.half_sum, HalfBits(HalfValue(HalfBits(v)) + HalfValue(HalfBits(w)))) << v;
    EXPECT_EQ(r.bfloat_product, BfloatBits(BfloatValue(BfloatBits(v)) * BfloatValue(BfloatBits(w))))
        << v;
  }
  EXPECT_EQ(Run(0, 1e-40f).bfloat_bits, BfloatBits(1e-40f));
  EXPECT_EQ(Run(0, INFINITY).bfloat_bits, 0x7f80);
}

TEST_F(ScalarTest, RoundingToOddSetsTheLastBitOfInexactValues) {
  EXPECT_EQ(Run(0, 1.0f).odd_bits, 0x3c00);
  EXPECT_EQ(Run(0, 1.0001f).odd_bits, 0x3c01);
  EXPECT_EQ(Run(0, 1.0009f).odd_bits, 0x3c01);
  EXPECT_EQ(Run(0, 1.0015f).odd_bits, 0x3c01);
  EXPECT_EQ(Run(0, 1.0021f).odd_bits, 0x3c03);
  EXPECT_EQ(Run(0, -1.0021f).odd_bits, 0xbc03);
}

// double to bfloat16 must not round twice: the float in between lies exactly
// on the middle of two bfloats.
TEST_F(ScalarTest, DoubleToBfloatRoundsOnce) {
  const float middle = 1.00390625f;  // between 0x3f80 and 0x3f81
  EXPECT_EQ(Run(0, middle, 1.0f, 0.0).double_bits, 0x3f80);
  EXPECT_EQ(Run(0, middle, 1.0f, 1e-12).double_bits, 0x3f81);
  EXPECT_EQ(Run(0, middle, 1.0f, -1e-12).double_bits, 0x3f80);
  EXPECT_EQ(Run(0, -middle, 1.0f, -1e-12).double_bits, 0xbf81);
}

}  // namespace
}  // namespace vnpu_test
