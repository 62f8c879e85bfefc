// SPDX-License-Identifier: Apache-2.0
// A caller's partial results as parts to merge: the kernels merge_states_*, on
// vector cores alone. Slabs of neighbouring rows are dealt to the cores in turn;
// each row is written by exactly one core.
//
// Next: ascend_kernels/combine/merge_vector.h - the schedule.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_VECTOR_H_

#include "ascend_kernels/cce/system.h"
#include "ascend_kernels/combine/merge_vector.h"
#include "ascend_kernels/combine/states_exchange_stage.h"
#include "ascend_kernels/combine/states_stage.h"

namespace ascend_attention {

// Where the rows of a part slot lie: fp32 rows are merged in the slot, others are
// converted to a place that both slots share.
template <typename T>
struct PartSlot {
  static constexpr uint32_t kBytes = kMergePartRows + kMaxStepLanes * sizeof(T);
  static constexpr uint32_t kConvertedUb = kMergePartUb + kMergePartSlots * kBytes;
  static_assert(kConvertedUb + kMaxStepLanes * 4 <= kMergeResultUb, "converted rows exceed parts");

  static AICORE_INLINE UbPtr<float> Lse(uint32_t slot) {
    return UbAt<float>(kMergePartUb + slot * kBytes);
  }
  static AICORE_INLINE UbPtr<T> Loaded(uint32_t slot) {
    return UbAt<T>(kMergePartUb + slot * kBytes + kMergePartRows);
  }
  static AICORE_INLINE UbPtr<float> Convert(uint32_t slot, uint32_t lanes) {
    const UbPtr<float> rows = UbAt<float>(kConvertedUb);
    ToF32(rows, Loaded(slot), CeilDiv(lanes, kF32Lanes));
    return rows;
  }
};
template <>
struct PartSlot<float> {
  static AICORE_INLINE UbPtr<float> Lse(uint32_t slot) {
    return UbAt<float>(kMergePartUb + slot * kMergePartSlotBytes);
  }
  static AICORE_INLINE UbPtr<float> Loaded(uint32_t slot) {
    return UbAt<float>(kMergePartUb + slot * kMergePartSlotBytes + kMergePartRows);
  }
  static AICORE_INLINE UbPtr<float> Convert(uint32_t slot, uint32_t) { return Loaded(slot); }
};

template <typename T>
class StateSource {
 public:
  using Slab = StateSlab;

  AICORE_INLINE explicit StateSource(const MergeStatesArgs<T>& args)
      : args_(args),
        shape_(ChooseMergeShape(args.head_dim, args.num_parts, 1, args.rows, NumBlocks())),
        number_(BlockIndex()) {}

  AICORE_INLINE const MergeShape& shape() const { return shape_; }

  AICORE_INLINE void Begin() const { ReplaceByZeros(UbAt<float>(kMergeLseUb)); }

  AICORE_INLINE bool Next(Slab& slab) {
    if (number_ >= CeilDiv(args_.rows, shape_.slab_rows)) return false;
    slab.num_parts = args_.num_parts;
    slab.first_row = number_ * shape_.slab_rows;
    slab.rows = Min(shape_.slab_rows, args_.rows - slab.first_row);
    number_ += NumBlocks();
    return true;
  }

  AICORE_INLINE void Load(uint32_t slot, const Slab& slab, uint32_t first, uint32_t parts) const {
    LoadStates<T>(PartSlot<T>::Loaded(slot), PartSlot<T>::Lse(slot), args_, slab, shape_, first,
                  parts);
  }

  AICORE_INLINE MergeParts Open(uint32_t slot, uint32_t count) const {
    const uint32_t lanes = count * shape_.slab_rows * shape_.head_dim;
    const MergeParts parts{PartSlot<T>::Convert(slot, lanes), PartSlot<T>::Lse(slot), count};
    DropEmptyRows(parts, UbAt<uint8_t>(kMergeBitsUb), ScratchOfMerge().weight_spread, shape_);
    return parts;
  }

  AICORE_INLINE void Finish(uint32_t slot, const MergeState& state) const {
    FinishMerge(ResultLseOf(slot), state, ScratchOfMerge(), shape_);
    VectorBarrier();
    ToResult(ResultRowsOf(slot), state.acc, shape_.row_repeats());
  }

  AICORE_INLINE void Store(uint32_t slot, const Slab& slab) const {
    StoreStates<T>(args_, ResultRowsOf(slot), ResultLseOf(slot), slab);
  }

 private:
  static AICORE_INLINE UbPtr<float> ResultLseOf(uint32_t slot) {
    return UbAt<float>(kMergeResultUb + slot * kMergeResultSlotBytes);
  }
  static AICORE_INLINE UbPtr<T> ResultRowsOf(uint32_t slot) {
    return UbAt<T>(kMergeResultUb + slot * kMergeResultSlotBytes + kMergeResultRows);
  }

  MergeStatesArgs<T> args_;
  MergeShape shape_;
  uint32_t number_;  // of the next slab
};

template <typename T>
AICORE_INLINE void MergeStatesEntry(const MergeStatesArgs<T>& args) {
  BeginVectorKernel();
  if (args.num_parts == 0 || args.rows == 0 || args.head_dim == 0 || args.head_dim % 16 != 0 ||
      args.head_dim > kMaxMergeHeadDim) {
    Trap();
  }
  {
    VectorMerger<StateSource<T>> merger{StateSource<T>(args)};
    merger.Run();
  }
  EndKernel();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_STATES_VECTOR_H_
