// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_cache.h"

namespace vnpu {
namespace race {

bool ScalarCache::Use(uint64_t address, uint64_t sequence) {
  const uint64_t line = address / kCacheLine;
  uint64_t cleaned = 0;
  bool any = all_cleaned_;
  if (any) cleaned = all_.sequence;
  if (!cleaned_.empty()) {
    const auto it = cleaned_.find(line);
    if (it != cleaned_.end()) {
      cleaned = any ? std::max(cleaned, it->second.sequence) : it->second.sequence;
      any = true;
    }
  }
  const auto used = used_.emplace(line, sequence);
  if (used.second) return any;
  const uint64_t last = used.first->second;
  used.first->second = sequence;
  return any && cleaned > last;
}

void ScalarCache::Clean(uint64_t address, uint64_t sequence, const Clock& now) {
  cleaned_[address / kCacheLine] = Cleaned{sequence, now};
}

void ScalarCache::CleanAll(uint64_t sequence, const Clock& now) {
  all_cleaned_ = true;
  all_ = Cleaned{sequence, now};
}

const Clock* ScalarCache::KnownAtClean(uint64_t address) const {
  const auto it = cleaned_.find(address / kCacheLine);
  if (it == cleaned_.end()) return all_cleaned_ ? &all_.clock : nullptr;
  return all_cleaned_ && all_.sequence > it->second.sequence ? &all_.clock : &it->second.clock;
}

std::vector<uint32_t> ScalarCache::TakeDirty(bool all, uint64_t address) {
  std::vector<uint32_t> taken;
  size_t kept = 0;
  for (const auto& [line, number] : dirty_) {
    if (all || line == address / kCacheLine) {
      taken.push_back(number);
    } else {
      dirty_[kept++] = {line, number};
    }
  }
  dirty_.resize(kept);
  return taken;
}

}  // namespace race
}  // namespace vnpu
