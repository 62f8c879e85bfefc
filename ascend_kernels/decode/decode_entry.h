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
#include "ascend_kernels/decode/decode_vector.h"
#include "ascend_kernels/decode/merge_splits.h"
#endif

namespace ascend_attention {

template <typename T>
AICORE_INLINE void RunSchedule(const DecodeArgs<T>& args) {
#ifdef __DAV_C220_CUBE__
  BeginCubeKernel();
  CubeDecoder<DirectRoute<T>> decoder(args);
  decoder.Run();
#else
  BeginVectorKernel();
  {
    VectorDecoder<T> decoder(args);
    decoder.Run();
  }
  MergeSplits(CombineArgs<T>{args.out, args.lse, args.workspace, args.flags});
#endif
}

template <typename T>
AICORE_INLINE void DecodeEntry(GmPtr<uint8_t> signals, const DecodeArgs<T>& args) {
  UseSignals(signals);
  RequirePlan<T>(args.workspace);
  RequireRoute(args.workspace, KvRoute::kDirect);
  RunSchedule(args);
  EndKernel();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_ENTRY_H_
