// SPDX-License-Identifier: Apache-2.0
// The instructions that the micro kernels time, shared by host and kernels.
#ifndef VNPU_TIMING_MICRO_MICRO_CASES_H_
#define VNPU_TIMING_MICRO_MICRO_CASES_H_

#include <stdint.h>

namespace vnpu_micro {

// Vector operations of a kind, on half and on float.
#define VNPU_MICRO_BINARY(M) M(vadd) M(vsub) M(vmul) M(vdiv) M(vmax) M(vmin) M(vmla) M(vmadd)
#define VNPU_MICRO_UNARY(M) M(vabs) M(vrelu) M(vexp) M(vln) M(vsqrt) M(vrec) M(vrsqrt)
#define VNPU_MICRO_SCALAR(M) M(vadds) M(vmuls) M(vmaxs) M(vmins) M(vlrelu) M(vaxpy)
#define VNPU_MICRO_GROUP(M) M(vcgadd) M(vcgmax) M(vcgmin) M(vcpadd)

enum class Which : uint32_t {
  // cube core: bytes
  kGmToL1,
  kNd2Nz,    // rows of 2 KiB
  kL1ToL0a,  // fractals
  kL1ToL0b,
  kMadF16,  // m, k, n
  kMadS8,
  kMadF32,
  kFixpipe,  // bytes of L0C
  kFixpipeNd,
  kL1ToBt,
  kL1ToFb,
  // vector core: bytes
  kGmToUb,
  kUbToGm,
  kUbToUb,
// vector core: repeats
#define VNPU_MICRO_BOTH(name) name##_f16, name##_f32,
  VNPU_MICRO_BINARY(VNPU_MICRO_BOTH) VNPU_MICRO_UNARY(VNPU_MICRO_BOTH)
      VNPU_MICRO_SCALAR(VNPU_MICRO_BOTH) VNPU_MICRO_GROUP(VNPU_MICRO_BOTH)
#undef VNPU_MICRO_BOTH
          vand_u16,
  vor_u16,
  vnot_u16,
  vshl_s32,
  vcadd_f16,
  vcadd_f32,
  vcmax_f16,
  vcmax_f32,
  vcmin_f32,
  vector_dup_f32,
  vcopy_u32,
  vbrcb_u32,
  vsel_f32,
  vcmpv_lt_f32,
  vcmpvs_lt_f32,
  vconv_f322f16,
  vconv_f162f32,
  vgather_u16,
  vgather_u32,
  vgatherb_u32,
  vreducev2_u32,
  vadd_f32_stride8,   // destination blocks 8 apart
  vadd_f32_stride16,  // destination blocks 16 apart
};

// `count` equal instructions back to back.
struct Request {
  Which which;
  uint32_t size[3];
  uint32_t count;
};

}  // namespace vnpu_micro

#endif  // VNPU_TIMING_MICRO_MICRO_CASES_H_
