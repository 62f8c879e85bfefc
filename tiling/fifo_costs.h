// SPDX-License-Identifier: Apache-2.0
// What KvRoute::kFifo costs. Its kernel takes ids, (sequence, kv head, tile of query
// heads), core by core: id i goes to core i mod cores. An id has a start and a step for
// each page.
//
// Next: tiling/fifo_planner.h - what a plan says of it.
#ifndef ASCEND_ATTENTION_TILING_FIFO_COSTS_H_
#define ASCEND_ATTENTION_TILING_FIFO_COSTS_H_

#include <cstdint>

#include "tiling/platform.h"
#include "tiling/shape.h"
#include "tiling/tile_size.h"

namespace ascend_attention {

// Counted like SplitParams, in bytes of KV at one core's share of the bandwidth.
struct FifoPrices {
  uint64_t item_cost;        // an id with tokens, beside its pages
  uint64_t empty_item_cost;  // an id without
  uint64_t step_cost;        // a page
  uint64_t pair_saves;       // of an id with two pages, in the choice of the route only
  uint64_t core_start_cost;  // from the start of a core to that of the next
};

FifoPrices MakeFifoPrices(const DecodeShape& shape, const TileSize& tiles,
                          const Platform& platform);

// Until the last core ends, every sequence as long as the block table allows; the
// largest number if that is more. `shape` is valid with kFifo.
uint64_t FifoLongestBatch(const DecodeShape& shape, const TileSize& tiles,
                          const Platform& platform);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_FIFO_COSTS_H_
