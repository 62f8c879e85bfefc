// SPDX-License-Identifier: Apache-2.0
// Compiled without any standard C++ header: proof that the device-safe headers
// need none.
#include "tiling/abi/split_decision.h"

namespace ascend_attention {

SplitDecision FreestandingDecide(const SplitParams& params, const int32_t* context_lens) {
  return DecideSplit(params, SumLengths(context_lens, params.batch), context_lens);
}

}  // namespace ascend_attention
