// SPDX-License-Identifier: Apache-2.0
// Element-wise vector operations against plain loops: types, strides, masks,
// repeats, tails.
#include <algorithm>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 96 * 1024;
constexpr int64_t kDst = 0, kSrc0 = 32 * 1024, kSrc1 = 64 * 1024;
constexpr int kKeep = 48;      // CTRL: keep inf and nan
constexpr int kSaturate = 53;  // CTRL: integers saturate

// Bits in, bits out: (src0, src1 or scalar, old dst).
using BitsFn = std::function<uint64_t(uint64_t, uint64_t, uint64_t)>;

struct Case {
  uint32_t insn;
  const char* name;
  Format format;
  BitsFn fn;
};

using RealFn = double (*)(double, double, double);
using WholeFn = int64_t (*)(int64_t, int64_t, int64_t);

// A half computed once in double and rounded once; a float in float.
Case Real(uint32_t insn, const char* name, const Format& format, RealFn fn) {
  if (format.bytes == 2) {
    return {insn, name, format, [fn](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
              return HalfBits(fn(HalfValue(a), HalfValue(b), HalfValue(d)));
            }};
  }
  return {insn, name, format, [fn](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
            const double v = fn(FloatOf(a), FloatOf(b), FloatOf(d));
            return FloatBitsOf(static_cast<float>(v));
          }};
}

Case Whole(uint32_t insn, const char* name, const Format& format, WholeFn fn, bool saturate) {
  const int bits = format.bytes * 8;
  return {insn, name, format, [=](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
            const auto extend = [bits](uint64_t v) {
              return static_cast<int64_t>(v << (64 - bits)) >> (64 - bits);
            };
            int64_t v = fn(extend(a), extend(b), extend(d));
            const int64_t top = (int64_t{1} << (bits - 1)) - 1;
            if (saturate) v = std::min(std::max(v, -top - 1), top);
            return static_cast<uint64_t>(v) & ((uint64_t{1} << bits) - 1);
          }};
}

struct Strides {
  int64_t dst_blk, src0_blk, src1_blk, dst_rep, src0_rep, src1_rep;
};
const Strides kStrides[] = {
    {1, 1, 1, 8, 8, 8}, {2, 1, 3, 17, 8, 25}, {1, 0, 1, 8, 1, 8},
    {1, 1, 0, 8, 8, 1}, {1, 1, 1, 8, 8, 0},   {4, 2, 1, 40, 16, 9},
};

void CheckBinary(Player* player, const Case& c, const Strides& s, const LaneSet& lanes,
                 bool in_place) {
  const int bytes = c.format.bytes;
  const Operand src0{kSrc0, s.src0_blk, s.src0_rep}, src1{kSrc1, s.src1_blk, s.src1_rep};
  const Operand dst = in_place ? src0 : Operand{kDst, s.dst_blk, s.dst_rep};
  FillImage(player, c.format, c.insn + 7);
  std::vector<uint8_t> expected = Snapshot(player);
  const std::vector<uint8_t> before = expected;
  ForEachLane(lanes, 256 / bytes, [&](int64_t r, int e) {
    const uint64_t bits = c.fn(GetBits(&before[src0.At(r, e, bytes)], bytes),
                               GetBits(&before[src1.At(r, e, bytes)], bytes),
                               GetBits(&before[dst.At(r, e, bytes)], bytes));
    std::memcpy(&expected[dst.At(r, e, bytes)], &bits, bytes);
  });
  SetLanes(player, lanes);
  player->Step(c.insn, c.format.type, dst.base, src0.base, src1.base, lanes.repeat, dst.blk,
               src0.blk, src1.blk, dst.rep, src0.rep, src1.rep);
  ASSERT_EQ(player->Run(), "");
  ExpectImage(
      player, expected, c.format,
      std::string(c.name) + "_" + c.format.name + " " + lanes.name + (in_place ? " in place" : ""));
}

void CheckUnary(Player* player, const Case& c, const Strides& s, const LaneSet& lanes,
                bool has_scalar, uint64_t scalar) {
  const int bytes = c.format.bytes;
  const Operand dst{kDst, s.dst_blk, s.dst_rep}, src{kSrc0, s.src0_blk, s.src0_rep};
  FillImage(player, c.format, c.insn + 7);
  std::vector<uint8_t> expected = Snapshot(player);
  const std::vector<uint8_t> before = expected;
  ForEachLane(lanes, 256 / bytes, [&](int64_t r, int e) {
    const uint64_t bits = c.fn(GetBits(&before[src.At(r, e, bytes)], bytes), scalar,
                               GetBits(&before[dst.At(r, e, bytes)], bytes));
    std::memcpy(&expected[dst.At(r, e, bytes)], &bits, bytes);
  });
  SetLanes(player, lanes);
  if (has_scalar) {
    player->Step(c.insn, c.format.type, dst.base, src.base, scalar, lanes.repeat, dst.blk, src.blk,
                 dst.rep, src.rep);
  } else {
    player->Step(c.insn, c.format.type, dst.base, src.base, lanes.repeat, dst.blk, src.blk, dst.rep,
                 src.rep);
  }
  ASSERT_EQ(player->Run(), "");
  ExpectImage(player, expected, c.format,
              std::string(c.name) + "_" + c.format.name + " " + lanes.name);
}

double Max(double a, double b, double) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
}
double Min(double a, double b, double) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b);
}

std::vector<Case> BinaryCases() {
  std::vector<Case> cases;
  for (const Format& f : {kF16, kF32}) {
    cases.push_back(
        Real(VNPU_INSN_vadd, "vadd", f, [](double a, double b, double) { return a + b; }));
    cases.push_back(
        Real(VNPU_INSN_vsub, "vsub", f, [](double a, double b, double) { return a - b; }));
    cases.push_back(
        Real(VNPU_INSN_vmul, "vmul", f, [](double a, double b, double) { return a * b; }));
    cases.push_back(
        Real(VNPU_INSN_vdiv, "vdiv", f, [](double a, double b, double) { return a / b; }));
    cases.push_back(Real(VNPU_INSN_vmax, "vmax", f, Max));
    cases.push_back(Real(VNPU_INSN_vmin, "vmin", f, Min));
    cases.push_back(Real(VNPU_INSN_vaddrelu, "vaddrelu", f, [](double a, double b, double) {
      return a + b > 0 ? a + b : a + b <= 0 ? 0.0 : NAN;
    }));
    cases.push_back(Real(VNPU_INSN_vsubrelu, "vsubrelu", f, [](double a, double b, double) {
      return a - b > 0 ? a - b : a - b <= 0 ? 0.0 : NAN;
    }));
  }
  for (const Format& f : {kS16, kS32}) {
    cases.push_back(Whole(
        VNPU_INSN_vadd, "vadd", f, [](int64_t a, int64_t b, int64_t) { return a + b; }, false));
    cases.push_back(Whole(
        VNPU_INSN_vsub, "vsub", f, [](int64_t a, int64_t b, int64_t) { return a - b; }, false));
    cases.push_back(Whole(
        VNPU_INSN_vmul, "vmul", f, [](int64_t a, int64_t b, int64_t) { return a * b; }, false));
    cases.push_back(Whole(
        VNPU_INSN_vmax, "vmax", f, [](int64_t a, int64_t b, int64_t) { return std::max(a, b); },
        false));
    cases.push_back(Whole(
        VNPU_INSN_vmin, "vmin", f, [](int64_t a, int64_t b, int64_t) { return std::min(a, b); },
        false));
  }
  cases.push_back(Whole(
      VNPU_INSN_vaddrelu, "vaddrelu", kS16,
      [](int64_t a, int64_t b, int64_t) { return std::max<int64_t>(a + b, 0); }, false));
  cases.push_back(Whole(
      VNPU_INSN_vsubrelu, "vsubrelu", kS16,
      [](int64_t a, int64_t b, int64_t) { return std::max<int64_t>(a - b, 0); }, false));
  for (const Format& f : {kU16, kS16}) {
    cases.push_back(Whole(
        VNPU_INSN_vand, "vand", f, [](int64_t a, int64_t b, int64_t) { return a & b; }, false));
    cases.push_back(
        Whole(VNPU_INSN_vor, "vor", f, [](int64_t a, int64_t b, int64_t) { return a | b; }, false));
  }
  return cases;
}

TEST(VecBinary, MatchesScalarLoopOverStridesMasksAndTypes) {
  Player player(CoreKind::kVector, kImage);
  for (const Case& c : BinaryCases()) {
    for (const Strides& s : kStrides) {
      for (const LaneSet& lanes : StandardLaneSets()) CheckBinary(&player, c, s, lanes, false);
    }
    CheckBinary(&player, c, kStrides[0], StandardLaneSets()[1], true);
    CheckBinary(&player, c, kStrides[3], StandardLaneSets()[4], true);
  }
}

TEST(VecBinary, IntegersSaturateWhenCtrlSaysSo) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kS16, kS32}) {
    for (const Case& c :
         {Whole(
              VNPU_INSN_vadd, "vadd", f, [](int64_t a, int64_t b, int64_t) { return a + b; }, true),
          Whole(
              VNPU_INSN_vmul, "vmul", f, [](int64_t a, int64_t b, int64_t) { return a * b; },
              true)}) {
      player.Step(VNPU_INSN_set_ctrl, 0, int64_t{1} << kKeep | int64_t{1} << kSaturate);
      CheckBinary(&player, c, kStrides[0], StandardLaneSets()[1], false);
    }
  }
}

TEST(VecBinary, HalfOverflowClampsWhenCtrlSaysSo) {
  Player player(CoreKind::kVector, kImage);
  const Case c{VNPU_INSN_vmul, "vmul", kF16, [](uint64_t a, uint64_t b, uint64_t) -> uint64_t {
                 const double v = HalfValue(a) * HalfValue(b);
                 if (std::isnan(v)) return 0;
                 const uint16_t h = HalfBits(v);
                 return (h & 0x7fff) == 0x7c00 ? (h & 0x8000u) | 0x7bffu : h;
               }};
  player.Step(VNPU_INSN_set_ctrl, 0, 0);
  CheckBinary(&player, c, kStrides[0], StandardLaneSets()[1], false);
}

TEST(VecBinary, FusedFormsUseTheOldDestination) {
  Player player(CoreKind::kVector, kImage);
  for (const LaneSet& lanes : StandardLaneSets()) {
    for (const Strides& s : {kStrides[0], kStrides[1]}) {
      // Products of halves are exact in float and double, so one rounding each
      // way; for floats the product is rounded before the sum.
      const Case mla16 = Real(VNPU_INSN_vmla, "vmla", kF16, [](double a, double b, double d) {
        return static_cast<double>(
            static_cast<float>(static_cast<float>(a * b) + static_cast<float>(d)));
      });
      const Case mla32{VNPU_INSN_vmla, "vmla", kF32,
                       [](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
                         volatile float product = FloatOf(a) * FloatOf(b);
                         return FloatBitsOf(product + FloatOf(d));
                       }};
      const Case madd32{VNPU_INSN_vmadd, "vmadd", kF32,
                        [](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
                          volatile float product = FloatOf(a) * FloatOf(d);
                          return FloatBitsOf(product + FloatOf(b));
                        }};
      const Case maddrelu32{VNPU_INSN_vmaddrelu, "vmaddrelu", kF32,
                            [](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
                              volatile float product = FloatOf(a) * FloatOf(d);
                              const float v = product + FloatOf(b);
                              return v != v ? FloatBitsOf(v) : FloatBitsOf(v > 0 ? v : 0.0f);
                            }};
      const Case madd16 = Real(VNPU_INSN_vmadd, "vmadd", kF16, [](double a, double b, double d) {
        return static_cast<double>(static_cast<float>(a * d) + static_cast<float>(b));
      });
      const Case maddrelu16 =
          Real(VNPU_INSN_vmaddrelu, "vmaddrelu", kF16, [](double a, double b, double d) {
            const float v = static_cast<float>(a * d) + static_cast<float>(b);
            return static_cast<double>(v != v || v > 0 ? v : 0.0f);
          });
      for (const Case& c : {mla16, mla32, madd16, madd32, maddrelu16, maddrelu32}) {
        CheckBinary(&player, c, s, lanes, false);
      }
    }
  }
}

TEST(VecUnary, MatchesScalarLoopOverStridesMasksAndTypes) {
  Player player(CoreKind::kVector, kImage);
  std::vector<Case> cases;
  for (const Format& f : {kF16, kF32}) {
    cases.push_back(
        Real(VNPU_INSN_vabs, "vabs", f, [](double a, double, double) { return std::fabs(a); }));
    cases.push_back(Real(VNPU_INSN_vrelu, "vrelu", f, [](double a, double, double) {
      return std::isnan(a) ? a : a > 0 ? a : 0.0;
    }));
    cases.push_back(
        Real(VNPU_INSN_vsqrt, "vsqrt", f, [](double a, double, double) { return std::sqrt(a); }));
  }
  for (const Format& f : {kS16, kS32}) {
    cases.push_back(Whole(
        VNPU_INSN_vabs, "vabs", f, [](int64_t a, int64_t, int64_t) { return a < 0 ? -a : a; },
        false));
    cases.push_back(Whole(
        VNPU_INSN_vrelu, "vrelu", f, [](int64_t a, int64_t, int64_t) { return a < 0 ? 0 : a; },
        false));
  }
  for (const Format& f : {kU16, kS16}) {
    cases.push_back(
        Whole(VNPU_INSN_vnot, "vnot", f, [](int64_t a, int64_t, int64_t) { return ~a; }, false));
  }
  for (const Case& c : cases) {
    for (const Strides& s : kStrides) {
      for (const LaneSet& lanes : StandardLaneSets()) CheckUnary(&player, c, s, lanes, false, 0);
    }
  }
}

TEST(VecScalar, MatchesScalarLoopOverStridesMasksAndTypes) {
  Player player(CoreKind::kVector, kImage);
  std::vector<std::pair<Case, uint64_t>> cases;
  for (const Format& f : {kF16, kF32}) {
    for (double v : {1.5, -0.75, 1000.0}) {
      const uint64_t bits = f.bytes == 2 ? HalfBits(v) : FloatBitsOf(static_cast<float>(v));
      cases.push_back(
          {Real(VNPU_INSN_vadds, "vadds", f, [](double a, double b, double) { return a + b; }),
           bits});
      cases.push_back(
          {Real(VNPU_INSN_vmuls, "vmuls", f, [](double a, double b, double) { return a * b; }),
           bits});
      cases.push_back({Real(VNPU_INSN_vmaxs, "vmaxs", f, Max), bits});
      cases.push_back({Real(VNPU_INSN_vmins, "vmins", f, Min), bits});
      cases.push_back(
          {Real(VNPU_INSN_vlrelu, "vlrelu", f,
                [](double a, double b, double) { return a >= 0 || std::isnan(a) ? a : a * b; }),
           bits});
    }
  }
  cases.push_back({Case{VNPU_INSN_vaxpy, "vaxpy", kF32,
                        [](uint64_t a, uint64_t b, uint64_t d) -> uint64_t {
                          volatile float product = FloatOf(a) * FloatOf(b);
                          return FloatBitsOf(product + FloatOf(d));
                        }},
                   FloatBitsOf(2.7f)});
  for (const Format& f : {kS16, kS32}) {
    const uint64_t bits = f.bytes == 2 ? 0xff9c : 0xffffff9c;  // -100
    cases.push_back({Whole(
                         VNPU_INSN_vadds, "vadds", f,
                         [](int64_t a, int64_t b, int64_t) { return a + b; }, false),
                     bits});
    cases.push_back({Whole(
                         VNPU_INSN_vmuls, "vmuls", f,
                         [](int64_t a, int64_t b, int64_t) { return a * b; }, false),
                     bits});
    cases.push_back({Whole(
                         VNPU_INSN_vmaxs, "vmaxs", f,
                         [](int64_t a, int64_t b, int64_t) { return std::max(a, b); }, false),
                     bits});
    cases.push_back({Whole(
                         VNPU_INSN_vmins, "vmins", f,
                         [](int64_t a, int64_t b, int64_t) { return std::min(a, b); }, false),
                     bits});
  }
  for (const auto& [c, scalar] : cases) {
    for (const Strides& s : {kStrides[0], kStrides[1], kStrides[2]}) {
      for (const LaneSet& lanes : StandardLaneSets())
        CheckUnary(&player, c, s, lanes, true, scalar);
    }
  }
}

// Shifts: logical for unsigned, arithmetic for signed; round adds half a unit.
TEST(VecShift, MatchesScalarLoop) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kU16, kS16, kU32, kS32}) {
    const int bits = f.bytes * 8;
    const bool is_signed = f.type == VNPU_T_s16 || f.type == VNPU_T_s32;
    for (int64_t distance : {0, 1, 5, bits - 1, bits}) {
      for (int mode = 0; mode < 3; ++mode) {  // left, right, right rounded
        FillImage(&player, f, 3);
        std::vector<uint8_t> expected = Snapshot(&player);
        for (int i = 0; i < 512 / f.bytes; ++i) {
          const uint64_t raw = GetBits(&expected[kSrc0 + i * f.bytes], f.bytes);
          const int64_t v = is_signed ? static_cast<int64_t>(raw << (64 - bits)) >> (64 - bits)
                                      : static_cast<int64_t>(raw);
          const int64_t half = mode == 2 && distance > 0 ? int64_t{1} << (distance - 1) : 0;
          const uint64_t out =
              mode == 0 ? raw << distance : static_cast<uint64_t>((v + half) >> distance);
          std::memcpy(&expected[kDst + i * f.bytes], &out, f.bytes);
        }
        player.FullMask();
        player.Step(mode == 0 ? VNPU_INSN_vshl : VNPU_INSN_vshr, f.type, kDst, kSrc0, distance, 2,
                    1, 1, 8, 8, mode == 2 ? 1 : 0);
        ASSERT_EQ(player.Run(), "");
        ExpectImage(&player, expected, f, std::string("shift ") + f.name);
      }
    }
  }
}

// Lanes that do not compute are not accessed: an operand may end with UB.
TEST(VecUnary, OnlyActiveDatablocksAreAccessed) {
  constexpr int64_t kEnd = 192 * 1024;
  Player player(CoreKind::kVector, kImage);
  const LaneSet count{"", true, 0, 0, 65, 1}, low{"", false, 0, 0xff, 0, 2};
  for (const LaneSet& lanes : {count, low}) {
    // Two repeats, the last of one datablock, which is the last of UB.
    const int64_t src = kEnd - 32 - 256;
    SetLanes(&player, lanes);
    player.Step(VNPU_INSN_vabs, VNPU_T_f32, kDst, src, lanes.repeat, 1, 1, 8, 8);
    EXPECT_EQ(player.Run(), "");
    SetLanes(&player, lanes);
    player.Step(VNPU_INSN_vabs, VNPU_T_f32, kDst, src + 32, lanes.repeat, 1, 1, 8, 8);
    EXPECT_EQ(player.Run().substr(0, 20), "out of bounds: vabs ");
  }
}

// dst += src * scalar on halves, and on floats from halves.
TEST(VecScalar, AxpyAccumulates) {
  Player player(CoreKind::kVector, kImage);
  const Case axpy16 = Real(VNPU_INSN_vaxpy, "vaxpy", kF16, [](double a, double b, double d) {
    return static_cast<double>(static_cast<float>(a * b) + static_cast<float>(d));
  });
  for (const LaneSet& lanes : StandardLaneSets()) {
    CheckUnary(&player, axpy16, kStrides[1], lanes, true, HalfBits(-1.375));
  }
  FillImage(&player, kF16, 5, -4, 4, false);
  for (int i = 0; i < 64; ++i) player.Put(kDst + i * 4, 0.3f * static_cast<float>(i));
  std::vector<uint8_t> expected = Snapshot(&player);
  for (int i = 0; i < 64; ++i) {
    const auto a = static_cast<float>(HalfValue(player.Get<uint16_t>(kSrc0 + i * 2)));
    const float sum = a * 1.5f + player.Get<float>(kDst + i * 4);  // the product is exact
    std::memcpy(&expected[kDst + i * 4], &sum, sizeof(sum));
  }
  player.FullMask();
  player.Step(VNPU_INSN_vaxpy, VNPU_T_f16_to_f32, kDst, kSrc0, HalfBits(1.5), 1, 1, 1, 8, 4);
  ASSERT_EQ(player.Run(), "");
  ExpectImage(&player, expected, kF32, "vaxpy f32 += f16 * scalar");
}

// float += half * half
TEST(VecBinary, HalfProductsAccumulateInFloat) {
  Player player(CoreKind::kVector, kImage);
  FillImage(&player, kF16, 5, -4, 4, false);
  Random random(9);
  for (int i = 0; i < 128; ++i) player.Put(kDst + i * 4, static_cast<float>(random.Real(-9, 9)));
  std::vector<uint8_t> expected = Snapshot(&player);
  for (int i = 0; i < 128; ++i) {
    const float a = static_cast<float>(HalfValue(player.Get<uint16_t>(kSrc0 + i * 2)));
    const float b = static_cast<float>(HalfValue(player.Get<uint16_t>(kSrc1 + i * 2)));
    const float sum = a * b + player.Get<float>(kDst + i * 4);  // the product is exact
    std::memcpy(&expected[kDst + i * 4], &sum, sizeof(sum));
  }
  player.FullMask();
  player.Step(VNPU_INSN_vmla, VNPU_T_f16_to_f32, kDst, kSrc0, kSrc1, 2, 1, 1, 1, 8, 4, 4);
  ASSERT_EQ(player.Run(), "");
  ExpectImage(&player, expected, kF32, "vmla f32 += f16 * f16");
}

}  // namespace
}  // namespace vnpu_test
