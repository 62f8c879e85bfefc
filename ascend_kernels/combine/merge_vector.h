// SPDX-License-Identifier: Apache-2.0
// The schedule of a vector core that merges parts of attention. Slabs of rows, cut
// into steps of some parts, form one stream s0, s1, ...:
//
//   prologue   load s0
//   steady     load si+1;  merge si; store at slab end
//   epilogue   the same step without si+1
//
// What the parts are, a Source knows: those of a decode plan (combine_vector.h) or
// a caller's (states_vector.h). It has
//
//   Slab, with parts()          rows and how many parts they have
//   Begin()                     what V prepares once
//   Next(slab)                  the next slab of this core, or false
//   Load(slot, slab, first, n)  parts [first, first + n) to UB, MTE2
//   Open(slot, n)               them as fp32, empty ones with rows of zeros, V
//   Finish(slot, state)         merged rows and lse to a result slot, V
//   Store(slot, slab)           them to GM, MTE3
//
// Next: ascend_kernels/combine/merge_stage.h - the formula.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_VECTOR_H_

#include "ascend_kernels/combine/buffer_map.h"
#include "ascend_kernels/combine/merge_stage.h"

namespace ascend_attention {

template <typename Source>
class VectorMerger {
 public:
  using Slab = typename Source::Slab;

  // Finds the first slab; reads no parts and touches no UB.
  AICORE_INLINE explicit VectorMerger(const Source& source)
      : source_(source), shape_(source.shape()) {
    has_first_ = NextStep(first_);
  }

  // The parts must be in GM, and UB free.
  AICORE_INLINE void Run() {
    UseAllLanes();
    source_.Begin();
    Step current = first_;
    Step next;
    bool has_current = has_first_;
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
    uint32_t first;  // part of the slab
    uint32_t parts;
  };

  AICORE_INLINE bool NextStep(Step& step) {
    if (next_part_ == num_parts_) {
      if (!source_.Next(slab_)) return false;
      next_part_ = 0;
      num_parts_ = slab_.parts();
    }
    step.slab = slab_;
    step.first = next_part_;
    step.parts = Min(shape_.step_parts, num_parts_ - next_part_);
    next_part_ += step.parts;
    return true;
  }

  AICORE_INLINE void LoadStep(const Step& step) {
    source_.Load(parts_.AcquireFree(), step.slab, step.first, step.parts);
    parts_.PublishFull();
  }

  AICORE_INLINE void MergeStep(const Step& step) {
    const MergeState state = StateOfMerge();
    if (step.first == 0) ResetMerge(state, shape_);
    const MergeParts parts = source_.Open(parts_.AcquireFull(), step.parts);
    AddParts(parts, state, ScratchOfMerge(), shape_);
    parts_.ReleaseFree();
    if (step.first + step.parts == step.slab.parts()) StoreResult(step.slab, state);
  }

  AICORE_INLINE void StoreResult(const Slab& slab, const MergeState& state) {
    const uint32_t slot = results_.AcquireFree();
    VectorBarrier();
    source_.Finish(slot, state);
    results_.PublishFull();
    results_.AcquireFull();
    source_.Store(slot, slab);
    results_.ReleaseFree();
  }

  Source source_;
  MergeShape shape_;
  Slab slab_{};
  uint32_t next_part_ = 0;
  uint32_t num_parts_ = 0;  // of slab_
  Step first_;
  bool has_first_;

  MergePartRing parts_;
  MergeResultRing results_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_MERGE_VECTOR_H_
