// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/shadow_memory.h"

#include <algorithm>
#include <cstring>

namespace vnpu {

void PadShadow::Reset(uint64_t bytes) {
  bits_.assign((bytes + 63) / 64 + 1, ~uint64_t{0});
  origins_.assign((bytes + kOriginBytes - 1) / kOriginBytes, 0);
}

void GmShadow::Add(uint64_t begin, uint64_t bytes, bool undefined) {
  Remove(begin);
  Home& home = homes_[begin];
  home.begin = begin;
  home.end = begin + bytes;
  home.undefined = undefined;
}

void GmShadow::Remove(uint64_t begin) {
  last_ = nullptr;
  homes_.erase(begin);
}

GmShadow::Home* GmShadow::Find(uint64_t address) {
  if (last_ != nullptr && address >= last_->begin && address < last_->end) return last_;
  const auto after = homes_.upper_bound(address);
  if (after == homes_.begin()) return nullptr;
  Home& home = std::prev(after)->second;
  if (address >= home.end) return nullptr;
  last_ = &home;
  return &home;
}

GmShadow::Slot& GmShadow::SlotOf(Home* home, uint64_t index) {
  if (home->slots.empty()) {
    home->slots.resize((home->end - home->begin + kPageBytes - 1) / kPageBytes);
  }
  return home->slots[index];
}

GmShadow::Page& GmShadow::MixedPage(Home* home, uint64_t index) {
  Slot& slot = SlotOf(home, index);
  if (slot.kind != Kind::kMixed) {
    slot.page = std::make_unique<Page>();
    std::memset(slot.page->bits, home->IsUndefined(slot) ? 0xff : 0, sizeof(slot.page->bits));
    slot.kind = Kind::kMixed;
  }
  return *slot.page;
}

template <typename Fn>
void GmShadow::ForEachPage(uint64_t at, uint64_t bytes, const Fn& fn) {
  Home* home = bytes == 0 ? nullptr : Find(at);
  if (home == nullptr) return;
  const uint64_t end = std::min(at + bytes, home->end) - home->begin;
  for (uint64_t offset = at - home->begin; offset < end;) {
    const uint64_t inside = offset % kPageBytes;
    const uint64_t count = std::min(kPageBytes - inside, end - offset);
    if (!fn(home, offset / kPageBytes, inside, count)) return;
    offset += count;
  }
}

bool GmShadow::Any(uint64_t at, uint64_t bytes) {
  bool any = false;
  ForEachPage(at, bytes, [&](Home* home, uint64_t index, uint64_t inside, uint64_t count) {
    if (home->slots.empty()) {
      any = home->undefined;
      return false;  // all pages are alike
    }
    const Slot& slot = home->slots[index];
    any = slot.kind == Kind::kMixed ? AnyBit(slot.page->bits, inside, inside + count)
                                    : home->IsUndefined(slot);
    return !any;
  });
  return any;
}

uint64_t GmShadow::First(uint64_t at, uint64_t bytes) {
  uint64_t first = at + bytes;
  ForEachPage(at, bytes, [&](Home* home, uint64_t index, uint64_t inside, uint64_t count) {
    const Slot& slot = SlotOf(home, index);
    uint64_t found = home->IsUndefined(slot) ? inside : inside + count;
    if (slot.kind == Kind::kMixed) found = FirstBit(slot.page->bits, inside, inside + count);
    if (found == inside + count) return true;
    first = home->begin + index * kPageBytes + found;
    return false;
  });
  return first;
}

uint64_t GmShadow::Load(uint64_t at, uint64_t count) {
  uint64_t bits = 0, done = 0;
  ForEachPage(at, count, [&](Home* home, uint64_t index, uint64_t inside, uint64_t here) {
    uint64_t part = home->undefined ? LowBits(here) : 0;
    if (!home->slots.empty()) {
      const Slot& slot = home->slots[index];
      part = slot.kind == Kind::kMixed ? LoadBits(slot.page->bits, inside, here)
             : home->IsUndefined(slot) ? LowBits(here)
                                       : 0;
    }
    bits |= part << done;
    done += here;
    return true;
  });
  return bits;
}

void GmShadow::Store(uint64_t at, uint64_t count, uint64_t bits) {
  ForEachPage(at, count, [&](Home* home, uint64_t index, uint64_t inside, uint64_t here) {
    const uint64_t part = bits & LowBits(here);
    bits = here >= 64 ? 0 : bits >> here;
    const Slot& slot = SlotOf(home, index);
    const uint64_t same = home->IsUndefined(slot) ? LowBits(here) : 0;
    if (slot.kind != Kind::kMixed && part == same) return true;
    StoreBits(MixedPage(home, index).bits, inside, here, part);
    return true;
  });
}

void GmShadow::Fill(uint64_t at, uint64_t bytes, bool undefined) {
  Home* whole = bytes == 0 ? nullptr : Find(at);
  if (whole != nullptr && at == whole->begin && at + bytes >= whole->end) {
    whole->undefined = undefined;
    whole->slots.clear();
    return;
  }
  ForEachPage(at, bytes, [&](Home* home, uint64_t index, uint64_t inside, uint64_t count) {
    Slot& slot = SlotOf(home, index);
    if (slot.kind != Kind::kMixed && home->IsUndefined(slot) == undefined) return true;
    if (inside == 0 && count == kPageBytes) {
      slot.kind = undefined ? Kind::kUndefined : Kind::kDefined;
      slot.page.reset();
    } else {
      FillBits(MixedPage(home, index).bits, inside, inside + count, undefined);
      if (undefined) SetOrigin(home->begin + index * kPageBytes + inside, count, 0);
    }
    return true;
  });
}

OriginId GmShadow::origin(uint64_t at) {
  Home* home = Find(at);
  if (home == nullptr || home->slots.empty()) return 0;
  const Slot& slot = home->slots[(at - home->begin) / kPageBytes];
  if (slot.kind != Kind::kMixed) return 0;
  return slot.page->origins[(at - home->begin) % kPageBytes / kOriginBytes];
}

void GmShadow::SetOrigin(uint64_t at, uint64_t count, OriginId id) {
  ForEachPage(at, count, [&](Home* home, uint64_t index, uint64_t inside, uint64_t here) {
    if (id == 0 && SlotOf(home, index).kind != Kind::kMixed) return true;
    Page& page = MixedPage(home, index);
    for (uint64_t i = inside / kOriginBytes; i <= (inside + here - 1) / kOriginBytes; ++i) {
      page.origins[i] = id;
    }
    return true;
  });
}

}  // namespace vnpu
