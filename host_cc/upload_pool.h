// SPDX-License-Identifier: Apache-2.0
// Pinned host buffers for asynchronous uploads.
//
// Allocating pinned memory takes longer than planning, and a buffer must live
// until its copy has run. A slot therefore carries the event of its last copy:
// it goes back to the pool at once, without waiting, and is handed out again
// only when that event has completed.
#ifndef ASCEND_ATTENTION_HOST_CC_UPLOAD_POOL_H_
#define ASCEND_ATTENTION_HOST_CC_UPLOAD_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "host_cc/acl_api.h"

namespace ascend_attention {

struct UploadSlot {
  uint8_t* data = nullptr;
  size_t capacity = 0;  // bytes
  aclrtEvent event = nullptr;
  bool in_flight = false;  // `event` was recorded behind a copy from `data`
};

// Thread-safe. The device must be current on the calling thread.
class UploadPool {
 public:
  explicit UploadPool(std::shared_ptr<const AclApi> acl) : acl_(std::move(acl)) {}
  UploadPool(const UploadPool&) = delete;
  UploadPool& operator=(const UploadPool&) = delete;
  ~UploadPool() { Clear(); }

  // A slot of at least `size` bytes that no copy reads any more.
  StatusOr<UploadSlot> Acquire(size_t size);
  void Release(UploadSlot slot);

  // Waits for copies in flight, then frees every slot that is not acquired. One
  // whose copy failed is left allocated: the device may still read it.
  void Clear();

 private:
  StatusOr<UploadSlot> Allocate(size_t size) const;

  const std::shared_ptr<const AclApi> acl_;
  std::mutex mutex_;
  std::vector<UploadSlot> slots_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_UPLOAD_POOL_H_
