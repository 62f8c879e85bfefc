// SPDX-License-Identifier: Apache-2.0
// Access between devices, and memory of the host that devices may use.
#include <unistd.h>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

constexpr aclError kAlreadyRegistered = 507910;  // ACL_ERROR_HOST_MEMORY_ALREADY_REGISTERED
constexpr aclError kNotRegistered = 507911;      // ACL_ERROR_HOST_MEMORY_NOT_REGISTERED

Result CanAccessPeer(Runtime& runtime, int32_t* can, int32_t id, int32_t peer_id) {
  if (can == nullptr) return NullPointer("canAccessPeer");
  DeviceState* device = nullptr;
  Result result = runtime.FindDevice(id, &device);
  if (result.ok()) result = runtime.FindDevice(peer_id, &device);
  if (result.ok()) *can = id != peer_id ? 1 : 0;
  return result;
}

// From then on copies between the two devices work.
Result ChangePeer(Runtime& runtime, int32_t peer_id, uint32_t flags, bool enable) {
  if (flags != 0) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "flags = ", flags, " is reserved: expected 0");
  }
  DeviceState* device = nullptr;
  DeviceState* peer = nullptr;
  Result result = runtime.CurrentDevice(&device);
  if (result.ok()) result = runtime.FindDevice(peer_id, &peer);
  if (!result.ok()) return result;
  if (peer == device) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "peerDeviceId = ", peer_id,
                 " is this thread's own device");
  }
  std::lock_guard lock(device->mutex);
  if (enable) {
    device->peers.insert(peer_id);
  } else if (device->peers.erase(peer_id) == 0) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "peerDeviceId = ", peer_id, ": access from device ",
                 device->id, " was not enabled");
  }
  return {};
}

Result Register(Runtime& runtime, void* address, uint64_t bytes) {
  if (address == nullptr) return NullPointer("ptr");
  if (bytes == 0) return Error(ACL_ERROR_RT_PARAM_INVALID, "size = 0: expected at least 1 byte");
  if (runtime.OwnerOf(address, 1) != nullptr) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "ptr = ", address,
                 " is device memory: expected host memory");
  }
  if (runtime.host_blocks.Register(address, bytes)) return {};
  return Error(kAlreadyRegistered, "ptr = ", address, ", size = ", bytes,
               ": a part of it is registered or from aclrtMallocHost already");
}

Result RegisterMapped(Runtime& runtime, void* address, uint64_t bytes, aclrtHostRegisterType type,
                      void** device_address) {
  if (device_address == nullptr) return NullPointer("devPtr");
  if (type != ACL_HOST_REGISTER_MAPPED) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "type = ", int{type},
                 ": expected 0 (ACL_HOST_REGISTER_MAPPED)");
  }
  const Result result = Register(runtime, address, bytes);
  // Copies may use it; a kernel that does is caught, as it is no global memory.
  if (result.ok()) *device_address = address;
  return result;
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtDeviceCanAccessPeer(int32_t* canAccessPeer, int32_t deviceId, int32_t peerDeviceId) {
  return Call("aclrtDeviceCanAccessPeer", [=](Runtime& runtime) {
    return vnpu_acl::CanAccessPeer(runtime, canAccessPeer, deviceId, peerDeviceId);
  });
}

aclError aclrtDeviceEnablePeerAccess(int32_t peerDeviceId, uint32_t flags) {
  return Call("aclrtDeviceEnablePeerAccess", [=](Runtime& runtime) {
    return vnpu_acl::ChangePeer(runtime, peerDeviceId, flags, true);
  });
}

aclError aclrtDeviceDisablePeerAccess(int32_t peerDeviceId) {
  return Call("aclrtDeviceDisablePeerAccess", [=](Runtime& runtime) {
    return vnpu_acl::ChangePeer(runtime, peerDeviceId, 0, false);
  });
}

aclError aclrtDeviceGetBareTgid(int32_t* pid) {
  return Call("aclrtDeviceGetBareTgid", [=](Runtime&) -> Result {
    if (pid == nullptr) return vnpu_acl::NullPointer("pid");
    *pid = getpid();
    return {};
  });
}

aclError aclrtHostRegister(void* ptr, uint64_t size, aclrtHostRegisterType type, void** devPtr) {
  return Call("aclrtHostRegister", [=](Runtime& runtime) {
    return vnpu_acl::RegisterMapped(runtime, ptr, size, type, devPtr);
  });
}

aclError aclrtHostRegisterV2(void* ptr, uint64_t size, uint32_t flag) {
  return Call("aclrtHostRegisterV2", [=](Runtime& runtime) -> Result {
    if ((flag & ~(ACL_HOST_REG_MAPPED | ACL_HOST_REG_PINNED)) != 0) {
      return vnpu_acl::Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "flag = ", flag,
                             ": only ACL_HOST_REG_MAPPED (2) and ACL_HOST_REG_PINNED "
                             "(0x10000000) are supported");
    }
    return vnpu_acl::Register(runtime, ptr, size);
  });
}

aclError aclrtHostUnregister(void* ptr) {
  return Call("aclrtHostUnregister", [=](Runtime& runtime) -> Result {
    if (ptr == nullptr) return vnpu_acl::NullPointer("ptr");
    if (runtime.host_blocks.Unregister(ptr)) return {};
    return vnpu_acl::Error(vnpu_acl::kNotRegistered, "ptr = ", ptr,
                           " is not the start of memory that aclrtHostRegister registered");
  });
}

}  // extern "C"
