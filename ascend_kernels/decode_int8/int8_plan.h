// SPDX-License-Identifier: Apache-2.0
// What the int8 decode kernels read of the plan beyond decode/work_cursor.h: the
// slots of prepared queries and of converted tokens, and whether tiles fit.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_PLAN_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_PLAN_H_

#include "ascend_kernels/decode/work_cursor.h"
#include "ascend_kernels/decode_int8/int8_buffer_map.h"

namespace ascend_attention {
namespace int8 {

// Slots [limbs, max_rows, head_dim] of what the cube multiplies.
template <typename T>
using QuerySlots = GmSlots<T, kQuerySlots>;

template <typename T>
AICORE_INLINE void OpenQueries(QuerySlots<T>& slots, GmPtr<uint8_t> workspace) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  slots.Open(workspace, header->query_operands.begin.bytes, header->query_operand_slot_size.bytes);
}

// Slots [tokens, kv heads, head_dim] of a tile, tokens end to end.
using DequantSlots = GmSlots<half, kDequantSlots>;

struct DequantExchange {
  DequantSlots keys;
  DequantSlots values;

  AICORE_INLINE void Open(GmPtr<uint8_t> workspace) {
    GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
    keys.Open(workspace, header->dequant_keys.begin.bytes, header->dequant_slot_size.bytes);
    values.Open(workspace, header->dequant_values.begin.bytes, header->dequant_slot_size.bytes);
  }
};

// Whether a vector core's matrices and scales fit int8_buffer_map.h, rows padded to
// whole 64-lane columns. Items have one query token.
AICORE_INLINE bool RowsFit(const Problem& problem) {
  const uint32_t rows = CeilDiv(problem.max_rows, 2);
  const uint32_t row_lanes = RoundUp(problem.head_dim, kF32Lanes);
  return problem.max_rows_per_head == problem.q_per_kv && rows * row_lanes <= kMaxMatrixElems &&
         rows * problem.tile_tokens <= kMaxMatrixElems &&
         problem.max_kv_heads * row_lanes <= kMaxScaleElems &&
         problem.max_kv_heads * problem.tile_tokens <= kMaxScaleElems &&
         problem.max_kv_heads * problem.head_dim <= kPieceBytes &&
         problem.head_dim % kDatablockBytes == 0;
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_PLAN_H_
