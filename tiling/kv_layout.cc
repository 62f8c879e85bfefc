// SPDX-License-Identifier: Apache-2.0
// Strides of paged caches: the rules, and the words of refusal.
#include "tiling/kv_layout.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

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
  int64_t most = std::numeric_limits<int64_t>::max();  // the longest stride that is taken
};

std::array<Axis, 3> AxesOf(const DecodeShape& shape) {
  const KvStrides strides = ResolveStrides(shape);
  return {Axis{"kv_strides.block", strides.block, shape.num_kv_blocks},
          Axis{"kv_strides.token", strides.token, shape.kv_block_size, kMaxLoadPitchElems},
          Axis{"kv_strides.head", strides.head, shape.num_kv_heads, kMaxHeadStride}};
}

// The longest stride of the axis with rows that start on 32 bytes.
int64_t LongestStride(const Axis& axis, int64_t multiple) {
  return axis.most / multiple * multiple;
}

// The stride of `axis` is too long; `rule` says for what.
Status RefuseStride(const Axis& axis, const char* rule, int64_t multiple) {
  return Unimplemented(axis.name, " = ", axis.stride, " elements ", rule,
                       "; nearest supported: ", LongestStride(axis, multiple));
}

std::array<Axis, 3> FromTheSmallest(std::array<Axis, 3> axes) {
  std::sort(axes.begin(), axes.end(),
            [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  return axes;
}

// Of strides that nest. From the smallest on: where a stride is named, those below
// it are multiples, and both nearest ones have room for them. The longer one is named
// only if it is not too long.
Status CheckAlignment(const DecodeShape& shape) {
  const int64_t multiple = kRowAlignmentBytes / KvElemBytes(shape.kv_quant);
  for (const Axis& axis : FromTheSmallest(AxesOf(shape))) {
    if (axis.count <= 1 || axis.stride % multiple == 0) continue;
    const int64_t below = axis.stride / multiple * multiple;
    const int64_t longest = LongestStride(axis, multiple);
    const std::string above = below < longest ? ", " + std::to_string(below + multiple) : "";
    return Unimplemented(axis.name, " = ", axis.stride, " elements is not a multiple of ", multiple,
                         " (32 bytes); nearest supported: ", std::min(below, longest), above);
  }
  return OkStatus();
}

// From the smallest stride on, an entry of an axis must be at least as long as
// all that the axes before it put into it.
Status CheckNesting(const DecodeShape& shape) {
  auto extent = static_cast<uint64_t>(shape.head_dim);
  for (const Axis& axis : FromTheSmallest(AxesOf(shape))) {
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

// `axis` is the one with which the cache gets too long.
Status RefuseExtent(const DecodeShape& shape, const Axis& axis) {
  constexpr char kTooLong[] = " makes a cache of more than 2^63 bytes";
  if (shape.kv_strides.is_dense()) {
    return InvalidArgument("num_kv_blocks = ", shape.num_kv_blocks, kTooLong);
  }
  return InvalidArgument(axis.name, " = ", axis.stride, " elements, ", axis.count, " times,",
                         kTooLong);
}

// The byte after the last element has a 63-bit offset.
Status CheckExtent(const DecodeShape& shape) {
  const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max() /
                                          KvElemBytes(shape.kv_quant));  // elements
  auto elems = static_cast<uint64_t>(shape.head_dim);
  for (const Axis& axis : FromTheSmallest(AxesOf(shape))) {
    if (axis.count <= 1) continue;
    const auto last = CheckedMul(static_cast<uint64_t>(axis.count - 1), axis.stride);
    const auto sum = last ? CheckedAdd(elems, *last) : std::nullopt;
    if (!sum || *sum > most) return RefuseExtent(shape, axis);
    elems = *sum;
  }
  return OkStatus();
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

Status CheckNotNegative(const DecodeShape& shape) {
  for (const Axis& axis : AxesOf(shape)) {
    if (axis.stride >= 0) continue;
    return InvalidArgument(axis.name, " = ", axis.stride, "; expected 0 or more");
  }
  return OkStatus();
}

// What the load instructions cannot reach.
Status CheckGivenStrides(const DecodeShape& shape) {
  AA_RETURN_IF_ERROR(CheckAlignment(shape));
  const int64_t multiple = kRowAlignmentBytes / KvElemBytes(shape.kv_quant);
  const auto [block, token, head] = AxesOf(shape);
  if (token.stride > token.most) {
    return RefuseStride(token, "is longer than the largest pitch of the load instruction",
                        multiple);
  }
  if (head.stride > head.most) return RefuseStride(head, "does not fit the plan", multiple);
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
  const bool dense = shape.kv_strides.is_dense();
  if (dense) AA_RETURN_IF_ERROR(CheckDensePitch(shape));
  AA_RETURN_IF_ERROR(CheckNotNegative(shape));
  AA_RETURN_IF_ERROR(CheckExtent(shape));
  AA_RETURN_IF_ERROR(CheckNesting(shape));
  return dense ? OkStatus() : CheckGivenStrides(shape);
}

}  // namespace ascend_attention
