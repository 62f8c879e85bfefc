// SPDX-License-Identifier: Apache-2.0
// A model of one layer with random weights: enough to make queries, keys and
// values from tokens and the next token from the output of attention. And the
// answer of attention by a plain double loop, to compare with.
#ifndef ENGINE_LOOP_TOY_MODEL_H_
#define ENGINE_LOOP_TOY_MODEL_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sizes.h"

namespace toy {

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

// kVocabulary rows of multiples of 1/64 in [-1, 1), as half-precision bits.
inline std::vector<uint16_t> Weights(int row, uint32_t seed) {
  std::vector<uint16_t> values(static_cast<size_t>(kVocabulary * row));
  for (uint16_t& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = ToHalf(static_cast<float>(static_cast<int>(seed >> 25) - 64) / 64);
  }
  return values;
}

struct Model {
  static constexpr int kQueryRow = kHeads * kHeadDim;
  static constexpr int kKvRow = kKvHeads * kHeadDim;

  std::vector<uint16_t> query = Weights(kQueryRow, 1);
  std::vector<uint16_t> key = Weights(kKvRow, 2);
  std::vector<uint16_t> value = Weights(kKvRow, 3);
  std::vector<uint16_t> projection = Weights(kQueryRow, 4);

  // The token whose row of the projection fits `out` best.
  int Sample(const uint16_t* out) const {
    int best = 0;
    double best_logit = -INFINITY;
    for (int token = 0; token < kVocabulary; ++token) {
      double logit = 0;
      for (int i = 0; i < kQueryRow; ++i) {
        logit += double{FromHalf(projection[At(token, kQueryRow, i)])} * FromHalf(out[i]);
      }
      if (logit > best_logit) best = token, best_logit = logit;
    }
    return best;
  }

  // Largest difference of `out` from attention of the last token over all of them.
  double MaxError(const std::vector<int>& tokens, const uint16_t* out) const {
    double max_error = 0;
    for (int head = 0; head < kHeads; ++head) {
      const std::vector<double> expected = Attention(tokens, head);
      for (int d = 0; d < kHeadDim; ++d) {
        const double error = std::fabs(FromHalf(out[head * kHeadDim + d]) - expected[At(0, 0, d)]);
        if (std::isnan(error)) return error;
        max_error = std::fmax(max_error, error);
      }
    }
    return max_error;
  }

 private:
  static size_t At(int row, int row_size, int column) {
    return static_cast<size_t>(row) * static_cast<size_t>(row_size) + static_cast<size_t>(column);
  }

  std::vector<double> Attention(const std::vector<int>& tokens, int head) const {
    const int kv_column = head / (kHeads / kKvHeads) * kHeadDim;
    std::vector<double> out(kHeadDim, 0.0);
    double total = 0;
    for (const int token : tokens) {
      double score = 0;
      for (int d = 0; d < kHeadDim; ++d) {
        score += double{FromHalf(query[At(tokens.back(), kQueryRow, head * kHeadDim + d)])} *
                 FromHalf(key[At(token, kKvRow, kv_column + d)]);
      }
      const double weight = std::exp(score * SOFTMAX_SCALE);
      total += weight;
      for (int d = 0; d < kHeadDim; ++d) {
        out[At(0, 0, d)] += weight * FromHalf(value[At(token, kKvRow, kv_column + d)]);
      }
    }
    for (double& element : out) element /= total;
    return out;
  }
};

}  // namespace toy

#endif  // ENGINE_LOOP_TOY_MODEL_H_
