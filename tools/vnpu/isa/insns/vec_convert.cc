// SPDX-License-Identifier: Apache-2.0
// Conversions. Lanes are counted by the wider of the two types.
#include <cmath>
#include <limits>
#include <type_traits>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

// How overflow is treated, from CTRL.
struct Overflow {
  bool keep_inf_nan;
  bool truncate;  // integers drop high bits in place of saturating
};

// Tags: how the bits of a type become a double, and back under a rounding.
struct F16 {
  using Bits = uint16_t;
  static double Load(uint16_t b) { return HalfToFloat(b); }
};
struct Bf16 {
  using Bits = uint16_t;
  static double Load(uint16_t b) { return BfloatToFloat(b); }
};
struct F32 {
  using Bits = float;
  static double Load(float v) { return v; }
};
template <typename T>
struct Int {
  using Bits = T;
  static double Load(T v) { return static_cast<double>(v); }
};

// Rounds `v` (not inf, not nan) to a binary format of `mantissa` stored bits
// whose normal numbers start at 2^min_exponent.
double RoundToFormat(double v, int mantissa, int min_exponent, Rounding rounding) {
  if (v == 0.0) return v;
  int exponent = std::ilogb(v);
  if (exponent < min_exponent) exponent = min_exponent;
  const double unit = std::ldexp(1.0, exponent - mantissa);
  const double scaled = v / unit;
  if (rounding != Rounding::kOdd) return RoundToIntegral(scaled, rounding) * unit;
  const double down = std::trunc(scaled);
  if (down == scaled) return v;
  // Inexact: of the two neighbours, the one with an odd last bit.
  const bool odd = std::fmod(std::fabs(down), 2.0) == 1.0;
  return (odd ? down : down + std::copysign(1.0, scaled)) * unit;
}

// What a directed rounding makes of a value beyond the largest finite one.
double ClampOverflow(double rounded, double source, double largest, Rounding rounding) {
  if (std::fabs(rounded) <= largest) return rounded;
  const bool down = rounding == Rounding::kZero || rounding == Rounding::kOdd ||
                    (rounding == Rounding::kFloor && source > 0) ||
                    (rounding == Rounding::kCeil && source < 0);
  return std::copysign(down ? largest : std::numeric_limits<double>::infinity(), source);
}

uint16_t StoreF16(double v, Rounding rounding, Overflow overflow) {
  uint16_t h;
  if (v != v || std::isinf(v)) {
    h = FloatToHalf(static_cast<float>(v));
  } else {
    h = FloatToHalf(static_cast<float>(
        ClampOverflow(RoundToFormat(v, 10, -14, rounding), v, 65504.0, rounding)));
  }
  return overflow.keep_inf_nan ? h : SaturateHalf(h);
}

uint16_t StoreBf16(double v, Rounding rounding, Overflow overflow) {
  constexpr double kLargest = 3.3895313892515355e38;
  uint16_t b;
  if (v != v || std::isinf(v)) {
    b = FloatToBfloat(static_cast<float>(v));
  } else {
    b = FloatToBfloat(static_cast<float>(
        ClampOverflow(RoundToFormat(v, 7, -126, rounding), v, kLargest, rounding)));
  }
  return overflow.keep_inf_nan ? b : SaturateBfloat(b);
}

template <typename T>
T StoreInt(double v, Rounding rounding, Overflow overflow) {
  if (v != v) return 0;
  const double rounded = RoundToIntegral(v, rounding);
  constexpr double kMin = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double kMax = static_cast<double>(std::numeric_limits<T>::max());
  constexpr double kTwo63 = 9223372036854775808.0;
  if (overflow.truncate && std::fabs(rounded) < kTwo63) {
    return static_cast<T>(static_cast<int64_t>(rounded));
  }
  if (rounded <= kMin) return std::numeric_limits<T>::min();
  if (rounded >= kMax) return std::numeric_limits<T>::max();
  return static_cast<T>(rounded);
}

template <typename D>
typename D::Bits Store(double v, Rounding rounding, Overflow overflow) {
  if constexpr (std::is_same_v<D, F16>) {
    return StoreF16(v, rounding, overflow);
  } else if constexpr (std::is_same_v<D, Bf16>) {
    return StoreBf16(v, rounding, overflow);
  } else {
    return StoreInt<typename D::Bits>(v, rounding, overflow);
  }
}

// float targets: from float an integral value, from integers a rounded one.
template <typename S>
float StoreF32(typename S::Bits in, Rounding rounding) {
  if constexpr (std::is_same_v<S, F32>) {
    return static_cast<float>(std::isfinite(in) ? RoundToIntegral(in, rounding) : in);
  } else if constexpr (std::is_same_v<typename S::Bits, int64_t>) {
    // A double holds every int32 but not every int64.
    const double v = static_cast<double>(in);
    if (rounding == Rounding::kNearestEven) return static_cast<float>(in);
    const auto back = static_cast<int64_t>(v >= 9223372036854775808.0 ? 9.2e18 : v);
    const double exact_side = back == in  ? v
                              : back > in ? std::nextafter(v, -1e300)
                                          : std::nextafter(v, 1e300);
    return static_cast<float>(RoundToFormat(exact_side, 23, -126, rounding));
  } else {
    return static_cast<float>(RoundToFormat(S::Load(in), 23, -126, rounding));
  }
}

struct Operands {
  Lanes lanes;
  VecOperand dst, src;
};

Operands Resolve(Exec& x, uint32_t dst_bytes, uint32_t src_bytes) {
  Operands o;
  o.lanes = MakeLanes(x, 2, dst_bytes > src_bytes ? dst_bytes : src_bytes);
  if (o.lanes.repeats == 0) return o;
  o.src = ResolveVec(x, o.lanes, 1, src_bytes, x.u(4), x.u(6), false);
  o.dst = ResolveVec(x, o.lanes, 0, dst_bytes, x.u(3), x.u(5), true);
  return o;
}

template <typename S, typename D>
void Convert(Exec& x, Rounding rounding) {
  const Operands o = Resolve(x, sizeof(typename D::Bits), sizeof(typename S::Bits));
  const Overflow overflow{x.ctrl(kCtrlKeepInfNan), x.ctrl(kCtrlTruncate)};
  MapUnary<typename D::Bits, typename S::Bits>(o.lanes, o.dst, o.src, [&](typename S::Bits in) {
    if constexpr (std::is_same_v<D, F32>) {
      return StoreF32<S>(in, rounding);
    } else {
      return Store<D>(S::Load(in), rounding, overflow);
    }
  });
}

// Integers to integers keep all bits of int64.
template <typename S, typename D>
void ConvertInt(Exec& x) {
  using From = typename S::Bits;
  using To = typename D::Bits;
  const Operands o = Resolve(x, sizeof(To), sizeof(From));
  const bool truncate = x.ctrl(kCtrlTruncate);
  MapUnary<To, From>(o.lanes, o.dst, o.src, [&](From in) {
    if (truncate) return static_cast<To>(in);
    if (in < std::numeric_limits<To>::min()) return std::numeric_limits<To>::min();
    if (in > std::numeric_limits<To>::max()) return std::numeric_limits<To>::max();
    return static_cast<To>(in);
  });
}

// The conversions of every kernel, without the detour over double.
template <typename D, typename S, typename Fn>
void ConvertFast(Exec& x, const Fn& fn) {
  const Operands o = Resolve(x, sizeof(D), sizeof(S));
  RunFast([&]() __attribute__((always_inline)) { MapUnary<D, S>(o.lanes, o.dst, o.src, fn); });
}

bool FastPath(Exec& x) {
  const bool keep = x.ctrl(kCtrlKeepInfNan);
  switch (x.insn()) {
    case VNPU_INSN_vconv_f322f16:
    case VNPU_INSN_vconv_f322f16r:
      ConvertFast<uint16_t, float>(x, [=](float v) __attribute__((always_inline)) {
        const uint16_t h = FloatToHalf(v);
        return keep ? h : SaturateHalf(h);
      });
      return true;
    case VNPU_INSN_vconv_f322bf16r:
      ConvertFast<uint16_t, float>(x, [=](float v) __attribute__((always_inline)) {
        const uint16_t b = FloatToBfloat(v);
        return keep ? b : SaturateBfloat(b);
      });
      return true;
    case VNPU_INSN_vconv_f162f32:
      ConvertFast<float, uint16_t>(
          x, [](uint16_t h) __attribute__((always_inline)) { return HalfToFloat(h); });
      return true;
    case VNPU_INSN_vconv_bf162f32:
      ConvertFast<float, uint16_t>(
          x, [](uint16_t b) __attribute__((always_inline)) { return BfloatToFloat(b); });
      return true;
    case VNPU_INSN_vconv_s82f16:
      ConvertFast<uint16_t, int8_t>(
          x, [](int8_t v) __attribute__((always_inline)) { return FloatToHalf(v); });
      return true;
    default:
      return false;
  }
}

using S8 = Int<int8_t>;
using U8 = Int<uint8_t>;
using S16 = Int<int16_t>;
using S32 = Int<int32_t>;
using S64 = Int<int64_t>;

template <typename S, typename D>
void ConvertAny(Exec& x, Rounding rounding) {
  constexpr bool kInts = std::is_integral_v<typename S::Bits> && !std::is_same_v<S, F16> &&
                         !std::is_same_v<S, Bf16> && std::is_integral_v<typename D::Bits> &&
                         !std::is_same_v<D, F16> && !std::is_same_v<D, Bf16>;
  if constexpr (kInts) {
    ConvertInt<S, D>(x);
  } else {
    Convert<S, D>(x, rounding);
  }
}

}  // namespace

void VecConvert(Exec& x) {
  if (FastPath(x)) return;
  using f16 = F16;
  using bf16 = Bf16;
  using f32 = F32;
  using s8 = S8;
  using u8 = U8;
  using s16 = S16;
  using s32 = S32;
  using s64 = S64;
  switch (x.insn()) {
#define VNPU_CONV(name, source, target, rounding, mark) \
  case VNPU_INSN_##name:                                \
    return ConvertAny<source, target>(x, Rounding::rounding);
#include "tools/vnpu/isa/conversions.inc"
#undef VNPU_CONV
    default:
      x.Unsupported("this conversion");
  }
}

// half(x * scale), the scale a half set by set_deqscale.
void VecConvertDeq(Exec& x) {
  x.Require(Spr::kDeqscale, "set_deqscale");
  const float scale = HalfToFloat(static_cast<uint16_t>(x.spr().deqscale));
  const bool keep = x.ctrl(kCtrlKeepInfNan);
  const Operands o = Resolve(x, 2, 4);
  MapUnary<uint16_t, int32_t>(o.lanes, o.dst, o.src, [&](int32_t v) {
    const uint16_t h = FloatToHalf(static_cast<float>(v) * scale);
    return keep ? h : SaturateHalf(h);
  });
}

}  // namespace insns
}  // namespace vnpu
