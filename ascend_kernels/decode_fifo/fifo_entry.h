// SPDX-License-Identifier: Apache-2.0
// What the decode_fifo entries do: the source is compiled once for the cube core and
// once for the vector cores of a block; each pass picks the tile of its problem.
//
// Next: ascend_kernels/decode_fifo/fifo_cube.h - what the cube core does with it.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_ENTRY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_ENTRY_H_

#include "ascend_kernels/decode_fifo/fifo_variants.h"

#ifdef __DAV_C220_CUBE__
#include "ascend_kernels/decode_fifo/fifo_cube.h"
#else
#include "ascend_kernels/decode_fifo/fifo_vector.h"
#endif

namespace ascend_attention {
namespace fifo {

#ifdef __DAV_C220_CUBE__
template <typename T, typename Variant, uint32_t kRows, uint32_t kPage>
using Half = CubeHalf<T, Variant, kRows, kPage>;
AICORE_INLINE void BeginKernel() { BeginCubeKernel(); }
#else
template <typename T, typename Variant, uint32_t kRows, uint32_t kPage>
using Half = VectorHalf<T, Variant, kRows, kPage>;
AICORE_INLINE void BeginKernel() { BeginVectorKernel(); }
#endif

// Whether the plan's slots hold such tiles; a plan from the planner's always do.
AICORE_INLINE bool SlotsFit(GmPtr<DecodePlanHeader> header, uint32_t rows, uint32_t elem_bytes) {
  const uint64_t scores = static_cast<uint64_t>(rows) * header->kv_block_size;
  const uint64_t o_tile = static_cast<uint64_t>(rows) * kHeadDim;
  return header->scores_slot_size.bytes >= scores * sizeof(float) &&
         header->probs_slot_size.bytes >= scores * elem_bytes &&
         header->o_tile_slot_size.bytes >= o_tile * sizeof(float);
}

template <typename T, typename Variant, uint32_t kRows>
AICORE_INLINE void RunPages(const DecodeArgs<T>& args, uint32_t kv_block_size) {
  if (kv_block_size == 64) {
    Half<T, Variant, kRows, 64> half(args);
    half.Run();
  } else if (kv_block_size == 128) {
    Half<T, Variant, kRows, 128> half(args);
    half.Run();
  } else {
    Trap();
  }
}

template <typename T, typename Variant>
AICORE_INLINE void DecodeEntry(GmPtr<uint8_t> signals, const DecodeArgs<T>& args) {
  UseSignals(signals);
  RequirePlan<T>(args.workspace);
  RequireRoute(args.workspace, KvRoute::kFifo);
  GmPtr<DecodePlanHeader> header = PlanHeader(args.workspace);
  if (header->head_dim != kHeadDim || header->num_kv_heads == 0) Trap();
  BeginKernel();
  const uint32_t q_per_kv = header->num_heads / header->num_kv_heads;
  const uint32_t rows = FifoQueryTile(q_per_kv);
  if (q_per_kv == 0 || !SlotsFit(header, rows, sizeof(T))) Trap();
  if (rows == 64) {
    RunPages<T, Variant, 64>(args, header->kv_block_size);
  } else {
    RunPages<T, Variant, 16>(args, header->kv_block_size);
  }
  EndKernel();
}

// The entries' untyped arguments, in the order of the launch.
template <typename T>
AICORE_INLINE DecodeArgs<T> PackArgs(GmPtr<uint8_t> query, GmPtr<uint8_t> key_cache,
                                     GmPtr<uint8_t> value_cache, GmPtr<uint8_t> block_table,
                                     GmPtr<uint8_t> out, GmPtr<uint8_t> lse,
                                     GmPtr<uint8_t> workspace, uint64_t flags) {
  DecodeArgs<T> args;
  args.query = reinterpret_cast<GmPtr<T>>(query);
  args.key_cache = reinterpret_cast<GmPtr<T>>(key_cache);
  args.value_cache = reinterpret_cast<GmPtr<T>>(value_cache);
  args.block_table = reinterpret_cast<GmPtr<int32_t>>(block_table);
  args.out = reinterpret_cast<GmPtr<T>>(out);
  args.lse = reinterpret_cast<GmPtr<float>>(lse);
  args.workspace = workspace;
  args.flags = flags;
  return args;
}

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_ENTRY_H_
