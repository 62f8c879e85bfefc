// SPDX-License-Identifier: Apache-2.0
// Problems for the attention kernels: memory, arguments, launch. Caches that
// nobody writes read as zeros and cost no host memory.
#ifndef VNPU_TIMING_CALIBRATION_ATTENTION_RUNS_H_
#define VNPU_TIMING_CALIBRATION_ATTENTION_RUNS_H_

#include <cstdint>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/timing/calibration/kernel_launch.h"
#include "tools/vnpu/timing/calibration/paged_fifo.h"
#include "tools/vnpu/timing/calibration/split_kv_attention.h"

namespace vnpu {
namespace calibration {

constexpr uint32_t kHeadDim = 128;

// One sequence over 24 cores: 32 query heads, 8 kv heads, fp16, pages of 128.
class SplitKvAttention {
 public:
  // `context` is a multiple of 128.
  SplitKvAttention(Device* device, uint64_t context, uint32_t num_cores);

  LaunchResult Launch();

  uint64_t kv_bytes() const { return 2 * cache_elems() * 2; }
  uint64_t cache_elems() const { return uint64_t{plan_.tiles} * 128 * split_kv::kKvHeads * 128; }
  const split_kv::Plan& plan() const { return plan_; }
  uint16_t* query() { return query_.as<uint16_t>(); }
  uint16_t* key() { return key_.as<uint16_t>(); }
  uint16_t* value() { return value_.as<uint16_t>(); }
  int32_t* block_table() { return block_table_.as<int32_t>(); }
  const uint16_t* out() const { return out_.as<uint16_t>(); }

 private:
  Device* device_;
  split_kv::Plan plan_;
  uint32_t blocks_;
  Buffer query_, key_, value_, block_table_, out_, scores_, probs_, o_tiles_, partial_out_,
      partial_lse_;
};

// How the source's planner cuts a lone sequence of `tiles` pages.
split_kv::Plan PlanSplitKv(uint32_t tiles, uint32_t num_cores);

struct FifoShape {
  uint32_t batch;
  uint32_t num_heads;
  uint32_t q_tile;  // 16: pages of 128; 64: pages of 64
  uint32_t context;
  uint32_t page() const { return q_tile == 16 ? 128 : 64; }
};

// A batch over `blocks` blocks, one kv head, bf16.
class PagedFifoAttention {
 public:
  // Page ids are drawn with replacement from batch * context / page pages.
  PagedFifoAttention(Device* device, const FifoShape& shape, uint32_t blocks);

  LaunchResult Launch(paged_fifo::Schedule schedule, bool credits);

  uint64_t cache_elems() const { return pages() * shape_.page() * 128; }
  uint64_t pages() const { return uint64_t{shape_.batch} * shape_.context / shape_.page(); }
  uint64_t kv_bytes() const { return 2 * cache_elems() * 2; }  // as read, repeats counted
  uint16_t* query() { return query_.as<uint16_t>(); }
  uint16_t* key() { return key_.as<uint16_t>(); }
  uint16_t* value() { return value_.as<uint16_t>(); }
  const int32_t* block_table() const { return block_table_.as<int32_t>(); }
  const float* out() const { return out_.as<float>(); }
  float scale() const { return 0.125f; }

 private:
  Device* device_;
  FifoShape shape_;
  uint32_t blocks_;
  Buffer query_, key_, value_, block_table_, context_lens_, out_, scores_, probs_, o_tiles_;
};

}  // namespace calibration
}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_ATTENTION_RUNS_H_
