// SPDX-License-Identifier: Apache-2.0
// Vector instructions lane by lane: arithmetic, conversions, comparisons,
// select.
#include <algorithm>
#include <cstring>

#include "tools/vnpu/check/definedness_rules.h"
#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {

LaneBits LoadLanes(Step& step, const Operand& operand, uint64_t repeat, OriginId* origin) {
  const uint32_t lane_bytes = operand.access.lane_bytes;
  const uint64_t per_block = kBlockBytes / lane_bytes;
  LaneBits lanes;
  for (uint64_t b = 0; b < operand.access.dims[2].count; ++b) {
    const uint64_t at = BlockAt(operand, repeat, b);
    const auto bytes = static_cast<uint32_t>(step.Load(operand.access.space, at, kBlockBytes));
    if (bytes == 0) continue;
    lanes.Or(b * per_block, CollapseLanes(bytes, lane_bytes));
    if (*origin == 0) *origin = step.OriginIn(operand.access.space, at, kBlockBytes);
  }
  return lanes;
}

void StoreLanes(Step& step, const Operand& operand, uint64_t repeat, const LaneBits& lanes,
                OriginId origin) {
  const uint32_t lane_bytes = operand.access.lane_bytes;
  const uint64_t per_block = kBlockBytes / lane_bytes;
  for (uint64_t b = 0; b < operand.access.dims[2].count; ++b) {
    const uint64_t at = BlockAt(operand, repeat, b), lane = b * per_block;
    const uint32_t active = SpreadLanes(operand.mask[lane / 64] >> (lane % 64), lane_bytes);
    const uint32_t bytes = SpreadLanes(lanes.Part(lane), lane_bytes) & active;
    uint64_t kept = 0;
    if (active != ~uint32_t{0}) {
      kept = step.Load(operand.access.space, at, kBlockBytes) & ~uint64_t{active};
    }
    const OriginId from = bytes != 0  ? origin
                          : kept != 0 ? step.OriginIn(operand.access.space, at, kBlockBytes)
                                      : 0;
    step.Store(operand.access.space, at, kBlockBytes, bytes | kept, from);
  }
}

namespace {

// The n-th piece of every source of a lane-wise instruction, and its result.
struct Piece {
  const Operand* dst = nullptr;
  const Operand* src[4];
  int sources = 0;
};

Piece PieceOf(Step& step, int n) {
  Piece piece;
  piece.dst = step.Find(0, true, n);
  if (piece.dst == nullptr || !piece.dst->lanes) return Piece{};
  for (int operand = 0; operand < 3; ++operand) {
    const Operand* src = step.Find(operand, false, n);
    if (src != nullptr && src->lanes) piece.src[piece.sources++] = src;
  }
  return piece;
}

// The short last repeat is the first piece, if there is one; the result of
// overlapping operands depends on the order, so it is done last.
template <typename Fn>
void ForEachPiece(Step& step, const Fn& fn) {
  const int pieces = step.Find(0, true, 1) != nullptr ? 2 : 1;
  for (int n = pieces - 1; n >= 0; --n) {
    const Piece piece = PieceOf(step, n);
    if (piece.dst != nullptr) fn(piece, n);
  }
}

bool Active(const Operand& operand, uint64_t lane) {
  return (operand.mask[lane / 64] >> (lane % 64) & 1) != 0;
}

}  // namespace

void RuleLanes(Step& step) {
  ForEachPiece(step, [&](const Piece& piece, int) {
    for (uint64_t r = 0; r < piece.dst->access.dims[1].count; ++r) {
      LaneBits any;
      OriginId origin = 0;
      for (int i = 0; i < piece.sources; ++i) {
        const LaneBits lanes = LoadLanes(step, *piece.src[i], r, &origin);
        any.words[0] |= lanes.words[0];
        any.words[1] |= lanes.words[1];
      }
      StoreLanes(step, *piece.dst, r, any, origin);
    }
  });
}

// An intrinsic without a rule: by lanes if it has lanes, else all that it
// writes is defined unless nothing that it reads is.
void RuleDefault(Step& step) {
  bool lanes = false, flat = false;
  OriginId origin = 0;
  bool all_undefined = true;
  for (const Operand& operand : step.operands()) {
    (operand.lanes ? lanes : flat) = true;
    if (operand.access.write) continue;
    ForEachRun(Coalesced(operand.access), [&](const ByteRange& run) {
      for (uint64_t at = run.begin; at < run.end && all_undefined; at += 64) {
        const uint64_t count = std::min<uint64_t>(64, run.end - at);
        all_undefined = step.Load(operand.access.space, at, count) == LowBits(count);
      }
      if (all_undefined && origin == 0) {
        origin = step.OriginIn(operand.access.space, run.begin, run.end - run.begin);
      }
      return all_undefined;
    });
  }
  if (lanes && !flat) return RuleLanes(step);
  if (!all_undefined) return step.DefineWrites();
  for (const Operand& operand : step.operands()) {
    if (!operand.access.write) continue;
    ForEachRun(operand.access, [&](const ByteRange& run) {
      step.Fill(operand.access.space, run.begin, run.end - run.begin, true, origin);
      return true;
    });
  }
}

// In counter mode the datablocks of a row are copied up to the count.
void RuleVecCopy(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  if (dst->lanes) return step.AnyRead() ? RuleLanes(step) : step.DefineWrites();
  const uint32_t type = step.in().type;
  const uint64_t element = type == VNPU_T_f32 || type == VNPU_T_s32 || type == VNPU_T_u32 ? 4 : 2;
  const uint64_t bytes = (step.in().spr->mask[0] & 0xffffffffu) * element;
  for (uint64_t r = 0; r < dst->access.dims[1].count; ++r) {
    for (uint64_t at = 0; at < bytes; at += kBlockBytes) {
      step.Copy(Space::kUb, step.arg(0) + r * step.arg(5) * kBlockBytes + at * step.arg(3),
                Space::kUb, step.arg(1) + r * step.arg(6) * kBlockBytes + at * step.arg(4),
                std::min<uint64_t>(kBlockBytes, bytes - at));
    }
  }
}

// Packed bits, one per lane. A byte of which only some bits are undefined
// counts as defined for all but selects.
void RuleCompare(Step& step) {
  const Operand* dst = step.Find(0, true);
  const Operand* first = step.Find(1, false);
  if (dst == nullptr || first == nullptr) return;
  const uint64_t row_bytes = kRepeatBytes / first->access.lane_bytes / 8;
  for (uint64_t r = 0; r < first->access.dims[1].count; ++r) {
    LaneBits any;
    OriginId origin = 0;
    for (int i = 1; i <= 2; ++i) {
      const Operand* src = step.Find(i, false);
      if (src == nullptr || !src->lanes) continue;
      const LaneBits lanes = LoadLanes(step, *src, r, &origin);
      any.words[0] |= lanes.words[0];
      any.words[1] |= lanes.words[1];
    }
    for (uint64_t i = 0; i < row_bytes; ++i) {
      const auto bits = static_cast<uint8_t>(any.Part(i * 8));
      const uint64_t at = dst->access.base + r * row_bytes + i;
      step.Store(Space::kUb, at, 1, bits == 0xff ? 1 : 0, origin);
      if (bits != 0 && bits != 0xff) step.shadow().partial[at] = bits;
    }
  }
}

// One repeat to the compare mask; lanes that are masked off keep their bit.
void RuleCompareToMask(Step& step) {
  LaneBits any;
  OriginId origin = 0;
  const Operand* active = nullptr;
  for (int i = 0; i <= 1; ++i) {
    const Operand* src = step.Find(i, false);
    if (src == nullptr || !src->lanes) continue;
    active = src;
    const LaneBits lanes = LoadLanes(step, *src, 0, &origin);
    any.words[0] |= lanes.words[0];
    any.words[1] |= lanes.words[1];
  }
  if (active == nullptr) return;
  for (int i = 0; i < 2; ++i) {
    uint64_t& bits = step.shadow().compare_mask[i];
    bits = (bits & ~active->mask[i]) | (any.words[i] & active->mask[i]);
  }
  if (any.any()) step.shadow().compare_mask_origin = origin;
}

void RuleSetCompareMask(Step& step) {
  const Operand* src = step.Find(0, false);
  if (src == nullptr) return;
  CoreShadow& shadow = step.shadow();
  shadow.compare_mask[0] = shadow.compare_mask[1] = 0;
  for (uint64_t i = 0; i < 16; ++i) {
    const uint64_t at = src->access.base + i;
    const auto partial = shadow.partial.find(at);
    const bool whole = step.Any(Space::kUb, at, 1);
    uint64_t bits = whole ? 0xff : 0;
    if (!whole && partial != shadow.partial.end()) bits = partial->second;
    shadow.compare_mask[i / 8] |= bits << (i % 8 * 8);
    if (whole) shadow.compare_mask_origin = step.OriginAt(Space::kUb, at);
  }
}

void RuleGetCompareMask(Step& step) {
  const Operand* dst = step.Find(0, true);
  if (dst == nullptr) return;
  CoreShadow& shadow = step.shadow();
  for (uint64_t i = 0; i < 16; ++i) {
    const auto bits = static_cast<uint8_t>(shadow.compare_mask[i / 8] >> (i % 8 * 8));
    const uint64_t at = dst->access.base + i;
    step.Store(Space::kUb, at, 1, bits == 0xff ? 1 : 0, shadow.compare_mask_origin);
    if (bits != 0 && bits != 0xff) shadow.partial[at] = bits;
  }
}

namespace {

// The bits that decide a select: their values and which are undefined.
struct Selection {
  const uint8_t* values = nullptr;
  const Operand* in_ub = nullptr;  // null: the compare mask
};

bool SelectsFirst(const Selection& selection, uint64_t bit) {
  return (selection.values[bit / 8] >> (bit % 8) & 1) != 0;
}

bool BitUndefined(Step& step, const Selection& selection, uint64_t bit, OriginId* origin) {
  const CoreShadow& shadow = step.shadow();
  if (selection.in_ub == nullptr) {
    if ((shadow.compare_mask[bit / 64] >> (bit % 64) & 1) == 0) return false;
    if (*origin == 0) *origin = shadow.compare_mask_origin;
    return true;
  }
  const uint64_t at = selection.in_ub->access.base + bit / 8;
  if (step.Any(Space::kUb, at, 1)) {
    if (*origin == 0) *origin = step.OriginAt(Space::kUb, at);
    return true;
  }
  const auto partial = shadow.partial.find(at);
  return partial != shadow.partial.end() && (partial->second >> (bit % 8) & 1) != 0;
}

// Repeat r of a piece; `row` counts the repeats of the instruction.
void SelectRepeat(Step& step, const Operand& dst, const Operand& first, const Operand* second,
                  bool scalar_undefined, const Selection& selection, uint64_t r, uint64_t row) {
  OriginId origin = 0;
  const LaneBits a = LoadLanes(step, first, r, &origin);
  LaneBits b;
  if (second != nullptr) b = LoadLanes(step, *second, r, &origin);
  const uint64_t lanes = kRepeatBytes / dst.access.lane_bytes;
  const uint64_t first_bit = selection.in_ub == nullptr ? 0 : row * lanes;
  LaneBits out;
  for (uint64_t e = 0; e < lanes; ++e) {
    if (!Active(dst, e)) continue;
    const uint64_t bit = first_bit + e;
    const bool other = second != nullptr ? b[e] : scalar_undefined;
    const bool undefined = BitUndefined(step, selection, bit, &origin) ||
                           (SelectsFirst(selection, bit) ? a[e] : other);
    if (undefined) out.Or(e, 1);
  }
  if (out.any() && origin == 0) origin = step.shadow().compare_mask_origin;
  StoreLanes(step, dst, r, out, origin);
}

}  // namespace

// Mode 0 selects by the compare mask, 1 and 2 by bits in UB; mode 1 takes the
// other value from the compare mask, mode 2 the address of the bits.
void RuleSelect(Step& step) {
  const CoreShadow& shadow = step.shadow();
  const bool mask_undefined = (shadow.compare_mask[0] | shadow.compare_mask[1]) != 0;
  if (!mask_undefined && shadow.partial.empty() && !step.AnyRead()) return step.DefineWrites();
  const uint64_t mode = step.arg(10);
  Selection selection;
  for (const Operand& operand : step.operands()) {
    if (operand.sampled && !operand.lanes) selection.in_ub = &operand;
  }
  selection.values =
      selection.in_ub != nullptr ? step.Sample(*selection.in_ub) : RunningCompareMask();
  if (mode == 2 && (shadow.compare_mask[0] & 0xffffffffu) != 0) {
    step.host().ReachAddress(step, shadow.compare_mask_origin);
  }
  uint64_t whole = 0;
  ForEachPiece(step, [&](const Piece& piece, int n) {
    const Operand* first = step.Find(1, false, n);
    const Operand* second = step.Find(2, false, n);
    if (second != nullptr && !second->lanes) second = nullptr;
    if (first == nullptr) return;
    const uint64_t scalar_bits = LowBits(piece.dst->access.lane_bytes * 8);
    const bool scalar_undefined = mode == 1 && (shadow.compare_mask[0] & scalar_bits) != 0;
    const uint64_t repeats = piece.dst->access.dims[1].count;
    for (uint64_t r = 0; r < repeats; ++r) {
      SelectRepeat(step, *piece.dst, *first, mode == 1 ? nullptr : second, scalar_undefined,
                   selection, r, whole + r);
    }
    whole += repeats;
  });
}

namespace {

// Calls fn(operand, repeat of it, repeat of the instruction): the pieces of an
// operand that have lanes, the short last repeat last.
template <typename Fn>
void ForEachLaneRepeat(Step& step, int operand, bool write, const Fn& fn) {
  const Operand* pieces[2] = {};
  int count = 0;
  for (int n = 0; count < 2; ++n) {
    const Operand* piece = step.Find(operand, write, n);
    if (piece == nullptr) break;
    if (piece->lanes) pieces[count++] = piece;
  }
  uint64_t row = 0;
  for (int i = count - 1; i >= 0; --i) {
    for (uint64_t r = 0; r < pieces[i]->access.dims[1].count; ++r) fn(*pieces[i], r, row++);
  }
}

}  // namespace

// 16 results of a byte each in the upper or lower half of a datablock. With a
// word of scale per lane, from its word too.
void RuleHalfBlock(Step& step) {
  const uint32_t insn = step.in().insn;
  const bool high = insn == VNPU_INSN_vconv_deqs162b8h || insn == VNPU_INSN_vconv_vdeqs162b8h;
  const bool by_lane = insn == VNPU_INSN_vconv_vdeqs162b8h || insn == VNPU_INSN_vconv_vdeqs162b8l;
  OriginId word_origin = 0;
  uint32_t words = 0;
  for (uint64_t i = 0; i < 16 && by_lane; ++i) {
    const uint64_t at = (step.in().spr->deqscale << 5) + i * 8;
    if (!step.Any(Space::kUb, at, 8)) continue;
    words |= uint32_t{1} << i;
    if (word_origin == 0) word_origin = step.OriginIn(Space::kUb, at, 8);
  }
  ForEachLaneRepeat(step, 1, false, [&](const Operand& src, uint64_t r, uint64_t row) {
    OriginId origin = 0;
    const LaneBits undefined = LoadLanes(step, src, r, &origin);
    if (origin == 0) origin = word_origin;
    const uint64_t to = step.arg(0) + row * step.arg(5) * kBlockBytes + (high ? 16 : 0);
    for (uint64_t e = 0; e < 128; ++e) {
      if (!Active(src, e)) continue;
      const bool any = undefined[e] || (words >> (e % 16) & 1) != 0;
      step.Fill(Space::kUb, to + e / 16 * step.arg(3) * kBlockBytes + e % 16, 1, any, origin);
    }
  });
}

// Two results to a byte: it is as undefined as either of them, or as what it
// keeps of its old value.
static void RuleHalfToS4(Step& step) {
  ForEachLaneRepeat(step, 1, false, [&](const Operand& src, uint64_t r, uint64_t row) {
    OriginId origin = 0;
    const LaneBits undefined = LoadLanes(step, src, r, &origin);
    const uint64_t to = step.arg(0) + row * step.arg(5) * kBlockBytes;
    for (uint64_t e = 0; e < 128; e += 2) {
      const bool low = Active(src, e), high = Active(src, e + 1);
      if (!low && !high) continue;
      const uint64_t at = to + e / 64 * step.arg(3) * kBlockBytes + e % 64 / 2;
      const bool old = !(low && high) && step.Any(Space::kUb, at, 1);
      if (old && origin == 0) origin = step.OriginIn(Space::kUb, at, 1);
      const bool any = (low && undefined[e]) || (high && undefined[e + 1]) || old;
      step.Fill(Space::kUb, at, 1, any, origin);
    }
  });
}

static void RuleS4ToHalf(Step& step) {
  ForEachLaneRepeat(step, 0, true, [&](const Operand& dst, uint64_t r, uint64_t row) {
    OriginId origin = 0;
    LaneBits undefined;
    for (uint64_t e = 0; e < 128; ++e) {
      if (!Active(dst, e)) continue;
      const uint64_t at = step.arg(1) + row * step.arg(6) * kBlockBytes +
                          e / 64 * step.arg(4) * kBlockBytes + e % 64 / 2;
      if (!step.Any(Space::kUb, at, 1)) continue;
      undefined.Or(e, 1);
      if (origin == 0) origin = step.OriginIn(Space::kUb, at, 1);
    }
    StoreLanes(step, dst, r, undefined, origin);
  });
}

void RuleConvertS4(Step& step) {
  step.in().insn == VNPU_INSN_vconv_s42f16 ? RuleS4ToHalf(step) : RuleHalfToS4(step);
}

}  // namespace vnpu
