// SPDX-License-Identifier: Apache-2.0
// Comparisons to packed bits or to the compare mask; select.
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

enum Comparison { kEq, kNe, kLt, kLe, kGt, kGe };

template <typename T>
bool Compare(int comparison, T a, T b) {
  switch (comparison) {
    case kEq:
      return a == b;
    case kNe:
      return a != b;
    case kLt:
      return a < b;
    case kLe:
      return a <= b;
    case kGt:
      return a > b;
    default:
      return a >= b;
  }
}

// All lanes of `repeats` repeats: comparisons to memory ignore the mask.
Lanes AllLanes(uint64_t repeats, uint32_t element) {
  Lanes lanes;
  lanes.repeats = repeats;
  lanes.top = lanes.last_top = kRepeatBytes / element;
  for (int i = 0; i < 2; ++i) lanes.mask[i] = lanes.last_mask[i] = ~uint64_t{0};
  if (element == 4) lanes.mask[1] = lanes.last_mask[1] = 0;
  return lanes;
}

bool Bit(const uint8_t* bits, int lane) { return (bits[lane / 8] >> (lane % 8) & 1) != 0; }
void SetBit(uint8_t* bits, int lane, bool value) {
  const auto bit = static_cast<uint8_t>(1u << (lane % 8));
  bits[lane / 8] = static_cast<uint8_t>(value ? bits[lane / 8] | bit : bits[lane / 8] & ~bit);
}

template <typename Lane>
void ComparePacked(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  const Lanes lanes = AllLanes(x.u(3), sizeof(Bits));
  if (lanes.repeats == 0) return;
  const VecOperand a = ResolveVec(x, lanes, 1, sizeof(Bits), x.u(5), x.u(8), false);
  const VecOperand b = ResolveVec(x, lanes, 2, sizeof(Bits), x.u(6), x.u(9), false);
  uint8_t* dst = x.Write(0, Runs(lanes.repeats * kLanes / 8));
  const int comparison = static_cast<int>(x.insn() - VNPU_INSN_vcmpv_eq);
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    const auto row = static_cast<int64_t>(r);
    Bits va[kLanes], vb[kLanes];
    LoadLanes<Bits, kLanes>(a.data + row * a.repeat, a.block, kLanes, va);
    LoadLanes<Bits, kLanes>(b.data + row * b.repeat, b.block, kLanes, vb);
    for (int e = 0; e < kLanes; ++e) {
      SetBit(dst + r * kLanes / 8, e, Compare(comparison, Lane::Load(va[e]), Lane::Load(vb[e])));
    }
  }
}

template <typename Lane>
void ComparePackedScalar(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  const Lanes lanes = AllLanes(x.u(3), sizeof(Bits));
  if (lanes.repeats == 0) return;
  const VecOperand a = ResolveVec(x, lanes, 1, sizeof(Bits), x.u(5), x.u(7), false);
  uint8_t* dst = x.Write(0, Runs(lanes.repeats * kLanes / 8));
  const uint64_t raw = x.u(2);
  Bits scalar;
  std::memcpy(&scalar, &raw, sizeof(scalar));
  const int comparison = static_cast<int>(x.insn() - VNPU_INSN_vcmpvs_eq);
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    Bits va[kLanes];
    LoadLanes<Bits, kLanes>(a.data + static_cast<int64_t>(r) * a.repeat, a.block, kLanes, va);
    for (int e = 0; e < kLanes; ++e) {
      SetBit(dst + r * kLanes / 8, e, Compare(comparison, Lane::Load(va[e]), Lane::Load(scalar)));
    }
  }
}

// One repeat to the compare mask; lanes that are masked off keep their bit.
template <typename Lane>
void CompareRegister(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  if (x.u(2) > 1) {
    x.Fail("argument out of range", "repeat = " + std::to_string(x.arg(2)) + ", allowed 0..1");
  }
  const Lanes lanes = MakeLanes(x, 2, sizeof(Bits));
  if (lanes.repeats == 0) return;
  const VecOperand a = ResolveVec(x, lanes, 0, sizeof(Bits), x.u(4), x.u(7), false);
  const VecOperand b = ResolveVec(x, lanes, 1, sizeof(Bits), x.u(5), x.u(8), false);
  Bits va[kLanes] = {}, vb[kLanes] = {};
  LoadLanes<Bits, kLanes>(a.data, a.block, lanes.last_top, va);
  LoadLanes<Bits, kLanes>(b.data, b.block, lanes.last_top, vb);
  const int comparison = static_cast<int>(x.insn() - VNPU_INSN_vcmp_eq);
  for (int e = 0; e < kLanes; ++e) {
    if ((lanes.last_mask[e / 64] >> (e % 64) & 1) == 0) continue;
    SetBit(x.core().compare_mask, e, Compare(comparison, Lane::Load(va[e]), Lane::Load(vb[e])));
  }
  x.core().compare_mask_defined = true;
}

void RequireCompareMask(Exec& x) {
  if (x.core().compare_mask_defined) return;
  x.Fail("undefined register", "needs set_cmpmask or vcmp before it");
}

// dst = bit ? src0 : other. Mode 0: the bits are the compare mask for every
// repeat, other = src1. Mode 1: the bits are src1, other = the scalar in the
// compare mask. Mode 2: the compare mask holds the UB address of the bits.
template <typename T>
void Select(Exec& x) {
  constexpr int kLanes = kRepeatBytes / sizeof(T);
  constexpr uint64_t kBitBytes = kLanes / 8;
  const int64_t mode = x.arg(10);
  RequireCompareMask(x);
  const Lanes lanes = MakeLanes(x, 3, sizeof(T));
  if (lanes.repeats == 0) return;
  const VecOperand a = ResolveVec(x, lanes, 1, sizeof(T), x.u(5), x.u(8), false);
  const uint8_t* bits = x.core().compare_mask;
  VecOperand b = {};
  if (mode == 1) {
    bits = x.Read(2, Runs(lanes.repeats * kBitBytes));
  } else {
    b = ResolveVec(x, lanes, 2, sizeof(T), x.u(6), x.u(9), false);
  }
  if (mode == 2) {
    uint32_t address;
    std::memcpy(&address, x.core().compare_mask, sizeof(address));
    // Reported under operand src1, whose selection it decides.
    bits = x.Access(2, address, Runs(lanes.repeats * kBitBytes), false, 0, nullptr, 0);
  }
  const VecOperand dst = ResolveVec(x, lanes, 0, sizeof(T), x.u(4), x.u(7), true);
  T scalar;
  std::memcpy(&scalar, x.core().compare_mask, sizeof(scalar));
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    const auto row = static_cast<int64_t>(r);
    const bool last = r + 1 == lanes.repeats;
    const uint32_t top = last ? lanes.last_top : lanes.top;
    const uint8_t* row_bits = mode == 0 ? bits : bits + r * kBitBytes;
    T va[kLanes] = {}, vb[kLanes] = {};
    LoadLanes<T, kLanes>(a.data + row * a.repeat, a.block, top, va);
    if (mode != 1) LoadLanes<T, kLanes>(b.data + row * b.repeat, b.block, top, vb);
    for (int e = 0; e < kLanes; ++e) {
      if (!Bit(row_bits, e)) va[e] = mode == 1 ? scalar : vb[e];
    }
    StoreLanes<T, kLanes>(dst.data + row * dst.repeat, dst.block, top,
                          last ? lanes.last_mask : lanes.mask, va);
  }
}

}  // namespace

void VecCompare(Exec& x) {
  if (x.type() == VNPU_T_f16) return ComparePacked<LaneF16>(x);
  if (x.type() == VNPU_T_s32) return ComparePacked<LaneS32>(x);
  ComparePacked<LaneF32>(x);
}

void VecCompareScalar(Exec& x) {
  if (x.type() == VNPU_T_f16) return ComparePackedScalar<LaneF16>(x);
  if (x.type() == VNPU_T_s32) return ComparePackedScalar<LaneS32>(x);
  ComparePackedScalar<LaneF32>(x);
}

void VecCompareToMask(Exec& x) {
  if (x.type() == VNPU_T_f16) return CompareRegister<LaneF16>(x);
  if (x.type() == VNPU_T_s32) return CompareRegister<LaneS32>(x);
  CompareRegister<LaneF32>(x);
}

void VecSelect(Exec& x) { x.type() == VNPU_T_f16 ? Select<uint16_t>(x) : Select<uint32_t>(x); }

void SetCompareMask(Exec& x) {
  std::memcpy(x.core().compare_mask, x.Read(0, Runs(16), 16), 16);
  x.core().compare_mask_defined = true;
}

void GetCompareMask(Exec& x) {
  RequireCompareMask(x);
  std::memcpy(x.Write(0, Runs(16), 16), x.core().compare_mask, 16);
}

}  // namespace insns
}  // namespace vnpu
