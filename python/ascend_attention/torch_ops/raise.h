// SPDX-License-Identifier: Apache-2.0
// Where a Status becomes a C++ exception, the only error that PyTorch's stable
// interface carries. It becomes a Python exception by its standard class.
#ifndef ASCEND_ATTENTION_TORCH_OPS_RAISE_H_
#define ASCEND_ATTENTION_TORCH_OPS_RAISE_H_

#include <utility>

#include "tiling/status.h"

namespace ascend_attention::torch_ops {

// ValueError, IndexError, MemoryError, RuntimeError. No standard class becomes
// NotImplementedError: kUnimplemented is a RuntimeError whose text starts with
// kUnimplementedPrefix, by which ascend_attention/_torch_library.py knows it.
constexpr char kUnimplementedPrefix[] = "not implemented: ";

[[noreturn]] void Raise(const Status& status);

inline void RaiseIfError(const Status& status) {
  if (!status.ok()) Raise(status);
}

template <typename T>
T ValueOrRaise(StatusOr<T> value) {
  RaiseIfError(value.status());
  return *std::move(value);
}

}  // namespace ascend_attention::torch_ops

#endif  // ASCEND_ATTENTION_TORCH_OPS_RAISE_H_
