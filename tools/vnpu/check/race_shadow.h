// SPDX-License-Identifier: Apache-2.0
// The accesses that later ones must still be compared with. On-chip buffers:
// one list per buffer. GM: lists per 4-KiB page, which share their entries.
#ifndef VNPU_CHECK_RACE_SHADOW_H_
#define VNPU_CHECK_RACE_SHADOW_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tools/vnpu/check/race_rules.h"

namespace vnpu {
namespace race {

// One buffer of one core.
class BufferShadow {
 public:
  // Calls fn(touch), which returns true if the touch can be dropped, for all
  // whose box meets that of `shape`.
  template <typename Fn>
  void Visit(const Shape& shape, const Fn& fn) {
    const auto begin = static_cast<uint32_t>(shape.begin), end = static_cast<uint32_t>(shape.end);
    for (size_t i = 0; i < boxes_.size();) {
      if (boxes_[i].begin < end && boxes_[i].end > begin && fn(touches_[i])) {
        Drop(i);
      } else {
        ++i;
      }
    }
  }
  void Add(const Touch& touch);
  void Clear();
  // Grown enough since the last Forget for another one to pay.
  bool crowded() const { return touches_.size() >= crowd_; }
  // Drops what every unit of the core knows to be complete.
  void Forget(const BlockClock& known);

 private:
  struct Box {
    uint32_t begin, end;
  };
  void Drop(size_t i);

  static constexpr size_t kCrowd = 32;
  std::vector<Box> boxes_;
  std::vector<Touch> touches_;
  size_t crowd_ = kCrowd;
};

class GmShadow {
 public:
  // For each page of `touch` calls fn(earlier, Part) for the earlier ones, which
  // returns true if the page can drop that one; then keeps `touch`. Returns its
  // number, or kNone if it was not kept.
  template <typename Fn>
  uint32_t Access(const Touch& touch, bool keep, const Fn& fn);

  struct Part {
    Range earlier;  // where the earlier one touches this page
    Range now;      // where `touch` does
    bool dense;     // `touch` holds every byte of `now`
  };
  static constexpr uint32_t kNone = ~uint32_t{0};
  // Takes the bytes up to `end` into the dense touch in front of them; false if
  // it lies in another page.
  bool Lengthen(uint32_t number, uint64_t end);
  Touch& touch(uint32_t number) { return slots_[number].touch; }
  // Entries stay as long as somebody holds them.
  void Hold(uint32_t number) { ++slots_[number].holders; }
  void Release(uint32_t number);
  void Clear();

 private:
  static constexpr uint64_t kPage = 4096;
  static constexpr uint64_t kPagesPerChunk = 256;
  struct Entry {
    uint32_t number;
    uint16_t first, last;  // bytes of the page, both inside
  };
  struct Page {
    std::vector<Entry> entries;
    size_t compact_at = 64;
    bool written = false;
  };
  struct Chunk {
    Page pages[kPagesPerChunk];
  };
  struct Slot {
    Touch touch;
    uint32_t holders = 0;
  };

  Page& PageAt(uint64_t number);
  uint32_t NewSlot(const Touch& touch);
  void AddEntry(Page* page, uint32_t number, uint16_t first, uint16_t last);
  void Compact(Page* page);
  // Calls fn(range, dense) for ranges that hold the shape without gaps of a page.
  template <typename Fn>
  static void ForEachStretch(const Shape& shape, const Fn& fn);

  std::unordered_map<uint64_t, std::unique_ptr<Chunk>> chunks_;
  uint64_t last_chunk_number_ = ~uint64_t{0};
  Chunk* last_chunk_ = nullptr;
  std::deque<Slot> slots_;
  std::vector<uint32_t> free_;
};

template <typename Fn>
void GmShadow::ForEachStretch(const Shape& shape, const Fn& fn) {
  // Dims run from the largest stride down; inner ones below a page are one stretch.
  int outer = 0;
  while (outer < shape.num_dims && shape.dims[outer].stride > kPage) ++outer;
  uint64_t extent = shape.run;
  for (int i = outer; i < shape.num_dims; ++i) {
    extent += (shape.dims[i].count - 1) * shape.dims[i].stride;
  }
  const uint64_t n0 = outer > 0 ? shape.dims[0].count : 1;
  const uint64_t n1 = outer > 1 ? shape.dims[1].count : 1;
  const uint64_t n2 = outer > 2 ? shape.dims[2].count : 1;
  for (uint64_t i = 0; i < n0; ++i) {
    for (uint64_t j = 0; j < n1; ++j) {
      for (uint64_t k = 0; k < n2; ++k) {
        uint64_t begin = shape.begin;
        if (outer > 0) begin += i * shape.dims[0].stride;
        if (outer > 1) begin += j * shape.dims[1].stride;
        if (outer > 2) begin += k * shape.dims[2].stride;
        fn(Range{begin, begin + extent}, extent == shape.run);
      }
    }
  }
}

template <typename Fn>
uint32_t GmShadow::Access(const Touch& touch, bool keep, const Fn& fn) {
  const uint32_t number = keep ? NewSlot(touch) : kNone;
  ForEachStretch(touch.shape, [&](Range stretch, bool dense) {
    if (touch.line) {
      stretch.begin &= ~(kCacheLine - 1);
      stretch.end = (stretch.end + kCacheLine - 1) & ~(kCacheLine - 1);
    }
    for (uint64_t page_number = stretch.begin / kPage; page_number * kPage < stretch.end;
         ++page_number) {
      Page& page = PageAt(page_number);
      const uint64_t base = page_number * kPage;
      const Range window{std::max(stretch.begin, base), std::min(stretch.end, base + kPage)};
      const auto first = static_cast<uint16_t>(window.begin - base);
      const auto last = static_cast<uint16_t>(window.end - 1 - base);
      // A read of a page that nobody has written conflicts with nothing: only
      // the latest entries are worth a look.
      constexpr size_t kRecent = 8;
      size_t i = page.written || touch.write || page.entries.size() <= kRecent
                     ? 0
                     : page.entries.size() - kRecent;
      while (i < page.entries.size()) {
        const Entry entry = page.entries[i];
        const Part part{Range{base + entry.first, base + entry.last + 1}, window, dense};
        if (entry.number == number || entry.first > last || entry.last < first ||
            !fn(slots_[entry.number].touch, part)) {
          ++i;
          continue;
        }
        Release(entry.number);
        page.entries[i] = page.entries.back();
        page.entries.pop_back();
      }
      if (!keep) continue;
      page.written |= touch.write;
      AddEntry(&page, number, first, last);
      if (page.entries.size() >= page.compact_at) Compact(&page);
    }
  });
  return number;
}

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_SHADOW_H_
