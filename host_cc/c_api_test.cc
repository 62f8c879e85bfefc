// SPDX-License-Identifier: Apache-2.0
// The C API, used from C (testing/c_api_client.c), on the virtual NPU.
#include "host_cc/include/ascend_attention/c_api.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "host_cc/examples/tiny_problem.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/testing/c_api_client.h"

namespace ascend_attention {
namespace {

class CApi : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Runtime::Open({});
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    runtime_ = *opened;
    stream_.emplace(*Stream::Create(runtime_));
    query_ = OnDevice(problem_.query);
    key_ = OnDevice(problem_.key_cache);
    value_ = OnDevice(problem_.value_cache);
    table_ = OnDevice(problem_.block_table);
    out_ = *DeviceBuffer::Allocate(runtime_, query_.size());
    ASSERT_TRUE(out_.Fill(0xff).ok());
    workspace_ = *DeviceBuffer::Allocate(runtime_, size_t{64} << 20);
    client_.shape.batch = 3;
    client_.shape.num_heads = tiny_problem::kHeads;
    client_.shape.num_kv_heads = tiny_problem::kKvHeads;
    client_.shape.head_dim = tiny_problem::kHeadDim;
    client_.shape.kv_block_size = tiny_problem::kKvBlockSize;
    client_.shape.num_kv_blocks = tiny_problem::kNumKvBlocks;
    client_.shape.max_kv_blocks = tiny_problem::kMaxKvBlocks;
    client_.shape.dtype = ASCEND_ATTENTION_FLOAT16;
    client_.softmax_scale = tiny_problem::kSoftmaxScale;
    client_.context_lens = problem_.context_lens.data();
    client_.batch = problem_.context_lens.size();
    client_.workspace = workspace_.data();
    client_.workspace_size = workspace_.size();
    client_.tensors.query = query_.data();
    client_.tensors.key_cache = key_.data();
    client_.tensors.value_cache = value_.data();
    client_.tensors.block_table = static_cast<const int32_t*>(table_.data());
    client_.tensors.out = out_.data();
    client_.stream = stream_->handle();
  }

  template <typename T>
  DeviceBuffer OnDevice(const std::vector<T>& values) {
    DeviceBuffer buffer = *DeviceBuffer::Allocate(runtime_, values.size() * sizeof(T));
    EXPECT_TRUE(buffer.Upload(values.data(), buffer.size()).ok());
    return buffer;
  }

  const tiny_problem::Problem problem_;
  std::shared_ptr<Runtime> runtime_;
  std::optional<Stream> stream_;
  DeviceBuffer query_, key_, value_, table_, out_, workspace_;
  CClientProblem client_ = {};
};

TEST_F(CApi, DecodesFromC) {
  ASSERT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_OK) << ascend_attention_last_error();
  std::vector<uint16_t> out(problem_.query.size());
  ASSERT_TRUE(out_.Download(out.data(), out_.size()).ok());
  EXPECT_LE(problem_.MaxError(out), 1e-3);
}

// Two query tokens of a sequence of 5 are what two sequences of 4 and 5 would be.
TEST_F(CApi, DecodesQueryTokensFromC) {
  tiny_problem::Problem rows = problem_;
  rows.context_lens = {4, 5, 0, 200};
  rows.query = tiny_problem::Values(4 * tiny_problem::kHeads * tiny_problem::kHeadDim, 4);
  rows.block_table.insert(rows.block_table.begin(), problem_.block_table.begin(),
                          problem_.block_table.begin() + tiny_problem::kMaxKvBlocks);
  query_ = OnDevice(rows.query);
  out_ = *DeviceBuffer::Allocate(runtime_, query_.size());
  const int32_t q_lens[] = {2, 1, 1};
  client_.shape.max_q_len = 2;
  client_.q_lens = q_lens;
  client_.tensors.query = query_.data();
  client_.tensors.out = out_.data();
  ASSERT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_OK) << ascend_attention_last_error();
  std::vector<uint16_t> out(rows.query.size());
  ASSERT_TRUE(out_.Download(out.data(), out_.size()).ok());
  EXPECT_LE(rows.MaxError(out), 1e-3);

  client_.shape.max_q_len = 0;  // as it was before there were query tokens: one
  EXPECT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_INVALID_ARGUMENT);
  EXPECT_STREQ(ascend_attention_last_error(), "q_lens[0] = 2; expected 1..1");
}

// The values of the problem are multiples of 1/64: exact in int8.
TEST_F(CApi, DecodesAnInt8PoolFromC) {
  constexpr size_t kPage =
      size_t{tiny_problem::kKvBlockSize} * tiny_problem::kKvHeads * tiny_problem::kHeadDim;
  constexpr float kOffset = 1;
  std::vector<int8_t> pool(2 * problem_.key_cache.size());  // [num_kv_blocks, 2, one page]
  for (size_t i = 0; i < problem_.key_cache.size(); ++i) {
    int8_t* element = &pool[i / kPage * 2 * kPage + i % kPage];
    const auto to_int8 = [](uint16_t half) {
      return static_cast<int8_t>(tiny_problem::FromHalf(half) * 64 - kOffset);
    };
    element[0] = to_int8(problem_.key_cache[i]);
    element[kPage] = to_int8(problem_.value_cache[i]);
  }
  const size_t channels = size_t{tiny_problem::kKvHeads} * tiny_problem::kHeadDim;
  const DeviceBuffer scale = OnDevice(std::vector<float>(channels, 1.0f / 64));
  const DeviceBuffer offset = OnDevice(std::vector<float>(channels, kOffset));
  const DeviceBuffer memory = OnDevice(pool);

  client_.shape.kv_quant = ASCEND_ATTENTION_KV_QUANT_INT8_CHANNEL_ASYM;
  client_.shape.kv_block_stride = 2 * kPage;
  client_.shape.kv_token_stride = tiny_problem::kKvHeads * tiny_problem::kHeadDim;
  client_.shape.kv_head_stride = tiny_problem::kHeadDim;
  client_.tensors.key_cache = memory.data();
  client_.tensors.value_cache = static_cast<const int8_t*>(memory.data()) + kPage;
  EXPECT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_INVALID_ARGUMENT);
  EXPECT_STREQ(ascend_attention_last_error(),
               "key_scale is null; kv_quant int8_channel_asym needs float32 "
               "[num_kv_heads, head_dim] = [2, 64]");

  client_.tensors.key_scale = client_.tensors.value_scale = static_cast<float*>(scale.data());
  client_.tensors.key_offset = client_.tensors.value_offset = static_cast<float*>(offset.data());
  for (const AscendAttentionKvRoute route :
       {ASCEND_ATTENTION_KV_ROUTE_DEQUANT, ASCEND_ATTENTION_KV_ROUTE_LIMBS}) {
    client_.shape.kv_route = route;
    ASSERT_TRUE(out_.Fill(0xff).ok());
    ASSERT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_OK) << ascend_attention_last_error();
    std::vector<uint16_t> out(problem_.query.size());
    ASSERT_TRUE(out_.Download(out.data(), out_.size()).ok());
    EXPECT_LE(problem_.MaxError(out), 1e-3) << "route " << route;
  }
}

// Over equal values the weights do not matter: out is the value row, in float32.
TEST_F(CApi, DecodesToFloat32OverFifosFromC) {
  constexpr size_t kHeadDim = 128, kHeads = 3, kTokens = 64, kBlocks = 2;
  const std::vector<uint16_t> query = tiny_problem::Values(2 * kHeads * kHeadDim, 5);
  const std::vector<uint16_t> keys = tiny_problem::Values(kBlocks * kTokens * kHeadDim, 6);
  const std::vector<uint16_t> row = tiny_problem::Values(kHeadDim, 7);
  std::vector<uint16_t> values;
  for (size_t token = 0; token < kBlocks * kTokens; ++token) {
    values.insert(values.end(), row.begin(), row.end());
  }
  query_ = OnDevice(query);
  key_ = OnDevice(keys);
  value_ = OnDevice(values);
  table_ = OnDevice(std::vector<int32_t>{1, 0, -1, -1});
  out_ = *DeviceBuffer::Allocate(runtime_, query.size() * sizeof(float));
  ASSERT_TRUE(out_.Fill(0xff).ok());
  client_.shape = {};
  client_.shape.batch = 2;
  client_.shape.num_heads = kHeads;
  client_.shape.num_kv_heads = 1;
  client_.shape.head_dim = kHeadDim;
  client_.shape.kv_block_size = kTokens;
  client_.shape.num_kv_blocks = kBlocks;
  client_.shape.max_kv_blocks = 2;
  client_.shape.kv_route = ASCEND_ATTENTION_KV_ROUTE_FIFO;
  client_.shape.out_float32 = 1;
  const int32_t lens[] = {100, 0};
  client_.context_lens = lens;
  client_.batch = 2;
  client_.tensors.query = query_.data();
  client_.tensors.key_cache = key_.data();
  client_.tensors.value_cache = value_.data();
  client_.tensors.block_table = static_cast<const int32_t*>(table_.data());
  client_.tensors.out = out_.data();
  ASSERT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_OK) << ascend_attention_last_error();
  std::vector<float> out(query.size());
  ASSERT_TRUE(out_.Download(out.data(), out_.size()).ok());
  for (size_t i = 0; i < out.size(); ++i) {
    const float expected = i < out.size() / 2 ? tiny_problem::FromHalf(row[i % kHeadDim]) : 0;
    ASSERT_NEAR(out[i], expected, 1e-5) << i;
  }

  client_.shape.kv_route = ASCEND_ATTENTION_KV_ROUTE_DIRECT;
  EXPECT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_UNIMPLEMENTED);
  const std::string text = ascend_attention_last_error();
  EXPECT_EQ(text.rfind("out_dtype = float32 has no kernel on kv_route = direct", 0), 0u) << text;
}

TEST_F(CApi, TellsTheRouteInUse) {
  AscendAttentionRuntime* runtime = nullptr;
  ASSERT_EQ(ascend_attention_runtime_open(nullptr, &runtime), ASCEND_ATTENTION_OK);
  const auto route_of = [&](AscendAttentionKvQuant kv_quant, AscendAttentionKvRoute wanted) {
    client_.shape.kv_quant = kv_quant;
    client_.shape.kv_route = wanted;
    AscendAttentionDecode* decode = nullptr;
    EXPECT_EQ(ascend_attention_decode_create(runtime, &client_.shape, 1, &decode),
              ASCEND_ATTENTION_OK);
    const AscendAttentionKvRoute route = ascend_attention_decode_kv_route(decode);
    ascend_attention_decode_destroy(decode);
    return route;
  };
  EXPECT_EQ(route_of(ASCEND_ATTENTION_KV_QUANT_NONE, ASCEND_ATTENTION_KV_ROUTE_AUTO),
            ASCEND_ATTENTION_KV_ROUTE_DIRECT);
  for (const auto route : {ASCEND_ATTENTION_KV_ROUTE_DEQUANT, ASCEND_ATTENTION_KV_ROUTE_LIMBS}) {
    EXPECT_EQ(route_of(ASCEND_ATTENTION_KV_QUANT_INT8_TOKEN, route), route);
  }
  EXPECT_NE(route_of(ASCEND_ATTENTION_KV_QUANT_INT8_TOKEN, ASCEND_ATTENTION_KV_ROUTE_AUTO),
            ASCEND_ATTENTION_KV_ROUTE_AUTO);
  client_.shape.head_dim = 128;
  client_.shape.kv_block_size = 64;
  EXPECT_EQ(route_of(ASCEND_ATTENTION_KV_QUANT_NONE, ASCEND_ATTENTION_KV_ROUTE_FIFO),
            ASCEND_ATTENTION_KV_ROUTE_FIFO);
  ascend_attention_runtime_close(runtime);
}

TEST_F(CApi, GivesStatusAndTextOfErrors) {
  client_.shape.head_dim = 80;
  EXPECT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_UNIMPLEMENTED);
  EXPECT_STREQ(ascend_attention_last_error(),
               "head_dim = 80 has no kernel; nearest supported: 64, 96");
  client_.shape.head_dim = tiny_problem::kHeadDim;
  client_.workspace_size = 512;
  EXPECT_EQ(DecodeFromC(&client_), ASCEND_ATTENTION_RESOURCE_EXHAUSTED);
  EXPECT_EQ(std::string(ascend_attention_last_error()).rfind("workspace of 512 bytes is", 0), 0u);
}

TEST_F(CApi, KeepsTheErrorTextPerThread) {
  EXPECT_EQ(ascend_attention_runtime_open(nullptr, nullptr), ASCEND_ATTENTION_INVALID_ARGUMENT);
  EXPECT_STREQ(ascend_attention_last_error(), "runtime is NULL");
  std::thread([] { EXPECT_STREQ(ascend_attention_last_error(), ""); }).join();
}

TEST_F(CApi, NamesNullArguments) {
  AscendAttentionRuntime* runtime = nullptr;
  ASSERT_EQ(ascend_attention_runtime_open(nullptr, &runtime), ASCEND_ATTENTION_OK);
  EXPECT_EQ(ascend_attention_runtime_description(runtime), runtime_->description());
  AscendAttentionDecode* decode = nullptr;
  const auto expect_null = [](int status, const char* name) {
    EXPECT_EQ(status, ASCEND_ATTENTION_INVALID_ARGUMENT);
    EXPECT_EQ(ascend_attention_last_error(), std::string(name) + " is NULL");
  };
  expect_null(ascend_attention_decode_create(nullptr, &client_.shape, 1, &decode), "runtime");
  expect_null(ascend_attention_decode_create(runtime, nullptr, 1, &decode), "shape");
  expect_null(ascend_attention_decode_create(runtime, &client_.shape, 1, nullptr), "decode");
  expect_null(ascend_attention_runtime_synchronize(nullptr, nullptr), "runtime");
  ASSERT_EQ(ascend_attention_decode_create(runtime, &client_.shape, 1, &decode),
            ASCEND_ATTENTION_OK);
  expect_null(ascend_attention_decode_plan(decode, nullptr, 0, nullptr, 0, nullptr, nullptr),
              "plan");
  expect_null(ascend_attention_decode_run(decode, nullptr, &client_.tensors, nullptr), "plan");
  expect_null(ascend_attention_decode_run(nullptr, nullptr, nullptr, nullptr), "decode");
  EXPECT_GT(ascend_attention_decode_workspace_bytes(decode), 0u);
  EXPECT_EQ(ascend_attention_decode_workspace_bytes(nullptr), 0u);
  EXPECT_EQ(ascend_attention_decode_kv_route(nullptr), ASCEND_ATTENTION_KV_ROUTE_AUTO);
  // In any order: the operator keeps the runtime.
  ascend_attention_runtime_close(runtime);
  ascend_attention_decode_destroy(decode);
  ascend_attention_plan_destroy(nullptr);
}

TEST_F(CApi, MergesStatesFromC) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr int64_t kHeadDim = 64;
  // Two rows of two parts: equal weights, and an empty part beside another.
  std::vector<float> values(4 * kHeadDim);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const DeviceBuffer parts = OnDevice(values);
  const DeviceBuffer lses = OnDevice(std::vector<float>{3.0f, -kInfinity, 3.0f, 5.0f});
  const DeviceBuffer out = *DeviceBuffer::Allocate(runtime_, 2 * kHeadDim * sizeof(float));
  const DeviceBuffer lse = *DeviceBuffer::Allocate(runtime_, 2 * sizeof(float));
  AscendAttentionMergeStates states = {};
  states.parts_out = parts.data();
  states.parts_lse = static_cast<const float*>(lses.data());
  states.out = out.data();
  states.lse = static_cast<float*>(lse.data());
  states.num_parts = 2;
  states.rows = 2;
  states.head_dim = kHeadDim;
  states.dtype = ASCEND_ATTENTION_STATE_FLOAT32;
  ASSERT_EQ(MergeStatesFromC(&states, stream_->handle()), ASCEND_ATTENTION_OK)
      << ascend_attention_last_error();
  std::vector<float> merged(2 * kHeadDim), merged_lse(2);
  ASSERT_TRUE(out.Download(merged.data(), out.size()).ok());
  ASSERT_TRUE(lse.Download(merged_lse.data(), lse.size()).ok());
  for (int64_t d = 0; d < kHeadDim; ++d) {
    EXPECT_FLOAT_EQ(merged[d], static_cast<float>(d + kHeadDim));
    EXPECT_EQ(merged[kHeadDim + d], static_cast<float>(3 * kHeadDim + d));
  }
  EXPECT_FLOAT_EQ(merged_lse[0], 3.0f + std::log(2.0f));
  EXPECT_EQ(merged_lse[1], 5.0f);

  states.head_dim = 72;
  EXPECT_EQ(MergeStatesFromC(&states, stream_->handle()), ASCEND_ATTENTION_UNIMPLEMENTED);
  EXPECT_EQ(std::string(ascend_attention_last_error()),
            "head_dim = 72 has no kernel (multiples of 16 in 16..512 have); nearest supported: 64, "
            "80");
  EXPECT_EQ(MergeStatesFromC(nullptr, stream_->handle()), ASCEND_ATTENTION_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(ascend_attention_last_error()), "states is NULL");
}

TEST_F(CApi, WritesTheCacheFromC) {
  constexpr size_t kElems = 64;
  std::vector<uint16_t> rows(3 * kElems);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint16_t>(i + 1);
  const DeviceBuffer key = OnDevice(rows);
  const DeviceBuffer slots = OnDevice(std::vector<int64_t>{17, -1, 2});
  const std::vector<uint16_t> empty(2 * 16 * kElems);
  const DeviceBuffer keys = OnDevice(empty), values = OnDevice(empty);
  AscendAttentionCacheWriteShape shape = {};
  shape.num_kv_heads = 1;
  shape.head_dim = kElems;
  shape.kv_block_size = 16;
  shape.num_kv_blocks = 2;
  AscendAttentionCacheWriteTensors tensors = {};
  tensors.num_tokens = 3;
  tensors.key = key.data();
  tensors.value = key.data();
  tensors.slot_mapping = static_cast<const int64_t*>(slots.data());
  tensors.key_cache = keys.data();
  tensors.value_cache = values.data();
  ASSERT_EQ(CacheWriteFromC(&shape, &tensors, stream_->handle(), 1), ASCEND_ATTENTION_OK)
      << ascend_attention_last_error();
  std::vector<uint16_t> expected = empty;
  std::copy_n(rows.begin(), kElems, expected.begin() + 17 * kElems);
  std::copy_n(rows.begin() + 2 * kElems, kElems, expected.begin() + 2 * kElems);
  for (const DeviceBuffer* cache : {&keys, &values}) {
    std::vector<uint16_t> got(empty.size());
    ASSERT_TRUE(cache->Download(got.data(), cache->size()).ok());
    EXPECT_EQ(got, expected);
  }
  shape.num_kv_blocks = 1;
  for (const int check_slots : {1, 0}) {  // found before the launch, and by the kernel
    EXPECT_EQ(CacheWriteFromC(&shape, &tensors, stream_->handle(), check_slots),
              ASCEND_ATTENTION_OUT_OF_RANGE);
    const std::string text = ascend_attention_last_error();
    EXPECT_EQ(text.rfind("slot_mapping[0] = 17 is outside [0, 16)", 0), 0u) << text;
  }
  EXPECT_EQ(CacheWriteFromC(nullptr, &tensors, nullptr, 0), ASCEND_ATTENTION_INVALID_ARGUMENT);
  EXPECT_STREQ(ascend_attention_last_error(), "shape is NULL");
  EXPECT_EQ(CacheWriteFromC(&shape, nullptr, nullptr, 0), ASCEND_ATTENTION_INVALID_ARGUMENT);
  EXPECT_STREQ(ascend_attention_last_error(), "tensors is NULL");
}

}  // namespace
}  // namespace ascend_attention
