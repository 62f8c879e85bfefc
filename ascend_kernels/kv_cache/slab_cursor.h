// SPDX-License-Identifier: Apache-2.0
// The slabs of one vector core, in order: head group by head group, and in each
// the core's tokens, a few at a time. Tokens are dealt in equal contiguous parts,
// so each row of the cache has one writer.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_SLAB_CURSOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_SLAB_CURSOR_H_

#include "ascend_kernels/cce/system.h"
#include "ascend_kernels/kv_cache/buffer_map.h"

namespace ascend_attention {

struct Slab {
  int64_t first_token;
  uint32_t tokens;
  uint32_t first_head;
  uint32_t heads;
  bool opens_group;   // the first of its head group
  bool closes_group;  // the last
};

class SlabCursor {
 public:
  AICORE_INLINE SlabCursor(int64_t num_tokens, uint32_t num_heads, uint32_t head_dim)
      : num_heads_(num_heads),
        group_heads_(Min(num_heads, kMaxGroupElems / head_dim)),
        slab_tokens_(kSlabElems / 2 / (group_heads_ * head_dim)),
        begin_(num_tokens * BlockIndex() / NumBlocks()),
        end_(num_tokens * (BlockIndex() + 1) / NumBlocks()),
        first_head_(begin_ == end_ ? num_heads : 0),
        token_(begin_) {}

  AICORE_INLINE bool done() const { return first_head_ >= num_heads_; }

  AICORE_INLINE Slab Get() const {
    const int64_t left = end_ - token_;
    Slab slab;
    slab.first_token = token_;
    slab.tokens = left < slab_tokens_ ? static_cast<uint32_t>(left) : slab_tokens_;
    slab.first_head = first_head_;
    slab.heads = Min(group_heads_, num_heads_ - first_head_);
    slab.opens_group = token_ == begin_;
    slab.closes_group = token_ + slab.tokens == end_;
    return slab;
  }

  AICORE_INLINE void Advance() {
    token_ += slab_tokens_;
    if (token_ < end_) return;
    token_ = begin_;
    first_head_ += group_heads_;
  }

 private:
  uint32_t num_heads_;
  uint32_t group_heads_;
  uint32_t slab_tokens_;
  int64_t begin_;
  int64_t end_;
  uint32_t first_head_;
  int64_t token_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_SLAB_CURSOR_H_
