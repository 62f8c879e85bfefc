// SPDX-License-Identifier: Apache-2.0
// The running output of a work item, for the rows r of one vector core, pipe V:
//
//   each tile   o_acc[r, :] = a[r] * o_acc[r, :] + w[r] * o_tile[r, :]
//   at the end  avg[r, :]   = o_acc[r, :] / l[r]
//               o[r, d]     = (avg[r, d] + value_offset[kv head, d]) * value_scale[kv head, d]
//               lse[r]      = ln(l[r] / c) + m[r] + bias[r]
//
// The weights sum to one, so that offset and scale of a value channel need not be
// applied to every token. kInt8Token: o = avg, the scales are in the weights. a, w,
// l, m, c: weights_stage.h (w is b or b * u); bias: query_stage.h.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_OUTPUT_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_OUTPUT_STAGE_H_

#include "ascend_kernels/decode/rescale_stage.h"
#include "ascend_kernels/decode_int8/weights_stage.h"

namespace ascend_attention {
namespace int8 {

// o_tile: sums of the tile, scratch afterwards.
template <typename Format>
AICORE_INLINE void AddOTile(UbPtr<float> o_acc, const Pair& o_tile, const Rescale& rescale,
                            const OutputShape& shape) {
  FromSums(Format(), o_tile, shape.repeats());
  VectorBarrier();
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    UseLanesOfColumn(shape, lane);
    MulPerRow(o_acc + lane, o_acc + lane, rescale.old_output, shape.rows, shape.head_dim);
    MulPerRow(o_tile.values + lane, o_tile.values + lane, rescale.o_tile, shape.rows,
              shape.head_dim);
  }
  UseAllLanes();
  VectorBarrier();
  AddDense(o_acc, o_acc, o_tile.values, shape.repeats());
}

// Value scale and offset of the item's kv heads, [kv heads, head_dim].
struct ChannelScales {
  UbPtr<float> scale;
  UbPtr<float> offset;
};

// In place: avg to o. Barriers inside, none at its ends.
AICORE_INLINE void ApplyChannelScales(UbPtr<float> average, const ChannelScales& channels,
                                      const RowsByHead& by_head, KvQuant quant) {
  if (quant == KvQuant::kInt8ChannelAsym) {
    AddByHead(average, channels.offset, by_head);
    VectorBarrier();
  }
  MulByHead(average, channels.scale, by_head);
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_OUTPUT_STAGE_H_
