// SPDX-License-Identifier: Apache-2.0
// Names and constants are those of ascend_attention_reference/inputs.py.
#include "testdata/decode_inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "testdata/philox.h"

namespace ascend_attention::testdata {
namespace {

enum Stream : uint32_t { kQuery, kKey, kValue, kOneHot, kPageOrder, kPageDraw };

constexpr double kQueryScale = 2.0;
constexpr double kSharpQueryScale = 16.0;
constexpr int64_t kOutlierPeriod = 32;
constexpr int64_t kOutlierFirst = 7;
constexpr int64_t kOutlierStep = 5;
constexpr double kOutlierKeyScale = 64.0;
constexpr double kOutlierQueryScale = 1.0 / 16.0;
constexpr double kBigQuery = 1024.0;
constexpr double kBigScore = 6.0e4;

uint16_t NanBits(bool bfloat16) { return bfloat16 ? 0x7fc0 : 0x7e00; }

// For values that the dtype holds exactly and that are not subnormal in it.
uint16_t ExactBits(double value, bool bfloat16) {
  const float single = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &single, sizeof bits);
  if (bfloat16) return static_cast<uint16_t>(bits >> 16);
  if (value == 0) return 0;
  constexpr uint32_t kExponentBiasGap = 127 - 15;
  const uint32_t sign = bits >> 31;
  const uint32_t exponent = ((bits >> 23) & 0xff) - kExponentBiasGap;
  const uint32_t mantissa = (bits & 0x7fffff) >> 13;
  return static_cast<uint16_t>(sign << 15 | exponent << 10 | mantissa);
}

// Lanes of one unit, by index; keeps the block it used last.
class Lanes {
 public:
  Lanes(uint32_t seed, Stream stream, int64_t unit)
      : seed_(seed), stream_(stream), unit_(static_cast<uint32_t>(unit)) {}

  uint16_t At(int64_t index) {
    const int64_t block = index / kLanes16PerCounter;
    if (block != block_) {
      words_ = PhiloxBlock(seed_, stream_, unit_, static_cast<uint32_t>(block));
      block_ = block;
    }
    return PhiloxLane16(words_, static_cast<int>(index % kLanes16PerCounter));
  }

 private:
  uint32_t seed_;
  Stream stream_;
  uint32_t unit_;
  int64_t block_ = -1;
  PhiloxWords words_ = {};
};

bool IsOutlier(int64_t kv_head, int64_t channel) {
  return channel % kOutlierPeriod == (kOutlierFirst + kOutlierStep * kv_head) % kOutlierPeriod;
}

double BigKey(int64_t head_dim) {
  const double exact = kBigScore * std::sqrt(static_cast<double>(head_dim)) / kBigQuery;
  double step = 16.0;
  while (exact >= 256 * step) step *= 2;
  return std::max(step, std::floor(exact / step) * step);
}

// Makes the values of a case, element by element.
class Generator {
 public:
  explicit Generator(const DecodeCase& problem)
      : problem_(problem),
        grid_bits_(problem.bigscores  ? 3
                   : problem.bfloat16 ? 8
                                      : 11),
        big_key_(BigKey(problem.head_dim)) {}

  void Queries(int64_t sequence, uint16_t* out) const {
    const DecodeCase& c = problem_;
    Lanes lanes(c.seed, kQuery, sequence);
    const double scale = c.sharp ? kSharpQueryScale : kQueryScale;
    for (int64_t head = 0; head < c.num_heads; ++head) {
      const int64_t kv_head = head * c.num_kv_heads / c.num_heads;
      for (int64_t channel = 0; channel < c.head_dim; ++channel) {
        const uint16_t lane = lanes.At(head * c.head_dim + channel);
        if (c.bigscores && channel == 0) {
          *out++ = Bits(lane < 1 << 15 ? -kBigQuery : kBigQuery);
        } else {
          const bool outlier = c.outliers && IsOutlier(kv_head, channel);
          *out++ = Bits(Grid(lane) * (outlier ? scale * kOutlierQueryScale : scale));
        }
      }
    }
  }

  // Tokens [first, first + count) of a unit: [count, num_kv_heads, head_dim].
  void Keys(int64_t unit, int64_t first, int64_t count, uint16_t* out) const {
    const DecodeCase& c = problem_;
    Lanes lanes(c.seed, kKey, unit);
    int64_t index = first * c.num_kv_heads * c.head_dim;
    for (int64_t row = 0; row < count * c.num_kv_heads; ++row) {
      for (int64_t channel = 0; channel < c.head_dim; ++channel) {
        const uint16_t lane = lanes.At(index++);
        if (c.bigscores) {
          const double big = lane < 1 << 14 ? -big_key_ : big_key_;
          *out++ = Bits(channel == 0 ? big : Grid(lane) * 2.0);
        } else {
          const bool outlier = c.outliers && IsOutlier(row % c.num_kv_heads, channel);
          *out++ = Bits(Grid(lane) * (outlier ? kOutlierKeyScale : 1.0));
        }
      }
    }
  }

  void Values(int64_t unit, int64_t first, int64_t count, uint16_t* out) const {
    const DecodeCase& c = problem_;
    if (!c.onehot) {
      Lanes lanes(c.seed, kValue, unit);
      const int64_t row = c.num_kv_heads * c.head_dim;
      for (int64_t i = 0; i < count * row; ++i) *out++ = Bits(Grid(lanes.At(first * row + i)));
      return;
    }
    Lanes lanes(c.seed, kOneHot, unit);
    for (int64_t i = 0; i < count * c.num_kv_heads; ++i) {
      const int64_t hot = lanes.At(first * c.num_kv_heads + i) % c.head_dim;
      for (int64_t channel = 0; channel < c.head_dim; ++channel) {
        *out++ = Bits(channel == hot ? 1.0 : 0.0);
      }
    }
  }

 private:
  // Odd multiples of 2^-grid_bits in (-1, 1).
  double Grid(uint16_t lane) const {
    const int size = 1 << grid_bits_;
    return static_cast<double>((lane >> (16 - grid_bits_)) * 2 + 1 - size) / size;
  }

  uint16_t Bits(double value) const { return ExactBits(value, problem_.bfloat16); }

  const DecodeCase& problem_;
  int grid_bits_;
  double big_key_;
};

// words32 of rng.py.
std::vector<uint32_t> Words(uint32_t seed, Stream stream, int64_t count) {
  std::vector<uint32_t> words;
  for (uint32_t block = 0; static_cast<int64_t>(words.size()) < count; ++block) {
    const PhiloxWords four = PhiloxBlock(seed, stream, 0, block);
    words.insert(words.end(), four.word, four.word + 4);
  }
  words.resize(static_cast<size_t>(count));
  return words;
}

int64_t BlocksOf(const DecodeCase& problem, int64_t sequence) {
  const int64_t size = problem.kv_block_size;
  return (problem.context_lens[sequence] + size - 1) / size;
}

// Fills the block table; returns the ids it may name, by rank.
std::vector<int32_t> MakeBlockTable(const DecodeCase& problem, DecodeInputs* inputs) {
  int64_t named = 0;
  for (int64_t i = 0; i < problem.batch; ++i) named += BlocksOf(problem, i);
  const int64_t distinct = problem.shared ? (named + 1) / 2 : named;
  inputs->num_kv_blocks = distinct + 2 + distinct / 16;

  const std::vector<uint32_t> order = Words(problem.seed, kPageOrder, inputs->num_kv_blocks);
  std::vector<int32_t> used(order.size());
  std::iota(used.begin(), used.end(), 0);
  std::sort(used.begin(), used.end(), [&order](int32_t a, int32_t b) {
    return order[a] != order[b] ? order[a] < order[b] : a < b;
  });
  used.resize(static_cast<size_t>(distinct));

  const std::vector<uint32_t> draw = Words(problem.seed, kPageDraw, problem.shared ? named : 0);
  const int64_t columns = problem.max_kv_blocks();
  inputs->block_table.assign(static_cast<size_t>(problem.batch * columns), -1);
  int64_t entry = 0;
  for (int64_t row = 0; row < problem.batch; ++row) {
    for (int64_t column = 0; column < BlocksOf(problem, row); ++column, ++entry) {
      const size_t rank = static_cast<size_t>(
          problem.shared ? static_cast<int64_t>(draw[entry]) * distinct >> 32 : entry);
      inputs->block_table[row * columns + column] = used[rank];
    }
  }
  return used;
}

// One kv block's place in the caches.
struct BlockPlace {
  const Generator& generator;
  const DecodeCase& problem;
  DecodeInputs* inputs;

  void Fill(int64_t block, int64_t unit, int64_t first, int64_t count) const {
    const int64_t row = problem.num_kv_heads * problem.head_dim;
    const int64_t offset = block * problem.kv_block_size * row;
    generator.Keys(unit, first, count, &inputs->key_cache[offset]);
    generator.Values(unit, first, count, &inputs->value_cache[offset]);
  }
};

void FillSequences(const BlockPlace& place) {
  const DecodeCase& c = place.problem;
  for (int64_t sequence = 0; sequence < c.batch; ++sequence) {
    for (int64_t i = 0; i < BlocksOf(c, sequence); ++i) {
      const int64_t first = i * c.kv_block_size;
      const int64_t count = std::min(c.kv_block_size, c.context_lens[sequence] - first);
      const int32_t block = place.inputs->block_table[sequence * c.max_kv_blocks() + i];
      place.Fill(block, sequence, first, count);
    }
  }
}

void FillShared(const BlockPlace& place, const std::vector<int32_t>& used) {
  const DecodeCase& c = place.problem;
  std::vector<int64_t> valid(static_cast<size_t>(place.inputs->num_kv_blocks), 0);
  for (int64_t sequence = 0; sequence < c.batch; ++sequence) {
    for (int64_t i = 0; i < BlocksOf(c, sequence); ++i) {
      const int64_t count =
          std::min(c.kv_block_size, c.context_lens[sequence] - i * c.kv_block_size);
      int64_t& slots = valid[place.inputs->block_table[sequence * c.max_kv_blocks() + i]];
      slots = std::max(slots, count);
    }
  }
  for (size_t rank = 0; rank < used.size(); ++rank) {
    if (valid[used[rank]] > 0) {
      place.Fill(used[rank], static_cast<int64_t>(rank), 0, valid[used[rank]]);
    }
  }
}

}  // namespace

DecodeInputs MakeInputs(const DecodeCase& problem) {
  DecodeInputs inputs;
  inputs.softmax_scale = problem.softmax_scale();
  const std::vector<int32_t> used = MakeBlockTable(problem, &inputs);

  const Generator generator(problem);
  const int64_t query_row = problem.num_heads * problem.head_dim;
  inputs.query.resize(static_cast<size_t>(problem.batch * query_row));
  for (int64_t sequence = 0; sequence < problem.batch; ++sequence) {
    generator.Queries(sequence, &inputs.query[sequence * query_row]);
  }

  const size_t cache_size = static_cast<size_t>(inputs.num_kv_blocks * problem.kv_block_size *
                                                problem.num_kv_heads * problem.head_dim);
  inputs.key_cache.assign(cache_size, NanBits(problem.bfloat16));
  inputs.value_cache.assign(cache_size, NanBits(problem.bfloat16));
  const BlockPlace place{generator, problem, &inputs};
  if (problem.shared) {
    FillShared(place, used);
  } else {
    FillSequences(place);
  }
  return inputs;
}

float ToFloat(uint16_t bits, bool bfloat16) {
  if (bfloat16) {
    const uint32_t wide = uint32_t{bits} << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }
  const int exponent = bits >> 10 & 0x1f;
  const int mantissa = bits & 0x3ff;
  const float sign = bits >> 15 ? -1.0f : 1.0f;
  if (exponent == 0x1f) return sign * (mantissa ? NAN : INFINITY);
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 0x400), exponent - 25);
}

}  // namespace ascend_attention::testdata
