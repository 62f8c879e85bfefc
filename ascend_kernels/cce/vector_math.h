// SPDX-License-Identifier: Apache-2.0
// fp32 arithmetic of a vector core (PIPE_V), one intrinsic an op.
//
// A repeat is 64 fp32 lanes (256 bytes). "Dense" ops walk `repeats` repeats that
// lie one behind the other. "Column" ops take one 64-lane column of a row-major
// matrix, one repeat a row, rows `pitch` lanes apart. "PerRow" operands hold one
// value a row, spread over one datablock each by SpreadRows.
//
// Limits of the encoding: repeats and rows <= 255, pitch <= 255 datablocks
// (2040 lanes). The lane mask applies to all but SpreadRows.
//
// The unit overlaps instructions: an op that reads what the one before wrote
// needs VectorBarrier() between them.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_MATH_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_MATH_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

constexpr uint8_t kDenseRepeat = kVectorBytes / kDatablockBytes;  // stride, datablocks

constexpr float kMinusInfinity = -__builtin_huge_valf();

AICORE_INLINE void VectorBarrier() { pipe_barrier(PIPE_V); }

// --- lane mask -------------------------------------------------------------

AICORE_INLINE void UseAllLanes() {
  set_vector_mask(static_cast<uint64_t>(-1), static_cast<uint64_t>(-1));
}
// Lanes [first, 64) of each repeat of an fp32 op; first in 0..63.
AICORE_INLINE void UseLanesFrom(uint32_t first) {
  set_vector_mask(0, static_cast<uint64_t>(-1) << first);
}
// Lanes [0, count) of each repeat of an fp32 op; count in 1..63.
AICORE_INLINE void UseLanesBelow(uint32_t count) {
  set_vector_mask(0, (static_cast<uint64_t>(1) << count) - 1);
}

// The lanes of each repeat of an fp32 op whose bit is set; mask is not 0.
AICORE_INLINE void UseLanes(uint64_t mask) { set_vector_mask(0, mask); }

// --- dense: dst[i] = f(a[i], b[i]) -------------------------------------------

AICORE_INLINE void FillDense(UbPtr<float> dst, float value, uint32_t repeats) {
  vector_dup(dst, value, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, 0);
}
AICORE_INLINE void AddDense(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t repeats) {
  vadd(dst, a, b, static_cast<uint8_t>(repeats), 1, 1, 1, kDenseRepeat, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void SubDense(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t repeats) {
  vsub(dst, a, b, static_cast<uint8_t>(repeats), 1, 1, 1, kDenseRepeat, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void MulDense(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t repeats) {
  vmul(dst, a, b, static_cast<uint8_t>(repeats), 1, 1, 1, kDenseRepeat, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void MaxDense(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t repeats) {
  vmax(dst, a, b, static_cast<uint8_t>(repeats), 1, 1, 1, kDenseRepeat, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void ScaleDense(UbPtr<float> dst, UbPtr<float> a, float factor, uint32_t repeats) {
  vmuls(dst, a, factor, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void AtLeastDense(UbPtr<float> dst, UbPtr<float> a, float least, uint32_t repeats) {
  vmaxs(dst, a, least, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void ExpDense(UbPtr<float> dst, UbPtr<float> a, uint32_t repeats) {
  vexp(dst, a, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void LnDense(UbPtr<float> dst, UbPtr<float> a, uint32_t repeats) {
  vln(dst, a, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void DivDense(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t repeats) {
  vdiv(dst, a, b, static_cast<uint8_t>(repeats), 1, 1, 1, kDenseRepeat, kDenseRepeat, kDenseRepeat);
}
// dst += src * factor.
AICORE_INLINE void AddScaledDense(UbPtr<float> dst, UbPtr<float> src, float factor,
                                  uint32_t repeats) {
  vaxpy(dst, src, factor, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
// To the nearest integer, ties to even.
AICORE_INLINE void RoundDense(UbPtr<float> dst, UbPtr<float> src, uint32_t repeats) {
  vconv_f322f32r(dst, src, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
// dst = src + offset.
AICORE_INLINE void OffsetDense(UbPtr<float> dst, UbPtr<float> src, float offset, uint32_t repeats) {
  vadds(dst, src, offset, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}
AICORE_INLINE void CopyDense(UbPtr<float> dst, UbPtr<float> src, uint32_t repeats) {
  vadds(dst, src, 0.0f, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}

// --- dense against one datablock that all datablocks share -------------------

AICORE_INLINE void SubShared(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> shared,
                             uint32_t repeats) {
  vsub(dst, a, shared, static_cast<uint8_t>(repeats), 1, 1, 0, kDenseRepeat, kDenseRepeat, 0);
}
AICORE_INLINE void DivShared(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> shared,
                             uint32_t repeats) {
  vdiv(dst, a, shared, static_cast<uint8_t>(repeats), 1, 1, 0, kDenseRepeat, kDenseRepeat, 0);
}

// --- columns of a row-major matrix: dst[r, lane] = f(a[r, lane], ...) ----------

// Pitches in lanes, multiples of 8.
struct ColumnPitch {
  uint32_t dst = kF32Lanes;
  uint32_t a = kF32Lanes;
  uint32_t b = kF32Lanes;
};

AICORE_INLINE uint8_t InDatablocks(uint32_t lanes) {
  return static_cast<uint8_t>(lanes / kF32PerDatablock);
}
AICORE_INLINE void FillColumn(UbPtr<float> dst, float value, uint32_t rows, uint32_t pitch) {
  vector_dup(dst, value, static_cast<uint8_t>(rows), 1, 1, InDatablocks(pitch), 0);
}
AICORE_INLINE void AddColumn(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t rows,
                             const ColumnPitch& pitch) {
  vadd(dst, a, b, static_cast<uint8_t>(rows), 1, 1, 1, InDatablocks(pitch.dst),
       InDatablocks(pitch.a), InDatablocks(pitch.b));
}
AICORE_INLINE void MaxColumn(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> b, uint32_t rows,
                             const ColumnPitch& pitch) {
  vmax(dst, a, b, static_cast<uint8_t>(rows), 1, 1, 1, InDatablocks(pitch.dst),
       InDatablocks(pitch.a), InDatablocks(pitch.b));
}

// --- columns against one value a lane: the 64 lanes of `lanes` for every row -----

AICORE_INLINE void MulPerLane(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> lanes, uint32_t rows,
                              uint32_t pitch) {
  vmul(dst, a, lanes, static_cast<uint8_t>(rows), 1, 1, 1, InDatablocks(pitch), InDatablocks(pitch),
       0);
}
AICORE_INLINE void AddPerLane(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> lanes, uint32_t rows,
                              uint32_t pitch) {
  vadd(dst, a, lanes, static_cast<uint8_t>(rows), 1, 1, 1, InDatablocks(pitch), InDatablocks(pitch),
       0);
}
// sums[r, lane] += a[r, lane] * lanes[lane]; sums has a pitch of 64 lanes.
AICORE_INLINE void AddProductPerLane(UbPtr<float> sums, UbPtr<float> a, UbPtr<float> lanes,
                                     uint32_t rows, uint32_t pitch) {
  vmla(sums, a, lanes, static_cast<uint8_t>(rows), 1, 1, 1, kDenseRepeat, InDatablocks(pitch), 0);
}

// --- columns against one value a row ----------------------------------------

// spread[r, 0..7] = values[r]; works on groups of 8 rows, ignores the mask.
AICORE_INLINE void SpreadRows(UbPtr<float> spread, UbPtr<float> values, uint32_t rows) {
  vbrcb(reinterpret_cast<UbPtr<uint32_t>>(spread), reinterpret_cast<UbPtr<uint32_t>>(values), 1,
        kDenseRepeat, static_cast<uint8_t>(CeilDiv(rows, 8)));
}
AICORE_INLINE void SubPerRow(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> spread, uint32_t rows,
                             uint32_t pitch) {
  vsub(dst, a, spread, static_cast<uint8_t>(rows), 1, 1, 0, InDatablocks(pitch),
       InDatablocks(pitch), 1);
}
// spread_pitch: lanes from one row's spread value to the next row's.
AICORE_INLINE void MulPerRow(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> spread, uint32_t rows,
                             uint32_t pitch, uint32_t spread_pitch = kF32PerDatablock) {
  vmul(dst, a, spread, static_cast<uint8_t>(rows), 1, 1, 0, InDatablocks(pitch),
       InDatablocks(pitch), InDatablocks(spread_pitch));
}
AICORE_INLINE void DivPerRow(UbPtr<float> dst, UbPtr<float> a, UbPtr<float> spread, uint32_t rows,
                             uint32_t pitch) {
  vdiv(dst, a, spread, static_cast<uint8_t>(rows), 1, 1, 0, InDatablocks(pitch),
       InDatablocks(pitch), 1);
}

// --- a choice per row --------------------------------------------------------------

// 64 equal bits for each row, one row behind the other: whether its value is above
// `limit`; false for NaN. spread_pitch: lanes from one row's spread value to the next
// row's. bits is 32-byte aligned. Ignores the mask.
AICORE_INLINE void RowsAbove(UbPtr<uint8_t> bits, UbPtr<float> spread, float limit, uint32_t rows,
                             uint32_t spread_pitch = kF32PerDatablock) {
  vcmpvs_gt(bits, spread, limit, static_cast<uint8_t>(rows), 1, 0, kDenseRepeat,
            InDatablocks(spread_pitch));
}
// The value that KeepRows puts in the place of others: the first of `value`, which
// has 16 bytes.
AICORE_INLINE void UseReplacement(UbPtr<float> value) {
  set_cmpmask(reinterpret_cast<UbPtr<uint8_t>>(value));
}
// dst[r, lane] = a[r, lane] in rows whose bits are set.
AICORE_INLINE void KeepRows(UbPtr<float> dst, UbPtr<float> a, UbPtr<uint8_t> bits, uint32_t rows,
                            uint32_t pitch) {
  vsel(dst, a, reinterpret_cast<UbPtr<float>>(bits), static_cast<uint8_t>(rows), 1, 1, 1,
       InDatablocks(pitch), InDatablocks(pitch), 0, 1);
}

// --- reductions over the 64 lanes of a column: values[r] = reduce(a[r, :]) -----

AICORE_INLINE void MaxOfLanes(UbPtr<float> values, UbPtr<float> a, uint32_t rows, uint32_t pitch) {
  vcmax(values, a, static_cast<uint8_t>(rows), 1, 1, InDatablocks(pitch), ONLY_VALUE);
}
AICORE_INLINE void SumOfLanes(UbPtr<float> values, UbPtr<float> a, uint32_t rows, uint32_t pitch) {
  vcadd(values, a, static_cast<uint8_t>(rows), 1, 1, InDatablocks(pitch), false);
}

// --- conversions, dense, 64 lanes a repeat ------------------------------------

constexpr uint8_t kHalfRepeat = kDenseRepeat / 2;  // 64 lanes of 16 bits

// To 16 bits, round to nearest even.
AICORE_INLINE void FromF32(UbPtr<half> dst, UbPtr<float> src, uint32_t repeats) {
  vconv_f322f16(dst, src, static_cast<uint8_t>(repeats), 1, 1, kHalfRepeat, kDenseRepeat);
}
AICORE_INLINE void FromF32(UbPtr<bfloat16_t> dst, UbPtr<float> src, uint32_t repeats) {
  vconv_f322bf16r(dst, src, static_cast<uint8_t>(repeats), 1, 1, kHalfRepeat, kDenseRepeat);
}
// Exact.
AICORE_INLINE void ToF32(UbPtr<float> dst, UbPtr<half> src, uint32_t repeats) {
  vconv_f162f32(dst, src, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kHalfRepeat);
}
AICORE_INLINE void ToF32(UbPtr<float> dst, UbPtr<bfloat16_t> src, uint32_t repeats) {
  vconv_bf162f32(dst, src, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kHalfRepeat);
}
// Exact below 2^24, else to nearest even. dst may be src.
AICORE_INLINE void ToF32(UbPtr<float> dst, UbPtr<int32_t> src, uint32_t repeats) {
  vconv_s322f32(dst, src, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}

// --- conversions of int8, 128 lanes a repeat: the mask covers two of fp32 --------
//
// There is none between int8 and fp32: integers go through half, which holds
// those up to 2048.

constexpr uint32_t kHalfLanes = kVectorBytes / 2;
constexpr uint8_t kInt8Repeat = kDenseRepeat / 2;

// To nearest even, saturated to -128..127.
AICORE_INLINE void ToInt8(UbPtr<int8_t> dst, UbPtr<half> src, uint32_t repeats) {
  vconv_f162s8r(dst, src, static_cast<uint8_t>(repeats), 1, 1, kInt8Repeat, kDenseRepeat);
}
// Exact.
AICORE_INLINE void FromInt8(UbPtr<half> dst, UbPtr<int8_t> src, uint32_t repeats) {
  vconv_s82f16(dst, src, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kInt8Repeat);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_MATH_H_
