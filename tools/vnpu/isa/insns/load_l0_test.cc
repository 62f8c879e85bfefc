// SPDX-License-Identifier: Apache-2.0
// Loads into L0A and L0B, fractal by fractal. L0 cannot be read, so each
// fractal is multiplied with an identity and the product is stored to GM.
#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 64 * 1024;
constexpr int64_t kIdentity = 48 * 1024;   // in L1
constexpr int64_t kScratchL0 = 60 * 1024;  // of the identity in L0
constexpr int64_t kNz2nd = 1;

struct Width {
  Format format;
  int bytes;
  int c0() const { return 32 / bytes; }
};
const Width kWidths[] = {{kS8, 1}, {kF16, 2}, {kF32, 4}};

class LoadFixture {
 protected:
  explicit LoadFixture(const Width& width) : width_(width), player_(CoreKind::kCube, kImage) {
    out_ = static_cast<uint8_t*>(player_.device().Allocate(64 * 1024));
  }
  void FillL1() {
    const Width w = width_;
    Random random(5);
    for (int64_t at = 0; at < kIdentity; at += w.bytes)
      Put(at, static_cast<double>(random.Below(200)) - 100);
    // 16-row fractals of an identity of c0 rows.
    for (int64_t at = kIdentity; at < kIdentity + 1024; at += w.bytes) Put(at, 0);
    for (int i = 0; i < w.c0(); ++i) Put(kIdentity + i / 16 * 512 + i % 16 * 32 + i * w.bytes, 1);
  }
  void Put(int64_t at, double v) {
    const Width w = width_;
    const uint64_t bits = w.bytes == 1   ? static_cast<uint8_t>(static_cast<int8_t>(v))
                          : w.bytes == 2 ? HalfBits(v)
                                         : FloatBitsOf(static_cast<float>(v));
    std::memcpy(player_.image() + at, &bits, w.bytes);
  }
  double Value(int64_t at) {
    const uint64_t bits = GetBits(player_.image() + at, width_.bytes);
    return width_.bytes == 1   ? static_cast<int8_t>(bits)
           : width_.bytes == 2 ? HalfValue(static_cast<uint16_t>(bits))
                               : FloatOf(static_cast<uint32_t>(bits));
  }
  // Queues steps that store fractal `index` of L0B or L0A as slot `slot`.
  void ReadFractal(bool in_b, int64_t offset, int slot) {
    const Width w = width_;
    const int c0 = w.c0();
    const uint32_t type = w.format.type;
    if (in_b) {
      player_.Step(VNPU_INSN_mad, type, 0, kScratchL0, offset, c0, c0, 16, 0, 0, 0, 1);
    } else {
      player_.Step(VNPU_INSN_mad, type, 0, offset, kScratchL0, 16, c0, c0, 0, 0, 0, 1);
    }
    // Rows: k for L0B (columns n), rows m for L0A (columns k).
    const int rows = in_b ? c0 : 16, columns = in_b ? 16 : c0;
    player_.Step(VNPU_INSN_copy_matrix_cc_to_gm, w.bytes == 1 ? VNPU_T_s32 : VNPU_T_f32,
                 reinterpret_cast<int64_t>(out_ + slot * 2048), 0, 0, columns, rows, columns,
                 (rows + 15) / 16 * 16, 0, 0, 0, 0, kNz2nd);
  }
  // Element (row of the fractal, column) of what slot `slot` held.
  double Fractal(bool in_b, int slot, int row, int column) {
    const int c0 = width_.c0();
    const int64_t index = in_b ? column * 16 + row : row * c0 + column;
    const auto bits = static_cast<uint32_t>(GetBits(out_ + slot * 2048 + index * 4, 4));
    return width_.bytes == 1 ? static_cast<int32_t>(bits) : FloatOf(bits);
  }
  void LoadIdentity(bool into_a) {
    player_.Step(into_a ? VNPU_INSN_load_cbuf_to_ca : VNPU_INSN_load_cbuf_to_cb, width_.format.type,
                 kScratchL0, kIdentity, 0, 2, 1, 0, 0, 0, 0);
    player_.Step(VNPU_INSN_set_nd_para, 0, 1);
  }

  const Width width_;
  Player player_;
  uint8_t* out_;
};

class LoadTest : public testing::TestWithParam<Width>, protected LoadFixture {
 protected:
  LoadTest() : LoadFixture(GetParam()) {}
};
class HalfLoadTest : public testing::Test, protected LoadFixture {
 protected:
  HalfLoadTest() : LoadFixture(kWidths[1]) {}
};

struct Load {
  int64_t src, base, repeat, stride, gap;
  bool dec;
};

TEST_P(LoadTest, CopiesFractals) {
  const Width w = GetParam();
  const Load loads[] = {{0, 0, 8, 1, 0, false}, {0, 3, 4, 2, 1, false}, {64, 1, 5, 3, 2, false},
                        {0, 2, 6, 0, 0, false}, {0, 9, 4, 2, 0, true},  {0, 0, 0, 1, 0, false}};
  for (const bool in_b : {false, true}) {
    for (const Load& load : loads) {
      FillL1();
      LoadIdentity(in_b);
      player_.Step(in_b ? VNPU_INSN_load_cbuf_to_cb : VNPU_INSN_load_cbuf_to_ca, w.format.type, 512,
                   load.src, load.base, load.repeat, load.stride, load.gap, 0, 0, load.dec ? 1 : 0);
      for (int r = 0; r < load.repeat; ++r) ReadFractal(in_b, 512 + r * (load.gap + 1) * 512, r);
      ASSERT_EQ(player_.Run(), "");
      for (int r = 0; r < load.repeat; ++r) {
        const int64_t from =
            load.src + (load.base + r * (load.dec ? -load.stride : load.stride)) * 512;
        for (int row = 0; row < 16; ++row) {
          for (int c = 0; c < w.c0(); ++c) {
            ASSERT_EQ(Fractal(in_b, r, row, c), Value(from + row * 32 + c * w.bytes))
                << "L0" << (in_b ? "B" : "A") << " repeat " << r << " at " << row << "," << c;
          }
        }
      }
    }
  }
}

// The same from GM, to L0A, L0B and L1.
TEST_P(LoadTest, CopiesFractalsFromGm) {
  const Width w = GetParam();
  const Load loads[] = {{0, 0, 8, 1, 0, false},
                        {6, 3, 4, 2, 1, false},
                        {0, 2, 6, 0, 0, false},
                        {64, 9, 4, 2, 0, true},
                        {0, 0, 0, 1, 0, false}};
  auto* gm = static_cast<uint8_t*>(player_.device().Allocate(kIdentity));
  constexpr int64_t kTo = 16 * 1024;
  for (const Load& load : loads) {
    const auto from = [&](int r) {
      return load.src + (load.base + r * (load.dec ? -load.stride : load.stride)) * 512;
    };
    for (const bool in_b : {false, true}) {
      FillL1();
      std::memcpy(gm + load.src % 32, player_.image(), kIdentity - 64);
      LoadIdentity(in_b);
      player_.Step(in_b ? VNPU_INSN_load_gm_to_cb : VNPU_INSN_load_gm_to_ca, w.format.type, 512,
                   reinterpret_cast<int64_t>(gm) + load.src, load.base, load.repeat, load.stride,
                   load.gap, 0, load.dec ? 1 : 0);
      for (int r = 0; r < load.repeat; ++r) ReadFractal(in_b, 512 + r * (load.gap + 1) * 512, r);
      ASSERT_EQ(player_.Run(), "");
      for (int r = 0; r < load.repeat; ++r) {
        for (int row = 0; row < 16; ++row) {
          for (int c = 0; c < w.c0(); ++c) {
            ASSERT_EQ(Fractal(in_b, r, row, c),
                      Value(from(r) - load.src % 32 + row * 32 + c * w.bytes))
                << "L0" << (in_b ? "B" : "A") << " repeat " << r << " at " << row << "," << c;
          }
        }
      }
    }
    FillL1();
    std::vector<uint8_t> expected = Snapshot(&player_);
    for (int r = 0; r < load.repeat; ++r) {
      std::memcpy(&expected[kTo + r * (load.gap + 1) * 512], gm + from(r), 512);
    }
    player_.Step(VNPU_INSN_load_gm_to_cbuf, w.format.type, kTo,
                 reinterpret_cast<int64_t>(gm) + load.src, load.base, load.repeat, load.stride,
                 load.gap, 0, load.dec ? 1 : 0);
    ASSERT_EQ(player_.Run(), "");
    ExpectImage(&player_, expected, kU8, "load_gm_to_cbuf");
  }
}

// Element (row, column) of square r as it lies in L1.
int64_t SquareOffset(int bytes, int row, int column) {
  if (bytes == 2) return row * 32 + column * 2;
  if (bytes == 1) return row * 32 + column;
  return column / 8 * 512 + row * 32 + column % 8 * 4;
}

TEST_P(LoadTest, TransposesSquares) {
  const Width w = GetParam();
  const int side = w.bytes == 1 ? 32 : 16, fractals = w.bytes == 2 ? 1 : 2;
  const int64_t square = int64_t{side} * side * w.bytes;
  const struct {
    int64_t index, repeat, stride, gap, frac_gap;
  } loads[] = {{0, 4, 1, 1, 0}, {2, 3, 2, 3, 1}, {1, 2, 3, 0, 3}, {0, 1, 1, 0, 0}};
  for (const bool in_b : {false, true}) {
    for (const auto& load : loads) {
      FillL1();
      LoadIdentity(in_b);
      player_.Step(in_b ? VNPU_INSN_load_cbuf_to_cb_transpose : VNPU_INSN_load_cbuf_to_ca_transpose,
                   w.format.type, 512, 0, load.index, load.repeat, load.stride, load.gap, 0,
                   load.frac_gap);
      for (int r = 0; r < load.repeat; ++r) {
        for (int f = 0; f < fractals; ++f) {
          ReadFractal(in_b, 512 + (r * (load.gap + 1) + f * (load.frac_gap + 1)) * 512, r * 2 + f);
        }
      }
      ASSERT_EQ(player_.Run(), "");
      for (int r = 0; r < load.repeat; ++r) {
        const int64_t from = (load.index + r * load.stride) * square;
        for (int f = 0; f < fractals; ++f) {
          for (int row = 0; row < 16; ++row) {
            for (int c = 0; c < w.c0(); ++c) {
              // Row of the transposed square: fractals cut it along rows (b8)
              // or along columns (b32).
              const int t_row = w.bytes == 1 ? 16 * f + row : row;
              const int t_column = w.bytes == 4 ? 8 * f + c : c;
              ASSERT_EQ(Fractal(in_b, r * 2 + f, row, c),
                        Value(from + SquareOffset(w.bytes, t_column, t_row)))
                  << "repeat " << r << " fractal " << f << " at " << row << "," << c;
            }
          }
        }
      }
    }
  }
}

TEST_P(LoadTest, PlainLoadTransposesHalvesOnly) {
  const Width w = GetParam();
  FillL1();
  LoadIdentity(true);
  player_.Step(VNPU_INSN_load_cbuf_to_cb, w.format.type, 512, 0, 0, 1, 1, 0, 0, 1, 0);
  ReadFractal(true, 512, 0);
  const std::string text = player_.Run();
  if (w.bytes != 2) {
    EXPECT_EQ(text.substr(0, 12), "not modelled") << text;
    return;
  }
  ASSERT_EQ(text, "");
  for (int row = 0; row < 16; ++row) {
    for (int c = 0; c < 16; ++c) EXPECT_EQ(Fractal(true, 0, row, c), Value(c * 32 + row * 2));
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, LoadTest, testing::ValuesIn(kWidths),
                         [](const auto& param) { return std::string(param.param.format.name); });

// Fills of L0A and L0B, read through an identity like loads.
TEST_F(HalfLoadTest, FillsL0) {
  const uint32_t types[] = {VNPU_T_f16, VNPU_T_bf16, VNPU_T_s16, VNPU_T_u16,
                            VNPU_T_f32, VNPU_T_s32,  VNPU_T_u32};
  for (const uint32_t type : types) {
    // Words hold two halves.
    const bool word = type == VNPU_T_f32 || type == VNPU_T_s32 || type == VNPU_T_u32;
    const uint32_t bits = HalfBits(-2.5) | (word ? static_cast<uint32_t>(HalfBits(1.5)) << 16 : 0);
    for (const bool in_b : {false, true}) {
      FillL1();
      LoadIdentity(in_b);
      // Two repeats of two fractals, one fractal apart.
      player_.Step(in_b ? VNPU_INSN_create_cb_matrix : VNPU_INSN_create_ca_matrix, type, 512,
                   2 | 2 << 16 | int64_t{1} << 32, bits);
      const int64_t fractals[] = {0, 1, 3, 4};
      for (int i = 0; i < 4; ++i) ReadFractal(in_b, 512 + fractals[i] * 512, i);
      ReadFractal(in_b, 512 + 2 * 512, 4);
      ASSERT_EQ(player_.Run(), "");
      for (int i = 0; i < 4; ++i) {
        for (int e = 0; e < 256; ++e) {
          ASSERT_EQ(Fractal(in_b, i, e / 16, e % 16), word && e % 2 == 1 ? 1.5 : -2.5)
              << "type " << type << ", fractal " << i << ", element " << e;
        }
      }
      // The gap keeps the poison.
      for (int e = 0; e < 256; ++e) ASSERT_TRUE(std::isnan(Fractal(in_b, 4, e / 16, e % 16)));
    }
  }
}

// Fills: repeats of `blocks` blocks with gaps, read back from L1.
TEST(CreateMatrix, FillsL1) {
  Player player(CoreKind::kCube, kImage);
  for (const auto& [type, value] : {std::pair<uint32_t, uint32_t>{VNPU_T_f16, 0x3c01},
                                    {VNPU_T_bf16, 0x3f81},
                                    {VNPU_T_s16, 0x8123},
                                    {VNPU_T_u16, 0xfedc},
                                    {VNPU_T_f32, 0x3f800001},
                                    {VNPU_T_s32, 0x87654321},
                                    {VNPU_T_u32, 0x12345678}}) {
    FillImage(&player, kU32, 1);
    std::vector<uint8_t> expected = Snapshot(&player);
    const uint32_t word = value < 0x10000 ? value | value << 16 : value;
    for (int r = 0; r < 3; ++r) {
      for (int at = 0; at < 5 * 32; at += 4) std::memcpy(&expected[64 + r * 7 * 32 + at], &word, 4);
    }
    player.Step(VNPU_INSN_create_cbuf_matrix, type, 64, 3 | 5 << 16 | int64_t{2} << 32, value);
    ASSERT_EQ(player.Run(), "");
    ExpectImage(&player, expected, kU32, "create_cbuf_matrix");
  }
}

}  // namespace
}  // namespace vnpu_test
