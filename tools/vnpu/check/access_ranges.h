// SPDX-License-Identifier: Apache-2.0
// From an observed access to byte ranges.
#ifndef VNPU_CHECK_ACCESS_RANGES_H_
#define VNPU_CHECK_ACCESS_RANGES_H_

#include <cstdint>

#include "tools/vnpu/core/observer.h"

namespace vnpu {

struct ByteRange {
  uint64_t begin;
  uint64_t end;
};

// The smallest range that holds every byte of the access.
inline ByteRange Extent(const Access& access) {
  int64_t low = 0;
  auto high = static_cast<int64_t>(access.run);
  for (const Dim& dim : access.dims) {
    const int64_t reach = static_cast<int64_t>(dim.count - 1) * dim.stride;
    (reach < 0 ? low : high) += reach;
  }
  return ByteRange{access.base + static_cast<uint64_t>(low),
                   access.base + static_cast<uint64_t>(high)};
}

// The same bytes in as few runs as possible: dimensions without a gap become
// part of the run. Without the lane mask, which is about datablocks.
inline Access Coalesced(const Access& access) {
  Access merged = access;
  merged.lane_mask = nullptr;
  merged.lane_bytes = 0;
  int outer = 2;
  for (; outer >= 0; --outer) {
    Dim& dim = merged.dims[outer];
    if (dim.count > 1 && dim.stride != static_cast<int64_t>(merged.run)) break;
    merged.run *= dim.count;
    dim = Dim{};
  }
  return merged;
}

// Calls fn(range) for each run of consecutive bytes until it returns false.
template <typename Fn>
void ForEachRun(const Access& access, const Fn& fn) {
  for (uint64_t i = 0; i < access.dims[0].count; ++i) {
    for (uint64_t j = 0; j < access.dims[1].count; ++j) {
      for (uint64_t k = 0; k < access.dims[2].count; ++k) {
        const int64_t offset = static_cast<int64_t>(i) * access.dims[0].stride +
                               static_cast<int64_t>(j) * access.dims[1].stride +
                               static_cast<int64_t>(k) * access.dims[2].stride;
        const uint64_t begin = access.base + static_cast<uint64_t>(offset);
        if (!fn(ByteRange{begin, begin + access.run})) return;
      }
    }
  }
}

}  // namespace vnpu

#endif  // VNPU_CHECK_ACCESS_RANGES_H_
