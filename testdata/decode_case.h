// SPDX-License-Identifier: Apache-2.0
// The case grammar in C++, for tests and benchmarks: one line names a decode
// problem. The twin of ascend_attention_reference/case.py, which documents it;
// both read cases/grammar_errors.txt and cases/decode_ci.txt in their tests.
//
// Next: testdata/decode_inputs.h - the arrays of a case.
#ifndef ASCEND_ATTENTION_TESTDATA_DECODE_CASE_H_
#define ASCEND_ATTENTION_TESTDATA_DECODE_CASE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ascend_attention::testdata {

// Numbered as in the plan.
enum class KvQuant { kNone = 0, kInt8Channel = 1, kInt8ChannelAsym = 2, kInt8Token = 3 };
enum class KvRoute { kAuto = 0, kDirect = 1, kDequant = 2, kLimbs = 3, kFifo = 4 };

struct DecodeCase {
  int64_t batch = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t kv_block_size = 0;
  std::vector<int32_t> context_lens;  // [batch]
  bool bfloat16 = false;              // else float16
  uint32_t seed = 0;
  int64_t num_cores = 0;        // 0: not said
  std::vector<int32_t> q_lens;  // [batch] query tokens; context_lens count them too
  bool headmajor = false;
  bool interleaved = false;
  KvQuant kv_quant = KvQuant::kNone;
  KvRoute route = KvRoute::kAuto;
  bool out_float32 = false;        // else out has the dtype
  int64_t fixed_split_tokens = 0;  // 0: not said
  bool fulltable = false;
  bool shared = false;
  bool outliers = false;
  bool onehot = false;
  bool sharp = false;
  bool bigscores = false;

  std::string error;  // empty if the line was understood

  bool ok() const { return error.empty(); }
  int64_t num_query_rows() const;  // query tokens of all sequences
  int64_t max_q_len() const;
  int64_t max_context() const;
  int64_t max_kv_blocks() const;  // columns of the block table
  float softmax_scale() const;    // 1 / sqrt(head_dim)
  std::string ToString() const;   // the canonical line
};

// On error, `error` names the field, its value and what is allowed.
DecodeCase ParseCase(const std::string& line);

// The cases of a list: one per line, `#` starts a comment. Empty if the file
// cannot be opened; a line with an error is a case with an error.
std::vector<DecodeCase> ReadCaseFile(const std::string& path);

}  // namespace ascend_attention::testdata

#endif  // ASCEND_ATTENTION_TESTDATA_DECODE_CASE_H_
