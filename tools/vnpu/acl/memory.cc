// SPDX-License-Identifier: Apache-2.0
// The memory calls of the C interface.
//
// Every device address is checked against the live allocations before it is
// touched, and again when an asynchronous copy runs: memory that was freed in
// between ends in an error of the stream, not in a crash.
#include <unistd.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "tools/vnpu/acl/acl_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

// aclrtMalloc rounds up to 32 bytes and appends 32 more, so that vector
// instructions may run over the end; aclrtMallocAlign32 only rounds (CANN
// docs). Kernels are held to exactly that; stores behind `size` are for the
// memory checker to find.
constexpr size_t kGranuleBytes = 32;
constexpr size_t kPaddingBytes = 32;

Result Allocate(Runtime& runtime, void** address, size_t size, size_t padding) {
  if (address == nullptr) return NullPointer("devPtr");
  if (size == 0) return Error(ACL_ERROR_INVALID_PARAM, "size = 0: expected at least 1 byte");
  DeviceState* device = nullptr;
  const Result result = runtime.CurrentDevice(&device);
  if (!result.ok()) return result;
  void* found = nullptr;
  if (size <= device->npu.config().hbm_bytes) {
    const size_t rounded = (size + kGranuleBytes - 1) / kGranuleBytes * kGranuleBytes;
    found = device->npu.Allocate(size, rounded - size + padding);
  }
  if (found == nullptr) {
    return Error(ACL_ERROR_RT_MEMORY_ALLOCATION, "out of device memory: size = ", size,
                 " bytes, but device ", device->id, " has ", device->npu.free_bytes(), " of ",
                 device->npu.config().hbm_bytes, " bytes free");
  }
  *address = found;
  return {};
}

Result Free(Runtime& runtime, void* address) {
  if (address == nullptr) return NullPointer("devPtr");
  if (DeviceState* device = runtime.OwnerOf(address, 1)) {
    std::scoped_lock lock(device->launch_mutex, device->memory_mutex);
    if (device->npu.Free(address)) return {};
  }
  return Error(ACL_ERROR_RT_PARAM_INVALID, "devPtr = ", address,
               " is not the start of a live device allocation (freed before, or not from "
               "aclrtMalloc)");
}

// One side of a copy; `device` is null for host memory.
struct Operand {
  const char* name;
  const void* address;
  DeviceState* device = nullptr;
};

enum class Side { kHost, kDevice, kEither };

Result Resolve(Runtime& runtime, Side side, aclrtMemcpyKind kind, size_t count, Operand* operand) {
  if (operand->address == nullptr) return NullPointer(operand->name);
  operand->device = runtime.OwnerOf(operand->address, count);
  if (side == Side::kDevice && operand->device == nullptr) {
    return Error(
        ACL_ERROR_RT_PARAM_INVALID, operand->name, " = ", operand->address, ": the ", count,
        " bytes from there do not lie in one live device allocation (kind = ", int{kind}, ")");
  }
  if (side == Side::kDevice) return {};
  // The range may begin in an allocation and run over its end.
  DeviceState* touched = runtime.OwnerOf(operand->address, 1);
  if (side == Side::kHost && touched != nullptr) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, operand->name, " = ", operand->address,
                 " is memory of device ", touched->id, ", but kind = ", int{kind},
                 " says host memory");
  }
  if (touched != operand->device) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, operand->name, " = ", operand->address, ": the ",
                 count, " bytes from there run over the end of a device allocation");
  }
  return {};
}

struct Copy {
  Operand dst{"dst", nullptr};
  Operand src{"src", nullptr};
  size_t count = 0;

  Result Run() const;
};

Result StillThere(const Operand& operand, size_t count) {
  if (operand.device == nullptr || operand.device->npu.Contains(operand.address, count)) return {};
  Result result = Error(ACL_ERROR_RT_SYS_DMA, "copy or fill of ", count, " bytes: ", operand.name,
                        " = ", operand.address, " on device ", operand.device->id,
                        " was freed before the stream came to it");
  result.is_report = true;
  return result;
}

std::shared_lock<std::shared_mutex> Hold(DeviceState* device) {
  return device != nullptr ? std::shared_lock(device->memory_mutex)
                           : std::shared_lock<std::shared_mutex>();
}

Result Copy::Run() const {
  const auto hold_dst = Hold(dst.device);
  const auto hold_src = Hold(src.device == dst.device ? nullptr : src.device);
  Result result = StillThere(dst, count);
  if (result.ok()) result = StillThere(src, count);
  if (!result.ok()) return result;
  std::memmove(const_cast<void*>(dst.address), src.address, count);
  if (dst.device != nullptr) dst.device->npu.SetDefined(dst.address, count, true);
  return result;
}

Result CheckBytes(const char* max_name, size_t max, size_t count) {
  if (count <= max) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID, "count = ", count, " bytes exceeds ", max_name, " = ",
               max);
}

Result Sides(aclrtMemcpyKind kind, Side* dst, Side* src) {
  switch (kind) {
    case ACL_MEMCPY_HOST_TO_HOST:
      *dst = *src = Side::kHost;
      return {};
    case ACL_MEMCPY_HOST_TO_DEVICE:
    case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE:
      *dst = Side::kDevice;
      *src = Side::kHost;
      return {};
    case ACL_MEMCPY_DEVICE_TO_HOST:
      *dst = Side::kHost;
      *src = Side::kDevice;
      return {};
    case ACL_MEMCPY_DEVICE_TO_DEVICE:
    case ACL_MEMCPY_INNER_DEVICE_TO_DEVICE:
    case ACL_MEMCPY_INTER_DEVICE_TO_DEVICE:
      *dst = *src = Side::kDevice;
      return {};
    case ACL_MEMCPY_DEFAULT:
      *dst = *src = Side::kEither;
      return {};
  }
  return Error(ACL_ERROR_INVALID_PARAM, "kind = ", int{kind}, ": expected 0 to 7");
}

bool HasPeer(DeviceState& device, const DeviceState& peer) {
  std::lock_guard lock(device.mutex);
  return device.peers.count(peer.id) != 0;
}

Result CheckPeers(DeviceState& dst, DeviceState& src) {
  if (HasPeer(dst, src) || HasPeer(src, dst)) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID, "dst is on device ", dst.id, " and src on device ",
               src.id, ": call aclrtDeviceEnablePeerAccess on one of them first");
}

Result PrepareCopy(Runtime& runtime, size_t dest_max, aclrtMemcpyKind kind, Copy* copy) {
  Side dst_side = Side::kEither;
  Side src_side = Side::kEither;
  Result result = Sides(kind, &dst_side, &src_side);
  if (result.ok()) result = CheckBytes("destMax", dest_max, copy->count);
  if (!result.ok() || copy->count == 0) return result;
  result = Resolve(runtime, dst_side, kind, copy->count, &copy->dst);
  if (result.ok()) result = Resolve(runtime, src_side, kind, copy->count, &copy->src);
  if (!result.ok()) return result;
  const bool same_device = copy->dst.device == copy->src.device;
  if ((kind == ACL_MEMCPY_INNER_DEVICE_TO_DEVICE && !same_device) ||
      (kind == ACL_MEMCPY_INTER_DEVICE_TO_DEVICE && same_device)) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "kind = ", int{kind},
                 " does not fit: dst is on device ", copy->dst.device->id, ", src on device ",
                 copy->src.device->id);
  }
  if (same_device || copy->dst.device == nullptr || copy->src.device == nullptr) return {};
  return CheckPeers(*copy->dst.device, *copy->src.device);
}

Result Memcpy(Runtime& runtime, size_t dest_max, aclrtMemcpyKind kind, Copy copy) {
  DeviceState* unused = nullptr;
  Result result = runtime.CurrentDevice(&unused);
  if (result.ok()) result = runtime.captures.RefuseUnsafe(ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT);
  if (result.ok()) result = PrepareCopy(runtime, dest_max, kind, &copy);
  if (!result.ok() || copy.count == 0) return result;
  return copy.Run();
}

bool IsPageable(Runtime& runtime, const Operand& operand, size_t count) {
  return operand.device == nullptr && !runtime.host_blocks.Contains(operand.address, count);
}

Result MemcpyAsync(Runtime& runtime, size_t dest_max, aclrtMemcpyKind kind, Copy copy,
                   aclrtStream stream_handle) {
  if (kind == ACL_MEMCPY_HOST_TO_HOST) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                 "kind = 0 (host to host) cannot be asynchronous: use aclrtMemcpy");
  }
  std::shared_ptr<Stream> stream;
  Result result = runtime.FindStream(stream_handle, &stream);
  if (result.ok()) result = PrepareCopy(runtime, dest_max, kind, &copy);
  if (!result.ok() || copy.count == 0) return result;

  if (kind == ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE) {  // the caller may reuse src at once
    const auto* bytes = static_cast<const unsigned char*>(copy.src.address);
    auto buffer = std::make_shared<std::vector<unsigned char>>(bytes, bytes + copy.count);
    const auto run = [copy, buffer]() mutable {
      copy.src.address = buffer->data();
      return copy.Run();
    };
    return runtime.captures.Enqueue(stream, {"copy", "", run});
  }
  // With memory that is not from aclrtMallocHost the call returns after the copy
  // (CANN docs, aclrtMemcpyAsync), which a captured one cannot.
  const bool waits =
      IsPageable(runtime, copy.dst, copy.count) || IsPageable(runtime, copy.src, copy.count);
  if (waits) {
    if (runtime.captures.Holds(*stream)) {
      return Error(ACL_ERROR_RT_CAPTURE_MODE_BLOCK_ASYNC,
                   "the stream captures, and a copy of host memory that is not from "
                   "aclrtMallocHost is synchronous");
    }
    result = runtime.captures.RefuseUnsafe(ACL_ERROR_RT_CAPTURE_MODE_BLOCK_ASYNC);
    if (!result.ok()) return result;
  }
  Ticket ticket = 0;
  const auto run = [copy] { return copy.Run(); };
  result = runtime.captures.Enqueue(stream, {"copy", "", run}, &ticket);
  if (result.ok() && waits) stream->Wait(ticket, -1);
  return result;
}

struct Fill {
  Operand dst{"devPtr", nullptr};
  int value = 0;
  size_t count = 0;

  Result Run() const {
    const auto hold = Hold(dst.device);
    const Result result = StillThere(dst, count);
    if (!result.ok()) return result;
    std::memset(const_cast<void*>(dst.address), value, count);
    if (dst.device != nullptr) dst.device->npu.SetDefined(dst.address, count, true);
    return result;
  }
};

Result PrepareFill(Runtime& runtime, size_t max_count, Fill* fill) {
  const Result result = CheckBytes("maxCount", max_count, fill->count);
  if (!result.ok() || fill->count == 0) return result;
  Operand& dst = fill->dst;
  if (dst.address == nullptr) return NullPointer(dst.name);
  dst.device = runtime.OwnerOf(dst.address, fill->count);
  if (dst.device == nullptr && !runtime.host_blocks.Contains(dst.address, fill->count)) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, dst.name, " = ", dst.address, ": the ", fill->count,
                 " bytes from there do not lie in one live allocation of aclrtMalloc or "
                 "aclrtMallocHost");
  }
  return {};
}

Result MemoryInfo(Runtime& runtime, aclrtMemAttr attr, size_t* free, size_t* total) {
  if (free == nullptr) return NullPointer("free");
  if (total == nullptr) return NullPointer("total");
  // Frameworks ask for the properties of a device before they set one: then it
  // is the first one, which is like all others.
  DeviceState* device = nullptr;
  if (!runtime.CurrentDevice(&device).ok()) device = &runtime.device(0);
  switch (attr) {
    case ACL_DDR_MEM:
    case ACL_DDR_MEM_HUGE:
    case ACL_DDR_MEM_NORMAL:
    case ACL_DDR_MEM_P2P_HUGE:
    case ACL_DDR_MEM_P2P_NORMAL:
      *free = *total = 0;  // an A2 has HBM only
      return {};
    default:
      break;
  }
  if (attr < ACL_DDR_MEM || attr > ACL_MEM_P2P_HUGE1G) {
    return Error(ACL_ERROR_INVALID_PARAM, "attr = ", int{attr}, ": expected 0 to 17");
  }
  *free = device->npu.free_bytes();
  *total = device->npu.config().hbm_bytes;
  return {};
}

Result PointerAttributes(Runtime& runtime, const void* address, aclrtPtrAttributes* attributes) {
  if (address == nullptr) return NullPointer("ptr");
  if (attributes == nullptr) return NullPointer("attributes");
  *attributes = {};
  attributes->pageSize = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  if (const DeviceState* device = runtime.OwnerOf(address, 1)) {
    attributes->location = {static_cast<uint32_t>(device->id), ACL_MEM_LOCATION_TYPE_DEVICE};
  } else if (runtime.host_blocks.Contains(address, 1)) {
    attributes->location = {0, ACL_MEM_LOCATION_TYPE_HOST};
  } else {
    attributes->location = {0, ACL_MEM_LOCATION_TYPE_UNREGISTERED};
  }
  return {};
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Copy;
using vnpu_acl::Fill;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

// Page-size policies have no meaning here: memory is reserved lazily.
aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy /*policy*/) {
  return Call("aclrtMalloc", [=](Runtime& runtime) {
    return vnpu_acl::Allocate(runtime, devPtr, size, vnpu_acl::kPaddingBytes);
  });
}

aclError aclrtMallocAlign32(void** devPtr, size_t size, aclrtMemMallocPolicy /*policy*/) {
  return Call("aclrtMallocAlign32",
              [=](Runtime& runtime) { return vnpu_acl::Allocate(runtime, devPtr, size, 0); });
}

aclError aclrtFree(void* devPtr) {
  return Call("aclrtFree", [=](Runtime& runtime) { return vnpu_acl::Free(runtime, devPtr); });
}

aclError aclrtMallocHost(void** hostPtr, size_t size) {
  return Call("aclrtMallocHost", [=](Runtime& runtime) -> Result {
    if (hostPtr == nullptr) return vnpu_acl::NullPointer("hostPtr");
    if (size == 0) {
      return vnpu_acl::Error(ACL_ERROR_INVALID_PARAM, "size = 0: expected at least 1 byte");
    }
    void* address = runtime.host_blocks.Allocate(size);
    if (address == nullptr) {
      return vnpu_acl::Error(ACL_ERROR_RT_MEMORY_ALLOCATION, "out of host memory: size = ", size,
                             " bytes");
    }
    *hostPtr = address;
    return {};
  });
}

aclError aclrtFreeHost(void* hostPtr) {
  return Call("aclrtFreeHost", [=](Runtime& runtime) -> Result {
    if (hostPtr == nullptr) return vnpu_acl::NullPointer("hostPtr");
    if (runtime.host_blocks.Free(hostPtr)) return {};
    return vnpu_acl::Error(ACL_ERROR_RT_PARAM_INVALID, "hostPtr = ", hostPtr,
                           " is not the start of live memory from aclrtMallocHost");
  });
}

aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count,
                     aclrtMemcpyKind kind) {
  return Call("aclrtMemcpy", [=](Runtime& runtime) {
    return vnpu_acl::Memcpy(runtime, destMax, kind, Copy{{"dst", dst}, {"src", src}, count});
  });
}

aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src, size_t count,
                          aclrtMemcpyKind kind, aclrtStream stream) {
  return Call("aclrtMemcpyAsync", [=](Runtime& runtime) {
    return vnpu_acl::MemcpyAsync(runtime, destMax, kind, Copy{{"dst", dst}, {"src", src}, count},
                                 stream);
  });
}

aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value, size_t count) {
  return Call("aclrtMemset", [=](Runtime& runtime) -> Result {
    Fill fill{{"devPtr", devPtr}, value, count};
    Result result = runtime.captures.RefuseUnsafe(ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT);
    if (result.ok()) result = vnpu_acl::PrepareFill(runtime, maxCount, &fill);
    return result.ok() && count > 0 ? fill.Run() : result;
  });
}

aclError aclrtMemsetAsync(void* devPtr, size_t maxCount, int32_t value, size_t count,
                          aclrtStream stream) {
  return Call("aclrtMemsetAsync", [=](Runtime& runtime) -> Result {
    std::shared_ptr<vnpu_acl::Stream> found;
    Fill fill{{"devPtr", devPtr}, value, count};
    Result result = runtime.FindStream(stream, &found);
    if (result.ok()) result = vnpu_acl::PrepareFill(runtime, maxCount, &fill);
    if (!result.ok() || count == 0) return result;
    const auto run = [fill] { return fill.Run(); };
    return runtime.captures.Enqueue(found, {"fill", "", run});
  });
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total) {
  return Call("aclrtGetMemInfo",
              [=](Runtime& runtime) { return vnpu_acl::MemoryInfo(runtime, attr, free, total); });
}

aclError aclrtPointerGetAttributes(const void* ptr, aclrtPtrAttributes* attributes) {
  return Call("aclrtPointerGetAttributes", [=](Runtime& runtime) {
    return vnpu_acl::PointerAttributes(runtime, ptr, attributes);
  });
}

}  // extern "C"
