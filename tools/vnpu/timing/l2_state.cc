// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/l2_state.h"

#include <algorithm>

namespace vnpu {
namespace {

// Lines [first, last) of a group as bits.
uint32_t LineMask(uint64_t first, uint64_t last) {
  return (uint32_t{1} << last) - (uint32_t{1} << first);
}

uint32_t LinesOf(uint32_t mask) { return static_cast<uint32_t>(__builtin_popcount(mask)); }
uint64_t BytesOf(uint32_t mask) { return LinesOf(mask) * kLineBytes; }

}  // namespace

void L2State::Resize(uint64_t capacity_bytes) {
  if (capacity_bytes / kLineBytes == capacity_lines_) return;
  capacity_lines_ = capacity_bytes / kLineBytes;
  Clear();
}

void L2State::Clear() {
  groups_.clear();
  free_.clear();
  index_.clear();
  used_lines_ = 0;
  oldest_ = newest_ = last_ = kNone;
}

void L2State::Unlink(uint32_t index) {
  const Group& group = groups_[index];
  (group.older == kNone ? oldest_ : groups_[group.older].newer) = group.newer;
  (group.newer == kNone ? newest_ : groups_[group.newer].older) = group.older;
}

void L2State::LinkNewest(uint32_t index) {
  groups_[index].older = newest_;
  groups_[index].newer = kNone;
  (newest_ == kNone ? oldest_ : groups_[newest_].newer) = index;
  newest_ = index;
}

void L2State::Remove(uint32_t index) {
  Unlink(index);
  used_lines_ -= LinesOf(groups_[index].valid);
  index_.erase(groups_[index].number);
  free_.push_back(index);
  if (last_ == index) last_ = kNone;
}

uint32_t L2State::FindOrAdd(uint64_t number) {
  if (last_ != kNone && groups_[last_].number == number) return last_;
  const auto [it, added] = index_.emplace(number, kNone);
  if (!added) {
    if (newest_ != it->second) {
      Unlink(it->second);
      LinkNewest(it->second);
    }
    return last_ = it->second;
  }
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(groups_.size());
    groups_.push_back({});
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  groups_[slot] = Group{number, 0, 0, kNone, kNone};
  LinkNewest(slot);
  it->second = slot;
  return last_ = slot;
}

void L2State::MakeRoom(uint32_t keep, L2Touch* touch) {
  while (used_lines_ > capacity_lines_ && oldest_ != keep) {
    touch->evicted_bytes += BytesOf(groups_[oldest_].dirty);
    Remove(oldest_);
  }
}

void L2State::Access(uint64_t begin, uint64_t bytes, bool write, L2Touch* touch) {
  const uint64_t end = begin + bytes;
  for (uint64_t at = begin; at < end;) {
    const uint64_t number = at / kGroupBytes;
    const uint64_t base = number * kGroupBytes;
    const uint64_t stop = std::min(end, base + kGroupBytes);
    const uint32_t wanted =
        LineMask((at - base) / kLineBytes, (stop - base + kLineBytes - 1) / kLineBytes);
    const uint32_t index = FindOrAdd(number);
    Group& group = groups_[index];
    const uint32_t missing = wanted & ~group.valid;
    touch->hit_bytes += BytesOf(wanted & group.valid);
    if (!write) touch->miss_bytes += BytesOf(missing);
    if (write) group.dirty |= wanted;
    if (missing != 0) {
      used_lines_ += LinesOf(missing);
      group.valid |= missing;
      MakeRoom(index, touch);
    }
    at = stop;
  }
}

bool L2State::Holds(uint64_t address) const {
  const auto it = index_.find(address / kGroupBytes);
  if (it == index_.end()) return false;
  return (groups_[it->second].valid >> (address % kGroupBytes / kLineBytes) & 1) != 0;
}

void L2State::Drop(uint64_t begin, uint64_t end) {
  for (uint32_t index = oldest_; index != kNone;) {
    const uint32_t next = groups_[index].newer;
    const uint64_t base = groups_[index].number * kGroupBytes;
    if (base < end && base + kGroupBytes > begin) Remove(index);
    index = next;
  }
}

}  // namespace vnpu
