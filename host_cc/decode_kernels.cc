// SPDX-License-Identifier: Apache-2.0
#include "host_cc/decode_kernels.h"

#include "host_cc/kernel_library.h"

namespace ascend_attention {

const char* KvQuantName(KvQuant quant) {
  switch (quant) {
    case KvQuant::kNone:
      return "none";
    case KvQuant::kInt8Channel:
      return "int8_channel";
    case KvQuant::kInt8ChannelAsym:
      return "int8_channel_asym";
    case KvQuant::kInt8Token:
      return "int8_token";
  }
  return "unknown";
}

const char* KvRouteName(KvRoute route) {
  switch (route) {
    case KvRoute::kAuto:
      return "auto";
    case KvRoute::kDirect:
      return "direct";
    case KvRoute::kDequant:
      return "dequant";
    case KvRoute::kLimbs:
      return "limbs";
  }
  return "unknown";
}

std::string DecodeKernelName(KvRoute route, DType dtype) {
  switch (route) {
    case KvRoute::kDequant:
      return KernelName("decode_int8_dequant", dtype);
    case KvRoute::kLimbs:
      return KernelName("decode_int8_limbs", dtype);
    default:
      return KernelName("decode", dtype);
  }
}

}  // namespace ascend_attention
