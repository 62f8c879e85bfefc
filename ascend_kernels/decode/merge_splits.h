// SPDX-License-Identifier: Apache-2.0
// The end of a decode kernel on its vector cores: partial results of split
// sequences become out and lse. The decode buffers must be dead: the merge uses UB
// from its start, under flag ids of its own.
//
// Next: ascend_kernels/combine/combine_vector.h - who merges what.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_MERGE_SPLITS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_MERGE_SPLITS_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/combine/combine_vector.h"
#include "ascend_kernels/decode/events.h"

namespace ascend_attention {

// Every vector core of the launch calls this. What it needs of the plan it reads
// while it waits for the others.
template <typename T>
AICORE_INLINE void MergeSplits(const CombineArgs<T>& args) {
  if (PlanHeader(args.workspace)->num_splits == 0) return;
  QueueSignal<PIPE_MTE3, kFftsModeAllCores>(kPartialsReady);
  VectorCombiner<T> combiner(args, SlabCursor(args.workspace, VectorCoreIndex(), NumVectorCores()));
  AwaitSignal(kPartialsReady);
  combiner.Run();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_MERGE_SPLITS_H_
