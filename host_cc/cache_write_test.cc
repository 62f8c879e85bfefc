// SPDX-License-Identifier: Apache-2.0
// The cache writer on a fake ACL: what is launched, and how each mistake is
// refused before anything is.
#include "host_cc/include/ascend_attention/cache_write.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "host_cc/testing/fake_acl.h"
#include "tiling/abi/cache_write.h"

namespace ascend_attention {
namespace {

constexpr char kStream[] = "a stream";
void* const stream = const_cast<char*>(kStream);

// Parameters of the kernel in order.
struct Args {
  const void *key, *value, *slot_mapping, *key_cache, *value_cache;
  const void *key_scale, *value_scale, *key_offset, *value_offset, *errors;
  int64_t num_tokens, key_stride, value_stride, num_kv_heads, head_dim, kv_block_size;
  int64_t num_slots, block_stride, token_stride, head_stride;
  uint64_t kv_quant;
};

// Nothing is read or written there: 4 GiB for each tensor.
template <typename T>
T* At(uintptr_t place, uintptr_t offset = 0) {
  return reinterpret_cast<T*>((place << 32) + offset);
}

CacheWriteShape GoodShape(KvQuant kv_quant = KvQuant::kNone) {
  CacheWriteShape shape;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 32;
  shape.num_kv_blocks = 10;
  shape.kv_quant = kv_quant;
  return shape;
}

class CacheWriterTest : public ::testing::Test {
 protected:
  CacheWriteTensors GoodTensors(KvQuant kv_quant = KvQuant::kNone) {
    CacheWriteTensors tensors;
    tensors.num_tokens = 100;
    tensors.key = At<void>(1);
    tensors.value = At<void>(1, 2);  // may overlap: both are read
    tensors.slot_mapping = slots_.data();
    tensors.key_cache = At<void>(2);
    tensors.value_cache = At<void>(3);
    if (kv_quant == KvQuant::kNone) return tensors;
    tensors.key_scale = At<float>(4);
    tensors.value_scale = At<float>(5);
    if (kv_quant != KvQuant::kInt8ChannelAsym) return tensors;
    tensors.key_offset = At<float>(6);
    tensors.value_offset = At<float>(7);
    return tensors;
  }

  CacheWriter Writer(const CacheWriteShape& shape) {
    StatusOr<CacheWriter> writer = CacheWriter::Create(runtime_, shape);
    EXPECT_TRUE(writer.ok()) << writer.status().ToString();
    return *writer;
  }

  FakeAcl fake_;
  std::shared_ptr<Runtime> runtime_ = *fake_.OpenRuntime();
  std::vector<int64_t> slots_ = std::vector<int64_t>(100, -1);
};

TEST_F(CacheWriterTest, LaunchesAVectorCorePerTokenAtMostAll) {
  const CacheWriter writer = Writer(GoodShape());
  EXPECT_EQ(fake_.loaded_kernels, (std::set<std::string>{"reshape_and_cache_f16_0"}));
  CacheWriteTensors tensors = GoodTensors();
  ASSERT_TRUE(writer.Run(tensors, stream).ok());
  tensors.num_tokens = 7;
  ASSERT_TRUE(writer.Run(tensors, stream).ok());
  ASSERT_EQ(fake_.launches.size(), 2u);
  EXPECT_EQ(fake_.launches[0].kernel, "reshape_and_cache_f16_0");
  EXPECT_EQ(fake_.launches[0].stream, stream);
  EXPECT_EQ(fake_.launches[0].num_blocks, 48u);
  EXPECT_EQ(fake_.launches[1].num_blocks, 7u);
}

TEST_F(CacheWriterTest, PassesWhatTheKernelNeeds) {
  CacheWriteShape shape = GoodShape(KvQuant::kInt8ChannelAsym);
  shape.dtype = DType::kBFloat16;
  shape.kv_strides = KvStrides{65536, 128, 4096};
  CacheWriteTensors tensors = GoodTensors(shape.kv_quant);
  tensors.key_token_stride = 3072;
  ASSERT_TRUE(Writer(shape).Run(tensors, stream).ok());
  ASSERT_EQ(fake_.launches.size(), 1u);
  EXPECT_EQ(fake_.launches[0].kernel, "reshape_and_cache_bf16_0");
  ASSERT_EQ(fake_.launches[0].args.size(), sizeof(Args));
  const Args& args = fake_.launches[0].As<Args>();
  EXPECT_EQ(args.key, tensors.key);
  EXPECT_EQ(args.value, tensors.value);
  EXPECT_EQ(args.slot_mapping, tensors.slot_mapping);
  EXPECT_EQ(args.key_cache, tensors.key_cache);
  EXPECT_EQ(args.value_cache, tensors.value_cache);
  EXPECT_EQ(args.key_scale, tensors.key_scale);
  EXPECT_EQ(args.value_scale, tensors.value_scale);
  EXPECT_EQ(args.key_offset, tensors.key_offset);
  EXPECT_EQ(args.value_offset, tensors.value_offset);
  EXPECT_NE(args.errors, nullptr);
  EXPECT_EQ(args.num_tokens, 100);
  EXPECT_EQ(args.key_stride, 3072);
  EXPECT_EQ(args.value_stride, 1024);
  EXPECT_EQ(args.num_kv_heads, 8);
  EXPECT_EQ(args.head_dim, 128);
  EXPECT_EQ(args.kv_block_size, 32);
  EXPECT_EQ(args.num_slots, 320);
  EXPECT_EQ(args.block_stride, 65536);
  EXPECT_EQ(args.token_stride, 128);
  EXPECT_EQ(args.head_stride, 4096);
  EXPECT_EQ(args.kv_quant, 2u);
}

TEST_F(CacheWriterTest, LaunchesNothingWithoutTokens) {
  ASSERT_TRUE(Writer(GoodShape()).Run(CacheWriteTensors(), stream).ok());
  EXPECT_TRUE(fake_.launches.empty());
}

TEST_F(CacheWriterTest, NeedsNoCachesWithoutBlocks) {
  CacheWriteShape shape = GoodShape();
  shape.num_kv_blocks = 0;
  CacheWriteTensors tensors = GoodTensors();
  tensors.key_cache = tensors.value_cache = nullptr;
  EXPECT_TRUE(Writer(shape).Run(tensors, stream, /*check_slots=*/true).ok());
}

TEST_F(CacheWriterTest, AnErrorOfTheDeviceNamesTheSlotOnce) {
  const CacheWriter writer = Writer(GoodShape());
  ASSERT_TRUE(writer.Run(GoodTensors(), stream).ok());
  CacheWriteError record = {};
  record.found = 1;
  record.token = 41;
  record.slot = 320;
  record.num_slots = 320;
  auto* errors = static_cast<const uint8_t*>(fake_.launches[0].As<Args>().errors);
  std::memcpy(const_cast<uint8_t*>(errors) + 5 * sizeof(record), &record, sizeof(record));
  for (const bool first : {true, false}) {
    fake_.FailNext("aclrtSynchronizeStream", 507015, "");
    const Status status = runtime_->Synchronize(stream);
    EXPECT_EQ(status.code() == StatusCode::kOutOfRange, first) << status.ToString();
    const bool named =
        status.message().rfind("slot_mapping[41] = 320 is outside [0, 320); ", 0) == 0;
    EXPECT_EQ(named, first) << status.ToString();
  }
}

// Each of two threads has a writer and a stream of its own.
TEST_F(CacheWriterTest, AnErrorIsTheOneOfItsStream) {
  const CacheWriter guilty = Writer(GoodShape());
  const CacheWriter innocent = Writer(GoodShape());
  char other = 0;
  ASSERT_TRUE(guilty.Run(GoodTensors(), stream).ok());
  ASSERT_TRUE(innocent.Run(GoodTensors(), &other).ok());
  CacheWriteError record = {};
  record.found = 1;
  record.token = 41;
  record.slot = 320;
  record.num_slots = 320;
  auto* errors = static_cast<const uint8_t*>(fake_.launches[0].As<Args>().errors);
  std::memcpy(const_cast<uint8_t*>(errors), &record, sizeof(record));
  for (void* const waited : {static_cast<void*>(&other), stream}) {
    fake_.FailNext("aclrtSynchronizeStream", 507015, "");
    EXPECT_EQ(runtime_->Synchronize(waited).code() == StatusCode::kOutOfRange, waited == stream);
  }
}

TEST_F(CacheWriterTest, NamesTheMemoryWhileACheckerWatches) {
  struct Name {
    const void* begin;
    uint64_t bytes;
    int rule;
  };
  static std::map<std::string, Name> names;
  names.clear();
  fake_.api()->vnpuAclChecksEnabled = [](int32_t) -> int { return 1; };
  fake_.api()->vnpuAclMarkUndefined = [](int32_t, const void*, uint64_t) -> aclError { return 0; };
  fake_.api()->vnpuAclNameRegion = [](int32_t, const void* begin, uint64_t bytes, const char* name,
                                      int rule) -> aclError {
    names[name] = Name{begin, bytes, rule};
    return 0;
  };
  const auto expect = [](const char* name, const void* begin, uint64_t bytes, int rule) {
    EXPECT_EQ(names[name].begin, begin) << name;
    EXPECT_EQ(names[name].bytes, bytes) << name;
    EXPECT_EQ(names[name].rule, rule) << name;
  };
  CacheWriteShape shape = GoodShape(KvQuant::kInt8Token);
  CacheWriteTensors tensors = GoodTensors(shape.kv_quant);
  // Slices of one pool: nothing is written here.
  shape.kv_strides = KvStrides{65536, 1024, 128};
  tensors.value_cache = static_cast<uint8_t*>(tensors.key_cache) + 32768;
  ASSERT_TRUE(Writer(shape).Run(tensors, stream).ok());
  expect("qkv", tensors.key, 100 * 2048 + 2, VNPU_ACL_READ_ONLY);
  expect("kv_pool", tensors.key_cache, 10 * 65536, VNPU_ACL_OUTPUT);
  expect("key_scale", tensors.key_scale, 320 * 8 * 4, VNPU_ACL_OUTPUT);
  expect("value_scale", tensors.value_scale, 320 * 8 * 4, VNPU_ACL_OUTPUT);
  expect("slot_mapping", tensors.slot_mapping, 800, VNPU_ACL_READ_ONLY);
  EXPECT_EQ(names.count("key_cache") + names.count("value_cache") + names.count("key_offset"), 0u);

  shape = GoodShape(KvQuant::kInt8ChannelAsym);
  tensors = GoodTensors(shape.kv_quant);
  tensors.value_cache = static_cast<uint8_t*>(tensors.key_cache) + 327680;
  tensors.value = static_cast<const uint8_t*>(tensors.key) + 100 * 2048;
  ASSERT_TRUE(Writer(shape).Run(tensors, stream).ok());
  expect("key", tensors.key, 100 * 2048, VNPU_ACL_READ_ONLY);
  expect("value", tensors.value, 100 * 2048, VNPU_ACL_READ_ONLY);
  expect("key_cache", tensors.key_cache, 327680, VNPU_ACL_OUTPUT);
  expect("value_cache", tensors.value_cache, 327680, VNPU_ACL_OUTPUT);
  expect("key_scale", tensors.key_scale, 4096, VNPU_ACL_READ_ONLY);
  expect("value_offset", tensors.value_offset, 4096, VNPU_ACL_READ_ONLY);
}

TEST_F(CacheWriterTest, ChecksSlotsOnRequestBeforeTheLaunch) {
  slots_[3] = 17;
  slots_[9] = 17;
  const CacheWriter writer = Writer(GoodShape());
  const CacheWriteTensors tensors = GoodTensors();
  EXPECT_EQ(writer.Run(tensors, stream, /*check_slots=*/true).ToString(),
            "INVALID_ARGUMENT: slot_mapping[3] and slot_mapping[9] are both 17; expected a slot "
            "once");
  slots_[9] = 320;
  EXPECT_EQ(writer.Run(tensors, stream, /*check_slots=*/true).ToString(),
            "OUT_OF_RANGE: slot_mapping[9] = 320 is outside [0, 320), the slots of the caches; "
            "negative: the token is skipped");
  EXPECT_TRUE(fake_.launches.empty());
  slots_[9] = 319;
  EXPECT_TRUE(writer.Run(tensors, stream, /*check_slots=*/true).ok());
  EXPECT_EQ(fake_.launches.size(), 1u);
}

TEST(CheckSlotMapping, LetsSkippedTokensShareASlot) {
  const std::vector<int64_t> slots = {-1, 4, -1, 0, INT64_MIN, 5};
  EXPECT_TRUE(CheckSlotMapping(slots.data(), 6, 6).ok());
  EXPECT_TRUE(CheckSlotMapping(nullptr, 0, 0).ok());
  EXPECT_FALSE(CheckSlotMapping(slots.data(), 6, 5).ok());
  EXPECT_EQ(CheckSlotMapping(nullptr, 1, 5).message(), "slot_mapping is null");
}

// ---- refused ------------------------------------------------------------------

struct ShapeCase {
  const char* name;
  std::function<void(CacheWriteShape&)> spoil;
  const char* error;
};

class BadCacheShape : public testing::TestWithParam<ShapeCase> {};

TEST_P(BadCacheShape, IsRefusedByName) {
  FakeAcl fake;
  CacheWriteShape shape = GoodShape();
  GetParam().spoil(shape);
  const auto writer = CacheWriter::Create(*fake.OpenRuntime(), shape);
  EXPECT_EQ(writer.status().ToString(), GetParam().error);
  EXPECT_EQ(fake.Count("aclrtBinaryLoadFromData"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadCacheShape,
    testing::Values(
        ShapeCase{"NoHeads", [](CacheWriteShape& s) { s.num_kv_heads = 0; },
                  "INVALID_ARGUMENT: num_kv_heads = 0; expected 1..2147483647"},
        ShapeCase{"TooManyHeads", [](CacheWriteShape& s) { s.num_kv_heads = int64_t{1} << 31; },
                  "INVALID_ARGUMENT: num_kv_heads = 2147483648; expected 1..2147483647"},
        ShapeCase{"HeadDim", [](CacheWriteShape& s) { s.head_dim = 80; },
                  "UNIMPLEMENTED: head_dim = 80 has no kernel; nearest supported: 64, 96"},
        ShapeCase{"BlockSize", [](CacheWriteShape& s) { s.kv_block_size = 20; },
                  "UNIMPLEMENTED: kv_block_size = 20 has no kernel (multiples of 16 in 16..512 "
                  "have); nearest supported: 16, 32"},
        ShapeCase{"Blocks", [](CacheWriteShape& s) { s.num_kv_blocks = -1; },
                  "INVALID_ARGUMENT: num_kv_blocks = -1; expected 0 or more"},
        ShapeCase{"DType", [](CacheWriteShape& s) { s.dtype = static_cast<DType>(7); },
                  "UNIMPLEMENTED: dtype code 7 has no kernel; supported: 0 (float16), "
                  "1 (bfloat16)"},
        ShapeCase{"Overlap", [](CacheWriteShape& s) { s.kv_strides = KvStrides{32768, 512, 128}; },
                  "INVALID_ARGUMENT: kv_strides.token = 512 elements makes entries of the cache "
                  "overlap; expected at least 1024"},
        ShapeCase{"HeadStride",
                  [](CacheWriteShape& s) {
                    s.kv_strides = KvStrides{int64_t{1} << 35, 128, (int64_t{1} << 31) + 128};
                  },
                  "UNIMPLEMENTED: kv_strides.head = 2147483776 elements is more than a store "
                  "instruction reaches; nearest supported: 2147483760"}),
    [](const auto& info) { return std::string(info.param.name); });

struct TensorCase {
  const char* name;
  KvQuant kv_quant;
  std::function<void(CacheWriteTensors&)> spoil;
  const char* error;  // up to the address, where there is one
};

class BadCacheTensors : public CacheWriterTest, public testing::WithParamInterface<TensorCase> {};

TEST_P(BadCacheTensors, AreRefusedByName) {
  const CacheWriter writer = Writer(GoodShape(GetParam().kv_quant));
  CacheWriteTensors tensors = GoodTensors(GetParam().kv_quant);
  GetParam().spoil(tensors);
  const std::string text = writer.Run(tensors, stream).ToString();
  EXPECT_EQ(text.substr(0, std::strlen(GetParam().error)), GetParam().error) << text;
  EXPECT_TRUE(fake_.launches.empty());
}

template <typename T>
void Misalign(T*& pointer) {
  pointer = reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(pointer) + 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadCacheTensors,
    testing::Values(
        TensorCase{"Negative", KvQuant::kNone, [](auto& t) { t.num_tokens = -1; },
                   "INVALID_ARGUMENT: num_tokens = -1; expected 0..2147483647"},
        TensorCase{"NoKey", KvQuant::kNone, [](auto& t) { t.key = nullptr; },
                   "INVALID_ARGUMENT: key is null"},
        TensorCase{"OddKey", KvQuant::kNone, [](auto& t) { Misalign(t.key); },
                   "INVALID_ARGUMENT: key = 0x"},
        TensorCase{"NoValue", KvQuant::kNone, [](auto& t) { t.value = nullptr; },
                   "INVALID_ARGUMENT: value is null"},
        TensorCase{"NoSlots", KvQuant::kNone, [](auto& t) { t.slot_mapping = nullptr; },
                   "INVALID_ARGUMENT: slot_mapping is null"},
        TensorCase{"OddSlots", KvQuant::kNone, [](auto& t) { Misalign(t.slot_mapping); },
                   "INVALID_ARGUMENT: slot_mapping = 0x"},
        TensorCase{"ShortStride", KvQuant::kNone, [](auto& t) { t.key_token_stride = 1023; },
                   "INVALID_ARGUMENT: key_token_stride = 1023; expected 0 or num_kv_heads * "
                   "head_dim = 1024 to 2147484671"},
        TensorCase{"LongStride", KvQuant::kNone, [](auto& t) { t.value_token_stride = 2147484672; },
                   "INVALID_ARGUMENT: value_token_stride = 2147484672; expected 0 or "
                   "num_kv_heads * head_dim = 1024 to 2147484671"},
        TensorCase{"NoCache", KvQuant::kNone, [](auto& t) { t.key_cache = nullptr; },
                   "INVALID_ARGUMENT: key_cache is null"},
        TensorCase{"OddCache", KvQuant::kNone, [](auto& t) { Misalign(t.value_cache); },
                   "INVALID_ARGUMENT: value_cache = 0x"},
        TensorCase{"OneCache", KvQuant::kNone, [](auto& t) { t.value_cache = t.key_cache; },
                   "INVALID_ARGUMENT: value_cache = 0x"},
        TensorCase{"ScaleOfNone", KvQuant::kNone,
                   [](auto& t) { t.key_scale = static_cast<float*>(t.key_cache); },
                   "INVALID_ARGUMENT: key_scale is given, but kv_quant none has none; expected "
                   "null"},
        TensorCase{"NoScale", KvQuant::kInt8Channel, [](auto& t) { t.value_scale = nullptr; },
                   "INVALID_ARGUMENT: value_scale is null; kv_quant int8_channel needs float32 "
                   "[num_kv_heads, head_dim]"},
        TensorCase{"NoTokenScale", KvQuant::kInt8Token, [](auto& t) { t.key_scale = nullptr; },
                   "INVALID_ARGUMENT: key_scale is null; kv_quant int8_token needs float32 "
                   "[num_kv_blocks, num_kv_heads, kv_block_size]"},
        TensorCase{"OffsetOfSymmetric", KvQuant::kInt8Channel,
                   [](auto& t) { t.key_offset = t.key_scale; },
                   "INVALID_ARGUMENT: key_offset is given, but kv_quant int8_channel has none"},
        TensorCase{"NoOffset", KvQuant::kInt8ChannelAsym, [](auto& t) { t.value_offset = nullptr; },
                   "INVALID_ARGUMENT: value_offset is null; kv_quant int8_channel_asym needs "
                   "float32 [num_kv_heads, head_dim]"},
        TensorCase{"OneScale", KvQuant::kInt8Token, [](auto& t) { t.value_scale = t.key_scale; },
                   "INVALID_ARGUMENT: value_scale = 0x"},
        TensorCase{"OddScale", KvQuant::kInt8Token, [](auto& t) { Misalign(t.value_scale); },
                   "INVALID_ARGUMENT: value_scale = 0x500000001 is not a multiple of 32 bytes"},
        TensorCase{"KeyInKeyCache", KvQuant::kNone, [](auto& t) { t.key = At<void>(2, 2048); },
                   "INVALID_ARGUMENT: key_cache = 0x200000000, 655360 bytes, overlaps key = "
                   "0x200000800, 204800 bytes; expected memory of its own"},
        TensorCase{"ValueInKeyCache", KvQuant::kNone,
                   [](auto& t) { t.value = At<void>(2, 655358); },
                   "INVALID_ARGUMENT: key_cache = 0x200000000, 655360 bytes, overlaps value = "
                   "0x20009fffe, 204800 bytes; expected memory of its own"},
        TensorCase{"SlotsInCache", KvQuant::kNone,
                   [](auto& t) { t.slot_mapping = At<int64_t>(3, 655352); },
                   "INVALID_ARGUMENT: value_cache = 0x300000000, 655360 bytes, overlaps "
                   "slot_mapping = 0x30009fff8, 800 bytes; expected memory of its own"},
        TensorCase{"PartOfACache", KvQuant::kNone,
                   [](auto& t) { t.value_cache = At<void>(2, 2 * 65536); },
                   "INVALID_ARGUMENT: value_cache = 0x200020000, 655360 bytes, overlaps key_cache "
                   "= 0x200000000, 655360 bytes; expected memory of its own"},
        TensorCase{"PartOfAScale", KvQuant::kInt8Token,
                   [](auto& t) { t.value_scale = At<float>(4, 1024); },
                   "INVALID_ARGUMENT: value_scale = 0x400000400, 10240 bytes, overlaps key_scale = "
                   "0x400000000, 10240 bytes; expected memory of its own"},
        TensorCase{"ScaleInCache", KvQuant::kInt8Channel,
                   [](auto& t) { t.key_scale = At<float>(3, 32); },
                   "INVALID_ARGUMENT: value_cache = 0x300000000, 327680 bytes, overlaps key_scale "
                   "= 0x300000020, 4096 bytes; expected memory of its own"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(CacheWriter, NeedsARuntime) {
  EXPECT_EQ(CacheWriter::Create(nullptr, GoodShape()).status().message(), "runtime is null");
}

}  // namespace
}  // namespace ascend_attention
