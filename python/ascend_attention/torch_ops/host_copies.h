// SPDX-License-Identifier: Apache-2.0
// Device copies of CPU tensors for one call, on the virtual NPU.
//
// Each tensor gets memory of its own there, so that a kernel that leaves it is caught;
// caches that are views of one pool get one copy of the pool.
#ifndef ASCEND_ATTENTION_TORCH_OPS_HOST_COPIES_H_
#define ASCEND_ATTENTION_TORCH_OPS_HOST_COPIES_H_

#include <array>
#include <memory>
#include <vector>

#include "host_cc/include/ascend_attention/device_buffer.h"
#include "python/ascend_attention/torch_ops/tensor_arg.h"

namespace ascend_attention::torch_ops {

class HostCopies {
 public:
  explicit HostCopies(std::shared_ptr<Runtime> runtime) : runtime_(std::move(runtime)) {}

  // Each sets arg->data to where the copy is; a tensor not given or empty stays as it is.
  Status Input(TensorArg* arg);
  Status Output(TensorArg* arg);  // dense; not copied there
  Status InOut(TensorArg* arg);   // any strides
  // Inputs, or with `written` InOut; copied once if they share memory.
  Status Caches(TensorArg* key_cache, TensorArg* value_cache, bool written);

  // Copies results back, element by element. Call when the device is done.
  Status BringBack();

 private:
  struct Result {
    TensorArg host;
    size_t buffer;  // index into buffers_
    size_t offset;  // bytes
  };
  Status Copy(TensorArg* arg, bool written);
  StatusOr<size_t> Add(size_t bytes);

  const std::shared_ptr<Runtime> runtime_;
  std::vector<DeviceBuffer> buffers_;
  std::vector<Result> results_;
};

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_HOST_COPIES_H_
