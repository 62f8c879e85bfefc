// SPDX-License-Identifier: Apache-2.0
// Device memory with an owner, for tests, examples and bindings. An engine has
// its own allocator and passes plain pointers.
#ifndef ASCEND_ATTENTION_DEVICE_BUFFER_H_
#define ASCEND_ATTENTION_DEVICE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "host_cc/include/ascend_attention/decode.h"

namespace ascend_attention {

// Freed with its owner, without waiting: synchronize the streams that use it
// first. Transfers wait until the data is there; they do not wait for streams.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;  // empty
  static StatusOr<DeviceBuffer> Allocate(std::shared_ptr<Runtime> runtime, size_t bytes);

  DeviceBuffer(DeviceBuffer&& other) noexcept { Swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~DeviceBuffer();

  // A multiple of 512; null if size() is 0.
  void* data() const { return data_; }
  size_t size() const { return size_; }  // bytes

  // Both fail with OutOfRange unless [offset, offset + bytes) is inside.
  Status Upload(const void* from, size_t bytes, size_t offset = 0);
  Status Download(void* to, size_t bytes, size_t offset = 0) const;

  // Sets every byte.
  Status Fill(uint8_t value);

 private:
  void Swap(DeviceBuffer& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  Status CheckRange(const char* what, size_t bytes, size_t offset) const;

  std::shared_ptr<Runtime> runtime_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_DEVICE_BUFFER_H_
