// SPDX-License-Identifier: Apache-2.0
// Settings of streams, devices and the process: what has a meaning here takes
// effect, what concerns a service that is off is kept and given back, and what
// would need hardware that is not modelled is refused.
#include <map>
#include <mutex>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/acl_graph_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

constexpr aclError kSysParamNotSet = 107021;  // ACL_ERROR_RT_SYSPARAMOPT_NOT_SET
constexpr uint32_t kVectorCoresPerCore = 2;
constexpr uint32_t kLowestPriority = 7;

Result SetFailureMode(Stream& stream, uint64_t mode) {
  if (mode > ACL_STOP_ON_FAILURE) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "mode = ", mode,
                 ": expected 0 (ACL_CONTINUE_ON_FAILURE) or 1 (ACL_STOP_ON_FAILURE)");
  }
  stream.settings.stop_on_failure = mode == ACL_STOP_ON_FAILURE;
  return {};
}

Result SetAttribute(Stream& stream, aclrtStreamAttr attribute, const aclrtStreamAttrValue& value) {
  StreamSettings& settings = stream.settings;
  switch (attribute) {
    case ACL_STREAM_ATTR_FAILURE_MODE:
      return SetFailureMode(stream, value.failureMode);
    case ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK:
      if (value.overflowSwitch == 0) return {};
      return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                   "value->overflowSwitch = ", value.overflowSwitch,
                   ": the virtual NPU does not report overflow, expected 0 (off)");
    case ACL_STREAM_ATTR_USER_CUSTOM_TAG:
      settings.custom_tag = value.userCustomTag;
      return {};
    case ACL_STREAM_ATTR_CACHE_OP_INFO:  // for a profiler of replayed graphs
      settings.cache_op_info = value.cacheOpInfoSwitch;
      return {};
    case ACL_STREAM_ATTR_PRIORITY:
      if (value.streamPriority > kLowestPriority) {
        return Error(ACL_ERROR_RT_PARAM_INVALID, "value->streamPriority = ", value.streamPriority,
                     ": expected 0 to ", kLowestPriority);
      }
      settings.priority = value.streamPriority;
      return {};
  }
  return Error(ACL_ERROR_RT_PARAM_INVALID, "stmAttrType = ", int{attribute}, ": expected 1 to 5");
}

Result GetAttribute(const Stream& stream, aclrtStreamAttr attribute, aclrtStreamAttrValue* value) {
  const StreamSettings& settings = stream.settings;
  *value = {};
  switch (attribute) {
    case ACL_STREAM_ATTR_FAILURE_MODE:
      value->failureMode = settings.stop_on_failure ? ACL_STOP_ON_FAILURE : ACL_CONTINUE_ON_FAILURE;
      return {};
    case ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK:
      value->overflowSwitch = 0;
      return {};
    case ACL_STREAM_ATTR_USER_CUSTOM_TAG:
      value->userCustomTag = settings.custom_tag;
      return {};
    case ACL_STREAM_ATTR_CACHE_OP_INFO:
      value->cacheOpInfoSwitch = settings.cache_op_info;
      return {};
    case ACL_STREAM_ATTR_PRIORITY:
      value->streamPriority = settings.priority;
      return {};
  }
  return Error(ACL_ERROR_RT_PARAM_INVALID, "stmAttrType = ", int{attribute}, ": expected 1 to 5");
}

Result ResourceLimit(const DeviceState& device, aclrtDevResLimitType type, uint32_t* value) {
  if (value == nullptr) return NullPointer("value");
  const uint32_t cores = device.npu.config().num_cores;
  switch (type) {
    case ACL_RT_DEV_RES_CUBE_CORE:
      *value = cores;
      return {};
    case ACL_RT_DEV_RES_VECTOR_CORE:
      *value = cores * kVectorCoresPerCore;
      return {};
  }
  return Error(ACL_ERROR_RT_PARAM_INVALID, "type = ", int{type},
               ": expected 0 (cube cores) or 1 (vector cores)");
}

// A2 cores compute with infinities and NaNs; the other way is a register that
// kernels of this machine do not have.
Result CheckSaturation(aclrtFloatOverflowMode mode) {
  if (mode == ACL_RT_OVERFLOW_MODE_INFNAN) return {};
  return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "mode = ", int{mode},
               ": the virtual NPU has infinities and NaNs, expected 1 "
               "(ACL_RT_OVERFLOW_MODE_INFNAN)");
}

struct SystemOptions {
  std::mutex mutex;
  std::map<int, int64_t> values;
};

SystemOptions& ProcessOptions() {
  static SystemOptions* options = new SystemOptions;
  return *options;
}

SystemOptions& ContextOptions() {
  static SystemOptions* options = new SystemOptions;
  return *options;
}

Result CheckSystemOption(aclSysParamOpt option) {
  if (option >= ACL_OPT_DETERMINISTIC && option <= ACL_OPT_STRONG_CONSISTENCY) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID, "opt = ", int{option}, ": expected 0 to 2");
}

// Kernels of this machine are deterministic anyway, whatever the value.
Result SetSystemOption(SystemOptions& options, int key, aclSysParamOpt option, int64_t value) {
  const Result result = CheckSystemOption(option);
  if (!result.ok()) return result;
  if (value != 0 && value != 1) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "value = ", value, ": expected 0 or 1");
  }
  std::lock_guard lock(options.mutex);
  options.values[key] = value;
  return {};
}

// An option of the process is off until it is set, one of a context unknown.
Result GetSystemOption(SystemOptions& options, int key, aclSysParamOpt option, int64_t* value) {
  const Result result = CheckSystemOption(option);
  if (!result.ok()) return result;
  if (value == nullptr) return NullPointer("value");
  std::lock_guard lock(options.mutex);
  const auto found = options.values.find(key);
  if (found == options.values.end() && &options == &ContextOptions()) {
    return Error(kSysParamNotSet, "opt = ", int{option}, " was never set for this context");
  }
  *value = found == options.values.end() ? 0 : found->second;
  return {};
}

// Options of a context are those of its device.
Result ContextKey(Runtime& runtime, aclSysParamOpt option, int* key) {
  DeviceState* device = nullptr;
  const Result result = runtime.CurrentDevice(&device);
  if (result.ok()) *key = device->id * 16 + int{option};
  return result;
}

Result PrimaryContext(Runtime& runtime, int32_t id, const uint32_t* flags, int32_t* active) {
  if (active == nullptr) return NullPointer("active");
  if (flags != nullptr) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "flags is reserved: expected a null pointer");
  }
  DeviceState* device = nullptr;
  const Result result = runtime.FindDevice(id, &device);
  if (!result.ok()) return result;
  std::lock_guard lock(device->mutex);
  *active = device->context != nullptr ? 1 : 0;
  return {};
}

// Calls fn(stream) if there is such a stream on the current device.
template <typename Fn>
aclError WithStream(const char* name, aclrtStream handle, const Fn& fn) {
  return Call(name, [&](Runtime& runtime) {
    std::shared_ptr<Stream> stream;
    const Result result = runtime.FindStream(handle, &stream);
    return result.ok() ? fn(runtime, *stream) : result;
  });
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::DeviceState;
using vnpu_acl::NullPointer;
using vnpu_acl::Result;
using vnpu_acl::Runtime;
using vnpu_acl::Stream;
using vnpu_acl::WithStream;

extern "C" {

aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode) {
  return WithStream("aclrtSetStreamFailureMode", stream,
                    [=](Runtime&, Stream& found) { return vnpu_acl::SetFailureMode(found, mode); });
}

aclError aclrtSetStreamAttribute(aclrtStream stream, aclrtStreamAttr stmAttrType,
                                 aclrtStreamAttrValue* value) {
  return WithStream("aclrtSetStreamAttribute", stream, [=](Runtime&, Stream& found) {
    return value != nullptr ? vnpu_acl::SetAttribute(found, stmAttrType, *value)
                            : NullPointer("value");
  });
}

aclError aclrtGetStreamAttribute(aclrtStream stream, aclrtStreamAttr stmAttrType,
                                 aclrtStreamAttrValue* value) {
  return WithStream("aclrtGetStreamAttribute", stream, [=](Runtime&, Stream& found) {
    return value != nullptr ? vnpu_acl::GetAttribute(found, stmAttrType, value)
                            : NullPointer("value");
  });
}

aclError aclrtStreamGetId(aclrtStream stream, int32_t* streamId) {
  return WithStream("aclrtStreamGetId", stream, [=](Runtime&, Stream& found) -> Result {
    if (streamId == nullptr) return NullPointer("streamId");
    *streamId = found.id();
    return {};
  });
}

aclError aclrtSetDeviceSatMode(aclrtFloatOverflowMode mode) {
  return Call("aclrtSetDeviceSatMode", [=](Runtime& runtime) {
    DeviceState* device = nullptr;
    const Result result = runtime.CurrentDevice(&device);
    return result.ok() ? vnpu_acl::CheckSaturation(mode) : result;
  });
}

aclError aclrtGetDeviceSatMode(aclrtFloatOverflowMode* mode) {
  return Call("aclrtGetDeviceSatMode", [=](Runtime& runtime) {
    if (mode == nullptr) return NullPointer("mode");
    DeviceState* device = nullptr;
    const Result result = runtime.CurrentDevice(&device);
    if (result.ok()) *mode = ACL_RT_OVERFLOW_MODE_INFNAN;
    return result;
  });
}

// Limits of device time. A kernel that cannot go on is ended at once, with a
// deadlock report, so that any limit is kept.
aclError aclrtSetOpExecuteTimeOut(uint32_t /*timeout*/) {
  return Call("aclrtSetOpExecuteTimeOut", [](Runtime&) { return Result{}; });
}

aclError aclrtSetOpExecuteTimeOutWithMs(uint32_t /*timeout*/) {
  return Call("aclrtSetOpExecuteTimeOutWithMs", [](Runtime&) { return Result{}; });
}

aclError aclrtSetOpExecuteTimeOutV2(uint64_t timeout, uint64_t* actualTimeout) {
  return Call("aclrtSetOpExecuteTimeOutV2", [=](Runtime&) -> Result {
    if (actualTimeout == nullptr) return NullPointer("actualTimeout");
    *actualTimeout = timeout;
    return {};
  });
}

aclError aclrtGetPrimaryCtxState(int32_t deviceId, uint32_t* flags, int32_t* active) {
  return Call("aclrtGetPrimaryCtxState", [=](Runtime& runtime) {
    return vnpu_acl::PrimaryContext(runtime, deviceId, flags, active);
  });
}

// There is no list of visible devices that would number them anew.
aclError aclrtGetLogicDevIdByUserDevId(const int32_t userDevid, int32_t* const logicDevId) {
  return Call("aclrtGetLogicDevIdByUserDevId", [=](Runtime& runtime) {
    if (logicDevId == nullptr) return NullPointer("logicDevId");
    DeviceState* device = nullptr;
    const Result result = runtime.FindDevice(userDevid, &device);
    if (result.ok()) *logicDevId = userDevid;
    return result;
  });
}

aclError aclrtGetDeviceResLimit(int32_t deviceId, aclrtDevResLimitType type, uint32_t* value) {
  return Call("aclrtGetDeviceResLimit", [=](Runtime& runtime) {
    DeviceState* device = nullptr;
    const Result result = runtime.FindDevice(deviceId, &device);
    return result.ok() ? vnpu_acl::ResourceLimit(*device, type, value) : result;
  });
}

aclError aclrtGetStreamResLimit(aclrtStream stream, aclrtDevResLimitType type, uint32_t* value) {
  return WithStream("aclrtGetStreamResLimit", stream, [=](Runtime& runtime, Stream& found) {
    return vnpu_acl::ResourceLimit(runtime.device(found.device_id()), type, value);
  });
}

aclError aclrtGetResInCurrentThread(aclrtDevResLimitType type, uint32_t* value) {
  return Call("aclrtGetResInCurrentThread", [=](Runtime& runtime) {
    DeviceState* device = nullptr;
    const Result result = runtime.CurrentDevice(&device);
    return result.ok() ? vnpu_acl::ResourceLimit(*device, type, value) : result;
  });
}

aclError aclrtSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  return Call("aclrtSetSysParamOpt", [=](Runtime&) {
    return vnpu_acl::SetSystemOption(vnpu_acl::ProcessOptions(), opt, opt, value);
  });
}

aclError aclrtGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  return Call("aclrtGetSysParamOpt", [=](Runtime&) {
    return vnpu_acl::GetSystemOption(vnpu_acl::ProcessOptions(), opt, opt, value);
  });
}

aclError aclrtCtxSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  return Call("aclrtCtxSetSysParamOpt", [=](Runtime& runtime) {
    int key = 0;
    const Result result = vnpu_acl::ContextKey(runtime, opt, &key);
    return result.ok() ? vnpu_acl::SetSystemOption(vnpu_acl::ContextOptions(), key, opt, value)
                       : result;
  });
}

aclError aclrtCtxGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  return Call("aclrtCtxGetSysParamOpt", [=](Runtime& runtime) {
    int key = 0;
    const Result result = vnpu_acl::ContextKey(runtime, opt, &key);
    return result.ok() ? vnpu_acl::GetSystemOption(vnpu_acl::ContextOptions(), key, opt, value)
                       : result;
  });
}

}  // extern "C"
