// SPDX-License-Identifier: Apache-2.0
// What the int8 decode entries do, like decode/decode_entry.h. Route: LimbsRoute or
// DequantRoute; Format: that of what the cube multiplies there.
//
// Next: ascend_kernels/decode_int8/int8_vector.h - the vector cores' schedule.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_ENTRY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_ENTRY_H_

#include "ascend_kernels/decode_int8/int8_args.h"

#ifdef __DAV_C220_CUBE__
#include "ascend_kernels/decode/decode_cube.h"
#include "ascend_kernels/decode_int8/dequant_route.h"
#include "ascend_kernels/decode_int8/limbs_route.h"
#else
#include "ascend_kernels/decode/merge_splits.h"
#include "ascend_kernels/decode_int8/int8_vector.h"
#endif

namespace ascend_attention {
namespace int8 {

template <KvRoute kRoute, typename T>
AICORE_INLINE void RunSchedule(const Int8DecodeArgs<T>& args) {
  constexpr bool kLimbs = kRoute == KvRoute::kLimbs;
#ifdef __DAV_C220_CUBE__
  BeginCubeKernel();
  if constexpr (kLimbs) {
    CubeDecoder<LimbsRoute<T>> decoder(args);
    decoder.Run();
  } else {
    CubeDecoder<DequantRoute<T>> decoder(args);
    decoder.Run();
  }
#else
  BeginVectorKernel();
  if constexpr (kLimbs) {
    VectorDecoder<T, LimbFormat> decoder(args);
    decoder.Run();
  } else {
    VectorDecoder<T, HalfFormat> decoder(args);
    decoder.Run();
  }
  MergeSplits(CombineArgs<T>{args.out, args.lse, args.workspace, args.flags});
#endif
}

template <KvRoute kRoute, typename T>
AICORE_INLINE void DecodeEntry(GmPtr<uint8_t> signals, const Int8DecodeArgs<T>& args) {
  UseSignals(signals);
  RequirePlan<T>(args.workspace);
  RequireRoute(args.workspace, kRoute);
  RunSchedule<kRoute, T>(args);
  EndKernel();
}

// The entries' untyped arguments, in the order of the launch.
template <typename T>
AICORE_INLINE Int8DecodeArgs<T> PackArgs(GmPtr<uint8_t> query, GmPtr<uint8_t> key_cache,
                                         GmPtr<uint8_t> value_cache, GmPtr<uint8_t> key_scale,
                                         GmPtr<uint8_t> key_offset, GmPtr<uint8_t> value_scale,
                                         GmPtr<uint8_t> value_offset, GmPtr<uint8_t> block_table,
                                         GmPtr<uint8_t> out, GmPtr<uint8_t> lse,
                                         GmPtr<uint8_t> workspace, uint64_t flags) {
  Int8DecodeArgs<T> args;
  args.query = reinterpret_cast<GmPtr<T>>(query);
  args.key_cache = reinterpret_cast<GmPtr<int8_t>>(key_cache);
  args.value_cache = reinterpret_cast<GmPtr<int8_t>>(value_cache);
  args.key_scale = reinterpret_cast<GmPtr<float>>(key_scale);
  args.key_offset = reinterpret_cast<GmPtr<float>>(key_offset);
  args.value_scale = reinterpret_cast<GmPtr<float>>(value_scale);
  args.value_offset = reinterpret_cast<GmPtr<float>>(value_offset);
  args.block_table = reinterpret_cast<GmPtr<int32_t>>(block_table);
  args.out = reinterpret_cast<GmPtr<T>>(out);
  args.lse = reinterpret_cast<GmPtr<float>>(lse);
  args.workspace = workspace;
  args.flags = flags;
  return args;
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_ENTRY_H_
