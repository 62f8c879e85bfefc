// SPDX-License-Identifier: Apache-2.0
// Kernel binaries of one device: found as files, loaded once, kept for good.
//
// A kernel `decode_f16` is the file <kernel_dir>/vnpu/decode_f16.so on the
// virtual NPU and <kernel_dir>/a2/decode_f16.o on hardware; both register the
// function `decode_f16_0`.
//
// Next: host_cc/launch.h - what is done with a kernel.
#ifndef ASCEND_ATTENTION_HOST_CC_KERNEL_LIBRARY_H_
#define ASCEND_ATTENTION_HOST_CC_KERNEL_LIBRARY_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "host_cc/acl_api.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

// "decode" and kFloat16 make "decode_f16".
std::string KernelName(const char* family, DType dtype);

struct Kernel {
  std::string name;
  void* function = nullptr;  // aclrtFuncHandle
};

class KernelLibrary {
 public:
  // `kernel_dir` may be empty: see RuntimeOptions.
  KernelLibrary(std::shared_ptr<const AclApi> acl, std::string kernel_dir);

  // The one library of (acl, device, kernel_dir) in this process: there is no
  // unloading, so a second one would pin device memory twice.
  static std::shared_ptr<KernelLibrary> Shared(std::shared_ptr<const AclApi> acl, int device,
                                               const std::string& kernel_dir);

  // Loads the kernel on first use. The device must be current. Thread-safe.
  StatusOr<Kernel> Get(const std::string& name);

 private:
  StatusOr<std::string> FindFile(const std::string& name, const std::string& folder_in_tree) const;
  StatusOr<Kernel> Load(const std::string& name);

  const std::shared_ptr<const AclApi> acl_;
  const std::string kernel_dir_;
  std::mutex mutex_;
  std::map<std::string, Kernel> kernels_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_KERNEL_LIBRARY_H_
