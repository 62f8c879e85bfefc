// SPDX-License-Identifier: Apache-2.0
#include "testdata/golden.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "testdata/decode_case.h"

namespace ascend_attention::testdata {
namespace {

constexpr char kRoot[] = "testdata/golden";
constexpr char kLine[] = "decode:b5:h8:kv2:d128:bs128:ctx0,5,0,300,0:f16:seed6";
constexpr size_t kRow = 8 * 3;  // the first head of the sequence with 300 tokens
constexpr size_t kHeadDim = 128;

class GoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(golden_.ok()) << golden_.error;
    out_ = golden_.out.values;
    lse_ = golden_.lse.values;
  }

  float Bound(int rule) const { return golden_.bounds.values[kRow * 3 + rule]; }

  Golden golden_ = LoadGolden(kRoot, kLine);
  std::vector<float> out_;
  std::vector<float> lse_;
};

TEST_F(GoldenTest, AcceptsItself) {
  const GoldenReport report = Compare(golden_, out_, lse_);
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_EQ(report.max_error, 0);
  EXPECT_TRUE(Compare(golden_, out_, {}).ok);
}

TEST_F(GoldenTest, EmptySequencesAreExact) {
  EXPECT_EQ(out_[0], 0.0f);
  EXPECT_EQ(lse_[0], -std::numeric_limits<float>::infinity());
  out_[0] = 1e-30f;
  EXPECT_FALSE(Compare(golden_, out_, lse_).ok);
  out_[0] = 0;
  lse_[0] = -1e30f;
  EXPECT_FALSE(Compare(golden_, out_, lse_).ok);
}

TEST_F(GoldenTest, OneElementMayErrUpToItsBound) {
  out_[kRow * kHeadDim + 5] += 0.9f * Bound(0);
  EXPECT_TRUE(Compare(golden_, out_, lse_).ok);
  out_[kRow * kHeadDim + 5] += 0.2f * Bound(0);
  const GoldenReport report = Compare(golden_, out_, lse_);
  EXPECT_FALSE(report.ok);
  EXPECT_GT(report.max_error, report.tolerance);
  EXPECT_EQ(report.text.find("out of row 3, head 0: error "), 0u) << report.text;
}

TEST_F(GoldenTest, ARowMayErrLessThanItsElements) {
  for (size_t i = 0; i < kHeadDim; ++i) out_[kRow * kHeadDim + i] += 0.9f * Bound(1);
  EXPECT_TRUE(Compare(golden_, out_, lse_).ok);
  for (size_t i = 0; i < kHeadDim; ++i) out_[kRow * kHeadDim + i] += 0.2f * Bound(1);
  EXPECT_LT(1.2f * Bound(1), Bound(0));
  const GoldenReport report = Compare(golden_, out_, lse_);
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.text.find("rms of out of row 3, head 0"), 0u) << report.text;
}

TEST_F(GoldenTest, LseHasItsOwnBound) {
  lse_[kRow] += 1.2f * Bound(2);
  EXPECT_FALSE(Compare(golden_, out_, lse_).ok);
  EXPECT_TRUE(Compare(golden_, out_, {}).ok);
}

TEST_F(GoldenTest, NanIsWrong) {
  out_[kRow * kHeadDim] = NAN;
  const GoldenReport report = Compare(golden_, out_, lse_);
  EXPECT_FALSE(report.ok);
  EXPECT_TRUE(std::isinf(report.max_error));
}

TEST_F(GoldenTest, AnotherSizeIsWrong) {
  out_.pop_back();
  EXPECT_FALSE(Compare(golden_, out_, lse_).ok);
}

// A float32 out: rounding it to the 16 bits of the query is an error that shows.
TEST(Golden, AFloat32OutHasNoRoomForAnotherRounding) {
  const Golden golden = LoadGolden(
      kRoot, "decode:b2:h8:kv1:d128:bs128:ctx300,700:bf16:route-fifo:outf32:onehot:sharp:seed74");
  ASSERT_TRUE(golden.ok()) << golden.error;
  std::vector<float> out = golden.out.values;
  EXPECT_TRUE(Compare(golden, out, golden.lse.values).ok);
  for (float& element : out) {
    uint32_t bits = 0;
    std::memcpy(&bits, &element, sizeof bits);
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;  // bfloat16, ties to even
    std::memcpy(&element, &bits, sizeof bits);
  }
  const GoldenReport report = Compare(golden, out, golden.lse.values);
  EXPECT_FALSE(report.ok) << report.text;
}

class EveryList : public testing::TestWithParam<const char*> {};

TEST_P(EveryList, HasAGoldenPerCase) {
  const std::string path = std::string("testdata/cases/decode_") + GetParam() + ".txt";
  const std::vector<DecodeCase> cases = ReadCaseFile(path);
  ASSERT_GE(cases.size(), 15u);
  for (const DecodeCase& c : cases) {
    const Golden golden = LoadGolden(kRoot, c.ToString());
    EXPECT_TRUE(golden.ok()) << golden.error;
    EXPECT_EQ(golden.out.shape,
              (std::vector<int64_t>{c.num_query_rows(), c.num_heads, c.head_dim}));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EveryList,
                         testing::Values("ci", "fifo", "int8", "layouts", "qlen", "shapes",
                                         "split"),
                         [](const auto& info) { return info.param; });

TEST(Golden, SaysThatItIsMissing) {
  const Golden golden = LoadGolden(kRoot, "decode:none");
  EXPECT_FALSE(golden.ok());
  EXPECT_NE(golden.error.find("no golden below testdata/golden for decode:none"),
            std::string::npos);
}

}  // namespace
}  // namespace ascend_attention::testdata
