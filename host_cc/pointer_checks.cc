// SPDX-License-Identifier: Apache-2.0
#include "host_cc/pointer_checks.h"

#include <algorithm>
#include <cstdio>

#include "tiling/abi/decode_plan.h"
#include "tiling/kv_layout.h"

namespace ascend_attention {
namespace {

// No memory is this long, and offsets within it can be added without overflow.
constexpr int64_t kMostSpanBytes = int64_t{1} << 60;

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// Whether some sum of stride * n over the axes from `first` on, -low * (count - 1) <=
// n < count, lies in [begin, end]. Nested axes: what the inner ones add is less
// than a stride in either direction, so that a few n per axis are to be tried.
bool SumReaches(const std::array<Memory::Axis, 3>& axes, size_t first, int low, int64_t begin,
                int64_t end) {
  if (first == axes.size()) return begin <= 0 && 0 <= end;
  const Memory::Axis& axis = axes[first];
  if (axis.count <= 1) return SumReaches(axes, first + 1, low, begin, end);
  int64_t inner = 0;  // the inner axes add -low * inner .. inner
  for (size_t i = first + 1; i < axes.size(); ++i) inner += axes[i].stride * (axes[i].count - 1);
  const int64_t smallest = std::max(-low * (axis.count - 1), -FloorDiv(inner - begin, axis.stride));
  const int64_t largest = std::min(axis.count - 1, FloorDiv(end + low * inner, axis.stride));
  for (int64_t n = smallest; n <= largest; ++n) {
    const int64_t sum = n * axis.stride;
    const int64_t least = sum - low * inner;
    if (begin <= least && least <= end) return true;
    if (SumReaches(axes, first + 1, low, begin - sum, end - sum)) return true;
  }
  return false;
}

bool IsStrided(const Memory& memory) {
  return std::any_of(memory.axes.begin(), memory.axes.end(),
                     [](const Memory::Axis& axis) { return axis.count > 1; });
}

bool Meet(const Memory& a, const Memory& b) {
  // First, because every launch asks for all pairs and most arguments are not given.
  if (a.begin == nullptr || b.begin == nullptr) return false;
  const int64_t a_bytes = a.span_bytes();
  const int64_t b_bytes = b.span_bytes();
  if (a_bytes == 0 || b_bytes == 0) return false;
  const auto a_begin = reinterpret_cast<uintptr_t>(a.begin);
  const auto b_begin = reinterpret_cast<uintptr_t>(b.begin);
  if (a_begin < b_begin ? b_begin - a_begin >= static_cast<uint64_t>(a_bytes)
                        : a_begin - b_begin >= static_cast<uint64_t>(b_bytes)) {
    return false;
  }
  if (std::max(a_bytes, b_bytes) > kMostSpanBytes) return true;
  if (!IsStrided(a) && IsStrided(b)) return Meet(b, a);
  // Rows at a + x and b + y meet if x - y is less than a row away from b - a.
  const auto distance = static_cast<int64_t>(b_begin - a_begin);
  const int low = IsStrided(b) ? 1 : 0;
  return SumReaches(a.axes, 0, low, distance - a.run_bytes + 1, distance + b.run_bytes - 1);
}

}  // namespace

std::string AddressText(const void* address) {
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof(text), "0x%llx",
                static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(address)));
  return text;
}

Status CheckAligned(const char* name, const void* address, uintptr_t alignment) {
  if (reinterpret_cast<uintptr_t>(address) % alignment == 0) return OkStatus();
  return InvalidArgument(name, " = ", AddressText(address), " is not a multiple of ", alignment,
                         " bytes");
}

Status CheckPointer(const char* name, const void* address, uintptr_t alignment) {
  if (address == nullptr) return InvalidArgument(name, " is null");
  return CheckAligned(name, address, alignment);
}

Status CheckWorkspace(const void* workspace, size_t size, size_t needed) {
  if (workspace == nullptr) return InvalidArgument("workspace is null; ", needed, " bytes needed");
  AA_RETURN_IF_ERROR(CheckAligned("workspace", workspace, kRegionAlignmentBytes));
  if (size >= needed) return OkStatus();
  return ResourceExhausted("workspace of ", size, " bytes is too small: ", needed, " needed");
}

int64_t Memory::span_bytes() const {
  int64_t bytes = run_bytes;
  for (const Axis& axis : axes) {
    if (axis.count <= 0) return 0;
    bytes += axis.stride * (axis.count - 1);
  }
  return bytes;
}

Memory CacheMemory(const char* name, const void* begin, const DecodeShape& shape) {
  const int64_t elem_bytes = KvElemBytes(shape.kv_quant);
  const KvStrides strides = ResolveStrides(shape);
  Memory memory = {name, begin, shape.head_dim * elem_bytes};
  const auto axis = [&](int64_t stride, int64_t count) {
    // The stride of a single entry says nothing.
    return Memory::Axis{count == 1 ? 0 : stride * elem_bytes, count};
  };
  memory.axes = {axis(strides.block, shape.num_kv_blocks), axis(strides.token, shape.kv_block_size),
                 axis(strides.head, shape.num_kv_heads)};
  std::sort(memory.axes.begin(), memory.axes.end(),
            [](const Memory::Axis& a, const Memory::Axis& b) { return a.stride > b.stride; });
  return memory;
}

Status CheckApart(const Memory& written, const Memory& other) {
  if (!Meet(written, other)) return OkStatus();
  return InvalidArgument(written.name, " = ", AddressText(written.begin), ", ",
                         written.span_bytes(), " bytes, overlaps ", other.name, " = ",
                         AddressText(other.begin), ", ", other.span_bytes(),
                         " bytes; expected memory of its own");
}

}  // namespace ascend_attention
