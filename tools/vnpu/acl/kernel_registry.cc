// SPDX-License-Identifier: Apache-2.0
// Kernels by host symbol: the older way to register and launch, which libraries
// with compiler-made host stubs use.
#include <map>
#include <mutex>
#include <string>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/launch.h"
#include "tools/vnpu/acl/runtime.h"
#include "tools/vnpu/core/kernel_module.h"

namespace vnpu_acl {
namespace {

struct Registration {
  void* binary;
  aclrtFuncHandle function;
};

struct Registry {
  std::mutex mutex;
  std::map<const void*, Registration> by_symbol;
};

Registry& TheRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

Result RegisterBinary(Runtime& runtime, const rtDevBinary_t* binary, void** handle) {
  if (binary == nullptr) return NullPointer("bin");
  if (handle == nullptr) return NullPointer("hdl");
  aclrtBinaryLoadOption magic{ACL_RT_BINARY_LOAD_OPT_MAGIC, {binary->magic}};
  const aclrtBinaryLoadOptions options{&magic, 1};
  return LoadData(runtime, binary->data, binary->length, &options, handle);
}

Result UnregisterBinary(Runtime& runtime, void* handle) {
  const Result result = Unload(runtime, handle);
  if (!result.ok()) return result;
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  for (auto it = registry.by_symbol.begin(); it != registry.by_symbol.end();) {
    it = it->second.binary == handle ? registry.by_symbol.erase(it) : std::next(it);
  }
  return {};
}

Result RegisterFunction(Runtime& runtime, void* binary, const void* symbol, const char* name) {
  if (symbol == nullptr) return NullPointer("stubFunc");
  Registration registration{binary, nullptr};
  const Result result = FindFunction(runtime, binary, name, &registration.function);
  if (!result.ok()) return result;
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  if (!registry.by_symbol.emplace(symbol, registration).second) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "stubFunc = ", symbol, " (stubName '", name,
                 "') is registered already");
  }
  return {};
}

Result LaunchBySymbol(Runtime& runtime, const void* symbol, LaunchRequest request) {
  Registry& registry = TheRegistry();
  {
    std::lock_guard lock(registry.mutex);
    const auto found = registry.by_symbol.find(symbol);
    if (found == registry.by_symbol.end()) {
      return Error(ACL_ERROR_RT_KERNEL_LOOKUP, "stubFunc = ", symbol,
                   " is not registered: call rtFunctionRegister first");
    }
    request.function = found->second.function;
  }
  return LaunchKernel(runtime, request);
}

// The addresses are those of the host code that stands for the device's.
Result FunctionAddress(Runtime& runtime, aclrtFuncHandle handle, void** aic, void** aiv) {
  if (aic == nullptr) return NullPointer("aicAddr");
  if (aiv == nullptr) return NullPointer("aivAddr");
  const std::shared_ptr<Function> function = runtime.functions.Find(handle);
  if (function == nullptr) return runtime.functions.NotFound("funcHandle", handle);
  *aic = reinterpret_cast<void*>(function->kernel->aic);
  *aiv = reinterpret_cast<void*>(function->kernel->aiv);
  return {};
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtGetFunctionAddr(aclrtFuncHandle funcHandle, void** aicAddr, void** aivAddr) {
  return Call("aclrtGetFunctionAddr", [=](Runtime& runtime) {
    return vnpu_acl::FunctionAddress(runtime, funcHandle, aicAddr, aivAddr);
  });
}

int32_t rtDevBinaryRegister(const rtDevBinary_t* bin, void** hdl) {
  return Call("rtDevBinaryRegister",
              [=](Runtime& runtime) { return vnpu_acl::RegisterBinary(runtime, bin, hdl); });
}

int32_t rtDevBinaryUnRegister(void* hdl) {
  return Call("rtDevBinaryUnRegister",
              [=](Runtime& runtime) { return vnpu_acl::UnregisterBinary(runtime, hdl); });
}

// kernelInfoExt repeats the name for the device's loader, and funcMode is its.
int32_t rtFunctionRegister(void* binHandle, const void* stubFunc, const char* stubName,
                           const void* /*kernelInfoExt*/, uint32_t /*funcMode*/) {
  return Call("rtFunctionRegister", [=](Runtime& runtime) {
    return vnpu_acl::RegisterFunction(runtime, binHandle, stubFunc, stubName);
  });
}

int32_t rtKernelLaunch(const void* stubFunc, uint32_t blockDim, void* args, uint32_t argsSize,
                       void* smDesc, aclrtStream stm) {
  return Call("rtKernelLaunch", [=](Runtime& runtime) -> Result {
    if (smDesc != nullptr) {
      return vnpu_acl::Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                             "smDesc: hints about on-chip buffers are not supported, expected "
                             "a null pointer");
    }
    return vnpu_acl::LaunchBySymbol(runtime, stubFunc,
                                    {nullptr, blockDim, stm, nullptr, args, argsSize, nullptr, 0});
  });
}

}  // extern "C"
