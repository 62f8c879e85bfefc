// SPDX-License-Identifier: Apache-2.0
// A small ragged problem for the example, and its answer by a plain double loop.
#ifndef ASCEND_ATTENTION_HOST_CC_EXAMPLES_TINY_PROBLEM_H_
#define ASCEND_ATTENTION_HOST_CC_EXAMPLES_TINY_PROBLEM_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace tiny_problem {

constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadDim = 64;
constexpr int kKvBlockSize = 16;
constexpr int kNumKvBlocks = 32;
constexpr int kMaxKvBlocks = 13;  // columns of block_table
constexpr float kSoftmaxScale = 0.125f;

inline float FromHalf(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                   : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return (half & 0x8000) != 0 ? -size : size;
}

// For values that half precision represents exactly.
inline uint16_t ToHalf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (value == 0) return 0;
  const uint32_t sign = bits >> 16 & 0x8000;
  return static_cast<uint16_t>(sign | (((bits & 0x7fffffff) >> 13) - (112 << 10)));
}

// Multiples of 1/64 in [-1, 1), as half-precision bits.
inline std::vector<uint16_t> Values(size_t count, uint32_t seed) {
  std::vector<uint16_t> values(count);
  for (uint16_t& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = ToHalf(static_cast<float>(static_cast<int>(seed >> 25) - 64) / 64);
  }
  return values;
}

struct Problem {
  std::vector<int32_t> context_lens = {5, 0, 200};
  std::vector<uint16_t> query = Values(context_lens.size() * kHeads * kHeadDim, 1);
  std::vector<uint16_t> key_cache = Values(kNumKvBlocks * kKvBlockSize * kKvHeads * kHeadDim, 2);
  std::vector<uint16_t> value_cache = Values(key_cache.size(), 3);
  std::vector<int32_t> block_table;  // in no particular order

  Problem() {
    for (size_t i = 0; i < context_lens.size() * kMaxKvBlocks; ++i) {
      block_table.push_back(static_cast<int32_t>(i * 11 % kNumKvBlocks));
    }
  }

  // First element of key and value of a token: [kv block, slot, kv head, 0].
  size_t CacheRow(size_t sequence, int token, size_t kv_head) const {
    const size_t column = static_cast<size_t>(token / kKvBlockSize);
    const auto block = static_cast<size_t>(block_table[sequence * kMaxKvBlocks + column]);
    const size_t slot = block * kKvBlockSize + static_cast<size_t>(token % kKvBlockSize);
    return (slot * kKvHeads + kv_head) * kHeadDim;
  }

  // out[head_dim] of one query row; zeros for an empty sequence.
  std::vector<double> Expected(size_t sequence, size_t head) const {
    std::vector<double> out(kHeadDim, 0.0);
    double total = 0;
    for (int token = 0; token < context_lens[sequence]; ++token) {
      const size_t kv = CacheRow(sequence, token, head / (kHeads / kKvHeads));
      const size_t q = (sequence * kHeads + head) * kHeadDim;
      double score = 0;
      for (size_t d = 0; d < kHeadDim; ++d) {
        score += double{FromHalf(query[q + d])} * double{FromHalf(key_cache[kv + d])};
      }
      const double weight = std::exp(score * kSoftmaxScale);
      total += weight;
      for (size_t d = 0; d < kHeadDim; ++d) out[d] += weight * FromHalf(value_cache[kv + d]);
    }
    if (total > 0) {
      for (double& value : out) value /= total;
    }
    return out;
  }

  double MaxError(const std::vector<uint16_t>& out) const {
    double max_error = 0;
    for (size_t row = 0; row < context_lens.size() * kHeads; ++row) {
      const std::vector<double> expected = Expected(row / kHeads, row % kHeads);
      for (size_t d = 0; d < kHeadDim; ++d) {
        const double error = std::fabs(FromHalf(out[row * kHeadDim + d]) - expected[d]);
        if (std::isnan(error)) return error;
        max_error = std::fmax(max_error, error);
      }
    }
    return max_error;
  }
};

}  // namespace tiny_problem

#endif  // ASCEND_ATTENTION_HOST_CC_EXAMPLES_TINY_PROBLEM_H_
