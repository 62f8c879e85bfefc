// SPDX-License-Identifier: Apache-2.0
// Vector conversions: one overload per row of conversions.inc.
#ifndef VNPU_ISA_CCE_CONVERT_H_
#define VNPU_ISA_CCE_CONVERT_H_

#include "tools/vnpu/isa/cce_lang.h"

// clang-format off
#define VNPU_C_f16 half
#define VNPU_C_bf16 bfloat16_t
#define VNPU_C_f32 float
#define VNPU_C_s8 int8_t
#define VNPU_C_u8 uint8_t
#define VNPU_C_s16 int16_t
#define VNPU_C_s32 int32_t
#define VNPU_C_s64 int64_t
#define VNPU_CONV(name, source, target, rounding, mark)                                          \
  VNPU_OP void name(__ubuf__ VNPU_C_##target* dst, const __ubuf__ VNPU_C_##source* src,          \
                    int64_t repeat, int64_t dstBlk, int64_t srcBlk, int64_t dstRep,              \
                    int64_t srcRep) {                                                            \
    VNPU_ISSUE(name, VNPU_T_##target, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk, \
               dstRep, srcRep);                                                                  \
  }
#include "tools/vnpu/isa/conversions.inc"
#undef VNPU_CONV
#undef VNPU_C_f16
#undef VNPU_C_bf16
#undef VNPU_C_f32
#undef VNPU_C_s8
#undef VNPU_C_u8
#undef VNPU_C_s16
#undef VNPU_C_s32
#undef VNPU_C_s64
// clang-format on

// int32 to half, times the scale of set_deqscale(half).
VNPU_OP void vconv_deq(__ubuf__ half* dst, const __ubuf__ int32_t* src, int64_t repeat,
                       int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {
  VNPU_ISSUE(vconv_deq, VNPU_T_f16, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk,
             dstRep, srcRep);
}

#endif  // VNPU_ISA_CCE_CONVERT_H_
