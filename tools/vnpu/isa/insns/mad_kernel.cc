// SPDX-License-Identifier: Apache-2.0
// A is widened once to rows of accumulator type. B is widened in panels of 16
// columns by up to kPanelDepth k's, small enough for the host's first-level
// cache; a panel is multiplied with a few rows of A at a time, one vector of 16
// columns per row.
#include "tools/vnpu/isa/insns/mad_kernel.h"

#include <cstring>
#include <memory>

#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/insns/host_simd.h"
#include "tools/vnpu/isa/insns/numeric.h"

namespace vnpu {
namespace {

constexpr uint32_t kPanelDepth = 256;
constexpr uint32_t kColumns = 16;

using U16x16 = uint16_t __attribute__((vector_size(32)));

// One round of a 16 x 16 transposition; four rounds complete it.
VNPU_ALWAYS_INLINE void InterleaveRows(const U16x16* in, U16x16* out) {
  for (int i = 0; i < 8; ++i) {
    out[2 * i] = __builtin_shufflevector(in[i], in[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                         6, 22, 7, 23);
    out[2 * i + 1] = __builtin_shufflevector(in[i], in[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                             13, 29, 14, 30, 15, 31);
  }
}

// 16-bit elements, fractal of 16 columns (rows of the fractal) by 16 k.
template <float (*kWiden)(uint16_t)>
struct Format16 {
  using Acc = float;
  static constexpr uint32_t kC0 = 16;
  VNPU_ALWAYS_INLINE static void WidenRow(const uint8_t* src, float* dst) {
    uint16_t bits[kC0];
    std::memcpy(bits, src, sizeof(bits));
    for (uint32_t i = 0; i < kC0; ++i) dst[i] = kWiden(bits[i]);
  }
  VNPU_ALWAYS_INLINE static void WidenFractal(const uint8_t* src, float* panel) {
    U16x16 a[16], b[16];
    std::memcpy(a, src, sizeof(a));
    InterleaveRows(a, b);
    InterleaveRows(b, a);
    InterleaveRows(a, b);
    InterleaveRows(b, a);
    uint16_t bits[16 * 16];
    std::memcpy(bits, a, sizeof(bits));
    for (int i = 0; i < 16 * 16; ++i) panel[i] = kWiden(bits[i]);
  }
};

struct FormatFloat {
  using Acc = float;
  static constexpr uint32_t kC0 = 8;
  VNPU_ALWAYS_INLINE static void WidenRow(const uint8_t* src, float* dst) {
    std::memcpy(dst, src, kC0 * sizeof(float));
  }
  VNPU_ALWAYS_INLINE static void WidenFractal(const uint8_t* src, float* panel) {
    float rows[kColumns * kC0];
    std::memcpy(rows, src, sizeof(rows));
    for (uint32_t k = 0; k < kC0; ++k) {
      for (uint32_t n = 0; n < kColumns; ++n) panel[k * kColumns + n] = rows[n * kC0 + k];
    }
  }
};

// Drops 12 bits of the fraction, rounding to nearest; inf and nan stay.
template <bool kTiesToZero>
VNPU_ALWAYS_INLINE float ToHf32(float v) {
  const uint32_t bits = FloatBits(v);
  const uint32_t up = kTiesToZero ? 0x7ffu : 0x7ffu + (bits >> 12 & 1);
  const bool special = (bits & 0x7f800000u) == 0x7f800000u;
  return special ? v : BitsFloat((bits + up) & 0xfffff000u);
}

template <bool kTiesToZero>
struct FormatHf32 {
  using Acc = float;
  static constexpr uint32_t kC0 = FormatFloat::kC0;
  VNPU_ALWAYS_INLINE static void WidenRow(const uint8_t* src, float* dst) {
    FormatFloat::WidenRow(src, dst);
    for (uint32_t i = 0; i < kC0; ++i) dst[i] = ToHf32<kTiesToZero>(dst[i]);
  }
  VNPU_ALWAYS_INLINE static void WidenFractal(const uint8_t* src, float* panel) {
    FormatFloat::WidenFractal(src, panel);
    for (uint32_t i = 0; i < kC0 * kColumns; ++i) panel[i] = ToHf32<kTiesToZero>(panel[i]);
  }
};

// Sums wrap like the 32-bit accumulators.
struct FormatInt8 {
  using Acc = uint32_t;
  static constexpr uint32_t kC0 = 32;
  VNPU_ALWAYS_INLINE static void WidenRow(const uint8_t* src, uint32_t* dst) {
    for (uint32_t i = 0; i < kC0; ++i) {
      dst[i] = static_cast<uint32_t>(static_cast<int32_t>(static_cast<int8_t>(src[i])));
    }
  }
  VNPU_ALWAYS_INLINE static void WidenFractal(const uint8_t* src, uint32_t* panel) {
    for (uint32_t n = 0; n < kColumns; ++n) {
      uint32_t row[kC0];
      WidenRow(src + n * kC0, row);
      for (uint32_t k = 0; k < kC0; ++k) panel[k * kColumns + n] = row[k];
    }
  }
};

// Two elements to a byte, the even one in the low half.
struct FormatInt4 {
  using Acc = uint32_t;
  static constexpr uint32_t kC0 = 64;
  VNPU_ALWAYS_INLINE static uint32_t Extend(uint32_t nibble) { return (nibble ^ 8u) - 8u; }
  VNPU_ALWAYS_INLINE static void WidenRow(const uint8_t* src, uint32_t* dst) {
    for (uint32_t i = 0; i < kC0 / 2; ++i) {
      dst[2 * i] = Extend(src[i] & 15u);
      dst[2 * i + 1] = Extend(src[i] >> 4);
    }
  }
  VNPU_ALWAYS_INLINE static void WidenFractal(const uint8_t* src, uint32_t* panel) {
    for (uint32_t n = 0; n < kColumns; ++n) {
      uint32_t row[kC0];
      WidenRow(src + n * kBlockBytes, row);
      for (uint32_t k = 0; k < kC0; ++k) panel[k * kColumns + n] = row[k];
    }
  }
};

// gcc ignores vector_size on a dependent type.
template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = float __attribute__((vector_size(kColumns * sizeof(float))));
};
template <>
struct VectorOf<uint32_t> {
  using Type = uint32_t __attribute__((vector_size(kColumns * sizeof(uint32_t))));
};

// kRows rows of A times one panel, into kRows vectors of C.
template <typename Acc, int kRows>
VNPU_ALWAYS_INLINE void MultiplyRows(const Acc* a, uint32_t a_pitch, const Acc* panel,
                                     uint32_t depth, uint8_t* c, uint32_t columns) {
  using Vector = typename VectorOf<Acc>::Type;
  Vector sum[kRows];
  for (int r = 0; r < kRows; ++r) std::memcpy(&sum[r], c + r * 64, sizeof(Vector));
  for (uint32_t k = 0; k < depth; ++k) {
    Vector b;
    std::memcpy(&b, panel + k * kColumns, sizeof(b));
    for (int r = 0; r < kRows; ++r) sum[r] += b * a[r * a_pitch + k];
  }
  for (int r = 0; r < kRows; ++r) std::memcpy(c + r * 64, &sum[r], columns * sizeof(Acc));
}

template <typename Acc, int kRows>
VNPU_ALWAYS_INLINE void MultiplyPanel(uint32_t m, const Acc* a, uint32_t a_pitch, const Acc* panel,
                                      uint32_t depth, uint8_t* c, uint32_t columns) {
  uint32_t row = 0;
  for (; row + kRows <= m; row += kRows) {
    MultiplyRows<Acc, kRows>(a + row * a_pitch, a_pitch, panel, depth, c + row * 64, columns);
  }
  for (; row < m; ++row) {
    MultiplyRows<Acc, 1>(a + row * a_pitch, a_pitch, panel, depth, c + row * 64, columns);
  }
}

// A as rows of kC0 * k1 accumulators; L0A never holds more than two elements to
// a byte.
constexpr uint32_t kMaxWidened = 2 * kL0aBytes;

template <typename Acc>
Acc* Scratch() {
  static thread_local std::unique_ptr<Acc[]> scratch;
  if (!scratch) scratch = std::make_unique<Acc[]>(kMaxWidened);
  return scratch.get();
}

template <typename Format, int kRows>
VNPU_ALWAYS_INLINE void MadLoop(const MadShape& s, typename Format::Acc* widened, const uint8_t* a,
                                const uint8_t* b, uint8_t* c) {
  using Acc = typename Format::Acc;
  constexpr uint32_t kC0 = Format::kC0;
  constexpr uint32_t kFractalsPerPanel = kPanelDepth / kC0;
  const uint32_t a_pitch = s.k1 * kC0;
  for (uint32_t row = 0; row < s.m; ++row) {
    const uint8_t* from =
        a + static_cast<uint64_t>(row / 16) * s.a_pitch * kFractalBytes + (row % 16) * kBlockBytes;
    const uint32_t step = s.vector_a ? kBlockBytes : kFractalBytes;
    for (uint32_t k1 = 0; k1 < s.k1; ++k1) {
      Format::WidenRow(from + k1 * step, widened + row * a_pitch + k1 * kC0);
    }
  }
  alignas(64) Acc panel[kPanelDepth * kColumns];
  for (uint32_t n1 = 0; n1 < s.n1; ++n1) {
    const uint32_t columns = s.n - n1 * kColumns < kColumns ? s.n - n1 * kColumns : kColumns;
    uint8_t* c_block = c + static_cast<uint64_t>(n1) * s.c_rows * 64;
    for (uint32_t k1 = 0; k1 < s.k1; k1 += kFractalsPerPanel) {
      const uint32_t fractals = s.k1 - k1 < kFractalsPerPanel ? s.k1 - k1 : kFractalsPerPanel;
      for (uint32_t f = 0; f < fractals; ++f) {
        Format::WidenFractal(b + (static_cast<uint64_t>(k1 + f) * s.n1 + n1) * kFractalBytes,
                             panel + f * kC0 * kColumns);
      }
      const uint32_t left = s.k - k1 * kC0;
      const uint32_t depth = left < fractals * kC0 ? left : fractals * kC0;
      MultiplyPanel<Acc, kRows>(s.m, widened + k1 * kC0, a_pitch, panel, depth, c_block, columns);
    }
  }
}

#if VNPU_HAS_WIDE
template <typename Format>
VNPU_WIDE void MadWide(const MadShape& s, typename Format::Acc* widened, const uint8_t* a,
                       const uint8_t* b, uint8_t* c) {
  MadLoop<Format, 4>(s, widened, a, b, c);
}
#endif

template <typename Format>
void Dispatch(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  auto* widened = Scratch<typename Format::Acc>();
#if VNPU_HAS_WIDE
  if (HostIsWide()) return MadWide<Format>(s, widened, a, b, c);
#endif
  MadLoop<Format, 2>(s, widened, a, b, c);
}

}  // namespace

void MadHalf(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  Dispatch<Format16<HalfToFloat>>(s, a, b, c);
}
void MadBfloat(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  Dispatch<Format16<BfloatToFloat>>(s, a, b, c);
}
void MadFloat(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  Dispatch<FormatFloat>(s, a, b, c);
}
void MadHf32(const MadShape& s, bool ties_to_zero, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  if (ties_to_zero) return Dispatch<FormatHf32<true>>(s, a, b, c);
  Dispatch<FormatHf32<false>>(s, a, b, c);
}
void MadInt4(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  Dispatch<FormatInt4>(s, a, b, c);
}
void MadInt8(const MadShape& s, const uint8_t* a, const uint8_t* b, uint8_t* c) {
  Dispatch<FormatInt8>(s, a, b, c);
}

}  // namespace vnpu
