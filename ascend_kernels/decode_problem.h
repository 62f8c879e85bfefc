// SPDX-License-Identifier: Apache-2.0
// The decode and combine kernels on the virtual NPU with nothing between plan
// and kernel but a launch: output and workspace start as NaN, every buffer is
// exactly as long as it must be.
#ifndef ASCEND_KERNELS_DECODE_PROBLEM_H_
#define ASCEND_KERNELS_DECODE_PROBLEM_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testdata/decode_case.h"
#include "testdata/decode_inputs.h"
#include "tiling/decode_planner.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {

using testdata::DecodeCase;
using testdata::DecodeInputs;

struct Result {
  std::vector<uint16_t> out;
  std::vector<float> lse;
};

inline vnpu::DeviceConfig ConfigWith(uint32_t host_threads) {
  vnpu::DeviceConfig config;
  config.host_threads = host_threads;
  return config;
}

// One device with the problem of one case on it.
class Problem {
 public:
  explicit Problem(const DecodeCase& c, uint32_t host_threads = 0)
      : case_(c), device_(ConfigWith(host_threads)) {
    const DecodeInputs inputs = testdata::MakeInputs(c);
    blocks_ = inputs.block_table;
    DecodeShape shape;
    shape.batch = c.batch;
    shape.num_heads = c.num_heads;
    shape.num_kv_heads = c.num_kv_heads;
    shape.head_dim = c.head_dim;
    shape.kv_block_size = c.kv_block_size;
    shape.num_kv_blocks = inputs.num_kv_blocks;
    shape.max_kv_blocks = c.max_kv_blocks();
    shape.dtype = c.bfloat16 ? DType::kBFloat16 : DType::kFloat16;
    const int num_cores = c.num_cores == 0 ? 24 : static_cast<int>(c.num_cores);
    const StatusOr<Platform> platform = PlatformFor("Ascend910B1", num_cores);
    StatusOr<DecodePlan> plan =
        PlanDecode(shape, *platform, c.context_lens.data(), c.batch, inputs.softmax_scale);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    plan_ = *std::move(plan);
    query_ = Upload(inputs.query);
    key_cache_ = Upload(inputs.key_cache);
    value_cache_ = Upload(inputs.value_cache);
    block_table_ = static_cast<int32_t*>(Upload(inputs.block_table));
    const uint64_t workspace_bytes = plan_.header().workspace_size.bytes;
    workspace_ = static_cast<uint8_t*>(device_.Allocate(workspace_bytes));
    std::memset(workspace_, 0xff, workspace_bytes);
    std::memcpy(workspace_, plan_.bytes().data(), plan_.bytes().size());
    out_elems_ = inputs.query.size();
    out_ = device_.Allocate(out_elems_ * sizeof(uint16_t));
    lse_ = device_.Allocate(c.batch * c.num_heads * sizeof(float));
  }

  vnpu::LaunchResult Launch(uint64_t flags = kLaunchWriteLse) {
    std::memset(out_, 0xff, out_elems_ * sizeof(uint16_t));
    std::memset(lse_, 0xff, lse_elems() * sizeof(float));
    const struct {
      uint64_t ffts_addr;
      void *query, *key_cache, *value_cache, *block_table, *out, *lse, *workspace;
      uint64_t flags;
    } decode = {0, query_, key_cache_, value_cache_, block_table_, out_, lse_, workspace_, flags};
    const vnpu::LaunchResult result = LaunchKernel("decode", plan_.used_cores(), decode);
    if (result.fault != vnpu::FaultKind::kNone || !plan_.has_splits()) return result;
    const struct {
      void *out, *lse, *workspace;
      uint64_t flags;
    } combine = {out_, lse_, workspace_, flags};
    return LaunchKernel("combine", 2 * plan_.header().num_cores, combine);
  }

  Result result() const {
    Result result;
    result.out.resize(out_elems_);
    result.lse.resize(lse_elems());
    std::memcpy(result.out.data(), out_, out_elems_ * sizeof(uint16_t));
    std::memcpy(result.lse.data(), lse_, lse_elems() * sizeof(float));
    return result;
  }

  // Names all tensors and says which bytes a result may depend on: of the
  // cache only the rows of live tokens, of the workspace only the plan.
  void DescribeMemory() {
    using vnpu::RegionRule;
    const DecodePlanHeader& header = plan_.header();
    const uint64_t cache_bytes = uint64_t{header.num_kv_blocks} * block_bytes();
    Describe(query_, out_elems_ * sizeof(uint16_t), "query", RegionRule::kReadOnly, true);
    Describe(key_cache_, cache_bytes, "key_cache", RegionRule::kReadOnly, false);
    Describe(value_cache_, cache_bytes, "value_cache", RegionRule::kReadOnly, false);
    Describe(block_table_, blocks_.size() * sizeof(int32_t), "block_table", RegionRule::kReadOnly,
             true);
    Describe(out_, out_elems_ * sizeof(uint16_t), "out", RegionRule::kOutput, false);
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
    const uint64_t row_bytes = block_bytes() / header.kv_block_size;
    const int64_t columns = case_.max_kv_blocks();
    for (size_t row = 0; row < case_.context_lens.size(); ++row) {
      for (int64_t token = 0; token < case_.context_lens[row]; token += header.kv_block_size) {
        const int64_t rows =
            std::min<int64_t>(header.kv_block_size, case_.context_lens[row] - token);
        const int64_t block = blocks_[row * static_cast<size_t>(columns) +
                                      static_cast<size_t>(token / header.kv_block_size)];
        for (void* cache : {key_cache_, value_cache_}) {
          device_.SetDefined(
              static_cast<uint8_t*>(cache) + block * static_cast<int64_t>(block_bytes()),
              static_cast<uint64_t>(rows) * row_bytes, true);
        }
      }
    }
  }

  vnpu::Device& device() { return device_; }
  const DecodePlan& plan() const { return plan_; }
  int32_t* block_table() { return block_table_; }
  uint8_t* key_cache() { return static_cast<uint8_t*>(key_cache_); }
  uint8_t* workspace() { return workspace_; }

 private:
  size_t lse_elems() const { return case_.batch * case_.num_heads; }

  uint64_t block_bytes() const {
    const DecodePlanHeader& header = plan_.header();
    return uint64_t{header.kv_block_size} * header.num_kv_heads * header.head_dim *
           sizeof(uint16_t);
  }

  void Describe(void* begin, uint64_t bytes, const char* name, vnpu::RegionRule rule,
                bool defined) {
    if (bytes == 0) return;
    EXPECT_TRUE(device_.NameRegion(begin, bytes, name, rule)) << name;
    device_.SetDefined(begin, bytes, defined);
  }

  template <typename T>
  void* Upload(const std::vector<T>& values) {
    void* memory = device_.Allocate(values.size() * sizeof(T));
    std::memcpy(memory, values.data(), values.size() * sizeof(T));
    return memory;
  }

  template <typename Args>
  vnpu::LaunchResult LaunchKernel(const std::string& folder, uint32_t num_blocks,
                                  const Args& args) {
    const std::string name = folder + (case_.bfloat16 ? "_bf16" : "_f16");
    std::string error;
    const std::shared_ptr<vnpu::KernelModule> module =
        vnpu::KernelModule::LoadFile("ascend_kernels/" + folder + "/" + name + ".so", &error);
    EXPECT_NE(module, nullptr) << error;
    return device_.Launch(*module->Find(name + "_0"), num_blocks, &args, sizeof(args));
  }

  DecodeCase case_;
  std::vector<int32_t> blocks_;
  vnpu::Device device_;
  DecodePlan plan_;
  void* query_;
  void* key_cache_;
  void* value_cache_;
  int32_t* block_table_;
  uint8_t* workspace_;
  size_t out_elems_;
  void* out_;
  void* lse_;
};

}  // namespace ascend_attention

#endif  // ASCEND_KERNELS_DECODE_PROBLEM_H_
