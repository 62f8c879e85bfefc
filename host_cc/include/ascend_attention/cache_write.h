// SPDX-License-Identifier: Apache-2.0
// Writes new keys and values into a paged cache, as it is or quantised to int8:
// what comes before decode in every step and layer.
//
//   auto writer = CacheWriter::Create(runtime, shape);   // once
//   writer->Run(tensors, stream);                        // once per layer and step
//
// Token t goes to row slot_mapping[t] % kv_block_size of kv block slot_mapping[t] /
// kv_block_size; a token with a negative slot goes nowhere. Every other byte of
// the caches stays as it is. Int8, fp32 arithmetic in this order (KvQuant in
// tiling/abi/decode_plan.h):
//
//   channel schemes  int8 = clamp(rne(x / scale - offset)), scale and offset given
//   kInt8Token       scale = max |x| / 127 over the head's row, written to
//                    *_scale[block, head, row]; int8 = clamp(rne(x / scale))
//
// rne: nearest integer, ties to even. NaN becomes 0. With kInt8Token a row of
// zeros has scale 0, and one with an infinity or a NaN reads back as NaN.
//
// Next: ascend_kernels/kv_cache/cache_writer.h - what a vector core does.
#ifndef ASCEND_ATTENTION_CACHE_WRITE_H_
#define ASCEND_ATTENTION_CACHE_WRITE_H_

#include <cstdint>
#include <memory>

#include "host_cc/include/ascend_attention/decode.h"

namespace ascend_attention {

// The cache, as in DecodeShape.
struct CacheWriteShape {
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t kv_block_size = 0;
  int64_t num_kv_blocks = 0;
  DType dtype = DType::kFloat16;  // of key and value, and of the cache unless int8
  KvQuant kv_quant = KvQuant::kNone;
  KvStrides kv_strides;  // of key_cache and value_cache
};

// Device pointers: caches, scales and offsets are multiples of 32 bytes, key and
// value of 2, slot_mapping of 8. What is written overlaps nothing else; slices of
// one pool may interleave.
struct CacheWriteTensors {
  int64_t num_tokens = 0;
  const void* key = nullptr;  // [num_tokens, num_kv_heads, head_dim]
  const void* value = nullptr;
  // Elements from one token of key (value) to the next, for slices of a qkv
  // tensor. 0: dense.
  int64_t key_token_stride = 0;
  int64_t value_token_stride = 0;
  const int64_t* slot_mapping = nullptr;  // [num_tokens]
  void* key_cache = nullptr;
  void* value_cache = nullptr;
  // Of an int8 cache, by its KvQuant; null where it has none. The scales are read,
  // with kInt8Token written.
  float* key_scale = nullptr;
  const float* key_offset = nullptr;
  float* value_scale = nullptr;
  const float* value_offset = nullptr;
};

// Whether each slot is negative or below num_slots (OutOfRange), and none is
// written twice (InvalidArgument): names the tokens. Host memory.
Status CheckSlotMapping(const int64_t* slot_mapping, int64_t num_tokens, int64_t num_slots);

// Cheap to copy; const calls from several threads are safe. A copy must live until
// its work is done: it owns the device memory that errors are written to.
class CacheWriter {
 public:
  // Unimplemented names the nearest shape that has a kernel.
  static StatusOr<CacheWriter> Create(std::shared_ptr<Runtime> runtime,
                                      const CacheWriteShape& shape);

  const CacheWriteShape& shape() const;

  // Enqueues the write. Everything but the slots is checked before. A slot beyond
  // the cache stops the kernel, and Runtime::Synchronize names it while a copy of
  // this writer lives; other tokens may be written by then. Of tokens with the
  // same slot any may win, even a mixture of them.
  //
  // check_slots: for debugging, waits for the stream and checks the slots, too,
  // by CheckSlotMapping, before anything is launched.
  Status Run(const CacheWriteTensors& tensors, void* stream, bool check_slots = false) const;

  class Impl;

 private:
  explicit CacheWriter(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_CACHE_WRITE_H_
