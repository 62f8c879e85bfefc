// SPDX-License-Identifier: Apache-2.0
// Comparisons and selects against plain loops.
#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 96 * 1024;
constexpr int64_t kDst = 0, kSrc0 = 32 * 1024, kSrc1 = 48 * 1024, kBits = 64 * 1024;

double ValueOf(const Format& f, uint64_t bits) {
  if (f.type == VNPU_T_s32) return static_cast<int32_t>(bits);
  return f.bytes == 2 ? HalfValue(static_cast<uint16_t>(bits))
                      : FloatOf(static_cast<uint32_t>(bits));
}

uint64_t One(const Format& f) {
  if (f.type == VNPU_T_s32) return 1;
  return f.bytes == 2 ? HalfBits(1) : FloatBitsOf(1.0f);
}

bool Holds(uint32_t op, double a, double b) {
  switch (op) {
    case 0:
      return a == b;
    case 1:
      return a != b;
    case 2:
      return a < b;
    case 3:
      return a <= b;
    case 4:
      return a > b;
    default:
      return a >= b;
  }
}

void SetBit(uint8_t* bits, int64_t lane, bool value) {
  bits[lane / 8] = static_cast<uint8_t>((bits[lane / 8] & ~(1 << lane % 8)) | value << lane % 8);
}

// Small whole numbers, so that equality happens, and some nans.
void FillComparable(Player* player, const Format& f) {
  Random random(f.type);
  for (uint64_t at = 0; at < kImage; at += f.bytes) {
    const double v = static_cast<double>(random.Below(5)) - 2;
    uint64_t bits = f.bytes == 2 ? HalfBits(v) : FloatBitsOf(static_cast<float>(v));
    if (f.type == VNPU_T_s32) bits = static_cast<uint32_t>(static_cast<int32_t>(v));
    if (f.is_float && random.Below(20) == 0) bits = f.bytes == 2 ? 0x7e00 : 0x7fc00000;
    std::memcpy(player->image() + at, &bits, f.bytes);
  }
}

TEST(VecCompare, PacksOneBitPerLaneAndIgnoresTheMask) {
  Player player(CoreKind::kVector, kImage);
  const Operand a{kSrc0, 2, 17}, b{kSrc1, 1, 0};
  for (const Format& f : {kF16, kF32, kS32}) {
    for (uint32_t op = 0; op < (f.type == VNPU_T_s32 ? 1u : 6u); ++op) {
      for (int64_t repeat : {0, 1, 3}) {
        FillComparable(&player, f);
        std::vector<uint8_t> expected = Snapshot(&player);
        const int lanes = 256 / f.bytes;
        for (int64_t i = 0; i < repeat * lanes; ++i) {
          const int e = static_cast<int>(i % lanes);
          const uint64_t x = GetBits(&expected[a.At(i / lanes, e, f.bytes)], f.bytes);
          const uint64_t y = GetBits(&expected[b.At(i / lanes, e, f.bytes)], f.bytes);
          SetBit(&expected[kDst], i, Holds(op, ValueOf(f, x), ValueOf(f, y)));
        }
        player.Mask(0, 1);
        player.Step(VNPU_INSN_vcmpv_eq + op, f.type, kDst, a.base, b.base, repeat, 1, a.blk, b.blk,
                    8, a.rep, b.rep);
        ASSERT_EQ(player.Run(), "");
        ExpectImage(&player, expected, kU16, "vcmpv " + std::to_string(op) + f.name);
      }
    }
  }
}

TEST(VecCompareScalar, ComparesWithOneValue) {
  Player player(CoreKind::kVector, kImage);
  const Operand a{kSrc0, 1, 8};
  for (const Format& f : {kF16, kF32, kS32}) {
    for (uint32_t op = 0; op < (f.type == VNPU_T_s32 ? 1u : 6u); ++op) {
      FillComparable(&player, f);
      std::vector<uint8_t> expected = Snapshot(&player);
      const int lanes = 256 / f.bytes;
      for (int i = 0; i < 2 * lanes; ++i) {
        const uint64_t x = GetBits(&expected[a.At(i / lanes, i % lanes, f.bytes)], f.bytes);
        SetBit(&expected[kDst], i, Holds(op, ValueOf(f, x), 1.0));
      }
      player.Step(VNPU_INSN_vcmpvs_eq + op, f.type, kDst, a.base, One(f), 2, 1, 1, 8, 8);
      ASSERT_EQ(player.Run(), "");
      ExpectImage(&player, expected, kU16, "vcmpvs " + std::to_string(op) + f.name);
    }
  }
}

// The register keeps the bits of lanes that are masked off.
TEST(VecCompareToMask, RegisterIsReadBack) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kF16, kF32, kS32}) {
    for (uint32_t op = 0; op < (f.type == VNPU_T_s32 ? 1u : 6u); ++op) {
      FillComparable(&player, f);
      std::vector<uint8_t> expected = Snapshot(&player);
      uint8_t bits[16];
      std::memcpy(bits, &expected[kBits], sizeof(bits));
      const LaneSet lanes{"", false, 0x00ff00ff00ff00ff, 0xff00ff00ff00ff01, 0, 1};
      ForEachLane(lanes, 256 / f.bytes, [&](int64_t, int e) {
        const uint64_t x = GetBits(&expected[kSrc0 + e * f.bytes], f.bytes);
        const uint64_t y = GetBits(&expected[kSrc1 + e * f.bytes], f.bytes);
        SetBit(bits, e, Holds(op, ValueOf(f, x), ValueOf(f, y)));
      });
      std::memcpy(&expected[kDst], bits, sizeof(bits));
      SetLanes(&player, lanes);
      player.Step(VNPU_INSN_set_cmpmask, 0, kBits);
      player.Step(VNPU_INSN_vcmp_eq + op, f.type, kSrc0, kSrc1, 1, 1, 1, 1, 8, 8, 8);
      player.Step(VNPU_INSN_get_cmpmask, 0, kDst);
      ASSERT_EQ(player.Run(), "");
      ExpectImage(&player, expected, kU16, "vcmp " + std::to_string(op) + f.name);
    }
  }
}

TEST(VecSelect, AllModesOverMasksAndStrides) {
  Player player(CoreKind::kVector, kImage);
  constexpr int64_t kRegister = 80 * 1024;  // what set_cmpmask loads
  for (const Format& f : {kF16, kF32}) {
    const int per_repeat = 256 / f.bytes;
    for (int mode = 0; mode < 3; ++mode) {
      for (const LaneSet& lanes : StandardLaneSets()) {
        FillImage(&player, f, 5, -4, 4, false);
        if (mode == 2) player.Put(kRegister, static_cast<uint32_t>(kBits));
        std::vector<uint8_t> expected = Snapshot(&player);
        const std::vector<uint8_t> before = expected;
        const Operand dst{kDst, 1, 9}, a{kSrc0, 2, 17}, b{kSrc1, 1, 8};
        ForEachLane(lanes, per_repeat, [&](int64_t r, int e) {
          const int64_t bit = mode == 0 ? e : r * per_repeat + e;
          const uint8_t* bits = &before[mode == 0 ? kRegister : kBits];
          const bool first = (bits[bit / 8] >> bit % 8 & 1) != 0;
          const uint8_t* from = first       ? &before[a.At(r, e, f.bytes)]
                                : mode == 1 ? &before[kRegister]
                                            : &before[b.At(r, e, f.bytes)];
          std::memcpy(&expected[dst.At(r, e, f.bytes)], from, f.bytes);
        });
        player.Step(VNPU_INSN_set_cmpmask, 0, kRegister);
        SetLanes(&player, lanes);
        player.Step(VNPU_INSN_vsel, f.type, dst.base, a.base, mode == 1 ? kBits : b.base,
                    lanes.repeat, dst.blk, a.blk, b.blk, dst.rep, a.rep, b.rep, mode);
        ASSERT_EQ(player.Run(), "");
        ExpectImage(&player, expected, f, "vsel " + std::to_string(mode) + lanes.name);
      }
    }
  }
}

TEST(VecSelect, NeedsACompareMask) {
  Player player(CoreKind::kVector, kImage);
  player.FullMask();
  player.Step(VNPU_INSN_vsel, VNPU_T_f32, kDst, kSrc0, kSrc1, 1, 1, 1, 1, 8, 8, 8, 0);
  EXPECT_EQ(player.Run().substr(0, 30), "undefined register: vsel needs");
}

}  // namespace
}  // namespace vnpu_test
