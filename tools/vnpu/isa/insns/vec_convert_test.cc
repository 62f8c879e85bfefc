// SPDX-License-Identifier: Apache-2.0
// Every vconv_* against a conversion written on doubles: all types, roundings,
// ties, overflow, both overflow modes of CTRL.
#include <algorithm>
#include <limits>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 64 * 1024;
constexpr int64_t kDst = 0, kSrc = 32 * 1024;
constexpr uint64_t kKeep = uint64_t{1} << 48, kTruncate = uint64_t{1} << 59;

enum class Rounding { kExact, kNearestEven, kNearestAway, kFloor, kCeil, kZero, kOdd };

struct Conversion {
  uint32_t insn;
  const char* name;
  Format source, target;
  Rounding rounding;
};

const std::vector<Conversion>& Conversions() {
  const Format f16 = kF16, bf16 = kBf16, f32 = kF32, s8 = kS8, u8 = kU8, s16 = kS16, s32 = kS32,
               s64 = kS64;
  static const std::vector<Conversion> all = {
#define VNPU_CONV(name, source, target, rounding, mark) \
  {VNPU_INSN_##name, #name, source, target, Rounding::rounding},
#include "tools/vnpu/isa/conversions.inc"
#undef VNPU_CONV
  };
  return all;
}

// long double holds every int64 and every float.
using Wide = long double;

Wide Value(const Format& f, uint64_t bits) {
  if (f.type == VNPU_T_f16) return HalfValue(static_cast<uint16_t>(bits));
  if (f.type == VNPU_T_bf16) return BfloatValue(static_cast<uint16_t>(bits));
  if (f.type == VNPU_T_f32) return FloatOf(static_cast<uint32_t>(bits));
  if (f.type == VNPU_T_u8) return static_cast<Wide>(bits);
  const int shift = 64 - f.bytes * 8;
  return static_cast<Wide>(static_cast<int64_t>(bits << shift) >> shift);
}

Wide RoundWhole(Wide v, Rounding rounding) {
  switch (rounding) {
    case Rounding::kFloor:
      return std::floor(v);
    case Rounding::kCeil:
      return std::ceil(v);
    case Rounding::kZero:
      return std::trunc(v);
    case Rounding::kNearestAway:
      return v < 0 ? -std::floor(-v + 0.5L) : std::floor(v + 0.5L);
    case Rounding::kOdd: {
      const Wide down = std::trunc(v);
      if (down == v) return v;
      return std::fmod(down, 2.0L) != 0 ? down : down + (v < 0 ? -1 : 1);
    }
    default: {
      const Wide down = std::floor(v), rest = v - down;
      if (rest != 0.5L) return rest < 0.5L ? down : down + 1;
      return std::fmod(down, 2.0L) == 0 ? down : down + 1;
    }
  }
}

struct FloatFormat {
  int exponent_bits, mantissa_bits;
};
FloatFormat FloatFormatOf(const Format& f) {
  if (f.type == VNPU_T_f16) return {5, 10};
  if (f.type == VNPU_T_bf16) return {8, 7};
  return {8, 23};
}

uint64_t ToFloatFormat(Wide v, const Format& target, Rounding rounding, bool keep) {
  const FloatFormat f = FloatFormatOf(target);
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  const Wide largest = std::ldexp(2.0L - std::ldexp(1.0L, -f.mantissa_bits), bias);
  if (std::isnan(v))
    return keep || target.bytes == 4 ? EncodeFormat(NAN, f.exponent_bits, f.mantissa_bits) : 0;
  Wide out = v;
  if (!std::isinf(v) && v != 0) {
    const int exponent = std::max(std::ilogb(v), 1 - bias);
    const Wide unit = std::ldexp(1.0L, exponent - f.mantissa_bits);
    out = RoundWhole(v / unit, rounding) * unit;
    const bool toward_zero = rounding == Rounding::kZero || rounding == Rounding::kOdd ||
                             (rounding == Rounding::kFloor && v > 0) ||
                             (rounding == Rounding::kCeil && v < 0);
    if (std::fabs(out) > largest)
      out = std::copysign(toward_zero ? largest : static_cast<Wide>(INFINITY), v);
  }
  if (std::isinf(out) && !keep && target.bytes == 2) out = std::copysign(largest, out);
  // `out` is representable (or a signed zero): the encoder does not round.
  if (out == 0) return std::signbit(v) ? uint64_t{1} << (f.exponent_bits + f.mantissa_bits) : 0;
  return EncodeFormat(static_cast<double>(out), f.exponent_bits, f.mantissa_bits);
}

uint64_t ToInteger(Wide v, const Format& target, Rounding rounding, bool truncate) {
  const int bits = target.bytes * 8;
  const uint64_t field = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  if (std::isnan(v)) return 0;
  const Wide whole = std::isinf(v) ? v : RoundWhole(v, rounding);
  const bool is_unsigned = target.type == VNPU_T_u8;
  const Wide low = is_unsigned ? 0 : -std::ldexp(1.0L, bits - 1);
  const Wide high = std::ldexp(1.0L, is_unsigned ? bits : bits - 1) - 1;
  if (truncate && std::fabs(whole) < std::ldexp(1.0L, 63)) {
    return static_cast<uint64_t>(static_cast<int64_t>(whole)) & field;
  }
  const Wide clamped = std::min(std::max(whole, low), high);
  return static_cast<uint64_t>(static_cast<int64_t>(clamped)) & field;
}

uint64_t Expected(const Conversion& c, uint64_t bits, uint64_t ctrl) {
  const Wide v = Value(c.source, bits);
  if (c.target.type == VNPU_T_f32 && c.source.type == VNPU_T_f32) {
    if (std::isnan(v) || std::isinf(v)) return bits;
    const Wide whole = RoundWhole(v, c.rounding);
    return whole == 0 ? bits & 0x80000000u : FloatBitsOf(static_cast<float>(whole));
  }
  if (c.target.is_float) return ToFloatFormat(v, c.target, c.rounding, (ctrl & kKeep) != 0);
  return ToInteger(v, c.target, c.rounding, (ctrl & kTruncate) != 0);
}

// Values around ties and limits of the target, and random ones.
void FillSource(Player* player, const Conversion& c) {
  Random random(c.insn);
  FillImage(player, c.source, c.insn, -300, 300);
  if (!c.source.is_float) return;
  for (uint64_t at = kSrc; at + c.source.bytes <= kImage; at += 3 * c.source.bytes) {
    double v = std::floor(random.Real(-300, 300)) + 0.5;
    if (random.Below(4) == 0)
      v = std::ldexp(random.Real(-2, 2), static_cast<int>(random.Below(260)) - 140);
    // A float just above, below or on the middle of two halves or bfloats.
    auto bits = static_cast<uint64_t>(FloatBitsOf(static_cast<float>(v)));
    if (c.source.bytes == 4 && random.Below(2) == 0) {
      const uint64_t middle = c.target.type == VNPU_T_bf16 ? 0x8000 : 0x1000;
      bits = (bits & ~(2 * middle - 1)) + middle + random.Below(3) - 1;
    }
    if (c.source.type == VNPU_T_f16) bits = HalfBits(v);
    if (c.source.type == VNPU_T_bf16) bits = BfloatBits(v);
    std::memcpy(player->image() + at, &bits, c.source.bytes);
  }
}

void Check(Player* player, const Conversion& c, const LaneSet& lanes, uint64_t ctrl,
           const Operand& dst, const Operand& src) {
  FillSource(player, c);
  std::vector<uint8_t> expected = Snapshot(player);
  const std::vector<uint8_t> before = expected;
  const int lanes_per_repeat = 256 / std::max(c.source.bytes, c.target.bytes);
  ForEachLane(lanes, lanes_per_repeat, [&](int64_t r, int e) {
    const uint64_t bits =
        Expected(c, GetBits(&before[src.At(r, e, c.source.bytes)], c.source.bytes), ctrl);
    std::memcpy(&expected[dst.At(r, e, c.target.bytes)], &bits, c.target.bytes);
  });
  player->Step(VNPU_INSN_set_ctrl, 0, ctrl);
  SetLanes(player, lanes);
  player->Step(c.insn, c.target.type, dst.base, src.base, lanes.repeat, dst.blk, src.blk, dst.rep,
               src.rep);
  ASSERT_EQ(player->Run(), "") << c.name;
  ExpectImage(player, expected, c.target, std::string(c.name) + " " + lanes.name);
}

TEST(VecConvert, EveryConversionMatchesArithmeticOnWideNumbers) {
  Player player(CoreKind::kVector, kImage);
  for (const Conversion& c : Conversions()) {
    const int widest = std::max(c.source.bytes, c.target.bytes);
    const Operand dst{kDst, 1, 8 * c.target.bytes / widest};
    const Operand src{kSrc, 1, 8 * c.source.bytes / widest};
    for (const LaneSet& lanes : StandardLaneSets()) {
      for (uint64_t ctrl : {kKeep, uint64_t{0}, kKeep | kTruncate}) {
        Check(&player, c, lanes, ctrl, dst, src);
      }
    }
  }
}

TEST(VecConvert, StridesApplyToEachOperand) {
  Player player(CoreKind::kVector, kImage);
  for (const Conversion& c : Conversions()) {
    Check(&player, c, StandardLaneSets()[1], kKeep, {kDst, 2, 17}, {kSrc, 3, 26});
    Check(&player, c, StandardLaneSets()[4], kKeep, {kDst, 1, 9}, {kSrc, 0, 1});
  }
}

TEST(VecConvert, DeqScalesBeforeRounding) {
  Player player(CoreKind::kVector, kImage);
  FillImage(&player, kS32, 4);
  for (int i = 0; i < 64; ++i) player.Put<int32_t>(kSrc + i * 4, (i - 32) * 12345);
  std::vector<uint8_t> expected = Snapshot(&player);
  const double scale = 0.0009765625;  // 2^-10
  for (int i = 0; i < 64; ++i) {
    const uint16_t h = HalfBits((i - 32) * 12345 * scale);
    std::memcpy(&expected[kDst + i * 2], &h, sizeof(h));
  }
  player.FullMask();
  player.Step(VNPU_INSN_set_deqscale, 0, HalfBits(scale));
  player.Step(VNPU_INSN_vconv_deq, VNPU_T_f16, kDst, kSrc, 1, 1, 1, 4, 8);
  ASSERT_EQ(player.Run(), "");
  ExpectImage(&player, expected, kF16, "vconv_deq");
}

}  // namespace
}  // namespace vnpu_test
