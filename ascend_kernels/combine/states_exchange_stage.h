// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a vector core that merges a caller's partial results:
// the parts of one slab in, its merged rows out. Pipes MTE2, MTE3.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_EXCHANGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_EXCHANGE_STAGE_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/combine/merge_shape.h"

namespace ascend_attention {

// What merge_states is launched with; host_cc/merge_states.cc packs the same.
// A part of parts_out is less than 4 GiB.
template <typename T>
struct MergeStatesArgs {
  GmPtr<T> parts_out;      // [num_parts, rows, head_dim]
  GmPtr<float> parts_lse;  // [num_parts, rows]
  GmPtr<T> out;            // [rows, head_dim]
  GmPtr<float> lse;        // [rows], or null
  uint32_t num_parts;
  uint32_t rows;
  uint32_t head_dim;  // a multiple of 16
};

// Neighbouring rows of all parts.
struct StateSlab {
  uint32_t num_parts;
  uint32_t first_row;
  uint32_t rows;  // 1..slab_rows

  AICORE_INLINE uint32_t parts() const { return num_parts; }
};

// `parts` parts of the slab, from number `first` on: rows [parts, slab_rows,
// head_dim] and lse [parts, value_pitch]; rows that the slab lacks keep what UB held.
template <typename T>
AICORE_INLINE void LoadStates(UbPtr<T> rows, UbPtr<float> lse, const MergeStatesArgs<T>& args,
                              const StateSlab& slab, const MergeShape& shape, uint32_t first,
                              uint32_t parts) {
  const uint64_t first_row = static_cast<uint64_t>(first) * args.rows + slab.first_row;
  GmToUbRagged(lse, args.parts_lse + first_row, parts, slab.rows, (args.rows - slab.rows) * 4,
               shape.value_pitch / kF32PerDatablock - CeilDiv(slab.rows, kF32PerDatablock));
  // A row is whole datablocks of any dtype; the distance of two parts may be too
  // long for a count of datablocks.
  const uint32_t row_bytes = shape.head_dim * sizeof(T);
  GmToUbRagged(reinterpret_cast<UbPtr<float>>(rows),
               reinterpret_cast<GmPtr<float>>(args.parts_out + first_row * shape.head_dim), parts,
               slab.rows * row_bytes / 4, (args.rows - slab.rows) * row_bytes,
               (shape.slab_rows - slab.rows) * row_bytes / kDatablockBytes);
}

// out: [rows, head_dim], lse: one fp32 a row.
template <typename T>
AICORE_INLINE void StoreStates(const MergeStatesArgs<T>& args, UbPtr<T> out, UbPtr<float> lse,
                               const StateSlab& slab) {
  RowCopy copy;
  copy.rows = 1;
  copy.row_datablocks = slab.rows * args.head_dim * sizeof(T) / kDatablockBytes;
  UbToGm(args.out + static_cast<uint64_t>(slab.first_row) * args.head_dim, out, copy);
  if (args.lse != nullptr) UbToGmRagged(args.lse + slab.first_row, lse, slab.rows);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_EXCHANGE_STAGE_H_
