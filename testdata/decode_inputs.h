// SPDX-License-Identifier: Apache-2.0
// The arrays of a case in C++: the same bytes as make_inputs of
// ascend_attention_reference/inputs.py, which says what they are and why.
//
// Next: testdata/golden.h - the result they must give.
#ifndef ASCEND_ATTENTION_TESTDATA_DECODE_INPUTS_H_
#define ASCEND_ATTENTION_TESTDATA_DECODE_INPUTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "testdata/decode_case.h"

namespace ascend_attention::testdata {

// Elements from a kv block, a token, a kv head to the next one.
struct KvStrides {
  int64_t block = 0;
  int64_t token = 0;
  int64_t head = 0;
};

struct Bytes {
  const void* data = nullptr;
  size_t size = 0;
};

// float16 or bfloat16 values as their bits. A cache is [num_kv_blocks,
// kv_block_size, num_kv_heads, head_dim], or with its middle axes exchanged
// (head-major), in its own arrays or interleaved in one pool [num_kv_blocks, 2, ...].
// Of the arrays for caches those are empty that the case does not use.
struct DecodeInputs {
  int64_t num_kv_blocks = 0;
  std::vector<uint16_t> query;  // [num_query_rows, num_heads, head_dim]
  std::vector<uint16_t> key_cache;
  std::vector<uint16_t> value_cache;
  std::vector<uint16_t> pool;
  std::vector<int8_t> key_cache_int8;
  std::vector<int8_t> value_cache_int8;
  std::vector<int8_t> pool_int8;
  KvStrides kv_strides;      // of both caches
  int64_t values_begin = 0;  // interleaved: elements from the pool's first to the first value
  // Of int8 caches: [num_kv_heads, head_dim], or per token
  // [num_kv_blocks, num_kv_heads, kv_block_size]; offsets if asymmetric.
  std::vector<float> key_scale;
  std::vector<float> key_offset;
  std::vector<float> value_scale;
  std::vector<float> value_offset;
  std::vector<int32_t> block_table;  // [batch, max_kv_blocks]; -1 past a sequence's last kv block
  float softmax_scale = 0;

  // What to upload: the caches, or the whole pool and nothing. The values of a
  // pool lie values_begin elements behind its keys.
  Bytes KeyBytes() const;
  Bytes ValueBytes() const;
};

// `problem` must be ok().
DecodeInputs MakeInputs(const DecodeCase& problem);

// Exact: float16 or bfloat16 bits to float32.
float ToFloat(uint16_t bits, bool bfloat16);

}  // namespace ascend_attention::testdata

#endif  // ASCEND_ATTENTION_TESTDATA_DECODE_INPUTS_H_
