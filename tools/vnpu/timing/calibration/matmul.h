// SPDX-License-Identifier: Apache-2.0
// Parameters of weight_stream.cce and gemm.cce, for kernel and host.
#ifndef VNPU_TIMING_CALIBRATION_MATMUL_H_
#define VNPU_TIMING_CALIBRATION_MATMUL_H_

#include <stdint.h>

// C[m, n] = A[m, k] W[k, n], fp16 in, fp32 out.
struct WeightStream {
  uint32_t m;  // 1..32
  uint32_t k;
  uint32_t n;        // columns to compute
  uint32_t n_pitch;  // columns of a row of W and C
  uint32_t n_tile;   // 128, 256 or 512: of one core at a time
  uint32_t k_tile;   // 128 or 256
  uint32_t is_nz;    // 0: W row-major; 1: zN, strips of 16 columns, k rows each
};

// C[m, n] = A[m, k] B[n, k]^T, fp16 in, fp32 out. A core computes core_m x core_n
// in blocks of 128 x n_base.
struct Gemm {
  uint32_t m;
  uint32_t n;
  uint32_t k;
  uint32_t core_m;
  uint32_t core_n;
  uint32_t n_base;    // 128 or 256
  uint32_t k_l1;      // of one load
  uint32_t k_l0;      // of one multiply
  uint32_t l0_slots;  // 1 or 2
};

#endif  // VNPU_TIMING_CALIBRATION_MATMUL_H_
