// SPDX-License-Identifier: Apache-2.0
// exp and ln of floats through double polynomials: the same bits on every host.
// The double result is within 2^-43 of the true value, so the float is correctly
// rounded unless the true value lies that close to the middle of two floats. The
// vector unit's own results may differ by an ulp or two; no public source gives
// its algorithm.
// Branch-free, so that loops over them vectorise.
#ifndef VNPU_ISA_INSNS_ELEMENTARY_H_
#define VNPU_ISA_INSNS_ELEMENTARY_H_

#include <cstdint>
#include <cstring>

#include "tools/vnpu/isa/insns/host_simd.h"

namespace vnpu {

VNPU_ALWAYS_INLINE double BitsDouble(uint64_t bits) {
  double v;
  std::memcpy(&v, &bits, sizeof(v));
  return v;
}
VNPU_ALWAYS_INLINE uint64_t DoubleBits(double v) {
  uint64_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return bits;
}

// exp(x) = 2^n * exp(r), r = x - n ln2 in [-ln2/2, ln2/2], Taylor to r^11
// (remainder below 2^-44).
VNPU_ALWAYS_INLINE float ExpFloat(float value) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: rounds to integer
  // Beyond these the float result is 0 or infinity anyway.
  double x = value;
  x = x < -110.0 ? -110.0 : x;
  x = x > 100.0 ? 100.0 : x;
  const double shifted = x * kLog2E + kShift;
  const double n = shifted - kShift;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  // The low bits of `shifted` hold n: add it to the exponent field of p.
  const double scaled = BitsDouble(DoubleBits(p) + (DoubleBits(shifted) << 52));
  const float result = static_cast<float>(scaled);
  return value != value ? value : result;
}

// ln(m * 2^e) with m in [sqrt(1/2), sqrt(2)): e ln2 + 2 atanh((m - 1) / (m + 1)),
// series to s^19 (remainder below 2^-50).
VNPU_ALWAYS_INLINE float LnFloat(float value) {
  constexpr double kLn2 = 0.69314718055994530942;
  constexpr uint64_t kSqrtHalfBits = 0x3fe6a09e667f3bcd;
  constexpr uint64_t kExponentMask = 0xfff0000000000000;
  const double x = value;  // float denormals become normal doubles
  const uint64_t bits = DoubleBits(x);
  const uint64_t exponent = (bits - kSqrtHalfBits) & kExponentMask;
  const double m = BitsDouble(bits - exponent);
  // exponent >> 52 as a signed number, through the mantissa of 2^52 + 2^51.
  constexpr uint64_t kShiftBits = 0x4338000000000000;
  const uint64_t biased = (exponent >> 52 ^ 0x800) + kShiftBits;
  const double e = BitsDouble(biased) - (6755399441055744.0 + 2048.0);
  const double s = (m - 1.0) / (m + 1.0);
  const double t = s * s;
  double p = 1.0 / 19.0;
  p = p * t + 1.0 / 17.0;
  p = p * t + 1.0 / 15.0;
  p = p * t + 1.0 / 13.0;
  p = p * t + 1.0 / 11.0;
  p = p * t + 1.0 / 9.0;
  p = p * t + 1.0 / 7.0;
  p = p * t + 1.0 / 5.0;
  p = p * t + 1.0 / 3.0;
  p = p * t + 1.0;
  float result = static_cast<float>(e * kLn2 + 2.0 * s * p);
  result = value == 0.0f ? -__builtin_inff() : result;
  result = value < 0.0f ? __builtin_nanf("") : result;
  result = value == __builtin_inff() ? value : result;
  return value != value ? value : result;
}

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_ELEMENTARY_H_
