// SPDX-License-Identifier: Apache-2.0
// Matrix multiply and fixpipe. Argument orders differ: mad takes m, k, n; the
// fixpipe takes n, m.
#ifndef VNPU_ISA_CCE_CUBE_H_
#define VNPU_ISA_CCE_CUBE_H_

#include "tools/vnpu/isa/cce_lang.h"

// clang-format off
#define VNPU_MAD(C, A, type)                                                                    \
  VNPU_OP void mad(__cc__ C* c, const __ca__ A* a, const __cb__ A* b, int64_t m, int64_t k,     \
                   int64_t n, int64_t unitFlag, bool kDirectionAlign, bool cmatrixSource,       \
                   bool cmatrixInitVal) {                                                       \
    VNPU_ISSUE(mad, type, VnpuAddress(c), VnpuAddress(a), VnpuAddress(b), m, k, n, unitFlag,    \
               static_cast<int64_t>(kDirectionAlign), static_cast<int64_t>(cmatrixSource),      \
               static_cast<int64_t>(cmatrixInitVal));                                           \
  }                                                                                             \
  VNPU_OP void mad(__cc__ C* c, const __ca__ A* a, const __cb__ A* b, uint64_t bias, int64_t m, \
                   int64_t k, int64_t n, int64_t unitFlag, bool kDirectionAlign,                \
                   bool cmatrixSource, bool cmatrixInitVal) {                                   \
    VNPU_ISSUE(mad_bias, type, VnpuAddress(c), VnpuAddress(a), VnpuAddress(b), m, k, n,         \
               unitFlag, static_cast<int64_t>(kDirectionAlign),                                 \
               static_cast<int64_t>(cmatrixSource), static_cast<int64_t>(cmatrixInitVal),       \
               static_cast<int64_t>(bias));                                                     \
  }
VNPU_MAD(float, half, VNPU_T_f16)
VNPU_MAD(float, bfloat16_t, VNPU_T_bf16)
VNPU_MAD(float, float, VNPU_T_f32)
VNPU_MAD(int32_t, int8_t, VNPU_T_s8)
#undef VNPU_MAD

// int4 operands, two to a byte; k counts elements.
VNPU_OP void mad_s4(__cc__ int32_t* c, const __ca__ void* a, const __cb__ void* b, int64_t m,
                    int64_t k, int64_t n, int64_t unitFlag, bool kDirectionAlign,
                    bool cmatrixSource, bool cmatrixInitVal) {
  VNPU_ISSUE(mad_s4, VNPU_T_s4, VnpuAddress(c), VnpuAddress(a), VnpuAddress(b), m, k, n, unitFlag,
             static_cast<int64_t>(kDirectionAlign), static_cast<int64_t>(cmatrixSource),
             static_cast<int64_t>(cmatrixInitVal));
}

// L0C to GM or L1. `type` carries the element of dst; the quantisation mode
// must agree with it.
#define VNPU_FIXPIPE(name, space, T, S, type)                                                    \
  VNPU_OP void name(space T* dst, const __cc__ S* src, int64_t sid, int64_t nSize,               \
                    int64_t mSize, int64_t dstStride, int64_t srcStride, int64_t unitFlag,       \
                    QuantMode_t quant, int64_t relu, bool channelSplit, bool nz2nd) {            \
    VNPU_ISSUE(name, type, VnpuAddress(dst), VnpuAddress(src), sid, nSize, mSize, dstStride,     \
               srcStride, unitFlag, static_cast<int64_t>(quant), relu,                           \
               static_cast<int64_t>(channelSplit), static_cast<int64_t>(nz2nd));                 \
  }
#define VNPU_FIXPIPE_BOTH(T, S, type)                           \
  VNPU_FIXPIPE(copy_matrix_cc_to_gm, __gm__, T, S, type)        \
  VNPU_FIXPIPE(copy_matrix_cc_to_cbuf, __cbuf__, T, S, type)
VNPU_FIXPIPE_BOTH(float, float, VNPU_T_f32)
VNPU_FIXPIPE_BOTH(half, float, VNPU_T_f16)
VNPU_FIXPIPE_BOTH(bfloat16_t, float, VNPU_T_bf16)
VNPU_FIXPIPE_BOTH(int8_t, float, VNPU_T_s8)
VNPU_FIXPIPE_BOTH(uint8_t, float, VNPU_T_u8)
VNPU_FIXPIPE_BOTH(int32_t, int32_t, VNPU_T_s32)
VNPU_FIXPIPE_BOTH(half, int32_t, VNPU_T_f16)
VNPU_FIXPIPE_BOTH(int16_t, int32_t, VNPU_T_s16)
VNPU_FIXPIPE_BOTH(int8_t, int32_t, VNPU_T_s8)
VNPU_FIXPIPE_BOTH(uint8_t, int32_t, VNPU_T_u8)
#undef VNPU_FIXPIPE_BOTH
#undef VNPU_FIXPIPE
// clang-format on

#endif  // VNPU_ISA_CCE_CUBE_H_
