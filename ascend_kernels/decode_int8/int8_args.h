// SPDX-License-Identifier: Apache-2.0
// What the int8 decode kernels are launched with; host_cc/launch.h packs the same
// fields in the same order.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_ARGS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_ARGS_H_

#include "ascend_kernels/decode/decode_args.h"

namespace ascend_attention {

// A cache element stands for (int8 + offset) * scale. Channel schemes: scale and
// offset [num_kv_heads, head_dim]. kInt8Token: scale [num_kv_blocks, num_kv_heads,
// kv_block_size]. Offsets are read with kInt8ChannelAsym only.
template <typename T>
struct Int8DecodeArgs : DecodeArgs<T, int8_t> {
  GmPtr<float> key_scale;
  GmPtr<float> key_offset;
  GmPtr<float> value_scale;
  GmPtr<float> value_offset;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_ARGS_H_
