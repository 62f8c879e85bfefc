// SPDX-License-Identifier: Apache-2.0
// The arrays of a case in C++: the same bytes as make_inputs of
// ascend_attention_reference/inputs.py, which says what they are and why.
//
// Next: testdata/golden.h - the result they must give.
#ifndef ASCEND_ATTENTION_TESTDATA_DECODE_INPUTS_H_
#define ASCEND_ATTENTION_TESTDATA_DECODE_INPUTS_H_

#include <cstdint>
#include <vector>

#include "testdata/decode_case.h"

namespace ascend_attention::testdata {

// float16 or bfloat16 values as their bits.
struct DecodeInputs {
  int64_t num_kv_blocks = 0;
  std::vector<uint16_t> query;        // [batch, num_heads, head_dim]
  std::vector<uint16_t> key_cache;    // [num_kv_blocks, kv_block_size, num_kv_heads, head_dim]
  std::vector<uint16_t> value_cache;  // like key_cache
  std::vector<int32_t> block_table;   // [batch, max_kv_blocks]; -1 past a sequence's last kv block
  float softmax_scale = 0;
};

// `problem` must be ok().
DecodeInputs MakeInputs(const DecodeCase& problem);

// Exact: float16 or bfloat16 bits to float32.
float ToFloat(uint16_t bits, bool bfloat16);

}  // namespace ascend_attention::testdata

#endif  // ASCEND_ATTENTION_TESTDATA_DECODE_INPUTS_H_
