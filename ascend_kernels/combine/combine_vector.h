// SPDX-License-Identifier: Apache-2.0
// The partials of a decode plan as parts to merge; the last thing that a decode
// kernel with split sequences does, on its vector cores.
//
//   VectorCombiner<T> combiner(args, SlabCursor(workspace, worker, num_workers));
//   ... wait until all partials are in GM: meanwhile it reads the plan ...
//   combiner.Run();
//
// Next: ascend_kernels/combine/merge_vector.h - the schedule.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_

#include "ascend_kernels/combine/exchange_stage.h"
#include "ascend_kernels/combine/merge_vector.h"
#include "ascend_kernels/combine/slab_cursor.h"

namespace ascend_attention {

template <typename T>
class PartialSource {
 public:
  using Slab = PartialSlab;

  AICORE_INLINE PartialSource(const CombineArgs<T>& args, const SlabCursor& cursor)
      : args_(args), cursor_(cursor) {}

  AICORE_INLINE const MergeShape& shape() const { return cursor_.shape(); }
  AICORE_INLINE void Begin() const {}
  AICORE_INLINE bool Next(Slab& slab) { return cursor_.Next(slab); }

  AICORE_INLINE void Load(uint32_t slot, const Slab& slab, uint32_t first, uint32_t parts) const {
    LoadPartials(RowsOf(slot), LseOf(slot), cursor_.partials(), slab, shape(), first, parts);
  }

  // Rows that saw no token are zero already.
  AICORE_INLINE MergeParts Open(uint32_t slot, uint32_t parts) const {
    return MergeParts{RowsOf(slot), LseOf(slot), parts};
  }

  AICORE_INLINE void Finish(uint32_t slot, const MergeState& state) const {
    const UbPtr<float> lse = UbAt<float>(kMergeLseUb);
    FinishMerge(lse, state, ScratchOfMerge(), shape());
    VectorBarrier();
    SpreadRows(ResultLseOf(slot), lse, shape().slab_rows);
    FromF32(ResultRowsOf(slot), state.acc, shape().row_repeats());
  }

  AICORE_INLINE void Store(uint32_t slot, const Slab& slab) const {
    StoreSlab<T>(args_, ResultRowsOf(slot), ResultLseOf(slot), slab, shape().head_dim);
  }

 private:
  static AICORE_INLINE UbPtr<float> LseOf(uint32_t slot) {
    return UbAt<float>(kMergePartUb + slot * kMergePartSlotBytes);
  }
  static AICORE_INLINE UbPtr<float> RowsOf(uint32_t slot) {
    return UbAt<float>(kMergePartUb + slot * kMergePartSlotBytes + kMergePartRows);
  }
  static AICORE_INLINE UbPtr<float> ResultLseOf(uint32_t slot) {
    return UbAt<float>(kMergeResultUb + slot * kMergeResultSlotBytes);
  }
  static AICORE_INLINE UbPtr<T> ResultRowsOf(uint32_t slot) {
    return UbAt<T>(kMergeResultUb + slot * kMergeResultSlotBytes + kMergeResultRows);
  }

  CombineArgs<T> args_;
  SlabCursor cursor_;
};

template <typename T>
class VectorCombiner : public VectorMerger<PartialSource<T>> {
 public:
  AICORE_INLINE VectorCombiner(const CombineArgs<T>& args, const SlabCursor& cursor)
      : VectorMerger<PartialSource<T>>(PartialSource<T>(args, cursor)) {}
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_COMBINE_VECTOR_H_
