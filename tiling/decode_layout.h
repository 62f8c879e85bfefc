// SPDX-License-Identifier: Apache-2.0
// Where everything lies in the decode workspace: the part of a plan that
// follows from shape, batch and cores alone, not from the lengths.
//
// Next: tiling/decode_planner.h - adds the lengths.
#ifndef ASCEND_ATTENTION_TILING_DECODE_LAYOUT_H_
#define ASCEND_ATTENTION_TILING_DECODE_LAYOUT_H_

#include "tiling/abi/decode_plan.h"
#include "tiling/abi/split_params.h"
#include "tiling/shape.h"
#include "tiling/status.h"
#include "tiling/tile_size.h"

namespace ascend_attention {

// The part of SplitParams on which the layout depends: all but the prices.
SplitParams LayoutExtents(const DecodeShape& shape, const TileSize& tiles, uint32_t num_cores);

// A header with everything but softmax_scale and the counts (num_query_rows,
// num_items, num_splits, num_partials), which are 0. shape.kv_route is not kAuto. Arrays and
// partial regions are booked for the most items, splits and partials that any lengths can lead to;
// with kFifo there are none, but context_lens.
StatusOr<DecodePlanHeader> LayOutDecode(const DecodeShape& shape, const TileSize& tiles,
                                        const SplitParams& params);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_DECODE_LAYOUT_H_
