// SPDX-License-Identifier: Apache-2.0
// 64-bit size arithmetic that cannot wrap: all sizes and counts that follow
// from a caller's shape go through here.
//
// Next: tiling/workspace_ledger.h - the main user.
#ifndef ASCEND_ATTENTION_TILING_CHECKED_MATH_H_
#define ASCEND_ATTENTION_TILING_CHECKED_MATH_H_

#include <cstdint>
#include <optional>

namespace ascend_attention {

// Nothing when the result does not fit 64 bits.
inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

// Product of up to a handful of factors; zero factors win over overflow only
// if they come first, so put counts that may be zero in front.
template <typename... Factors>
std::optional<uint64_t> CheckedProduct(uint64_t first, Factors... rest) {
  std::optional<uint64_t> product = first;
  ((product = product ? CheckedMul(*product, rest) : product), ...);
  return product;
}

// a / b, rounded up; b > 0.
constexpr uint64_t CeilDiv(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

// `value` rounded up to a multiple of `multiple`; nothing on overflow.
inline std::optional<uint64_t> CheckedRoundUp(uint64_t value, uint64_t multiple) {
  return CheckedMul(CeilDiv(value, multiple), multiple);
}

// The same for values that the caller knows to be small.
constexpr uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return CeilDiv(value, multiple) * multiple;
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_CHECKED_MATH_H_
