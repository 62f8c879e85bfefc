// SPDX-License-Identifier: Apache-2.0
// From the query rows of a work item to the rows of query, out and lse.
//
// An item's rows lie in the order [kv head][query token][query head of the kv
// head] (tiling/abi/decode_plan.h); those of the tensors in the order [query
// token][head]. Rows that are neighbours in both form a run.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_ROW_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_ROW_MAP_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

struct RowMap {
  uint32_t q_len;
  uint32_t q_per_kv;
  uint32_t num_heads;
  uint32_t first_head_row;  // query_row * num_heads + kv_head_begin * q_per_kv

  // Rows of one kv head.
  AICORE_INLINE uint32_t rows_per_head() const { return q_len * q_per_kv; }
};

// `rows` neighbouring item rows from `row` on are tensor rows from `head_row` on;
// all belong to one query token, counted from the item's first.
struct RowRun {
  uint32_t row;
  uint32_t query_token;
  uint32_t head_row;
  uint32_t rows;
};

// The run that starts at item row `row` and ends before item row `end`.
AICORE_INLINE RowRun RunFrom(const RowMap& map, uint32_t row, uint32_t end) {
  // One query token: the kv heads of the item are neighbours in the tensors too.
  if (map.q_len == 1) return RowRun{row, 0, map.first_head_row + row, end - row};
  const uint32_t token_row = row / map.q_per_kv;  // kv head * q_len + query token
  const uint32_t query_head = row - token_row * map.q_per_kv;
  const uint32_t kv_head = token_row / map.q_len;
  const uint32_t token = token_row - kv_head * map.q_len;
  const uint32_t head_row = map.first_head_row + token * map.num_heads + kv_head * map.q_per_kv;
  return RowRun{row, token, head_row + query_head, Min(map.q_per_kv - query_head, end - row)};
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_ROW_MAP_H_
