// SPDX-License-Identifier: Apache-2.0
// The data cache of one scalar unit: which lines it holds, not what is in them.
#ifndef VNPU_TIMING_SCALAR_CACHE_H_
#define VNPU_TIMING_SCALAR_CACHE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tools/vnpu/timing/parameters.h"

namespace vnpu {

class ScalarCache {
 public:
  explicit ScalarCache(const Parameters& parameters)
      : line_bytes_(static_cast<uint64_t>(parameters.dcache_line_bytes)),
        ways_(static_cast<size_t>(parameters.dcache_ways)),
        sets_(static_cast<size_t>(parameters.dcache_bytes) / line_bytes_ / ways_),
        lines_(sets_ * ways_, kEmpty) {}

  uint64_t line_bytes() const { return line_bytes_; }
  uint64_t LineOf(uint64_t address) const { return address / line_bytes_; }

  // Takes the line in, the one used longest ago of its set out; true if it was there.
  bool Touch(uint64_t line) {
    const auto first = lines_.begin() + static_cast<int64_t>(line % sets_ * ways_);
    const auto end = first + static_cast<int64_t>(ways_);
    auto at = std::find(first, end, line);
    const bool hit = at != end;
    if (!hit) at = end - 1;
    std::rotate(first, at, at + 1);
    *first = line;
    return hit;
  }
  void Drop(uint64_t line) {
    const auto first = lines_.begin() + static_cast<int64_t>(line % sets_ * ways_);
    std::replace(first, first + static_cast<int64_t>(ways_), line, kEmpty);
  }
  void Clear() { std::fill(lines_.begin(), lines_.end(), kEmpty); }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  const uint64_t line_bytes_;
  const size_t ways_;
  const size_t sets_;
  std::vector<uint64_t> lines_;  // per set, latest first
};

}  // namespace vnpu

#endif  // VNPU_TIMING_SCALAR_CACHE_H_
