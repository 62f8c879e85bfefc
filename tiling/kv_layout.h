// SPDX-License-Identifier: Apache-2.0
// Where the elements of a paged cache lie, and which layouts can be read.
//
// Next: tiling/tile_size.h - how much of a cache one load takes.
#ifndef ASCEND_ATTENTION_TILING_KV_LAYOUT_H_
#define ASCEND_ATTENTION_TILING_KV_LAYOUT_H_

#include <cstdint>

#include "tiling/shape.h"
#include "tiling/status.h"

namespace ascend_attention {

// GM->L1 with layout change (nd2nz) has 16-bit pitches between the tokens and
// between the kv heads of a load, in elements.
constexpr int64_t kMaxLoadPitchElems = 65535;

// Bytes of one element of the cache.
int64_t KvElemBytes(KvQuant kv_quant);

// kv_strides, or those of a dense cache. With one kv head the head stride is
// head_dim, whatever was given: nothing is read with it.
KvStrides ResolveStrides(const DecodeShape& shape);

// Whether one load instruction reaches all kv heads of a group. If not, heads
// are loaded one by one.
bool LoadsHeadsTogether(const DecodeShape& shape);

// Whether neighbouring tokens of a kv head are neighbours in memory, so that
// long runs need no neighbouring kv heads.
bool HeadsAreContiguous(const DecodeShape& shape);

// For a shape whose other members are valid: entries must not overlap, rows must
// start on 32 bytes, pitches must fit the load instruction, and the last
// element must have a 63-bit byte offset.
Status CheckKvLayout(const DecodeShape& shape);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_KV_LAYOUT_H_
