// SPDX-License-Identifier: Apache-2.0
// What the host and the kernel reshape_and_cache share: how an error comes back.
// Device-safe; the layout is pinned by cache_write_test.cc.
#ifndef ASCEND_ATTENTION_TILING_ABI_CACHE_WRITE_H_
#define ASCEND_ATTENTION_TILING_ABI_CACHE_WRITE_H_

#include "tiling/abi/units.h"

namespace ascend_attention {

// slot_mapping[token] = slot is not below num_slots. One record per vector core,
// each on a data-cache line (64 bytes) of its own; all zero: no error.
struct alignas(64) CacheWriteError {
  uint64_t found;  // 1: the rest counts
  int64_t token;
  int64_t slot;
  int64_t num_slots;  // num_kv_blocks * kv_block_size
  uint64_t reserved[4];
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_CACHE_WRITE_H_
