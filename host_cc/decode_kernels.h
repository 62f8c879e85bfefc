// SPDX-License-Identifier: Apache-2.0
// The decode kernels by name: which one serves a route, and the words for cache
// schemes and routes in texts.
#ifndef ASCEND_ATTENTION_HOST_CC_DECODE_KERNELS_H_
#define ASCEND_ATTENTION_HOST_CC_DECODE_KERNELS_H_

#include <string>

#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

const char* KvQuantName(KvQuant quant);  // "int8_channel"
const char* KvRouteName(KvRoute route);  // "limbs"

// kLimbs and kFloat16 make "decode_int8_limbs_f16". The route is not kAuto.
std::string DecodeKernelName(KvRoute route, DType dtype);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_DECODE_KERNELS_H_
