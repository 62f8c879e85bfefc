// SPDX-License-Identifier: Apache-2.0
// Strides of paged caches: the rules, and the words of refusal.
#include "tiling/kv_layout.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>

#include "tiling/checked_math.h"

namespace ascend_attention {
namespace {

constexpr int64_t kRowAlignmentBytes = 32;  // of a fractal row, and of every GM->L1 copy
constexpr int64_t kMaxHeadStride = std::numeric_limits<uint32_t>::max();  // field of the plan

// One dimension of a cache beside head_dim.
struct Axis {
  const char* name;
  int64_t stride;
  int64_t count;
};

std::array<Axis, 3> AxesOf(const DecodeShape& shape) {
  const KvStrides strides = ResolveStrides(shape);
  return {Axis{"kv_strides.block", strides.block, shape.num_kv_blocks},
          Axis{"kv_strides.token", strides.token, shape.kv_block_size},
          Axis{"kv_strides.head", strides.head, shape.num_kv_heads}};
}

// `value` of `name` cannot be loaded; `rule` says why.
Status RefuseStride(const Axis& axis, const char* rule, int64_t nearest) {
  return Unimplemented(axis.name, " = ", axis.stride, " elements ", rule,
                       "; nearest supported: ", nearest);
}

Status CheckAlignment(const Axis& axis, int64_t elem_bytes) {
  const int64_t multiple = kRowAlignmentBytes / elem_bytes;
  if (axis.stride % multiple == 0) return OkStatus();
  const int64_t below = axis.stride / multiple * multiple;
  return Unimplemented(axis.name, " = ", axis.stride, " elements is not a multiple of ", multiple,
                       " (32 bytes); nearest supported: ", below, ", ", below + multiple);
}

// From the smallest stride on, an entry of an axis must be at least as long as
// all that the axes before it put into it.
Status CheckNesting(const DecodeShape& shape) {
  std::array<Axis, 3> axes = AxesOf(shape);
  std::sort(axes.begin(), axes.end(),
            [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  auto extent = static_cast<uint64_t>(shape.head_dim);
  for (const Axis& axis : axes) {
    if (axis.count <= 1) continue;
    if (static_cast<uint64_t>(axis.stride) < extent) {
      return InvalidArgument(axis.name, " = ", axis.stride,
                             " elements makes entries of the cache overlap; expected at least ",
                             extent);
    }
    // Below 2^63 by CheckExtent.
    extent += static_cast<uint64_t>(axis.count - 1) * static_cast<uint64_t>(axis.stride);
  }
  return OkStatus();
}

// The byte after the last element has a 63-bit offset.
Status CheckExtent(const DecodeShape& shape) {
  auto elems = std::optional<uint64_t>(shape.head_dim);
  for (const Axis& axis : AxesOf(shape)) {
    if (axis.count <= 1) continue;
    const auto last = CheckedMul(static_cast<uint64_t>(axis.count - 1), axis.stride);
    elems = elems && last ? CheckedAdd(*elems, *last) : std::nullopt;
  }
  const auto elem_bytes = static_cast<uint64_t>(KvElemBytes(shape.kv_quant));
  const auto bytes = elems ? CheckedMul(*elems, elem_bytes) : std::nullopt;
  if (bytes && *bytes <= uint64_t{std::numeric_limits<int64_t>::max()}) return OkStatus();
  return InvalidArgument("num_kv_blocks = ", shape.num_kv_blocks,
                         " makes a cache of more than 2^63 bytes");
}

Status CheckDensePitch(const DecodeShape& shape) {
  const int64_t max_kv_heads = kMaxLoadPitchElems / shape.head_dim;
  if (shape.num_kv_heads <= max_kv_heads) return OkStatus();
  return Unimplemented("num_kv_heads = ", shape.num_kv_heads, " with head_dim = ", shape.head_dim,
                       " makes a cache row longer than ", kMaxLoadPitchElems,
                       " elements, the largest pitch of the load instruction; nearest supported: "
                       "num_kv_heads = ",
                       max_kv_heads);
}

Status CheckGivenStrides(const DecodeShape& shape) {
  const int64_t elem_bytes = KvElemBytes(shape.kv_quant);
  const int64_t multiple = kRowAlignmentBytes / elem_bytes;
  for (const Axis& axis : AxesOf(shape)) {
    if (axis.stride < 0) {
      return InvalidArgument(axis.name, " = ", axis.stride, "; expected 0 or more");
    }
    if (axis.count > 1) AA_RETURN_IF_ERROR(CheckAlignment(axis, elem_bytes));
  }
  const auto [block, token, head] = AxesOf(shape);
  if (token.stride > kMaxLoadPitchElems) {
    return RefuseStride(token, "is longer than the largest pitch of the load instruction",
                        kMaxLoadPitchElems / multiple * multiple);
  }
  if (head.stride > kMaxHeadStride) {
    return RefuseStride(head, "does not fit the plan", kMaxHeadStride / multiple * multiple);
  }
  return OkStatus();
}

}  // namespace

int64_t KvElemBytes(KvQuant kv_quant) { return kv_quant == KvQuant::kNone ? 2 : 1; }

KvStrides ResolveStrides(const DecodeShape& shape) {
  KvStrides strides = shape.kv_strides;
  if (strides.is_dense()) {
    strides.head = shape.head_dim;
    strides.token = shape.num_kv_heads * shape.head_dim;
    strides.block = shape.kv_block_size * strides.token;
  }
  if (shape.num_kv_heads == 1) strides.head = shape.head_dim;
  return strides;
}

bool LoadsHeadsTogether(const DecodeShape& shape) {
  return ResolveStrides(shape).head <= kMaxLoadPitchElems;
}

bool HeadsAreContiguous(const DecodeShape& shape) {
  return ResolveStrides(shape).token == shape.head_dim;
}

Status CheckKvLayout(const DecodeShape& shape) {
  if (shape.kv_strides.is_dense()) {
    AA_RETURN_IF_ERROR(CheckDensePitch(shape));
  } else {
    AA_RETURN_IF_ERROR(CheckGivenStrides(shape));
  }
  AA_RETURN_IF_ERROR(CheckExtent(shape));
  return CheckNesting(shape);
}

}  // namespace ascend_attention
