// SPDX-License-Identifier: Apache-2.0
// The combine schedule: slabs of 8 query rows of all split sequences are dealt
// out to the vector cores in turn; each slab is written by exactly one core.
// Runs after the decode kernel on the same stream, on vector cores alone.
//
// Next: ascend_kernels/combine/merge_stage.h - the formula.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/combine/buffer_map.h"
#include "ascend_kernels/combine/merge_stage.h"
#include "ascend_kernels/decode/plan_memory.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

template <typename T>
struct CombineArgs {
  GmPtr<T> out;              // [batch, num_heads, head_dim]
  GmPtr<float> lse;          // [batch, num_heads], only with kLaunchWriteLse
  GmPtr<uint8_t> workspace;  // plan and regions, tiling/abi/decode_plan.h
  uint64_t flags;
};

template <typename T>
class VectorCombiner {
 public:
  AICORE_INLINE explicit VectorCombiner(const CombineArgs<T>& args)
      : args_(args), header_(PlanHeader(args.workspace)) {
    num_heads_ = header_->num_heads;
    q_per_kv_ = num_heads_ / header_->num_kv_heads;
    head_dim_ = header_->head_dim;
    max_rows_ = header_->kv_heads_per_group * q_per_kv_;
    partial_out_ = GmAt<float>(args.workspace, &header_->partial_out.begin);
    partial_lse_ = GmAt<float>(args.workspace, &header_->partial_lse.begin);
  }

  AICORE_INLINE void Run() {
    UseAllLanes();
    const uint32_t num_workers = NumBlocks();
    GmPtr<SplitRange> split = GmAt<SplitRange>(args_.workspace, &header_->splits);
    const uint32_t num_splits = header_->num_splits;
    // Slab numbers run on over all splits; this core takes those that are
    // `worker` modulo num_workers.
    uint32_t slabs_until_mine = BlockIndex();
    for (uint32_t index = 0; index < num_splits; ++index, ++split) {
      Slab slab = OpenSplit(split);
      const uint32_t num_slabs = CeilDiv(slab.split_rows, kSlabRows);
      for (; slabs_until_mine < num_slabs; slabs_until_mine += num_workers) {
        slab.first_row = slabs_until_mine * kSlabRows;
        slab.rows = Min(kSlabRows, slab.split_rows - slab.first_row);
        CombineSlab(slab);
      }
      slabs_until_mine -= num_slabs;
    }
  }

 private:
  struct Slab {
    uint32_t split_rows;  // query rows of the split's kv-head group
    uint32_t out_row;     // query row * num_heads + first query head of the group
    uint32_t first_partial;
    uint32_t num_partials;
    uint32_t first_row;  // of the slab, in the group
    uint32_t rows;       // 1..8
  };

  AICORE_INLINE Slab OpenSplit(GmPtr<SplitRange> split) const {
    Slab slab;
    slab.split_rows = split->kv_head_count * q_per_kv_;
    slab.out_row = split->query_row * num_heads_ + split->kv_head_begin * q_per_kv_;
    slab.first_partial = split->first_partial;
    slab.num_partials = split->num_partials;
    slab.first_row = 0;
    slab.rows = 0;
    return slab;
  }

  AICORE_INLINE void CombineSlab(const Slab& slab) {
    const MergeState state{UbAt<float>(kAccUb), UbAt<float>(kMaxUb), UbAt<float>(kSumUb),
                           UbAt<float>(kRowSpreadUb)};
    const MergeScratch scratch{UbAt<float>(kStepMaxUb), UbAt<float>(kStepRescaleUb),
                               UbAt<float>(kWeightSpreadUb)};
    ResetMerge(state, head_dim_);
    LoadStep(slab, 0);
    for (uint32_t done = 0; done < slab.num_partials; done += kPartialsPerStep) {
      if (done + kPartialsPerStep < slab.num_partials) LoadStep(slab, done + kPartialsPerStep);
      const uint32_t slot = kPartialUb + partials_.AcquireFull() * kPartialSlotBytes;
      MergePartials(UbAt<float>(slot), UbAt<float>(slot + kPartialLse), state, scratch,
                    Min(kPartialsPerStep, slab.num_partials - done), head_dim_);
      partials_.ReleaseFree();
    }
    StoreResult(slab, state);
  }

  // Rows and lse of up to kPartialsPerStep partials, from number `first` on.
  AICORE_INLINE void LoadStep(const Slab& slab, uint32_t first) {
    const uint32_t count = Min(kPartialsPerStep, slab.num_partials - first);
    const uint32_t slot = kPartialUb + partials_.AcquireFree() * kPartialSlotBytes;
    const uint64_t partial = slab.first_partial + first;
    RowCopy copy;
    copy.rows = count;
    copy.row_datablocks = slab.rows * head_dim_ / kF32PerDatablock;
    copy.src_gap_datablocks = (max_rows_ - slab.rows) * head_dim_ / kF32PerDatablock;
    copy.dst_gap_datablocks = (kSlabRows - slab.rows) * head_dim_ / kF32PerDatablock;
    GmToUb(UbAt<float>(slot), partial_out_ + (partial * max_rows_ + slab.first_row) * head_dim_,
           copy);
    const uint32_t lse_pitch = RoundUp(max_rows_, kF32PerDatablock);
    GmToUbRagged(UbAt<float>(slot + kPartialLse),
                 partial_lse_ + partial * lse_pitch + slab.first_row, count, slab.rows,
                 (lse_pitch - slab.rows) * 4);
    partials_.PublishFull();
  }

  AICORE_INLINE void StoreResult(const Slab& slab, const MergeState& state) {
    const uint32_t slot = kResultUb + results_.AcquireFree() * kResultSlotBytes;
    FinishMerge<T>(UbAt<T>(slot), UbAt<float>(slot + kResultLse), state, head_dim_);
    results_.PublishFull();
    results_.AcquireFull();
    const uint64_t row = slab.out_row + slab.first_row;
    RowCopy copy;
    copy.rows = 1;
    copy.row_datablocks = slab.rows * head_dim_ * sizeof(T) / kDatablockBytes;
    UbToGm(args_.out + row * head_dim_, UbAt<T>(slot), copy);
    if ((args_.flags & kLaunchWriteLse) != 0) {
      UbToGmRagged(args_.lse + row, UbAt<float>(slot + kResultLse), slab.rows);
    }
    results_.ReleaseFree();
  }

  CombineArgs<T> args_;
  GmPtr<DecodePlanHeader> header_;
  uint32_t num_heads_;
  uint32_t q_per_kv_;
  uint32_t head_dim_;
  uint32_t max_rows_;
  GmPtr<float> partial_out_;
  GmPtr<float> partial_lse_;

  PartialRing partials_;
  ResultRing results_;
};

template <typename T>
AICORE_INLINE void RunCombiner(const CombineArgs<T>& args) {
  VectorCombiner<T> combiner(args);
  combiner.Run();
}

template <typename T>
AICORE_INLINE void CombineEntry(const CombineArgs<T>& args) {
  BeginVectorKernel();
  RequirePlan<T>(args.workspace);
  RunCombiner(args);
  EndKernel();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
