// SPDX-License-Identifier: Apache-2.0
// Merges partial results of attention: the same query rows against several sets of
// tokens, such as shards of a context or a shared prefix and the rest.
//
//   out[r] = sum over p of exp(parts_lse[p, r] - lse[r]) * parts_out[p, r]
//   lse[r] = log(sum over p of exp(parts_lse[p, r]))
//
// A part with lse -inf saw no token of the row: it adds nothing, whatever its out
// holds. A row without any token gives out 0, lse -inf. The sums are fp32, in an
// order that follows from num_parts and head_dim alone.
//
// Next: ascend_kernels/combine/states_vector.h - who merges what.
#ifndef ASCEND_ATTENTION_MERGE_STATES_H_
#define ASCEND_ATTENTION_MERGE_STATES_H_

#include <cstdint>

#include "host_cc/include/ascend_attention/decode.h"

namespace ascend_attention {

enum class StateDType : uint32_t {
  kFloat16 = 0,
  kBFloat16 = 1,
  kFloat32 = 2,
};

// Device pointers; everything dense.
struct MergeStatesArgs {
  const void* parts_out = nullptr;          // [num_parts, rows, head_dim]
  const float* parts_lse = nullptr;         // [num_parts, rows], natural logarithms
  void* out = nullptr;                      // [rows, head_dim]
  float* lse = nullptr;                     // [rows]; null: not wanted
  int64_t num_parts = 0;                    // 1 or more
  int64_t rows = 0;                         // query tokens * heads; 0: nothing to do
  int64_t head_dim = 0;                     // a multiple of 16 in 16..512
  StateDType dtype = StateDType::kFloat16;  // of parts_out and out
};

// Enqueues the merge on `stream` and never waits. parts_out and out are multiples of
// 32 bytes, both lse of 4. Neither result overlaps an input. One part is less than
// 4 GiB. Unimplemented names the nearest head_dim that has a kernel.
Status MergeStates(Runtime& runtime, const MergeStatesArgs& args, void* stream);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_MERGE_STATES_H_
