// SPDX-License-Identifier: Apache-2.0
// Parameters and workspace of split_kv_attention.cce, for kernel and host.
#ifndef VNPU_TIMING_CALIBRATION_SPLIT_KV_ATTENTION_H_
#define VNPU_TIMING_CALIBRATION_SPLIT_KV_ATTENTION_H_

#include <stdint.h>

namespace split_kv {

constexpr int64_t kQueryHeads = 32;
constexpr int64_t kKvHeads = 8;
constexpr int64_t kGroup = kQueryHeads / kKvHeads;  // query heads of a kv head
constexpr int64_t kTileTokens = 128;                // also the page size

// Per block: two slots of scores (fp32), probs (half) and o_tiles (fp32), each
// for all query heads.
constexpr int64_t kScoreElems = kQueryHeads * kTileTokens;

// The sequence is cut into `splits` parts of tiles_per_split tiles, the heads
// into groups of heads_per_task; a task is one part of one group.
struct Plan {
  uint32_t tiles;
  uint32_t tiles_per_split;
  uint32_t splits;
  uint32_t heads_per_task;  // 16 or 32
};

}  // namespace split_kv

#endif  // VNPU_TIMING_CALIBRATION_SPLIT_KV_ATTENTION_H_
