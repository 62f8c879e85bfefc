// SPDX-License-Identifier: Apache-2.0
// The combine schedule: slabs of 8 query rows of all split sequences are dealt
// out to the vector cores in turn; each slab is written by exactly one core.
// Runs after the decode kernel on the same stream, on vector cores alone.
//
// Next: ascend_kernels/combine/merge_stage.h - the formula.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_

#include "ascend_kernels/combine/buffer_map.h"
#include "ascend_kernels/combine/exchange_stage.h"
#include "ascend_kernels/combine/merge_stage.h"
#include "ascend_kernels/decode/plan_memory.h"

namespace ascend_attention {

template <typename T>
class VectorCombiner {
 public:
  AICORE_INLINE explicit VectorCombiner(const CombineArgs<T>& args) : args_(args) {
    GmPtr<DecodePlanHeader> header = PlanHeader(args.workspace);
    num_heads_ = header->num_heads;
    q_per_kv_ = num_heads_ / header->num_kv_heads;
    num_splits_ = header->num_splits;
    splits_ = GmAt<SplitRange>(args.workspace, &header->splits);
    partials_gm_ = Partials{GmAt<float>(args.workspace, &header->partial_out.begin),
                            GmAt<float>(args.workspace, &header->partial_lse.begin),
                            header->kv_heads_per_group * q_per_kv_, header->head_dim};
    if (partials_gm_.head_dim > kMaxHeadDim) Trap();
  }

  AICORE_INLINE void Run() {
    UseAllLanes();
    // Slab numbers run on over all splits; this core takes every NumBlocks()-th.
    uint32_t slabs_until_mine = BlockIndex();
    for (uint32_t split = 0; split < num_splits_; ++split) {
      Slab slab = OpenSplit(split);
      const uint32_t num_slabs = CeilDiv(slab.split_rows, kSlabRows);
      for (; slabs_until_mine < num_slabs; slabs_until_mine += NumBlocks()) {
        slab.first_row = slabs_until_mine * kSlabRows;
        slab.rows = Min(kSlabRows, slab.split_rows - slab.first_row);
        CombineSlab(slab);
      }
      slabs_until_mine -= num_slabs;
    }
  }

 private:
  AICORE_INLINE Slab OpenSplit(uint32_t index) const {
    GmPtr<SplitRange> split = splits_ + index;
    const uint32_t group_head = split->kv_head_begin * q_per_kv_;
    Slab slab;
    slab.split_rows = split->kv_head_count * q_per_kv_;
    slab.first_head_row = split->query_row * num_heads_ + group_head;
    slab.first_partial = split->first_partial;
    slab.num_partials = split->num_partials;
    slab.first_row = 0;
    slab.rows = 0;
    return slab;
  }

  AICORE_INLINE void CombineSlab(const Slab& slab) {
    const uint32_t head_dim = partials_gm_.head_dim;
    const MergeState state{UbAt<float>(kAccUb), UbAt<float>(kMaxUb), UbAt<float>(kSumUb),
                           UbAt<float>(kRowSpreadUb)};
    const MergeScratch scratch{UbAt<float>(kStepMaxUb), UbAt<float>(kStepRescaleUb),
                               UbAt<float>(kWeightSpreadUb)};
    ResetMerge(state, head_dim);
    LoadStep(slab, 0);
    for (uint32_t done = 0; done < slab.num_partials; done += kPartialsPerStep) {
      if (done + kPartialsPerStep < slab.num_partials) LoadStep(slab, done + kPartialsPerStep);
      const uint32_t slot = kPartialUb + partials_.AcquireFull() * kPartialSlotBytes;
      MergePartials(UbAt<float>(slot), UbAt<float>(slot + kPartialLse), state, scratch,
                    Min(kPartialsPerStep, slab.num_partials - done), head_dim);
      partials_.ReleaseFree();
    }
    StoreResult(slab, state);
  }

  AICORE_INLINE void LoadStep(const Slab& slab, uint32_t first) {
    const uint32_t slot = kPartialUb + partials_.AcquireFree() * kPartialSlotBytes;
    LoadPartials(UbAt<float>(slot), UbAt<float>(slot + kPartialLse), partials_gm_, slab, first,
                 Min(kPartialsPerStep, slab.num_partials - first));
    partials_.PublishFull();
  }

  AICORE_INLINE void StoreResult(const Slab& slab, const MergeState& state) {
    const uint32_t slot = kResultUb + results_.AcquireFree() * kResultSlotBytes;
    const UbPtr<T> out = UbAt<T>(slot);
    const UbPtr<float> lse = UbAt<float>(slot + kResultLse);
    FinishMerge<T>(out, lse, state, partials_gm_.head_dim);
    results_.PublishFull();
    results_.AcquireFull();
    StoreSlab<T>(args_, out, lse, slab, partials_gm_.head_dim);
    results_.ReleaseFree();
  }

  CombineArgs<T> args_;
  uint32_t num_heads_;
  uint32_t q_per_kv_;
  uint32_t num_splits_;
  GmPtr<SplitRange> splits_;
  Partials partials_gm_;

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
