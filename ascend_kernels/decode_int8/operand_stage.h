// SPDX-License-Identifier: Apache-2.0
// From fp32 values to what the cube multiplies with int8 keys and values, and from
// the cube's sums back to fp32, pipe V. A Format names the two ways; both take
// values x that a row's largest magnitude has brought into [-c, c]:
//
//   LimbFormat  c = 127:  hi = rne(x), lo = rne(254 (x - hi)), both int8
//               x ~ hi + lo / 254, error <= 1 / 508: 16 bits of the row's largest
//               sum = S_hi + S_lo / 254; S_hi, S_lo int32 and exact
//   dithered    lo = rne(254 (x - hi) + d_j): weights, see below
//   HalfFormat  x ~ round16(x), error <= x / 2048
//               sum = S, fp32
//
// The products of a half with an int8 value, like those of two int8, are exact.
//
// Limbs have the same step for all of a row. Where one weight dominates, thousands
// of others may be equal, and smaller than a step: rne moves all of them the same
// way, and N of them are off by up to N / 2 steps together. So weights get a d_j
// first, by their lane j: the 64 multiples of 1 / 64 between -1/2 and 1/2, in an order
// in which neighbours, and lanes 2, 4, ... apart, are spread over all of them. Equal
// weights are then off by N / 128 steps at most, others like independent errors, of
// sqrt(N) steps at most; an error of one weight is below 1 step instead of 1/2. d
// depends on the token's place in its tile alone. x = 0 stays 0.
//
// Next: ascend_kernels/cce/vector_math.h - the intrinsic behind each step.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_OPERAND_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_OPERAND_STAGE_H_

#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/decode_int8/int8_buffer_map.h"

namespace ascend_attention {
namespace int8 {

// Lower limbs count 1 / 254 of upper ones: x - hi is within 1 / 2, lo within 127.
constexpr float kLowLimb = 254.0f;

struct LimbFormat {
  using Operand = int8_t;
  static constexpr uint32_t kLimbs = 2;
  static constexpr float kQueryUnit = 127.0f;  // c of a query row
  static constexpr float kProbsUnit = 127.0f;  // c of probs
  static constexpr float kLnProbsUnit = 4.84418709f;
};

// Also for bfloat16 queries: normalised rows need no more exponents than half has,
// and keep 11 bits instead of 8.
struct HalfFormat {
  using Operand = half;
  static constexpr uint32_t kLimbs = 1;
  static constexpr float kQueryUnit = 1.0f;
  static constexpr float kProbsUnit = 32768.0f;  // as in decode/softmax_stage.h
  static constexpr float kLnProbsUnit = 10.3972077f;
};

constexpr uint32_t kDitherStride = 37;  // odd, 0.58 of 64: short periods resonate least
constexpr uint32_t kLaneBits = 6;
static_assert(1 << kLaneBits == kF32Lanes, "a bit of a lane's number each");

// Lanes whose number has this bit.
AICORE_INLINE uint64_t LanesWithBit(uint32_t bit) {
  const uint32_t period = 1U << bit;
  return static_cast<uint64_t>(-1) / ((static_cast<uint64_t>(1) << period) + 1) << period;
}

// d_j = (37 j mod 64) / 64 + 1 / 128 for 64 lanes j, less 1 above 1/2; exact.
// scratch: 64 lanes. All lanes before and after; no barrier at its ends.
AICORE_INLINE void MakeDither(UbPtr<float> dither, UbPtr<float> scratch) {
  FillDense(dither, 0.5f / kF32Lanes, 1);
  for (uint32_t bit = 0; bit < kLaneBits; ++bit) {
    VectorBarrier();
    UseLanes(LanesWithBit(bit));
    OffsetDense(dither, dither, static_cast<float>(kDitherStride << bit) / kF32Lanes, 1);
  }
  UseAllLanes();
  VectorBarrier();
  RoundDense(scratch, dither, 1);
  VectorBarrier();
  SubDense(dither, dither, scratch, 1);
}

// Two fp32 matrices in UB: values, and the lower limb's sums or scratch.
struct Pair {
  UbPtr<float> values;
  UbPtr<float> scratch;
};

AICORE_INLINE Pair PairAt(uint32_t offset_bytes) {
  return Pair{UbAt<float>(offset_bytes), UbAt<float>(offset_bytes + kMatrixBytes)};
}

AICORE_INLINE uint32_t Int8Repeats(uint32_t repeats) {
  return CeilDiv(repeats, kHalfLanes / kF32Lanes);
}

// hi of x to dst and, in fp32, to x.scratch; 254 (x - hi) to x.values.
AICORE_INLINE void UpperLimb(UbPtr<int8_t> dst, const Pair& x, UbPtr<half> halves,
                             uint32_t repeats) {
  RoundDense(x.scratch, x.values, repeats);  // hi
  VectorBarrier();
  SubDense(x.values, x.values, x.scratch, repeats);
  FromF32(halves, x.scratch, repeats);
  VectorBarrier();
  ScaleDense(x.values, x.values, kLowLimb, repeats);
  ToInt8(dst, halves, Int8Repeats(repeats));
  VectorBarrier();
}

// `values` hold x, destroyed. dst: limbs kMaxMatrixElems apart. halves: scratch of
// both limbs in 16 bits. Returns where the rounded x are in fp32, after the next
// barrier.
AICORE_INLINE UbPtr<float> ToOperand(LimbFormat, UbPtr<int8_t> dst, const Pair& x,
                                     UbPtr<half> halves, uint32_t repeats) {
  const UbPtr<half> low_halves = halves + kMaxMatrixElems;
  UpperLimb(dst, x, halves, repeats);
  RoundDense(x.values, x.values, repeats);  // lo
  VectorBarrier();
  FromF32(low_halves, x.values, repeats);
  AddScaledDense(x.scratch, x.values, 1.0f / kLowLimb, repeats);
  VectorBarrier();
  ToInt8(dst + kMaxMatrixElems, low_halves, Int8Repeats(repeats));
  return x.scratch;
}
AICORE_INLINE UbPtr<float> ToOperand(HalfFormat, UbPtr<half> dst, const Pair& x, UbPtr<half>,
                                     uint32_t repeats) {
  FromF32(dst, x.values, repeats);
  VectorBarrier();
  ToF32(x.values, dst, repeats);
  return x.values;
}

// The same for weights, whose limbs are dithered. |254 (x - hi)| <= 127 and |d| < 1/2:
// lo stays within 127. Rows are whole repeats, so that d repeats with them.
AICORE_INLINE void ToWeights(LimbFormat, UbPtr<int8_t> dst, const Pair& x, UbPtr<half> halves,
                             UbPtr<float> dither, uint32_t repeats) {
  const UbPtr<half> low_halves = halves + kMaxMatrixElems;
  UpperLimb(dst, x, halves, repeats);
  AddPerLane(x.values, x.values, dither, repeats, kF32Lanes);
  VectorBarrier();
  RoundDense(x.values, x.values, repeats);  // lo
  VectorBarrier();
  FromF32(low_halves, x.values, repeats);
  VectorBarrier();
  ToInt8(dst + kMaxMatrixElems, low_halves, Int8Repeats(repeats));
}
AICORE_INLINE void ToWeights(HalfFormat, UbPtr<half> dst, const Pair& x, UbPtr<half>, UbPtr<float>,
                             uint32_t repeats) {
  FromF32(dst, x.values, repeats);
}

// In place: `sums` hold the cube's sums, of the lower limb in `scratch`; values
// become the whole sums after the next barrier.
AICORE_INLINE void FromSums(LimbFormat, const Pair& sums, uint32_t repeats) {
  ToF32(sums.values, reinterpret_cast<UbPtr<int32_t>>(sums.values), repeats);
  ToF32(sums.scratch, reinterpret_cast<UbPtr<int32_t>>(sums.scratch), repeats);
  VectorBarrier();
  AddScaledDense(sums.values, sums.scratch, 1.0f / kLowLimb, repeats);
}
AICORE_INLINE void FromSums(HalfFormat, const Pair&, uint32_t) {}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_OPERAND_STAGE_H_
