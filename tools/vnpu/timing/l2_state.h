// SPDX-License-Identifier: Apache-2.0
// What L2 holds. Lines of 512 bytes come in whole, however little of them is
// asked for: a neighbour finds them if it comes soon. The group of lines that
// was used longest ago leaves: a page of 4 KiB, so that nothing depends on where
// the host has put an allocation. Stores allocate and make dirty;
// what is dirty goes to HBM when it leaves.
//
// Keeping one L2State over launches makes the second of two equal launches find
// what the first left, as in a benchmark's loop; Clear() makes it cold.
#ifndef VNPU_TIMING_L2_STATE_H_
#define VNPU_TIMING_L2_STATE_H_

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "tools/vnpu/timing/parameters.h"

namespace vnpu {

struct L2Touch {
  uint64_t hit_bytes = 0;      // of the lines touched
  uint64_t miss_bytes = 0;     // fetched from HBM; a store fetches nothing
  uint64_t evicted_bytes = 0;  // dirty lines written to HBM to make room
};

class L2State {
 public:
  explicit L2State(uint64_t capacity_bytes = 0) { Resize(capacity_bytes); }

  uint64_t capacity_bytes() const { return capacity_lines_ * kLineBytes; }
  // Forgets everything if the capacity changes.
  void Resize(uint64_t capacity_bytes);
  void Clear();
  // Drops [begin, end) without writing it back: the memory has been freed.
  void Drop(uint64_t begin, uint64_t end);

  // Reads or writes [begin, begin + bytes), rounded out to lines; adds to *touch.
  void Access(uint64_t begin, uint64_t bytes, bool write, L2Touch* touch);
  bool Holds(uint64_t address) const;

 private:
  static constexpr uint64_t kGroupBytes = 4096;
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Group {
    uint64_t number;  // address / kGroupBytes
    uint32_t valid;   // a bit per line
    uint32_t dirty;
    uint32_t older, newer;
  };

  uint32_t FindOrAdd(uint64_t number);
  void Unlink(uint32_t index);
  void LinkNewest(uint32_t index);
  void Remove(uint32_t index);
  void MakeRoom(uint32_t keep, L2Touch* touch);

  uint64_t capacity_lines_ = 0;
  uint64_t used_lines_ = 0;
  std::vector<Group> groups_;
  std::vector<uint32_t> free_;
  std::unordered_map<uint64_t, uint32_t> index_;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
  uint32_t last_ = kNone;  // found last
};

}  // namespace vnpu

#endif  // VNPU_TIMING_L2_STATE_H_
