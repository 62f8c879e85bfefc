// SPDX-License-Identifier: Apache-2.0
// Loading and launching, for the calls that do it in other ways than
// aclrtLaunchKernelWithHostArgs.
#ifndef VNPU_ACL_LAUNCH_H_
#define VNPU_ACL_LAUNCH_H_

#include <cstddef>
#include <cstdint>

#include "tools/vnpu/acl/error.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {

struct LaunchRequest {
  aclrtFuncHandle function;
  uint32_t num_blocks;
  aclrtStream stream;
  const aclrtLaunchKernelCfg* cfg;
  const void* args;
  size_t args_size;
  const aclrtPlaceHolderInfo* holders;
  size_t num_holders;
};

Result LoadData(Runtime& runtime, const void* data, size_t length,
                const aclrtBinaryLoadOptions* options, aclrtBinHandle* handle);
Result Unload(Runtime& runtime, aclrtBinHandle handle);
// Needs no device, unlike aclrtBinaryGetFunction.
Result FindFunction(Runtime& runtime, aclrtBinHandle handle, const char* name,
                    aclrtFuncHandle* function);
Result LaunchKernel(Runtime& runtime, const LaunchRequest& request);

}  // namespace vnpu_acl

#endif  // VNPU_ACL_LAUNCH_H_
