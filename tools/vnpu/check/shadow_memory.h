// SPDX-License-Identifier: Apache-2.0
// One bit per byte of GM and of the on-chip buffers: set where nothing has been
// written that a result may depend on. With it, coarsely, where such bytes came
// from.
//
// Next: tools/vnpu/check/definedness_checker.h - who keeps it up to date.
#ifndef VNPU_CHECK_SHADOW_MEMORY_H_
#define VNPU_CHECK_SHADOW_MEMORY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "tools/vnpu/check/bit_plane.h"
#include "tools/vnpu/core/types.h"

namespace vnpu {

// Index of a record that says where undefined bytes were picked up; 0: nobody
// has written them and nobody has read them yet.
using OriginId = uint32_t;

// The shadow of one on-chip buffer.
class PadShadow {
 public:
  void Reset(uint64_t bytes);  // all undefined
  bool Any(uint64_t at, uint64_t bytes) const { return AnyBit(bits_.data(), at, at + bytes); }
  uint64_t Load(uint64_t at, uint64_t count) const { return LoadBits(bits_.data(), at, count); }
  void Store(uint64_t at, uint64_t count, uint64_t bits) {
    StoreBits(bits_.data(), at, count, bits);
  }
  void Fill(uint64_t at, uint64_t bytes, bool undefined) {
    FillBits(bits_.data(), at, at + bytes, undefined);
  }
  uint64_t First(uint64_t at, uint64_t bytes) const {
    return FirstBit(bits_.data(), at, at + bytes);
  }
  OriginId origin(uint64_t at) const { return origins_[at / kOriginBytes]; }
  void SetOrigin(uint64_t at, uint64_t count, OriginId id) {
    for (uint64_t i = at / kOriginBytes; i <= (at + count - 1) / kOriginBytes; ++i) {
      origins_[i] = id;
    }
  }

 private:
  static constexpr uint64_t kOriginBytes = 32;
  std::vector<uint64_t> bits_;
  std::vector<OriginId> origins_;
};

// The shadow of GM, by allocation, in pages that exist only where defined and
// undefined bytes meet. Addresses outside known allocations are defined.
class GmShadow {
 public:
  void Add(uint64_t begin, uint64_t bytes, bool undefined);
  void Remove(uint64_t begin);
  bool Knows(uint64_t address) { return Find(address) != nullptr; }

  bool Any(uint64_t at, uint64_t bytes);
  uint64_t Load(uint64_t at, uint64_t count);  // count 1..64
  void Store(uint64_t at, uint64_t count, uint64_t bits);
  void Fill(uint64_t at, uint64_t bytes, bool undefined);
  // The first undefined byte of a range, or its end.
  uint64_t First(uint64_t at, uint64_t bytes);
  OriginId origin(uint64_t at);
  void SetOrigin(uint64_t at, uint64_t count, OriginId id);

 private:
  static constexpr uint64_t kPageBytes = 64 * 1024;
  static constexpr uint64_t kOriginBytes = 512;
  struct Page {
    uint64_t bits[kPageBytes / 64 + 1];
    OriginId origins[kPageBytes / kOriginBytes];
  };
  // Pages start as the allocation does: all defined or all undefined.
  enum class Kind : uint8_t { kInitial, kDefined, kUndefined, kMixed };
  struct Slot {
    Kind kind = Kind::kInitial;
    std::unique_ptr<Page> page;
  };
  struct Home {
    uint64_t begin = 0, end = 0;
    bool undefined = false;
    std::vector<Slot> slots;  // empty until a page differs
    bool IsUndefined(const Slot& slot) const {
      return slot.kind == Kind::kUndefined || (slot.kind == Kind::kInitial && undefined);
    }
  };

  Home* Find(uint64_t address);
  Slot& SlotOf(Home* home, uint64_t index);
  Page& MixedPage(Home* home, uint64_t index);
  // Calls fn(home, page index, offset in page, bytes) for each page of a range
  // until it returns false.
  template <typename Fn>
  void ForEachPage(uint64_t at, uint64_t bytes, const Fn& fn);

  std::map<uint64_t, Home> homes_;  // by begin
  Home* last_ = nullptr;            // found last
};

}  // namespace vnpu

#endif  // VNPU_CHECK_SHADOW_MEMORY_H_
