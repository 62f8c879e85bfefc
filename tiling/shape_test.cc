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

TEST(Shape, QueryHeadsEndAlikeForEveryHeadDimAndRoute) {
  const auto error = [](int64_t q_per_kv, KvQuant quant, KvRoute route) {
    return ErrorAfter([=](DecodeShape& s) {
      s.head_dim = 256;
      s.num_heads = 8 * q_per_kv;
      s.kv_quant = quant;
      s.kv_route = route;
    });
  };
  EXPECT_EQ(error(128, KvQuant::kNone, KvRoute::kAuto), "OK");
  EXPECT_EQ(error(128, KvQuant::kInt8Token, KvRoute::kLimbs), "OK");
  EXPECT_EQ(error(128, KvQuant::kInt8Token, KvRoute::kDequant), "OK");
  EXPECT_EQ(error(129, KvQuant::kInt8Token, KvRoute::kLimbs),
            "UNIMPLEMENTED: num_heads / num_kv_heads = 129 has no kernel; nearest supported: 128");
}

TEST(Shape, RefusesMoreQueryTokensThanThereAreKernelsFor) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.max_q_len = 16; }), "OK");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.max_q_len = 17; }),
            "UNIMPLEMENTED: max_q_len = 17 has no kernel; nearest supported: 16");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.max_q_len = 0; }),
            "INVALID_ARGUMENT: max_q_len = 0; expected at least 1");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) {
              s.max_q_len = 2;
              s.kv_quant = KvQuant::kInt8Channel;
            }),
            "UNIMPLEMENTED: max_q_len = 2 with kv_quant = int8_channel has no kernel; nearest "
            "supported: 1");
}

TEST(Shape, RefusesRoutesThatTheCacheCannotTake) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_route = KvRoute::kLimbs; }),
            "UNIMPLEMENTED: kv_route = limbs has no kernel for kv_quant = none; nearest "
            "supported: direct, fifo, auto");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) {
              s.kv_quant = KvQuant::kInt8ChannelAsym;
              s.kv_route = KvRoute::kDirect;
            }),
            "UNIMPLEMENTED: kv_route = direct has no kernel for kv_quant = int8_channel_asym; "
            "nearest supported: dequant, limbs, auto");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_quant = static_cast<KvQuant>(8); }),
            "UNIMPLEMENTED: kv_quant code 8 has no kernel; supported: 0 (none), 1 (int8_channel), "
            "2 (int8_channel_asym), 3 (int8_token)");
}

std::string ErrorOfFifo(void (*change)(DecodeShape&)) {
  return ErrorAfter([change](DecodeShape& s) {
    s.kv_route = KvRoute::kFifo;
    change(s);
  });
}

TEST(Fifo, TakesPagesOf64And128AndAnyQueryHeads) {
  for (const int64_t block : {64, 128}) {
    for (const int64_t q_per_kv : {1, 3, 16, 17, 63, 64, 100, 128}) {
      for (const bool out_float32 : {false, true}) {
        DecodeShape shape = Good();
        shape.kv_route = KvRoute::kFifo;
        shape.kv_block_size = block;
        shape.num_heads = 8 * q_per_kv;
        shape.out_float32 = out_float32;
        EXPECT_TRUE(Validate(shape).ok()) << Validate(shape).ToString();
      }
    }
  }
}

TEST(Fifo, RefusalsNameTheRouteAndTheNearest) {
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.kv_block_size = 16; }),
            "UNIMPLEMENTED: kv_block_size = 16 with kv_route = fifo has no kernel (multiples of "
            "64 in 64..128 have); nearest supported: 64");
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.kv_block_size = 96; }),
            "UNIMPLEMENTED: kv_block_size = 96 with kv_route = fifo has no kernel (multiples of "
            "64 in 64..128 have); nearest supported: 64, 128");
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.head_dim = 64; }),
            "UNIMPLEMENTED: head_dim = 64 with kv_route = fifo has no kernel; nearest supported: "
            "128");
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.max_q_len = 2; }),
            "UNIMPLEMENTED: max_q_len = 2 with kv_route = fifo has no kernel; nearest supported: "
            "1");
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.num_heads = 8 * 129; }),
            "UNIMPLEMENTED: num_heads / num_kv_heads = 129 has no kernel; nearest supported: 128");
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.fixed_split_tokens = 512; }),
            "UNIMPLEMENTED: fixed_split_tokens = 512 with kv_route = fifo has no kernel, as it "
            "never cuts a sequence; nearest supported: 0");
  EXPECT_EQ(ErrorOfFifo([](DecodeShape& s) { s.kv_quant = KvQuant::kInt8Channel; }),
            "UNIMPLEMENTED: kv_route = fifo has no kernel for kv_quant = int8_channel; nearest "
            "supported: dequant, limbs, auto");
}

TEST(Fifo, DoesNotNarrowWhatAutoTakes) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_block_size = 16; }), "OK");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.head_dim = 64; }), "OK");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.max_q_len = 16; }), "OK");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.fixed_split_tokens = 512; }), "OK");
}

TEST(Fifo, ServesWhatIsValidWhenForced) {
  int served = 0;
  for (const KvQuant kv_quant : {KvQuant::kNone, KvQuant::kInt8Token}) {
    for (const int64_t head_dim : {64, 96, 128, 256}) {
      for (const int64_t block : {16, 64, 96, 128, 192}) {
        for (const int64_t max_q_len : {1, 2}) {
          for (const int64_t split : {0, 256}) {
            DecodeShape shape = Good();
            shape.kv_quant = kv_quant;
            shape.head_dim = head_dim;
            shape.kv_block_size = block;
            shape.max_q_len = max_q_len;
            shape.fixed_split_tokens = split;
            if (!Validate(shape).ok()) continue;
            const bool serves = FifoServes(shape);
            shape.kv_route = KvRoute::kFifo;
            EXPECT_EQ(serves, Validate(shape).ok()) << Validate(shape).ToString();
            served += serves;
          }
        }
      }
    }
  }
  EXPECT_EQ(served, 2);
}

TEST(OutDType, Float32IsOfTheFifoRouteAlone) {
  const auto error = [](KvRoute route, KvQuant kv_quant = KvQuant::kNone) {
    return ErrorAfter([=](DecodeShape& s) {
      s.out_float32 = true;
      s.kv_route = route;
      s.kv_quant = kv_quant;
    });
  };
  EXPECT_EQ(error(KvRoute::kFifo), "OK");
  EXPECT_EQ(error(KvRoute::kAuto), "OK");
  EXPECT_EQ(error(KvRoute::kDirect),
            "UNIMPLEMENTED: out_dtype = float32 has no kernel on kv_route = direct; nearest "
            "supported: kv_route = fifo, auto");
  const std::string int8 =
      "UNIMPLEMENTED: out_dtype = float32 has no kernel for kv_quant = int8_token; nearest "
      "supported: kv_quant = none, which kv_route = fifo reads";
  EXPECT_EQ(error(KvRoute::kAuto, KvQuant::kInt8Token), int8);
  EXPECT_EQ(error(KvRoute::kLimbs, KvQuant::kInt8Token), int8);
}

// With auto the limits are those of the one kernel that has it, and errors say why.
TEST(OutDType, Float32HasTheLimitsOfItsKernel) {
  const auto error = [](void (*change)(DecodeShape&)) {
    return ErrorAfter([change](DecodeShape& s) {
      s.out_float32 = true;
      change(s);
    });
  };
  EXPECT_EQ(error([](DecodeShape& s) { s.kv_block_size = 256; }),
            "UNIMPLEMENTED: kv_block_size = 256 with out_dtype = float32 has no kernel (multiples "
            "of 64 in 64..128 have); nearest supported: 128");
  EXPECT_EQ(error([](DecodeShape& s) { s.head_dim = 96; }),
            "UNIMPLEMENTED: head_dim = 96 with out_dtype = float32 has no kernel; nearest "
            "supported: 128");
  EXPECT_EQ(error([](DecodeShape& s) { s.max_q_len = 4; }),
            "UNIMPLEMENTED: max_q_len = 4 with out_dtype = float32 has no kernel; nearest "
            "supported: 1");
  EXPECT_EQ(error([](DecodeShape& s) { s.fixed_split_tokens = 64; }),
            "UNIMPLEMENTED: fixed_split_tokens = 64 with out_dtype = float32 has no kernel, as it "
            "never cuts a sequence; nearest supported: 0");
}

// The load instruction's source pitch is 16 bits of elements.
TEST(Shape, RefusesCacheRowsLongerThanThePitchField) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.num_heads = s.num_kv_heads = 511; }), "OK");
  EXPECT_NE(ErrorAfter([](DecodeShape& s) {
              s.num_heads = s.num_kv_heads = 512;
            }).find("nearest supported: num_kv_heads = 511"),
            std::string::npos);
}

std::string ErrorWithStrides(const KvStrides& strides, KvQuant kv_quant = KvQuant::kNone) {
  return ErrorAfter([&](DecodeShape& s) {
    s.kv_strides = strides;
    s.kv_quant = kv_quant;
  });
}

// Blocks of 128 tokens, 8 kv heads of 128.
TEST(Strides, AcceptTheLayoutsOfEngines) {
  EXPECT_EQ(ErrorWithStrides({131072, 1024, 128}), "OK");    // token-major
  EXPECT_EQ(ErrorWithStrides({131072, 128, 16384}), "OK");   // head-major
  EXPECT_EQ(ErrorWithStrides({262144, 1024, 128}), "OK");    // half of an interleaved pool
  EXPECT_EQ(ErrorWithStrides({262144, 128, 16384}), "OK");   // the same, head-major
  EXPECT_EQ(ErrorWithStrides({262144, 2048, 128}), "OK");    // K and V of a token side by side
  EXPECT_EQ(ErrorWithStrides({262144, 2048, 256}), "OK");    // of a kv head side by side
  EXPECT_EQ(ErrorWithStrides({16384, 128, 1638400}), "OK");  // [heads, blocks, tokens, head_dim]
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 40, 1024, 128}), "OK");
}

TEST(Strides, RefuseOverlap) {
  EXPECT_EQ(ErrorWithStrides({131072, 1024, 64}),
            "INVALID_ARGUMENT: kv_strides.head = 64 elements makes entries of the cache overlap; "
            "expected at least 128");
  EXPECT_EQ(ErrorWithStrides({131072, 512, 128}),
            "INVALID_ARGUMENT: kv_strides.token = 512 elements makes entries of the cache "
            "overlap; expected at least 1024");
  EXPECT_EQ(ErrorWithStrides({65536, 1024, 128}),
            "INVALID_ARGUMENT: kv_strides.block = 65536 elements makes entries of the cache "
            "overlap; expected at least 131072");
  EXPECT_EQ(ErrorWithStrides({0, 1024, 128}),
            "INVALID_ARGUMENT: kv_strides.block = 0 elements makes entries of the cache overlap; "
            "expected at least 128");
  EXPECT_EQ(ErrorWithStrides({131072, -1024, 128}),
            "INVALID_ARGUMENT: kv_strides.token = -1024; expected 0 or more");
}

TEST(Strides, RefuseWhatLoadsCannotReach) {
  EXPECT_EQ(ErrorWithStrides({131080, 1024, 128}),
            "UNIMPLEMENTED: kv_strides.block = 131080 elements is not a multiple of 16 (32 "
            "bytes); nearest supported: 131072, 131088");
  EXPECT_EQ(ErrorWithStrides({131072 + 16, 1024, 128}), "OK");
  EXPECT_EQ(ErrorWithStrides({131072 + 16, 1024, 128}, KvQuant::kInt8Channel),
            "UNIMPLEMENTED: kv_strides.block = 131088 elements is not a multiple of 32 (32 "
            "bytes); nearest supported: 131072, 131104");
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 30, 65536, 128}),
            "UNIMPLEMENTED: kv_strides.token = 65536 elements is longer than the largest pitch "
            "of the load instruction; nearest supported: 65520");
  EXPECT_EQ(ErrorWithStrides({131072, 128, int64_t{1} << 32}),
            "UNIMPLEMENTED: kv_strides.head = 4294967296 elements does not fit the plan; nearest "
            "supported: 4294967280");
  // The next multiple is too long, or both are.
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 30, 65528, 128}),
            "UNIMPLEMENTED: kv_strides.token = 65528 elements is not a multiple of 16 (32 bytes); "
            "nearest supported: 65520");
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 30, 65520, 128}, KvQuant::kInt8Channel),
            "UNIMPLEMENTED: kv_strides.token = 65520 elements is not a multiple of 32 (32 bytes); "
            "nearest supported: 65504");
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 30, 70008, 128}),
            "UNIMPLEMENTED: kv_strides.token = 70008 elements is not a multiple of 16 (32 bytes); "
            "nearest supported: 65520");
  EXPECT_EQ(ErrorWithStrides({131072, 128, (int64_t{1} << 32) - 8}),
            "UNIMPLEMENTED: kv_strides.head = 4294967288 elements is not a multiple of 16 (32 "
            "bytes); nearest supported: 4294967280");
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 30, 65520, 128}), "OK");
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 30, 65504, 128}, KvQuant::kInt8Channel), "OK");
  // What is called supported is: of a smaller stride first, and not too short.
  EXPECT_EQ(ErrorWithStrides({140008, 1032, 129}),
            "UNIMPLEMENTED: kv_strides.head = 129 elements is not a multiple of 16 (32 bytes); "
            "nearest supported: 128, 144");
  EXPECT_EQ(ErrorWithStrides({131072, 1024, 1}),
            "INVALID_ARGUMENT: kv_strides.head = 1 elements makes entries of the cache overlap; "
            "expected at least 128");
  EXPECT_EQ(ErrorWithStrides({int64_t{1} << 60, 1024, 128}),
            "INVALID_ARGUMENT: kv_strides.block = 1152921504606846976 elements, 100 times, makes "
            "a cache of more than 2^63 bytes");
}

// What is never used does not matter: the head stride of one head, the block
// stride of one block.
TEST(Strides, IgnoreStridesOfOneEntry) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) {
              s.num_kv_heads = 1;
              s.kv_strides = {16384, 128, 7};
            }),
            "OK");
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) {
              s.num_kv_blocks = 1;
              s.kv_strides = {0, 1024, 128};
            }),
            "OK");
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

TEST(Shape, RefusesAnUnknownRouteByItsCode) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.kv_route = static_cast<KvRoute>(77); }),
            "UNIMPLEMENTED: kv_route code 77 has no kernel; supported: 0 (auto), 1 (direct), "
            "2 (dequant), 3 (limbs), 4 (fifo)");
}

TEST(Shape, RefusesAnUnknownDType) {
  EXPECT_EQ(ErrorAfter([](DecodeShape& s) { s.dtype = static_cast<DType>(7); }),
            "UNIMPLEMENTED: dtype code 7 has no kernel; supported: 0 (float16), 1 (bfloat16)");
}

}  // namespace
}  // namespace ascend_attention
