// SPDX-License-Identifier: Apache-2.0
// From a case of testdata to the shape that planner and operator take.
#ifndef ASCEND_KERNELS_CASE_SHAPE_H_
#define ASCEND_KERNELS_CASE_SHAPE_H_

#include "testdata/decode_case.h"
#include "testdata/decode_inputs.h"
#include "tiling/shape.h"

namespace ascend_attention {

// The codes of a case are those of a plan.
static_assert(static_cast<int>(testdata::KvQuant::kNone) == static_cast<int>(KvQuant::kNone));
static_assert(static_cast<int>(testdata::KvQuant::kInt8Channel) ==
              static_cast<int>(KvQuant::kInt8Channel));
static_assert(static_cast<int>(testdata::KvQuant::kInt8ChannelAsym) ==
              static_cast<int>(KvQuant::kInt8ChannelAsym));
static_assert(static_cast<int>(testdata::KvQuant::kInt8Token) ==
              static_cast<int>(KvQuant::kInt8Token));
static_assert(static_cast<int>(testdata::KvRoute::kAuto) == static_cast<int>(KvRoute::kAuto));
static_assert(static_cast<int>(testdata::KvRoute::kDirect) == static_cast<int>(KvRoute::kDirect));
static_assert(static_cast<int>(testdata::KvRoute::kDequant) == static_cast<int>(KvRoute::kDequant));
static_assert(static_cast<int>(testdata::KvRoute::kLimbs) == static_cast<int>(KvRoute::kLimbs));
static_assert(static_cast<int>(testdata::KvRoute::kFifo) == static_cast<int>(KvRoute::kFifo));

inline DecodeShape ShapeOf(const testdata::DecodeCase& c, const testdata::DecodeInputs& inputs) {
  DecodeShape shape;
  shape.batch = c.batch;
  shape.num_heads = c.num_heads;
  shape.num_kv_heads = c.num_kv_heads;
  shape.head_dim = c.head_dim;
  shape.kv_block_size = c.kv_block_size;
  shape.num_kv_blocks = inputs.num_kv_blocks;
  shape.max_kv_blocks = c.max_kv_blocks();
  shape.dtype = c.bfloat16 ? DType::kBFloat16 : DType::kFloat16;
  shape.out_float32 = c.out_float32;
  shape.max_q_len = c.max_q_len();
  shape.kv_quant = static_cast<KvQuant>(c.kv_quant);
  shape.kv_route = static_cast<KvRoute>(c.route);
  // A dense cache goes without strides, as most callers have it.
  if (c.headmajor || c.interleaved) {
    shape.kv_strides = {inputs.kv_strides.block, inputs.kv_strides.token, inputs.kv_strides.head};
  }
  shape.fixed_split_tokens = c.fixed_split_tokens;
  return shape;
}

}  // namespace ascend_attention

#endif  // ASCEND_KERNELS_CASE_SHAPE_H_
