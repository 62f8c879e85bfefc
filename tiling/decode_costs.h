// SPDX-License-Identifier: Apache-2.0
// The cost model: what a token of KV costs on each route, the choice of the
// route, and the prices for the walk.
//
// Next: tiling/abi/split_decision.h - what is done with the prices.
#ifndef ASCEND_ATTENTION_TILING_DECODE_COSTS_H_
#define ASCEND_ATTENTION_TILING_DECODE_COSTS_H_

#include <cstdint>

#include "tiling/abi/split_params.h"
#include "tiling/platform.h"
#include "tiling/shape.h"
#include "tiling/status.h"
#include "tiling/tile_size.h"

namespace ascend_attention {

// What all cores together do for one token of one kv head.
struct TokenWork {
  uint64_t hbm_bytes = 0;      // K and V as they lie in the cache
  uint64_t l2_bytes = 0;       // the same, and all that passes between cube and vector cores
  uint64_t matrix_cycles = 0;  // fractals of both products, in 1/256 cycles
  // Of the cubes' loads, each in 1/256: rows of K and V from the cache, end to end or
  // with gaps; rows from L2, of converted K and V and of P; instructions.
  uint64_t cache_rows = 0;
  uint64_t apart_rows = 0;
  uint64_t l2_rows = 0;
  uint64_t loads = 0;
  // Of the vector cores, for an int8 cache; a 16-bit one asks less of them than of
  // the others.
  uint64_t scores = 0;
  uint64_t converted = 0;  // elements of K and V
};

TokenWork WorkOfToken(const DecodeShape& shape, const TileSize& tiles);

// Time for that in 2^-30 microseconds, all cores at it: the slowest of HBM, L2,
// cubes, their loads and vector cores, which work at the same time.
uint64_t TokenTime(const TokenWork& work, const Platform& platform);

// shape.kv_route, or for kAuto the route that takes the longest batch in the least
// time, of those that can take the shape. With fixed_split_tokens, where a row's bits
// must depend neither on the batch nor on the number of cores, the route of the
// cheapest token on 24 cores. Float32 out: kFifo, which alone has it.
StatusOr<KvRoute> ResolveRoute(const DecodeShape& shape, const Platform& platform);

// Prices for a valid shape on this platform. shape.kv_route is not kAuto.
SplitParams MakeSplitParams(const DecodeShape& shape, const TileSize& tiles,
                            const Platform& platform);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_DECODE_COSTS_H_
