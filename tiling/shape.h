// SPDX-License-Identifier: Apache-2.0
// What a decode problem looks like, without its lengths, and what we support.
//
// Next: tiling/tile_size.h - the tiles chosen for a shape.
#ifndef ASCEND_ATTENTION_TILING_SHAPE_H_
#define ASCEND_ATTENTION_TILING_SHAPE_H_

#include <cstdint>

#include "tiling/abi/decode_plan.h"
#include "tiling/status.h"

namespace ascend_attention {

// query      [batch, num_heads, head_dim]
// key/value  [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]
// block_table[batch, max_kv_blocks] int32
struct DecodeShape {
  int64_t batch = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t kv_block_size = 0;
  int64_t num_kv_blocks = 0;
  int64_t max_kv_blocks = 0;
  DType dtype = DType::kFloat16;

  int64_t q_per_kv() const { return num_heads / num_kv_heads; }
  int64_t max_context() const { return max_kv_blocks * kv_block_size; }
};

// InvalidArgument for values that contradict each other, Unimplemented (naming
// the nearest supported value) for shapes without a kernel.
Status Validate(const DecodeShape& shape);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_SHAPE_H_
