// SPDX-License-Identifier: Apache-2.0
// What quantisation needs of a vector core (PIPE_V) beyond vector_math.h, one
// intrinsic an op: magnitudes, maxima of short rows, fp32 to int8.
//
// There is no instruction from fp32 to int8. fp32 -> int16 rounds to nearest even
// once; int16 -> half -> int8 is exact for what int8 can hold and monotone beyond,
// so that saturation gives the right end. A NaN becomes 0 at the first step.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_QUANTISE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_QUANTISE_H_

#include "ascend_kernels/cce/vector_math.h"

namespace ascend_attention {

// CTRL bit 59: conversions to integers saturate (0) or keep the low bits (1).
constexpr int32_t kCtrlTruncateIntegers = 59;

// Takes effect on vector instructions that are issued after it.
AICORE_INLINE void SaturateIntegers() { set_ctrl(sbitset0(get_ctrl(), kCtrlTruncateIntegers)); }

AICORE_INLINE void AbsDense(UbPtr<float> dst, UbPtr<float> a, uint32_t repeats) {
  vabs(dst, a, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}

// dst[r, 0..7] = the largest lane of each of the 8 datablocks of a 64-lane column.
AICORE_INLINE void MaxOfDatablocks(UbPtr<float> dst, UbPtr<float> a, uint32_t rows,
                                   uint32_t pitch) {
  vcgmax(dst, a, static_cast<uint8_t>(rows), 1, 1, InDatablocks(pitch));
}

// 64 lanes a repeat, to nearest even, saturated to int16.
AICORE_INLINE void RoundToInt16(UbPtr<int16_t> dst, UbPtr<float> src, uint32_t repeats) {
  vconv_f322s16r(dst, src, static_cast<uint8_t>(repeats), 1, 1, kHalfRepeat, kDenseRepeat);
}

// 128 lanes a repeat, exact below 2048, else to nearest even. dst may be src.
AICORE_INLINE void FromInt16(UbPtr<half> dst, UbPtr<int16_t> src, uint32_t repeats) {
  vconv_s162f16(dst, src, static_cast<uint8_t>(repeats), 1, 1, kDenseRepeat, kDenseRepeat);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_QUANTISE_H_
