// SPDX-License-Identifier: Apache-2.0
// Element types of the vector unit: how a lane is stored, and what it is
// computed in.
#ifndef VNPU_ISA_INSNS_VEC_TYPES_H_
#define VNPU_ISA_INSNS_VEC_TYPES_H_

#include <cstdint>
#include <limits>

#include "tools/vnpu/isa/insns/host_simd.h"
#include "tools/vnpu/isa/insns/numeric.h"

namespace vnpu {

// Halves are computed in float: one operation and one rounding give the same
// result as half arithmetic, since float has more than twice the precision.
struct LaneF16 {
  using Bits = uint16_t;
  using Value = float;
  static constexpr bool kFloat = true;
  VNPU_ALWAYS_INLINE static float Load(uint16_t bits) { return HalfToFloat(bits); }
  VNPU_ALWAYS_INLINE static uint16_t Store(float value, bool keep_inf_nan) {
    const uint16_t h = FloatToHalf(value);
    return keep_inf_nan ? h : SaturateHalf(h);
  }
};

struct LaneF32 {
  using Bits = float;
  using Value = float;
  static constexpr bool kFloat = true;
  VNPU_ALWAYS_INLINE static float Load(float bits) { return bits; }
  VNPU_ALWAYS_INLINE static float Store(float value, bool) { return value; }
};

// Integers are computed in 64 bits, then wrap or saturate.
template <typename T>
struct LaneInt {
  using Bits = T;
  using Value = int64_t;
  static constexpr bool kFloat = false;
  VNPU_ALWAYS_INLINE static int64_t Load(T bits) { return bits; }
  // `wrap` in place of keep_inf_nan: both are how a result that does not fit is
  // stored.
  VNPU_ALWAYS_INLINE static T Store(int64_t value, bool wrap) {
    constexpr int64_t kMin = std::numeric_limits<T>::min(), kMax = std::numeric_limits<T>::max();
    const int64_t clamped = value < kMin ? kMin : value > kMax ? kMax : value;
    return static_cast<T>(wrap ? value : clamped);
  }
};
using LaneS16 = LaneInt<int16_t>;
using LaneU16 = LaneInt<uint16_t>;
using LaneS32 = LaneInt<int32_t>;
using LaneU32 = LaneInt<uint32_t>;

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_VEC_TYPES_H_
