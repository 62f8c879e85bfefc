// SPDX-License-Identifier: Apache-2.0
// Compiled without any standard C++ header: proof that the device-safe headers
// need none.
#include "tiling/abi/split_decision.h"

namespace ascend_attention {

SplitDecision FreestandingDecide(const SplitParams& params,
                                 const BatchLengths<const int32_t*>& lengths) {
  return DecideSplit(params, SumLengths(params, lengths), lengths);
}

}  // namespace ascend_attention
