// SPDX-License-Identifier: Apache-2.0
// Fixpipe against plain loops: layouts to GM and L1, several matrices, relu,
// conversions, quantisation by scalar and by column, atomics.
#include <algorithm>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 256 * 1024;
constexpr int64_t kIdentity = 0, kValues = 4096, kWords = 64 * 1024, kL1Out = 128 * 1024;
constexpr int64_t kRows = 64, kColumns = 64;  // of the matrix that is put into L0C
constexpr uint64_t kKeep = uint64_t{1} << 48;

enum Mode {
  kNoQuant = 0,
  kF32F16 = 1,
  kVReq8 = 2,
  kReq8 = 3,
  kVDeqF16 = 4,
  kDeqF16 = 5,
  kVShift = 12,
  kShift = 13,
  kF32Bf16 = 16,
  kVQuantB8 = 23,
  kQuantB8 = 24
};

class FixpipeTest : public testing::Test {
 protected:
  FixpipeTest() : player_(CoreKind::kCube, kImage) {
    gm_ = static_cast<uint8_t*>(player_.device().Allocate(256 * 1024));
  }
  // L0C[row][column] = value(row, column), by multiplying with an identity:
  // floats exactly, integers as whole numbers in -128..127 times `factor`.
  void FillL0c(bool whole, const std::function<double(int64_t, int64_t)>& value) {
    std::memset(player_.image(), 0, kImage);
    values_.assign(kRows * kColumns, 0);
    if (whole) {
      // s8: A = values [64, 64] (two fractals along k), B = 100 * identity.
      for (int64_t r = 0; r < kRows; ++r) {
        for (int64_t c = 0; c < kColumns; ++c) {
          const auto v = static_cast<int8_t>(value(r, c));
          values_[r * kColumns + c] = 100.0 * v;
          player_.Put(kValues + (r / 16 * 2 + c / 32) * 512 + r % 16 * 32 + c % 32, v);
        }
        player_.Put(kIdentity + (r / 32 * 4 + r / 16) * 512 + r % 16 * 32 + r % 32, int8_t{100});
      }
      Load(VNPU_T_s8, 8);
      return;
    }
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kColumns; ++c) {
        const auto v = static_cast<float>(value(r, c));
        values_[r * kColumns + c] = v;
        player_.Put(kValues + (r / 16 * 8 + c / 8) * 512 + r % 16 * 32 + c % 8 * 4, v);
      }
      player_.Put(kIdentity + 24 * 1024 + (r / 8 * 4 + r / 16) * 512 + r % 16 * 32 + r % 8 * 4,
                  1.0f);
    }
    Load(VNPU_T_f32, 32);
  }
  void Load(uint32_t type, int64_t fractals) {
    const int64_t identity = type == VNPU_T_s8 ? kIdentity : kIdentity + 24 * 1024;
    player_.Step(VNPU_INSN_load_cbuf_to_ca, type, 0, kValues, 0, fractals, 1, 0, 0, 0, 0);
    player_.Step(VNPU_INSN_load_cbuf_to_cb, type, 0, identity, 0, fractals, 1, 0, 0, 0, 0);
    player_.Step(VNPU_INSN_mad, type, 0, 0, 0, kRows, 64, kColumns, 0, 0, 0, 1);
  }
  double At(int64_t row, int64_t column) const { return values_[row * kColumns + column]; }
  int64_t gm() const { return reinterpret_cast<int64_t>(gm_); }

  Player player_;
  uint8_t* gm_;
  std::vector<double> values_;
};

double Ramp(int64_t r, int64_t c) { return static_cast<double>(r * 64 + c) / 16 - 100; }
double Small(int64_t r, int64_t c) { return static_cast<double>((r * 37 + c * 11) % 255) - 127; }

uint64_t Word(float scale, int64_t offset, bool is_signed) {
  return FloatBitsOf(scale) | (static_cast<uint64_t>(offset) & 0x1ff) << 37 |
         uint64_t{is_signed} << 46;
}

int64_t Quantised(double v, double scale, int64_t offset, bool is_signed) {
  const double t =
      std::min(std::max(static_cast<double>(static_cast<float>(v * scale)), -256.0), 255.0);
  const int64_t low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  return std::min(std::max(static_cast<int64_t>(std::nearbyint(t)) + offset, low), high);
}

TEST_F(FixpipeTest, RowMajorWithSeveralMatrices) {
  for (int64_t matrices : {1, 2, 4}) {
    for (const auto& [n, m] : {std::pair<int64_t, int64_t>{16, 16}, {5, 3}, {32, 16}, {17, 11}}) {
      FillL0c(false, Ramp);
      std::memset(gm_, 0xee, 65536);
      // Matrix g starts one group of 16 rows further down: 1024 bytes.
      player_.Step(VNPU_INSN_set_nd_para, 0, matrices | int64_t{1} << 16 | int64_t{4096} << 32);
      player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f32, gm(), 0, 0, n, m, 40, kRows, 0,
                   kNoQuant, 0, 0, 1);
      ASSERT_EQ(player_.Run(), "");
      for (int64_t i = 0; i < 16384; ++i) {
        const int64_t g = i / 4096, row = i % 4096 / 40, column = i % 4096 % 40;
        const auto got = static_cast<uint32_t>(GetBits(gm_ + i * 4, 4));
        if (g < matrices && row < m && column < n) {
          ASSERT_EQ(FloatOf(got), At(g * 16 + row, column)) << g << "," << row << "," << column;
        } else {
          ASSERT_EQ(got, 0xeeeeeeeeu) << i;
        }
      }
    }
  }
}

TEST_F(FixpipeTest, NeedsNdPara) {
  FillL0c(false, Ramp);
  player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f32, gm(), 0, 0, 16, 16, 16, kRows, 0,
               kNoQuant, 0, 0, 1);
  EXPECT_EQ(player_.Run().substr(0, 63),
            "undefined register: copy_matrix_cc_to_gm needs set_nd_para befo");
}

// To L1 without nz2nd: column blocks of 16, 32 (8 bits) or 8 (split) columns.
TEST_F(FixpipeTest, ColumnBlocksToL1AndGm) {
  constexpr int64_t kN = 64, kM = 20, kStride = 70;  // stride in datablocks
  const struct {
    int64_t mode;
    uint32_t type;
    int64_t bytes, split;
  } forms[] = {{kF32F16, VNPU_T_f16, 2, 0},  {kF32Bf16, VNPU_T_bf16, 2, 0},
               {kNoQuant, VNPU_T_f32, 4, 0}, {kNoQuant, VNPU_T_f32, 4, 1},
               {kQuantB8, VNPU_T_s8, 1, 0},  {kQuantB8, VNPU_T_u8, 1, 0}};
  for (const auto& f : forms) {
    const bool is_signed = f.type == VNPU_T_s8;
    for (const bool to_l1 : {true, false}) {
      FillL0c(false, Ramp);
      std::memset(gm_, 0, 65536);
      player_.Step(VNPU_INSN_set_quant_pre, 0, Word(0.5f, 3, is_signed));
      player_.Step(to_l1 ? VNPU_INSN_copy_matrix_cc_to_cbuf : VNPU_INSN_copy_matrix_cc_to_gm,
                   f.type, to_l1 ? kL1Out : gm(), 0, 0, kN, kM, kStride, kRows, 0, f.mode, 0,
                   f.split, 0);
      ASSERT_EQ(player_.Run(), "");
      const uint8_t* out = to_l1 ? player_.image() + kL1Out : gm_;
      const int64_t block = f.bytes == 1 ? 32 : f.split != 0 ? 8 : 16;
      for (int64_t r = 0; r < kM; ++r) {
        for (int64_t c = 0; c < kN; ++c) {
          const int64_t at = c / block * kStride * 32 + r * block * f.bytes + c % block * f.bytes;
          const uint64_t got = GetBits(out + at, static_cast<int>(f.bytes));
          const uint64_t want = f.type == VNPU_T_f16    ? HalfBits(At(r, c))
                                : f.type == VNPU_T_bf16 ? BfloatBits(At(r, c))
                                : f.bytes == 1
                                    ? static_cast<uint8_t>(Quantised(At(r, c), 0.5, 3, is_signed))
                                    : FloatBitsOf(static_cast<float>(At(r, c)));
          ASSERT_EQ(got, want) << "mode " << f.mode << " at " << r << "," << c;
        }
      }
    }
  }
}

TEST_F(FixpipeTest, IntegersAndRelu) {
  for (const bool to_l1 : {true, false}) {
    FillL0c(true, Small);
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
    player_.Step(to_l1 ? VNPU_INSN_copy_matrix_cc_to_cbuf : VNPU_INSN_copy_matrix_cc_to_gm,
                 VNPU_T_s32, to_l1 ? kL1Out : gm(), 0, 0, 64, 64, 64, kRows, 0, kNoQuant, 1, 0, 1);
    ASSERT_EQ(player_.Run(), "");
    const uint8_t* out = to_l1 ? player_.image() + kL1Out : gm_;
    for (int64_t i = 0; i < 4096; ++i) {
      ASSERT_EQ(static_cast<int32_t>(GetBits(out + i * 4, 4)), std::max(0.0, At(i / 64, i % 64)));
    }
  }
}

TEST_F(FixpipeTest, QuantisesByOneWord) {
  // 0.0123 with the 13 low mantissa bits cleared: what hardware uses.
  const float scale = FloatOf(FloatBitsOf(0.0123f) & 0xffffe000u);
  for (const bool is_signed : {true, false}) {
    for (int64_t offset : {0, 9, -200}) {
      FillL0c(true, Small);
      player_.Step(VNPU_INSN_set_nd_para, 0, 1);
      player_.Step(VNPU_INSN_set_quant_pre, 0, Word(0.0123f, offset, is_signed));
      player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, is_signed ? VNPU_T_s8 : VNPU_T_u8, gm(), 0, 0,
                   64, 64, 64, kRows, 0, kReq8, 0, 0, 1);
      player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f16, gm() + 8192, 0, 0, 64, 64, 64, kRows,
                   0, kDeqF16, 0, 0, 1);
      ASSERT_EQ(player_.Run(), "");
      for (int64_t i = 0; i < 4096; ++i) {
        const double v = At(i / 64, i % 64);
        ASSERT_EQ(gm_[i], static_cast<uint8_t>(Quantised(v, scale, offset, is_signed))) << i;
        ASSERT_EQ(GetBits(gm_ + 8192 + i * 2, 2), HalfBits(static_cast<float>(v * scale))) << i;
      }
    }
  }
}

TEST_F(FixpipeTest, QuantisesByColumn) {
  for (const int64_t mode : {int64_t{kVReq8}, int64_t{kVQuantB8}, int64_t{kVDeqF16}}) {
    const bool whole = mode != kVQuantB8;
    FillL0c(whole, whole ? Small : Ramp);
    for (int64_t c = 0; c < 64; ++c) {
      // Powers of two and small offsets: exact scales.
      player_.Put(kWords + c * 8, Word(std::ldexp(1.0f, -static_cast<int>(c % 7)), c - 30, true));
    }
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
    player_.Step(VNPU_INSN_copy_cbuf_to_fbuf, 0, 256, kWords, 1, 4, 0, 0);
    player_.Step(VNPU_INSN_set_fpc, 0, 2 << 8);  // 256 bytes
    player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, mode == kVDeqF16 ? VNPU_T_f16 : VNPU_T_s8, gm(), 0,
                 0, 64, 64, 64, kRows, 0, mode, 0, 0, 1);
    ASSERT_EQ(player_.Run(), "");
    for (int64_t i = 0; i < 4096; ++i) {
      const int64_t c = i % 64;
      const double scale = std::ldexp(1.0, -static_cast<int>(c % 7)), v = At(i / 64, c);
      if (mode == kVDeqF16) {
        const double h = HalfValue(HalfBits(v * scale));
        ASSERT_EQ(HalfValue(static_cast<uint16_t>(GetBits(gm_ + i * 2, 2))), h) << i;
      } else {
        ASSERT_EQ(static_cast<int8_t>(gm_[i]), Quantised(v, scale, c - 30, true)) << i;
      }
    }
  }
}

uint64_t ShiftWord(int shift, bool enabled) {
  return static_cast<uint64_t>(shift) << 32 | uint64_t{enabled} << 36;
}
int64_t ShiftedS16(double v, int shift) {
  return std::min<int64_t>(std::max<int64_t>(static_cast<int64_t>(v) >> shift, -32768), 32767);
}

// int32 to int16 by a shift for all or per column, row-major and in column
// blocks, to GM and L1.
TEST_F(FixpipeTest, ShiftsToInt16) {
  for (const bool by_column : {false, true}) {
    for (const bool to_l1 : {false, true}) {
      FillL0c(true,
              [](int64_t r, int64_t c) { return static_cast<double>((r * 64 + c) % 255) - 127; });
      // Squares of the sums: beyond int16 without a shift.
      for (int64_t c = 0; c < 64; ++c)
        player_.Put(kWords + c * 8, ShiftWord(static_cast<int>(c % 16), c != 5));
      player_.Step(VNPU_INSN_copy_cbuf_to_fbuf, 0, 256, kWords, 1, 4, 0, 0);
      player_.Step(VNPU_INSN_set_fpc, 0, 2 << 8);
      player_.Step(VNPU_INSN_set_quant_pre, 0, ShiftWord(3, true));
      player_.Step(VNPU_INSN_set_nd_para, 0, 1);
      const int64_t mode = by_column ? kVShift : kShift;
      if (to_l1) {
        player_.Step(VNPU_INSN_copy_matrix_cc_to_cbuf, VNPU_T_s16, kL1Out, 0, 0, 64, 20, 70, kRows,
                     0, mode, 0, 0, 0);
      } else {
        player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_s16, gm(), 0, 0, 64, 20, 64, kRows, 0,
                     mode, 1, 0, 1);
      }
      ASSERT_EQ(player_.Run(), "");
      for (int64_t r = 0; r < 20; ++r) {
        for (int64_t c = 0; c < 64; ++c) {
          const int shift = !by_column ? 3 : c == 5 ? 0 : static_cast<int>(c % 16);
          const double v = to_l1 ? At(r, c) : std::max(0.0, At(r, c));
          const uint8_t* at =
              to_l1 ? player_.image() + kL1Out + c / 16 * 70 * 32 + r * 32 + c % 16 * 2
                    : gm_ + (r * 64 + c) * 2;
          ASSERT_EQ(static_cast<int16_t>(GetBits(at, 2)), ShiftedS16(v, shift)) << r << "," << c;
        }
      }
    }
  }
}

// With the shift enabled the other integer modes scale what it leaves.
TEST_F(FixpipeTest, ShiftsBeforeScaling) {
  FillL0c(true, Small);
  player_.Step(VNPU_INSN_set_nd_para, 0, 1);
  player_.Step(VNPU_INSN_set_quant_pre, 0, Word(0.25f, 7, true) | ShiftWord(4, true));
  player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_s8, gm(), 0, 0, 64, 64, 64, kRows, 0, kReq8,
               0, 0, 1);
  player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f16, gm() + 8192, 0, 0, 64, 64, 64, kRows, 0,
               kDeqF16, 0, 0, 1);
  ASSERT_EQ(player_.Run(), "");
  for (int64_t i = 0; i < 4096; ++i) {
    const auto v = static_cast<double>(ShiftedS16(At(i / 64, i % 64), 4));
    ASSERT_EQ(static_cast<int8_t>(gm_[i]), Quantised(v, 0.25, 7, true)) << i;
    ASSERT_EQ(GetBits(gm_ + 8192 + i * 2, 2), HalfBits(v * 0.25)) << i;
  }
}

// Negative values times one factor (mode 2, or 1 under CTRL bit 50), or one
// per column.
TEST_F(FixpipeTest, LeakyReluScalesNegativeValues) {
  enum { kByMode, kByCtrl, kByHalf, kByColumn };
  for (const int form : {kByMode, kByCtrl, kByHalf, kByColumn}) {
    FillL0c(false, Ramp);
    for (int64_t c = 0; c < 64; ++c) {
      // The low 13 bits of a factor are ignored.
      player_.Put(kWords + c * 4, FloatBitsOf(0.125f * static_cast<float>(c % 9)) | 0x1fff);
    }
    player_.Step(VNPU_INSN_copy_cbuf_to_fbuf, 0, 128, kWords, 1, 2, 0, 0);
    player_.Step(VNPU_INSN_set_fpc, 0, 128 / 64);
    if (form == kByHalf) {
      player_.Step(VNPU_INSN_set_lrelu_alpha, 0, HalfBits(0.25), 1);
    } else {
      player_.Step(VNPU_INSN_set_lrelu_alpha, 0, FloatBitsOf(0.25f), 0);
    }
    player_.Step(VNPU_INSN_set_ctrl, 0, kKeep | static_cast<uint64_t>(form == kByCtrl) << 50);
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
    player_.Step(VNPU_INSN_set_quant_pre, 0, Word(0.5f, 3, true));
    const int64_t relu = form == kByCtrl ? 1 : form == kByColumn ? 3 : 2;
    const struct {
      int64_t mode;
      uint32_t type;
    } outs[] = {{kNoQuant, VNPU_T_f32}, {kF32F16, VNPU_T_f16}, {kQuantB8, VNPU_T_s8}};
    for (int i = 0; i < 3; ++i) {
      player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, outs[i].type, gm() + i * 32768, 0, 0, 64, 64, 64,
                   kRows, 0, outs[i].mode, relu, 0, 1);
    }
    ASSERT_EQ(player_.Run(), "");
    for (int64_t i = 0; i < 4096; ++i) {
      const double factor = form == kByColumn ? 0.125 * static_cast<double>(i % 64 % 9) : 0.25;
      const double x = At(i / 64, i % 64), v = x < 0 ? x * factor : x;
      ASSERT_EQ(FloatOf(static_cast<uint32_t>(GetBits(gm_ + i * 4, 4))), static_cast<float>(v))
          << i;
      ASSERT_EQ(HalfValue(static_cast<uint16_t>(GetBits(gm_ + 32768 + i * 2, 2))),
                HalfValue(HalfBits(v)))
          << i;
      ASSERT_EQ(static_cast<int8_t>(gm_[65536 + i]), Quantised(v, 0.5, 3, true)) << i;
    }
  }
}

TEST_F(FixpipeTest, OverflowFollowsCtrl) {
  for (const bool keep : {true, false}) {
    FillL0c(false, [](int64_t r, int64_t) { return r % 2 == 0 ? 70000.0 : -1e30; });
    player_.Step(VNPU_INSN_set_ctrl, 0, keep ? kKeep : 0);
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
    player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f16, gm(), 0, 0, 16, 2, 16, kRows, 0,
                 kF32F16, 0, 0, 1);
    ASSERT_EQ(player_.Run(), "");
    EXPECT_EQ(GetBits(gm_, 2), keep ? 0x7c00u : 0x7bffu);
    EXPECT_EQ(GetBits(gm_ + 32, 2), keep ? 0xfc00u : 0xfbffu);
  }
}

TEST_F(FixpipeTest, AtomicAddAccumulatesInGm) {
  FillL0c(false, Ramp);
  for (int64_t i = 0; i < 256; ++i) {
    const float v = static_cast<float>(i);
    std::memcpy(gm_ + i * 4, &v, 4);
  }
  player_.Step(VNPU_INSN_set_nd_para, 0, 1);
  player_.Step(VNPU_INSN_set_atomic_f32, 0);
  player_.Step(VNPU_INSN_set_atomic_add, 0);
  player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_f32, gm(), 0, 0, 16, 16, 16, kRows, 0,
               kNoQuant, 0, 0, 1);
  player_.Step(VNPU_INSN_set_atomic_none, 0);
  ASSERT_EQ(player_.Run(), "");
  for (int64_t i = 0; i < 256; ++i) {
    EXPECT_EQ(FloatOf(GetBits(gm_ + i * 4, 4)),
              static_cast<float>(i) + static_cast<float>(At(i / 16, i % 16)));
  }
}

TEST_F(FixpipeTest, RefusesWhatItCannotMean) {
  const struct {
    uint32_t type;
    int64_t n, stride, mode, relu, split, nz2nd;
    const char* start;
  } bad[] = {
      {VNPU_T_f16, 16, kRows, kNoQuant, 0, 0, 1,
       "bad argument: copy_matrix_cc_to_gm quantisation mode 0"},
      {VNPU_T_f32, 20, kRows, kNoQuant, 0, 0, 0, "bad argument: copy_matrix_cc_to_gm nSize = 20"},
      {VNPU_T_f32, 32, 8, kNoQuant, 0, 0, 1, "bad argument: copy_matrix_cc_to_gm srcStride = 8"},
      {VNPU_T_f32, 16, kRows, kNoQuant, 2, 0, 1,
       "undefined register: copy_matrix_cc_to_gm needs set_lrelu_alpha"},
      {VNPU_T_f32, 16, kRows, kNoQuant, 3, 0, 1,
       "undefined register: copy_matrix_cc_to_gm needs set_fpc"},
      {VNPU_T_f16, 16, kRows, kShift, 0, 0, 1,
       "bad argument: copy_matrix_cc_to_gm quantisation mode 13"},
      {VNPU_T_s32, 16, kRows, kNoQuant, 3, 0, 1, "not modelled: copy_matrix_cc_to_gm leaky relu"},
      {VNPU_T_s16, 16, kRows, kShift, 3, 0, 1, "not modelled: copy_matrix_cc_to_gm leaky relu"},
      {VNPU_T_s32, 16, kRows, 14, 0, 0, 1,
       "not modelled: copy_matrix_cc_to_gm quantisation mode 14"},
      {VNPU_T_f16, 16, kRows, kF32F16, 0, 1, 0, "bad argument: copy_matrix_cc_to_gm channelSplit"},
      {VNPU_T_s8, 48, kRows, kQuantB8, 0, 0, 0, "not modelled: copy_matrix_cc_to_gm an odd number"},
  };
  for (const auto& b : bad) {
    FillL0c(false, Ramp);
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
    player_.Step(VNPU_INSN_set_quant_pre, 0, Word(1.0f, 0, true));
    player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, b.type, gm(), 0, 0, b.n, 16, 64, b.stride, 0,
                 b.mode, b.relu, b.split, b.nz2nd);
    const std::string text = player_.Run();
    EXPECT_EQ(text.substr(0, std::strlen(b.start)), b.start);
  }
  FillL0c(false, Ramp);
  player_.Step(VNPU_INSN_set_nd_para, 0, 1);
  player_.Step(VNPU_INSN_set_quant_pre, 0, Word(1.0f, 0, true) | ShiftWord(1, true));
  player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, VNPU_T_s8, gm(), 0, 0, 16, 16, 64, kRows, 0,
               kQuantB8, 0, 0, 1);
  const std::string start = "not modelled: copy_matrix_cc_to_gm the shift";
  EXPECT_EQ(player_.Run().substr(0, start.size()), start);
}

}  // namespace
}  // namespace vnpu_test
