// SPDX-License-Identifier: Apache-2.0
#include "host_cc/include/ascend_attention/stream.h"

#include "host_cc/current_device.h"
#include "host_cc/runtime_impl.h"

namespace ascend_attention {

StatusOr<Stream> Stream::Create(std::shared_ptr<Runtime> runtime) {
  if (runtime == nullptr) return InvalidArgument("runtime is null");
  const Runtime::Impl& impl = runtime->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  Stream stream;
  AA_RETURN_IF_ERROR(
      impl.acl->Check(impl.acl->aclrtCreateStream(&stream.handle_), "aclrtCreateStream()"));
  stream.runtime_ = std::move(runtime);
  return stream;
}

Stream::~Stream() {
  if (runtime_ == nullptr) return;
  const Runtime::Impl& impl = runtime_->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  (void)impl.acl->aclrtSynchronizeStream(handle_);
  (void)impl.acl->aclrtDestroyStream(handle_);
}

}  // namespace ascend_attention
