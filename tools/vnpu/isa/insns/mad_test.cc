// SPDX-License-Identifier: Apache-2.0
// mad against a triple loop, bit for bit: types, odd shapes, initial values,
// bias, M = 1; rubbish beyond m, k and n must not matter.
#include <algorithm>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 256 * 1024;
constexpr int64_t kA = 0, kB = 64 * 1024, kBias = 128 * 1024;  // in L1
constexpr int64_t kNz2nd = 1;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Shape {
  int64_t m, k, n;
};
const Shape kShapes[] = {{16, 16, 16}, {1, 16, 16},  {1, 70, 40},  {2, 128, 128}, {4, 128, 96},
                         {5, 33, 17},  {17, 300, 5}, {30, 70, 40}, {48, 64, 128}, {16, 1, 1}};

class MadTest : public testing::TestWithParam<Format> {
 protected:
  MadTest() : player_(CoreKind::kCube, kImage) {
    out_ = static_cast<uint8_t*>(player_.device().Allocate(256 * 1024));
  }
  int bytes() const { return GetParam().bytes; }
  int c0() const { return 32 / bytes(); }
  bool whole() const { return GetParam().type == VNPU_T_s8; }
  uint32_t acc_type() const { return whole() ? VNPU_T_s32 : VNPU_T_f32; }

  uint64_t Random1(Random* random) {
    const double v = random->Real(-2, 2);
    if (whole()) return random->Below(256);
    if (GetParam().type == VNPU_T_f16) return HalfBits(v);
    if (GetParam().type == VNPU_T_bf16) return BfloatBits(v);
    return FloatBitsOf(static_cast<float>(v));
  }
  float Real(uint64_t bits) const {
    if (GetParam().type == VNPU_T_f16)
      return static_cast<float>(HalfValue(static_cast<uint16_t>(bits)));
    if (GetParam().type == VNPU_T_bf16)
      return static_cast<float>(BfloatValue(static_cast<uint16_t>(bits)));
    return FloatOf(static_cast<uint32_t>(bits));
  }

  // A and B as fractals in L1, nan (or 0x7f bytes) wherever no element lies.
  void Fill(const Shape& s) {
    Random random(s.m * 1000 + s.k + s.n);
    std::memset(player_.image(), 0x7f, kImage);
    a_.assign(s.m * s.k, 0);
    b_.assign(s.k * s.n, 0);
    const int64_t k1 = CeilDiv(s.k, c0()), n1 = CeilDiv(s.n, 16);
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t k = 0; k < s.k; ++k) {
        const uint64_t bits = a_[m * s.k + k] = Random1(&random);
        const int64_t at = s.m == 1
                               ? k * bytes()
                               : (m / 16 * k1 + k / c0()) * 512 + m % 16 * 32 + k % c0() * bytes();
        std::memcpy(player_.image() + kA + at, &bits, bytes());
      }
    }
    for (int64_t k = 0; k < s.k; ++k) {
      for (int64_t n = 0; n < s.n; ++n) {
        const uint64_t bits = b_[k * s.n + n] = Random1(&random);
        const int64_t at = (k / c0() * n1 + n / 16) * 512 + n % 16 * 32 + k % c0() * bytes();
        std::memcpy(player_.image() + kB + at, &bits, bytes());
      }
    }
    for (int64_t n = 0; n < 256; ++n) {
      const uint32_t bits =
          whole() ? static_cast<uint32_t>(n * 1000 - 7) : FloatBitsOf(0.25f * n - 3);
      player_.Put(kBias + n * 4, bits);
    }
  }
  void Load(const Shape& s) {
    const int64_t a_fractals = CeilDiv(s.m, 16) * CeilDiv(s.k, c0());
    const int64_t b_fractals = CeilDiv(s.k, c0()) * CeilDiv(s.n, 16);
    LoadFractals(VNPU_INSN_load_cbuf_to_ca, kA, a_fractals);
    LoadFractals(VNPU_INSN_load_cbuf_to_cb, kB, b_fractals);
    player_.Step(VNPU_INSN_copy_cbuf_to_bt, 0, 0, kBias, 0, 1, 16, 0, 0);
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
  }
  void LoadFractals(uint32_t insn, int64_t from, int64_t count) {
    for (int64_t first = 0; first < count; first += 200) {
      player_.Step(insn, GetParam().type, first * 512, from + first * 512, 0,
                   std::min<int64_t>(200, count - first), 1, 0, 0, 0, 0);
    }
  }
  void Store(const Shape& s) {
    player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, acc_type(), reinterpret_cast<int64_t>(out_), 0, 0,
                 s.n, s.m, s.n, CeilDiv(s.m, 16) * 16, 0, 0, 0, 0, kNz2nd);
  }
  // start: 0 zero, 1 bias, 2 the result of one mad before.
  uint32_t Expected(const Shape& s, int64_t m, int64_t n, int start) {
    if (whole()) {
      int64_t sum = start == 1 ? n * 1000 - 7 : 0;
      for (int round = 0; round < (start == 2 ? 2 : 1); ++round) {
        for (int64_t k = 0; k < s.k; ++k) {
          sum +=
              int64_t{static_cast<int8_t>(a_[m * s.k + k])} * static_cast<int8_t>(b_[k * s.n + n]);
        }
      }
      return static_cast<uint32_t>(sum);
    }
    volatile float sum = start == 1 ? 0.25f * static_cast<float>(n) - 3 : 0.0f;
    for (int round = 0; round < (start == 2 ? 2 : 1); ++round) {
      for (int64_t k = 0; k < s.k; ++k) {
        volatile float product = Real(a_[m * s.k + k]) * Real(b_[k * s.n + n]);
        sum = sum + product;
      }
    }
    return FloatBitsOf(sum);
  }
  void Check(const Shape& s, int start, const char* what) {
    ASSERT_EQ(player_.Run(), "") << what;
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t n = 0; n < s.n; ++n) {
        ASSERT_EQ(GetBits(out_ + (m * s.n + n) * 4, 4), Expected(s, m, n, start))
            << what << " m" << s.m << " k" << s.k << " n" << s.n << " at " << m << "," << n;
      }
    }
  }

  Player player_;
  uint8_t* out_;
  std::vector<uint64_t> a_, b_;
};

TEST_P(MadTest, ProductsSumInOrderOfK) {
  for (const Shape& s : kShapes) {
    Fill(s);
    Load(s);
    player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, s.m, s.k, s.n, 0, 0, 0, 1);
    Store(s);
    Check(s, 0, "from zero");
  }
}

TEST_P(MadTest, AccumulatesOntoTheOldResult) {
  for (const Shape& s : kShapes) {
    Fill(s);
    Load(s);
    player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, s.m, s.k, s.n, 0, 0, 0, 1);
    player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, s.m, s.k, s.n, 0, 0, 0, 0);
    Store(s);
    Check(s, 2, "twice");
  }
}

TEST_P(MadTest, StartsFromTheBiasTable) {
  for (const Shape& s : kShapes) {
    if (s.n > 256) continue;
    for (uint32_t insn : {VNPU_INSN_mad, VNPU_INSN_mad_bias}) {
      Fill(s);
      Load(s);
      player_.Step(insn, GetParam().type, 0, 0, 0, s.m, s.k, s.n, 0, 0, 1, 0, 0);
      Store(s);
      Check(s, 1, "from bias");
    }
  }
}

// Columns and rows that were not multiplied keep what L0C held before.
TEST_P(MadTest, WritesOnlyTheExactResult) {
  const Shape big = {32, 16, 32}, small = {18, 16, 20};
  Fill(big);
  Load(big);
  player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, big.m, big.k, big.n, 0, 0, 0, 1);
  player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, small.m, small.k, small.n, 0, 0, 0, 0);
  Store(big);
  ASSERT_EQ(player_.Run(), "");
  for (int64_t m = 0; m < big.m; ++m) {
    for (int64_t n = 0; n < big.n; ++n) {
      const int start = m < small.m && n < small.n ? 2 : 0;
      ASSERT_EQ(GetBits(out_ + (m * big.n + n) * 4, 4), Expected(big, m, n, start))
          << m << "," << n;
    }
  }
}

TEST_P(MadTest, ZeroSizesDoNothing) {
  const Shape s = {16, 16, 16};
  Fill(s);
  Load(s);
  player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, s.m, s.k, s.n, 0, 0, 0, 1);
  player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, 0, s.k, s.n, 0, 0, 0, 1);
  player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, s.m, 0, s.n, 0, 0, 0, 1);
  player_.Step(VNPU_INSN_mad, GetParam().type, 0, 0, 0, s.m, s.k, 0, 0, 0, 0, 1);
  Store(s);
  Check(s, 0, "zero sizes");
}

INSTANTIATE_TEST_SUITE_P(Types, MadTest, testing::Values(kF16, kBf16, kF32, kS8),
                         [](const auto& param) { return std::string(param.param.name); });

// The bias table: halves widened on the way, and an address other than 0.
TEST(Mad, BiasFromHalvesAtAnAddress) {
  Player player(CoreKind::kCube, kImage);
  auto* out = static_cast<uint8_t*>(player.device().Allocate(4096));
  for (int i = 0; i < 32; ++i) player.Put(kBias + i * 2, HalfBits(i * 0.5 - 3));
  player.Step(VNPU_INSN_create_ca_matrix, VNPU_T_f16, 0, 1 | 1 << 16, HalfBits(1));
  player.Step(VNPU_INSN_create_cb_matrix, VNPU_T_f16, 0, 1 | 1 << 16, HalfBits(0.25));
  player.Step(VNPU_INSN_copy_cbuf_to_bt, 0, 128, kBias, 1, 1, 1, 0, 0);  // 32 floats from byte 128
  player.Step(VNPU_INSN_set_nd_para, 0, 1);
  player.Step(VNPU_INSN_mad_bias, VNPU_T_f16, 0, 0, 0, 16, 16, 16, 0, 0, 1, 0, 128 + 64);
  player.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f32, reinterpret_cast<int64_t>(out), 0, 0, 16,
              16, 16, 16, 0, 0, 0, 0, kNz2nd);
  ASSERT_EQ(player.Run(), "");
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(FloatOf(GetBits(out + i * 4, 4)), static_cast<float>((16 + i % 16) * 0.5 - 3 + 4));
  }
}

// int4, two to a byte: k elements are k / 2 bytes, a fractal is 64 elements deep.
TEST(Mad, Int4) {
  for (const Shape& s : kShapes) {
    Player player(CoreKind::kCube, kImage);
    auto* out = static_cast<uint8_t*>(player.device().Allocate(256 * 1024));
    std::memset(player.image(), 0x77, kImage);
    Random random(static_cast<uint64_t>(s.m * 31 + s.k));
    std::vector<int> a(s.m * s.k), b(s.k * s.n);
    const int64_t k1 = CeilDiv(s.k, 64), n1 = CeilDiv(s.n, 16);
    const auto put = [&](int64_t at, int64_t k, int v) {
      uint8_t& byte = player.image()[at];
      byte = static_cast<uint8_t>(k % 2 == 0 ? (byte & 0xf0) | (v & 15)
                                             : (byte & 0x0f) | (v & 15) << 4);
    };
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t k = 0; k < s.k; ++k) {
        a[m * s.k + k] = static_cast<int>(random.Below(16)) - 8;
        const int64_t at =
            s.m == 1 ? k / 2 : (m / 16 * k1 + k / 64) * 512 + m % 16 * 32 + k % 64 / 2;
        put(kA + at, k, a[m * s.k + k]);
      }
    }
    for (int64_t k = 0; k < s.k; ++k) {
      for (int64_t n = 0; n < s.n; ++n) {
        b[k * s.n + n] = static_cast<int>(random.Below(16)) - 8;
        put(kB + (k / 64 * n1 + n / 16) * 512 + n % 16 * 32 + k % 64 / 2, k, b[k * s.n + n]);
      }
    }
    player.Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_s8, 0, kA, 0, CeilDiv(s.m, 16) * k1, 1, 0, 0, 0,
                0);
    player.Step(VNPU_INSN_load_cbuf_to_cb, VNPU_T_s8, 0, kB, 0, k1 * n1, 1, 0, 0, 0, 0);
    player.Step(VNPU_INSN_set_nd_para, 0, 1);
    player.Step(VNPU_INSN_mad_s4, VNPU_T_s4, 0, 0, 0, s.m, s.k, s.n, 0, 0, 0, 1);
    player.Step(VNPU_INSN_mad_s4, VNPU_T_s4, 0, 0, 0, s.m, s.k, s.n, 0, 0, 0, 0);
    player.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_s32, reinterpret_cast<int64_t>(out), 0, 0,
                s.n, s.m, s.n, CeilDiv(s.m, 16) * 16, 0, 0, 0, 0, kNz2nd);
    ASSERT_EQ(player.Run(), "");
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t n = 0; n < s.n; ++n) {
        int sum = 0;
        for (int64_t k = 0; k < s.k; ++k) sum += a[m * s.k + k] * b[k * s.n + n];
        ASSERT_EQ(static_cast<int32_t>(GetBits(out + (m * s.n + n) * 4, 4)), 2 * sum)
            << s.m << "x" << s.k << "x" << s.n << " at " << m << "," << n;
      }
    }
  }
}

// HF32: 11 stored bits of fraction; ties to even, or toward zero.
float Hf32(float v, bool ties_to_zero) {
  if (!std::isfinite(v) || v == 0) return v;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(v), -126) - 11);
  const double scaled = std::fabs(v) / unit, down = std::floor(scaled);
  const bool up =
      scaled - down > 0.5 || (scaled - down == 0.5 && !ties_to_zero && std::fmod(down, 2.0) == 1.0);
  return static_cast<float>(std::copysign((down + (up ? 1 : 0)) * unit, v));
}

TEST(Mad, Hf32RoundsTheOperands) {
  constexpr int64_t kM = 16, kK = 8, kN = 16;
  for (const bool ties_to_zero : {false, true}) {
    Player player(CoreKind::kCube, kImage);
    auto* out = static_cast<uint8_t*>(player.device().Allocate(4096));
    Random random(3);
    float a[kM][kK], b[kK][kN];
    const auto make = [&](int64_t i) {
      auto bits = FloatBitsOf(static_cast<float>(random.Real(-4, 4)));
      if (i % 2 == 0) bits = (bits & 0xfffff000u) | 0x800;  // a tie
      if (i % 5 == 0) bits = (bits & 0xfffff000u) | 0x801;  // just above
      return FloatOf(bits);
    };
    for (int64_t m = 0; m < kM; ++m) {
      for (int64_t k = 0; k < kK; ++k) {
        a[m][k] = make(m * kK + k);
        player.Put(kA + m * 32 + k * 4, a[m][k]);
      }
    }
    for (int64_t k = 0; k < kK; ++k) {
      for (int64_t n = 0; n < kN; ++n) {
        b[k][n] = make(k * kN + n + 1);
        player.Put(kB + n * 32 + k * 4, b[k][n]);
      }
    }
    player.Step(VNPU_INSN_set_ctrl, 0,
                uint64_t{1} << 46 | static_cast<uint64_t>(ties_to_zero) << 47);
    player.Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_f32, 0, kA, 0, 1, 1, 0, 0, 0, 0);
    player.Step(VNPU_INSN_load_cbuf_to_cb, VNPU_T_f32, 0, kB, 0, 1, 1, 0, 0, 0, 0);
    player.Step(VNPU_INSN_set_nd_para, 0, 1);
    player.Step(VNPU_INSN_mad, VNPU_T_f32, 0, 0, 0, kM, kK, kN, 0, 0, 0, 1);
    player.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f32, reinterpret_cast<int64_t>(out), 0, 0,
                kN, kM, kN, 16, 0, 0, 0, 0, kNz2nd);
    ASSERT_EQ(player.Run(), "");
    for (int64_t m = 0; m < kM; ++m) {
      for (int64_t n = 0; n < kN; ++n) {
        volatile float sum = 0;
        for (int64_t k = 0; k < kK; ++k) {
          volatile float product = Hf32(a[m][k], ties_to_zero) * Hf32(b[k][n], ties_to_zero);
          sum = sum + product;
        }
        ASSERT_EQ(GetBits(out + (m * kN + n) * 4, 4), FloatBitsOf(sum)) << m << "," << n;
      }
    }
  }
}

// kDirectionAlign: row groups of a float A lie whole pairs of fractals apart.
TEST(Mad, FloatRowGroupsOfPairs) {
  Player player(CoreKind::kCube, kImage);
  auto* out = static_cast<uint8_t*>(player.device().Allocate(64 * 1024));
  constexpr int64_t kM = 20, kK = 24, kN = 16;  // three fractals along k, four with alignment
  std::memset(player.image(), 0x7f, kImage);
  for (int64_t m = 0; m < kM; ++m) {
    for (int64_t k = 0; k < kK; ++k) {
      player.Put(kA + (m / 16 * 4 + k / 8) * 512 + m % 16 * 32 + k % 8 * 4,
                 static_cast<float>(m * 100 + k));
    }
  }
  for (int64_t k = 0; k < kK; ++k) {
    for (int64_t n = 0; n < kN; ++n)
      player.Put(kB + k / 8 * 512 + n * 32 + k % 8 * 4, k == n ? 1.0f : 0.0f);
  }
  player.Step(VNPU_INSN_load_cbuf_to_ca, VNPU_T_f32, 0, kA, 0, 8, 1, 0, 0, 0, 0);
  player.Step(VNPU_INSN_load_cbuf_to_cb, VNPU_T_f32, 0, kB, 0, 3, 1, 0, 0, 0, 0);
  player.Step(VNPU_INSN_set_nd_para, 0, 1);
  player.Step(VNPU_INSN_mad, VNPU_T_f32, 0, 0, 0, kM, kK, kN, 0, 1, 0, 1);
  player.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f32, reinterpret_cast<int64_t>(out), 0, 0, kN,
              kM, kN, 32, 0, 0, 0, 0, kNz2nd);
  ASSERT_EQ(player.Run(), "");
  for (int64_t m = 0; m < kM; ++m) {
    for (int64_t n = 0; n < kN; ++n) {
      EXPECT_EQ(FloatOf(GetBits(out + (m * kN + n) * 4, 4)), static_cast<float>(m * 100 + n));
    }
  }
}

}  // namespace
}  // namespace vnpu_test
