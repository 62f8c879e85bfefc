// SPDX-License-Identifier: Apache-2.0
#include "host_cc/include/ascend_attention/device_buffer.h"

#include "host_cc/current_device.h"
#include "host_cc/runtime_impl.h"

namespace ascend_attention {

StatusOr<DeviceBuffer> DeviceBuffer::Allocate(std::shared_ptr<Runtime> runtime, size_t bytes) {
  if (runtime == nullptr) return InvalidArgument("runtime is null");
  DeviceBuffer buffer;
  buffer.runtime_ = std::move(runtime);
  if (bytes == 0) return buffer;
  const Runtime::Impl& impl = buffer.runtime_->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  void* data = nullptr;
  AA_RETURN_IF_ERROR(impl.acl->Check(impl.acl->aclrtMalloc(&data, bytes, ACL_MEM_MALLOC_HUGE_FIRST),
                                     "aclrtMalloc(", bytes, ")"));
  buffer.data_ = data;
  buffer.size_ = bytes;
  return buffer;
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ == nullptr) return;
  const Runtime::Impl& impl = runtime_->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  (void)impl.acl->aclrtFree(data_);
}

Status DeviceBuffer::CheckRange(const char* what, size_t bytes, size_t offset) const {
  if (offset <= size_ && bytes <= size_ - offset) return OkStatus();
  return OutOfRange(what, " of ", bytes, " bytes at offset ", offset, " leaves the buffer of ",
                    size_, " bytes");
}

Status DeviceBuffer::Upload(const void* from, size_t bytes, size_t offset) {
  AA_RETURN_IF_ERROR(CheckRange("upload", bytes, offset));
  if (bytes == 0) return OkStatus();
  const Runtime::Impl& impl = runtime_->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  const int error = impl.acl->aclrtMemcpy(static_cast<uint8_t*>(data_) + offset, size_ - offset,
                                          from, bytes, ACL_MEMCPY_HOST_TO_DEVICE);
  return impl.acl->Check(error, "aclrtMemcpy(", bytes, " bytes to device)");
}

Status DeviceBuffer::Download(void* to, size_t bytes, size_t offset) const {
  AA_RETURN_IF_ERROR(CheckRange("download", bytes, offset));
  if (bytes == 0) return OkStatus();
  const Runtime::Impl& impl = runtime_->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  const int error = impl.acl->aclrtMemcpy(to, bytes, static_cast<const uint8_t*>(data_) + offset,
                                          bytes, ACL_MEMCPY_DEVICE_TO_HOST);
  return impl.acl->Check(error, "aclrtMemcpy(", bytes, " bytes to host)");
}

Status DeviceBuffer::Fill(uint8_t value) {
  if (size_ == 0) return OkStatus();
  const Runtime::Impl& impl = runtime_->impl();
  const CurrentDevice current(*impl.acl, impl.device);
  AA_RETURN_IF_ERROR(current.status());
  return impl.acl->Check(impl.acl->aclrtMemset(data_, size_, value, size_), "aclrtMemset(", size_,
                         " bytes)");
}

}  // namespace ascend_attention
