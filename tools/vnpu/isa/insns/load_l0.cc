// SPDX-License-Identifier: Apache-2.0
// L1 and GM to L0A and L0B in 512-byte fractals, L1 also transposed; fills; bias
// table and fixpipe buffer.
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/numeric.h"

namespace vnpu {
namespace insns {
namespace {

constexpr int64_t kFractal = kFractalBytes;

uint32_t ElementBytes(uint32_t type) { return type == VNPU_T_s8 ? 1 : type == VNPU_T_f16 ? 2 : 4; }

// out[c][r] = in[r][c] of a 16 x 16 square of 2-byte elements.
void Transpose16(const uint8_t* in, uint8_t* out) {
  uint16_t a[256], b[256];
  std::memcpy(a, in, sizeof(a));
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) b[c * 16 + r] = a[r * 16 + c];
  }
  std::memcpy(out, b, sizeof(b));
}

// A 32 x 32 square of bytes: two stacked fractals in, two out.
void Transpose8(const uint8_t* in, uint8_t* out0, uint8_t* out1) {
  for (int r = 0; r < 32; ++r) {
    for (int c = 0; c < 32; ++c) {
      uint8_t* out = c < 16 ? out0 : out1;
      out[(c % 16) * 32 + r] = in[r * 32 + c];
    }
  }
}

// A 16 x 16 square of words: two 16 x 8 fractals side by side, in and out.
void Transpose32(const uint8_t* in, uint8_t* out0, uint8_t* out1) {
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) {
      uint8_t* out = r < 8 ? out0 : out1;
      std::memcpy(out + (c * 8 + r % 8) * 4, in + (c / 8) * 512 + (r * 8 + c % 8) * 4, 4);
    }
  }
}

}  // namespace

// Repeat r copies 512 bytes from src + (baseIdx + r * srcStride) * 512 to
// dst + r * (dstGap + 1) * 512.
void LoadL1ToL0(Exec& x) {
  const uint64_t repeat = x.u(3);
  if (repeat == 0) return;
  if (x.u(7) != 0 && x.type() != VNPU_T_f16) {
    x.Unsupported("transpose of elements that are not 16 bits; load_*_transpose is");
  }
  const int64_t stride = x.arg(4) * kFractal * (x.arg(8) != 0 ? -1 : 1);
  const int64_t pitch = (x.arg(5) + 1) * kFractal;
  const uint64_t base = x.u(1) + x.u(2) * kFractal;
  if (base % kBlockBytes != 0) x.Fail("misaligned", "operand src must be a multiple of 32 bytes");
  const uint8_t* src = x.Access(1, base, Runs(kFractal, Dim{repeat, stride}), false, 0, nullptr, 0);
  uint8_t* dst = x.Write(0, Runs(kFractal, Dim{repeat, pitch}));
  if (x.u(7) == 0 && stride == kFractal && pitch == kFractal) {
    std::memcpy(dst, src, repeat * kFractal);
    return;
  }
  for (uint64_t r = 0; r < repeat; ++r, src += stride, dst += pitch) {
    if (x.u(7) != 0) {
      Transpose16(src, dst);
    } else {
      std::memcpy(dst, src, kFractal);
    }
  }
}

// The same from GM, without transposition.
void LoadGm(Exec& x) {
  const uint64_t repeat = x.u(3);
  if (repeat == 0) return;
  const int64_t stride = x.arg(4) * kFractal * (x.arg(7) != 0 ? -1 : 1);
  const int64_t pitch = (x.arg(5) + 1) * kFractal;
  const uint64_t base = x.u(1) + x.u(2) * kFractal;
  const uint8_t* src = x.Access(1, base, Runs(kFractal, Dim{repeat, stride}), false, 0, nullptr, 0);
  uint8_t* dst = x.Write(0, Runs(kFractal, Dim{repeat, pitch}));
  for (uint64_t r = 0; r < repeat; ++r, src += stride, dst += pitch) {
    std::memcpy(dst, src, kFractal);
  }
}

// Squares of 16 x 16 (b16, b32) or 32 x 32 (b8) elements. dstGap counts from
// the end of the first fractal of one repeat to the start of the next repeat.
void LoadL1ToL0Transpose(Exec& x) {
  const uint64_t repeat = x.u(3);
  if (repeat == 0) return;
  const uint32_t element = ElementBytes(x.type());
  const uint64_t fractals = element == 2 ? 1 : 2;
  const int64_t square = static_cast<int64_t>(fractals) * kFractal;
  const int64_t stride = x.arg(4) * square * (x.arg(6) != 0 ? -1 : 1);
  const int64_t pitch = (x.arg(5) + 1) * kFractal;
  const int64_t second = (x.arg(7) + 1) * kFractal;
  const uint64_t base = x.u(1) + x.u(2) * static_cast<uint64_t>(square);
  const uint8_t* src = x.Access(1, base, Runs(static_cast<uint64_t>(square), Dim{repeat, stride}),
                                false, 0, nullptr, 0);
  uint8_t* dst = x.Write(0, Runs(kFractal, Dim{repeat, pitch}, Dim{fractals, second}));
  if (fractals == 2 && repeat > 1 && pitch == second) {
    x.Fail("bad argument", "dstGap = " + std::to_string(x.arg(5)) +
                               " makes the second fractal of one repeat overlap the next repeat");
  }
  for (uint64_t r = 0; r < repeat; ++r, src += stride, dst += pitch) {
    if (element == 2) {
      Transpose16(src, dst);
    } else if (element == 1) {
      Transpose8(src, dst, dst + second);
    } else {
      Transpose32(src, dst, dst + second);
    }
  }
}

// config: repeats [14:0], blocks per repeat [30:16], gap in blocks [46:32].
void CreateMatrix(Exec& x) {
  const uint64_t config = x.u(1);
  const uint64_t repeats = config & 0x7fff, blocks = config >> 16 & 0x7fff;
  const uint64_t gap = config >> 32 & 0x7fff;
  const uint64_t block = x.insn() == VNPU_INSN_create_cbuf_matrix ? kBlockBytes : kFractalBytes;
  if (repeats == 0 || blocks == 0) return;
  const uint64_t bytes = blocks * block;
  const auto pitch = static_cast<int64_t>(bytes + gap * block);
  uint8_t* dst = x.Write(0, Runs(bytes, Dim{repeats, pitch}));
  const bool word = x.type() == VNPU_T_f32 || x.type() == VNPU_T_s32 || x.type() == VNPU_T_u32;
  const uint32_t value =
      word ? static_cast<uint32_t>(x.u(2)) : static_cast<uint32_t>(x.u(2)) * 0x10001u;
  for (uint64_t r = 0; r < repeats; ++r, dst += pitch) {
    for (uint64_t at = 0; at < bytes; at += sizeof(value)) {
      std::memcpy(dst + at, &value, sizeof(value));
    }
  }
}

void CopyL1ToBt(Exec& x) {
  const bool widen = x.u(2) != 0;
  constexpr uint64_t kUnit = 64;
  const uint64_t count = x.u(3), bytes = x.u(4) * kUnit;
  if (count == 0 || bytes == 0) return;
  const uint64_t dst_bytes = widen ? 2 * bytes : bytes;
  const auto src_pitch = static_cast<int64_t>(bytes + x.u(5) * kBlockBytes);
  const auto dst_pitch = static_cast<int64_t>(dst_bytes + x.u(6) * kUnit);
  const uint8_t* src = x.Read(1, Runs(bytes, Dim{count, src_pitch}));
  uint8_t* dst = x.Write(0, Runs(dst_bytes, Dim{count, dst_pitch}));
  for (uint64_t i = 0; i < count; ++i, src += src_pitch, dst += dst_pitch) {
    if (!widen) {
      std::memcpy(dst, src, bytes);
      continue;
    }
    for (uint64_t at = 0; at < bytes / 2; ++at) {
      uint16_t half;
      std::memcpy(&half, src + at * 2, sizeof(half));
      const float wide = HalfToFloat(half);
      std::memcpy(dst + at * 4, &wide, sizeof(wide));
    }
  }
}

void CopyL1ToFb(Exec& x) {
  constexpr uint64_t kUnit = 128;
  const uint64_t count = x.u(2), bytes = x.u(3) * kUnit;
  if (count == 0 || bytes == 0) return;
  const auto src_pitch = static_cast<int64_t>(bytes + x.u(4) * kBlockBytes);
  const auto dst_pitch = static_cast<int64_t>(bytes + x.u(5) * kUnit);
  const uint8_t* src = x.Read(1, Runs(bytes, Dim{count, src_pitch}));
  uint8_t* dst = x.Write(0, Runs(bytes, Dim{count, dst_pitch}));
  for (uint64_t i = 0; i < count; ++i, src += src_pitch, dst += dst_pitch) {
    std::memcpy(dst, src, bytes);
  }
}

}  // namespace insns
}  // namespace vnpu
