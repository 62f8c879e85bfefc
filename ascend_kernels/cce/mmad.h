// SPDX-License-Identifier: Apache-2.0
// The cube's matrix multiply, PIPE_M.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_MMAD_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_MMAD_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

enum class Accumulate { kNo, kYes };

// With m == 1 the cube switches to its vector-times-matrix form, which reads A
// in another layout; a second, ignored row keeps the matrix form.
constexpr uint32_t kMinMmadRows = 2;

struct MmadShape {
  uint32_t m = 0;  // rows of A and C, 1..4095, exact
  uint32_t k = 0;  // 1..4095, exact: data beyond k in the last fractal is ignored
  uint32_t n = 0;  // 1..4095, exact
};

// C[m, n] (+)= A[m, k] * B[k, n], products exact; sums fp32, of int8 operands
// int32 and exact. A zZ in L0A, B nZ in L0B, C in L0C. Rows of C from m to the next
// multiple of 16 are undefined afterwards.
template <typename T>
AICORE_INLINE void Mmad(L0cPtr<typename MmadSum<T>::Type> c, L0aPtr<T> a, L0bPtr<T> b,
                        const MmadShape& shape, Accumulate accumulate) {
  const uint32_t m = shape.m < kMinMmadRows ? kMinMmadRows : shape.m;
  mad(c, a, b, static_cast<uint16_t>(m), static_cast<uint16_t>(shape.k),
      static_cast<uint16_t>(shape.n), 0, false, false, accumulate == Accumulate::kNo);
}

// Mmads into one C that follow each other need this between them while
// ceil(m / 16) * ceil(n / 16) < 10 (CANN docs); bigger ones interlock.
AICORE_INLINE void MmadBarrier() { pipe_barrier(PIPE_M); }

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_MMAD_H_
