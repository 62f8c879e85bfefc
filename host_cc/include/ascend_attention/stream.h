// SPDX-License-Identifier: Apache-2.0
// A stream with an owner, for tests, examples and bindings. An engine passes
// its own aclrtStream to Plan and Run.
#ifndef ASCEND_ATTENTION_STREAM_H_
#define ASCEND_ATTENTION_STREAM_H_

#include <memory>
#include <utility>

#include "host_cc/include/ascend_attention/decode.h"

namespace ascend_attention {

class Stream {
 public:
  static StatusOr<Stream> Create(std::shared_ptr<Runtime> runtime);

  Stream(Stream&& other) noexcept { Swap(other); }
  Stream& operator=(Stream&& other) noexcept {
    Swap(other);
    return *this;
  }
  // Waits for the work on it.
  ~Stream();

  void* handle() const { return handle_; }  // aclrtStream

  // Runtime::Synchronize of this stream.
  Status Synchronize() const { return runtime_->Synchronize(handle_); }

 private:
  Stream() = default;
  void Swap(Stream& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(handle_, other.handle_);
  }

  std::shared_ptr<Runtime> runtime_;
  void* handle_ = nullptr;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_STREAM_H_
