// SPDX-License-Identifier: Apache-2.0
// The schedule of a vector core that merges the partials of split sequences. The
// slabs of slab_cursor.h, cut into steps of some partials, form one stream s0, s1,
// ...:
//
//   prologue   load s0
//   steady     load si+1;  merge si; store at slab end
//   epilogue   the same step without si+1
//
// Next: ascend_kernels/combine/merge_stage.h - the formula.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_

#include "ascend_kernels/combine/buffer_map.h"
#include "ascend_kernels/combine/exchange_stage.h"
#include "ascend_kernels/combine/merge_stage.h"
#include "ascend_kernels/combine/slab_cursor.h"

namespace ascend_attention {

template <typename T>
class VectorCombiner {
 public:
  // The partials must be in GM, and UB free.
  AICORE_INLINE VectorCombiner(const CombineArgs<T>& args, const SlabCursor& cursor)
      : args_(args), cursor_(cursor), shape_(cursor.shape()) {}

  AICORE_INLINE void Run() {
    UseAllLanes();
    Step current;
    Step next;
    bool has_current = NextStep(current);
    if (has_current) LoadStep(current);
    while (has_current) {
      const bool has_next = NextStep(next);
      if (has_next) LoadStep(next);
      MergeStep(current);
      current = next;
      has_current = has_next;
    }
  }

 private:
  struct Step {
    Slab slab;
    uint32_t first;  // partial of the split
    uint32_t parts;

    AICORE_INLINE bool first_of_slab() const { return first == 0; }
    AICORE_INLINE bool last_of_slab() const { return first + parts == slab.num_partials; }
  };

  AICORE_INLINE bool NextStep(Step& step) {
    if (next_partial_ == slab_.num_partials) {
      if (!cursor_.Next(slab_)) return false;
      next_partial_ = 0;
    }
    step.slab = slab_;
    step.first = next_partial_;
    step.parts = Min(shape_.step_parts, slab_.num_partials - next_partial_);
    next_partial_ += step.parts;
    return true;
  }

  AICORE_INLINE void LoadStep(const Step& step) {
    const uint32_t slot = kMergePartUb + parts_.AcquireFree() * kMergePartSlotBytes;
    LoadPartials(UbAt<float>(slot + kMergePartRows), UbAt<float>(slot), cursor_.partials(),
                 step.slab, shape_, step.first, step.parts);
    parts_.PublishFull();
  }

  AICORE_INLINE void MergeStep(const Step& step) {
    const MergeState state = StateOfMerge();
    if (step.first_of_slab()) ResetMerge(state, shape_);
    const uint32_t slot = kMergePartUb + parts_.AcquireFull() * kMergePartSlotBytes;
    MergeParts(UbAt<float>(slot + kMergePartRows), UbAt<float>(slot), state, ScratchOfMerge(),
               shape_, step.parts);
    parts_.ReleaseFree();
    if (step.last_of_slab()) StoreResult(step.slab, state);
  }

  AICORE_INLINE void StoreResult(const Slab& slab, const MergeState& state) {
    const uint32_t slot = kMergeResultUb + results_.AcquireFree() * kMergeResultSlotBytes;
    const UbPtr<float> lse = UbAt<float>(slot);
    const UbPtr<T> out = UbAt<T>(slot + kMergeResultRows);
    VectorBarrier();
    FinishMerge(UbAt<float>(kMergeLseUb), state, ScratchOfMerge(), shape_);
    VectorBarrier();
    SpreadRows(lse, UbAt<float>(kMergeLseUb), shape_.slab_rows);
    FromF32(out, state.acc, CeilDiv(shape_.slab_rows * shape_.head_dim, kF32Lanes));
    results_.PublishFull();
    results_.AcquireFull();
    StoreSlab<T>(args_, out, lse, slab, shape_.head_dim);
    results_.ReleaseFree();
  }

  CombineArgs<T> args_;
  SlabCursor cursor_;
  MergeShape shape_;
  Slab slab_{};
  uint32_t next_partial_ = 0;

  MergePartRing parts_;
  MergeResultRing results_;
};

template <typename T>
AICORE_INLINE void CombineEntry(const CombineArgs<T>& args) {
  BeginVectorKernel();
  RequirePlan<T>(args.workspace);
  {
    VectorCombiner<T> combiner(args, SlabCursor(args.workspace, BlockIndex(), NumBlocks()));
    combiner.Run();
  }
  EndKernel();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
