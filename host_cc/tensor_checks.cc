// SPDX-License-Identifier: Apache-2.0
#include "host_cc/tensor_checks.h"

#include <array>
#include <string>

#include "host_cc/pointer_checks.h"
#include "tiling/support.h"

namespace ascend_attention {
namespace {

// "[num_kv_heads, head_dim] = [8, 128]"
std::string ScaleExtents(const DecodeShape& shape) {
  const auto text = [](const auto&... parts) {
    return status_internal::Make(StatusCode::kInternal, parts...).message();
  };
  if (shape.kv_quant == KvQuant::kInt8Token) {
    return text("[num_kv_blocks, num_kv_heads, kv_block_size] = [", shape.num_kv_blocks, ", ",
                shape.num_kv_heads, ", ", shape.kv_block_size, "]");
  }
  return text("[num_kv_heads, head_dim] = [", shape.num_kv_heads, ", ", shape.head_dim, "]");
}

Status CheckAbsent(const char* name, const float* address, KvQuant quant, const char* what) {
  if (address == nullptr) return OkStatus();
  return InvalidArgument(name, " is given, but kv_quant ", KvQuantName(quant), " takes no ", what);
}

Status CheckScale(const char* name, const float* address, const DecodeShape& shape) {
  if (address == nullptr) {
    return InvalidArgument(name, " is null; kv_quant ", KvQuantName(shape.kv_quant),
                           " needs float32 ", ScaleExtents(shape));
  }
  return CheckAligned(name, address, kDatablockBytes);
}

Status CheckScales(const DecodeTensors& tensors, const DecodeShape& shape, bool needed) {
  const bool has_scales = shape.kv_quant != KvQuant::kNone;
  const bool has_offsets = shape.kv_quant == KvQuant::kInt8ChannelAsym;
  const auto check = [&](const char* name, const float* address, bool has,
                         const char* what) -> Status {
    if (!has) return CheckAbsent(name, address, shape.kv_quant, what);
    return needed ? CheckScale(name, address, shape) : OkStatus();
  };
  constexpr char kScales[] = "scales; the int8 schemes do";
  constexpr char kOffsets[] = "offsets; int8_channel_asym does";
  AA_RETURN_IF_ERROR(check("key_scale", tensors.key_scale, has_scales, kScales));
  AA_RETURN_IF_ERROR(check("key_offset", tensors.key_offset, has_offsets, kOffsets));
  AA_RETURN_IF_ERROR(check("value_scale", tensors.value_scale, has_scales, kScales));
  return check("value_offset", tensors.value_offset, has_offsets, kOffsets);
}

}  // namespace

Status CheckTensors(const DecodeTensors& tensors, const DecodeShape& shape) {
  AA_RETURN_IF_ERROR(CheckPointer("query", tensors.query, kDatablockBytes));
  AA_RETURN_IF_ERROR(CheckPointer("out", tensors.out, kDatablockBytes));
  AA_RETURN_IF_ERROR(CheckAligned("lse", tensors.lse, kElementBytes));
  // Without kv blocks every sequence is empty and nothing below is read.
  const bool reads_cache = shape.max_context() != 0 && shape.num_kv_blocks != 0;
  AA_RETURN_IF_ERROR(CheckScales(tensors, shape, reads_cache));
  if (!reads_cache) return OkStatus();
  AA_RETURN_IF_ERROR(CheckPointer("key_cache", tensors.key_cache, kDatablockBytes));
  AA_RETURN_IF_ERROR(CheckPointer("value_cache", tensors.value_cache, kDatablockBytes));
  return CheckPointer("block_table", tensors.block_table, kElementBytes);
}

Status CheckApart(const DecodeTensors& tensors, const Memory& workspace, const DecodeShape& shape,
                  const DecodePlanHeader& header) {
  constexpr int64_t kQueryElemBytes = 2;  // float16, bfloat16
  constexpr int64_t kFloatBytes = sizeof(float);
  const int64_t out_elem_bytes = shape.out_float32 ? kFloatBytes : kQueryElemBytes;
  const int64_t rows = int64_t{header.num_query_rows} * shape.num_heads;
  const int64_t table_bytes =
      int64_t{header.batch} * shape.max_kv_blocks * static_cast<int64_t>(sizeof(int32_t));
  const int64_t scales = shape.kv_quant == KvQuant::kInt8Token
                             ? shape.num_kv_blocks * shape.kv_block_size
                             : shape.head_dim;
  const int64_t scale_bytes = shape.num_kv_heads * scales * kFloatBytes;
  const std::array<Memory, 3> written = {{
      {"out", tensors.out, rows * shape.head_dim * out_elem_bytes},
      {"lse", tensors.lse, rows * kFloatBytes},
      workspace,
  }};
  const std::array<Memory, 8> read = {{
      {"query", tensors.query, rows * shape.head_dim * kQueryElemBytes},
      CacheMemory("key_cache", tensors.key_cache, shape),
      CacheMemory("value_cache", tensors.value_cache, shape),
      {"block_table", tensors.block_table, table_bytes},
      {"key_scale", tensors.key_scale, scale_bytes},
      {"key_offset", tensors.key_offset, scale_bytes},
      {"value_scale", tensors.value_scale, scale_bytes},
      {"value_offset", tensors.value_offset, scale_bytes},
  }};
  for (size_t i = 0; i < written.size(); ++i) {
    for (const Memory& other : read) AA_RETURN_IF_ERROR(CheckApart(written[i], other));
    for (size_t j = 0; j < i; ++j) AA_RETURN_IF_ERROR(CheckApart(written[i], written[j]));
  }
  return OkStatus();
}

}  // namespace ascend_attention
