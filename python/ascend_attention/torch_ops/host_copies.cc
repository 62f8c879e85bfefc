// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/host_copies.h"

#include <algorithm>
#include <cstring>

namespace ascend_attention::torch_ops {
namespace {

// Copies the elements of `arg`, and nothing between them, from an image of its span.
void Scatter(const TensorArg& arg, int64_t axis, const uint8_t* image, uint8_t* to) {
  if (axis == arg.dim) {
    std::memcpy(to, image, static_cast<size_t>(arg.elem_bytes));
    return;
  }
  const int64_t stride = arg.strides[axis] * arg.elem_bytes;
  if (axis == arg.dim - 1 && arg.strides[axis] == 1) {
    std::memcpy(to, image, static_cast<size_t>(arg.sizes[axis] * arg.elem_bytes));
    return;
  }
  for (int64_t i = 0; i < arg.sizes[axis]; ++i) {
    Scatter(arg, axis + 1, image + i * stride, to + i * stride);
  }
}

uint8_t* Bytes(void* address) { return static_cast<uint8_t*>(address); }

}  // namespace

StatusOr<size_t> HostCopies::Add(size_t bytes) {
  AA_ASSIGN_OR_RETURN(DeviceBuffer buffer, DeviceBuffer::Allocate(runtime_, bytes));
  buffers_.push_back(std::move(buffer));
  return buffers_.size() - 1;
}

Status HostCopies::Copy(TensorArg* arg, bool written) {
  const auto bytes = static_cast<size_t>(arg->given() ? arg->span_bytes() : 0);
  if (bytes == 0) return OkStatus();
  AA_ASSIGN_OR_RETURN(const size_t index, Add(bytes));
  AA_RETURN_IF_ERROR(buffers_[index].Upload(arg->data, bytes));
  if (written) results_.push_back({*arg, index, 0});
  arg->data = buffers_[index].data();
  return OkStatus();
}

Status HostCopies::Input(TensorArg* arg) { return Copy(arg, false); }
Status HostCopies::InOut(TensorArg* arg) { return Copy(arg, true); }

Status HostCopies::Output(TensorArg* arg) {
  const auto bytes = static_cast<size_t>(arg->given() ? arg->bytes() : 0);
  if (bytes == 0) return OkStatus();
  AA_ASSIGN_OR_RETURN(const size_t index, Add(bytes));
  results_.push_back({*arg, index, 0});
  arg->data = buffers_[index].data();
  return OkStatus();
}

Status HostCopies::Caches(TensorArg* key_cache, TensorArg* value_cache, bool written) {
  const int64_t key_bytes = key_cache->span_bytes();
  const int64_t value_bytes = value_cache->span_bytes();
  uint8_t* const key = Bytes(key_cache->data);
  uint8_t* const value = Bytes(value_cache->data);
  uint8_t* const begin = std::min(key, value);
  uint8_t* const end = std::max(key + key_bytes, value + value_bytes);
  const bool apart = key + key_bytes <= value || value + value_bytes <= key;
  if (key_bytes == 0 || value_bytes == 0 || apart) {
    AA_RETURN_IF_ERROR(Copy(key_cache, written));
    return Copy(value_cache, written);
  }
  AA_ASSIGN_OR_RETURN(const size_t index, Add(static_cast<size_t>(end - begin)));
  AA_RETURN_IF_ERROR(buffers_[index].Upload(begin, static_cast<size_t>(end - begin)));
  for (TensorArg* cache : {key_cache, value_cache}) {
    const auto offset = static_cast<size_t>(Bytes(cache->data) - begin);
    if (written) results_.push_back({*cache, index, offset});
    cache->data = Bytes(buffers_[index].data()) + offset;
  }
  return OkStatus();
}

Status HostCopies::BringBack() {
  for (const Result& result : results_) {
    const DeviceBuffer& buffer = buffers_[result.buffer];
    const auto bytes = static_cast<size_t>(result.host.span_bytes());
    if (result.host.is_dense()) {
      AA_RETURN_IF_ERROR(buffer.Download(result.host.data, bytes, result.offset));
      continue;
    }
    std::vector<uint8_t> image(bytes);
    AA_RETURN_IF_ERROR(buffer.Download(image.data(), bytes, result.offset));
    Scatter(result.host, 0, image.data(), Bytes(result.host.data));
  }
  return OkStatus();
}

}  // namespace ascend_attention::torch_ops
