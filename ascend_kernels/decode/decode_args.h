// SPDX-License-Identifier: Apache-2.0
// What the decode kernel is launched with; host_cc/launch.h packs the same
// fields in the same order.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ARGS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ARGS_H_

#include "ascend_kernels/cce/address.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

// T: query and out; Cache: key and value.
template <typename T, typename Cache = T>
struct DecodeArgs {
  GmPtr<T> query;              // [batch, num_heads, head_dim]
  GmPtr<Cache> key_cache;      // [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]
  GmPtr<Cache> value_cache;    // like key_cache
  GmPtr<int32_t> block_table;  // [batch, max_kv_blocks]
  GmPtr<T> out;                // like query
  GmPtr<float> lse;            // [batch, num_heads], only with kLaunchWriteLse
  GmPtr<uint8_t> workspace;    // plan and regions, tiling/abi/decode_plan.h
  uint64_t flags;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ARGS_H_
