// SPDX-License-Identifier: Apache-2.0
// Tells the virtual NPU's checkers what the memory of a decode is: reports then
// say "key_cache + 512", and a kernel that writes an input is found.
#ifndef ASCEND_ATTENTION_HOST_CC_NAME_REGIONS_H_
#define ASCEND_ATTENTION_HOST_CC_NAME_REGIONS_H_

#include "host_cc/runtime_impl.h"

namespace ascend_attention {

// True while a checker watches the device of this runtime; never on an NPU.
bool ChecksEnabled(const Runtime::Impl& runtime);

// Names tensors and workspace regions, and marks scratch as never written. Call
// with the stream idle: both take effect at once, not in stream order.
void NameRegions(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_NAME_REGIONS_H_
