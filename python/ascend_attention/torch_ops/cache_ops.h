// SPDX-License-Identifier: Apache-2.0
// The cache write and the merge of partial results, as library.cc registers them.
#ifndef ASCEND_ATTENTION_TORCH_OPS_CACHE_OPS_H_
#define ASCEND_ATTENTION_TORCH_OPS_CACHE_OPS_H_

#include <optional>
#include <string>
#include <tuple>

#include "python/ascend_attention/torch_ops/tensor_arg.h"

namespace ascend_attention::torch_ops {

void ReshapeAndCache(const Tensor& key, const Tensor& value, const Tensor& key_cache,
                     const Tensor& value_cache, const Tensor& slot_mapping, std::string kv_quant,
                     std::string kv_layout, const std::optional<Tensor>& key_scale,
                     const std::optional<Tensor>& key_offset,
                     const std::optional<Tensor>& value_scale,
                     const std::optional<Tensor>& value_offset, bool check_slots);

std::tuple<Tensor, Tensor> MergeStatesOp(const Tensor& outs, const Tensor& lses);
void MergeStatesOutOp(const Tensor& outs, const Tensor& lses, const Tensor& out, const Tensor& lse);

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_CACHE_OPS_H_
