// SPDX-License-Identifier: Apache-2.0
// Where a Status becomes a Python exception; nothing else in this project throws.
#ifndef ASCEND_ATTENTION_PYTHON_STATUS_CAST_H_
#define ASCEND_ATTENTION_PYTHON_STATUS_CAST_H_

#include <nanobind/nanobind.h>

#include <utility>

#include "tiling/status.h"

namespace ascend_attention::python {

inline PyObject* ExceptionFor(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
      return PyExc_ValueError;
    case StatusCode::kOutOfRange:
      return PyExc_IndexError;
    case StatusCode::kResourceExhausted:
      return PyExc_MemoryError;
    case StatusCode::kUnimplemented:
      return PyExc_NotImplementedError;
    case StatusCode::kFailedPrecondition:
    case StatusCode::kInternal:
    case StatusCode::kOk:
      break;
  }
  return PyExc_RuntimeError;
}

// Both need the GIL: take the Status out of a block without it first.
inline void ThrowIfError(const Status& status) {
  if (status.ok()) return;
  PyErr_SetString(ExceptionFor(status.code()), status.message().c_str());
  throw nanobind::python_error();
}

template <typename T>
T ValueOrThrow(StatusOr<T> value) {
  ThrowIfError(value.status());
  return *std::move(value);
}

// Runs `function` without the GIL and returns what it returns.
template <typename Function>
auto WithoutGil(const Function& function) {
  const nanobind::gil_scoped_release released;
  return function();
}

}  // namespace ascend_attention::python

#endif  // ASCEND_ATTENTION_PYTHON_STATUS_CAST_H_
