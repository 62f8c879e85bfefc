// SPDX-License-Identifier: Apache-2.0
// What the calibration kernels share: typed on-chip addresses, pairs of flags,
// cross-core signals, and row-wise fp32 arithmetic of a vector core.
#ifndef VNPU_TIMING_CALIBRATION_KERNEL_UTIL_H_
#define VNPU_TIMING_CALIBRATION_KERNEL_UTIL_H_

#define CALIBRATION_OP __attribute__((always_inline)) inline __aicore__

constexpr int64_t kFractalRows = 16;
constexpr int64_t kFractalElems = 256;  // 16-bit elements of one 512-byte fractal
constexpr int64_t kHeadDim = 128;

template <typename P>
CALIBRATION_OP P At(int64_t offset) {
  return reinterpret_cast<P>(static_cast<uintptr_t>(offset));
}
CALIBRATION_OP constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
CALIBRATION_OP constexpr int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }
CALIBRATION_OP constexpr int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

// kDst goes on when kSrc has finished what it holds now.
template <pipe_t kSrc, pipe_t kDst>
CALIBRATION_OP void Order(int64_t event) {
  set_flag(kSrc, kDst, event);
  wait_flag(kSrc, kDst, event);
}

// FFTS configuration word: bit 0 valid, [5:4] mode, [11:8] flag.
template <pipe_t kPipe>
CALIBRATION_OP void Signal(uint64_t mode, uint64_t flag) {
  ffts_cross_core_sync(kPipe, 1 | mode << 4 | flag << 8);
}
constexpr uint64_t kInBlock = 2;
constexpr uint64_t kAllOfKind = 0;

#ifdef __DAV_C220_CUBE__

// A row-major [rows, cols] matrix of 16-bit elements to NZ in L1.
template <typename T>
CALIBRATION_OP void LoadNz(__cbuf__ T* dst, const __gm__ T* src, int64_t rows, int64_t cols,
                           int64_t pitch_elems) {
  copy_gm_to_cbuf_multi_nd2nz_b16(dst, src, 0, 1, rows, cols, 0, pitch_elems,
                                  RoundUp(rows, kFractalRows), 1, 0);
}

// Rows [0, rows) of an NZ matrix of pitch RoundUp(rows, 16) to zZ in L0A.
template <typename T>
CALIBRATION_OP void MoveLeft(__ca__ T* dst, const __cbuf__ T* src, int64_t rows, int64_t cols) {
  const int64_t bands = CeilDiv(rows, kFractalRows);
  const int64_t strips = cols / kFractalRows;
  for (int64_t band = 0; band < bands; ++band) {
    load_cbuf_to_ca(dst + band * strips * kFractalElems, src + band * kFractalElems, 0, strips,
                    bands, 0, 0, false, inc);
  }
}

// An NZ matrix [n rows, k columns] is the operand k x n as it lies.
template <typename T>
CALIBRATION_OP void MoveRight(__cb__ T* dst, const __cbuf__ T* src, int64_t n, int64_t k) {
  load_cbuf_to_cb(dst, src, 0, n * k / kFractalElems, 1, 0, 0, false, inc);
}

// An NZ matrix [k rows, n columns], strips `pitch_rows` high: each fractal is
// transposed on the way. One instruction for each band of 16 rows.
template <typename T>
CALIBRATION_OP void MoveRightTransposed(__cb__ T* dst, const __cbuf__ T* src, int64_t k, int64_t n,
                                        int64_t pitch_rows) {
  for (int64_t band = 0; band < k / kFractalRows; ++band) {
    load_cbuf_to_cb_transpose(dst + band * n * kFractalRows, src + band * kFractalElems, 0,
                              n / kFractalRows, pitch_rows / kFractalRows, 0, inc, 0);
  }
}

// L0C [rows, cols] fp32 to a row-major matrix in GM.
CALIBRATION_OP void StoreRows(__gm__ float* dst, __cc__ float* src, int64_t rows, int64_t cols,
                              int64_t pitch_elems) {
  copy_matrix_cc_to_gm(dst, src, 0, cols, rows, pitch_elems, RoundUp(rows, kFractalRows), 0,
                       NoQuant, 0, false, true);
}

template <typename T>
CALIBRATION_OP void Multiply(__cc__ float* c, const __ca__ T* a, const __cb__ T* b, int64_t m,
                             int64_t k, int64_t n, bool accumulate) {
  mad(c, a, b, m, k, n, 0, false, false, !accumulate);
}

#endif  // __DAV_C220_CUBE__

#ifdef __DAV_C220_VEC__

using Floats = __ubuf__ float*;
constexpr int64_t kLanes = 64;  // fp32 lanes of a repeat
constexpr float kLowest = -3.4028234663852886e38f;

CALIBRATION_OP void UseLanes(int64_t count) {
  set_vector_mask(0, count >= kLanes ? ~uint64_t{0} : (uint64_t{1} << count) - 1);
}
CALIBRATION_OP void VectorBarrier() { pipe_barrier(PIPE_V); }

// values[r] = max (sum) over src[r, 0..cols); cols is 64 or 128. `tmp` holds
// rows x 64 values.
CALIBRATION_OP void MaxOfRows(Floats values, Floats src, Floats tmp, int64_t rows, int64_t cols) {
  if (cols == kLanes) return vcmax(values, src, rows, 1, 1, 8, ONLY_VALUE);
  vmax(tmp, src, src + kLanes, rows, 1, 1, 1, 8, 16, 16);
  VectorBarrier();
  vcmax(values, tmp, rows, 1, 1, 8, ONLY_VALUE);
}
CALIBRATION_OP void SumOfRows(Floats values, Floats src, Floats tmp, int64_t rows, int64_t cols) {
  if (cols == kLanes) return vcadd(values, src, rows, 1, 1, 8, false);
  vadd(tmp, src, src + kLanes, rows, 1, 1, 1, 8, 16, 16);
  VectorBarrier();
  vcadd(values, tmp, rows, 1, 1, 8, false);
}

// spread[r, 0..7] = values[r], in groups of 8 rows.
CALIBRATION_OP void SpreadRows(Floats spread, Floats values, int64_t rows) {
  vbrcb(reinterpret_cast<__ubuf__ uint32_t*>(spread), reinterpret_cast<__ubuf__ uint32_t*>(values),
        1, 8, CeilDiv(rows, 8));
}
CALIBRATION_OP void SubtractSpread(Floats dst, Floats src, Floats spread, int64_t rows,
                                   int64_t cols) {
  for (int64_t col = 0; col < cols; col += kLanes) {
    vsub(dst + col, src + col, spread, rows, 1, 1, 0, cols / 8, cols / 8, 1);
  }
}
CALIBRATION_OP void MultiplySpread(Floats dst, Floats src, Floats spread, int64_t rows,
                                   int64_t cols) {
  for (int64_t col = 0; col < cols; col += kLanes) {
    vmul(dst + col, src + col, spread, rows, 1, 1, 0, cols / 8, cols / 8, 1);
  }
}
CALIBRATION_OP void DivideSpread(Floats dst, Floats src, Floats spread, int64_t rows,
                                 int64_t cols) {
  for (int64_t col = 0; col < cols; col += kLanes) {
    vdiv(dst + col, src + col, spread, rows, 1, 1, 0, cols / 8, cols / 8, 1);
  }
}

// Dense, `elems` a multiple of 64 or below 64 with the mask set to it.
CALIBRATION_OP void Add(Floats dst, Floats a, Floats b, int64_t elems) {
  vadd(dst, a, b, CeilDiv(elems, kLanes), 1, 1, 1, 8, 8, 8);
}
CALIBRATION_OP void Subtract(Floats dst, Floats a, Floats b, int64_t elems) {
  vsub(dst, a, b, CeilDiv(elems, kLanes), 1, 1, 1, 8, 8, 8);
}
CALIBRATION_OP void MultiplyBy(Floats dst, Floats a, Floats b, int64_t elems) {
  vmul(dst, a, b, CeilDiv(elems, kLanes), 1, 1, 1, 8, 8, 8);
}
CALIBRATION_OP void Maximum(Floats dst, Floats a, Floats b, int64_t elems) {
  vmax(dst, a, b, CeilDiv(elems, kLanes), 1, 1, 1, 8, 8, 8);
}
CALIBRATION_OP void Scale(Floats dst, Floats a, float factor, int64_t elems) {
  vmuls(dst, a, factor, CeilDiv(elems, kLanes), 1, 1, 8, 8);
}
CALIBRATION_OP void Exponential(Floats dst, Floats a, int64_t elems) {
  vexp(dst, a, CeilDiv(elems, kLanes), 1, 1, 8, 8);
}
CALIBRATION_OP void Fill(Floats dst, float value, int64_t elems) {
  vector_dup(dst, value, CeilDiv(elems, kLanes), 1, 1, 8, 0);
}

// One contiguous run of `elems`.
template <typename T>
CALIBRATION_OP void LoadRun(__ubuf__ T* dst, const __gm__ T* src, int64_t elems) {
  copy_gm_to_ubuf(dst, src, 0, 1, elems * static_cast<int64_t>(sizeof(T)) / 32, 0, 0);
}
template <typename T>
CALIBRATION_OP void StoreRun(__gm__ T* dst, const __ubuf__ T* src, int64_t elems) {
  copy_ubuf_to_gm(dst, src, 0, 1, elems * static_cast<int64_t>(sizeof(T)) / 32, 0, 0);
}

#endif  // __DAV_C220_VEC__

#endif  // VNPU_TIMING_CALIBRATION_KERNEL_UTIL_H_
