// SPDX-License-Identifier: Apache-2.0
#include "host_cc/upload_pool.h"

#include <utility>

namespace ascend_attention {
namespace {

// Plans of one engine differ in size: coarse sizes let them share slots.
constexpr size_t kMinCapacity = 16 * 1024;

size_t CapacityFor(size_t size) {
  size_t capacity = kMinCapacity;
  while (capacity < size) capacity *= 2;
  return capacity;
}

bool IsIdle(const AclApi& acl, const UploadSlot& slot) {
  if (!slot.in_flight) return true;
  aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_NOT_READY;
  return acl.aclrtQueryEventStatus(slot.event, &status) == ACL_SUCCESS &&
         status == ACL_EVENT_RECORDED_STATUS_COMPLETE;
}

}  // namespace

void UploadPool::Clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const UploadSlot& slot : slots_) {
    const bool done = IsIdle(*acl_, slot) || acl_->aclrtSynchronizeEvent(slot.event) == ACL_SUCCESS;
    acl_->aclrtDestroyEvent(slot.event);
    if (done) acl_->aclrtFreeHost(slot.data);
  }
  slots_.clear();
}

StatusOr<UploadSlot> UploadPool::Acquire(size_t size) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto slot = slots_.begin(); slot != slots_.end(); ++slot) {
      if (slot->capacity < size || !IsIdle(*acl_, *slot)) continue;
      UploadSlot found = *slot;
      slots_.erase(slot);
      found.in_flight = false;
      return found;
    }
  }
  return Allocate(CapacityFor(size));
}

void UploadPool::Release(UploadSlot slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  slots_.push_back(slot);
}

StatusOr<UploadSlot> UploadPool::Allocate(size_t size) const {
  UploadSlot slot;
  slot.capacity = size;
  void* data = nullptr;
  AA_RETURN_IF_ERROR(
      acl_->Check(acl_->aclrtMallocHost(&data, size), "aclrtMallocHost(", size, ")"));
  slot.data = static_cast<uint8_t*>(data);
  const Status made = acl_->Check(acl_->aclrtCreateEventExWithFlag(&slot.event, ACL_EVENT_SYNC),
                                  "aclrtCreateEventExWithFlag()");
  if (made.ok()) return slot;
  acl_->aclrtFreeHost(data);
  return made;
}

}  // namespace ascend_attention
