// SPDX-License-Identifier: Apache-2.0
// Data movement between GM, UB and L1 against plain loops, byte for byte.
#include <numeric>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 64 * 1024;
constexpr uint64_t kGmBytes = 256 * 1024;

// A GM buffer of random bytes beside the player's image.
class Gm {
 public:
  explicit Gm(Player* player) : bytes_(static_cast<uint8_t*>(player->device().Allocate(kGmBytes))) {
    Refill();
  }
  void Refill() {
    Random random(77);
    for (uint64_t i = 0; i < kGmBytes; ++i) bytes_[i] = static_cast<uint8_t>(random.Next());
  }
  uint8_t* data() { return bytes_; }
  int64_t at(uint64_t offset) const { return reinterpret_cast<int64_t>(bytes_ + offset); }
  std::vector<uint8_t> Snapshot() const { return {bytes_, bytes_ + kGmBytes}; }

 private:
  uint8_t* bytes_;
};

struct Bursts {
  int64_t count, length, src_gap, dst_gap;
};
const Bursts kBursts[] = {{1, 1, 0, 0}, {1, 64, 3, 3},  {5, 3, 0, 0}, {7, 4, 2, 0},
                          {7, 4, 0, 5}, {16, 1, 9, 13}, {0, 4, 0, 0}, {3, 0, 1, 1}};

void ExpectBytes(const uint8_t* got, const std::vector<uint8_t>& want, const char* what) {
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(static_cast<int>(got[i]), static_cast<int>(want[i])) << what << ", byte " << i;
  }
}

TEST(CopyGmUb, PlainCopiesCountDatablocks) {
  Player player(CoreKind::kVector, kImage);
  Gm gm(&player);
  for (const Bursts& b : kBursts) {
    FillImage(&player, kU32, 1);
    gm.Refill();
    std::vector<uint8_t> ub = Snapshot(&player), memory = gm.Snapshot();
    for (int64_t i = 0; i < b.count; ++i) {
      std::memcpy(&ub[1024 + i * (b.length + b.dst_gap) * 32],
                  &memory[7 + i * (b.length + b.src_gap) * 32], b.length * 32);
    }
    for (int64_t i = 0; i < b.count; ++i) {
      std::memcpy(&memory[100001 + i * (b.length + b.dst_gap) * 32],
                  &ub[2048 + i * (b.length + b.src_gap) * 32], b.length * 32);
    }
    // GM addresses need no alignment.
    player.Step(VNPU_INSN_copy_gm_to_ubuf, 0, 1024, gm.at(7), 0, b.count, b.length, b.src_gap,
                b.dst_gap);
    player.Step(VNPU_INSN_copy_ubuf_to_gm, 0, gm.at(100001), 2048, 0, b.count, b.length, b.src_gap,
                b.dst_gap);
    ASSERT_EQ(player.Run(), "");
    ExpectBytes(player.image(), ub, "UB");
    ExpectBytes(gm.data(), memory, "GM");
  }
}

TEST(CopyUbUb, RunsOfDatablocks) {
  Player player(CoreKind::kVector, kImage);
  for (const Bursts& b : kBursts) {
    FillImage(&player, kU32, 2);
    std::vector<uint8_t> ub = Snapshot(&player);
    for (int64_t i = 0; i < b.count; ++i) {
      std::memcpy(&ub[32 + i * (b.length + b.dst_gap) * 32],
                  &ub[32768 + i * (b.length + b.src_gap) * 32], b.length * 32);
    }
    player.Step(VNPU_INSN_copy_ubuf_to_ubuf, 0, 32, 32768, 0, b.count, b.length, b.src_gap,
                b.dst_gap);
    ASSERT_EQ(player.Run(), "");
    ExpectBytes(player.image(), ub, "UB");
  }
}

struct Align {
  int64_t count, bytes, left, right, gm_gap, ub_gap;
};
const Align kAligns[] = {{1, 4, 0, 0, 0, 0},   {3, 20, 0, 0, 12, 0}, {4, 64, 0, 0, 4, 2},
                         {2, 28, 0, 1, 0, 1},  {2, 40, 2, 3, 8, 0},  {5, 32, 0, 8, 0, 0},
                         {2, 36, 1, 0, 44, 3}, {0, 8, 0, 0, 0, 0},   {1, 2048, 0, 0, 0, 0}};

// GM side in bytes, UB side in datablocks; pads and dummies as documented.
TEST(CopyGmUbAlign, LoadsPadToWholeDatablocks) {
  Player player(CoreKind::kVector, kImage);
  Gm gm(&player);
  const uint32_t insns[] = {VNPU_INSN_copy_gm_to_ubuf_align_b8, VNPU_INSN_copy_gm_to_ubuf_align_b16,
                            VNPU_INSN_copy_gm_to_ubuf_align_b32};
  const uint32_t pad = 0xc3a59687;
  for (int width = 0; width < 3; ++width) {
    const int64_t es = 1 << width;
    for (const Align& c : kAligns) {
      FillImage(&player, kU32, 3);
      std::vector<uint8_t> ub = Snapshot(&player);
      const std::vector<uint8_t> memory = gm.Snapshot();
      const int64_t filled = (c.left * es + c.bytes + c.right * es + 31) / 32 * 32;
      for (int64_t i = 0; i < c.count; ++i) {
        const uint8_t* from = &memory[3 + i * (c.bytes + c.gm_gap)];
        uint8_t* to = &ub[640 + i * (filled + c.ub_gap * 32)];
        for (int64_t at = 0; at < filled; ++at) {
          const int64_t inside = at - c.left * es;
          if (inside >= 0 && inside < c.bytes) {
            to[at] = from[inside];
          } else if (c.left + c.right > 0) {
            to[at] = static_cast<uint8_t>(pad >> 8 * (at % es));
          } else {
            to[at] = from[at % es];  // the burst's first element again
          }
        }
      }
      player.Step(VNPU_INSN_set_mov_pad_val, 0, pad);
      player.Step(insns[width], 0, 640, gm.at(3), 0, c.count, c.bytes, c.left, c.right, c.gm_gap,
                  c.ub_gap);
      ASSERT_EQ(player.Run(), "");
      ExpectBytes(player.image(), ub, "UB");
    }
  }
}

// Whatever the last kernel left in the pad register: a NaN in half and float.
TEST(CopyGmUbAlign, PadsOfAnUnsetRegisterArePoison) {
  Player player(CoreKind::kVector, kImage);
  Gm gm(&player);
  FillImage(&player, kU32, 3);
  std::vector<uint8_t> ub = Snapshot(&player);
  std::memcpy(&ub[64], gm.data(), 28);
  const uint32_t poison = 0x7fff7fff;
  std::memcpy(&ub[92], &poison, 4);
  player.Step(VNPU_INSN_copy_gm_to_ubuf_align_b32, 0, 64, gm.at(0), 0, 1, 28, 0, 1, 0, 0);
  ASSERT_EQ(player.Run(), "");
  ExpectBytes(player.image(), ub, "UB");
}

TEST(CopyGmUbAlign, StoresWriteExactBytes) {
  Player player(CoreKind::kVector, kImage);
  Gm gm(&player);
  const uint32_t insns[] = {VNPU_INSN_copy_ubuf_to_gm_align_b8, VNPU_INSN_copy_ubuf_to_gm_align_b16,
                            VNPU_INSN_copy_ubuf_to_gm_align_b32};
  FillImage(&player, kU32, 4);
  for (uint32_t insn : insns) {
    for (const Align& c : kAligns) {
      gm.Refill();
      std::vector<uint8_t> memory = gm.Snapshot();
      const int64_t held = (c.bytes + 31) / 32 * 32;
      for (int64_t i = 0; i < c.count; ++i) {
        std::memcpy(&memory[5001 + i * (c.bytes + c.gm_gap)],
                    player.image() + 96 + i * (held + c.ub_gap * 32), c.bytes);
      }
      player.Step(insn, 0, gm.at(5001), 96, 0, c.count, c.bytes, 0, 0, c.ub_gap, c.gm_gap);
      ASSERT_EQ(player.Run(), "");
      ExpectBytes(gm.data(), memory, "GM");
    }
  }
}

TEST(CopyGmL1, PlainCopiesCountDatablocks) {
  Player player(CoreKind::kCube, kImage);
  Gm gm(&player);
  for (const Bursts& b : kBursts) {
    FillImage(&player, kU32, 5);
    gm.Refill();
    std::vector<uint8_t> l1 = Snapshot(&player), memory = gm.Snapshot();
    for (int64_t i = 0; i < b.count; ++i) {
      std::memcpy(&l1[1024 + i * (b.length + b.dst_gap) * 32],
                  &memory[9 + i * (b.length + b.src_gap) * 32], b.length * 32);
    }
    for (int64_t i = 0; i < b.count; ++i) {
      std::memcpy(&memory[90001 + i * (b.length + b.dst_gap) * 32],
                  &l1[2048 + i * (b.length + b.src_gap) * 32], b.length * 32);
    }
    player.Step(VNPU_INSN_copy_gm_to_cbuf, 0, 1024, gm.at(9), 0, b.count, b.length, b.src_gap,
                b.dst_gap, 0);
    player.Step(VNPU_INSN_copy_cbuf_to_gm, 0, gm.at(90001), 2048, 0, b.count, b.length, b.src_gap,
                b.dst_gap);
    ASSERT_EQ(player.Run(), "");
    ExpectBytes(player.image(), l1, "L1");
    ExpectBytes(gm.data(), memory, "GM");
  }
}

// PAD_MODE1..5 spread groups of bytes and pad them, PAD_MODE6..8 keep the first
// bytes of each datablock.
TEST(CopyGmL1, PadModes) {
  Player player(CoreKind::kCube, kImage);
  Gm gm(&player);
  const int64_t from[] = {0, 1, 1, 2, 4, 8, 32, 32, 32}, kept[] = {0, 1, 1, 2, 4, 8, 4, 8, 16};
  const int64_t to[] = {0, 32, 16, 16, 16, 16, 4, 8, 16};
  const Bursts bursts[] = {{1, 1, 0, 0}, {3, 2, 1, 2}, {2, 8, 0, 0}, {0, 1, 0, 0}, {2, 0, 0, 0}};
  for (int mode = 1; mode <= 8; ++mode) {
    for (const Bursts& b : bursts) {
      FillImage(&player, kU32, 12);
      std::vector<uint8_t> l1 = Snapshot(&player);
      const int64_t groups = b.length * 32 / from[mode];
      for (int64_t i = 0; i < b.count; ++i) {
        for (int64_t g = 0; g < groups; ++g) {
          for (int64_t at = 0; at < to[mode]; ++at) {
            uint8_t& byte = l1[640 + i * (groups * to[mode] + b.dst_gap * 32) + g * to[mode] + at];
            const int64_t source = i * (b.length + b.src_gap) * 32 + g * from[mode] + at;
            const int pad = mode > 1 && at % 2 == 1 ? 0xb7 : 0x59;
            byte = at < kept[mode] ? gm.data()[5 + source] : static_cast<uint8_t>(pad);
          }
        }
      }
      player.Step(VNPU_INSN_set_padding, 0, 0xb759);
      player.Step(VNPU_INSN_copy_gm_to_cbuf, 0, 640, gm.at(5), 0, b.count, b.length, b.src_gap,
                  b.dst_gap, mode);
      ASSERT_EQ(player.Run(), "");
      ExpectBytes(player.image(), l1, "L1");
    }
  }
  player.Step(VNPU_INSN_copy_gm_to_cbuf, 0, 640, gm.at(0), 0, 1, 1, 0, 0, 1);
  EXPECT_EQ(player.Run().substr(0, 60),
            "undefined register: copy_gm_to_cbuf needs set_padding before");
}

struct Nd2Nz {
  int64_t matrices, rows, columns, src_matrix, src_row, c0_stride, n_stride, dst_matrix;
};

TEST(CopyGmL1Nd2Nz, RowsBecomeColumnBlocks) {
  Player player(CoreKind::kCube, kImage);
  Gm gm(&player);
  const Nd2Nz cases[] = {
      {1, 16, 32, 0, 32, 16, 1, 0},    {1, 1, 1, 0, 1, 1, 1, 0},
      {1, 5, 40, 0, 77, 16, 1, 0},     {3, 7, 33, 1000, 50, 16, 1, 4096},
      {2, 4, 64, 512, 64, 9, 2, 8192}, {1, 130, 24, 0, 100, 160, 1, 0},
      {0, 4, 4, 1, 4, 4, 1, 0},        {1, 6, 17, 0, 1, 6, 1, 0},
  };
  const struct {
    uint32_t insn, type;
    int64_t bytes;
  } widths[] = {{VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b8, VNPU_T_s8, 1},
                {VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b16, VNPU_T_f16, 2},
                {VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b16, VNPU_T_bf16, 2},
                {VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b32s, VNPU_T_f32, 4}};
  for (const auto& w : widths) {
    const int64_t c0 = 32 / w.bytes;
    for (const Nd2Nz& c : cases) {
      FillImage(&player, kU32, 6);
      std::vector<uint8_t> l1 = Snapshot(&player);
      for (int64_t g = 0; g < c.matrices; ++g) {
        for (int64_t i = 0; i < c.rows; ++i) {
          for (int64_t j = 0; j < (c.columns + c0 - 1) / c0 * c0; ++j) {
            uint8_t* to = &l1[64 + g * c.dst_matrix * w.bytes + j / c0 * c.c0_stride * 32 +
                              i * c.n_stride * 32 + j % c0 * w.bytes];
            if (j < c.columns) {
              std::memcpy(to, gm.data() + 6 + (g * c.src_matrix + i * c.src_row + j) * w.bytes,
                          w.bytes);
            } else {
              std::memset(to, 0, w.bytes);
            }
          }
        }
      }
      player.Step(w.insn, w.type, 64, gm.at(6), 0, c.matrices, c.rows, c.columns, c.src_matrix,
                  c.src_row, c.c0_stride, c.n_stride, c.dst_matrix);
      ASSERT_EQ(player.Run(), "");
      ExpectBytes(player.image(), l1, "L1");
    }
  }
}

// Atomics: the store adds, or keeps the larger or smaller, element by element.
TEST(CopyGmUb, AtomicsCombineWithGm) {
  Player player(CoreKind::kVector, kImage);
  Gm gm(&player);
  const struct {
    uint32_t insn;
    Format format;
  } types[] = {{VNPU_INSN_set_atomic_f32, kF32},   {VNPU_INSN_set_atomic_f16, kF16},
               {VNPU_INSN_set_atomic_bf16, kBf16}, {VNPU_INSN_set_atomic_s32, kS32},
               {VNPU_INSN_set_atomic_s16, kS16},   {VNPU_INSN_set_atomic_s8, kS8}};
  for (const auto& t : types) {
    for (uint32_t op :
         {VNPU_INSN_set_atomic_add, VNPU_INSN_set_atomic_max, VNPU_INSN_set_atomic_min}) {
      const int bytes = t.format.bytes;
      FillImage(&player, t.format, 8, -3, 3, false);
      std::memcpy(gm.data(), player.image() + 8192, 256);
      std::vector<uint8_t> want(256);
      for (int at = 0; at < 256; at += bytes) {
        const uint64_t a = GetBits(gm.data() + at, bytes), b = GetBits(player.image() + at, bytes);
        uint64_t out;
        if (t.format.is_float) {
          const double x = bytes == 4                    ? FloatOf(a)
                           : t.format.type == VNPU_T_f16 ? HalfValue(a)
                                                         : BfloatValue(a);
          const double y = bytes == 4                    ? FloatOf(b)
                           : t.format.type == VNPU_T_f16 ? HalfValue(b)
                                                         : BfloatValue(b);
          const double v = op == VNPU_INSN_set_atomic_add   ? x + y
                           : op == VNPU_INSN_set_atomic_max ? std::max(x, y)
                                                            : std::min(x, y);
          out = bytes == 4                    ? FloatBitsOf(static_cast<float>(v))
                : t.format.type == VNPU_T_f16 ? HalfBits(v)
                                              : BfloatBits(v);
        } else {
          const int shift = 64 - bytes * 8;
          const int64_t x = static_cast<int64_t>(a << shift) >> shift,
                        y = static_cast<int64_t>(b << shift) >> shift;
          out = static_cast<uint64_t>(op == VNPU_INSN_set_atomic_add   ? x + y
                                      : op == VNPU_INSN_set_atomic_max ? std::max(x, y)
                                                                       : std::min(x, y));
        }
        std::memcpy(&want[at], &out, bytes);
      }
      player.Step(t.insn, 0);
      player.Step(op, 0);
      player.Step(VNPU_INSN_copy_ubuf_to_gm, 0, gm.at(0), 0, 0, 1, 8, 0, 0);
      player.Step(VNPU_INSN_set_atomic_none, 0);
      ASSERT_EQ(player.Run(), "");
      ExpectBytes(gm.data(), want, t.format.name);
    }
  }
}

}  // namespace
}  // namespace vnpu_test
