// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/decode_args.h"

#include <torch/csrc/stable/ops.h>

#include <array>
#include <atomic>
#include <initializer_list>
#include <limits>

#include "tiling/kv_layout.h"
#include "tiling/support.h"

namespace ascend_attention::torch_ops {
namespace {

std::atomic<int64_t> copies_of_lengths{0};

template <typename Enum>
StatusOr<Enum> FromName(const char* argument, const std::string& name,
                        std::initializer_list<Enum> values, const char* (*name_of)(Enum)) {
  std::string allowed;
  for (const Enum value : values) {
    if (name == name_of(value)) return value;
    allowed += (allowed.empty() ? "" : ", ") + std::string(name_of(value));
  }
  return InvalidArgument(argument, " is '", name, "'; allowed: ", allowed);
}

// Elements from one block, token and head to the next.
struct CacheAxes {
  int block, token, head;
};
constexpr CacheAxes kTokenMajor = {0, 1, 2};
constexpr CacheAxes kHeadMajor = {0, 2, 1};

Status StrideError(const TensorArg& cache, const KvStrides& expected) {
  return InvalidArgument(
      cache.name, " has strides (", cache.strides[0], ", ", cache.strides[1], ", ",
      cache.strides[2], ", ", cache.strides[3],
      "); expected elements of a head side by side, and (block, token, head) = (", expected.block,
      ", ", expected.token, ", ", expected.head, ") elements");
}

Status CheckScale(const TensorArg& scale, bool wanted, const DecodeShape& shape,
                  const Place& place) {
  if (!scale.given()) {
    if (!wanted) return OkStatus();
    return InvalidArgument(scale.name, " is None; kv_quant ", KvQuantName(shape.kv_quant),
                           " needs it");
  }
  if (!wanted) {
    return InvalidArgument(scale.name, " is given; kv_quant ", KvQuantName(shape.kv_quant),
                           " does not take it");
  }
  AA_RETURN_IF_ERROR(CheckPlace(scale, place, "query"));
  if (shape.kv_quant == KvQuant::kInt8Token) {
    return CheckTensor(scale, aoti_torch_dtype_float32(),
                       {{"num_kv_blocks", shape.num_kv_blocks},
                        {"num_kv_heads", shape.num_kv_heads},
                        {"kv_block_size", shape.kv_block_size}});
  }
  return CheckTensor(scale, aoti_torch_dtype_float32(),
                     {{"num_kv_heads", shape.num_kv_heads}, {"head_dim", shape.head_dim}});
}

template <typename Element>
StatusOr<std::vector<int32_t>> Narrow(const TensorArg& arg, int64_t most) {
  const auto* from = static_cast<const Element*>(arg.data);
  std::vector<int32_t> lengths(static_cast<size_t>(arg.sizes[0]));
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int64_t value = from[static_cast<int64_t>(i) * arg.strides[0]];
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
    if (value < -kMost) {
      return InvalidArgument(arg.name, "[", i, "] = ", value, " is negative; expected at most ",
                             most);
    }
    if (value > kMost) {
      return OutOfRange(arg.name, "[", i, "] = ", value, "; expected at most ", most);
    }
    lengths[i] = static_cast<int32_t>(value);
  }
  return lengths;
}

}  // namespace

Status ReadScales(const std::optional<Tensor>& key_scale, const std::optional<Tensor>& key_offset,
                  const std::optional<Tensor>& value_scale,
                  const std::optional<Tensor>& value_offset, Scales* scales) {
  AA_RETURN_IF_ERROR(Read("key_scale", key_scale, &scales->key_scale));
  AA_RETURN_IF_ERROR(Read("key_offset", key_offset, &scales->key_offset));
  AA_RETURN_IF_ERROR(Read("value_scale", value_scale, &scales->value_scale));
  return Read("value_offset", value_offset, &scales->value_offset);
}

Status CheckScales(const Scales& scales, const DecodeShape& shape, const Place& place) {
  const bool has_scales = shape.kv_quant != KvQuant::kNone;
  const bool has_offsets = shape.kv_quant == KvQuant::kInt8ChannelAsym;
  AA_RETURN_IF_ERROR(CheckScale(scales.key_scale, has_scales, shape, place));
  AA_RETURN_IF_ERROR(CheckScale(scales.key_offset, has_offsets, shape, place));
  AA_RETURN_IF_ERROR(CheckScale(scales.value_scale, has_scales, shape, place));
  return CheckScale(scales.value_offset, has_offsets, shape, place);
}

Status CheckCache(const TensorArg& cache, const DecodeShape& shape, bool head_major) {
  const int32_t dtype =
      shape.kv_quant == KvQuant::kNone ? TorchDType(shape.dtype) : aoti_torch_dtype_int8();
  AA_RETURN_IF_ERROR(CheckDType(cache, dtype));
  const Axis blocks = {"num_kv_blocks", shape.num_kv_blocks};
  const Axis tokens = {"kv_block_size", shape.kv_block_size};
  const Axis heads = {"num_kv_heads", shape.num_kv_heads};
  const Axis dims = {"head_dim", shape.head_dim};
  AA_RETURN_IF_ERROR(head_major ? CheckShape(cache, {blocks, heads, tokens, dims})
                                : CheckShape(cache, {blocks, tokens, heads, dims}));
  const CacheAxes axes = head_major ? kHeadMajor : kTokenMajor;
  const KvStrides strides = ResolveStrides(shape);
  // The stride of a single entry says nothing.
  const auto fits = [&](int axis, int64_t stride) {
    return cache.sizes[axis] <= 1 || cache.strides[axis] == stride;
  };
  if (cache.elements() == 0 ||
      (fits(axes.block, strides.block) && fits(axes.token, strides.token) &&
       fits(axes.head, strides.head) && fits(3, 1))) {
    return OkStatus();
  }
  return StrideError(cache, strides);
}

Status CheckDecodeArgs(const DecodeArgs& args, const DecodeShape& shape, bool head_major,
                       const Batch& batch, const Place& place) {
  const int32_t dtype = TorchDType(shape.dtype);
  const Axis rows = {"num_query_rows", batch.num_query_rows};
  const Axis heads = {"num_heads", shape.num_heads};
  const Axis dims = {"head_dim", shape.head_dim};
  AA_RETURN_IF_ERROR(CheckPlace(args.query, place, "the plan"));
  AA_RETURN_IF_ERROR(CheckTensor(args.query, dtype, {rows, heads, dims}));
  AA_RETURN_IF_ERROR(CheckPlace(args.key_cache, place, "query"));
  AA_RETURN_IF_ERROR(CheckCache(args.key_cache, shape, head_major));
  AA_RETURN_IF_ERROR(CheckPlace(args.value_cache, place, "query"));
  AA_RETURN_IF_ERROR(CheckCache(args.value_cache, shape, head_major));
  AA_RETURN_IF_ERROR(CheckPlace(args.block_table, place, "query"));
  AA_RETURN_IF_ERROR(CheckTensor(args.block_table, aoti_torch_dtype_int32(),
                                 {{"batch", batch.size}, {"max_kv_blocks", shape.max_kv_blocks}}));
  AA_RETURN_IF_ERROR(CheckScales(args.scales, shape, place));
  AA_RETURN_IF_ERROR(CheckPlace(args.out, place, "query"));
  AA_RETURN_IF_ERROR(CheckTensor(args.out, shape.out_float32 ? aoti_torch_dtype_float32() : dtype,
                                 {rows, heads, dims}));
  if (!args.lse.given()) return OkStatus();
  AA_RETURN_IF_ERROR(CheckPlace(args.lse, place, "query"));
  return CheckTensor(args.lse, aoti_torch_dtype_float32(), {rows, heads});
}

DecodeTensors PointersOf(const DecodeArgs& args) {
  const auto floats = [](const TensorArg& arg) { return static_cast<const float*>(arg.data); };
  DecodeTensors tensors;
  tensors.query = args.query.data;
  tensors.key_cache = args.key_cache.data;
  tensors.value_cache = args.value_cache.data;
  tensors.key_scale = floats(args.scales.key_scale);
  tensors.key_offset = floats(args.scales.key_offset);
  tensors.value_scale = floats(args.scales.value_scale);
  tensors.value_offset = floats(args.scales.value_offset);
  tensors.block_table = static_cast<const int32_t*>(args.block_table.data);
  tensors.out = args.out.data;
  tensors.lse = static_cast<float*>(args.lse.data);
  return tensors;
}

StatusOr<KvQuant> KvQuantFrom(const std::string& name) {
  return FromName(
      "kv_quant", name,
      {KvQuant::kNone, KvQuant::kInt8Channel, KvQuant::kInt8ChannelAsym, KvQuant::kInt8Token},
      KvQuantName);
}

StatusOr<KvRoute> KvRouteFrom(const std::string& name) {
  return FromName(
      "kv_route", name,
      {KvRoute::kAuto, KvRoute::kDirect, KvRoute::kDequant, KvRoute::kLimbs, KvRoute::kFifo},
      KvRouteName);
}

StatusOr<bool> HeadMajorFrom(const std::string& kv_layout) {
  if (kv_layout == "token_major") return false;
  if (kv_layout == "head_major") return true;
  return InvalidArgument("kv_layout is '", kv_layout, "'; allowed: token_major, head_major");
}

StatusOr<DType> DTypeFrom(const char* argument, int32_t dtype) {
  if (dtype == aoti_torch_dtype_float16()) return DType::kFloat16;
  if (dtype == aoti_torch_dtype_bfloat16()) return DType::kBFloat16;
  return InvalidArgument(argument, " has dtype ", DTypeText(dtype),
                         "; allowed: torch.float16, torch.bfloat16");
}

int32_t TorchDType(DType dtype) {
  return dtype == DType::kFloat16 ? aoti_torch_dtype_float16() : aoti_torch_dtype_bfloat16();
}

Status ShapeFromCache(const TensorArg& cache, bool head_major, DecodeShape* shape) {
  AA_RETURN_IF_ERROR(
      head_major
          ? CheckRank(cache, {"num_kv_blocks", "num_kv_heads", "kv_block_size", "head_dim"})
          : CheckRank(cache, {"num_kv_blocks", "kv_block_size", "num_kv_heads", "head_dim"}));
  const CacheAxes axes = head_major ? kHeadMajor : kTokenMajor;
  shape->num_kv_blocks = cache.sizes[axes.block];
  shape->kv_block_size = cache.sizes[axes.token];
  shape->num_kv_heads = cache.sizes[axes.head];
  shape->head_dim = cache.sizes[3];
  // Strides of single entries as if they were dense over the axes inside.
  std::array<int64_t, 4> strides = {0, 0, 0, 1};
  for (int i = 2; i >= 0; --i) {
    const bool counts = cache.sizes[i] > 1 && cache.elements() != 0;
    strides[i] = counts ? cache.strides[i] : strides[i + 1] * cache.sizes[i + 1];
    if (strides[i] < 1 && cache.elements() != 0) {
      return InvalidArgument(cache.name, " has stride ", strides[i], " in dimension ", i,
                             "; allowed: 1 or more elements");
    }
  }
  const KvStrides found = {strides[axes.block], strides[axes.token], strides[axes.head]};
  const KvStrides dense = ResolveStrides(*shape);
  const bool is_dense =
      found.block == dense.block && found.token == dense.token && found.head == dense.head;
  if (!is_dense && cache.elements() != 0) shape->kv_strides = found;
  return OkStatus();
}

StatusOr<std::vector<int32_t>> ReadLengths(const char* name, const Tensor& tensor, int64_t most) {
  TensorArg arg;
  AA_RETURN_IF_ERROR(Read(name, tensor, &arg));
  AA_RETURN_IF_ERROR(CheckRank(arg, {"batch"}));
  const bool is_int32 = arg.dtype == aoti_torch_dtype_int32();
  if (!is_int32 && arg.dtype != aoti_torch_dtype_int64()) {
    return InvalidArgument(name, " has dtype ", DTypeText(arg.dtype),
                           "; allowed: torch.int32, torch.int64");
  }
  Tensor on_host = tensor;
  if (arg.place.is_npu) {
    copies_of_lengths.fetch_add(1, std::memory_order_relaxed);
    const torch::stable::Device cpu(torch::headeronly::DeviceType::CPU);
    on_host = torch::stable::to(tensor, cpu);
    AA_RETURN_IF_ERROR(Read(name, on_host, &arg));
  }
  return is_int32 ? Narrow<int32_t>(arg, most) : Narrow<int64_t>(arg, most);
}

int64_t HostCopiesOfLengths() { return copies_of_lengths.load(std::memory_order_relaxed); }

}  // namespace ascend_attention::torch_ops
