// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_clock.h"

namespace vnpu {
namespace race {
namespace {

bool Holds(const OtherBlocks& clock, const OtherBlocks& part) {
  for (size_t i = 0; i < part.size(); ++i) {
    if (!Holds(clock[i], part[i])) return false;
  }
  return true;
}

}  // namespace

bool Holds(const Clock& clock, const Clock& part) {
  if (!Holds(clock.own, part.own)) return false;
  if (part.others == nullptr || part.others == clock.others) return true;
  return clock.others != nullptr && Holds(*clock.others, *part.others);
}

void Join(Clock* into, const Clock& from) {
  Join(&into->own, from.own);
  if (from.others == nullptr || from.others == into->others) return;
  if (into->others == nullptr || Holds(*from.others, *into->others)) {
    into->others = from.others;
    return;
  }
  if (Holds(*into->others, *from.others)) return;
  auto merged = std::make_shared<OtherBlocks>(*into->others);
  for (size_t i = 0; i < merged->size(); ++i) Join(&(*merged)[i], (*from.others)[i]);
  into->others = std::move(merged);
}

Clock Carry(const Clock& clock, uint32_t from, uint32_t to, uint32_t num_blocks) {
  if (from == to) return clock;
  auto all = clock.others == nullptr ? std::make_shared<OtherBlocks>(num_blocks)
                                     : std::make_shared<OtherBlocks>(*clock.others);
  Join(&(*all)[from], clock.own);
  Clock carried;
  carried.own = (*all)[to];
  carried.others = std::move(all);
  return carried;
}

}  // namespace race
}  // namespace vnpu
