// SPDX-License-Identifier: Apache-2.0
// Which partials of a decode plan a vector core merges: the slabs of all splits,
// numbered through, are dealt to the workers in turn. Each slab is written by
// exactly one core.
//
// All splits are given as many numbers as a full item has slabs, so that a number
// leads to its split without a walk over the others: scalar loads of GM are slow
// and nothing hides them at the end of a kernel. Numbers past the end of a smaller
// split are passed over.
//
// Next: ascend_kernels/combine/combine_vector.h - what is done with a slab.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_SLAB_CURSOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_SLAB_CURSOR_H_

#include "ascend_kernels/combine/merge_shape.h"
#include "ascend_kernels/decode/plan_memory.h"
#include "ascend_kernels/decode/row_map.h"

namespace ascend_attention {

// Where the partial results lie: [num_partials, rows, head_dim] and
// [num_partials, RoundUp(rows, 8)].
struct Partials {
  GmPtr<float> out;
  GmPtr<float> lse;
  uint32_t rows;  // of a full item
};

// Neighbouring rows of one split.
struct PartialSlab {
  RowMap map;
  uint32_t first_partial;
  uint32_t num_partials;
  uint32_t first_row;  // of the split
  uint32_t rows;       // 1..slab_rows

  AICORE_INLINE uint32_t parts() const { return num_partials; }
};

class SlabCursor {
 public:
  // Reads the plan alone: may run before the partials are there.
  AICORE_INLINE SlabCursor(GmPtr<uint8_t> workspace, uint32_t worker, uint32_t num_workers)
      : workers_(num_workers), number_(worker) {
    GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
    const uint32_t num_splits = header->num_splits;
    num_heads_ = header->num_heads;
    q_per_kv_ = num_heads_ / (header->num_kv_heads * header->kv_head_parts);
    const uint32_t head_dim = header->head_dim;
    if (head_dim == 0 || head_dim > kMaxMergeHeadDim) Trap();
    partials_ = Partials{GmAt<float>(workspace, &header->partial_out.begin),
                         GmAt<float>(workspace, &header->partial_lse.begin),
                         header->kv_heads_per_group * header->q_tokens_per_item * q_per_kv_};
    splits_ = GmAt<SplitRange>(workspace, &header->splits);
    // Every split has two partials at least.
    const uint32_t most_parts = header->num_partials - 2 * num_splits + 2;
    shape_ = ChooseMergeShape(head_dim, most_parts, num_splits, partials_.rows, num_workers);
    slabs_per_split_ = CeilDiv(partials_.rows, shape_.slab_rows);
    end_ = num_splits * slabs_per_split_;
  }

  AICORE_INLINE const Partials& partials() const { return partials_; }
  AICORE_INLINE const MergeShape& shape() const { return shape_; }

  // The next slab of this worker, or false at the end.
  AICORE_INLINE bool Next(PartialSlab& slab) {
    for (; number_ < end_; number_ += workers_) {
      const uint32_t index = number_ / slabs_per_split_;
      GmPtr<SplitRange> split = splits_ + index;
      const uint32_t split_rows = split->kv_head_count * split->q_len * q_per_kv_;
      const uint32_t first_row = (number_ - index * slabs_per_split_) * shape_.slab_rows;
      if (first_row >= split_rows) continue;
      slab.map = RowMap{split->q_len, q_per_kv_, num_heads_,
                        split->query_row * num_heads_ + split->kv_head_begin * q_per_kv_};
      slab.first_partial = split->first_partial;
      slab.num_partials = split->num_partials;
      slab.first_row = first_row;
      slab.rows = Min(shape_.slab_rows, split_rows - first_row);
      number_ += workers_;
      return true;
    }
    return false;
  }

 private:
  uint32_t workers_;
  uint32_t number_;  // of the next slab
  uint32_t end_;
  uint32_t slabs_per_split_;
  uint32_t num_heads_;
  uint32_t q_per_kv_;
  GmPtr<SplitRange> splits_;
  Partials partials_;
  MergeShape shape_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_COMBINE_SLAB_CURSOR_H_
