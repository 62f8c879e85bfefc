// SPDX-License-Identifier: Apache-2.0
// The device pointers of every kind of cache: what is missing, misaligned or too
// much is refused by name.
#include "host_cc/tensor_checks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

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

}  // namespace
}  // namespace ascend_attention
