// SPDX-License-Identifier: Apache-2.0
// A tensor argument as our operators see it: name, memory, dtype, shape, strides.
//
// Reading and checking allocate nothing unless there is an error to word.
#ifndef ASCEND_ATTENTION_TORCH_OPS_TENSOR_ARG_H_
#define ASCEND_ATTENTION_TORCH_OPS_TENSOR_ARG_H_

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "tiling/status.h"

namespace ascend_attention::torch_ops {

using torch::stable::Tensor;

// Where tensors live: an NPU, or host memory, for which the virtual NPU computes.
struct Place {
  bool is_npu = false;
  int device = 0;

  bool operator==(const Place& other) const {
    return is_npu == other.is_npu && device == other.device;
  }
};
std::string PlaceText(const Place& place);  // "npu:1", "cpu"

struct TensorArg {
  const char* name = "";
  AtenTensorHandle handle = nullptr;  // null: an optional tensor that is not given
  void* data = nullptr;
  int32_t dtype = 0;  // aoti_torch_dtype_*()
  int64_t elem_bytes = 0;
  Place place;
  int64_t dim = 0;
  const int64_t* sizes = nullptr;  // of the tensor itself: valid while it lives
  const int64_t* strides = nullptr;

  bool given() const { return handle != nullptr; }
  int64_t elements() const;
  int64_t bytes() const { return elements() * elem_bytes; }
  int64_t span_bytes() const;  // from the first element to behind the last; 0 if empty
  bool is_dense() const;
};

// Fails for tensors without memory or on other devices than NPUs and the host.
Status Read(const char* name, const Tensor& tensor, TensorArg* arg);
Status Read(const char* name, const std::optional<Tensor>& tensor, TensorArg* arg);
Status Read(const char* name, AtenTensorHandle tensor, TensorArg* arg);  // null: not given

std::string DTypeText(int32_t dtype);         // "torch.float16"
std::string ShapeText(const TensorArg& arg);  // "(2, 8, 128)"

// One axis of an expected shape.
struct Axis {
  const char* name;
  int64_t size;
};
constexpr int64_t kAnySize = -1;

Status CheckDType(const TensorArg& arg, int32_t dtype);
Status CheckShape(const TensorArg& arg, std::initializer_list<Axis> axes);
Status CheckRank(const TensorArg& arg, std::initializer_list<const char*> axes);
Status CheckDense(const TensorArg& arg);
Status CheckPlace(const TensorArg& arg, const Place& place, const char* other);
// Dtype, shape, dense, in this order.
Status CheckTensor(const TensorArg& arg, int32_t dtype, std::initializer_list<Axis> axes);

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_TENSOR_ARG_H_
