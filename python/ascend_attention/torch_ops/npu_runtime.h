// SPDX-License-Identifier: Apache-2.0
// The device behind a tensor: its Runtime, and the stream that PyTorch uses now.
#ifndef ASCEND_ATTENTION_TORCH_OPS_NPU_RUNTIME_H_
#define ASCEND_ATTENTION_TORCH_OPS_NPU_RUNTIME_H_

#include <memory>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "python/ascend_attention/torch_ops/tensor_arg.h"

namespace ascend_attention::torch_ops {

// Opened once per place, kept for good: the ACL library that torch_npu has loaded for
// an NPU, for host memory the virtual NPU.
StatusOr<std::shared_ptr<Runtime>> RuntimeFor(const Place& place);

// The current stream of an NPU as aclrtStream. torch_npu's queue of operators not yet
// submitted is drained first, so that a launch comes after all that the thread has
// called before.
StatusOr<void*> CurrentNpuStream(int device);

// FailedPrecondition saying `why` if the current stream of an NPU captures a graph.
Status RefuseInCapture(const Place& place, const char* why);

// A stream of the virtual NPU for one operator on host memory; back in a pool afterwards.
class HostStream {
 public:
  static StatusOr<HostStream> Take();
  HostStream(HostStream&&) = default;
  ~HostStream();
  void* handle() const { return stream_->handle(); }

 private:
  explicit HostStream(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
  std::unique_ptr<Stream> stream_;
};

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_NPU_RUNTIME_H_
