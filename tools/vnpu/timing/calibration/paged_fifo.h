// SPDX-License-Identifier: Apache-2.0
// Parameters and workspace of paged_fifo.cce, for kernel and host.
#ifndef VNPU_TIMING_CALIBRATION_PAGED_FIFO_H_
#define VNPU_TIMING_CALIBRATION_PAGED_FIFO_H_

#include <stdint.h>

namespace paged_fifo {

enum Schedule : uint32_t {
  kStepTwo,   // #665: two tiles at a time, loads where they are needed
  kFifo,      // #676..#704: scores one tile ahead, loads where they are needed
  kPrefetch,  // #704: K and V loads one tile ahead
};

struct Problem {
  uint32_t batch;
  uint32_t num_heads;   // a multiple of the query tile
  uint32_t max_blocks;  // row of the block table
  uint32_t q_tile;      // 16: pages of 128 tokens; 64: pages of 64
  uint32_t schedule;
  uint32_t credits;  // 1: producers wait for free slots
};

// Rings in GM, two slots a block; sized for the largest tile, 64 rows x 128.
constexpr int64_t kRingElems = 2 * 64 * 128;

}  // namespace paged_fifo

#endif  // VNPU_TIMING_CALIBRATION_PAGED_FIFO_H_
