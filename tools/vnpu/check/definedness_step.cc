// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/definedness_step.h"

#include <algorithm>

#include "tools/vnpu/isa/arch_a2.h"

namespace vnpu {

uint32_t SpreadLanes(uint64_t lanes, uint32_t lane_bytes) {
  const auto lane = static_cast<uint32_t>(LowBits(lane_bytes));
  auto left = static_cast<uint32_t>(lanes & LowBits(kBlockBytes / lane_bytes));
  if (left == LowBits(kBlockBytes / lane_bytes)) return ~uint32_t{0};
  uint32_t bytes = 0;
  for (; left != 0; left &= left - 1) {
    bytes |= lane << (static_cast<uint32_t>(__builtin_ctz(left)) * lane_bytes);
  }
  return bytes;
}

uint32_t CollapseLanes(uint32_t bytes, uint32_t lane_bytes) {
  if (bytes == 0 || lane_bytes == 1) return bytes;
  for (uint32_t step = 1; step < lane_bytes; step *= 2) bytes |= bytes >> step;
  uint32_t lanes = 0;
  for (uint32_t i = 0; i < kBlockBytes / lane_bytes; ++i) {
    lanes |= (bytes >> (i * lane_bytes) & 1) << i;
  }
  return lanes;
}

const Operand* Step::Find(int operand, bool write, int n) const {
  for (const Operand& candidate : shadow_.operands) {
    if (candidate.access.operand != operand || candidate.access.write != write) continue;
    if (n-- == 0) return &candidate;
  }
  return nullptr;
}

bool Step::Any(Space space, uint64_t at, uint64_t bytes) {
  return space == Space::kGm ? gm_.Any(at, bytes)
                             : shadow_.pads[static_cast<int>(space)].Any(at, bytes);
}

uint64_t Step::Load(Space space, uint64_t at, uint64_t count) {
  return space == Space::kGm ? gm_.Load(at, count)
                             : shadow_.pads[static_cast<int>(space)].Load(at, count);
}

void Step::ForgetPartial(uint64_t at, uint64_t bytes) {
  auto& partial = shadow_.partial;
  partial.erase(partial.lower_bound(at), partial.lower_bound(at + bytes));
}

// Undefined bytes that come to an output are told once and then taken for
// defined: what a later kernel does with them is no news.
uint64_t Step::KeepOutputClean(uint64_t at, uint64_t bits, OriginId origin) {
  const uint64_t first = at + static_cast<uint64_t>(__builtin_ctzll(bits));
  if (!host_.IsOutput(first)) return bits;
  host_.ReachOutput(*this, first, origin);
  return 0;
}

void Step::Store(Space space, uint64_t at, uint64_t count, uint64_t bits, OriginId origin) {
  if (space == Space::kGm) {
    // The old value stays in an atomic sum.
    if (in_.spr->atomic_type != 0) {
      const uint64_t old = gm_.Load(at, count);
      if (bits == 0 && old != 0) origin = OriginIn(space, at, count);
      bits |= old;
    }
    if (bits != 0) bits = KeepOutputClean(at, bits, origin);
    gm_.Store(at, count, bits);
    if (bits != 0 && origin != 0) gm_.SetOrigin(at, count, origin);
    return;
  }
  if (space == Space::kUb && !shadow_.partial.empty()) ForgetPartial(at, count);
  PadShadow& pad = shadow_.pads[static_cast<int>(space)];
  pad.Store(at, count, bits);
  if (bits != 0 && origin != 0) pad.SetOrigin(at, count, origin);
}

void Step::Fill(Space space, uint64_t at, uint64_t bytes, bool undefined, OriginId origin) {
  const bool in_words = undefined || (space == Space::kGm && in_.spr->atomic_type != 0);
  if (in_words) {
    for (uint64_t done = 0; done < bytes; done += 64) {
      const uint64_t count = std::min<uint64_t>(64, bytes - done);
      Store(space, at + done, count, undefined ? LowBits(count) : 0, origin);
    }
    return;
  }
  if (space == Space::kGm) return gm_.Fill(at, bytes, false);
  if (space == Space::kUb && !shadow_.partial.empty()) ForgetPartial(at, bytes);
  shadow_.pads[static_cast<int>(space)].Fill(at, bytes, false);
}

void Step::Copy(Space to_space, uint64_t to, Space from_space, uint64_t from, uint64_t bytes) {
  if (!Any(from_space, from, bytes)) return Fill(to_space, to, bytes, false);
  const bool descending = to_space == from_space && to > from;
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t count = std::min<uint64_t>(64, bytes - done);
    const uint64_t offset = descending ? bytes - done - count : done;
    const uint64_t bits = Load(from_space, from + offset, count);
    Store(to_space, to + offset, count, bits,
          bits == 0
              ? 0
              : OriginAt(from_space, from + offset + static_cast<uint64_t>(__builtin_ctzll(bits))));
    done += count;
  }
}

OriginId Step::OriginAt(Space space, uint64_t at) {
  const OriginId known =
      space == Space::kGm ? gm_.origin(at) : shadow_.pads[static_cast<int>(space)].origin(at);
  return known != 0 ? known : FreshOrigin(space, at);
}

OriginId Step::FreshOrigin(Space space, uint64_t at) {
  OriginId& fresh = fresh_[static_cast<int>(space)];
  if (fresh == 0) fresh = host_.NewOrigin(*this, space, at);
  return fresh;
}

OriginId Step::OriginIn(Space space, uint64_t at, uint64_t bytes) {
  const uint64_t first = space == Space::kGm
                             ? gm_.First(at, bytes)
                             : shadow_.pads[static_cast<int>(space)].First(at, bytes);
  return OriginAt(space, first);
}

bool Step::AnyRead(const Operand& operand) {
  const ByteRange extent = Extent(operand.access);
  const Space space = operand.access.space;
  if (!Any(space, extent.begin, extent.end - extent.begin)) return false;
  bool any = false;
  ForEachRun(Coalesced(operand.access), [&](const ByteRange& run) {
    any = Any(space, run.begin, run.end - run.begin);
    return !any;
  });
  return any;
}

bool Step::AnyRead() {
  for (const Operand& operand : shadow_.operands) {
    if (!operand.access.write && AnyRead(operand)) return true;
  }
  return false;
}

void Step::DefineWrite(const Operand& operand) {
  const Access& access = operand.access;
  bool full = true;
  if (operand.lanes) {
    const uint64_t lanes = access.dims[2].count * (kBlockBytes / access.lane_bytes);
    full = (~operand.mask[0] & LowBits(lanes)) == 0 &&
           (lanes <= 64 || (~operand.mask[1] & LowBits(lanes - 64)) == 0);
  }
  if (full) {
    ForEachRun(Coalesced(access), [&](const ByteRange& run) {
      Fill(access.space, run.begin, run.end - run.begin, false);
      return true;
    });
    return;
  }
  const uint32_t per_block = kBlockBytes / access.lane_bytes;
  uint64_t block = 0;
  ForEachRun(access, [&](const ByteRange& run) {
    const uint64_t first = block * per_block;
    const uint32_t active =
        SpreadLanes(operand.mask[first / 64] >> (first % 64), access.lane_bytes);
    Store(access.space, run.begin, kBlockBytes,
          Load(access.space, run.begin, kBlockBytes) & ~uint64_t{active}, 0);
    block = block + 1 == access.dims[2].count ? 0 : block + 1;
    return true;
  });
}

void Step::DefineWrites() {
  for (const Operand& operand : shadow_.operands) {
    if (operand.access.write) DefineWrite(operand);
  }
}

}  // namespace vnpu
