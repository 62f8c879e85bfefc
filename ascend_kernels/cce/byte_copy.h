// SPDX-License-Identifier: Apache-2.0
// Data movement of a vector core by bytes, one intrinsic an op: runs of any
// length, any place and any distance in GM. In UB each run starts on a datablock.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_BYTE_COPY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_BYTE_COPY_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

struct ByteRuns {
  uint32_t runs = 1;               // 1..4095
  uint32_t run_bytes = 0;          // 1..2097151
  uint32_t gm_gap_bytes = 0;       // end of one run to the start of the next, in GM
  uint32_t ub_gap_datablocks = 0;  // behind the run's last datablock, in UB
};

// PIPE_MTE2. dst is 32-byte aligned.
AICORE_INLINE void GmToUbBytes(UbPtr<uint8_t> dst, GmPtr<uint8_t> src, const ByteRuns& p) {
  copy_gm_to_ubuf_align_b8(dst, src, 0, static_cast<uint16_t>(p.runs), p.run_bytes, 0, 0,
                           p.gm_gap_bytes, p.ub_gap_datablocks);
}

// PIPE_MTE3. src is 32-byte aligned. Writes these bytes and no others: cores may
// store to neighbouring bytes at the same time.
AICORE_INLINE void UbToGmBytes(GmPtr<uint8_t> dst, UbPtr<uint8_t> src, const ByteRuns& p) {
  copy_ubuf_to_gm_align_b8(dst, src, 0, static_cast<uint16_t>(p.runs), p.run_bytes, 0, 0,
                           p.ub_gap_datablocks, p.gm_gap_bytes);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_BYTE_COPY_H_
