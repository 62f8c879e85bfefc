// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a vector core in reshape_and_cache: slot numbers and
// rows in, each row to its slot out. Pipes MTE2, MTE3 and S.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_EXCHANGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_EXCHANGE_STAGE_H_

#include "ascend_kernels/cce/byte_copy.h"
#include "ascend_kernels/kv_cache/cache_args.h"
#include "ascend_kernels/kv_cache/slab_cursor.h"

namespace ascend_attention {

template <typename U, typename T>
AICORE_INLINE UbPtr<U> UbCast(UbPtr<T> pointer) {
  return reinterpret_cast<UbPtr<U>>(pointer);
}
template <typename T>
AICORE_INLINE GmPtr<uint8_t> GmBytes(GmPtr<T> pointer) {
  return reinterpret_cast<GmPtr<uint8_t>>(pointer);
}

template <typename T>
AICORE_INLINE void LoadSlotNumbers(UbPtr<uint8_t> dst, const CacheArgs<T>& args, const Slab& slab) {
  GmToUbBytes(dst, GmBytes(args.slot_mapping + slab.first_token),
              ByteRuns{1, slab.tokens * static_cast<uint32_t>(sizeof(int64_t)), 0});
}

// Elements of one token's keys in the slab.
template <typename T>
AICORE_INLINE uint32_t TokenElems(const CacheArgs<T>& args, const Slab& slab) {
  return slab.heads * args.head_dim;
}

template <typename T>
AICORE_INLINE void LoadTokens(UbPtr<T> dst, GmPtr<T> src, int64_t stride, const CacheArgs<T>& args,
                              const Slab& slab) {
  const uint32_t elems = TokenElems(args, slab);
  ByteRuns runs;
  runs.runs = slab.tokens;
  runs.run_bytes = elems * sizeof(T);
  runs.gm_gap_bytes = static_cast<uint32_t>((stride - elems) * static_cast<int64_t>(sizeof(T)));
  GmToUbBytes(UbCast<uint8_t>(dst),
              GmBytes(src + slab.first_token * stride + slab.first_head * args.head_dim), runs);
}

template <typename T>
AICORE_INLINE void LoadRows(UbPtr<T> dst, const CacheArgs<T>& args, const Slab& slab) {
  LoadTokens(dst, args.key, args.key_stride, args, slab);
  LoadTokens(dst + slab.tokens * TokenElems(args, slab), args.value, args.value_stride, args, slab);
}

// Scales (and offsets) of the slab's heads, [num_kv_heads, head_dim] in GM.
template <typename T>
AICORE_INLINE void LoadParams(UbPtr<uint8_t> params, const CacheArgs<T>& args, const Slab& slab) {
  const uint32_t first = slab.first_head * args.head_dim;
  const ByteRuns run{1, TokenElems(args, slab) * 4, 0};
  GmToUbBytes(params + kKeyScale, GmBytes(args.key_scale + first), run);
  GmToUbBytes(params + kValueScale, GmBytes(args.value_scale + first), run);
  if (args.kv_quant != KvQuant::kInt8ChannelAsym) return;
  GmToUbBytes(params + kKeyOffset, GmBytes(args.key_offset + first), run);
  GmToUbBytes(params + kValueOffset, GmBytes(args.value_offset + first), run);
}

// Leaves the reason in this vector core's record and stops the launch.
template <typename T>
AICORE_INLINE void FailSlot(const CacheArgs<T>& args, int64_t token, int64_t slot) {
  GmPtr<CacheWriteError> record = args.errors + BlockIndex();
  record->token = token;
  record->slot = slot;
  record->num_slots = args.num_slots;
  record->found = 1;
  PublishLine(record);
  Trap();
}

// Where a token goes.
struct Place {
  int64_t block;
  int64_t offset;
};

// The heads of one token, each `head_bytes` long, to their places in a cache.
template <typename T>
AICORE_INLINE void StoreToken(GmPtr<uint8_t> cache, UbPtr<uint8_t> src, const CacheArgs<T>& args,
                              const Slab& slab, const Place& place, uint32_t elem_bytes) {
  const int64_t elem = place.block * args.block_stride + place.offset * args.token_stride +
                       slab.first_head * args.head_stride;
  ByteRuns runs;
  runs.runs = slab.heads;
  runs.run_bytes = args.head_dim * elem_bytes;
  runs.gm_gap_bytes = static_cast<uint32_t>((args.head_stride - args.head_dim) * elem_bytes);
  UbToGmBytes(cache + elem * elem_bytes, src, runs);
}

// One scale per head, each at the start of a datablock, to [num_kv_blocks,
// num_kv_heads, kv_block_size]. The four bytes of other tokens on the same lines
// may be written by other cores at the same time: stores by DMA carry exactly
// their bytes and go past the data caches, where whole lines would be written back.
template <typename T>
AICORE_INLINE void StoreScales(GmPtr<float> scales, UbPtr<uint8_t> src, const CacheArgs<T>& args,
                               const Slab& slab, const Place& place) {
  const int64_t row = place.block * args.num_kv_heads + slab.first_head;
  ByteRuns runs;
  runs.runs = slab.heads;
  runs.run_bytes = sizeof(float);
  runs.gm_gap_bytes = static_cast<uint32_t>(args.kv_block_size - 1) * sizeof(float);
  UbToGmBytes(GmBytes(scales + row * args.kv_block_size + place.offset), src, runs);
}

// What a slab has become: rows of T or int8, and with kInt8Token their scales.
struct StoredSlab {
  UbPtr<uint8_t> rows;
  UbPtr<uint8_t> scales;
  uint32_t elem_bytes;
};

template <typename T>
AICORE_INLINE void StoreSlab(const CacheArgs<T>& args, const Slab& slab, UbPtr<int64_t> slots,
                             const StoredSlab& stored) {
  const uint32_t token_bytes = TokenElems(args, slab) * stored.elem_bytes;
  const uint32_t value_rows = slab.tokens * token_bytes;
  const uint32_t value_scales = slab.tokens * slab.heads * kDatablockBytes;
  for (uint32_t i = 0; i < slab.tokens; ++i) {
    const int64_t slot = *(slots + i);
    if (slot < 0) continue;
    if (slot >= args.num_slots) FailSlot(args, slab.first_token + i, slot);
    Place place;
    place.block = slot / args.kv_block_size;
    place.offset = slot - place.block * args.kv_block_size;
    const UbPtr<uint8_t> row = stored.rows + i * token_bytes;
    StoreToken(args.key_cache, row, args, slab, place, stored.elem_bytes);
    StoreToken(args.value_cache, row + value_rows, args, slab, place, stored.elem_bytes);
    if (args.kv_quant != KvQuant::kInt8Token) continue;
    const UbPtr<uint8_t> scale = stored.scales + i * slab.heads * kDatablockBytes;
    StoreScales(args.key_scale, scale, args, slab, place);
    StoreScales(args.value_scale, scale + value_scales, args, slab, place);
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_EXCHANGE_STAGE_H_
