// SPDX-License-Identifier: Apache-2.0
// The two products of a page, fp32 sums, exactly its tokens:
//
//   S[rows, tokens]   = Q[rows, head_dim] K[tokens, head_dim]^T
//   O[rows, head_dim] = P[rows, tokens]   V[tokens, head_dim]
//
// L1 -> L0A, L0B by MTE1, mmad by M into L0C, L0C -> GM by FIX. What a page holds beyond
// its tokens is never multiplied. Rows of L0A beyond `rows` hold anything; their sums are
// not stored.
//
// Next: ascend_kernels/cce/cube_copy.h - one intrinsic a copy; mmad.h beside it.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_PRODUCT_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_PRODUCT_STAGE_H_

#include "ascend_kernels/cce/cube_copy.h"
#include "ascend_kernels/cce/mmad.h"
#include "ascend_kernels/decode_fifo/fifo_buffer_map.h"

namespace ascend_attention {
namespace fifo {

constexpr uint32_t kFractalElems = kFractalBytes / 2;  // 16-bit operands
constexpr uint32_t kHeadStrips = kHeadDim / kFractalRows;

// Strips of kRows rows, as page_stage.h makes them, to zZ.
template <uint32_t kRows, typename T>
AICORE_INLINE void LoadLeft(L0aPtr<T> dst, L1Ptr<T> src, uint32_t rows, uint32_t cols) {
  const uint32_t strips = CeilDiv(cols, kFractalRows);
  for (uint32_t band = 0; band < CeilDiv(rows, kFractalRows); ++band) {
    L1BandToL0a<T>(dst + band * strips * kFractalElems, src + band * kFractalElems, strips,
                   kRows / kFractalRows);
  }
}

// K rows in NZ are the operand K^T as they are.
template <typename T>
AICORE_INLINE void LoadKeys(L0bPtr<T> dst, L1Ptr<T> src, uint32_t tokens) {
  L1ToL0b<T>(dst, src, CeilDiv(tokens, kFractalRows) * kHeadStrips);
}

// V rows are the operand's k: every fractal is transposed on its way.
template <typename T>
AICORE_INLINE void LoadValues(L0bPtr<T> dst, L1Ptr<T> src, uint32_t tokens) {
  const uint32_t bands = CeilDiv(tokens, kFractalRows);
  for (uint32_t band = 0; band < bands; ++band) {
    L1ToL0bTransposed<T>(dst + band * kHeadStrips * kFractalElems, src + band * kFractalElems,
                         kHeadStrips, bands);
  }
}

template <typename T>
AICORE_INLINE void Multiply(L0cPtr<float> product, L0aPtr<T> left, L0bPtr<T> right, uint32_t rows,
                            uint32_t depth, uint32_t cols) {
  MmadShape shape;
  shape.m = rows;
  shape.k = depth;
  shape.n = cols;
  Mmad<T>(product, left, right, shape, Accumulate::kNo);
}

// Once, before the first StoreProduct: products are stored one at a time.
AICORE_INLINE void PrepareStores() { SetMatrices(NzToNd()); }

// Rows in GM are `pitch` floats apart.
AICORE_INLINE void StoreProduct(GmPtr<float> dst, L0cPtr<float> product, uint32_t rows,
                                uint32_t cols, uint32_t pitch) {
  NzToNd copy;
  copy.rows = rows;
  copy.cols = cols;
  copy.dst_row_elems = pitch;
  copy.src_pitch_rows = RoundUp(rows, kFractalRows);
  L0cToGm<float>(dst, product, copy);
}

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_PRODUCT_STAGE_H_
