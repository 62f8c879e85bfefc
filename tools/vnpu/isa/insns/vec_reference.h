// SPDX-License-Identifier: Apache-2.0
// Plain scalar loops for the tests of the vector unit: where lanes lie, which
// compute, and what the rest of UB must look like afterwards.
#ifndef VNPU_ISA_INSNS_VEC_REFERENCE_H_
#define VNPU_ISA_INSNS_VEC_REFERENCE_H_

#include <functional>
#include <string>
#include <vector>

#include "tools/vnpu/isa/insns/player.h"

namespace vnpu_test {

// Element formats by VnpuType.
struct Format {
  uint32_t type;
  int bytes;
  bool is_float;
  const char* name;
};
inline const Format kF16 = {VNPU_T_f16, 2, true, "f16"};
inline const Format kBf16 = {VNPU_T_bf16, 2, true, "bf16"};
inline const Format kF32 = {VNPU_T_f32, 4, true, "f32"};
inline const Format kS16 = {VNPU_T_s16, 2, false, "s16"};
inline const Format kU16 = {VNPU_T_u16, 2, false, "u16"};
inline const Format kS32 = {VNPU_T_s32, 4, false, "s32"};
inline const Format kU32 = {VNPU_T_u32, 4, false, "u32"};
inline const Format kS8 = {VNPU_T_s8, 1, false, "s8"};
inline const Format kU8 = {VNPU_T_u8, 1, false, "u8"};
inline const Format kS64 = {VNPU_T_s64, 8, false, "s64"};

inline bool IsNan(const Format& format, uint64_t bits) {
  if (!format.is_float) return false;
  if (format.bytes == 4) return (bits & 0x7fffffff) > 0x7f800000;
  return (bits & 0x7fff) > (format.type == VNPU_T_bf16 ? 0x7f80u : 0x7c00u);
}

inline uint64_t GetBits(const uint8_t* at, int bytes) {
  uint64_t bits = 0;
  std::memcpy(&bits, at, static_cast<size_t>(bytes));
  return bits;
}

// Which lanes compute: normal mode (mask, repeat) or counter mode (count).
struct LaneSet {
  const char* name;
  bool counter;
  uint64_t high, low;  // normal mode
  uint64_t count;      // counter mode
  int64_t repeat;      // the argument; ignored in counter mode
};
inline std::vector<LaneSet> StandardLaneSets() {
  constexpr uint64_t kAll = ~uint64_t{0};
  return {
      {"full1", false, kAll, kAll, 0, 1},
      {"full9", false, kAll, kAll, 0, 9},
      {"none", false, kAll, kAll, 0, 0},
      {"low5", false, 0, 0x1f, 0, 3},
      {"alternate", false, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0, 4},
      {"sparse", false, 0x8000000000000001, 0x0100000000000400, 0, 2},
      {"count1", true, 0, 0, 1, 7},
      {"count64", true, 0, 0, 64, 0},
      {"count65", true, 0, 0, 65, 1},
      {"count333", true, 0, 0, 333, 1},
      {"count0", true, 0, 0, 0, 3},
  };
}

inline void SetLanes(Player* player, const LaneSet& lanes) {
  if (lanes.counter) {
    player->CountMask(lanes.count);
  } else {
    player->Mask(lanes.high, lanes.low);
  }
}

// Calls fn(repeat, lane) for every lane that computes.
inline void ForEachLane(const LaneSet& lanes, int per_repeat,
                        const std::function<void(int64_t, int)>& fn) {
  if (lanes.counter) {
    for (uint64_t i = 0; i < lanes.count; ++i) {
      fn(static_cast<int64_t>(i) / per_repeat, static_cast<int>(i) % per_repeat);
    }
    return;
  }
  for (int64_t r = 0; r < lanes.repeat; ++r) {
    for (int e = 0; e < per_repeat; ++e) {
      const uint64_t word = e < 64 ? lanes.low : lanes.high;
      if ((word >> (e % 64) & 1) != 0) fn(r, e);
    }
  }
}

// One operand: where it starts and its strides in datablocks.
struct Operand {
  int64_t base, blk, rep;
  int64_t At(int64_t repeat, int lane, int bytes) const {
    const int per_block = 32 / bytes;
    return base + repeat * rep * 32 + lane / per_block * blk * 32 + lane % per_block * bytes;
  }
};

// Fills the image with values of a format: mostly ordinary, some special.
inline void FillImage(Player* player, const Format& format, uint64_t seed, double low = -8.0,
                      double high = 8.0, bool special = true) {
  static const uint16_t kHalves[] = {0x0000, 0x8000, 0x7c00, 0xfc00,
                                     0x0001, 0x83ff, 0x7bff, 0x7e00};
  static const uint32_t kFloats[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000,
                                     0x00000001, 0x807fffff, 0x7f7fffff, 0x7fc00000};
  Random random(seed);
  for (uint64_t at = 0; at < player->image_bytes(); at += format.bytes) {
    const bool pick = special && random.Below(16) == 0;
    uint64_t bits = random.Next();
    if (format.is_float) {
      const double v = random.Real(low, high);
      const uint64_t which = random.Below(8);
      if (format.bytes == 4) {
        bits = pick ? kFloats[which] : FloatBitsOf(static_cast<float>(v));
      } else if (format.type == VNPU_T_f16) {
        bits = pick ? kHalves[which] : HalfBits(v);
      } else {
        bits = pick ? kFloats[which] >> 16 : BfloatBits(v);
      }
    }
    std::memcpy(player->image() + at, &bits, static_cast<size_t>(format.bytes));
  }
}

inline std::vector<uint8_t> Snapshot(Player* player) {
  return std::vector<uint8_t>(player->image(), player->image() + player->image_bytes());
}

// The image must equal `expected`, read as elements of `format`; any nan equals
// any other.
inline void ExpectImage(Player* player, const std::vector<uint8_t>& expected, const Format& format,
                        const std::string& what) {
  int shown = 0;
  for (uint64_t at = 0; at < expected.size(); at += format.bytes) {
    const uint64_t want = GetBits(expected.data() + at, format.bytes);
    const uint64_t got = GetBits(player->image() + at, format.bytes);
    if (want == got || (IsNan(format, want) && IsNan(format, got))) continue;
    ADD_FAILURE() << what << ": byte " << at << " is 0x" << std::hex << got << ", expected 0x"
                  << want;
    if (++shown == 3) return;
  }
}

}  // namespace vnpu_test

#endif  // VNPU_ISA_INSNS_VEC_REFERENCE_H_
