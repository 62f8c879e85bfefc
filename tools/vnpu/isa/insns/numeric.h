// SPDX-License-Identifier: Apache-2.0
// Scalar number formats on any host: half and bfloat16 as bits, conversions
// that keep denormals, explicit rounding. Branch-free where a loop over them
// should vectorise.
#ifndef VNPU_ISA_INSNS_NUMERIC_H_
#define VNPU_ISA_INSNS_NUMERIC_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace vnpu {

inline uint32_t FloatBits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return bits;
}
inline float BitsFloat(uint32_t bits) {
  float v;
  std::memcpy(&v, &bits, sizeof(v));
  return v;
}

inline float HalfToFloat(uint16_t half) {
  // The exponent moves from bias 15 to bias 127 by a multiplication, which is
  // exact and turns half denormals into normal floats.
  constexpr uint32_t kTwoTo112 = 0x77800000;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t finite = FloatBits(BitsFloat(magnitude) * BitsFloat(kTwoTo112));
  const uint32_t quiet = (half & 0x7fff) > 0x7c00 ? 0x00400000u : 0u;
  const uint32_t special = magnitude | 0x7f800000u | quiet;
  return BitsFloat(((half & 0x7c00) == 0x7c00 ? special : finite) | sign);
}

// Nearest even; overflow to infinity.
inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = FloatBits(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  // Normal results: round at bit 13 after moving the exponent bias.
  const uint32_t normal = (magnitude + 0xc8000fffu + (magnitude >> 13 & 1)) >> 13;
  // Denormal results: adding 0.5 leaves the half denormal in the low bits,
  // rounded by the addition itself.
  constexpr uint32_t kHalfBits = 0x3f000000;
  const uint32_t denormal =
      FloatBits(BitsFloat(magnitude < kHalfBits ? magnitude : 0) + BitsFloat(kHalfBits)) -
      kHalfBits;
  const uint32_t nan = 0x7e00 | (magnitude >> 13 & 0x1ff);
  uint32_t result = magnitude < 0x38800000 ? denormal : normal;
  result = magnitude >= 0x47800000 ? 0x7c00u : result;
  result = magnitude > 0x7f800000 ? nan : result;
  return static_cast<uint16_t>(result | sign);
}

inline float BfloatToFloat(uint16_t bits) { return BitsFloat(static_cast<uint32_t>(bits) << 16); }

// Nearest even; denormals kept.
inline uint16_t FloatToBfloat(float value) {
  const uint32_t bits = FloatBits(value);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const uint32_t nan = bits >> 16 | 0x40;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

enum class Rounding : uint8_t { kExact, kNearestEven, kNearestAway, kFloor, kCeil, kZero, kOdd };

inline double RoundToIntegral(double v, Rounding rounding) {
  switch (rounding) {
    case Rounding::kNearestAway:
      return std::round(v);
    case Rounding::kFloor:
      return std::floor(v);
    case Rounding::kCeil:
      return std::ceil(v);
    case Rounding::kZero:
      return std::trunc(v);
    default:
      return std::nearbyint(v);  // the host rounds to nearest even
  }
}

// CTRL[48] = 0: infinities become the largest finite value, nan becomes 0.
inline uint16_t SaturateHalf(uint16_t h) {
  const uint16_t magnitude = h & 0x7fff;
  if (magnitude > 0x7c00) return 0;
  return magnitude == 0x7c00 ? static_cast<uint16_t>((h & 0x8000) | 0x7bff) : h;
}
inline uint16_t SaturateBfloat(uint16_t b) {
  const uint16_t magnitude = b & 0x7fff;
  if (magnitude > 0x7f80) return 0;
  return magnitude == 0x7f80 ? static_cast<uint16_t>((b & 0x8000) | 0x7f7f) : b;
}

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_NUMERIC_H_
