// SPDX-License-Identifier: Apache-2.0
// What a core knows about itself, and how a kernel begins, ends and fails.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_SYSTEM_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_SYSTEM_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

// In a mixed launch: the core, the same number on its cube and vector cores. In
// a launch of vector cores alone: the vector core.
AICORE_INLINE uint32_t BlockIndex() { return static_cast<uint32_t>(get_block_idx()); }
AICORE_INLINE uint32_t NumBlocks() { return static_cast<uint32_t>(get_block_num()); }

// Vector cores of a mixed launch: the first of the two of its core.
AICORE_INLINE bool IsFirstVectorCore() { return get_subblockid() == 0; }

// Rows of a tile.
struct RowRange {
  uint32_t first_row;
  uint32_t rows;
};

// Of `rows` rows, those of this vector core: the first of the two takes the first
// half, rounded up. The only place where a vector core's number becomes an offset.
AICORE_INLINE RowRange RowsOfThisLane(uint32_t rows) {
  const uint32_t half = CeilDiv(rows, 2);
  return IsFirstVectorCore() ? RowRange{0, half} : RowRange{half, rows - half};
}

// Vector cores of a mixed launch, numbered through all blocks.
AICORE_INLINE uint32_t VectorCoreIndex() {
  return BlockIndex() * 2 + static_cast<uint32_t>(get_subblockid());
}
AICORE_INLINE uint32_t NumVectorCores() { return NumBlocks() * 2; }

// `signals` is the device's address for cross-core signals, from the launch.
AICORE_INLINE void UseSignals(GmPtr<uint8_t> signals) {
  set_ffts_base_addr(reinterpret_cast<uint64_t>(signals));
}

// Special registers hold anything when a kernel starts.
AICORE_INLINE void BeginCubeKernel() {
  set_atomic_none();
  set_padding(0);
}
AICORE_INLINE void BeginVectorKernel() {
  set_atomic_none();
  set_mask_norm();
}

// Nothing may follow: stores still on their way would be missing for the next
// kernel of the stream, which does not know this one's pipes.
AICORE_INLINE void EndKernel() { pipe_barrier(PIPE_ALL); }

// Makes the scalar stores to one 64-byte line visible outside this core.
template <typename T>
AICORE_INLINE void PublishLine(GmPtr<T> line) {
  dcci(reinterpret_cast<GmPtr<uint8_t>>(line), SINGLE_CACHE_LINE, CACHELINE_OUT);
  dsb(DSB_DDR);
}

// Stops the launch with an error.
AICORE_INLINE void Trap() { trap(); }

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_SYSTEM_H_
