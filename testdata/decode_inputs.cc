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

enum Stream : uint32_t {
  kQuery,
  kKey,
  kValue,
  kOneHot,
  kPageOrder,
  kPageDraw,
  kKeyScale,
  kValueScale,
  kKeyOffset,
  kValueOffset,
};

constexpr double kQueryScale = 2.0;
constexpr double kSharpQueryScale = 16.0;
constexpr int64_t kOutlierPeriod = 32;
constexpr int64_t kOutlierFirst = 7;
constexpr int64_t kOutlierStep = 5;
constexpr double kOutlierKeyScale = 64.0;
constexpr double kOutlierQueryScale = 1.0 / 16.0;
constexpr double kBigQuery = 1024.0;
constexpr double kBigScore = 6.0e4;
constexpr int kInt8Bend = 128;
constexpr int kInt8Divisor = 640;
constexpr int8_t kInt8Poison = -128;
constexpr float kScaleStep = 1.0f / (1 << 19);
constexpr int kChannelScaleMin = 2048;
constexpr int kTokenScaleMin = 1024;
constexpr float kOffsetStep = 5.0f / 64.0f;
constexpr int kOffsetLevels = 256;

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

int8_t Int8Of(uint16_t lane) {
  const int bell = (lane >> 8) - (lane & 255);
  const int size = std::abs(bell) * (kInt8Bend + std::abs(bell)) / kInt8Divisor;
  return static_cast<int8_t>(std::clamp(bell < 0 ? -size : size, -128, 127));
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

  // [q_lens[sequence], num_heads, head_dim]
  void Queries(int64_t sequence, uint16_t* out) const {
    const DecodeCase& c = problem_;
    Lanes lanes(c.seed, kQuery, sequence);
    const double scale = c.sharp ? kSharpQueryScale : kQueryScale;
    for (int64_t row = 0; row < c.q_lens[sequence] * c.num_heads; ++row) {
      const int64_t kv_head = row % c.num_heads * c.num_kv_heads / c.num_heads;
      for (int64_t channel = 0; channel < c.head_dim; ++channel) {
        const uint16_t lane = lanes.At(row * c.head_dim + channel);
        if (c.bigscores && channel == 0) {
          *out++ = Bits(lane < 1 << 15 ? -kBigQuery : kBigQuery);
        } else {
          const bool outlier = c.outliers && IsOutlier(kv_head, channel);
          *out++ = Bits(Grid(lane) * (outlier ? scale * kOutlierQueryScale : scale));
        }
      }
    }
  }

  // One token's key or value of one kv head; T is uint16_t or int8_t.
  template <typename T>
  void Key(Lanes* lanes, int64_t token, int64_t kv_head, T* out) const {
    const int64_t first = (token * problem_.num_kv_heads + kv_head) * problem_.head_dim;
    for (int64_t channel = 0; channel < problem_.head_dim; ++channel) {
      KeyElement(lanes->At(first + channel), kv_head, channel, out++);
    }
  }

  template <typename T>
  void Value(Lanes* lanes, int64_t token, int64_t kv_head, T* out) const {
    const int64_t row = token * problem_.num_kv_heads + kv_head;
    const int64_t hot = problem_.onehot ? lanes->At(row) % problem_.head_dim : 0;
    for (int64_t channel = 0; channel < problem_.head_dim; ++channel) {
      if (problem_.onehot) {
        OneHotElement(channel == hot, out++);
      } else {
        ValueElement(lanes->At(row * problem_.head_dim + channel), out++);
      }
    }
  }

 private:
  void KeyElement(uint16_t lane, int64_t kv_head, int64_t channel, uint16_t* out) const {
    const DecodeCase& c = problem_;
    if (c.bigscores) {
      const double big = lane < 1 << 14 ? -big_key_ : big_key_;
      *out = Bits(channel == 0 ? big : Grid(lane) * 2.0);
    } else {
      const bool outlier = c.outliers && IsOutlier(kv_head, channel);
      *out = Bits(Grid(lane) * (outlier ? kOutlierKeyScale : 1.0));
    }
  }

  void KeyElement(uint16_t lane, int64_t kv_head, int64_t channel, int8_t* out) const {
    const DecodeCase& c = problem_;
    const int8_t value = Int8Of(lane);
    const bool tiny =
        c.outliers && c.kv_quant == KvQuant::kInt8Token && !IsOutlier(kv_head, channel);
    *out = tiny ? static_cast<int8_t>((value + 32) >> 6) : value;
  }

  void OneHotElement(bool hot, uint16_t* out) const { *out = Bits(hot ? 1.0 : 0.0); }
  void OneHotElement(bool hot, int8_t* out) const { *out = hot ? 127 : 0; }
  void ValueElement(uint16_t lane, uint16_t* out) const { *out = Bits(Grid(lane)); }
  void ValueElement(uint16_t lane, int8_t* out) const { *out = Int8Of(lane); }

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

KvStrides StridesOf(const DecodeCase& c) {
  const int64_t head_dim = c.head_dim;
  const int64_t block = c.kv_block_size * c.num_kv_heads * head_dim * (c.interleaved ? 2 : 1);
  return c.headmajor ? KvStrides{block, head_dim, c.kv_block_size * head_dim}
                     : KvStrides{block, c.num_kv_heads * head_dim, head_dim};
}

// Key and value cache, with T elements; poisoned.
template <typename T>
struct Caches {
  T* keys;
  T* values;
};

template <typename T>
Caches<T> Allocate(const DecodeCase& c, T poison, DecodeInputs* inputs, std::vector<T>* keys,
                   std::vector<T>* values, std::vector<T>* pool) {
  const int64_t block = c.kv_block_size * c.num_kv_heads * c.head_dim;
  const size_t size = static_cast<size_t>(inputs->num_kv_blocks * block);
  inputs->kv_strides = StridesOf(c);
  if (c.interleaved) {
    pool->assign(2 * size, poison);
    inputs->values_begin = block;
    return {pool->data(), pool->data() + block};
  }
  keys->assign(size, poison);
  values->assign(size, poison);
  return {keys->data(), values->data()};
}

// Fills kv blocks with the tokens of units.
template <typename T>
class CacheWriter {
 public:
  CacheWriter(const Generator& generator, const DecodeCase& problem, Caches<T> caches,
              DecodeInputs* inputs)
      : generator_(generator), problem_(problem), caches_(caches), inputs_(inputs) {}

  // Tokens [first, first + count) of a unit, to slots 0, 1, ... of a kv block.
  void Fill(int64_t block, int64_t unit, int64_t first, int64_t count) const {
    const DecodeCase& c = problem_;
    Lanes key(c.seed, kKey, unit);
    Lanes value(c.seed, c.onehot ? kOneHot : kValue, unit);
    for (int64_t slot = 0; slot < count; ++slot) {
      for (int64_t head = 0; head < c.num_kv_heads; ++head) {
        const KvStrides& by = inputs_->kv_strides;
        const int64_t at = block * by.block + slot * by.token + head * by.head;
        generator_.Key(&key, first + slot, head, caches_.keys + at);
        generator_.Value(&value, first + slot, head, caches_.values + at);
      }
    }
    if (c.kv_quant == KvQuant::kInt8Token) {
      const float large = c.outliers ? static_cast<float>(kOutlierKeyScale) : 1.0f;
      FillScales(block, unit, first, count, kKeyScale, large, &inputs_->key_scale);
      FillScales(block, unit, first, count, kValueScale, 1.0f, &inputs_->value_scale);
    }
  }

 private:
  void FillScales(int64_t block, int64_t unit, int64_t first, int64_t count, Stream stream,
                  float large, std::vector<float>* scales) const {
    const DecodeCase& c = problem_;
    Lanes lanes(c.seed, stream, unit);
    for (int64_t slot = 0; slot < count; ++slot) {
      for (int64_t head = 0; head < c.num_kv_heads; ++head) {
        const int lane = lanes.At((first + slot) * c.num_kv_heads + head);
        (*scales)[(block * c.num_kv_heads + head) * c.kv_block_size + slot] =
            static_cast<float>(kTokenScaleMin + (lane * 7 >> 6)) * (kScaleStep * large);
      }
    }
  }

  const Generator& generator_;
  const DecodeCase& problem_;
  Caches<T> caches_;
  DecodeInputs* inputs_;
};

template <typename T>
void FillSequences(const DecodeCase& c, const DecodeInputs& inputs, const CacheWriter<T>& writer) {
  for (int64_t sequence = 0; sequence < c.batch; ++sequence) {
    for (int64_t i = 0; i < BlocksOf(c, sequence); ++i) {
      const int64_t first = i * c.kv_block_size;
      const int64_t count = std::min(c.kv_block_size, c.context_lens[sequence] - first);
      writer.Fill(inputs.block_table[sequence * c.max_kv_blocks() + i], sequence, first, count);
    }
  }
}

template <typename T>
void FillShared(const DecodeCase& c, const DecodeInputs& inputs, const std::vector<int32_t>& used,
                const CacheWriter<T>& writer) {
  std::vector<int64_t> valid(static_cast<size_t>(inputs.num_kv_blocks), 0);
  for (int64_t sequence = 0; sequence < c.batch; ++sequence) {
    for (int64_t i = 0; i < BlocksOf(c, sequence); ++i) {
      const int64_t count =
          std::min(c.kv_block_size, c.context_lens[sequence] - i * c.kv_block_size);
      int64_t& slots = valid[inputs.block_table[sequence * c.max_kv_blocks() + i]];
      slots = std::max(slots, count);
    }
  }
  for (size_t rank = 0; rank < used.size(); ++rank) {
    if (valid[used[rank]] > 0) {
      writer.Fill(used[rank], static_cast<int64_t>(rank), 0, valid[used[rank]]);
    }
  }
}

template <typename T>
void FillCaches(const Generator& generator, const DecodeCase& c, Caches<T> caches,
                const std::vector<int32_t>& used, DecodeInputs* inputs) {
  const CacheWriter<T> writer(generator, c, caches, inputs);
  if (c.shared) {
    FillShared(c, *inputs, used, writer);
  } else {
    FillSequences(c, *inputs, writer);
  }
}

std::vector<float> ChannelScales(const DecodeCase& c, Stream stream) {
  Lanes lanes(c.seed, stream, 0);
  std::vector<float> scales(static_cast<size_t>(c.num_kv_heads * c.head_dim));
  for (size_t i = 0; i < scales.size(); ++i) {
    const int lane = lanes.At(static_cast<int64_t>(i));
    scales[i] = static_cast<float>(kChannelScaleMin + (lane * 3 >> 5)) * kScaleStep;
  }
  return scales;
}

std::vector<float> ChannelOffsets(const DecodeCase& c, Stream stream) {
  Lanes lanes(c.seed, stream, 0);
  std::vector<float> offsets(static_cast<size_t>(c.num_kv_heads * c.head_dim));
  for (size_t i = 0; i < offsets.size(); ++i) {
    const int level = lanes.At(static_cast<int64_t>(i)) >> 8;
    offsets[i] = static_cast<float>(2 * level + 1 - kOffsetLevels) * kOffsetStep;
  }
  return offsets;
}

// Per channel whole; per token NaN, to be filled with the tokens.
void MakeScales(const DecodeCase& c, DecodeInputs* inputs) {
  if (c.kv_quant == KvQuant::kNone) return;
  if (c.kv_quant == KvQuant::kInt8Token) {
    const int64_t size = inputs->num_kv_blocks * c.num_kv_heads * c.kv_block_size;
    inputs->key_scale.assign(static_cast<size_t>(size), NAN);
    inputs->value_scale = inputs->key_scale;
    return;
  }
  inputs->key_scale = ChannelScales(c, kKeyScale);
  inputs->value_scale = ChannelScales(c, kValueScale);
  for (int64_t i = 0; c.outliers && i < c.num_kv_heads * c.head_dim; ++i) {
    if (IsOutlier(i / c.head_dim, i % c.head_dim)) inputs->key_scale[i] *= kOutlierKeyScale;
  }
  if (c.kv_quant == KvQuant::kInt8ChannelAsym) {
    inputs->key_offset = ChannelOffsets(c, kKeyOffset);
    inputs->value_offset = ChannelOffsets(c, kValueOffset);
  }
}

template <typename T>
Bytes BytesOf(const std::vector<T>& values) {
  return {values.data(), values.size() * sizeof(T)};
}

}  // namespace

Bytes DecodeInputs::KeyBytes() const {
  for (const Bytes& bytes : {BytesOf(key_cache), BytesOf(key_cache_int8), BytesOf(pool)}) {
    if (bytes.size > 0) return bytes;
  }
  return BytesOf(pool_int8);
}

Bytes DecodeInputs::ValueBytes() const {
  return value_cache.empty() ? BytesOf(value_cache_int8) : BytesOf(value_cache);
}

DecodeInputs MakeInputs(const DecodeCase& problem) {
  DecodeInputs inputs;
  inputs.softmax_scale = problem.softmax_scale();
  const std::vector<int32_t> used = MakeBlockTable(problem, &inputs);
  MakeScales(problem, &inputs);

  const Generator generator(problem);
  const int64_t query_row = problem.num_heads * problem.head_dim;
  inputs.query.resize(static_cast<size_t>(problem.num_query_rows() * query_row));
  int64_t first_row = 0;
  for (int64_t sequence = 0; sequence < problem.batch; ++sequence) {
    generator.Queries(sequence, &inputs.query[first_row * query_row]);
    first_row += problem.q_lens[sequence];
  }

  if (problem.kv_quant == KvQuant::kNone) {
    const Caches<uint16_t> caches = Allocate(problem, NanBits(problem.bfloat16), &inputs,
                                             &inputs.key_cache, &inputs.value_cache, &inputs.pool);
    FillCaches(generator, problem, caches, used, &inputs);
  } else {
    const Caches<int8_t> caches = Allocate(problem, kInt8Poison, &inputs, &inputs.key_cache_int8,
                                           &inputs.value_cache_int8, &inputs.pool_int8);
    FillCaches(generator, problem, caches, used, &inputs);
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
