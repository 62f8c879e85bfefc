// SPDX-License-Identifier: Apache-2.0
// How every fallible function of this library reports: a Status, or a value or
// a Status (StatusOr). Public header; standard library only, no exceptions.
//
// A message names what is wrong, what was given and what is allowed:
//   return InvalidArgument("context_lens[", i, "] = ", length, " is negative");
//
// Next: tiling/shape.h - the first user.
#ifndef ASCEND_ATTENTION_TILING_STATUS_H_
#define ASCEND_ATTENTION_TILING_STATUS_H_

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ascend_attention {

// The canonical codes that we use, with their usual numbers.
enum class StatusCode : int {
  kOk = 0,
  kInvalidArgument = 3,     // the caller's value is wrong whatever the state
  kResourceExhausted = 8,   // workspace or memory too small
  kFailedPrecondition = 9,  // right call, wrong state: no device, stale plan
  kOutOfRange = 11,         // an index or length beyond what the shape allows
  kUnimplemented = 12,      // valid, but no kernel; the message names the nearest that has one
  kInternal = 13,           // our own invariant is broken
};

inline const char* StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case StatusCode::kInternal:
      return "INTERNAL";
  }
  return "UNKNOWN";
}

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // "OK", or "INVALID_ARGUMENT: batch = 0 ..."
  std::string ToString() const {
    if (ok()) return "OK";
    return std::string(StatusCodeName(code_)) + ": " + message_;
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

namespace status_internal {

inline void Append(std::string& text, std::string_view part) { text.append(part); }
// A template, so that a string literal does not convert to bool.
template <typename Number, typename = std::enable_if_t<std::is_arithmetic_v<Number>>>
void Append(std::string& text, Number value) {
  if constexpr (std::is_same_v<Number, bool>) {
    text.append(value ? "true" : "false");
  } else {
    text.append(std::to_string(value));
  }
}

template <typename... Parts>
Status Make(StatusCode code, const Parts&... parts) {
  std::string text;
  (Append(text, parts), ...);
  return Status(code, std::move(text));
}

[[noreturn]] inline void Die(const Status& status) {
  std::fprintf(stderr, "StatusOr::value() of an error: %s\n", status.ToString().c_str());
  std::abort();
}

}  // namespace status_internal

inline Status OkStatus() { return Status(); }

// Each joins its parts (text, numbers, bool) to the message.
template <typename... Parts>
Status InvalidArgument(const Parts&... parts) {
  return status_internal::Make(StatusCode::kInvalidArgument, parts...);
}
template <typename... Parts>
Status OutOfRange(const Parts&... parts) {
  return status_internal::Make(StatusCode::kOutOfRange, parts...);
}
template <typename... Parts>
Status FailedPrecondition(const Parts&... parts) {
  return status_internal::Make(StatusCode::kFailedPrecondition, parts...);
}
template <typename... Parts>
Status ResourceExhausted(const Parts&... parts) {
  return status_internal::Make(StatusCode::kResourceExhausted, parts...);
}
template <typename... Parts>
Status Unimplemented(const Parts&... parts) {
  return status_internal::Make(StatusCode::kUnimplemented, parts...);
}
template <typename... Parts>
Status Internal(const Parts&... parts) {
  return status_internal::Make(StatusCode::kInternal, parts...);
}

// A T, or the reason why there is none. Reading the value of an error is a
// programming mistake: it prints the error and aborts.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  StatusOr(Status status) : status_(std::move(status)) {  // NOLINT: implicit, as in `return error`
    if (status_.ok()) status_ = Internal("StatusOr made from an OK status without a value");
  }
  StatusOr(T value) : value_(std::move(value)) {}  // NOLINT: implicit, as in `return value`

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  const T& value() const& { return Checked(), *value_; }
  T& value() & { return Checked(), *value_; }
  T&& value() && { return Checked(), *std::move(value_); }

  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  void Checked() const {
    if (!ok()) status_internal::Die(status_);
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace ascend_attention

#define AA_STATUS_CONCAT_INNER_(a, b) a##b
#define AA_STATUS_CONCAT_(a, b) AA_STATUS_CONCAT_INNER_(a, b)

// AA_RETURN_IF_ERROR(Validate(shape));
#define AA_RETURN_IF_ERROR(expression)                    \
  do {                                                    \
    ::ascend_attention::Status aa_status_ = (expression); \
    if (!aa_status_.ok()) return aa_status_;              \
  } while (false)

// AA_ASSIGN_OR_RETURN(const TileSize tiles, ChooseTiles(shape));
#define AA_ASSIGN_OR_RETURN(target, expression) \
  AA_ASSIGN_OR_RETURN_(AA_STATUS_CONCAT_(aa_status_or_, __LINE__), target, expression)
#define AA_ASSIGN_OR_RETURN_(temporary, target, expression) \
  auto temporary = (expression);                            \
  if (!temporary.ok()) return temporary.status();           \
  target = *std::move(temporary)

#endif  // ASCEND_ATTENTION_TILING_STATUS_H_
