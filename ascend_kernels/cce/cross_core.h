// SPDX-License-Identifier: Apache-2.0
// Signals between the cube core and the two vector cores of one block, and one
// barrier over all vector cores.
//
// A signal is an FFTS flag in mode 2: raised by the cube core it is counted on
// both vector cores; raised by the vector cores it is counted on the cube core
// once BOTH have raised it, so a vector core without rows must raise it too.
// Counters hold 0..15; each kernel's events.h states the most it has pending.
//
// The signal is queued on the pipe that stores the data, behind the store: what
// that pipe wrote before is visible to the core that waited. ATB's paged
// attention ships with this rule. Another runtime's port of it was seen to need
// a DDR fence before each signal (hw-native-sys/simpler#1091), which stops all
// pipes of the core; --define=fence_signals=1 builds the kernels with it.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_CROSS_CORE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_CROSS_CORE_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

// FFTS configuration word: bit 0 valid, bits 5:4 mode, bits 11:8 flag id.
//
// Mode 0 is a barrier over all vector cores of the launch: every one of them must
// signal, then the wait of each passes and sees what their pipes had stored. All
// blocks must be on cores at once, no more blocks than the device has cores, or
// the launch hangs.
constexpr uint64_t kFftsModeAllCores = 0;
constexpr uint64_t kFftsModeInBlock = 2;

// Queues the signal behind what kStorePipe has stored.
template <pipe_t kStorePipe, uint64_t kMode>
AICORE_INLINE void QueueSignal(uint32_t signal) {
#ifdef ASCEND_ATTENTION_FENCE_SIGNALS
  pipe_barrier(kStorePipe);
  dsb(DSB_DDR);
  pipe_barrier(PIPE_ALL);
#endif
  const uint64_t config = 1 | (kMode << 4) | (static_cast<uint64_t>(signal) << 8);
  ffts_cross_core_sync(kStorePipe, config);
}

template <pipe_t kStorePipe>
AICORE_INLINE void RaiseSignal(uint32_t signal) {
  QueueSignal<kStorePipe, kFftsModeInBlock>(signal);
}

// Stops the scalar unit until the signal is counted, and takes one count.
AICORE_INLINE void AwaitSignal(uint32_t signal) { wait_flag_dev(signal); }

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_CROSS_CORE_H_
