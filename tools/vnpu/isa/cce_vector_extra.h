// SPDX-License-Identifier: Apache-2.0
// Vector unit: broadcast, gather, transpose, sort, compare, select.
#ifndef VNPU_ISA_CCE_VECTOR_EXTRA_H_
#define VNPU_ISA_CCE_VECTOR_EXTRA_H_

#include "tools/vnpu/isa/cce_vector.h"

// clang-format off
// Each of 8 consecutive elements over one whole datablock. Ignores the mask.
#define VNPU_VBRCB(name, T, type)                                                              \
  VNPU_OP void vbrcb(__ubuf__ T* dst, const __ubuf__ T* src, int64_t dstBlk, int64_t dstRep,   \
                     int64_t repeat) {                                                         \
    VNPU_ISSUE(vbrcb, type, VnpuAddress(dst), VnpuAddress(src), dstBlk, dstRep, repeat);       \
  }
VNPU_B16_B32(VNPU_VBRCB, vbrcb)
#undef VNPU_VBRCB

// Lane e = element at UB byte srcBase + offsets[e].
#define VNPU_VGATHER(T, type)                                                                      \
  VNPU_OP void vgather(__ubuf__ T* dst, const __ubuf__ uint32_t* offsets, uint64_t srcBase,        \
                       int64_t dstRep, int64_t repeat) {                                           \
    VNPU_ISSUE(vgather, type, VnpuAddress(dst), VnpuAddress(offsets),                              \
               static_cast<int64_t>(srcBase), dstRep, repeat);                                     \
  }                                                                                                \
  VNPU_OP void vgatherb(__ubuf__ T* dst, const __ubuf__ uint32_t* offsets, uint64_t srcBase,       \
                        int64_t dstRep, int64_t dstBlk, int64_t repeat) {                          \
    VNPU_ISSUE(vgatherb, type, VnpuAddress(dst), VnpuAddress(offsets),                             \
               static_cast<int64_t>(srcBase), dstRep, dstBlk, repeat);                             \
  }
VNPU_VGATHER(uint16_t, VNPU_T_u16)
VNPU_VGATHER(uint32_t, VNPU_T_u32)
#undef VNPU_VGATHER

// Keeps the lanes a pattern names, packed: 1 even, 2 odd, 3..6 every fourth, 7 all, 0 bits of src1.
#define VNPU_VREDUCEV2(T, type)                                                                    \
  VNPU_OP void vreducev2(__ubuf__ T* dst, const __ubuf__ T* src0, const __ubuf__ T* src1,          \
                         int64_t repeat, int64_t src0Blk, int64_t pattern, int64_t src0Rep,        \
                         int64_t src1Rep) {                                                        \
    VNPU_ISSUE(vreducev2, type, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1), repeat,    \
               src0Blk, pattern, src0Rep, src1Rep);                                                \
  }
VNPU_VREDUCEV2(uint16_t, VNPU_T_u16)
VNPU_VREDUCEV2(uint32_t, VNPU_T_u32)
#undef VNPU_VREDUCEV2

#define VNPU_VTRANSPOSE(T)                                                \
  VNPU_OP void vtranspose(__ubuf__ T* dst, const __ubuf__ T* src) {       \
    VNPU_ISSUE(vtranspose, VNPU_T_u16, VnpuAddress(dst), VnpuAddress(src)); \
  }
VNPU_VTRANSPOSE(uint16_t)
VNPU_VTRANSPOSE(int16_t)
VNPU_VTRANSPOSE(half)
#undef VNPU_VTRANSPOSE
VNPU_OP void scatter_vnchwconv_b16(ub_addr8_t dst, ub_addr8_t src, int64_t repeat,
                                   int64_t dstStride, int64_t srcStride) {
  VNPU_ISSUE(scatter_vnchwconv_b16, VNPU_T_u16, static_cast<int64_t>(dst),
             static_cast<int64_t>(src), repeat, dstStride, srcStride);
}
VNPU_OP void scatter_vnchwconv_b32(ub_addr8_t dst, ub_addr8_t src, int64_t repeat,
                                   int64_t dstStride, int64_t srcStride) {
  VNPU_ISSUE(scatter_vnchwconv_b32, VNPU_T_u32, static_cast<int64_t>(dst),
             static_cast<int64_t>(src), repeat, dstStride, srcStride);
}
VNPU_OP void scatter_vnchwconv_b8(ub_addr8_t dst, ub_addr8_t src, int64_t repeat,
                                  int64_t dstStride, int64_t srcStride, bool dstHigh,
                                  bool srcHigh) {
  VNPU_ISSUE(scatter_vnchwconv_b8, VNPU_T_u8, static_cast<int64_t>(dst),
             static_cast<int64_t>(src), repeat, dstStride, srcStride,
             static_cast<int64_t>(dstHigh), static_cast<int64_t>(srcHigh));
}

// 32 (score, index) pairs per repeat, descending.
#define VNPU_VBITSORT(T, type)                                                                  \
  VNPU_OP void vbitsort(__ubuf__ T* dst, const __ubuf__ T* score,                               \
                        const __ubuf__ uint32_t* index, int64_t repeat) {                       \
    VNPU_ISSUE(vbitsort, type, VnpuAddress(dst), VnpuAddress(score), VnpuAddress(index), repeat); \
  }                                                                                             \
  VNPU_OP void vmrgsort4(__ubuf__ T* dst, __ubuf__ T* (&src)[4], uint64_t lengths,              \
                         uint64_t config) {                                                     \
    VNPU_ISSUE(vmrgsort4, type, VnpuAddress(dst), VnpuAddress(src[0]), VnpuAddress(src[1]),     \
               VnpuAddress(src[2]), VnpuAddress(src[3]), static_cast<int64_t>(lengths),         \
               static_cast<int64_t>(config));                                                   \
  }
VNPU_VBITSORT(half, VNPU_T_f16)
VNPU_VBITSORT(float, VNPU_T_f32)
#undef VNPU_VBITSORT

// ---- compare
#define VNPU_VCMP(op, T, type)                                                                    \
  VNPU_OP void vcmpv_##op(__ubuf__ uint8_t* dst, const __ubuf__ T* src0, const __ubuf__ T* src1,  \
                          int64_t repeat, int64_t dstBlk, int64_t src0Blk, int64_t src1Blk,       \
                          int64_t dstRep, int64_t src0Rep, int64_t src1Rep) {                     \
    VNPU_ISSUE(vcmpv_##op, type, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1), repeat,  \
               dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep);                               \
  }                                                                                               \
  VNPU_OP void vcmpvs_##op(__ubuf__ uint8_t* dst, const __ubuf__ T* src, T scalar,                \
                           int64_t repeat, int64_t dstBlk, int64_t srcBlk, int64_t dstRep,        \
                           int64_t srcRep) {                                                      \
    VNPU_ISSUE(vcmpvs_##op, type, VnpuAddress(dst), VnpuAddress(src), VnpuBits(scalar), repeat,   \
               dstBlk, srcBlk, dstRep, srcRep);                                                   \
  }                                                                                               \
  VNPU_OP void vcmp_##op(const __ubuf__ T* src0, const __ubuf__ T* src1, int64_t repeat,          \
                         int64_t dstBlk, int64_t src0Blk, int64_t src1Blk, int64_t dstRep,        \
                         int64_t src0Rep, int64_t src1Rep) {                                      \
    VNPU_ISSUE(vcmp_##op, type, VnpuAddress(src0), VnpuAddress(src1), repeat, dstBlk, src0Blk,    \
               src1Blk, dstRep, src0Rep, src1Rep);                                                \
  }
#define VNPU_VCMP_TYPES(op)        \
  VNPU_VCMP(op, half, VNPU_T_f16)  \
  VNPU_VCMP(op, float, VNPU_T_f32)
VNPU_VCMP_TYPES(eq)
VNPU_VCMP_TYPES(ne)
VNPU_VCMP_TYPES(lt)
VNPU_VCMP_TYPES(le)
VNPU_VCMP_TYPES(gt)
VNPU_VCMP_TYPES(ge)
VNPU_VCMP(eq, int32_t, VNPU_T_s32)
#undef VNPU_VCMP_TYPES
#undef VNPU_VCMP

// Mode 0: bits of the compare mask, the same for each repeat. Mode 1: src1 is
// the bit tensor, the other value the scalar left by set_cmpmask. Mode 2: the
// compare mask holds the UB address of the bit tensor.
#define VNPU_VSEL(T, type)                                                                        \
  VNPU_OP void vsel(__ubuf__ T* dst, const __ubuf__ T* src0, const __ubuf__ T* src1,              \
                    int64_t repeat, int64_t dstBlk, int64_t src0Blk, int64_t src1Blk,             \
                    int64_t dstRep, int64_t src0Rep, int64_t src1Rep, int64_t mode = 0) {         \
    VNPU_ISSUE(vsel, type, VnpuAddress(dst), VnpuAddress(src0), VnpuAddress(src1), repeat,        \
               dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep, mode);                         \
  }
VNPU_VSEL(half, VNPU_T_f16)
VNPU_VSEL(float, VNPU_T_f32)
#undef VNPU_VSEL
// clang-format on
// 16 bytes of UB to or from the compare mask register.
VNPU_OP void set_cmpmask(const __ubuf__ void* src) { VNPU_ISSUE(set_cmpmask, 0, VnpuAddress(src)); }
VNPU_OP void get_cmpmask(__ubuf__ void* dst) { VNPU_ISSUE(get_cmpmask, 0, VnpuAddress(dst)); }

#endif  // VNPU_ISA_CCE_VECTOR_EXTRA_H_
