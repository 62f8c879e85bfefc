// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/cache_ops.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "host_cc/include/ascend_attention/cache_write.h"
#include "python/ascend_attention/torch_ops/decode_args.h"
#include "python/ascend_attention/torch_ops/host_copies.h"
#include "python/ascend_attention/torch_ops/npu_runtime.h"
#include "python/ascend_attention/torch_ops/raise.h"

namespace ascend_attention::torch_ops {
namespace {

struct CacheArgs {
  TensorArg key;
  TensorArg value;
  TensorArg key_cache;
  TensorArg value_cache;
  TensorArg slot_mapping;
  Scales scales;
};

// Tokens may lie apart, as in a slice of a qkv tensor; heads and elements may not.
Status CheckTokens(const TensorArg& tokens, int32_t dtype, int64_t num_tokens,
                   const DecodeShape& shape) {
  AA_RETURN_IF_ERROR(CheckDType(tokens, dtype));
  AA_RETURN_IF_ERROR(CheckShape(tokens, {{"num_tokens", num_tokens},
                                         {"num_kv_heads", shape.num_kv_heads},
                                         {"head_dim", shape.head_dim}}));
  TensorArg row = tokens;
  row.dim = 2;
  row.sizes = tokens.sizes + 1;
  row.strides = tokens.strides + 1;
  return tokens.elements() == 0 ? OkStatus() : CheckDense(row);
}

Status CheckCacheArgs(const CacheArgs& args, const DecodeShape& shape, bool head_major) {
  const Place& place = args.key.place;
  const int64_t num_tokens = args.key.sizes[0];
  const int32_t dtype = TorchDType(shape.dtype);
  AA_RETURN_IF_ERROR(CheckTokens(args.key, dtype, num_tokens, shape));
  AA_RETURN_IF_ERROR(CheckTokens(args.value, dtype, num_tokens, shape));
  for (const TensorArg* other :
       {&args.value, &args.key_cache, &args.value_cache, &args.slot_mapping}) {
    AA_RETURN_IF_ERROR(CheckPlace(*other, place, "key"));
  }
  AA_RETURN_IF_ERROR(CheckCache(args.key_cache, shape, head_major));
  AA_RETURN_IF_ERROR(CheckCache(args.value_cache, shape, head_major));
  AA_RETURN_IF_ERROR(
      CheckTensor(args.slot_mapping, aoti_torch_dtype_int64(), {{"num_tokens", num_tokens}}));
  return CheckScales(args.scales, shape, place);
}

CacheWriteTensors PointersOf(const CacheArgs& args) {
  CacheWriteTensors tensors;
  tensors.num_tokens = args.key.sizes[0];
  tensors.key = args.key.data;
  tensors.value = args.value.data;
  tensors.key_token_stride = tensors.num_tokens > 1 ? args.key.strides[0] : 0;
  tensors.value_token_stride = tensors.num_tokens > 1 ? args.value.strides[0] : 0;
  tensors.slot_mapping = static_cast<const int64_t*>(args.slot_mapping.data);
  tensors.key_cache = args.key_cache.data;
  tensors.value_cache = args.value_cache.data;
  tensors.key_scale = static_cast<float*>(args.scales.key_scale.data);
  tensors.key_offset = static_cast<const float*>(args.scales.key_offset.data);
  tensors.value_scale = static_cast<float*>(args.scales.value_scale.data);
  tensors.value_offset = static_cast<const float*>(args.scales.value_offset.data);
  return tensors;
}

// Writers own the device memory of their error records: made once per shape.
StatusOr<CacheWriter> WriterFor(const std::shared_ptr<Runtime>& runtime, const Place& place,
                                const CacheWriteShape& shape) {
  using Fields = std::array<int64_t, 10>;
  static std::mutex mutex;
  static auto* const writers = new std::map<Fields, CacheWriter>;
  const Fields fields = {place.is_npu ? place.device : -1,
                         shape.num_kv_heads,
                         shape.head_dim,
                         shape.kv_block_size,
                         shape.num_kv_blocks,
                         static_cast<int64_t>(shape.dtype),
                         static_cast<int64_t>(shape.kv_quant),
                         shape.kv_strides.block,
                         shape.kv_strides.token,
                         shape.kv_strides.head};
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = writers->find(fields);
  if (found != writers->end()) return found->second;
  AA_RETURN_IF_ERROR(RefuseInCapture(
      place,
      "the first reshape_and_cache of a shape allocates memory. Call it once before the capture"));
  AA_ASSIGN_OR_RETURN(CacheWriter writer, CacheWriter::Create(runtime, shape));
  writers->emplace(fields, writer);
  return writer;
}

Status WriteOnHost(const std::shared_ptr<Runtime>& runtime, const CacheWriter& writer,
                   CacheArgs& args, int64_t num_slots) {
  AA_RETURN_IF_ERROR(CheckSlotMapping(static_cast<const int64_t*>(args.slot_mapping.data),
                                      args.key.sizes[0], num_slots));
  AA_ASSIGN_OR_RETURN(const HostStream stream, HostStream::Take());
  HostCopies copies(runtime);
  const bool writes_scales = writer.shape().kv_quant == KvQuant::kInt8Token;
  AA_RETURN_IF_ERROR(copies.Input(&args.key));
  AA_RETURN_IF_ERROR(copies.Input(&args.value));
  AA_RETURN_IF_ERROR(copies.Input(&args.slot_mapping));
  AA_RETURN_IF_ERROR(copies.Caches(&args.key_cache, &args.value_cache, /*written=*/true));
  for (TensorArg* scale : {&args.scales.key_scale, &args.scales.value_scale}) {
    AA_RETURN_IF_ERROR(writes_scales ? copies.InOut(scale) : copies.Input(scale));
  }
  AA_RETURN_IF_ERROR(copies.Input(&args.scales.key_offset));
  AA_RETURN_IF_ERROR(copies.Input(&args.scales.value_offset));
  const Status run = writer.Run(PointersOf(args), stream.handle());
  const Status done = runtime->Synchronize(stream.handle());
  AA_RETURN_IF_ERROR(run);
  AA_RETURN_IF_ERROR(done);
  return copies.BringBack();
}

Status Write(CacheArgs& args, const DecodeShape& shape, bool check_slots) {
  CacheWriteShape cache;
  cache.num_kv_heads = shape.num_kv_heads;
  cache.head_dim = shape.head_dim;
  cache.kv_block_size = shape.kv_block_size;
  cache.num_kv_blocks = shape.num_kv_blocks;
  cache.dtype = shape.dtype;
  cache.kv_quant = shape.kv_quant;
  cache.kv_strides = shape.kv_strides;
  const Place place = args.key.place;
  AA_ASSIGN_OR_RETURN(const std::shared_ptr<Runtime> runtime, RuntimeFor(place));
  AA_ASSIGN_OR_RETURN(const CacheWriter writer, WriterFor(runtime, place, cache));
  if (!place.is_npu) {
    return WriteOnHost(runtime, writer, args, cache.num_kv_blocks * cache.kv_block_size);
  }
  AA_ASSIGN_OR_RETURN(void* const stream, CurrentNpuStream(place.device));
  return writer.Run(PointersOf(args), stream, check_slots);
}

}  // namespace

void ReshapeAndCache(const Tensor& key, const Tensor& value, const Tensor& key_cache,
                     const Tensor& value_cache, const Tensor& slot_mapping, std::string kv_quant,
                     std::string kv_layout, const std::optional<Tensor>& key_scale,
                     const std::optional<Tensor>& key_offset,
                     const std::optional<Tensor>& value_scale,
                     const std::optional<Tensor>& value_offset, bool check_slots) {
  CacheArgs args;
  RaiseIfError(Read("key", key, &args.key));
  RaiseIfError(Read("value", value, &args.value));
  RaiseIfError(Read("key_cache", key_cache, &args.key_cache));
  RaiseIfError(Read("value_cache", value_cache, &args.value_cache));
  RaiseIfError(Read("slot_mapping", slot_mapping, &args.slot_mapping));
  RaiseIfError(ReadScales(key_scale, key_offset, value_scale, value_offset, &args.scales));
  RaiseIfError(CheckRank(args.key, {"num_tokens", "num_kv_heads", "head_dim"}));
  DecodeShape shape;
  const bool head_major = ValueOrRaise(HeadMajorFrom(kv_layout));
  shape.kv_quant = ValueOrRaise(KvQuantFrom(kv_quant));
  shape.dtype = ValueOrRaise(DTypeFrom("key", args.key.dtype));
  RaiseIfError(ShapeFromCache(args.key_cache, head_major, &shape));
  RaiseIfError(CheckCacheArgs(args, shape, head_major));
  RaiseIfError(Write(args, shape, check_slots));
}

}  // namespace ascend_attention::torch_ops
