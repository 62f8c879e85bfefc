// SPDX-License-Identifier: Apache-2.0
// The device pointers of every kind of cache: what is missing, misaligned or too
// much is refused by name.
#include "host_cc/tensor_checks.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ascend_attention {
namespace {

template <typename T>
T* At(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

DecodeShape Shape(KvQuant kv_quant) {
  DecodeShape shape;
  shape.batch = 4;
  shape.num_heads = 32;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 64;
  shape.num_kv_blocks = 512;
  shape.max_kv_blocks = 64;
  shape.kv_quant = kv_quant;
  return shape;
}

bool HasOffsets(KvQuant kv_quant) { return kv_quant == KvQuant::kInt8ChannelAsym; }

DecodeTensors Tensors(KvQuant kv_quant) {
  DecodeTensors tensors;
  tensors.query = tensors.key_cache = tensors.value_cache = tensors.out = At<void>(0x1000);
  tensors.block_table = At<int32_t>(0x2004);
  if (kv_quant != KvQuant::kNone) {
    tensors.key_scale = At<float>(0x3000);
    tensors.value_scale = At<float>(0x4000);
  }
  if (HasOffsets(kv_quant)) {
    tensors.key_offset = At<float>(0x5000);
    tensors.value_offset = At<float>(0x6000);
  }
  return tensors;
}

constexpr KvQuant kSchemes[] = {KvQuant::kNone, KvQuant::kInt8Channel, KvQuant::kInt8ChannelAsym,
                                KvQuant::kInt8Token};

TEST(CheckTensors, AcceptsWhatEachSchemeNeeds) {
  for (const KvQuant kv_quant : kSchemes) {
    const Status status = CheckTensors(Tensors(kv_quant), Shape(kv_quant));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
}

using Member = const float* DecodeTensors::*;

std::string With(KvQuant kv_quant, Member member, const float* address) {
  DecodeTensors tensors = Tensors(kv_quant);
  tensors.*member = address;
  return CheckTensors(tensors, Shape(kv_quant)).ToString();
}

TEST(CheckTensors, NamesAMissingScaleWithItsShape) {
  EXPECT_EQ(With(KvQuant::kInt8Channel, &DecodeTensors::key_scale, nullptr),
            "INVALID_ARGUMENT: key_scale is null; kv_quant int8_channel needs float32 "
            "[num_kv_heads, head_dim] = [8, 128]");
  EXPECT_EQ(With(KvQuant::kInt8Channel, &DecodeTensors::value_scale, nullptr),
            "INVALID_ARGUMENT: value_scale is null; kv_quant int8_channel needs float32 "
            "[num_kv_heads, head_dim] = [8, 128]");
  EXPECT_EQ(With(KvQuant::kInt8ChannelAsym, &DecodeTensors::key_offset, nullptr),
            "INVALID_ARGUMENT: key_offset is null; kv_quant int8_channel_asym needs float32 "
            "[num_kv_heads, head_dim] = [8, 128]");
  EXPECT_EQ(With(KvQuant::kInt8ChannelAsym, &DecodeTensors::value_offset, nullptr),
            "INVALID_ARGUMENT: value_offset is null; kv_quant int8_channel_asym needs float32 "
            "[num_kv_heads, head_dim] = [8, 128]");
  EXPECT_EQ(With(KvQuant::kInt8Token, &DecodeTensors::value_scale, nullptr),
            "INVALID_ARGUMENT: value_scale is null; kv_quant int8_token needs float32 "
            "[num_kv_blocks, num_kv_heads, kv_block_size] = [512, 8, 64]");
}

TEST(CheckTensors, NamesAScaleThatTheSchemeHasNot) {
  const float* given = At<float>(0x7000);
  for (const auto& [name, member] : {std::pair("key_scale", &DecodeTensors::key_scale),
                                     std::pair("value_scale", &DecodeTensors::value_scale)}) {
    EXPECT_EQ(With(KvQuant::kNone, member, given),
              std::string("INVALID_ARGUMENT: ") + name +
                  " is given, but kv_quant none takes no scales; the int8 schemes do");
  }
  for (const auto& [name, member] : {std::pair("key_offset", &DecodeTensors::key_offset),
                                     std::pair("value_offset", &DecodeTensors::value_offset)}) {
    for (const auto& [scheme, kv_quant] :
         {std::pair("none", KvQuant::kNone), std::pair("int8_channel", KvQuant::kInt8Channel),
          std::pair("int8_token", KvQuant::kInt8Token)}) {
      EXPECT_EQ(With(kv_quant, member, given), std::string("INVALID_ARGUMENT: ") + name +
                                                   " is given, but kv_quant " + scheme +
                                                   " takes no offsets; int8_channel_asym does");
    }
  }
}

TEST(CheckTensors, NamesAMisalignedScale) {
  for (const auto& [name, member] : {std::pair("key_scale", &DecodeTensors::key_scale),
                                     std::pair("key_offset", &DecodeTensors::key_offset),
                                     std::pair("value_scale", &DecodeTensors::value_scale),
                                     std::pair("value_offset", &DecodeTensors::value_offset)}) {
    EXPECT_EQ(With(KvQuant::kInt8ChannelAsym, member, At<float>(0x7010)),
              std::string("INVALID_ARGUMENT: ") + name + " = 0x7010 is not a multiple of 32 bytes");
  }
}

// Nothing of the cache is read then, but a wrong scheme still shows.
TEST(CheckTensors, NeedsNoCacheWithoutKvBlocks) {
  for (const KvQuant kv_quant : kSchemes) {
    DecodeShape shape = Shape(kv_quant);
    shape.num_kv_blocks = 0;
    DecodeTensors tensors;
    tensors.query = tensors.out = At<void>(0x1000);
    EXPECT_TRUE(CheckTensors(tensors, shape).ok());
    tensors.value_offset = At<float>(0x1000);
    EXPECT_EQ(CheckTensors(tensors, shape).ok(), HasOffsets(kv_quant));
  }
}

// ---- overlap ------------------------------------------------------------------

// [blocks 3, tokens 32, heads 2] of 64 float16 and a pool of 2 (K, V) of them.
DecodeShape SmallCache(const KvStrides& strides) {
  DecodeShape shape = Shape(KvQuant::kNone);
  shape.num_kv_blocks = 3;
  shape.kv_block_size = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 64;
  shape.kv_strides = strides;
  return shape;
}

std::vector<bool> BytesOf(const Memory& memory, int64_t base) {
  std::vector<bool> used(4096, false);
  const int64_t begin = static_cast<int64_t>(reinterpret_cast<uintptr_t>(memory.begin)) - base;
  const auto& [a, b, c] = memory.axes;
  for (int64_t i = 0; i < a.count; ++i) {
    for (int64_t j = 0; j < b.count; ++j) {
      for (int64_t k = 0; k < c.count; ++k) {
        const int64_t run = begin + i * a.stride + j * b.stride + k * c.stride;
        for (int64_t n = run; n < run + memory.run_bytes; ++n)
          used.at(static_cast<size_t>(n)) = true;
      }
    }
  }
  return used;
}

bool ShareAByte(const Memory& a, const Memory& b, int64_t base) {
  const std::vector<bool> x = BytesOf(a, base);
  const std::vector<bool> y = BytesOf(b, base);
  for (size_t n = 0; n < x.size(); ++n) {
    if (x[n] && y[n]) return true;
  }
  return false;
}

// Against every byte there is, at every distance.
TEST(CheckApart, RefusesExactlyWhatSharesAByte) {
  constexpr int64_t kBase = 0x10000;
  using Axes = std::array<Memory::Axis, 3>;
  const Axes nested[] = {
      {Memory::Axis{64, 3}, Memory::Axis{16, 3}, Memory::Axis{4, 2}},  // gaps on all levels
      {Memory::Axis{48, 4}, Memory::Axis{12, 2}, Memory::Axis{0, 1}},
      {Memory::Axis{36, 3}, Memory::Axis{12, 3}, Memory::Axis{4, 3}},  // dense
      {Memory::Axis{100, 5}, Memory::Axis{0, 1}, Memory::Axis{0, 1}},
  };
  int met = 0;
  for (const Axes& axes : nested) {
    const Memory fixed = {"a", At<void>(kBase + 1024), 3, axes};
    for (int64_t distance = -500; distance <= 500; ++distance) {
      for (const int64_t run : {1, 3, 30}) {
        Memory other = {"b", At<void>(static_cast<uintptr_t>(kBase + 1024 + distance)), run};
        if (run == 3) other.axes = axes;
        const bool share = ShareAByte(fixed, other, kBase);
        met += share;
        ASSERT_EQ(CheckApart(fixed, other).ok(), !share) << distance << " " << run;
        ASSERT_EQ(CheckApart(other, fixed).ok(), !share) << distance << " " << run;
      }
    }
  }
  EXPECT_GT(met, 1000);
}

TEST(CheckApart, LetsSlicesOfOnePoolInterleave) {
  constexpr uintptr_t kBegin = 0x10000;
  const auto status = [](const KvStrides& strides, uintptr_t value_at) {
    const DecodeShape shape = SmallCache(strides);
    return CheckApart(CacheMemory("value_cache", At<void>(kBegin + value_at), shape),
                      CacheMemory("key_cache", At<void>(kBegin), shape))
        .ToString();
  };
  EXPECT_EQ(status({1024, 128, 64}, 512 * 2), "OK");  // [blocks, 2, tokens, heads, head_dim]
  EXPECT_EQ(status({1024, 64, 256}, 512 * 2), "OK");  // the same, head-major
  EXPECT_EQ(status({1024, 256, 64}, 128 * 2), "OK");  // [blocks, tokens, 2, heads, head_dim]
  EXPECT_EQ(status({1024, 256, 128}, 64 * 2), "OK");  // [blocks, tokens, heads, 2, head_dim]
  EXPECT_EQ(status({0, 0, 0}, 3 * 512 * 2), "OK");    // [2, blocks, ...]
  EXPECT_EQ(status({0, 0, 0}, 2 * 512 * 2),           // big[:3], big[2:]
            "INVALID_ARGUMENT: value_cache = 0x10800, 3072 bytes, overlaps key_cache = 0x10000, "
            "3072 bytes; expected memory of its own");
  EXPECT_EQ(status({1024, 128, 64}, 1024 * 2),  // the K of the next block
            "INVALID_ARGUMENT: value_cache = 0x10800, 5120 bytes, overlaps key_cache = 0x10000, "
            "5120 bytes; expected memory of its own");
  EXPECT_NE(status({1024, 128, 64}, 512 * 2 - 32), "OK");
  EXPECT_NE(status({1024, 128, 64}, 512 * 2 + 32), "OK");  // into the next K
}

TEST(CheckApart, LetsResultsLieBetweenTheBlocksOfACache) {
  const DecodeShape shape = SmallCache({1024, 128, 64});
  const Memory cache = CacheMemory("key_cache", At<void>(0x10000), shape);
  EXPECT_TRUE(CheckApart({"out", At<void>(0x10400), 1024}, cache).ok());
  EXPECT_FALSE(CheckApart({"out", At<void>(0x10400), 1025}, cache).ok());
  EXPECT_FALSE(CheckApart({"out", At<void>(0x103ff), 1024}, cache).ok());
  EXPECT_TRUE(CheckApart({"out", nullptr, 1024}, cache).ok());
  EXPECT_TRUE(CheckApart({"out", At<void>(0x10000), 0}, cache).ok());
}

}  // namespace
}  // namespace ascend_attention
