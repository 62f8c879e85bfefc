// SPDX-License-Identifier: Apache-2.0
// Vector unit: element-wise operations and reductions. Strides count 32-byte
// datablocks: Blk between the 8 blocks of a repeat, Rep between repeats.
#ifndef VNPU_ISA_CCE_VECTOR_H_
#define VNPU_ISA_CCE_VECTOR_H_

#include "tools/vnpu/isa/cce_lang.h"

// clang-format off
#define VNPU_VBIN(name, T, type)                                                                  \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src0, const __ubuf__ T* src1,              \
                    int64_t repeat, int64_t dstBlk, int64_t src0Blk, int64_t src1Blk,             \
                    int64_t dstRep, int64_t src0Rep, int64_t src1Rep) {                           \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1), repeat,        \
               dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep);                               \
  }
#define VNPU_VUN(name, T, type)                                                                   \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src, int64_t repeat, int64_t dstBlk,       \
                    int64_t srcBlk, int64_t dstRep, int64_t srcRep) {                             \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk, dstRep,    \
               srcRep);                                                                           \
  }
#define VNPU_VSCALAR(name, T, type)                                                               \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src, T scalar, int64_t repeat,             \
                    int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {             \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), VnpuBits(scalar), repeat, dstBlk,  \
               srcBlk, dstRep, srcRep);                                                           \
  }
#define VNPU_FLOATS(m, name) m(name, half, VNPU_T_f16) m(name, float, VNPU_T_f32)
#define VNPU_INTS(m, name) m(name, int16_t, VNPU_T_s16) m(name, int32_t, VNPU_T_s32)
#define VNPU_B16(m, name) m(name, int16_t, VNPU_T_s16) m(name, uint16_t, VNPU_T_u16)
#define VNPU_ARITHMETIC(m, name) VNPU_FLOATS(m, name) VNPU_INTS(m, name)

VNPU_ARITHMETIC(VNPU_VBIN, vadd)
VNPU_ARITHMETIC(VNPU_VBIN, vsub)
VNPU_ARITHMETIC(VNPU_VBIN, vmul)
VNPU_ARITHMETIC(VNPU_VBIN, vmax)
VNPU_ARITHMETIC(VNPU_VBIN, vmin)
VNPU_FLOATS(VNPU_VBIN, vdiv)
VNPU_B16(VNPU_VBIN, vand)
VNPU_B16(VNPU_VBIN, vor)
VNPU_B16(VNPU_VUN, vnot)
VNPU_FLOATS(VNPU_VBIN, vmla)      // dst = src0 * src1 + dst
VNPU_FLOATS(VNPU_VBIN, vmadd)     // dst = src0 * dst + src1
VNPU_FLOATS(VNPU_VBIN, vmaddrelu)
VNPU_FLOATS(VNPU_VBIN, vaddrelu)
VNPU_FLOATS(VNPU_VBIN, vsubrelu)
VNPU_VBIN(vaddrelu, int16_t, VNPU_T_s16)
VNPU_VBIN(vsubrelu, int16_t, VNPU_T_s16)
VNPU_ARITHMETIC(VNPU_VUN, vabs)
VNPU_ARITHMETIC(VNPU_VUN, vrelu)
VNPU_FLOATS(VNPU_VUN, vexp)
VNPU_FLOATS(VNPU_VUN, vln)
VNPU_FLOATS(VNPU_VUN, vsqrt)
VNPU_FLOATS(VNPU_VUN, vrec)
VNPU_FLOATS(VNPU_VUN, vrsqrt)
VNPU_ARITHMETIC(VNPU_VSCALAR, vadds)
VNPU_ARITHMETIC(VNPU_VSCALAR, vmuls)
VNPU_ARITHMETIC(VNPU_VSCALAR, vmaxs)
VNPU_ARITHMETIC(VNPU_VSCALAR, vmins)
VNPU_FLOATS(VNPU_VSCALAR, vlrelu)
VNPU_FLOATS(VNPU_VSCALAR, vaxpy)  // dst = src * scalar + dst
#undef VNPU_VSCALAR
#undef VNPU_VUN
#undef VNPU_VBIN

// vmaxs, vmins: two trailing flags that vendor code always passes as false.
#define VNPU_VSCALAR_FLAGS(name, T, type)                                                      \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src, T scalar, int64_t repeat,          \
                    int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep, bool, bool) { \
    name(dst, src, scalar, repeat, dstBlk, srcBlk, dstRep, srcRep);                            \
  }
VNPU_ARITHMETIC(VNPU_VSCALAR_FLAGS, vmaxs)
VNPU_ARITHMETIC(VNPU_VSCALAR_FLAGS, vmins)
#undef VNPU_VSCALAR_FLAGS

// float += half * half
VNPU_OP void vmla(__ubuf__ float* dst, const __ubuf__ half* src0, const __ubuf__ half* src1,
                  int64_t repeat, int64_t dstBlk, int64_t src0Blk, int64_t src1Blk, int64_t dstRep,
                  int64_t src0Rep, int64_t src1Rep) {
  VNPU_ISSUE(vmla, VNPU_T_f16_to_f32, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1),
             repeat, dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep);
}
VNPU_OP void vaxpy(__ubuf__ float* dst, const __ubuf__ half* src, half scalar, int64_t repeat,
                   int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {
  VNPU_ISSUE(vaxpy, VNPU_T_f16_to_f32, VnpuAddress(dst), VnpuAddress(src), VnpuBits(scalar),
             repeat, dstBlk, srcBlk, dstRep, srcRep);
}

#define VNPU_VSHL(name, T, type)                                                               \
  VNPU_OP void vshl(__ubuf__ T* dst, const __ubuf__ T* src, int64_t distance, int64_t repeat,  \
                    int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep) {          \
    VNPU_ISSUE(vshl, type, VnpuAddress(dst), VnpuAddress(src), distance, repeat, dstBlk,       \
               srcBlk, dstRep, srcRep);                                                        \
  }                                                                                            \
  VNPU_OP void vshr(__ubuf__ T* dst, const __ubuf__ T* src, int64_t distance, int64_t repeat,  \
                    int64_t dstBlk, int64_t srcBlk, int64_t dstRep, int64_t srcRep,            \
                    bool round = false) {                                                      \
    VNPU_ISSUE(vshr, type, VnpuAddress(dst), VnpuAddress(src), distance, repeat, dstBlk,       \
               srcBlk, dstRep, srcRep, static_cast<int64_t>(round));                           \
  }
VNPU_VSHL(, int16_t, VNPU_T_s16)
VNPU_VSHL(, uint16_t, VNPU_T_u16)
VNPU_VSHL(, int32_t, VNPU_T_s32)
VNPU_VSHL(, uint32_t, VNPU_T_u32)
#undef VNPU_VSHL

// Broadcast of a scalar; the two source strides have no meaning.
#define VNPU_VDUP(name, T, type)                                                              \
  VNPU_OP void vector_dup(__ubuf__ T* dst, T scalar, int64_t repeat, int64_t dstBlk,          \
                          int64_t srcBlk, int64_t dstRep, int64_t srcRep) {                   \
    VNPU_ISSUE(vector_dup, type, VnpuAddress(dst), VnpuBits(scalar), repeat, dstBlk, srcBlk,  \
               dstRep, srcRep);                                                               \
  }
#define VNPU_VCOPY(name, T, type)                                                             \
  VNPU_OP void vcopy(__ubuf__ T* dst, const __ubuf__ T* src, int64_t repeat, int64_t dstBlk,  \
                     int64_t srcBlk, int64_t dstRep, int64_t srcRep) {                        \
    VNPU_ISSUE(vcopy, type, VnpuAddress(dst), VnpuAddress(src), repeat, dstBlk, srcBlk,       \
               dstRep, srcRep);                                                               \
  }
#define VNPU_B16_B32(m, name)      \
  m(name, half, VNPU_T_f16)        \
  m(name, bfloat16_t, VNPU_T_bf16) \
  m(name, int16_t, VNPU_T_s16)     \
  m(name, uint16_t, VNPU_T_u16)    \
  m(name, float, VNPU_T_f32)       \
  m(name, int32_t, VNPU_T_s32)     \
  m(name, uint32_t, VNPU_T_u32)
VNPU_B16_B32(VNPU_VDUP, vector_dup)
VNPU_B16_B32(VNPU_VCOPY, vcopy)
#undef VNPU_VDUP
#undef VNPU_VCOPY

// ---- reductions
#define VNPU_VCMAX(name, T, type)                                                               \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src, int64_t repeat, int64_t dstRep,     \
                    int64_t srcBlk, int64_t srcRep, Order_t order) {                            \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), repeat, dstRep, srcBlk, srcRep,  \
               static_cast<int64_t>(order));                                                    \
  }
VNPU_FLOATS(VNPU_VCMAX, vcmax)
VNPU_FLOATS(VNPU_VCMAX, vcmin)
#undef VNPU_VCMAX
// mode true: the sum of all repeats goes to get_acc_val(), nothing is stored.
#define VNPU_VCADD(name, T, type)                                                               \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src, int64_t repeat, int64_t dstRep,     \
                    int64_t srcBlk, int64_t srcRep, bool mode) {                                \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), repeat, dstRep, srcBlk, srcRep,  \
               static_cast<int64_t>(mode));                                                     \
  }
VNPU_FLOATS(VNPU_VCADD, vcadd)
#undef VNPU_VCADD
#define VNPU_VRED(name, T, type)                                                                 \
  VNPU_OP void name(__ubuf__ T* dst, const __ubuf__ T* src, int64_t repeat, int64_t dstRep,      \
                    int64_t srcBlk, int64_t srcRep) {                                            \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), repeat, dstRep, srcBlk, srcRep);  \
  }
VNPU_FLOATS(VNPU_VRED, vcgmax)
VNPU_FLOATS(VNPU_VRED, vcgmin)
VNPU_FLOATS(VNPU_VRED, vcgadd)
VNPU_FLOATS(VNPU_VRED, vcpadd)
#undef VNPU_VRED
// clang-format on

#endif  // VNPU_ISA_CCE_VECTOR_H_
