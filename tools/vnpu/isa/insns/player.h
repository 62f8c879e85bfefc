// SPDX-License-Identifier: Apache-2.0
// Runs intrinsics on one core and hands back its memory: the harness of the
// tests beside it. Also number formats written for the tests alone, with
// arithmetic on doubles instead of the machine's bit tricks.
#ifndef VNPU_ISA_INSNS_PLAYER_H_
#define VNPU_ISA_INSNS_PLAYER_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/isa/insns/program.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu_test {

// ---- formats

inline double DecodeFormat(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
  const double sign = (bits >> (exponent_bits + mantissa_bits) & 1) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? std::nan("") : sign * INFINITY;
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(1.0 + std::ldexp(mantissa, -mantissa_bits), exponent - bias);
}

// Rounds to nearest even unless `round` says otherwise (std::floor, ...).
inline uint32_t EncodeFormat(double v, int exponent_bits, int mantissa_bits,
                             double (*round)(double) = std::nearbyint) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t sign = std::signbit(v) ? 1u << (exponent_bits + mantissa_bits) : 0;
  const uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
  if (std::isnan(v)) return sign | infinity | 1u << (mantissa_bits - 1);
  if (std::isinf(v)) return sign | infinity;
  if (v == 0) return sign;
  int exponent = std::max(std::ilogb(v), 1 - bias);
  const double scaled = std::fabs(round(std::ldexp(v, mantissa_bits - exponent)));
  auto mantissa = static_cast<uint64_t>(scaled);
  if (mantissa >= uint64_t{2} << mantissa_bits) {
    mantissa >>= 1;
    ++exponent;
  }
  if (exponent > bias) return sign | infinity;
  // A denormal has exponent field 0; a mantissa that reached 2^bits is normal.
  const uint32_t field = mantissa < uint64_t{1} << mantissa_bits ? 0 : exponent + bias;
  return sign | field << mantissa_bits |
         static_cast<uint32_t>(mantissa & ((1u << mantissa_bits) - 1));
}

inline double HalfValue(uint16_t h) { return DecodeFormat(h, 5, 10); }
inline uint16_t HalfBits(double v) { return static_cast<uint16_t>(EncodeFormat(v, 5, 10)); }
inline double BfloatValue(uint16_t b) { return DecodeFormat(b, 8, 7); }
inline uint16_t BfloatBits(double v) { return static_cast<uint16_t>(EncodeFormat(v, 8, 7)); }
inline uint32_t FloatBitsOf(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return bits;
}
inline float FloatOf(uint32_t bits) {
  float v;
  std::memcpy(&v, &bits, sizeof(v));
  return v;
}

// ---- deterministic numbers

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint64_t Below(uint64_t limit) { return Next() % limit; }
  // Uniform in [low, high).
  double Real(double low, double high) {
    return low + (high - low) * static_cast<double>(Next() >> 11) / 9007199254740992.0;
  }

 private:
  uint64_t state_;
};

// ---- the machine

enum class CoreKind { kVector, kCube };

// Watches every player made from now on, if set.
inline vnpu::Observer*& PlayerObserver() {
  static vnpu::Observer* observer = nullptr;
  return observer;
}

class Player {
 public:
  Player(CoreKind kind, uint64_t image_bytes) : image_bytes_(image_bytes) {
    const char* name = kind == CoreKind::kVector ? "play_vector" : "play_cube";
    std::string error;
    module_ =
        vnpu::KernelModule::LoadFile(std::string("tools/vnpu/isa/insns/") + name + ".so", &error);
    EXPECT_NE(module_, nullptr) << error;
    kernel_ = module_ == nullptr ? nullptr : module_->Find(std::string(name) + "_0");
    vnpu::DeviceConfig config;
    config.host_threads = 1;
    device_ = std::make_unique<vnpu::Device>(config);
    if (PlayerObserver() != nullptr) device_->AddObserver(PlayerObserver());
    program_ = static_cast<Program*>(device_->Allocate(sizeof(Program)));
    image_ = static_cast<uint8_t*>(device_->Allocate(image_bytes));
    std::memset(image_, 0, image_bytes);
    Clear();
  }

  void Clear() {
    std::memset(program_, 0, sizeof(Program));
    program_->image_bytes = image_bytes_;
  }
  template <typename... Args>
  void Step(uint32_t insn, uint32_t type, Args... args) {
    ASSERT_LT(program_->num_steps, static_cast<uint64_t>(kMaxSteps));
    auto& step = program_->steps[program_->num_steps++];
    const int64_t values[] = {static_cast<int64_t>(args)..., 0};
    static_assert(sizeof...(Args) <= kStepArgs, "too many arguments");
    step.insn = insn;
    step.type = type;
    for (size_t i = 0; i < sizeof...(Args); ++i) step.args[i] = values[i];
  }
  // All lanes in normal mode.
  void FullMask() { Mask(~uint64_t{0}, ~uint64_t{0}); }
  void Mask(uint64_t high, uint64_t low) {
    Step(VNPU_INSN_set_mask_norm, 0);
    Step(VNPU_INSN_set_vector_mask, 0, high, low);
  }
  void CountMask(uint64_t count) {
    Step(VNPU_INSN_set_mask_count, 0);
    Step(VNPU_INSN_set_vector_mask, 0, 0, count);
  }

  // Runs the steps and forgets them; the text of a fault, or empty.
  std::string Run() {
    const void* args[2] = {program_, image_};
    const vnpu::LaunchResult result = device_->Launch(*kernel_, 1, args, sizeof(args));
    values_.assign(program_->values, program_->values + program_->read_back);
    Clear();
    return result.text;
  }

  uint8_t* image() { return image_; }
  template <typename T>
  T Get(uint64_t offset) const {
    T value;
    std::memcpy(&value, image_ + offset, sizeof(T));
    return value;
  }
  template <typename T>
  void Put(uint64_t offset, T value) {
    std::memcpy(image_ + offset, &value, sizeof(T));
  }
  uint64_t image_bytes() const { return image_bytes_; }
  // What get_* instructions have read.
  const std::vector<uint64_t>& values() const { return values_; }
  vnpu::Device& device() { return *device_; }

 private:
  const uint64_t image_bytes_;
  std::shared_ptr<vnpu::KernelModule> module_;
  const vnpu::Kernel* kernel_ = nullptr;
  std::unique_ptr<vnpu::Device> device_;
  Program* program_ = nullptr;
  uint8_t* image_ = nullptr;
  std::vector<uint64_t> values_;
};

}  // namespace vnpu_test

#endif  // VNPU_ISA_INSNS_PLAYER_H_
