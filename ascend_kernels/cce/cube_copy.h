// SPDX-License-Identifier: Apache-2.0
// Data movement of the cube core, one intrinsic an op: GM -> L1 -> L0A/L0B and
// L0C -> GM. Operands have 16 bits (half, bfloat16_t) or 8 (int8_t).
//
// Layouts (fractal = 16 rows x 32 bytes, row-major inside; s = columns in 32
// bytes, 16 or 32):
//   NZ in L1: columns in strips of s; element (r, c) at
//             (c / s) * pitch_rows * 32 + r * 32 + (c % s) * sizeof(T) bytes.
//   zZ in L0A (M x K), nZ in L0B (K x N): fractals of 512 bytes, see each op.
//   L0C (M x N, fp32 or int32): 16 x 16 fractals of 1024 bytes, column block major.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_CUBE_COPY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_CUBE_COPY_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

// `count` row-major matrices of rows x cols, turned to NZ on the way to L1.
struct NdToNz {
  uint32_t count = 1;             // matrices, <= 4095
  uint32_t rows = 0;              // of each matrix, <= 16384
  uint32_t cols = 0;              // elements, <= 65535
  uint32_t src_matrix_elems = 0;  // start to start in GM, <= 65535
  uint32_t src_row_elems = 0;     // start to start in GM, 1..65535
  uint32_t dst_pitch_rows = 0;    // rows of one strip in L1, 1..16384
  uint32_t dst_matrix_elems = 0;  // start to start in L1, <= 65535
};

// PIPE_MTE2. Rows beyond `rows` of a strip are left as they were.
template <typename T>
AICORE_INLINE void GmToL1Nz(L1Ptr<T> dst, GmPtr<T> src, const NdToNz& p) {
  const auto count = static_cast<uint16_t>(p.count);
  const auto rows = static_cast<uint16_t>(p.rows);
  const auto cols = static_cast<uint16_t>(p.cols);
  const auto src_matrix = static_cast<uint16_t>(p.src_matrix_elems);
  const auto src_row = static_cast<uint16_t>(p.src_row_elems);
  const auto pitch = static_cast<uint16_t>(p.dst_pitch_rows);
  const auto dst_matrix = static_cast<uint16_t>(p.dst_matrix_elems);
  if constexpr (sizeof(T) == 1) {
    copy_gm_to_cbuf_multi_nd2nz_b8(dst, src, 0, count, rows, cols, src_matrix, src_row, pitch, 1,
                                   dst_matrix);
  } else {
    static_assert(sizeof(T) == 2, "8- or 16-bit elements");
    copy_gm_to_cbuf_multi_nd2nz_b16(dst, src, 0, count, rows, cols, src_matrix, src_row, pitch, 1,
                                    dst_matrix);
  }
}

// PIPE_MTE1. Consecutive fractals, 1..255. An NZ matrix of pitch 16 is zZ.
template <typename T>
AICORE_INLINE void L1ToL0a(L0aPtr<T> dst, L1Ptr<T> src, uint32_t fractals) {
  load_cbuf_to_ca(dst, src, 0, static_cast<uint8_t>(fractals), 1, 0, 0, false, inc);
}

// PIPE_MTE1. One band of 16 rows of an NZ matrix: `fractals` strips, src_gap_fractals
// = pitch_rows / 16 apart. Bands one behind the other are zZ.
template <typename T>
AICORE_INLINE void L1BandToL0a(L0aPtr<T> dst, L1Ptr<T> src, uint32_t fractals,
                               uint32_t src_gap_fractals) {
  load_cbuf_to_ca(dst, src, 0, static_cast<uint8_t>(fractals),
                  static_cast<uint16_t>(src_gap_fractals), 0, 0, false, inc);
}

// PIPE_MTE1. Consecutive fractals, 1..255. An NZ matrix [N rows, K columns] of
// pitch RoundUp(N, 16) is, byte for byte, the nZ operand K x N.
template <typename T>
AICORE_INLINE void L1ToL0b(L0bPtr<T> dst, L1Ptr<T> src, uint32_t fractals) {
  load_cbuf_to_cb(dst, src, 0, static_cast<uint8_t>(fractals), 1, 0, 0, false, inc);
}

// PIPE_MTE1. One band of kSquareRows rows of an NZ matrix [K rows, N columns],
// each square transposed: the nZ operand's fractals (k band, n = 0..N / 16 - 1).
// The strips' pitch is a multiple of kSquareRows.
//   src                 square (band, strip 0)
//   squares             strips, 1..255
//   src_strip_squares   pitch_rows / kSquareRows, from strip to strip
template <typename T>
AICORE_INLINE void L1ToL0bTransposed(L0bPtr<T> dst, L1Ptr<T> src, uint32_t squares,
                                     uint32_t src_strip_squares) {
  // Of the destination, in fractals: gap from the first of one square to the
  // first of the next, and between those of one square.
  constexpr uint16_t kSquareGap = kSquareRows<T> / kFractalRows - 1;
  load_cbuf_to_cb_transpose(dst, src, 0, static_cast<uint8_t>(squares),
                            static_cast<uint16_t>(src_strip_squares), kSquareGap, inc, 0);
}

// `count` result matrices of rows x cols fp32 or int32, row-major in GM.
struct NzToNd {
  uint32_t count = 1;                      // matrices, <= 65535
  uint32_t rows = 0;                       // 1..8192
  uint32_t cols = 0;                       // 1..4095, any value
  uint32_t src_matrix_bytes = 0;           // start to start in L0C, a multiple of 1024
  uint32_t dst_matrix_elems = 0;           // start to start in GM, <= 65535
  uint32_t dst_row_elems = 0;              // start to start in GM
  uint32_t src_pitch_rows = kFractalRows;  // rows of a column block in L0C, a multiple of 16
};

// PIPE_FIX. For the copies that follow: how their matrices lie. What of ND_PARA an
// earlier copy may still use must not change under it, hence the barrier.
AICORE_INLINE void SetMatrices(const NzToNd& p) {
  // ND_PARA: [15:0] matrices, [31:16] source stride in 1024 B, [47:32]
  // destination stride in elements.
  set_nd_para(static_cast<uint64_t>(p.count) |
              (static_cast<uint64_t>(p.src_matrix_bytes / 1024) << 16) |
              (static_cast<uint64_t>(p.dst_matrix_elems) << 32));
  pipe_barrier(PIPE_FIX);
}

// PIPE_FIX. L0C matrices to GM, no conversion, as SetMatrices has said. src may be any row of a
// fractal.
template <typename C>
AICORE_INLINE void L0cToGm(GmPtr<C> dst, L0cPtr<C> src, const NzToNd& p) {
  copy_matrix_cc_to_gm(dst, src, 0, static_cast<uint16_t>(p.cols), static_cast<uint16_t>(p.rows),
                       p.dst_row_elems, static_cast<uint16_t>(p.src_pitch_rows), 0, NoQuant, 0,
                       false, true);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_CUBE_COPY_H_
