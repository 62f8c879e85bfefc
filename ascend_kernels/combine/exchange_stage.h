// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a vector core that merges the partials of split
// sequences: the partials of one slab in, its merged rows out. Pipes MTE2, MTE3.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_EXCHANGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_EXCHANGE_STAGE_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/combine/slab_cursor.h"

namespace ascend_attention {

template <typename T>
struct CombineArgs {
  GmPtr<T> out;              // [num_query_rows, num_heads, head_dim]
  GmPtr<float> lse;          // [num_query_rows, num_heads], only with kLaunchWriteLse
  GmPtr<uint8_t> workspace;  // plan and regions, tiling/abi/decode_plan.h
  uint64_t flags;
};

// `parts` partials of the slab, from number `first` on: rows [parts, slab_rows,
// head_dim] and lse [parts, value_pitch]; rows that the slab lacks keep what UB held.
AICORE_INLINE void LoadPartials(UbPtr<float> rows, UbPtr<float> lse, const Partials& partials,
                                const PartialSlab& slab, const MergeShape& shape, uint32_t first,
                                uint32_t parts) {
  const uint64_t partial = slab.first_partial + first;
  const uint32_t row_datablocks = shape.head_dim / kF32PerDatablock;
  const uint32_t lse_pitch = RoundUp(partials.rows, kF32PerDatablock);
  GmToUbRagged(lse, partials.lse + partial * lse_pitch + slab.first_row, parts, slab.rows,
               (lse_pitch - slab.rows) * 4,
               shape.value_pitch / kF32PerDatablock - CeilDiv(slab.rows, kF32PerDatablock));
  RowCopy copy;
  copy.rows = parts;
  copy.row_datablocks = slab.rows * row_datablocks;
  copy.src_gap_datablocks = (partials.rows - slab.rows) * row_datablocks;
  copy.dst_gap_datablocks = (shape.slab_rows - slab.rows) * row_datablocks;
  const uint64_t first_row = partial * partials.rows + slab.first_row;
  GmToUb(rows, partials.out + first_row * shape.head_dim, copy);
}

// out: [rows, head_dim], lse: one datablock a row; to the caller's tensors, run by run.
template <typename T>
AICORE_INLINE void StoreSlab(const CombineArgs<T>& args, UbPtr<T> out, UbPtr<float> lse,
                             const PartialSlab& slab, uint32_t head_dim) {
  const uint32_t end = slab.first_row + slab.rows;
  for (uint32_t row = slab.first_row; row < end;) {
    const RowRun run = RunFrom(slab.map, row, end);
    const uint32_t in_ub = row - slab.first_row;
    RowCopy copy;
    copy.rows = 1;
    copy.row_datablocks = run.rows * head_dim * sizeof(T) / kDatablockBytes;
    UbToGm(args.out + static_cast<uint64_t>(run.head_row) * head_dim, out + in_ub * head_dim, copy);
    if ((args.flags & kLaunchWriteLse) != 0) {
      UbToGmOneEach(args.lse + run.head_row, lse + in_ub * kF32PerDatablock, run.rows);
    }
    row += run.rows;
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_EXCHANGE_STAGE_H_
