// SPDX-License-Identifier: Apache-2.0
// Process, device and context calls of the C interface.
#include <unistd.h>

#include <cstring>

#include "tools/vnpu/acl/acl_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

// The CANN version whose behaviour this library follows. Frameworks gate
// features on it.
constexpr char kVersion[] = "8.5.0";
constexpr char kMajor[] = "8";
constexpr char kMinor[] = "5";
constexpr char kRelease[] = "0";

constexpr uint32_t kVectorCoresPerCore = 2;
constexpr int64_t kUnifiedBufferBytes = 192 * 1024;  // per vector core of an A2

// Packages whose version applications ask for by name.
constexpr const char* kPackages[] = {
    "CANN",     "runtime", "compiler",        "hccl",   "toolkit",   "opp", "opp_kernel", "driver",
    "ops_math", "ops_nn",  "ops_transformer", "ops_cv", "ops_legacy"};

Result Initialize(Runtime& runtime, const char* config_path) {
  // The keys of the file (dump, profiling) concern services that do not exist
  // here; that it can be read is all that matters.
  if (config_path != nullptr && access(config_path, R_OK) != 0) {
    return Error(ACL_ERROR_INVALID_FILE, "configPath = '", config_path, "' cannot be read");
  }
  return runtime.Initialize();
}

Result DeviceCapability(Runtime& runtime, uint32_t id, aclDeviceInfo info, int64_t* value) {
  if (value == nullptr) return NullPointer("value");
  DeviceState* device = nullptr;
  const Result result = runtime.FindDevice(id, &device);
  if (!result.ok()) return result;
  const vnpu::DeviceConfig& config = device->npu.config();
  switch (info) {
    case ACL_DEVICE_INFO_AI_CORE_NUM:
      *value = config.num_cores;
      return {};
    case ACL_DEVICE_INFO_VECTOR_CORE_NUM:
      *value = config.num_cores * kVectorCoresPerCore;
      return {};
    case ACL_DEVICE_INFO_L2_SIZE:
      *value = static_cast<int64_t>(config.l2_bytes);
      return {};
    default:
      return Error(ACL_ERROR_INVALID_PARAM, "deviceInfo = ", int{info},
                   ": expected 0 (AI cores), 1 (vector cores) or 2 (L2 bytes)");
  }
}

Result DeviceInfo(Runtime& runtime, uint32_t id, aclrtDevAttr attr, int64_t* value) {
  switch (attr) {
    case ACL_DEV_ATTR_AICORE_CORE_NUM:
    case ACL_DEV_ATTR_CUBE_CORE_NUM:
      return DeviceCapability(runtime, id, ACL_DEVICE_INFO_AI_CORE_NUM, value);
    case ACL_DEV_ATTR_VECTOR_CORE_NUM:
      return DeviceCapability(runtime, id, ACL_DEVICE_INFO_VECTOR_CORE_NUM, value);
    case ACL_DEV_ATTR_L2_CACHE_SIZE:
      return DeviceCapability(runtime, id, ACL_DEVICE_INFO_L2_SIZE, value);
    default:
      break;
  }
  if (value == nullptr) return NullPointer("value");
  DeviceState* device = nullptr;
  const Result result = runtime.FindDevice(id, &device);
  if (!result.ok()) return result;
  if (attr == ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE) {
    *value = kUnifiedBufferBytes;
    return {};
  }
  if (attr == ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE) {
    *value = static_cast<int64_t>(device->npu.config().hbm_bytes);
    return {};
  }
  return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "attr = ", int{attr},
               ": only 101, 102, 201, 204, 301 and 302 are known to the virtual NPU");
}

Result PackageVersion(aclCANNPackageName name, aclCANNPackageVersion* version) {
  if (version == nullptr) return NullPointer("version");
  if (name < ACL_PKG_NAME_CANN || name > ACL_PKG_NAME_DRIVER) {
    return Error(ACL_ERROR_INVALID_PARAM, "name = ", int{name}, ": expected 0 to 7");
  }
  *version = {};
  std::memcpy(version->version, kVersion, sizeof(kVersion));
  std::memcpy(version->majorVersion, kMajor, sizeof(kMajor));
  std::memcpy(version->minorVersion, kMinor, sizeof(kMinor));
  std::memcpy(version->releaseVersion, kRelease, sizeof(kRelease));
  return {};
}

Result PackageVersionText(const char* package, char* text) {
  if (package == nullptr) return NullPointer("pkgName");
  if (text == nullptr) return NullPointer("versionStr");
  for (const char* known : kPackages) {
    if (std::strcmp(known, package) == 0) {
      std::memcpy(text, kVersion, sizeof(kVersion));
      return {};
    }
  }
  return Error(ACL_ERROR_INVALID_FILE, "pkgName = '", package, "' is not a package of CANN ",
               kVersion, " that the virtual NPU stands for");
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::DeviceState;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

int vnpu_abi_version() { return 1; }

aclError aclInit(const char* configPath) {
  return Call("aclInit",
              [=](Runtime& runtime) { return vnpu_acl::Initialize(runtime, configPath); });
}

aclError aclFinalize() {
  return Call("aclFinalize", [](Runtime& runtime) { return runtime.Finalize(); });
}

aclError aclsysGetCANNVersion(aclCANNPackageName name, aclCANNPackageVersion* version) {
  return Call("aclsysGetCANNVersion",
              [=](Runtime&) { return vnpu_acl::PackageVersion(name, version); });
}

aclError aclsysGetVersionStr(char* pkgName, char* versionStr) {
  return Call("aclsysGetVersionStr",
              [=](Runtime&) { return vnpu_acl::PackageVersionText(pkgName, versionStr); });
}

// Null if the configuration cannot be used; the text says why.
const char* aclrtGetSocName() {
  const char* name = nullptr;
  Call("aclrtGetSocName", [&](Runtime& runtime) -> Result {
    name = runtime.device_config().soc_name.c_str();
    return {};
  });
  return name;
}

aclError aclrtGetDeviceCount(uint32_t* count) {
  return Call("aclrtGetDeviceCount", [=](Runtime& runtime) -> Result {
    if (count == nullptr) return vnpu_acl::NullPointer("count");
    *count = runtime.num_devices();
    return {};
  });
}

aclError aclGetDeviceCapability(uint32_t deviceId, aclDeviceInfo deviceInfo, int64_t* value) {
  return Call("aclGetDeviceCapability", [=](Runtime& runtime) {
    return vnpu_acl::DeviceCapability(runtime, deviceId, deviceInfo, value);
  });
}

aclError aclrtGetDeviceInfo(uint32_t deviceId, aclrtDevAttr attr, int64_t* value) {
  return Call("aclrtGetDeviceInfo", [=](Runtime& runtime) {
    return vnpu_acl::DeviceInfo(runtime, deviceId, attr, value);
  });
}

aclError aclrtSetDevice(int32_t deviceId) {
  return Call("aclrtSetDevice", [=](Runtime& runtime) { return runtime.SetDevice(deviceId); });
}

aclError aclrtResetDevice(int32_t deviceId) {
  return Call("aclrtResetDevice", [=](Runtime& runtime) { return runtime.ResetDevice(deviceId); });
}

aclError aclrtGetDevice(int32_t* deviceId) {
  return Call("aclrtGetDevice", [=](Runtime& runtime) -> Result {
    if (deviceId == nullptr) return vnpu_acl::NullPointer("deviceId");
    DeviceState* device = nullptr;
    const Result result = runtime.CurrentDevice(&device);
    if (result.ok()) *deviceId = device->id;
    return result;
  });
}

aclError aclrtSetCurrentContext(aclrtContext context) {
  return Call("aclrtSetCurrentContext",
              [=](Runtime& runtime) { return runtime.SetContext(context); });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return Call("aclrtGetCurrentContext",
              [=](Runtime& runtime) { return runtime.GetContext(context); });
}

}  // extern "C"
