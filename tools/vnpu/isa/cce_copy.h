// SPDX-License-Identifier: Apache-2.0
// Data movement: GM, UB, L1, L0, bias table, fixpipe buffer. Units: a burst of
// the plain copies counts 32-byte datablocks; the align copies count bytes and
// take the GM gap in bytes, the UB gap in datablocks.
#ifndef VNPU_ISA_CCE_COPY_H_
#define VNPU_ISA_CCE_COPY_H_

#include "tools/vnpu/isa/cce_lang.h"

// clang-format off
#define VNPU_COPY7(name, dst_space, src_space)                                                     \
  VNPU_OP void name(dst_space void* dst, const src_space void* src, int64_t sid, int64_t nBurst,   \
                    int64_t lenBurst, int64_t srcGap, int64_t dstGap) {                            \
    VNPU_ISSUE(name, 0, VnpuAddress(dst), VnpuAddress(src), sid, nBurst, lenBurst, srcGap,         \
               dstGap);                                                                            \
  }
VNPU_COPY7(copy_gm_to_ubuf, __ubuf__, __gm__)
VNPU_COPY7(copy_ubuf_to_gm, __gm__, __ubuf__)
VNPU_COPY7(copy_ubuf_to_ubuf, __ubuf__, __ubuf__)
VNPU_COPY7(copy_cbuf_to_gm, __gm__, __cbuf__)
#undef VNPU_COPY7

#define VNPU_COPY_ALIGN(name, dst_space, src_space)                                              \
  VNPU_OP void name(dst_space void* dst, const src_space void* src, int64_t sid, int64_t nBurst, \
                    int64_t lenBurst, int64_t leftPad, int64_t rightPad, int64_t srcGap,         \
                    int64_t dstGap) {                                                            \
    VNPU_ISSUE(name, 0, VnpuAddress(dst), VnpuAddress(src), sid, nBurst, lenBurst, leftPad,      \
               rightPad, srcGap, dstGap);                                                        \
  }
VNPU_COPY_ALIGN(copy_gm_to_ubuf_align_b8, __ubuf__, __gm__)
VNPU_COPY_ALIGN(copy_gm_to_ubuf_align_b16, __ubuf__, __gm__)
VNPU_COPY_ALIGN(copy_gm_to_ubuf_align_b32, __ubuf__, __gm__)
VNPU_COPY_ALIGN(copy_ubuf_to_gm_align_b8, __gm__, __ubuf__)
VNPU_COPY_ALIGN(copy_ubuf_to_gm_align_b16, __gm__, __ubuf__)
VNPU_COPY_ALIGN(copy_ubuf_to_gm_align_b32, __gm__, __ubuf__)
#undef VNPU_COPY_ALIGN

VNPU_OP void copy_gm_to_cbuf(__cbuf__ void* dst, const __gm__ void* src, int64_t sid,
                             int64_t nBurst, int64_t lenBurst, int64_t srcGap, int64_t dstGap,
                             int64_t pad) {
  VNPU_ISSUE(copy_gm_to_cbuf, 0, VnpuAddress(dst), VnpuAddress(src), sid, nBurst, lenBurst, srcGap,
             dstGap, static_cast<int64_t>(pad));
}

// ND (row-major) in GM to NZ in L1.
#define VNPU_ND2NZ(name, T)                                                                       \
  VNPU_OP void name(__cbuf__ T* dst, const __gm__ T* src, int64_t sid, int64_t ndNum,             \
                    int64_t nValue, int64_t dValue, int64_t srcNdMatrixStride, int64_t srcDValue, \
                    int64_t dstNzC0Stride, int64_t dstNzNStride, int64_t dstNzMatrixStride) {     \
    VNPU_ISSUE(name, 0, VnpuAddress(dst), VnpuAddress(src), sid, ndNum, nValue, dValue,           \
               srcNdMatrixStride, srcDValue, dstNzC0Stride, dstNzNStride, dstNzMatrixStride);     \
  }
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b8, int8_t)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b8, uint8_t)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b16, half)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b16, bfloat16_t)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b16, int16_t)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b16, uint16_t)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b32s, float)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b32s, int32_t)
VNPU_ND2NZ(copy_gm_to_cbuf_multi_nd2nz_b32s, uint32_t)
#undef VNPU_ND2NZ

// L1 to L0: whole 512-byte fractals, baseIdx and srcStride in fractals.
#define VNPU_LOAD(name, space, T)                                                                \
  VNPU_OP void name(space T* dst, const __cbuf__ T* src, int64_t baseIdx, int64_t repeat,        \
                    int64_t srcStride, int64_t dstGap, int64_t sid, bool transpose,              \
                    int64_t mode = inc) {                                                        \
    VNPU_ISSUE(name, sizeof(T) == 1 ? VNPU_T_s8 : sizeof(T) == 2 ? VNPU_T_f16 : VNPU_T_f32,      \
               VnpuAddress(dst), VnpuAddress(src), baseIdx, repeat, srcStride, dstGap, sid,      \
               static_cast<int64_t>(transpose), mode);                                           \
  }                                                                                              \
  /* Open kernels pass two flags, both false; what the other one means is not documented. */        \
  VNPU_OP void name(space T* dst, const __cbuf__ T* src, int64_t baseIdx, int64_t repeat,        \
                    int64_t srcStride, int64_t dstGap, int64_t sid, bool flag, bool transpose,   \
                    addr_cal_mode_t mode)                                                        \
      __attribute__((diagnose_if(flag || transpose, "of these flags only false is modelled",     \
                                 "error"))) {                                                    \
    if (flag || transpose) trap();                                                               \
    VNPU_ISSUE(name, sizeof(T) == 1 ? VNPU_T_s8 : sizeof(T) == 2 ? VNPU_T_f16 : VNPU_T_f32,      \
               VnpuAddress(dst), VnpuAddress(src), baseIdx, repeat, srcStride, dstGap, sid, 0,   \
               mode);                                                                            \
  }                                                                                              \
  VNPU_OP void name##_transpose(space T* dst, const __cbuf__ T* src, int64_t index,              \
                                int64_t repeat, int64_t srcStride, int64_t dstGap, int64_t mode, \
                                int64_t dstFracGap) {                                            \
    VNPU_ISSUE(name##_transpose,                                                                 \
               sizeof(T) == 1 ? VNPU_T_s8 : sizeof(T) == 2 ? VNPU_T_f16 : VNPU_T_f32,            \
               VnpuAddress(dst), VnpuAddress(src), index, repeat, srcStride, dstGap, mode,       \
               dstFracGap);                                                                      \
  }
#define VNPU_LOAD_BOTH(T)             \
  VNPU_LOAD(load_cbuf_to_ca, __ca__, T) \
  VNPU_LOAD(load_cbuf_to_cb, __cb__, T)
VNPU_LOAD_BOTH(int8_t)
VNPU_LOAD_BOTH(uint8_t)
VNPU_LOAD_BOTH(half)
VNPU_LOAD_BOTH(bfloat16_t)
VNPU_LOAD_BOTH(int16_t)
VNPU_LOAD_BOTH(uint16_t)
VNPU_LOAD_BOTH(float)
VNPU_LOAD_BOTH(int32_t)
VNPU_LOAD_BOTH(uint32_t)
#undef VNPU_LOAD_BOTH
#undef VNPU_LOAD

// GM to L0 or L1, whole fractals: MTE2.
#define VNPU_LOAD_GM(name, space, T)                                                             \
  VNPU_OP void name(space T* dst, const __gm__ T* src, int64_t baseIdx, int64_t repeat,          \
                    int64_t srcStride, int64_t dstGap, int64_t sid, int64_t mode = inc) {        \
    VNPU_ISSUE(name, sizeof(T) == 1 ? VNPU_T_s8 : sizeof(T) == 2 ? VNPU_T_f16 : VNPU_T_f32,      \
               VnpuAddress(dst), VnpuAddress(src), baseIdx, repeat, srcStride, dstGap, sid,      \
               mode);                                                                            \
  }
#define VNPU_LOAD_GM_ALL(T)                  \
  VNPU_LOAD_GM(load_gm_to_ca, __ca__, T)     \
  VNPU_LOAD_GM(load_gm_to_cb, __cb__, T)     \
  VNPU_LOAD_GM(load_gm_to_cbuf, __cbuf__, T)
VNPU_LOAD_GM_ALL(int8_t)
VNPU_LOAD_GM_ALL(uint8_t)
VNPU_LOAD_GM_ALL(half)
VNPU_LOAD_GM_ALL(bfloat16_t)
VNPU_LOAD_GM_ALL(int16_t)
VNPU_LOAD_GM_ALL(uint16_t)
VNPU_LOAD_GM_ALL(float)
VNPU_LOAD_GM_ALL(int32_t)
VNPU_LOAD_GM_ALL(uint32_t)
#undef VNPU_LOAD_GM_ALL
#undef VNPU_LOAD_GM

// Fill. config: repeats [14:0], blocks per repeat [30:16], gap [46:32]; a block
// is 512 bytes in L0A and L0B, 32 bytes in L1.
#define VNPU_CREATE(name, row, space, T, type)                             \
  VNPU_OP void name(space T* dst, int64_t config, T value) {               \
    VNPU_ISSUE(row, type, VnpuAddress(dst), config, VnpuBits(value));      \
  }
#define VNPU_CREATE_ALL(name, space)                    \
  VNPU_CREATE(name, name, space, half, VNPU_T_f16)      \
  VNPU_CREATE(name, name, space, int16_t, VNPU_T_s16)   \
  VNPU_CREATE(name, name, space, uint16_t, VNPU_T_u16)  \
  VNPU_CREATE(name, name, space, float, VNPU_T_f32)     \
  VNPU_CREATE(name, name, space, int32_t, VNPU_T_s32)   \
  VNPU_CREATE(name, name, space, uint32_t, VNPU_T_u32)  \
  VNPU_CREATE(name##_bf16, name, space, bfloat16_t, VNPU_T_bf16)
VNPU_CREATE_ALL(create_ca_matrix, __ca__)
VNPU_CREATE_ALL(create_cb_matrix, __cb__)
VNPU_CREATE_ALL(create_cbuf_matrix, __cbuf__)
#undef VNPU_CREATE_ALL
#undef VNPU_CREATE
// clang-format on

// Bias table: a burst counts 64 bytes; convControl 1 widens half to float.
VNPU_OP void copy_cbuf_to_bt(uint64_t dst, const __cbuf__ void* src, int64_t convControl,
                             int64_t nBurst, int64_t lenBurst, int64_t srcGap, int64_t dstGap) {
  VNPU_ISSUE(copy_cbuf_to_bt, 0, static_cast<int64_t>(dst), VnpuAddress(src), convControl, nBurst,
             lenBurst, srcGap, dstGap);
}
VNPU_OP void copy_cbuf_to_bt(__biasbuf__ void* dst, const __cbuf__ void* src, int64_t convControl,
                             int64_t nBurst, int64_t lenBurst, int64_t srcGap, int64_t dstGap) {
  copy_cbuf_to_bt(static_cast<uint64_t>(VnpuAddress(dst)), src, convControl, nBurst, lenBurst,
                  srcGap, dstGap);
}
// Fixpipe buffer: a burst counts 128 bytes.
VNPU_OP void copy_cbuf_to_fbuf(__fbuf__ void* dst, const __cbuf__ void* src, int64_t nBurst,
                               int64_t lenBurst, int64_t srcGap, int64_t dstGap) {
  VNPU_ISSUE(copy_cbuf_to_fbuf, 0, VnpuAddress(dst), VnpuAddress(src), nBurst, lenBurst, srcGap,
             dstGap);
}

#endif  // VNPU_ISA_CCE_COPY_H_
