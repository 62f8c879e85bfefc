// SPDX-License-Identifier: Apache-2.0
// A slab of 16-bit rows x to int8, pipe V, fp32 arithmetic in this order:
//
//   kInt8Channel, kInt8ChannelAsym   q = clamp(rne(x / scale[head, d] - offset[head, d]))
//   kInt8Token                       scale = max_d |x[d]| / 127,  q = clamp(rne(x / scale))
//
// rne: to the nearest integer, ties to even; clamp: to -128..127. NaN becomes 0,
// and so does a row of zeros, whose scale is 0 (0 / 0). A token's row with an
// infinity has the scale inf, one with a NaN the scale NaN: both read back as NaN.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_QUANTISE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_QUANTISE_STAGE_H_

#include "ascend_kernels/cce/vector_quantise.h"
#include "ascend_kernels/kv_cache/buffer_map.h"

namespace ascend_attention {

constexpr float kInt8Max = 127.0f;

// All counts are multiples of 64: head_dim is one of 32, and a slab holds keys and
// values.
struct SlabShape {
  uint32_t tokens;
  uint32_t heads;
  uint32_t head_dim;
  AICORE_INLINE uint32_t token_elems() const { return heads * head_dim; }
  AICORE_INLINE uint32_t elems() const { return 2 * tokens * token_elems(); }
  AICORE_INLINE uint32_t rows() const { return 2 * tokens * heads; }
  AICORE_INLINE uint32_t repeats() const { return elems() / kF32Lanes; }
};

// x[t, :] = x[t, :] / scale, and - offset with kOffset, for `tokens` dense rows
// of `elems` lanes. Rows are no multiple of 64 lanes when a head is not and there is
// an odd number of them: the rest goes under a mask.
template <bool kOffset>
AICORE_INLINE void ScaleTokens(UbPtr<float> x, UbPtr<float> param, uint32_t tokens,
                               uint32_t elems) {
  const uint32_t repeats = elems / kF32Lanes;
  const uint32_t rest = elems - repeats * kF32Lanes;
  for (uint32_t token = 0; token < tokens; ++token) {
    const UbPtr<float> row = x + token * elems;
    if constexpr (kOffset) {
      SubDense(row, row, param, repeats);
    } else {
      DivDense(row, row, param, repeats);
    }
  }
  if (rest == 0) return;
  UseLanesBelow(rest);
  for (uint32_t token = 0; token < tokens; ++token) {
    const UbPtr<float> row = x + token * elems + repeats * kF32Lanes;
    if constexpr (kOffset) {
      SubDense(row, row, param + repeats * kF32Lanes, 1);
    } else {
      DivDense(row, row, param + repeats * kF32Lanes, 1);
    }
  }
  UseAllLanes();
}

// Keys by the first parameter, values by the second.
template <bool kOffset>
AICORE_INLINE void ScaleKeysAndValues(UbPtr<float> x, UbPtr<float> key_param,
                                      UbPtr<float> value_param, const SlabShape& shape) {
  const uint32_t elems = shape.token_elems();
  ScaleTokens<kOffset>(x, key_param, shape.tokens, elems);
  ScaleTokens<kOffset>(x + shape.tokens * elems, value_param, shape.tokens, elems);
}

// row_max[r] = max |x[r, :]|. `magnitudes` is scratch as large as x, `block_max`
// [rows, 8]; a head_dim that is no multiple of 64 ends under a mask.
AICORE_INLINE void MaxOfRows(UbPtr<float> row_max, UbPtr<float> x, UbPtr<float> magnitudes,
                             UbPtr<float> block_max, const SlabShape& shape) {
  const uint32_t rows = shape.rows();
  ColumnPitch pitch;
  pitch.dst = pitch.a = pitch.b = shape.head_dim;
  AbsDense(magnitudes, x, shape.repeats());
  VectorBarrier();
  for (uint32_t lane = kF32Lanes; lane < shape.head_dim; lane += kF32Lanes) {
    if (shape.head_dim - lane < kF32Lanes) UseLanesBelow(shape.head_dim - lane);
    MaxColumn(magnitudes, magnitudes, magnitudes + lane, rows, pitch);
    VectorBarrier();
  }
  UseAllLanes();
  MaxOfDatablocks(block_max, magnitudes, rows, shape.head_dim);
  VectorBarrier();
  MaxOfDatablocks(row_max, block_max, CeilDiv(rows, 8), kF32Lanes);
  VectorBarrier();
}

// scale[r] = row_max[r] / 127, x[r, :] /= scale[r]; `spread` gets scale[r] eight
// times. `divisor` holds 127.
AICORE_INLINE void ScaleRows(UbPtr<float> x, UbPtr<float> spread, UbPtr<float> scale,
                             UbPtr<float> row_max, UbPtr<float> divisor, const SlabShape& shape) {
  const uint32_t rows = shape.rows();
  DivShared(scale, row_max, divisor, CeilDiv(rows, kF32Lanes));
  VectorBarrier();
  SpreadRows(spread, scale, rows);
  VectorBarrier();
  for (uint32_t lane = 0; lane < shape.head_dim; lane += kF32Lanes) {
    if (shape.head_dim - lane < kF32Lanes) UseLanesBelow(shape.head_dim - lane);
    DivPerRow(x + lane, x + lane, spread, rows, shape.head_dim);
  }
  UseAllLanes();
}

// q = clamp(rne(x)); `halves` is scratch of half x's size.
AICORE_INLINE void RoundToInt8(UbPtr<int8_t> q, UbPtr<float> x, UbPtr<half> halves,
                               const SlabShape& shape) {
  const UbPtr<int16_t> integers = reinterpret_cast<UbPtr<int16_t>>(halves);
  const uint32_t half_repeats = CeilDiv(shape.elems(), kHalfLanes);
  RoundToInt16(integers, x, shape.repeats());
  VectorBarrier();
  FromInt16(halves, integers, half_repeats);
  VectorBarrier();
  ToInt8(q, halves, half_repeats);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_QUANTISE_STAGE_H_
