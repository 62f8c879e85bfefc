// SPDX-License-Identifier: Apache-2.0
// reshape_and_cache on the virtual NPU with nothing between the problem and the
// kernel but a launch, and what it must leave behind, by plain loops: every byte
// of the pool, of the scales and of the error records.
#ifndef ASCEND_KERNELS_KV_CACHE_CACHE_PROBLEM_H_
#define ASCEND_KERNELS_KV_CACHE_CACHE_PROBLEM_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "testdata/decode_inputs.h"
#include "tiling/abi/cache_write.h"
#include "tiling/abi/decode_plan.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {

enum class Layout { kTokenMajor, kHeadMajor, kInterleaved, kPadded };

struct CacheCase {
  int64_t num_tokens = 0;
  int64_t num_kv_heads = 1;
  int64_t head_dim = 64;
  int64_t kv_block_size = 16;
  int64_t num_kv_blocks = 4;
  bool bfloat16 = false;
  KvQuant kv_quant = KvQuant::kNone;
  Layout layout = Layout::kTokenMajor;
  int64_t qkv_gap = 0;  // elements between the rows of two tokens of key and value
  uint32_t num_blocks = 5;
  std::vector<int64_t> slots;  // empty: num_tokens different ones, some skipped
};

inline std::string Text(const CacheCase& c) {
  return "tokens " + std::to_string(c.num_tokens) + " heads " + std::to_string(c.num_kv_heads) +
         " d " + std::to_string(c.head_dim) + " block " + std::to_string(c.kv_block_size) +
         (c.bfloat16 ? " bf16" : " f16") + " quant " +
         std::to_string(static_cast<uint32_t>(c.kv_quant)) + " layout " +
         std::to_string(static_cast<int>(c.layout)) + " gap " + std::to_string(c.qkv_gap);
}

class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  uint32_t Bits() {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ >> 8;
  }
  // In [-1, 1).
  float Signed() { return static_cast<float>(Bits()) / (1 << 23) - 1.0f; }

 private:
  uint32_t state_;
};

class CacheProblem {
 public:
  explicit CacheProblem(const CacheCase& c) : case_(c), device_(vnpu::DeviceConfig()) {
    SetStrides();
    MakeInputs();
    const size_t pool_bytes = static_cast<size_t>(pool_elems_ * elem_bytes());
    Random random(7);
    pool_.resize(pool_bytes);
    for (uint8_t& byte : pool_) byte = static_cast<uint8_t>(random.Bits());
    const size_t scales = is_token() ? num_slots() * c.num_kv_heads : params();
    for (auto* tensor : {&key_scale_, &value_scale_, &key_offset_, &value_offset_}) {
      tensor->resize(scales);
      const bool offset = tensor == &key_offset_ || tensor == &value_offset_;
      for (float& value : *tensor) value = offset ? random.Signed() * 20 : Scale(&random);
    }
    Upload();
  }

  vnpu::LaunchResult Launch() {
    const struct {
      void *key, *value, *slots, *key_cache, *value_cache;
      void *key_scale, *value_scale, *key_offset, *value_offset, *errors;
      int64_t num_tokens, key_stride, value_stride, num_kv_heads, head_dim, kv_block_size;
      int64_t num_slots, block_stride, token_stride, head_stride;
      uint64_t kv_quant;
    } args = {device_key_,
              device_value_,
              device_slots_,
              device_pool_,
              device_pool_ + value_elem_ * elem_bytes(),
              device_key_scale_,
              device_value_scale_,
              device_key_offset_,
              device_value_offset_,
              device_errors_,
              case_.num_tokens,
              row() + case_.qkv_gap,
              row() + case_.qkv_gap,
              case_.num_kv_heads,
              case_.head_dim,
              case_.kv_block_size,
              static_cast<int64_t>(num_slots()),
              block_stride_,
              token_stride_,
              head_stride_,
              static_cast<uint64_t>(case_.kv_quant)};
    const std::string name = std::string("reshape_and_cache") + (case_.bfloat16 ? "_bf16" : "_f16");
    std::string error;
    const std::shared_ptr<vnpu::KernelModule> module =
        vnpu::KernelModule::LoadFile("ascend_kernels/kv_cache/" + name + ".so", &error);
    EXPECT_NE(module, nullptr) << error;
    return device_.Launch(*module->Find(name + "_0"), case_.num_blocks, &args, sizeof(args));
  }

  // Compares everything that the kernel may write with plain loops over the case.
  void ExpectRight() {
    for (int64_t token = 0; token < case_.num_tokens; ++token) {
      if (slots_[token] < 0) continue;
      for (int64_t head = 0; head < case_.num_kv_heads; ++head) {
        Write(token, head, key_, 0, key_scale_, key_offset_);
        Write(token, head, value_, value_elem_, value_scale_, value_offset_);
      }
    }
    ExpectBytes(device_pool_, pool_.data(), pool_.size(), "pool");
    ExpectBytes(device_key_scale_, key_scale_.data(), key_scale_.size() * 4, "key_scale");
    ExpectBytes(device_value_scale_, value_scale_.data(), value_scale_.size() * 4, "value_scale");
    for (uint32_t core = 0; core < case_.num_blocks; ++core) EXPECT_EQ(error(core).found, 0u);
  }

  // Names all tensors and says which bytes a result may depend on.
  void DescribeMemory() {
    using vnpu::RegionRule;
    const auto describe = [&](const void* begin, uint64_t bytes, const char* name, RegionRule rule,
                              bool defined) {
      if (bytes == 0) return;
      EXPECT_TRUE(device_.NameRegion(begin, bytes, name, rule)) << name;
      device_.SetDefined(begin, bytes, defined);
    };
    const RegionRule scale = is_token() ? RegionRule::kOutput : RegionRule::kReadOnly;
    describe(device_key_, key_.size() * 2, "key", RegionRule::kReadOnly, true);
    describe(device_value_, value_.size() * 2, "value", RegionRule::kReadOnly, true);
    describe(device_slots_, slots_.size() * 8, "slot_mapping", RegionRule::kReadOnly, true);
    describe(device_pool_, pool_.size(), "pool", RegionRule::kOutput, false);
    describe(device_key_scale_, key_scale_.size() * 4, "key_scale", scale, !is_token());
    describe(device_value_scale_, value_scale_.size() * 4, "value_scale", scale, !is_token());
    describe(device_key_offset_, key_offset_.size() * 4, "key_offset", RegionRule::kReadOnly, true);
    describe(device_value_offset_, value_offset_.size() * 4, "value_offset", RegionRule::kReadOnly,
             true);
  }

  vnpu::Device& device() { return device_; }
  std::vector<uint16_t>& key() { return key_; }
  std::vector<uint16_t>& value() { return value_; }
  std::vector<float>& key_scale() { return key_scale_; }
  std::vector<float>& key_offset() { return key_offset_; }
  // After a change of any of the above.
  void UploadAgain() { Upload(); }
  CacheWriteError error(uint32_t core) const {
    CacheWriteError record;
    std::memcpy(&record, device_errors_ + core * sizeof(record), sizeof(record));
    return record;
  }
  uint16_t Bits(float value) const {
    if (!case_.bfloat16) {
      const auto half = static_cast<_Float16>(value);
      uint16_t bits;
      std::memcpy(&bits, &half, sizeof(bits));
      return bits;
    }
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return static_cast<uint16_t>(bits >> 16);  // values here have few bits, or this truncates
  }

 private:
  bool is_token() const { return case_.kv_quant == KvQuant::kInt8Token; }
  int64_t row() const { return case_.num_kv_heads * case_.head_dim; }
  size_t params() const { return static_cast<size_t>(row()); }
  size_t num_slots() const {
    return static_cast<size_t>(case_.num_kv_blocks * case_.kv_block_size);
  }
  int64_t elem_bytes() const { return case_.kv_quant == KvQuant::kNone ? 2 : 1; }

  static float Scale(Random* random) { return std::ldexp(1.5f + random->Signed() * 0.5f, -5); }

  void SetStrides() {
    const int64_t d = case_.head_dim;
    const int64_t block = case_.kv_block_size * row();
    token_stride_ = row();
    head_stride_ = d;
    block_stride_ = block;
    value_elem_ = block * case_.num_kv_blocks;
    pool_elems_ = 2 * value_elem_;
    if (case_.layout == Layout::kHeadMajor) {
      token_stride_ = d;
      head_stride_ = case_.kv_block_size * d;
    } else if (case_.layout == Layout::kInterleaved) {
      block_stride_ = 2 * block;
      value_elem_ = block;
    } else if (case_.layout == Layout::kPadded) {
      head_stride_ = d + 32;
      token_stride_ = case_.num_kv_heads * head_stride_ + 64;
      block_stride_ = case_.kv_block_size * token_stride_ + 96;
      value_elem_ = block_stride_ * case_.num_kv_blocks;
      pool_elems_ = 2 * value_elem_;
    }
  }

  void MakeInputs() {
    Random random(11);
    for (auto* tensor : {&key_, &value_}) {
      tensor->resize(static_cast<size_t>(case_.num_tokens * (row() + case_.qkv_gap)));
      for (uint16_t& bits : *tensor) bits = Bits(random.Signed() * 3);
    }
    slots_ = case_.slots;
    if (!slots_.empty()) return;
    // 7 is coprime to all sizes used: no slot twice.
    for (int64_t i = 0; i < case_.num_tokens; ++i) {
      const auto slot = static_cast<int64_t>((static_cast<size_t>(i) * 7 + 3) % num_slots());
      slots_.push_back(i % 5 == 4 ? -1 - i : slot);
    }
  }

  float Element(const std::vector<uint16_t>& tensor, int64_t token, int64_t head, int64_t d) const {
    const int64_t at = token * (row() + case_.qkv_gap) + head * case_.head_dim + d;
    return testdata::ToFloat(tensor[static_cast<size_t>(at)], case_.bfloat16);
  }

  static int8_t ToInt8(float value) {
    if (std::isnan(value)) return 0;
    return static_cast<int8_t>(std::fmin(127.0f, std::fmax(-128.0f, std::nearbyint(value))));
  }

  void Write(int64_t token, int64_t head, const std::vector<uint16_t>& tensor, int64_t first_elem,
             std::vector<float>& scale, const std::vector<float>& offset) {
    const int64_t block = slots_[token] / case_.kv_block_size;
    const int64_t in_block = slots_[token] % case_.kv_block_size;
    const int64_t elem =
        first_elem + block * block_stride_ + in_block * token_stride_ + head * head_stride_;
    float row_scale = 0;
    if (is_token()) {
      float amax = 0;
      for (int64_t d = 0; d < case_.head_dim; ++d) {
        const float magnitude = std::fabs(Element(tensor, token, head, d));
        if (!(magnitude <= amax)) amax = std::isnan(amax) ? amax : magnitude;
      }
      row_scale = amax / 127.0f;
      const int64_t at = (block * case_.num_kv_heads + head) * case_.kv_block_size + in_block;
      scale[static_cast<size_t>(at)] = row_scale;
    }
    for (int64_t d = 0; d < case_.head_dim; ++d) {
      const float x = Element(tensor, token, head, d);
      uint8_t* to = pool_.data() + (elem + d) * elem_bytes();
      const size_t param = static_cast<size_t>(head * case_.head_dim + d);
      if (case_.kv_quant == KvQuant::kNone) {
        std::memcpy(to, &tensor[static_cast<size_t>(token * (row() + case_.qkv_gap)) + param], 2);
      } else {
        float quotient = x / (is_token() ? row_scale : scale[param]);
        if (case_.kv_quant == KvQuant::kInt8ChannelAsym) quotient -= offset[param];
        *to = static_cast<uint8_t>(ToInt8(quotient));
      }
    }
  }

  // NaN scales may differ in their bits.
  static void ExpectBytes(const void* got, const void* expected, size_t bytes, const char* name) {
    if (std::memcmp(got, expected, bytes) == 0) return;
    const auto* a = static_cast<const uint8_t*>(got);
    const auto* b = static_cast<const uint8_t*>(expected);
    size_t different = 0;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
      float x, y;
      std::memcpy(&x, a + i, 4);
      std::memcpy(&y, b + i, 4);
      const bool scale = std::string(name) != "pool";
      if (std::memcmp(a + i, b + i, 4) == 0 || (scale && std::isnan(x) && std::isnan(y))) continue;
      if (different++ == 0) {
        ADD_FAILURE() << name << " differs first in bytes [" << i << ", " << i + 4 << ") of "
                      << bytes << ": " << x << " for " << y;
      }
    }
    EXPECT_EQ(different, 0u) << "words of " << name;
  }

  template <typename V>
  void UploadTo(V** memory, const void* from, size_t bytes) {
    if (*memory == nullptr) *memory = static_cast<V*>(device_.Allocate(bytes == 0 ? 1 : bytes));
    if (bytes != 0) std::memcpy(*memory, from, bytes);
  }

  void Upload() {
    UploadTo(&device_key_, key_.data(), key_.size() * 2);
    UploadTo(&device_value_, value_.data(), value_.size() * 2);
    UploadTo(&device_slots_, slots_.data(), slots_.size() * 8);
    UploadTo(&device_pool_, pool_.data(), pool_.size());
    UploadTo(&device_key_scale_, key_scale_.data(), key_scale_.size() * 4);
    UploadTo(&device_value_scale_, value_scale_.data(), value_scale_.size() * 4);
    UploadTo(&device_key_offset_, key_offset_.data(), key_offset_.size() * 4);
    UploadTo(&device_value_offset_, value_offset_.data(), value_offset_.size() * 4);
    const std::vector<uint8_t> none(case_.num_blocks * sizeof(CacheWriteError));
    UploadTo(&device_errors_, none.data(), none.size());
  }

  CacheCase case_;
  vnpu::Device device_;
  int64_t block_stride_ = 0, token_stride_ = 0, head_stride_ = 0;
  int64_t value_elem_ = 0;  // of the value cache, in the pool
  int64_t pool_elems_ = 0;
  std::vector<uint16_t> key_, value_;
  std::vector<int64_t> slots_;
  std::vector<uint8_t> pool_;  // as it should be
  std::vector<float> key_scale_, value_scale_, key_offset_, value_offset_;

  uint16_t *device_key_ = nullptr, *device_value_ = nullptr;
  int64_t* device_slots_ = nullptr;
  uint8_t* device_pool_ = nullptr;
  float *device_key_scale_ = nullptr, *device_value_scale_ = nullptr;
  float *device_key_offset_ = nullptr, *device_value_offset_ = nullptr;
  uint8_t* device_errors_ = nullptr;
};

}  // namespace ascend_attention

#endif  // ASCEND_KERNELS_KV_CACHE_CACHE_PROBLEM_H_
