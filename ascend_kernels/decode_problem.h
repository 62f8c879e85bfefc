// SPDX-License-Identifier: Apache-2.0
// The decode kernels on the virtual NPU with nothing between plan and kernel but
// a launch: output and workspace start as NaN, every buffer is exactly as long
// as it must be.
#ifndef ASCEND_KERNELS_DECODE_PROBLEM_H_
#define ASCEND_KERNELS_DECODE_PROBLEM_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ascend_kernels/case_shape.h"
#include "testdata/decode_case.h"
#include "testdata/decode_inputs.h"
#include "tiling/decode_planner.h"
#include "tiling/support.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {

using testdata::DecodeCase;
using testdata::DecodeInputs;

struct Result {
  std::vector<uint16_t> out;  // its bits; a float32 takes two
  std::vector<float> lse;
};

inline vnpu::DeviceConfig ConfigFor(const DecodeCase& c, uint32_t host_threads) {
  vnpu::DeviceConfig config;
  config.host_threads = host_threads;
  config.num_cores = std::max(config.num_cores, static_cast<uint32_t>(c.num_cores));
  return config;
}

// One device with the problem of one case on it.
class Problem {
 public:
  // `kernel` is launched in the place of the plan's own: one that reads the same plan.
  explicit Problem(const DecodeCase& c, uint32_t host_threads = 0, std::string kernel = "")
      : case_(c), kernel_(std::move(kernel)), device_(ConfigFor(c, host_threads)) {
    const DecodeInputs inputs = testdata::MakeInputs(c);
    blocks_ = inputs.block_table;
    Plan(ShapeOf(c, inputs), inputs.softmax_scale);
    query_ = Upload(inputs.query);
    UploadCaches(inputs);
    key_scale_ = UploadScale(inputs.key_scale);
    key_offset_ = UploadScale(inputs.key_offset);
    value_scale_ = UploadScale(inputs.value_scale);
    value_offset_ = UploadScale(inputs.value_offset);
    block_table_ = static_cast<int32_t*>(Upload(inputs.block_table));
    const uint64_t workspace_bytes = plan_.header().workspace_size.bytes;
    workspace_ = static_cast<uint8_t*>(device_.Allocate(workspace_bytes));
    std::memset(workspace_, 0xff, workspace_bytes);
    std::memcpy(workspace_, plan_.bytes().data(), plan_.bytes().size());
    out_ = device_.Allocate(out_bytes());
    lse_ = device_.Allocate(lse_elems() * sizeof(float));
  }

  vnpu::LaunchResult Launch(uint64_t flags = kLaunchWriteLse) {
    std::memset(out_, 0xff, out_bytes());
    std::memset(lse_, 0xff, lse_elems() * sizeof(float));
    return LaunchDecode(flags);
  }

  Result result() const {
    Result result;
    result.out.resize(out_bytes() / sizeof(uint16_t));
    result.lse.resize(lse_elems());
    std::memcpy(result.out.data(), out_, out_bytes());
    std::memcpy(result.lse.data(), lse_, lse_elems() * sizeof(float));
    return result;
  }

  // Exactly what `out` holds, of either dtype.
  std::vector<float> out_values() const {
    std::vector<float> values(out_elems());
    const auto* bits = static_cast<const uint16_t*>(out_);
    for (size_t i = 0; i < values.size(); ++i) {
      if (case_.out_float32) {
        std::memcpy(&values[i], bits + 2 * i, sizeof(float));
      } else {
        values[i] = testdata::ToFloat(bits[i], case_.bfloat16);
      }
    }
    return values;
  }

  // Names all tensors and says which bytes a result may depend on: of the
  // cache only the rows of live tokens, of the workspace only the plan.
  void DescribeMemory() {
    using vnpu::RegionRule;
    const DecodePlanHeader& header = plan_.header();
    Describe(query_, out_elems() * sizeof(uint16_t), "query", RegionRule::kReadOnly, true);
    if (pool_bytes_ != 0) {
      Describe(key_cache_, pool_bytes_, "kv_pool", RegionRule::kReadOnly, false);
    } else {
      Describe(key_cache_, cache_bytes_, "key_cache", RegionRule::kReadOnly, false);
      Describe(value_cache_, cache_bytes_, "value_cache", RegionRule::kReadOnly, false);
    }
    DescribeScales();
    Describe(block_table_, blocks_.size() * sizeof(int32_t), "block_table", RegionRule::kReadOnly,
             true);
    Describe(out_, out_bytes(), "out", RegionRule::kOutput, false);
    Describe(lse_, lse_elems() * sizeof(float), "lse", RegionRule::kOutput, false);
    Describe(workspace_, plan_.bytes().size(), "plan", RegionRule::kReadOnly, true);
    const auto part = [&](const Region& region, const char* name) {
      Describe(workspace_ + region.begin.bytes, region.size.bytes, name, RegionRule::kReadWrite,
               false);
    };
    part(header.error_records, "workspace/error_records");
    part(header.scores, "workspace/scores");
    part(header.probs, "workspace/probs");
    part(header.o_tiles, "workspace/o_tiles");
    part(header.partial_out, "workspace/partial_out");
    part(header.partial_lse, "workspace/partial_lse");
    part(header.query_operands, "workspace/query_operands");
    part(header.dequant_keys, "workspace/dequant_keys");
    part(header.dequant_values, "workspace/dequant_values");
    DefineLiveTokens();
  }

  // Moves kv block b of both caches to id new_ids[b] of `num_kv_blocks` that lie
  // `block_stride` elements apart: offsets as large as wanted, in memory that nobody fills.
  void SpreadKvBlocks(uint32_t num_kv_blocks, uint64_t block_stride,
                      const std::vector<int32_t>& new_ids) {
    DecodePlanHeader header = plan_.header();
    const uint64_t page_bytes = header.kv_block_stride * kv_elem_bytes();
    ASSERT_EQ(new_ids.size() * page_bytes, cache_bytes_) << "a dense cache of its own each";
    for (uint8_t** cache : {&key_cache_, &value_cache_}) {
      auto* spread =
          static_cast<uint8_t*>(device_.Allocate(num_kv_blocks * block_stride * kv_elem_bytes()));
      ASSERT_NE(spread, nullptr);
      for (size_t block = 0; block < new_ids.size(); ++block) {
        const uint64_t id = static_cast<uint64_t>(new_ids[block]);
        std::memcpy(spread + id * block_stride * kv_elem_bytes(), *cache + block * page_bytes,
                    page_bytes);
      }
      *cache = spread;
    }
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (blocks_[i] >= 0) block_table_[i] = new_ids[static_cast<size_t>(blocks_[i])];
    }
    header.num_kv_blocks = num_kv_blocks;
    header.kv_block_stride = block_stride;
    std::memcpy(workspace_, &header, sizeof(header));
  }

  vnpu::Device& device() { return device_; }
  const DecodePlan& plan() const { return plan_; }
  int32_t* block_table() { return block_table_; }
  uint8_t* key_cache() { return key_cache_; }
  uint8_t* workspace() { return workspace_; }

 private:
  size_t query_rows() const {
    return static_cast<size_t>(case_.num_query_rows() * case_.num_heads);
  }
  size_t out_elems() const { return query_rows() * static_cast<size_t>(case_.head_dim); }
  size_t out_bytes() const {
    return out_elems() * (case_.out_float32 ? sizeof(float) : sizeof(uint16_t));
  }
  size_t lse_elems() const { return query_rows(); }
  uint64_t kv_elem_bytes() const {
    return plan_.header().kv_quant == KvQuant::kNone ? sizeof(uint16_t) : 1;
  }

  void Plan(const DecodeShape& shape, float softmax_scale) {
    const int num_cores = case_.num_cores == 0 ? 24 : static_cast<int>(case_.num_cores);
    const StatusOr<Platform> platform = PlatformFor("Ascend910B1", num_cores);
    // Without query tokens to speak of, the planner is called as it was without them.
    const int32_t* q_lens = case_.max_q_len() == 1 ? nullptr : case_.q_lens.data();
    StatusOr<DecodePlan> plan = PlanDecode(shape, *platform, case_.context_lens.data(),
                                           case_.context_lens.size(), softmax_scale, q_lens);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    plan_ = *std::move(plan);
  }

  void UploadCaches(const DecodeInputs& inputs) {
    const testdata::Bytes keys = inputs.KeyBytes();
    const testdata::Bytes values = inputs.ValueBytes();
    key_cache_ = Upload(keys);
    if (case_.interleaved) {
      pool_bytes_ = keys.size;
      value_cache_ = key_cache_ + static_cast<uint64_t>(inputs.values_begin) * kv_elem_bytes();
    } else {
      cache_bytes_ = keys.size;
      value_cache_ = Upload(values);
    }
  }

  void Describe(void* begin, uint64_t bytes, const char* name, vnpu::RegionRule rule,
                bool defined) {
    if (begin == nullptr || bytes == 0) return;
    EXPECT_TRUE(device_.NameRegion(begin, bytes, name, rule)) << name;
    device_.SetDefined(begin, bytes, defined);
  }

  void DescribeScales() {
    const DecodePlanHeader& header = plan_.header();
    const bool per_token = header.kv_quant == KvQuant::kInt8Token;
    const uint64_t per_head =
        per_token ? uint64_t{header.num_kv_blocks} * header.kv_block_size : header.head_dim;
    const uint64_t bytes = per_head * header.num_kv_heads * sizeof(float);
    const auto scale = [&](float* begin, const char* name) {
      Describe(begin, bytes, name, vnpu::RegionRule::kReadOnly, !per_token);
    };
    scale(key_scale_, "key_scale");
    scale(key_offset_, "key_offset");
    scale(value_scale_, "value_scale");
    scale(value_offset_, "value_offset");
  }

  void DefineLiveTokens() {
    const int64_t block_size = plan_.header().kv_block_size;
    const auto columns = static_cast<size_t>(case_.max_kv_blocks());
    for (size_t row = 0; row < case_.context_lens.size(); ++row) {
      const int64_t context = case_.context_lens[row];
      for (int64_t token = 0; token < context; token += block_size) {
        const int32_t block = blocks_[row * columns + static_cast<size_t>(token / block_size)];
        const auto live = static_cast<uint64_t>(std::min(block_size, context - token));
        DefineRows(key_cache_, block, live);
        DefineRows(value_cache_, block, live);
        DefineTokenScales(block, live);
      }
    }
  }

  // The first `live` tokens of a kv block, in runs of neighbouring elements.
  void DefineRows(uint8_t* cache, int32_t block, uint64_t live) {
    const DecodePlanHeader& header = plan_.header();
    const uint64_t head_dim = header.head_dim, heads = header.num_kv_heads;
    const auto define = [&](uint64_t token, uint64_t head, uint64_t elems) {
      const uint64_t first = static_cast<uint64_t>(block) * header.kv_block_stride +
                             token * header.kv_token_stride + head * header.kv_head_stride;
      device_.SetDefined(cache + first * kv_elem_bytes(), elems * kv_elem_bytes(), true);
    };
    const bool heads_touch = heads == 1 || header.kv_head_stride == head_dim;
    if (heads_touch && header.kv_token_stride == heads * head_dim) {
      define(0, 0, live * heads * head_dim);
    } else if (heads_touch) {
      for (uint64_t token = 0; token < live; ++token) define(token, 0, heads * head_dim);
    } else {
      for (uint64_t head = 0; head < heads; ++head) {
        for (uint64_t token = 0; token < live; ++token) define(token, head, head_dim);
      }
    }
  }

  void DefineTokenScales(int32_t block, uint64_t live) {
    const DecodePlanHeader& header = plan_.header();
    if (header.kv_quant != KvQuant::kInt8Token) return;
    for (uint64_t head = 0; head < header.num_kv_heads; ++head) {
      const uint64_t first =
          (static_cast<uint64_t>(block) * header.num_kv_heads + head) * header.kv_block_size;
      for (float* scale : {key_scale_, value_scale_}) {
        device_.SetDefined(scale + first, live * sizeof(float), true);
      }
    }
  }

  uint8_t* Upload(const testdata::Bytes& bytes) {
    void* memory = device_.Allocate(bytes.size);
    std::memcpy(memory, bytes.data, bytes.size);
    return static_cast<uint8_t*>(memory);
  }

  template <typename T>
  void* Upload(const std::vector<T>& values) {
    return Upload(testdata::Bytes{values.data(), values.size() * sizeof(T)});
  }

  float* UploadScale(const std::vector<float>& values) {
    return values.empty() ? nullptr : static_cast<float*>(Upload(values));
  }

  vnpu::LaunchResult LaunchDecode(uint64_t flags) {
    const DecodePlanHeader& header = plan_.header();
    const std::string own = *DecodeKernelName(header.kv_quant, header.kv_route, header.dtype);
    const std::string name = kernel_.empty() ? own : kernel_;
    const auto num_blocks = static_cast<uint32_t>(plan_.used_cores());
    if (header.kv_quant == KvQuant::kNone) {
      const struct {
        uint64_t ffts_addr;
        void *query, *key_cache, *value_cache, *block_table, *out, *lse, *workspace;
        uint64_t flags;
      } args = {0, query_, key_cache_, value_cache_, block_table_, out_, lse_, workspace_, flags};
      const char* folder = header.kv_route == KvRoute::kFifo ? "decode_fifo/" : "decode/";
      return LaunchKernel(folder + name, name, num_blocks, args);
    }
    const struct {
      uint64_t ffts_addr;
      void *query, *key_cache, *value_cache;
      float *key_scale, *key_offset, *value_scale, *value_offset;
      void *block_table, *out, *lse, *workspace;
      uint64_t flags;
    } args = {0,           query_,       key_cache_,    value_cache_, key_scale_,
              key_offset_, value_scale_, value_offset_, block_table_, out_,
              lse_,        workspace_,   flags};
    return LaunchKernel("decode_int8/" + name, name, num_blocks, args);
  }

  template <typename Args>
  vnpu::LaunchResult LaunchKernel(const std::string& file, const std::string& name,
                                  uint32_t num_blocks, const Args& args) {
    std::string error;
    const std::shared_ptr<vnpu::KernelModule> module =
        vnpu::KernelModule::LoadFile("ascend_kernels/" + file + ".so", &error);
    EXPECT_NE(module, nullptr) << error;
    return device_.Launch(*module->Find(name + "_0"), num_blocks, &args, sizeof(args));
  }

  DecodeCase case_;
  std::string kernel_;  // empty: that of the plan
  std::vector<int32_t> blocks_;
  vnpu::Device device_;
  DecodePlan plan_;
  void* query_;
  uint8_t* key_cache_;
  uint8_t* value_cache_;
  uint64_t cache_bytes_ = 0;  // of each cache, if they have arrays of their own
  uint64_t pool_bytes_ = 0;   // of both, if they are interleaved
  float* key_scale_;
  float* key_offset_;
  float* value_scale_;
  float* value_offset_;
  int32_t* block_table_;
  uint8_t* workspace_;
  void* out_;
  void* lse_;
};

}  // namespace ascend_attention

#endif  // ASCEND_KERNELS_DECODE_PROBLEM_H_
