// SPDX-License-Identifier: Apache-2.0
// The decode operators, as library.cc registers them.
#ifndef ASCEND_ATTENTION_TORCH_OPS_DECODE_OPS_H_
#define ASCEND_ATTENTION_TORCH_OPS_DECODE_OPS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "python/ascend_attention/torch_ops/tensor_arg.h"

namespace ascend_attention::torch_ops {

using OptionalTensor = std::optional<Tensor>;

// A handle for `plan` and `run_plan`. `sizes` are batch, num_heads, num_kv_heads,
// head_dim, kv_block_size, num_kv_blocks, max_kv_blocks, max_q_len, fixed_split_tokens,
// num_cores; `kv_strides` block, token, head, or nothing. npu -1: host memory.
int64_t MakeDecoder(std::vector<int64_t> sizes, torch::headeronly::ScalarType dtype,
                    std::string kv_quant, std::string kv_route, std::string kv_layout,
                    std::vector<int64_t> kv_strides, bool out_float32,
                    std::optional<double> softmax_scale, int64_t npu);
void ReleaseDecoder(int64_t plan);
int64_t WorkspaceBytes(int64_t plan);
std::string DeviceName(int64_t plan);
void MakePlan(int64_t plan, Tensor workspace, Tensor context_lens, OptionalTensor q_lens);
void SynchronizeStream(int64_t plan);
int64_t LengthCopies();

// Once per layer and step: works on borrowed handles, null for tensors that are not given.
struct RunPlanArgs {
  AtenTensorHandle query, key_cache, value_cache, block_table, workspace;
  int64_t plan;
  AtenTensorHandle out, lse, key_scale, key_offset, value_scale, value_offset;
};
void RunPlan(const RunPlanArgs& given);

// The arguments of one call that plans and runs.
struct OneShot {
  Tensor query;
  Tensor key_cache;
  Tensor value_cache;
  Tensor block_table;
  Tensor context_lens;
  std::optional<double> softmax_scale;
  OptionalTensor q_lens;
  OptionalTensor key_scale;
  OptionalTensor key_offset;
  OptionalTensor value_scale;
  OptionalTensor value_offset;
  std::string kv_quant;
  std::string kv_route;
  std::string kv_layout;
  std::optional<int64_t> fixed_split_tokens;
  std::optional<int64_t> num_cores;
};

Tensor PagedAttention(const OneShot& args, bool out_float32);
void PagedAttentionOut(const OneShot& args, const Tensor& out);
std::tuple<Tensor, Tensor> PagedAttentionLse(const OneShot& args, bool out_float32);
void PagedAttentionLseOut(const OneShot& args, const Tensor& out, const Tensor& lse);

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_DECODE_OPS_H_
