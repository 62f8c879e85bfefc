// SPDX-License-Identifier: Apache-2.0
// From fp32 values to what the cube multiplies with int8 keys and values, and from
// the cube's sums back to fp32, pipe V. A Format names the two ways; both take
// values x that a row's largest magnitude has brought into [-c, c]:
//
//   LimbFormat  c = 127:  hi = rne(x), lo = rne(254 (x - hi)), both int8
//               x ~ hi + lo / 254, error <= 1 / 508: 16 bits of the row's largest
//               sum = S_hi + S_lo / 254; S_hi, S_lo int32 and exact
//   HalfFormat  x ~ round16(x), error <= x / 2048
//               sum = S, fp32
//
// The products of a half with an int8 value, like those of two int8, are exact.
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

// Two fp32 matrices in UB: values, and the lower limb's sums or scratch.
struct Pair {
  UbPtr<float> values;
  UbPtr<float> scratch;
};

AICORE_INLINE Pair PairAt(uint32_t offset_bytes) {
  return Pair{UbAt<float>(offset_bytes), UbAt<float>(offset_bytes + kMatrixBytes)};
}

// `values` hold x, destroyed. dst: limbs kMaxMatrixElems apart. halves: scratch of
// both limbs in 16 bits. Returns where the rounded x are in fp32, for those who
// AwaitRounded.
AICORE_INLINE UbPtr<float> ToOperand(LimbFormat, UbPtr<int8_t> dst, const Pair& x,
                                     UbPtr<half> halves, uint32_t repeats) {
  const UbPtr<half> low_halves = halves + kMaxMatrixElems;
  const uint32_t int8_repeats = CeilDiv(repeats, kHalfLanes / kF32Lanes);
  RoundDense(x.scratch, x.values, repeats);  // hi
  VectorBarrier();
  SubDense(x.values, x.values, x.scratch, repeats);
  FromF32(halves, x.scratch, repeats);
  VectorBarrier();
  ScaleDense(x.values, x.values, kLowLimb, repeats);
  ToInt8(dst, halves, int8_repeats);
  VectorBarrier();
  RoundDense(x.values, x.values, repeats);  // lo
  VectorBarrier();
  FromF32(low_halves, x.values, repeats);
  AddScaledDense(x.scratch, x.values, 1.0f / kLowLimb, repeats);
  VectorBarrier();
  ToInt8(dst + kMaxMatrixElems, low_halves, int8_repeats);
  return x.scratch;
}
AICORE_INLINE void AwaitRounded(LimbFormat) {}  // they stand behind its last barrier

AICORE_INLINE UbPtr<float> ToOperand(HalfFormat, UbPtr<half> dst, const Pair& x, UbPtr<half>,
                                     uint32_t repeats) {
  FromF32(dst, x.values, repeats);
  VectorBarrier();
  ToF32(x.values, dst, repeats);
  return x.values;
}
AICORE_INLINE void AwaitRounded(HalfFormat) { VectorBarrier(); }

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
