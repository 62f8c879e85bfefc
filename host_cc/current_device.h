// SPDX-License-Identifier: Apache-2.0
// Makes a device current on this thread for a scope. ACL keeps the current
// device per thread, and a thread that never set one has none.
#ifndef ASCEND_ATTENTION_HOST_CC_CURRENT_DEVICE_H_
#define ASCEND_ATTENTION_HOST_CC_CURRENT_DEVICE_H_

#include "host_cc/acl_api.h"

namespace ascend_attention {

class CurrentDevice {
 public:
  CurrentDevice(const AclApi& acl, int device) : acl_(acl) {
    const bool has_device = acl.aclrtGetDevice(&previous_) == ACL_SUCCESS;
    if (has_device && previous_ == device) {
      previous_ = kNothingToRestore;
      return;
    }
    if (!has_device) previous_ = kNothingToRestore;
    status_ = acl.Check(acl.aclrtSetDevice(device), "aclrtSetDevice(", device, ")");
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  ~CurrentDevice() {
    if (previous_ != kNothingToRestore) (void)acl_.aclrtSetDevice(previous_);
  }

  const Status& status() const { return status_; }

 private:
  static constexpr int32_t kNothingToRestore = -1;

  const AclApi& acl_;
  int32_t previous_ = kNothingToRestore;
  Status status_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_CURRENT_DEVICE_H_
