// SPDX-License-Identifier: Apache-2.0
// What a block works on: the problem's constants from the plan header, and every
// num_blocks-th of the launch's work ids,
//
//   id = (sequence * num_kv_heads + kv head) * query tiles of a kv head + query tile
//
// The lengths are read here, on the device: the plan holds nothing that depends on them.
//
// Next: ascend_kernels/decode_fifo/fifo_cube.h - what the cube core does with one.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_WORK_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_WORK_H_

#include "ascend_kernels/cce/fifo.h"
#include "ascend_kernels/decode/decode_args.h"
#include "ascend_kernels/decode/plan_memory.h"

namespace ascend_attention {
namespace fifo {

struct Problem {
  uint32_t num_heads;
  uint32_t num_kv_heads;
  uint32_t q_per_kv;
  uint32_t max_kv_blocks;
  uint32_t num_kv_blocks;
  uint32_t kv_token_stride;  // elements
  uint32_t kv_head_stride;   // elements
  uint64_t kv_block_stride;  // elements
  float softmax_scale;
  bool out_is_float32;
};

AICORE_INLINE Problem ReadProblem(GmPtr<uint8_t> workspace) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  Problem problem;
  problem.num_heads = header->num_heads;
  problem.num_kv_heads = header->num_kv_heads;
  problem.q_per_kv = problem.num_heads / problem.num_kv_heads;
  problem.max_kv_blocks = header->max_kv_blocks;
  problem.num_kv_blocks = header->num_kv_blocks;
  problem.kv_token_stride = header->kv_token_stride;
  problem.kv_head_stride = header->kv_head_stride;
  problem.kv_block_stride = header->kv_block_stride;
  problem.softmax_scale = header->softmax_scale;
  problem.out_is_float32 = header->out_dtype == DType::kFloat32;
  return problem;
}

// Up to kRows query heads of one kv head of one sequence.
struct Work {
  uint32_t sequence;
  uint32_t kv_head;
  uint32_t first_row;  // of query and out: sequence * num_heads + head
  uint32_t rows;       // 1..kRows; fewer in the last tile of a kv head
  int32_t context_len;
};

// Tokens [page * kPage, ...) of a sequence, those before its end.
template <uint32_t kPage>
AICORE_INLINE uint32_t NumPages(const Work& work) {
  return CeilDiv(static_cast<uint32_t>(work.context_len), kPage);
}
template <uint32_t kPage>
AICORE_INLINE uint32_t TokensOf(const Work& work, uint32_t page) {
  return Min(static_cast<uint32_t>(work.context_len) - page * kPage, kPage);
}

template <uint32_t kRows>
class WorkCursor {
 public:
  AICORE_INLINE WorkCursor(GmPtr<uint8_t> workspace, const Problem& problem)
      : num_heads_(problem.num_heads),
        num_kv_heads_(problem.num_kv_heads),
        q_per_kv_(problem.q_per_kv),
        tiles_(CeilDiv(problem.q_per_kv, kRows)) {
    GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
    context_lens_ = GmAt<int32_t>(workspace, &header->context_lens);
    num_ids_ = static_cast<uint64_t>(header->batch) * num_kv_heads_ * tiles_;
    id_ = BlockIndex();
  }

  AICORE_INLINE bool Next(Work& work) {
    if (id_ >= num_ids_) return false;
    const auto tile = static_cast<uint32_t>(id_ % tiles_);
    const auto kv_row = static_cast<uint32_t>(id_ / tiles_);
    work.sequence = kv_row / num_kv_heads_;
    work.kv_head = kv_row - work.sequence * num_kv_heads_;
    const uint32_t first_head = tile * kRows;  // of the kv head
    work.first_row = work.sequence * num_heads_ + work.kv_head * q_per_kv_ + first_head;
    work.rows = Min(q_per_kv_ - first_head, kRows);
    work.context_len = context_lens_[work.sequence];
    id_ += NumBlocks();
    return true;
  }

 private:
  uint32_t num_heads_;
  uint32_t num_kv_heads_;
  uint32_t q_per_kv_;
  uint32_t tiles_;
  GmPtr<int32_t> context_lens_;
  uint64_t num_ids_;
  uint64_t id_;
};

// This block's slots of a region of the workspace; a variant may use fewer of them.
template <typename T>
AICORE_INLINE FifoSlots<T> SlotsOfThisBlock(GmPtr<uint8_t> workspace, GmPtr<ByteOffset> region,
                                            uint64_t slot_bytes) {
  const uint64_t block_bytes = static_cast<uint64_t>(BlockIndex()) * kFifoDepth * slot_bytes;
  return FifoSlots<T>{GmAt<T>(workspace, ByteOffset{region->bytes + block_bytes}),
                      slot_bytes / sizeof(T)};
}

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_WORK_H_
