// SPDX-License-Identifier: Apache-2.0
// The tensors of one decode call: read, checked, turned into pointers.
#ifndef ASCEND_ATTENTION_TORCH_OPS_DECODE_ARGS_H_
#define ASCEND_ATTENTION_TORCH_OPS_DECODE_ARGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "python/ascend_attention/torch_ops/tensor_arg.h"

namespace ascend_attention::torch_ops {

struct Scales {
  TensorArg key_scale;
  TensorArg key_offset;
  TensorArg value_scale;
  TensorArg value_offset;
};

struct DecodeArgs {
  TensorArg query;
  TensorArg key_cache;
  TensorArg value_cache;
  TensorArg block_table;
  Scales scales;
  TensorArg out;
  TensorArg lse;
};

Status ReadScales(const std::optional<Tensor>& key_scale, const std::optional<Tensor>& key_offset,
                  const std::optional<Tensor>& value_scale,
                  const std::optional<Tensor>& value_offset, Scales* scales);

// What a batch adds to a shape.
struct Batch {
  int64_t size = 0;
  int64_t num_query_rows = 0;
};

// Dtypes, shapes, strides and devices; every message names the argument. Caches are in
// the order of axes that their strides tell.
Status CheckDecodeArgs(const DecodeArgs& args, const DecodeShape& shape, bool head_major,
                       const Batch& batch, const Place& place);
Status CheckCache(const TensorArg& cache, const DecodeShape& shape, bool head_major);
Status CheckScales(const Scales& scales, const DecodeShape& shape, const Place& place);

DecodeTensors PointersOf(const DecodeArgs& args);

// Codes of the names that Python uses.
StatusOr<KvQuant> KvQuantFrom(const std::string& name);
StatusOr<KvRoute> KvRouteFrom(const std::string& name);
StatusOr<bool> HeadMajorFrom(const std::string& kv_layout);
StatusOr<DType> DTypeFrom(const char* argument, int32_t dtype);
int32_t TorchDType(DType dtype);

// Sizes and strides of `cache` into num_kv_blocks, kv_block_size, num_kv_heads, head_dim
// and kv_strides.
Status ShapeFromCache(const TensorArg& cache, bool head_major, DecodeShape* shape);

// Lengths in host memory, where plans are made. A tensor on an NPU is copied, which waits
// for the device and counts in HostCopiesOfLengths(). Only here: a kernel that reads lengths
// on the device (KvRoute::kFifo) could be given them there.
StatusOr<std::vector<int32_t>> ReadLengths(const char* name, const Tensor& tensor, int64_t most);
int64_t HostCopiesOfLengths();

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_DECODE_ARGS_H_
