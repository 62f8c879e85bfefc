// SPDX-License-Identifier: Apache-2.0
#include "host_cc/launch.h"

namespace ascend_attention {

Status LaunchBytes(const AclApi& acl, const Kernel& kernel, uint32_t num_blocks, void* args,
                   size_t args_size, void* stream, BlockStart start) {
  aclrtLaunchKernelAttr attribute = {};
  attribute.id = ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE;
  attribute.value.schemMode = static_cast<uint8_t>(start);
  aclrtLaunchKernelCfg config = {&attribute, 1};
  const int error = acl.aclrtLaunchKernelWithHostArgs(
      kernel.function, num_blocks, stream,
      start == BlockStart::kAsCoresBecomeFree ? nullptr : &config,  // null: the default
      args, args_size, nullptr, 0);
  return acl.Check(error, "aclrtLaunchKernelWithHostArgs(", kernel.name, ", ", num_blocks,
                   " blocks)");
}

StatusOr<bool> IsCapturing(const AclApi& acl, void* stream) {
  // The default stream cannot capture.
  if (acl.aclmdlRICaptureGetInfo == nullptr || stream == nullptr) return false;
  aclmdlRICaptureStatus status = ACL_MODEL_RI_CAPTURE_STATUS_NONE;
  aclmdlRI graph = nullptr;
  AA_RETURN_IF_ERROR(
      acl.Check(acl.aclmdlRICaptureGetInfo(stream, &status, &graph), "aclmdlRICaptureGetInfo()"));
  // An invalidated capture runs nothing either.
  return status != ACL_MODEL_RI_CAPTURE_STATUS_NONE;
}

StatusOr<uint64_t> HardwareSyncAddress(const AclApi& acl) {
  if (acl.aclrtGetHardwareSyncAddr != nullptr) {
    void* address = nullptr;
    AA_RETURN_IF_ERROR(
        acl.Check(acl.aclrtGetHardwareSyncAddr(&address), "aclrtGetHardwareSyncAddr()"));
    return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(address));
  }
  uint64_t address = 0;
  uint32_t size = 0;
  AA_RETURN_IF_ERROR(acl.Check(acl.rtGetC2cCtrlAddr(&address, &size), "rtGetC2cCtrlAddr()"));
  return address;
}

}  // namespace ascend_attention
