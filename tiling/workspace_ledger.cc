// SPDX-License-Identifier: Apache-2.0
// Offsets of workspace regions, overflow-checked.
#include "tiling/workspace_ledger.h"

#include <cstdint>
#include <optional>
#include <string_view>

#include "tiling/checked_math.h"

namespace ascend_attention {
namespace {

// Sizes stay representable as int64 for callers that use signed sizes.
constexpr uint64_t kMaxBytes = uint64_t{1} << 63;

}  // namespace

StatusOr<Region> WorkspaceLedger::Book(std::string_view name, uint64_t count, ByteCount entry,
                                       uint64_t alignment) {
  const std::optional<uint64_t> begin = CheckedRoundUp(used_.bytes, alignment);
  const std::optional<uint64_t> size = CheckedMul(count, entry.bytes);
  const std::optional<uint64_t> end = begin && size ? CheckedAdd(*begin, *size) : std::nullopt;
  if (!end || *end >= kMaxBytes) {
    return ResourceExhausted("workspace region ", name, ": ", count, " x ", entry.bytes,
                             " bytes after ", used_.bytes, " bytes do not fit 2^63 bytes");
  }
  used_ = ByteCount{*end};
  return Region{ByteOffset{*begin}, ByteCount{*size}};
}

}  // namespace ascend_attention
