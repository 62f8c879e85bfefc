// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/isa/insns/gm_store.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "tools/vnpu/core/types.h"
#include "tools/vnpu/isa/insns/numeric.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

template <typename T>
T Combine(uint8_t op, T old_value, T value) {
  switch (op) {
    case kAtomicMax:
      return std::max(old_value, value);
    case kAtomicMin:
      return std::min(old_value, value);
    default:
      return static_cast<T>(old_value + value);
  }
}

template <typename T>
struct Plain {
  using Bits = T;
  static T Load(T bits) { return bits; }
  static T Store(T value) { return value; }
};
struct Half {
  using Bits = uint16_t;
  static float Load(uint16_t bits) { return HalfToFloat(bits); }
  static uint16_t Store(float value) { return FloatToHalf(value); }
};
struct Bfloat {
  using Bits = uint16_t;
  static float Load(uint16_t bits) { return BfloatToFloat(bits); }
  static uint16_t Store(float value) { return FloatToBfloat(value); }
};

template <typename Format>
void Accumulate(uint8_t op, uint8_t* dst, const uint8_t* src, uint64_t bytes) {
  using Bits = typename Format::Bits;
  for (uint64_t at = 0; at + sizeof(Bits) <= bytes; at += sizeof(Bits)) {
    Bits a, b;
    std::memcpy(&a, dst + at, sizeof(a));
    std::memcpy(&b, src + at, sizeof(b));
    a = Format::Store(Combine(op, Format::Load(a), Format::Load(b)));
    std::memcpy(dst + at, &a, sizeof(a));
  }
}

}  // namespace

void StoreToGm(const Spr& spr, uint8_t* dst, const uint8_t* src, uint64_t bytes) {
  if (spr.atomic_type == VNPU_T_none) {
    std::memcpy(dst, src, bytes);
    return;
  }
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  switch (spr.atomic_type) {
    case VNPU_T_f32:
      return Accumulate<Plain<float>>(spr.atomic_op, dst, src, bytes);
    case VNPU_T_f16:
      return Accumulate<Half>(spr.atomic_op, dst, src, bytes);
    case VNPU_T_bf16:
      return Accumulate<Bfloat>(spr.atomic_op, dst, src, bytes);
    case VNPU_T_s32:
      return Accumulate<Plain<int32_t>>(spr.atomic_op, dst, src, bytes);
    case VNPU_T_s16:
      return Accumulate<Plain<int16_t>>(spr.atomic_op, dst, src, bytes);
    default:
      return Accumulate<Plain<int8_t>>(spr.atomic_op, dst, src, bytes);
  }
}

void CopyRows(uint8_t* dst, int64_t dst_pitch, const uint8_t* src, int64_t src_pitch,
              uint64_t count, uint64_t bytes) {
  const auto row = static_cast<int64_t>(bytes);
  if (dst_pitch == row && src_pitch == row) {
    std::memcpy(dst, src, count * bytes);
    return;
  }
  for (uint64_t i = 0; i < count; ++i) {
    std::memcpy(dst, src, bytes);
    dst += dst_pitch;
    src += src_pitch;
  }
}

void StoreRowsToGm(const Spr& spr, uint8_t* dst, int64_t dst_pitch, const uint8_t* src,
                   int64_t src_pitch, uint64_t count, uint64_t bytes) {
  if (spr.atomic_type == VNPU_T_none) {
    CopyRows(dst, dst_pitch, src, src_pitch, count, bytes);
    return;
  }
  for (uint64_t i = 0; i < count; ++i) {
    StoreToGm(spr, dst, src, bytes);
    dst += dst_pitch;
    src += src_pitch;
  }
}

}  // namespace vnpu
