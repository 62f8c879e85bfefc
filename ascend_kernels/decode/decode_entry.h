// SPDX-License-Identifier: Apache-2.0
// What the decode entries do: the source is compiled once for the cube core and
// once for the vector cores of a block, and each pass runs its schedule. Then the
// vector cores of all blocks merge what was split.
//
// Next: ascend_kernels/decode/work_cursor.h - where the work comes from.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ENTRY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ENTRY_H_

#include "ascend_kernels/decode/decode_args.h"

#ifdef __DAV_C220_CUBE__
#include "ascend_kernels/decode/decode_cube.h"
#include "ascend_kernels/decode/direct_route.h"
#else
#include "ascend_kernels/combine/combine_vector.h"
#include "ascend_kernels/decode/decode_vector.h"
#endif

namespace ascend_attention {

template <typename T>
AICORE_INLINE void RunSchedule(const DecodeArgs<T>& args) {
#ifdef __DAV_C220_CUBE__
  BeginCubeKernel();
  CubeDecoder<DirectRoute<T>> decoder(args);
#else
  BeginVectorKernel();
  VectorDecoder<T> decoder(args);
#endif
  decoder.Run();
}

// The partial results of split sequences to out and lse. What a core needs of the
// plan it reads while it waits for the others.
template <typename T>
AICORE_INLINE void MergeSplits(const DecodeArgs<T>& args) {
#ifdef __DAV_C220_VEC__
  if (PlanHeader(args.workspace)->num_splits == 0) return;
  QueueSignal<PIPE_MTE3, kFftsModeAllCores>(kPartialsReady);
  VectorCombiner<T> combiner(CombineArgs<T>{args.out, args.lse, args.workspace, args.flags},
                             SlabCursor(args.workspace, VectorCoreIndex(), NumVectorCores()));
  AwaitSignal(kPartialsReady);
  combiner.Run();
#endif
}

template <typename T>
AICORE_INLINE void DecodeEntry(GmPtr<uint8_t> signals, const DecodeArgs<T>& args) {
  UseSignals(signals);
  RequirePlan<T>(args.workspace);
  RunSchedule(args);
  MergeSplits(args);
  EndKernel();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ENTRY_H_
