// SPDX-License-Identifier: Apache-2.0
// Tells the virtual NPU's checkers what the memory of a decode is: reports then
// say "key_cache + 512", and a kernel that writes an input is found.
#ifndef ASCEND_ATTENTION_HOST_CC_NAME_REGIONS_H_
#define ASCEND_ATTENTION_HOST_CC_NAME_REGIONS_H_

#include "host_cc/runtime_impl.h"

namespace ascend_attention {

// True while a checker watches the device of this runtime; never on an NPU.
bool ChecksEnabled(const Runtime::Impl& runtime);

// Rules that names come with. Other tensors of a graph may be elsewhere what this
// launch only reads: names in graphs forbid nothing, and replace those that do.
enum class NameRules { kOfThisLaunch, kOfAGraph };

// What a name may say, under these rules.
inline int RuleUnder(NameRules rules, int rule) {
  return rules == NameRules::kOfAGraph ? VNPU_ACL_READ_WRITE : rule;
}

// Names tensors that are given and workspace regions, and marks scratch as never
// written. Call with the stream idle: both take effect at once, not in stream order.
// For a graph: while it is captured, and of its workspace again for every plan.
void NameRegions(const PreparedPlan::Impl& prepared, const DecodeTensors& tensors,
                 NameRules rules = NameRules::kOfThisLaunch);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_NAME_REGIONS_H_
