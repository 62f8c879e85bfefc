// SPDX-License-Identifier: Apache-2.0
// Sorting of (score, index) pairs of 8 bytes: score at +0 (a half is followed
// by two zero bytes), index at +4. Equal scores keep their order [inf].
#include <cstring>
#include <vector>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

struct Pair {
  uint32_t score;  // bits
  uint32_t index;
};

float Score(bool half, uint32_t bits) {
  return half ? HalfToFloat(static_cast<uint16_t>(bits)) : BitsFloat(bits);
}

// Insertion keeps equal scores in order.
void SortDescending(bool half, Pair* pairs, uint64_t count) {
  for (uint64_t i = 1; i < count; ++i) {
    const Pair pair = pairs[i];
    uint64_t at = i;
    for (; at > 0 && Score(half, pairs[at - 1].score) < Score(half, pair.score); --at) {
      pairs[at] = pairs[at - 1];
    }
    pairs[at] = pair;
  }
}

}  // namespace

void VecSort32(Exec& x) {
  constexpr uint64_t kPairs = 32;
  const bool half = x.type() == VNPU_T_f16;
  const uint64_t element = half ? 2 : 4;
  const uint64_t repeats = x.u(3);
  if (repeats == 0) return;
  const uint8_t* scores = x.Read(1, Runs(repeats * kPairs * element));
  const uint8_t* indices = x.Read(2, Runs(repeats * kPairs * sizeof(uint32_t)));
  uint8_t* dst = x.Write(0, Runs(repeats * kPairs * sizeof(Pair)));
  std::vector<Pair> pairs(repeats * kPairs);
  for (uint64_t i = 0; i < pairs.size(); ++i) {
    pairs[i].score = 0;
    std::memcpy(&pairs[i].score, scores + i * element, element);
    std::memcpy(&pairs[i].index, indices + i * sizeof(uint32_t), sizeof(uint32_t));
  }
  for (uint64_t r = 0; r < repeats; ++r) SortDescending(half, pairs.data() + r * kPairs, kPairs);
  std::memcpy(dst, pairs.data(), pairs.size() * sizeof(Pair));
}

namespace {

// Four lists of pairs in UB.
struct MergeLists {
  uint64_t at[4];
  uint64_t length[4];  // 0: not there
};

// Merges to UB+dst; returns how many pairs of each list were taken.
uint64_t Merge(Exec& x, const MergeLists& lists, uint64_t dst, bool half, bool stop) {
  std::vector<Pair> pairs[4];
  uint64_t total = 0;
  for (int i = 0; i < 4; ++i) {
    pairs[i].resize(lists.length[i]);
    if (pairs[i].empty()) continue;
    const uint64_t bytes = pairs[i].size() * sizeof(Pair);
    const uint8_t* from =
        x.Access(1 + i, lists.at[i], Runs(bytes), false, sizeof(Pair), nullptr, 0);
    std::memcpy(pairs[i].data(), from, bytes);
    total += pairs[i].size();
  }
  std::vector<Pair> merged;
  uint64_t used[4] = {0, 0, 0, 0};
  while (merged.size() < total) {
    int best = -1;
    for (int i = 0; i < 4; ++i) {
      if (used[i] == pairs[i].size()) continue;
      if (best < 0 ||
          Score(half, pairs[i][used[i]].score) > Score(half, pairs[best][used[best]].score)) {
        best = i;
      }
    }
    merged.push_back(pairs[best][used[best]++]);
    if (stop && used[best] == pairs[best].size()) break;
  }
  if (!merged.empty()) {
    const uint64_t bytes = merged.size() * sizeof(Pair);
    std::memcpy(x.Access(0, dst, Runs(bytes), true, 0, nullptr, 0), merged.data(), bytes);
  }
  return used[0] | used[1] << 16 | used[2] << 32 | used[3] << 48;
}

// A repeat goes on behind the four lists of the one before: they must be all
// there, of one length, one behind the other, and merged to the end [doc].
void CheckRepeats(Exec& x, const MergeLists& lists, bool stop) {
  bool fit = !stop;
  for (int i = 0; i < 4; ++i) {
    fit = fit && lists.length[i] == lists.length[0] && lists.length[i] > 0 &&
          lists.at[i] == lists.at[0] + static_cast<uint64_t>(i) * lists.length[0] * sizeof(Pair);
  }
  if (fit) return;
  x.Fail("bad argument",
         "repeat > 1 needs four lists of one length, one behind the other, and "
         "bit 12 of config clear");
}

}  // namespace

// Merges up to four descending lists. lengths: 4 x 16 bits; config: repeat
// [7:0], valid lists [11:8], [12] stop when one list is exhausted.
void VecMergeSort(Exec& x) {
  const bool half = x.type() == VNPU_T_f16;
  const uint64_t lengths = x.u(5), config = x.u(6);
  const uint64_t repeats = config & 0xff, valid = config >> 8 & 0xf;
  const bool stop = (config >> 12 & 1) != 0;
  if (config >> 13 != 0) x.Unsupported("bits of config above 12");
  if (repeats == 0 || valid == 0) return;
  MergeLists lists;
  uint64_t total = 0;
  for (int i = 0; i < 4; ++i) {
    lists.at[i] = x.u(1 + i);
    lists.length[i] = (valid >> i & 1) != 0 ? lengths >> (16 * i) & 0xffff : 0;
    total += lists.length[i];
  }
  if (repeats > 1) CheckRepeats(x, lists, stop);
  for (uint64_t r = 0; r < repeats; ++r) {
    x.core().vms4_sr = Merge(x, lists, x.u(0) + r * total * sizeof(Pair), half, stop);
    for (uint64_t& at : lists.at) at += total * sizeof(Pair);
  }
}

}  // namespace insns
}  // namespace vnpu
