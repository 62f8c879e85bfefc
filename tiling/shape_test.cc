// SPDX-License-Identifier: Apache-2.0
// Which shapes are refused, and that the refusal says what would be accepted.
#include "tiling/shape.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace ascend_attention {
namespace {

DecodeShape Good() {
  DecodeShape shape;
  shape.batch = 4;
  shape.num_heads = 32;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 100;
  shape.max_kv_blocks = 32;
  return shape;
}

template <typename Change>
std::string ErrorAfter(Change change) {
  DecodeShape shape = Good();
  change(shape);
  return Validate(shape).ToString();
}

TEST(Shape, AcceptsTheSupportedRange) {
  for (const int64_t head_dim : {64, 96, 128, 192, 256}) {
    for (int64_t block = 16; block <= 512; block += 16) {
      for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
        DecodeShape shape = Good();
        shape.head_dim = head_dim;
        shape.kv_block_size = block;
        shape.dtype = dtype;
        EXPECT_TRUE(Validate(shape).ok()) << Validate(shape).ToString();
      }
    }
  }
}

TEST(Shape, NamesTheNearestSupportedHeadDim) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.head_dim = 80; }),
            "UNIMPLEMENTED: head_dim = 80 has no kernel; nearest supported: 64, 96");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.head_dim = 320; }),
            "UNIMPLEMENTED: head_dim = 320 has no kernel; nearest supported: 256");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.head_dim = 32; }),
            "UNIMPLEMENTED: head_dim = 32 has no kernel; nearest supported: 64");
}

TEST(Shape, NamesTheNearestSupportedKvBlockSize) {
  const std::string rule = " has no kernel (multiples of 16 in 16..512 have); nearest supported: ";
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_block_size = 20; }),
            "UNIMPLEMENTED: kv_block_size = 20" + rule + "16, 32");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_block_size = 1; }),
            "UNIMPLEMENTED: kv_block_size = 1" + rule + "16");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_block_size = 1024; }),
            "UNIMPLEMENTED: kv_block_size = 1024" + rule + "512");
}

TEST(Shape, RefusesHeadsThatDoNotDivide) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.num_heads = 30; }),
            "INVALID_ARGUMENT: num_heads = 30 is not a multiple of num_kv_heads = 8");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.num_heads = 4; }),
            "INVALID_ARGUMENT: num_heads = 4 is not a multiple of num_kv_heads = 8");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.num_heads = 8 * 129; }),
            "UNIMPLEMENTED: num_heads / num_kv_heads = 129 has no kernel; nearest supported: 128");
}

TEST(Shape, RefusesValuesThatAreNotCounts) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.batch = 0; }),
            "INVALID_ARGUMENT: batch = 0; expected at least 1");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.num_kv_heads = 0; }),
            "INVALID_ARGUMENT: num_kv_heads = 0; expected at least 1");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.head_dim = -128; }),
            "INVALID_ARGUMENT: head_dim = -128; expected at least 1");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.max_kv_blocks = -1; }),
            "INVALID_ARGUMENT: max_kv_blocks = -1; expected 0 or more");
  EXPECT_EQ(Validate(DecodeShape{}).code(), StatusCode::kInvalidArgument);
}

// The load instruction's source pitch is 16 bits of elements.
TEST(Shape, RefusesCacheRowsLongerThanThePitchField) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.num_heads = s.num_kv_heads = 511; }), "OK");
  EXPECT_NE(ErrorAfter([](DecodeShape& s) {
              s.num_heads = s.num_kv_heads = 512;
            }).find("nearest supported: num_kv_heads = 511"),
            std::string::npos);
}

TEST(Shape, RefusesWhatInt32BlockIdsCannotName) {
  const int64_t blocks = int64_t{1} << 31;
  EXPECT_EQ(ErrorAfter([&](DecodeShape& s) { s.num_kv_blocks = blocks; }), "OK");
  EXPECT_EQ(ErrorAfter([&](DecodeShape& s) { s.num_kv_blocks = blocks + 1; }),
            "INVALID_ARGUMENT: num_kv_blocks = 2147483649 exceeds what an int32 block id can "
            "name: 2147483648");
  EXPECT_NE(
      ErrorAfter([](DecodeShape& s) { s.num_kv_blocks = std::numeric_limits<int64_t>::max(); }),
      "OK");
  EXPECT_NE(
      ErrorAfter([](DecodeShape& s) { s.max_kv_blocks = std::numeric_limits<int64_t>::max(); }),
      "OK");
  EXPECT_NE(ErrorAfter([](DecodeShape& s) { s.batch = int64_t{1} << 40; }), "OK");
}

TEST(Shape, RefusesAnUnknownDType) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.dtype = static_cast<DType>(7); }),
            "UNIMPLEMENTED: dtype code 7 has no kernel; supported: 0 (float16), 1 (bfloat16)");
}

}  // namespace
}  // namespace ascend_attention
