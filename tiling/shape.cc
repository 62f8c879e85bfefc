// SPDX-License-Identifier: Apache-2.0
// What shapes we support, and the words with which we refuse the others.
#include "tiling/shape.h"

#include <cstdint>
#include <limits>
#include <string>

#include "tiling/checked_math.h"

namespace ascend_attention {
namespace {

constexpr int64_t kMinKvBlockSize = 16;
constexpr int64_t kMaxKvBlockSize = 256;
constexpr int64_t kMaxQPerKv = 128;

// GM->L1 with layout change (nd2nz) has a 16-bit source pitch, in elements.
constexpr int64_t kMaxRowPitchElems = 65535;

Status CheckPositive(const char* name, int64_t value) {
  if (value > 0) return OkStatus();
  return InvalidArgument(name, " = ", value, "; expected at least 1");
}

Status CheckNotNegative(const char* name, int64_t value) {
  if (value >= 0) return OkStatus();
  return InvalidArgument(name, " = ", value, "; expected 0 or more");
}

Status CheckHeadDim(int64_t head_dim) {
  if (head_dim == 64 || head_dim == 128) return OkStatus();
  const char* nearest = head_dim < 64 ? "64" : head_dim > 128 ? "128" : "64, 128";
  return Unimplemented("head_dim = ", head_dim, " has no kernel; nearest supported: ", nearest);
}

Status CheckKvBlockSize(int64_t size) {
  const bool in_range = size >= kMinKvBlockSize && size <= kMaxKvBlockSize;
  if (in_range && size % kTokenGranule == 0) return OkStatus();
  std::string nearest;
  if (size < kMinKvBlockSize) {
    nearest = std::to_string(kMinKvBlockSize);
  } else if (size > kMaxKvBlockSize) {
    nearest = std::to_string(kMaxKvBlockSize);
  } else {
    const int64_t below = size / kTokenGranule * kTokenGranule;
    nearest = std::to_string(below) + ", " + std::to_string(below + kTokenGranule);
  }
  return Unimplemented(
      "kv_block_size = ", size,
      " has no kernel (multiples of 16 in 16..256 have); nearest supported: ", nearest);
}

Status CheckHeads(const DecodeShape& shape) {
  if (shape.num_heads % shape.num_kv_heads != 0) {
    return InvalidArgument("num_heads = ", shape.num_heads,
                           " is not a multiple of num_kv_heads = ", shape.num_kv_heads);
  }
  if (shape.q_per_kv() > kMaxQPerKv) {
    return Unimplemented("num_heads / num_kv_heads = ", shape.q_per_kv(),
                         " has no kernel; nearest supported: ", kMaxQPerKv);
  }
  return OkStatus();
}

Status CheckRowPitch(const DecodeShape& shape) {
  const int64_t max_kv_heads = kMaxRowPitchElems / shape.head_dim;
  if (shape.num_kv_heads <= max_kv_heads) return OkStatus();
  return Unimplemented("num_kv_heads = ", shape.num_kv_heads, " with head_dim = ", shape.head_dim,
                       " makes a cache row longer than ", kMaxRowPitchElems,
                       " elements, the largest pitch of the load instruction; nearest supported: "
                       "num_kv_heads = ",
                       max_kv_heads);
}

// Block ids are int32, table columns and sequences 32 bits wide in the plan,
// and the cache must be addressable.
Status CheckExtents(const DecodeShape& shape) {
  constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
  if (shape.num_kv_blocks - 1 > kMaxInt32) {
    return InvalidArgument("num_kv_blocks = ", shape.num_kv_blocks,
                           " exceeds what an int32 block id can name: ", kMaxInt32 + 1);
  }
  if (shape.max_kv_blocks > kMaxInt32) {
    return InvalidArgument("max_kv_blocks = ", shape.max_kv_blocks, "; expected at most ",
                           kMaxInt32);
  }
  if (shape.batch > kMaxInt32) {
    return InvalidArgument("batch = ", shape.batch, "; expected at most ", kMaxInt32);
  }
  const auto cache_bytes = CheckedProduct(shape.num_kv_blocks, shape.kv_block_size,
                                          shape.num_kv_heads, shape.head_dim, uint64_t{2});
  if (!cache_bytes || *cache_bytes > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return InvalidArgument("num_kv_blocks = ", shape.num_kv_blocks,
                           " makes a cache of more than 2^63 bytes");
  }
  return OkStatus();
}

Status CheckDType(DType dtype) {
  if (dtype == DType::kFloat16 || dtype == DType::kBFloat16) return OkStatus();
  return Unimplemented("dtype code ", static_cast<uint32_t>(dtype),
                       " has no kernel; supported: 0 (float16), 1 (bfloat16)");
}

}  // namespace

Status Validate(const DecodeShape& shape) {
  AA_RETURN_IF_ERROR(CheckPositive("batch", shape.batch));
  AA_RETURN_IF_ERROR(CheckPositive("num_heads", shape.num_heads));
  AA_RETURN_IF_ERROR(CheckPositive("num_kv_heads", shape.num_kv_heads));
  AA_RETURN_IF_ERROR(CheckPositive("head_dim", shape.head_dim));
  AA_RETURN_IF_ERROR(CheckPositive("kv_block_size", shape.kv_block_size));
  // Both may be 0 as long as every sequence is empty.
  AA_RETURN_IF_ERROR(CheckNotNegative("num_kv_blocks", shape.num_kv_blocks));
  AA_RETURN_IF_ERROR(CheckNotNegative("max_kv_blocks", shape.max_kv_blocks));
  AA_RETURN_IF_ERROR(CheckHeads(shape));
  AA_RETURN_IF_ERROR(CheckHeadDim(shape.head_dim));
  AA_RETURN_IF_ERROR(CheckKvBlockSize(shape.kv_block_size));
  AA_RETURN_IF_ERROR(CheckRowPitch(shape));
  AA_RETURN_IF_ERROR(CheckDType(shape.dtype));
  return CheckExtents(shape);
}

}  // namespace ascend_attention
