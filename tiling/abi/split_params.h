// SPDX-License-Identifier: Apache-2.0
// What the stream-K walk is given: prices and extents of a batch, its lengths, and
// the bounds on what it can make of them. Device-safe.
//
// Cost is counted in bytes of KV at one core's share of the bandwidth.
//
// Next: tiling/abi/split_walk.h - the walk.
#ifndef ASCEND_ATTENTION_TILING_ABI_SPLIT_PARAMS_H_
#define ASCEND_ATTENTION_TILING_ABI_SPLIT_PARAMS_H_

#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

// What the walk knows besides the lengths. Plain data: a kernel gets it as is.
struct SplitParams {
  uint32_t batch;
  uint32_t num_cores;
  uint32_t num_kv_heads;
  uint32_t kv_heads_per_group;
  uint32_t max_q_len;             // of any sequence
  uint32_t q_tokens_per_item;     // most query tokens of a segment
  uint32_t max_granules;          // of any sequence
  uint32_t fixed_split_granules;  // 0: cut where the budget ends
  uint64_t item_cost;             // any item with tokens
  uint64_t empty_item_cost;       // an item that sees no token
  uint64_t granule_cost;          // 16 tokens of one kv head
  uint64_t partial_cost;          // writing and merging the partial result of one kv head
  uint64_t core_start_cost;       // from the start of a core to that of the next
  uint64_t merge_cost;            // waiting for all cores and merging, if anything is cut
};

// Both hold params.batch numbers; q_lens may be null: one query token each.
template <typename Int32Ptr>
struct BatchLengths {
  Int32Ptr context_lens;
  Int32Ptr q_lens;
};

namespace split_walk {

AA_HOST_DEVICE uint64_t Min(uint64_t a, uint64_t b) { return a < b ? a : b; }
AA_HOST_DEVICE uint64_t Max(uint64_t a, uint64_t b) { return a < b ? b : a; }
AA_HOST_DEVICE uint64_t CeilDivide(uint64_t a, uint64_t b) { return (a + b - 1) / b; }
AA_HOST_DEVICE uint64_t Granules(uint64_t tokens) {
  return (tokens + kTokenGranule - 1) / kTokenGranule;
}
// 2^63 instead of anything larger.
AA_HOST_DEVICE uint64_t BoundedProduct(uint64_t a, uint64_t b) {
  const uint64_t most = uint64_t{1} << 63;
  return a != 0 && b > most / a ? most : a * b;
}

// The first of the `tokens` query tokens of a block sees this many tokens; each
// later one sees one more.
AA_HOST_DEVICE int32_t VisibleTokens(int32_t context_len, uint32_t q_len, uint32_t first_token) {
  return context_len - static_cast<int32_t>(q_len) + static_cast<int32_t>(first_token) + 1;
}

// Tokens that the block has to read: what its last query token sees.
AA_HOST_DEVICE uint32_t TokensOf(int32_t visible_tokens, uint32_t q_tokens) {
  const int32_t tokens = visible_tokens + static_cast<int32_t>(q_tokens - 1);
  return tokens < 0 ? 0 : static_cast<uint32_t>(tokens);
}

}  // namespace split_walk

AA_HOST_DEVICE uint32_t NumGroups(const SplitParams& params) {
  return (params.num_kv_heads + params.kv_heads_per_group - 1) / params.kv_heads_per_group;
}

// Segments of a batch in which every sequence has max_q_len query tokens.
AA_HOST_DEVICE uint64_t MaxSegments(const SplitParams& params) {
  const uint64_t blocks = split_walk::CeilDivide(params.max_q_len, params.q_tokens_per_item);
  return split_walk::BoundedProduct(uint64_t{params.batch} * NumGroups(params), blocks);
}

// Most parts of a segment that is cut at fixed_split_granules.
AA_HOST_DEVICE uint64_t MaxFixedParts(const SplitParams& params) {
  const uint64_t parts = split_walk::CeilDivide(params.max_granules, params.fixed_split_granules);
  return split_walk::Max(parts, 1);
}

// At most this many segments are cut, into at most this many partial results.
//
// A boundary between two neighbouring cores lies inside at most one segment,
// and there are num_cores - 1 boundaries. A segment with c >= 1 boundaries
// inside has c + 1 parts. Summed over the cut segments:
//   parts = boundaries + cut segments <= (num_cores - 1) + cut segments,
// and cut segments <= min(num_cores - 1, segments). So at most 2 (num_cores - 1).
//
// Fixed cuts: any segment may have all its parts, each a partial, unless even the
// longest is one part.
AA_HOST_DEVICE uint64_t MaxSplits(const SplitParams& params) {
  if (params.fixed_split_granules == 0) {
    return split_walk::Min(params.num_cores - 1, MaxSegments(params));
  }
  return MaxFixedParts(params) == 1 ? 0 : MaxSegments(params);
}
AA_HOST_DEVICE uint64_t MaxPartials(const SplitParams& params) {
  if (params.fixed_split_granules == 0) return params.num_cores - 1 + MaxSplits(params);
  return split_walk::BoundedProduct(MaxSplits(params), MaxFixedParts(params));
}
// Every segment is an item, and every cut one more.
AA_HOST_DEVICE uint64_t MaxItems(const SplitParams& params) {
  if (params.fixed_split_granules == 0) return MaxSegments(params) + params.num_cores - 1;
  return split_walk::BoundedProduct(MaxSegments(params), MaxFixedParts(params));
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_ABI_SPLIT_PARAMS_H_
