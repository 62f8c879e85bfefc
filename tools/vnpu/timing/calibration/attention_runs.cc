// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/attention_runs.h"

#include <algorithm>

namespace vnpu {
namespace calibration {

namespace {

constexpr uint32_t kHalfBytes = 2;

uint32_t CeilDiv(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

// splitmix64: page ids that are the same everywhere.
uint64_t NextRandom(uint64_t* state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

split_kv::Plan PlanSplitKv(uint32_t tiles, uint32_t num_cores) {
  split_kv::Plan plan;
  plan.tiles = tiles;
  plan.tiles_per_split = CeilDiv(tiles, num_cores);
  plan.splits = CeilDiv(tiles, plan.tiles_per_split);
  plan.heads_per_task = plan.splits < num_cores ? 16 : 32;
  return plan;
}

SplitKvAttention::SplitKvAttention(Device* device, uint64_t context, uint32_t num_cores)
    : device_(device),
      plan_(PlanSplitKv(static_cast<uint32_t>(context / split_kv::kTileTokens), num_cores)),
      blocks_(std::min<uint32_t>(
          num_cores, plan_.splits * (uint32_t{split_kv::kQueryHeads} / plan_.heads_per_task))),
      query_(device, split_kv::kQueryHeads * kHeadDim * kHalfBytes),
      key_(device, cache_elems() * kHalfBytes),
      value_(device, cache_elems() * kHalfBytes),
      block_table_(device, plan_.tiles * sizeof(int32_t)),
      out_(device, split_kv::kQueryHeads * kHeadDim * kHalfBytes, Contents::kUndefined),
      scores_(device, blocks_ * 2 * split_kv::kScoreElems * sizeof(float), Contents::kUndefined),
      probs_(device, blocks_ * 2 * split_kv::kScoreElems * kHalfBytes, Contents::kUndefined),
      o_tiles_(device, blocks_ * 2 * split_kv::kScoreElems * sizeof(float), Contents::kUndefined),
      partial_out_(device, split_kv::kQueryHeads * plan_.splits * kHeadDim * sizeof(float),
                   Contents::kUndefined),
      partial_lse_(device, split_kv::kQueryHeads * plan_.splits * sizeof(float),
                   Contents::kUndefined) {
  for (uint32_t tile = 0; tile < plan_.tiles; ++tile) {
    block_table()[tile] = static_cast<int32_t>(tile);
  }
}

LaunchResult SplitKvAttention::Launch() {
  const struct {
    void *sync, *query, *key, *value, *block_table, *out, *scores, *probs, *o_tiles, *partial_out,
        *partial_lse;
    split_kv::Plan plan;
    float scale;
  } args = {nullptr,
            query_.data(),
            key_.data(),
            value_.data(),
            block_table_.data(),
            out_.data(),
            scores_.data(),
            probs_.data(),
            o_tiles_.data(),
            partial_out_.data(),
            partial_lse_.data(),
            plan_,
            0.08838834764f};  // 1 / sqrt(128)
  return LaunchKernel(device_, "split_kv_attention", "split_kv_attention", blocks_, args);
}

PagedFifoAttention::PagedFifoAttention(Device* device, const FifoShape& shape, uint32_t blocks)
    : device_(device),
      shape_(shape),
      blocks_(blocks),
      query_(device, uint64_t{shape.batch} * shape.num_heads * kHeadDim * kHalfBytes),
      key_(device, cache_elems() * kHalfBytes),
      value_(device, cache_elems() * kHalfBytes),
      block_table_(device, pages() * sizeof(int32_t)),
      context_lens_(device, shape.batch * sizeof(int32_t)),
      out_(device, uint64_t{shape.batch} * shape.num_heads * kHeadDim * sizeof(float),
           Contents::kUndefined),
      scores_(device, blocks * paged_fifo::kRingElems * sizeof(float), Contents::kUndefined),
      probs_(device, blocks * paged_fifo::kRingElems * kHalfBytes, Contents::kUndefined),
      o_tiles_(device, blocks * paged_fifo::kRingElems * sizeof(float), Contents::kUndefined) {
  uint64_t random = 1;
  for (uint64_t i = 0; i < pages(); ++i) {
    block_table_.as<int32_t>()[i] = static_cast<int32_t>(NextRandom(&random) % pages());
  }
  std::fill_n(context_lens_.as<int32_t>(), shape.batch, static_cast<int32_t>(shape.context));
}

LaunchResult PagedFifoAttention::Launch(paged_fifo::Schedule schedule, bool credits) {
  const struct {
    void *sync, *query, *key, *value, *block_table, *context_lens, *out, *scores, *probs, *o_tiles;
    paged_fifo::Problem problem;
    float scale;
  } args = {nullptr,
            query_.data(),
            key_.data(),
            value_.data(),
            block_table_.data(),
            context_lens_.data(),
            out_.data(),
            scores_.data(),
            probs_.data(),
            o_tiles_.data(),
            {shape_.batch, shape_.num_heads, shape_.context / shape_.page(), shape_.q_tile,
             schedule, credits ? 1u : 0u},
            scale()};
  return LaunchKernel(device_, "paged_fifo", "paged_fifo_attention", blocks_, args);
}

}  // namespace calibration
}  // namespace vnpu
