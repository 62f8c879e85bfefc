// SPDX-License-Identifier: Apache-2.0
#include "python/ascend_attention/torch_ops/raise.h"

#include <new>
#include <stdexcept>
#include <string>

namespace ascend_attention::torch_ops {
namespace {

// The standard class for this has no text of its own.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(const std::string& text) : text_(text) {}
  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;  // copies without throwing
};

}  // namespace

void Raise(const Status& status) {
  const std::string& text = status.message();
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
      throw std::invalid_argument(text);
    case StatusCode::kOutOfRange:
      throw std::out_of_range(text);
    case StatusCode::kUnimplemented:
      throw std::runtime_error(kUnimplementedPrefix + text);
    case StatusCode::kResourceExhausted:
      throw OutOfMemory(text);
    case StatusCode::kFailedPrecondition:
    case StatusCode::kInternal:
    case StatusCode::kOk:
      break;
  }
  throw std::runtime_error(text);
}

}  // namespace ascend_attention::torch_ops
