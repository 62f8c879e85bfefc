// SPDX-License-Identifier: Apache-2.0
// Whether the device pointers of a decode step fit the shape they were made for.
#ifndef ASCEND_ATTENTION_HOST_CC_TENSOR_CHECKS_H_
#define ASCEND_ATTENTION_HOST_CC_TENSOR_CHECKS_H_

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/pointer_checks.h"

namespace ascend_attention {

// InvalidArgument names the first pointer that is missing, misaligned, or given
// although the shape's cache has no such tensor.
Status CheckTensors(const DecodeTensors& tensors, const DecodeShape& shape);

// InvalidArgument names the first two of which one is written and the other not its
// own: out, lse and workspace overlap nothing. Sizes are those of the plan.
Status CheckApart(const DecodeTensors& tensors, const Memory& workspace, const DecodeShape& shape,
                  const DecodePlanHeader& header);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_TENSOR_CHECKS_H_
