// SPDX-License-Identifier: Apache-2.0
// The one seam to the Ascend runtime: a table of ACL entry points found at run
// time in whatever libascendcl.so there is, a real CANN of several versions or
// the virtual NPU. Nothing in host_cc links ACL; acl_abi.h lends the types.
//
// Tests make a table of their own (testing/fake_acl.h) in which calls fail.
//
// Next: host_cc/runtime_impl.h - what is kept per device.
#ifndef ASCEND_ATTENTION_HOST_CC_ACL_API_H_
#define ASCEND_ATTENTION_HOST_CC_ACL_API_H_

#include <functional>
#include <memory>
#include <string>

#include "tiling/status.h"
#include "tools/vnpu/acl/acl_abi.h"
#include "tools/vnpu/acl/acl_graph_abi.h"
#include "tools/vnpu/acl/vnpu_extensions.h"

namespace ascend_attention {

// The functions that must exist. rtGetC2cCtrlAddr stands in for
// aclrtGetHardwareSyncAddr on CANN before 8.5.
#define ASCEND_ATTENTION_ACL_FUNCTIONS(X) \
  X(aclInit)                              \
  X(aclGetRecentErrMsg)                   \
  X(aclGetDeviceCapability)               \
  X(aclrtGetSocName)                      \
  X(aclrtGetDeviceCount)                  \
  X(aclrtSetDevice)                       \
  X(aclrtGetDevice)                       \
  X(aclrtMalloc)                          \
  X(aclrtFree)                            \
  X(aclrtMallocHost)                      \
  X(aclrtFreeHost)                        \
  X(aclrtMemcpy)                          \
  X(aclrtMemcpyAsync)                     \
  X(aclrtMemset)                          \
  X(aclrtCreateStream)                    \
  X(aclrtDestroyStream)                   \
  X(aclrtSynchronizeStream)               \
  X(aclrtStreamWaitEvent)                 \
  X(aclrtCreateEventExWithFlag)           \
  X(aclrtDestroyEvent)                    \
  X(aclrtRecordEvent)                     \
  X(aclrtQueryEventStatus)                \
  X(aclrtSynchronizeEvent)                \
  X(aclrtBinaryLoadFromData)              \
  X(aclrtBinaryGetFunction)               \
  X(aclrtLaunchKernelWithHostArgs)

struct AclApi {
#define ASCEND_ATTENTION_ACL_MEMBER(name) decltype(&::name) name = nullptr;
  ASCEND_ATTENTION_ACL_FUNCTIONS(ASCEND_ATTENTION_ACL_MEMBER)
#undef ASCEND_ATTENTION_ACL_MEMBER

  // One of the two exists: the address that cross-core signals go through.
  decltype(&::aclrtGetHardwareSyncAddr) aclrtGetHardwareSyncAddr = nullptr;
  decltype(&::rtGetC2cCtrlAddr) rtGetC2cCtrlAddr = nullptr;

  // Whether a stream captures a graph. Null: this runtime has no graphs.
  decltype(&::aclmdlRICaptureGetInfo) aclmdlRICaptureGetInfo = nullptr;

  // Only the virtual NPU has these: names of tensors for its checkers.
  decltype(&::vnpuAclChecksEnabled) vnpuAclChecksEnabled = nullptr;
  decltype(&::vnpuAclNameRegion) vnpuAclNameRegion = nullptr;
  decltype(&::vnpuAclMarkUndefined) vnpuAclMarkUndefined = nullptr;

  std::string library;  // path of the file
  std::string version;  // "CANN 8.5.0", "virtual NPU, ABI 1"
  bool is_virtual = false;

  // OK, or the failure of the call that the joined `call` describes:
  //   acl.Check(acl.aclrtMalloc(&p, n, policy), "aclrtMalloc(", n, ")")
  template <typename... Parts>
  Status Check(int error, const Parts&... call) const {
    if (error == ACL_SUCCESS) return OkStatus();
    return Failure(error, status_internal::Make(StatusCode::kInternal, call...).message());
  }

  // "aclrtMalloc(4096) failed: 207001 (out of memory): <recent error text>"
  Status Failure(int error, const std::string& call) const;
};

// Finds and resolves the runtime, once per library; later calls share it.
// `requested` is a path or name for dlopen, "vnpu" for the virtual NPU that
// ships with this library, or empty:
//   1. ASCEND_ATTENTION_ACL_LIBRARY, read like `requested`
//   2. a libascendcl.so that this process has loaded already
//   3. a real CANN: the loader's search path, then $ASCEND_HOME_PATH/lib64
//   4. the virtual NPU: ASCEND_ATTENTION_VNPU_LIBRARY, else beside this library
StatusOr<std::shared_ptr<const AclApi>> LoadAclApi(const std::string& requested);

// Fills the table from `find` (dlsym of one library); FailedPrecondition names
// the first symbol that is missing, the library and its version.
using SymbolFinder = std::function<void*(const char* name)>;
StatusOr<AclApi> ResolveAclApi(const SymbolFinder& find, const std::string& library);

// "out of memory" for 207001; "unknown error" for codes without a row.
const char* AclErrorName(int error);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_ACL_API_H_
