// SPDX-License-Identifier: Apache-2.0
// What a decode problem looks like, without its lengths, and what we support.
//
// Next: tiling/kv_layout.h - strides of a cache.
#ifndef ASCEND_ATTENTION_TILING_SHAPE_H_
#define ASCEND_ATTENTION_TILING_SHAPE_H_

#include <cstdint>

#include "tiling/abi/decode_plan.h"
#include "tiling/status.h"

namespace ascend_attention {

// Where a cache element lies, in elements of the cache from its first one:
// block * block_stride + token * token_stride + head * head_stride + d. Key and
// value cache have the same strides. All zero: dense [num_kv_blocks,
// kv_block_size, num_kv_heads, head_dim].
struct KvStrides {
  int64_t block = 0;
  int64_t token = 0;
  int64_t head = 0;

  bool is_dense() const { return block == 0 && token == 0 && head == 0; }
};

// query      [num_query_rows, num_heads, head_dim]: the query tokens of all
//            sequences, one after the other; batch rows while max_q_len is 1
// key/value  [num_kv_blocks, kv_block_size, num_kv_heads, head_dim], or kv_strides
// block_table[batch, max_kv_blocks] int32
// scales and offsets of an int8 cache: KvQuant in tiling/abi/decode_plan.h
struct DecodeShape {
  int64_t batch = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t kv_block_size = 0;
  int64_t num_kv_blocks = 0;
  int64_t max_kv_blocks = 0;
  DType dtype = DType::kFloat16;      // of query and out, and of the cache unless int8
  bool out_float32 = false;           // out is float32 instead; KvRoute::kFifo only
  int64_t max_q_len = 1;              // most query tokens of a sequence, 1..16
  KvQuant kv_quant = KvQuant::kNone;  // what the cache holds
  KvRoute kv_route = KvRoute::kAuto;  // forced, or the cheapest by the cost model
  KvStrides kv_strides;               // of key_cache and value_cache
  int64_t fixed_split_tokens = 0;     // batch-invariant, for one max_q_len: cut every sequence
                                      // at multiples of this, itself a multiple of 16 from 64
                                      // on; 0: where the batch is best balanced,
                                      // with kFifo nowhere

  int64_t q_per_kv() const { return num_heads / num_kv_heads; }
  int64_t max_context() const { return max_kv_blocks * kv_block_size; }
};

// InvalidArgument for values that contradict each other, Unimplemented (naming
// the nearest supported value) for shapes without a kernel.
Status Validate(const DecodeShape& shape);

// Whether KvRoute::kFifo is possible for a valid shape with kAuto.
bool FifoServes(const DecodeShape& shape);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_SHAPE_H_
