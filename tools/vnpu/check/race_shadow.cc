// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_shadow.h"

namespace vnpu {
namespace race {

void BufferShadow::Add(const Touch& touch) {
  boxes_.push_back(
      Box{static_cast<uint32_t>(touch.shape.begin), static_cast<uint32_t>(touch.shape.end)});
  touches_.push_back(touch);
}

void BufferShadow::Drop(size_t i) {
  boxes_[i] = boxes_.back();
  boxes_.pop_back();
  if (i + 1 != touches_.size()) touches_[i] = std::move(touches_.back());
  touches_.pop_back();
}

void BufferShadow::Clear() {
  boxes_.clear();
  touches_.clear();
  crowd_ = kCrowd;
}

void BufferShadow::Forget(const BlockClock& known) {
  for (size_t i = 0; i < touches_.size();) {
    const Touch& touch = touches_[i];
    if (known.at[UnitOf(touch.place.core.role, touch.unit)] >= touch.index) {
      Drop(i);
    } else {
      ++i;
    }
  }
  crowd_ = std::max(kCrowd, touches_.size() * 2);
}

GmShadow::Page& GmShadow::PageAt(uint64_t number) {
  const uint64_t chunk_number = number / kPagesPerChunk;
  if (chunk_number != last_chunk_number_) {
    auto& chunk = chunks_[chunk_number];
    if (chunk == nullptr) chunk = std::make_unique<Chunk>();
    last_chunk_number_ = chunk_number;
    last_chunk_ = chunk.get();
  }
  return last_chunk_->pages[number % kPagesPerChunk];
}

uint32_t GmShadow::NewSlot(const Touch& touch) {
  if (free_.empty()) {
    slots_.emplace_back();
    free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  slots_[number].touch = touch;
  slots_[number].holders = 0;
  return number;
}

void GmShadow::AddEntry(Page* page, uint32_t number, uint16_t first, uint16_t last) {
  // Stretches of one access may share a page.
  if (!page->entries.empty() && page->entries.back().number == number) {
    Entry& entry = page->entries.back();
    entry.first = std::min(entry.first, first);
    entry.last = std::max(entry.last, last);
    return;
  }
  page->entries.push_back(Entry{number, first, last});
  ++slots_[number].holders;
}

void GmShadow::Release(uint32_t number) {
  Slot& slot = slots_[number];
  if (--slot.holders > 0) return;
  slot.touch.release = nullptr;
  free_.push_back(number);
}

// Many small accesses to one page, as of a polled counter or a table: of one
// unit, the later stands for the earlier.
void GmShadow::Compact(Page* page) {
  auto& entries = page->entries;
  size_t kept = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Touch& old = slots_[entries[i].number].touch;
    bool covered = false;
    for (size_t j = i + 1; j < entries.size() && !covered; ++j) {
      const Touch& later = slots_[entries[j].number].touch;
      if (entries[j].first > entries[i].first || entries[j].last < entries[i].last) continue;
      covered = later.same_core(old) && later.unit == old.unit && later.index > old.index &&
                Covers(later.shape, old.shape) && Supersedes(later, old, Relation::kNoConflict);
    }
    if (covered) {
      Release(entries[i].number);
    } else {
      entries[kept++] = entries[i];
    }
  }
  entries.resize(kept);
  page->compact_at = std::max<size_t>(64, 2 * kept);
}

bool GmShadow::Lengthen(uint32_t number, uint64_t end) {
  Shape& shape = slots_[number].touch.shape;
  if (shape.begin / kPage != (end - 1) / kPage) return false;
  auto& entries = PageAt(shape.begin / kPage).entries;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->number != number) continue;
    entry->last = std::max(entry->last, static_cast<uint16_t>((end - 1) % kPage));
    shape.run = end - shape.begin;
    shape.end = end;
    return true;
  }
  return false;
}

void GmShadow::Clear() {
  chunks_.clear();
  last_chunk_number_ = ~uint64_t{0};
  last_chunk_ = nullptr;
  slots_.clear();
  free_.clear();
}

}  // namespace race
}  // namespace vnpu
