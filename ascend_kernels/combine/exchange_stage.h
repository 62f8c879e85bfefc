// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a combining vector core: partial results of one slab
// in, its merged rows out. Pipes MTE2 and MTE3.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_EXCHANGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_EXCHANGE_STAGE_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/combine/buffer_map.h"
#include "ascend_kernels/decode/plan_memory.h"

namespace ascend_attention {

template <typename T>
struct CombineArgs {
  GmPtr<T> out;              // [batch, num_heads, head_dim]
  GmPtr<float> lse;          // [batch, num_heads], only with kLaunchWriteLse
  GmPtr<uint8_t> workspace;  // plan and regions, tiling/abi/decode_plan.h
  uint64_t flags;
};

// Where the partial results lie: [num_partials, group_rows, head_dim] and
// [num_partials, RoundUp(group_rows, 8)].
struct Partials {
  GmPtr<float> out;
  GmPtr<float> lse;
  uint32_t group_rows;
  uint32_t head_dim;
};

// Up to 8 query rows of one split.
struct Slab {
  uint32_t split_rows;      // query rows of the split's kv-head group
  uint32_t first_head_row;  // of the group, in out and lse
  uint32_t first_partial;
  uint32_t num_partials;
  uint32_t first_row;  // of the slab, in the group
  uint32_t rows;       // 1..8
};

// `count` partials of the slab, from number `first` on: rows [count, 8,
// head_dim] and lse [count, 8]; rows that the slab lacks keep what UB held.
AICORE_INLINE void LoadPartials(UbPtr<float> rows, UbPtr<float> lse, const Partials& partials,
                                const Slab& slab, uint32_t first, uint32_t count) {
  const uint64_t partial = slab.first_partial + first;
  const uint32_t row_datablocks = partials.head_dim / kF32PerDatablock;
  RowCopy copy;
  copy.rows = count;
  copy.row_datablocks = slab.rows * row_datablocks;
  copy.src_gap_datablocks = (partials.group_rows - slab.rows) * row_datablocks;
  copy.dst_gap_datablocks = (kSlabRows - slab.rows) * row_datablocks;
  const uint64_t first_row = partial * partials.group_rows + slab.first_row;
  GmToUb(rows, partials.out + first_row * partials.head_dim, copy);
  const uint32_t lse_pitch = RoundUp(partials.group_rows, kF32PerDatablock);
  GmToUbRagged(lse, partials.lse + partial * lse_pitch + slab.first_row, count, slab.rows,
               (lse_pitch - slab.rows) * 4);
}

template <typename T>
AICORE_INLINE void StoreSlab(const CombineArgs<T>& args, UbPtr<T> out, UbPtr<float> lse,
                             const Slab& slab, uint32_t head_dim) {
  const uint64_t row = slab.first_head_row + slab.first_row;
  RowCopy copy;
  copy.rows = 1;
  copy.row_datablocks = slab.rows * head_dim * sizeof(T) / kDatablockBytes;
  UbToGm(args.out + row * head_dim, out, copy);
  if ((args.flags & kLaunchWriteLse) != 0) UbToGmRagged(args.lse + row, lse, slab.rows);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_EXCHANGE_STAGE_H_
