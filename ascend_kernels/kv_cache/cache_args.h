// SPDX-License-Identifier: Apache-2.0
// What reshape_and_cache is launched with; host_cc/cache_write.cc packs the same
// fields in the same order, one 8-byte slot each.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_CACHE_ARGS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_CACHE_ARGS_H_

#include "ascend_kernels/cce/address.h"
#include "tiling/abi/cache_write.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

// Strides and sizes count elements of their tensor.
template <typename T>
struct CacheArgs {
  GmPtr<T> key;                   // [num_tokens, num_kv_heads, head_dim], tokens key_stride apart
  GmPtr<T> value;                 // the same, value_stride apart
  GmPtr<int64_t> slot_mapping;    // [num_tokens]; below 0: the token is skipped
  GmPtr<uint8_t> key_cache;       // T, or int8
  GmPtr<uint8_t> value_cache;     // like key_cache
  GmPtr<float> key_scale;         // by KvQuant, tiling/abi/decode_plan.h; read, or
  GmPtr<float> value_scale;       //   written with kInt8Token
  GmPtr<float> key_offset;        // kInt8ChannelAsym only
  GmPtr<float> value_offset;      // the same
  GmPtr<CacheWriteError> errors;  // [vector cores of the launch]
  int64_t num_tokens;
  int64_t key_stride;
  int64_t value_stride;
  uint32_t num_kv_heads;
  uint32_t head_dim;
  int64_t kv_block_size;
  int64_t num_slots;  // num_kv_blocks * kv_block_size
  int64_t block_stride;
  int64_t token_stride;
  int64_t head_stride;
  KvQuant kv_quant;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_CACHE_ARGS_H_
