// SPDX-License-Identifier: Apache-2.0
// Data movement of a vector core, one intrinsic an op: GM <-> UB.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_COPY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_COPY_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

// `rows` runs of `row_datablocks` (32 bytes each), each followed by a gap.
struct RowCopy {
  uint32_t rows = 0;                // 1..4095
  uint32_t row_datablocks = 0;      // 1..65535
  uint32_t src_gap_datablocks = 0;  // end of one row to start of the next, <= 65535
  uint32_t dst_gap_datablocks = 0;
};

// PIPE_MTE2. dst is 32-byte aligned.
template <typename T>
AICORE_INLINE void GmToUb(UbPtr<T> dst, GmPtr<T> src, const RowCopy& p) {
  copy_gm_to_ubuf(
      dst, src, 0, static_cast<uint16_t>(p.rows), static_cast<uint16_t>(p.row_datablocks),
      static_cast<uint16_t>(p.src_gap_datablocks), static_cast<uint16_t>(p.dst_gap_datablocks));
}

// PIPE_MTE3. src is 32-byte aligned.
template <typename T>
AICORE_INLINE void UbToGm(GmPtr<T> dst, UbPtr<T> src, const RowCopy& p) {
  copy_ubuf_to_gm(
      dst, src, 0, static_cast<uint16_t>(p.rows), static_cast<uint16_t>(p.row_datablocks),
      static_cast<uint16_t>(p.src_gap_datablocks), static_cast<uint16_t>(p.dst_gap_datablocks));
}

// PIPE_MTE2. `rows` runs of `row_elems` fp32 values, any count; in UB each run
// starts on the next datablock after dst_gap_datablocks more. src_gap_bytes: end of
// one run to the next.
AICORE_INLINE void GmToUbRagged(UbPtr<float> dst, GmPtr<float> src, uint32_t rows,
                                uint32_t row_elems, uint32_t src_gap_bytes,
                                uint32_t dst_gap_datablocks = 0) {
  copy_gm_to_ubuf_align_b32(dst, src, 0, static_cast<uint16_t>(rows), row_elems * 4, 0, 0,
                            src_gap_bytes, dst_gap_datablocks);
}

// PIPE_MTE3. One run of `elems` fp32 values, any count.
AICORE_INLINE void UbToGmRagged(GmPtr<float> dst, UbPtr<float> src, uint32_t elems) {
  copy_ubuf_to_gm_align_b32(dst, src, 0, 1, elems * 4, 0, 0, 0, 0);
}

// PIPE_MTE3. The first float of each of `rows` datablocks, to neighbouring floats.
AICORE_INLINE void UbToGmOneEach(GmPtr<float> dst, UbPtr<float> src, uint32_t rows) {
  copy_ubuf_to_gm_align_b32(dst, src, 0, static_cast<uint16_t>(rows), sizeof(float), 0, 0, 0, 0);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_VECTOR_COPY_H_
