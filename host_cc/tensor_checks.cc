// SPDX-License-Identifier: Apache-2.0
#include "host_cc/tensor_checks.h"

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

}  // namespace ascend_attention
