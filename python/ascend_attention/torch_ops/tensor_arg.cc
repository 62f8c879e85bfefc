// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/tensor_arg.h"

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

namespace ascend_attention::torch_ops {
namespace {

struct DTypeRow {
  int32_t (*code)();
  const char* name;
};

constexpr DTypeRow kDTypes[] = {
    {aoti_torch_dtype_float16, "torch.float16"}, {aoti_torch_dtype_bfloat16, "torch.bfloat16"},
    {aoti_torch_dtype_float32, "torch.float32"}, {aoti_torch_dtype_float64, "torch.float64"},
    {aoti_torch_dtype_int8, "torch.int8"},       {aoti_torch_dtype_uint8, "torch.uint8"},
    {aoti_torch_dtype_int16, "torch.int16"},     {aoti_torch_dtype_int32, "torch.int32"},
    {aoti_torch_dtype_int64, "torch.int64"},     {aoti_torch_dtype_bool, "torch.bool"},
};

// Bytes of the storage behind the tensor's first element: freed memory has none.
Status CheckStorage(const TensorArg& arg) {
  const int64_t span = arg.span_bytes();
  if (span == 0) return OkStatus();
  int64_t storage = 0;
  int64_t offset = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_size(arg.handle, &storage));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_offset(arg.handle, &offset));
  if (arg.data != nullptr && offset * arg.elem_bytes + span <= storage) return OkStatus();
  return InvalidArgument(arg.name, " needs ", offset * arg.elem_bytes + span,
                         " bytes, but its storage has ", storage, ": it was freed or resized");
}

}  // namespace

std::string PlaceText(const Place& place) {
  return place.is_npu ? "npu:" + std::to_string(place.device) : "cpu";
}

int64_t TensorArg::elements() const {
  int64_t count = 1;
  for (int64_t i = 0; i < dim; ++i) count *= sizes[i];
  return count;
}

int64_t TensorArg::span_bytes() const {
  int64_t last = 0;
  for (int64_t i = 0; i < dim; ++i) {
    if (sizes[i] == 0) return 0;
    last += (sizes[i] - 1) * strides[i];
  }
  return (last + 1) * elem_bytes;
}

bool TensorArg::is_dense() const {
  int64_t stride = 1;
  for (int64_t i = dim - 1; i >= 0; --i) {
    if (sizes[i] == 0) return true;
    if (sizes[i] != 1 && strides[i] != stride) return false;
    stride *= sizes[i];
  }
  return true;
}

Status Read(const char* name, AtenTensorHandle tensor, TensorArg* arg) {
  arg->name = name;
  arg->handle = tensor;
  if (tensor == nullptr) return OkStatus();
  bool is_defined = false;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_is_defined(tensor, &is_defined));
  if (!is_defined) return InvalidArgument(name, " is None; expected a tensor");
  int32_t device_type = 0;
  int32_t device_index = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(arg->handle, &device_type));
  arg->place.is_npu = device_type == aoti_torch_device_type_privateuse1();
  if (!arg->place.is_npu && device_type != aoti_torch_device_type_cpu()) {
    return InvalidArgument(name, " is on another device than an NPU or the CPU");
  }
  if (arg->place.is_npu) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(arg->handle, &device_index));
    arg->place.device = device_index;
  }
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_data_ptr(arg->handle, &arg->data));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(arg->handle, &arg->dtype));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(arg->handle, &arg->dim));
  int64_t* sizes = nullptr;
  int64_t* strides = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(arg->handle, &sizes));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(arg->handle, &strides));
  arg->sizes = sizes;
  arg->strides = strides;
  arg->elem_bytes = static_cast<int64_t>(aoti_torch_dtype_element_size(arg->dtype));
  return CheckStorage(*arg);
}

Status Read(const char* name, const Tensor& tensor, TensorArg* arg) {
  return Read(name, tensor.get(), arg);
}

Status Read(const char* name, const std::optional<Tensor>& tensor, TensorArg* arg) {
  return Read(name, tensor ? tensor->get() : nullptr, arg);
}

std::string DTypeText(int32_t dtype) {
  for (const DTypeRow& row : kDTypes) {
    if (row.code() == dtype) return row.name;
  }
  return "dtype code " + std::to_string(dtype);
}

std::string ShapeText(const TensorArg& arg) {
  std::string text = "(";
  for (int64_t i = 0; i < arg.dim; ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(arg.sizes[i]);
  }
  return text + (arg.dim == 1 ? ",)" : ")");
}

namespace {

std::string AxesText(std::initializer_list<Axis> axes) {
  std::string sizes;
  std::string names;
  for (const Axis& axis : axes) {
    const char* comma = names.empty() ? "" : ", ";
    names += comma + std::string(axis.name);
    sizes += comma + (axis.size == kAnySize ? "any" : std::to_string(axis.size));
  }
  return "(" + sizes + ") = [" + names + "]";
}

std::string StridesText(const TensorArg& arg) {
  TensorArg strides = arg;
  strides.sizes = arg.strides;
  return ShapeText(strides);
}

}  // namespace

Status CheckDType(const TensorArg& arg, int32_t dtype) {
  if (arg.dtype == dtype) return OkStatus();
  return InvalidArgument(arg.name, " has dtype ", DTypeText(arg.dtype), "; expected ",
                         DTypeText(dtype));
}

Status CheckShape(const TensorArg& arg, std::initializer_list<Axis> axes) {
  bool fits = arg.dim == static_cast<int64_t>(axes.size());
  int64_t i = 0;
  for (const Axis& axis : axes) {
    if (!fits) break;
    fits = axis.size == kAnySize || arg.sizes[i] == axis.size;
    ++i;
  }
  if (fits) return OkStatus();
  return InvalidArgument(arg.name, " has shape ", ShapeText(arg), "; expected ", AxesText(axes));
}

Status CheckRank(const TensorArg& arg, std::initializer_list<const char*> axes) {
  if (arg.dim == static_cast<int64_t>(axes.size())) return OkStatus();
  std::string names;
  for (const char* axis : axes) names += (names.empty() ? "" : ", ") + std::string(axis);
  return InvalidArgument(arg.name, " has shape ", ShapeText(arg), "; expected rank ", axes.size(),
                         " = [", names, "]");
}

Status CheckDense(const TensorArg& arg) {
  if (arg.is_dense()) return OkStatus();
  return InvalidArgument(arg.name, " has strides ", StridesText(arg), " for shape ", ShapeText(arg),
                         "; expected a dense tensor: use ", arg.name, ".contiguous()");
}

Status CheckPlace(const TensorArg& arg, const Place& place, const char* other) {
  if (arg.place == place) return OkStatus();
  return InvalidArgument(arg.name, " is on ", PlaceText(arg.place), "; expected ", PlaceText(place),
                         " as ", other);
}

Status CheckTensor(const TensorArg& arg, int32_t dtype, std::initializer_list<Axis> axes) {
  AA_RETURN_IF_ERROR(CheckDType(arg, dtype));
  AA_RETURN_IF_ERROR(CheckShape(arg, axes));
  return CheckDense(arg);
}

}  // namespace ascend_attention::torch_ops
