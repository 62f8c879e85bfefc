// SPDX-License-Identifier: Apache-2.0
// Shared by fifo_test_kernel.cce and fifo_test.cc: which FIFO, what runs through it,
// and which bug.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_TEST_CASES_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_TEST_CASES_H_

#include <stdint.h>

namespace ascend_attention {

// The largest tile.
constexpr uint32_t kFifoTestRows = 16;
constexpr uint32_t kFifoTestCols = 128;

// FIFOs to this depth come with each local depth, deeper ones with 2 only: each
// instance is half a second of compile time.
constexpr uint32_t kFifoTestLocalDepths = 4;

// Read by the kernel from GM.
struct FifoTestCase {
  // An instance of the kernel: depth 1..8 or 15, period 0 or a divisor of depth,
  // local_depth 1..3
  // slots in UB and L1.
  uint32_t depth = 2;
  uint32_t period = 1;
  uint32_t local_depth = 2;

  uint32_t tiles = 4;  // of each block
  uint32_t rows = 16;  // 1..kFifoTestRows
  uint32_t cols = 16;  // a multiple of 16, to kFifoTestCols

  // Directions, one or both. With both the vector cores send back what they got, and
  // the cube core sends tile t + ahead before it takes tile t back.
  uint32_t to_vector = 1;
  uint32_t to_cube = 1;
  uint32_t ahead = 0;

  // Bugs.
  uint32_t lane_offsets = 1;    // how often a vector core adds the offset of its rows
  uint32_t slots_per_slot = 1;  // so many local slots lie in the bytes of one
  uint32_t unpopped = 0;        // so many of the last tiles are loaded and not popped
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_TEST_CASES_H_
