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

// clang-format off
// int4, two to a byte, 64 to a datablock.
#define VNPU_CONV_S4(name)                                                                       \
  VNPU_OP void name(__ubuf__ void* dst, const __ubuf__ half* src, int64_t repeat,                \
                    int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {            \
    VNPU_ISSUE(name, VNPU_T_s4, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk,      \
               dstRep, srcRep);                                                                  \
  }
VNPU_CONV_S4(vconv_f162s4)
VNPU_CONV_S4(vconv_f162s4r)
VNPU_CONV_S4(vconv_f162s4a)
VNPU_CONV_S4(vconv_f162s4f)
VNPU_CONV_S4(vconv_f162s4c)
VNPU_CONV_S4(vconv_f162s4z)
#undef VNPU_CONV_S4
VNPU_OP void vconv_s42f16(__ubuf__ half* dst, const __ubuf__ void* src, int64_t repeat,
                          int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {
  VNPU_ISSUE(vconv_s42f16, VNPU_T_f16, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk,
             dstRep, srcRep);
}

// int16 to the upper (h) or lower (l) half of each datablock, scaled by
// set_deqscale(uint64_t): one word, or for the vdeq forms the UB address / 32
// of 16 words.
#define VNPU_CONV_HALF_BLOCK(name, T, type)                                                      \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ int16_t* src, int64_t repeat,                \
                    int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {            \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk, dstRep,   \
               srcRep);                                                                          \
  }
#define VNPU_CONV_DEQ(name)                           \
  VNPU_CONV_HALF_BLOCK(name, int8_t, VNPU_T_s8)       \
  VNPU_CONV_HALF_BLOCK(name, uint8_t, VNPU_T_u8)
VNPU_CONV_DEQ(vconv_deqs162b8h)
VNPU_CONV_DEQ(vconv_deqs162b8l)
VNPU_CONV_DEQ(vconv_vdeqs162b8h)
VNPU_CONV_DEQ(vconv_vdeqs162b8l)
#undef VNPU_CONV_DEQ
#undef VNPU_CONV_HALF_BLOCK

// Operation and conversion in one. `h` (the result in the upper half of each
// datablock) is not modelled.
#define VNPU_RELU_CONV(name, D, S, type)                                                         \
  VNPU_OP void name(__ubuf__ D* dst, const __ubuf__ S* src0, const __ubuf__ S* src1,             \
                    int64_t repeat, int64_t dstBlk, int64_t src0Blk, int64_t src1Blk,            \
                    int64_t dstRep, int64_t src0Rep, int64_t src1Rep, bool h = false) {          \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1), repeat,       \
               dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep, static_cast<int64_t>(h));     \
  }
VNPU_RELU_CONV(vaddreluconv_f162s8, int8_t, half, VNPU_T_s8)
VNPU_RELU_CONV(vaddreluconv_f322f16, half, float, VNPU_T_f16)
VNPU_RELU_CONV(vaddreluconv_s162s8, int8_t, int16_t, VNPU_T_s8)
VNPU_RELU_CONV(vsubreluconv_f162s8, int8_t, half, VNPU_T_s8)
VNPU_RELU_CONV(vsubreluconv_f322f16, half, float, VNPU_T_f16)
VNPU_RELU_CONV(vsubreluconv_s162s8, int8_t, int16_t, VNPU_T_s8)
#undef VNPU_RELU_CONV
#define VNPU_MUL_CONV(name, D, type)                                                             \
  VNPU_OP void name(__ubuf__ D* dst, const __ubuf__ half* src0, const __ubuf__ half* src1,       \
                    int64_t repeat, int64_t dstBlk, int64_t src0Blk, int64_t src1Blk,            \
                    int64_t dstRep, int64_t src0Rep, int64_t src1Rep) {                          \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1), repeat,       \
               dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep);                              \
  }
VNPU_MUL_CONV(vmulconv_f162s8, int8_t, VNPU_T_s8)
VNPU_MUL_CONV(vmulconv_f162u8, uint8_t, VNPU_T_u8)
#undef VNPU_MUL_CONV
// clang-format on

// int32 to half, times the scale of set_deqscale(half).
VNPU_OP void vconv_deq(__ubuf__ half* dst, const __ubuf__ int32_t* src, int64_t repeat,
                       int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {
  VNPU_ISSUE(vconv_deq, VNPU_T_f16, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk,
             dstRep, srcRep);
}

#endif  // VNPU_ISA_CCE_CONVERT_H_
