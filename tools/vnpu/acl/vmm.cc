// SPDX-License-Identifier: Apache-2.0
// Virtual memory management: reserved address ranges, physical memory, mapping.
#include "tools/vnpu/acl/vmm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <shared_mutex>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {

PhysicalBlock::~PhysicalBlock() { home_->Return(offset, bytes); }

std::shared_ptr<PhysicalBlock> PhysicalMemory::Allocate(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (file_ < 0) file_ = memfd_create("vnpu_hbm", MFD_CLOEXEC);
  if (file_ < 0 || !npu_->Charge(bytes)) return nullptr;
  for (auto hole = holes_.begin(); hole != holes_.end(); ++hole) {
    if (hole->second < bytes) continue;
    const auto [offset, left] = *hole;
    holes_.erase(hole);
    if (left > bytes) holes_[offset + bytes] = left - bytes;
    return std::make_shared<PhysicalBlock>(this, device_id_, offset, bytes);
  }
  if (ftruncate(file_, static_cast<off_t>(end_ + bytes)) != 0) {
    npu_->Refund(bytes);
    return nullptr;
  }
  const uint64_t offset = end_;
  end_ += bytes;
  return std::make_shared<PhysicalBlock>(this, device_id_, offset, bytes);
}

void PhysicalMemory::Return(uint64_t offset, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  npu_->Refund(bytes);
  // The host gets its pages back, and the next owner zeros.
  fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(bytes));
  auto hole = holes_.emplace(offset, bytes).first;
  const auto after = std::next(hole);
  if (after != holes_.end() && offset + bytes == after->first) {
    hole->second += after->second;
    holes_.erase(after);
  }
  if (hole != holes_.begin()) {
    const auto before = std::prev(hole);
    if (before->first + before->second == offset) {
      before->second += hole->second;
      holes_.erase(hole);
    }
  }
}

namespace {

constexpr uint64_t kGranule = PhysicalMemory::kGranule;

Result CheckSize(const char* name, uint64_t size) {
  if (size > 0 && size % kGranule == 0) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID, name, " = ", size,
               " bytes: expected a positive multiple of ", kGranule);
}

Result CheckFlags(uint64_t flags, uint64_t allowed) {
  if ((flags & ~allowed) == 0) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID, "flags = ", flags, ": expected 0",
               allowed != 0 ? " or 1" : "");
}

Result Reserve(Runtime& runtime, void** out, size_t size, size_t alignment, void* expected,
               uint64_t flags) {
  if (out == nullptr) return NullPointer("virPtr");
  if (size == 0) return Error(ACL_ERROR_RT_PARAM_INVALID, "size = 0: expected at least 1 byte");
  Result result = CheckFlags(flags, 1);  // 1: huge pages, which make no difference
  if (!result.ok()) return result;
  if (expected != nullptr) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "expectPtr = ", expected,
                 ": expected a null pointer");
  }
  if ((alignment & (alignment - 1)) != 0 || alignment > (size_t{1} << 30)) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "alignment = ", alignment,
                 ": expected 0 or a power of two up to 1 GiB");
  }
  // The range is for memory of the thread's device; frameworks also probe before
  // they set one.
  DeviceState* device = nullptr;
  if (!runtime.CurrentDevice(&device).ok()) device = &runtime.device(0);
  void* begin = device->npu.Reserve((size + kGranule - 1) / kGranule * kGranule,
                                    std::max<uint64_t>(alignment, kGranule));
  if (begin == nullptr) {
    return Error(ACL_ERROR_RT_MEMORY_ALLOCATION, "size = ", size,
                 " bytes: no such range of addresses is free");
  }
  std::lock_guard lock(runtime.vmm_mutex);
  runtime.reservations[begin] = device->id;
  *out = begin;
  return {};
}

Result Release(Runtime& runtime, void* begin) {
  if (begin == nullptr) return NullPointer("virPtr");
  std::lock_guard lock(runtime.vmm_mutex);
  const auto found = runtime.reservations.find(begin);
  if (found == runtime.reservations.end()) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "virPtr = ", begin,
                 " is not the start of a range from aclrtReserveMemAddress");
  }
  if (!runtime.device(found->second).npu.Release(begin)) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "virPtr = ", begin,
                 ": memory is still mapped into the range, call aclrtUnmapMem first");
  }
  runtime.reservations.erase(found);
  return {};
}

Result CheckProperties(const aclrtPhysicalMemProp& prop) {
  if (prop.location.type != ACL_MEM_LOCATION_TYPE_DEVICE) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                 "prop->location.type = ", int{prop.location.type}, ": expected 1 (device memory)");
  }
  if (prop.allocationType != ACL_MEM_ALLOCATION_TYPE_PINNED) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "prop->allocationType = ", int{prop.allocationType},
                 ": expected 0 (pinned)");
  }
  return {};
}

Result MallocPhysical(Runtime& runtime, aclrtDrvMemHandle* handle, size_t size,
                      const aclrtPhysicalMemProp* prop, uint64_t flags) {
  if (handle == nullptr) return NullPointer("handle");
  if (prop == nullptr) return NullPointer("prop");
  Result result = CheckSize("size", size);
  if (result.ok()) result = CheckFlags(flags, 0);
  if (result.ok()) result = CheckProperties(*prop);
  DeviceState* device = nullptr;
  if (result.ok()) result = runtime.FindDevice(prop->location.id, &device);
  if (!result.ok()) return result;
  std::shared_ptr<PhysicalBlock> block = device->physical.Allocate(size);
  if (block == nullptr) {
    return Error(ACL_ERROR_RT_MEMORY_ALLOCATION, "out of device memory: size = ", size,
                 " bytes, but device ", device->id, " has ", device->npu.free_bytes(), " of ",
                 device->npu.config().hbm_bytes, " bytes free");
  }
  *handle = runtime.physical_blocks.Add(std::move(block));
  return {};
}

Result Map(Runtime& runtime, void* begin, size_t size, size_t offset, aclrtDrvMemHandle handle,
           uint64_t flags) {
  if (begin == nullptr) return NullPointer("virPtr");
  Result result = CheckSize("size", size);
  if (result.ok()) result = CheckFlags(flags, 0);
  if (!result.ok()) return result;
  std::shared_ptr<PhysicalBlock> block = runtime.physical_blocks.Find(handle);
  if (block == nullptr) return runtime.physical_blocks.NotFound("handle", handle);
  if (offset % kGranule != 0 || offset > block->bytes || size > block->bytes - offset) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "offset = ", offset, ", size = ", size,
                 ": expected a multiple of ", kGranule, " and no more than the handle's ",
                 block->bytes, " bytes");
  }
  DeviceState& device = runtime.device(block->device_id);
  std::lock_guard lock(runtime.vmm_mutex);
  if (reinterpret_cast<uintptr_t>(begin) % kGranule != 0 ||
      !device.npu.Map(begin, size, device.physical.file(), block->offset + offset)) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "virPtr = ", begin, ", size = ", size,
                 ": expected an unmapped part of a range reserved on device ", device.id,
                 ", aligned to ", kGranule);
  }
  runtime.mappings[begin] = {std::move(block), size};
  return {};
}

Result Unmap(Runtime& runtime, void* begin) {
  if (begin == nullptr) return NullPointer("virPtr");
  std::lock_guard lock(runtime.vmm_mutex);
  const auto found = runtime.mappings.find(begin);
  if (found == runtime.mappings.end()) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "virPtr = ", begin,
                 " is not the start of memory that aclrtMapMem mapped");
  }
  DeviceState& device = runtime.device(found->second.block->device_id);
  {
    std::scoped_lock use(device.launch_mutex, device.memory_mutex);  // as aclrtFree
    device.npu.Unmap(begin, found->second.bytes);
  }
  runtime.mappings.erase(found);
  return {};
}

Result NoSharing() {
  return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
               "a virtual NPU belongs to one process: its memory cannot be shared with others");
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtReserveMemAddress(void** virPtr, size_t size, size_t alignment, void* expectPtr,
                                uint64_t flags) {
  return Call("aclrtReserveMemAddress", [=](Runtime& runtime) {
    return vnpu_acl::Reserve(runtime, virPtr, size, alignment, expectPtr, flags);
  });
}

aclError aclrtReleaseMemAddress(void* virPtr) {
  return Call("aclrtReleaseMemAddress",
              [=](Runtime& runtime) { return vnpu_acl::Release(runtime, virPtr); });
}

aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t size,
                             const aclrtPhysicalMemProp* prop, uint64_t flags) {
  return Call("aclrtMallocPhysical", [=](Runtime& runtime) {
    return vnpu_acl::MallocPhysical(runtime, handle, size, prop, flags);
  });
}

// Memory that is mapped lives on until it is unmapped.
aclError aclrtFreePhysical(aclrtDrvMemHandle handle) {
  return Call("aclrtFreePhysical", [=](Runtime& runtime) -> Result {
    if (runtime.physical_blocks.Remove(handle) != nullptr) return {};
    return runtime.physical_blocks.NotFound("handle", handle);
  });
}

aclError aclrtMapMem(void* virPtr, size_t size, size_t offset, aclrtDrvMemHandle handle,
                     uint64_t flags) {
  return Call("aclrtMapMem", [=](Runtime& runtime) {
    return vnpu_acl::Map(runtime, virPtr, size, offset, handle, flags);
  });
}

aclError aclrtUnmapMem(void* virPtr) {
  return Call("aclrtUnmapMem", [=](Runtime& runtime) { return vnpu_acl::Unmap(runtime, virPtr); });
}

aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle, aclrtMemHandleType, uint64_t,
                                         uint64_t*) {
  return Call("aclrtMemExportToShareableHandle", [](Runtime&) { return vnpu_acl::NoSharing(); });
}

aclError aclrtMemImportFromShareableHandle(uint64_t, int32_t, aclrtDrvMemHandle*) {
  return Call("aclrtMemImportFromShareableHandle", [](Runtime&) { return vnpu_acl::NoSharing(); });
}

aclError aclrtMemSetPidToShareableHandle(uint64_t, int32_t*, size_t) {
  return Call("aclrtMemSetPidToShareableHandle", [](Runtime&) { return vnpu_acl::NoSharing(); });
}

}  // extern "C"
