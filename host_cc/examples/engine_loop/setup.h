// SPDX-License-Identifier: Apache-2.0
// What the loop needs before it can start: sizes, operators, device memory. An
// engine has allocators and streams of its own, and passes each Status on.
#ifndef ENGINE_LOOP_SETUP_H_
#define ENGINE_LOOP_SETUP_H_

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "ascend_attention/cache_write.h"
#include "ascend_attention/decode.h"
#include "ascend_attention/device_buffer.h"
#include "ascend_attention/stream.h"
#include "sizes.h"
#include "toy_model.h"

namespace toy {

namespace aa = ascend_attention;

constexpr size_t kCacheTokens = kNumKvBlocks * kKvBlockSize;

inline void OrDie(const aa::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T OrDie(aa::StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

inline aa::DecodeShape Shape() {
  aa::DecodeShape shape;
  shape.batch = kMaxBatch;
  shape.num_heads = kHeads;
  shape.num_kv_heads = kKvHeads;
  shape.head_dim = kHeadDim;
  shape.kv_block_size = kKvBlockSize;
  shape.num_kv_blocks = kNumKvBlocks;
  shape.max_kv_blocks = kMaxKvBlocks;
  return shape;
}

inline aa::CacheWriteShape CacheShape() {
  aa::CacheWriteShape shape;
  shape.num_kv_heads = kKvHeads;
  shape.head_dim = kHeadDim;
  shape.kv_block_size = kKvBlockSize;
  shape.num_kv_blocks = kNumKvBlocks;
  return shape;
}

// Device memory for up to `capacity` values.
template <typename T>
class Tensor {
 public:
  Tensor(const std::shared_ptr<aa::Runtime>& runtime, size_t capacity)
      : buffer_(OrDie(aa::DeviceBuffer::Allocate(runtime, capacity * sizeof(T)))) {}

  T* data() const { return static_cast<T*>(buffer_.data()); }

  const T* Fill(const std::vector<T>& values) {
    OrDie(buffer_.Upload(values.data(), values.size() * sizeof(T)));
    return data();
  }
  std::vector<T> Read(size_t count) const {
    std::vector<T> values(count);
    OrDie(buffer_.Download(values.data(), count * sizeof(T)));
    return values;
  }

 private:
  aa::DeviceBuffer buffer_;
};

// Once per process and model. The stream is the last member: it goes first, and
// waits for the work that uses the others.
struct Setup {
  std::shared_ptr<aa::Runtime> runtime = OrDie(aa::Runtime::Open({}));
  aa::DecodeAttention decode = OrDie(aa::DecodeAttention::Create(runtime, Shape(), SOFTMAX_SCALE));
  aa::CacheWriter writer = OrDie(aa::CacheWriter::Create(runtime, CacheShape()));
  size_t workspace_bytes = decode.workspace_bytes();
  Tensor<uint8_t> workspace{runtime, workspace_bytes};
  Tensor<uint16_t> key_cache{runtime, kCacheTokens * Model::kKvRow};
  Tensor<uint16_t> value_cache{runtime, kCacheTokens * Model::kKvRow};
  // Of one step; a step appends no more than the cache holds.
  Tensor<uint16_t> key{runtime, kCacheTokens * Model::kKvRow};
  Tensor<uint16_t> value{runtime, kCacheTokens * Model::kKvRow};
  Tensor<int64_t> slots{runtime, kCacheTokens};
  Tensor<uint16_t> query{runtime, kMaxBatch * Model::kQueryRow};
  Tensor<int32_t> block_table{runtime, kMaxBatch * kMaxKvBlocks};
  Tensor<uint16_t> out{runtime, kMaxBatch * Model::kQueryRow};
  Tensor<uint16_t> out_from_c{runtime, kMaxBatch * Model::kQueryRow};
  aa::Stream stream = OrDie(aa::Stream::Create(runtime));
};

}  // namespace toy

#endif  // ENGINE_LOOP_SETUP_H_
