// SPDX-License-Identifier: Apache-2.0
// Vector moves, gathers, transpositions and sorts against plain loops.
#include <algorithm>
#include <numeric>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 96 * 1024;
constexpr int64_t kDst = 0, kSrc = 32 * 1024, kAux = 64 * 1024;

// What moves any element of 16 or 32 bits.
const Format kMovable[] = {kU16, kU32, kS16, kS32, kF16, kBf16, kF32};

TEST(VecDup, WritesTheActiveLanesOnly) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : kMovable) {
    for (const Operand& dst : {Operand{kDst, 1, 8}, Operand{kDst, 2, 19}, Operand{kDst, 0, 1}}) {
      for (const LaneSet& lanes : StandardLaneSets()) {
        FillImage(&player, f, 3);
        std::vector<uint8_t> expected = Snapshot(&player);
        const uint64_t value = 0xabcd1234u & (f.bytes == 2 ? 0xffffu : 0xffffffffu);
        ForEachLane(lanes, 256 / f.bytes, [&](int64_t r, int e) {
          std::memcpy(&expected[dst.At(r, e, f.bytes)], &value, f.bytes);
        });
        SetLanes(&player, lanes);
        player.Step(VNPU_INSN_vector_dup, f.type, dst.base, value, lanes.repeat, dst.blk, 1,
                    dst.rep, 0);
        ASSERT_EQ(player.Run(), "");
        ExpectImage(&player, expected, f, std::string("vector_dup ") + lanes.name);
      }
    }
  }
}

// Normal mode masks lanes; counter mode counts elements per repeat.
TEST(VecCopy, CountsPerRepeatInCounterMode) {
  Player player(CoreKind::kVector, kImage);
  const Operand dst{kDst, 1, 40}, src{kSrc, 2, 70};
  for (const Format& f : kMovable) {
    for (const LaneSet& lanes : StandardLaneSets()) {
      FillImage(&player, f, 5);
      std::vector<uint8_t> expected = Snapshot(&player);
      const auto copy = [&](int64_t r, int e) {
        std::memcpy(&expected[dst.At(r, e, f.bytes)], &expected[src.At(r, e, f.bytes)], f.bytes);
      };
      if (lanes.counter) {
        for (int64_t r = 0; r < lanes.repeat; ++r) {
          for (uint64_t e = 0; e < lanes.count; ++e) copy(r, static_cast<int>(e));
        }
      } else {
        ForEachLane(lanes, 256 / f.bytes, copy);
      }
      SetLanes(&player, lanes);
      player.Step(VNPU_INSN_vcopy, f.type, dst.base, src.base, lanes.repeat, dst.blk, src.blk,
                  dst.rep, src.rep);
      ASSERT_EQ(player.Run(), "");
      ExpectImage(&player, expected, f, std::string("vcopy ") + lanes.name);
    }
  }
}

TEST(VecBroadcastBlock, EachElementFillsADatablock) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : kMovable) {
    for (int64_t repeat : {0, 1, 5}) {
      for (const Operand& dst : {Operand{kDst, 1, 8}, Operand{kDst, 3, 25}}) {
        FillImage(&player, f, 7);
        std::vector<uint8_t> expected = Snapshot(&player);
        for (int64_t i = 0; i < repeat * 8; ++i) {
          for (int e = 0; e < 32 / f.bytes; ++e) {
            std::memcpy(
                &expected[dst.base + i / 8 * dst.rep * 32 + i % 8 * dst.blk * 32 + e * f.bytes],
                &expected[kSrc + i * f.bytes], f.bytes);
          }
        }
        player.Mask(0, 1);  // has no effect
        player.Step(VNPU_INSN_vbrcb, f.type, dst.base, kSrc, dst.blk, dst.rep, repeat);
        ASSERT_EQ(player.Run(), "");
        ExpectImage(&player, expected, f, "vbrcb");
      }
    }
  }
}

TEST(VecGather, ElementsAtByteOffsets) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kU16, kU32}) {
    for (const LaneSet& lanes : StandardLaneSets()) {
      FillImage(&player, f, 9);
      Random random(1);
      for (int i = 0; i < 2048; ++i) {
        player.Put(kAux + i * 4, static_cast<uint32_t>(random.Below(4096) * f.bytes));
      }
      std::vector<uint8_t> expected = Snapshot(&player);
      const int per_repeat = 256 / f.bytes;
      ForEachLane(lanes, per_repeat, [&](int64_t r, int e) {
        const uint64_t offset = GetBits(&expected[kAux + (r * per_repeat + e) * 4], 4);
        std::memcpy(&expected[kDst + r * 9 * 32 + e * f.bytes], &expected[kSrc + 64 + offset],
                    f.bytes);
      });
      SetLanes(&player, lanes);
      player.Step(VNPU_INSN_vgather, f.type, kDst, kAux, kSrc + 64, 9, lanes.repeat);
      ASSERT_EQ(player.Run(), "");
      ExpectImage(&player, expected, f, std::string("vgather ") + lanes.name);
    }
  }
}

TEST(VecGatherBlock, DatablocksAtByteOffsets) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kU16, kU32}) {
    FillImage(&player, f, 9);
    Random random(2);
    for (int i = 0; i < 24; ++i) {
      player.Put(kAux + i * 4, static_cast<uint32_t>(random.Below(500) * 32));
    }
    std::vector<uint8_t> expected = Snapshot(&player);
    for (int i = 0; i < 24; ++i) {
      const uint64_t offset = GetBits(&expected[kAux + i * 4], 4);
      std::memcpy(&expected[kDst + i / 8 * 20 * 32 + i % 8 * 2 * 32], &expected[kSrc + offset], 32);
    }
    player.Step(VNPU_INSN_vgatherb, f.type, kDst, kAux, kSrc, 20, 2, 3);
    ASSERT_EQ(player.Run(), "");
    ExpectImage(&player, expected, f, "vgatherb");
  }
}

TEST(VecGatherMask, KeepsPatternLanesPacked) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kU16, kU32}) {
    for (int pattern = 0; pattern <= 7; ++pattern) {
      for (uint64_t count : {uint64_t{0}, uint64_t{45}}) {  // 0: normal mode
        FillImage(&player, f, 13);
        std::vector<uint8_t> expected = Snapshot(&player);
        const std::vector<uint8_t> before = expected;
        const Operand src{kSrc, 1, 30};
        const uint64_t lanes = count == 0 ? 256 / f.bytes : count;
        uint64_t kept = 0;
        for (int64_t r = 0; r < 3; ++r) {
          for (uint64_t e = 0; e < lanes; ++e) {
            const bool keep = pattern == 0   ? (before[kAux + r * 64 + e / 8] >> (e % 8) & 1) != 0
                              : pattern == 1 ? e % 2 == 0
                              : pattern == 2 ? e % 2 == 1
                              : pattern == 7 ? true
                                             : e % 4 == static_cast<uint64_t>(pattern - 3);
            if (!keep) continue;
            std::memcpy(&expected[kDst + kept * f.bytes],
                        &before[src.At(r, static_cast<int>(e), f.bytes)], f.bytes);
            ++kept;
          }
        }
        if (count == 0) {
          player.FullMask();
        } else {
          player.CountMask(count);
        }
        player.Step(VNPU_INSN_vreducev2, f.type, kDst, kSrc, kAux, 3, 1, pattern, 30, 2);
        player.Step(VNPU_INSN_get_rsvd_cnt, 0);
        ASSERT_EQ(player.Run(), "");
        EXPECT_EQ(player.values()[0], kept);
        ExpectImage(&player, expected, f, "vreducev2 pattern " + std::to_string(pattern));
      }
    }
  }
}

TEST(VecTranspose, SquareOfSixteen) {
  Player player(CoreKind::kVector, kImage);
  FillImage(&player, kU16, 15);
  std::vector<uint8_t> expected = Snapshot(&player);
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) {
      std::memcpy(&expected[kDst + (c * 16 + r) * 2], &expected[kSrc + (r * 16 + c) * 2], 2);
    }
  }
  player.Step(VNPU_INSN_vtranspose, 0, kDst, kSrc);
  ASSERT_EQ(player.Run(), "");
  ExpectImage(&player, expected, kU16, "vtranspose");
}

// Rows at arbitrary addresses; b32 splits a column over two entries.
TEST(VecTransposeList, RowsAndColumnsByAddress) {
  Player player(CoreKind::kVector, kImage);
  for (const auto& [insn, bytes] : {std::pair<uint32_t, int>{VNPU_INSN_scatter_vnchwconv_b16, 2},
                                    {VNPU_INSN_scatter_vnchwconv_b32, 4},
                                    {VNPU_INSN_scatter_vnchwconv_b8, 1}}) {
    FillImage(&player, kU16, 17);
    std::vector<uint8_t> expected = Snapshot(&player);
    const std::vector<uint8_t> before = expected;
    const auto row = [](int i) { return kSrc + (i * 7 % 16) * 256; };
    const auto column = [](int j) { return kDst + (j * 3 % 16) * 320; };
    const int columns = bytes == 4 ? 8 : 16;
    const int high_in = bytes == 1 ? 16 : 0;
    for (int64_t r = 0; r < 2; ++r) {
      for (int i = 0; i < 16; ++i) {
        for (int j = 0; j < columns; ++j) {
          const uint8_t* from = &before[row(i) + r * 3 * 32 + high_in + j * bytes];
          const int64_t to = bytes == 4 ? column(2 * j + i / 8) + r * 4 * 32 + i % 8 * 4
                                        : column(j) + r * 4 * 32 + i * bytes;
          std::memcpy(&expected[to], from, bytes);
        }
      }
    }
    for (int half = 0; half < 2; ++half) {
      const int b = half * 8;
      player.Step(VNPU_INSN_set_va_reg_sb, 0, 0 + half, row(b), row(b + 1), row(b + 2), row(b + 3),
                  row(b + 4), row(b + 5), row(b + 6), row(b + 7));
      player.Step(VNPU_INSN_set_va_reg_sb, 0, 2 + half, column(b), column(b + 1), column(b + 2),
                  column(b + 3), column(b + 4), column(b + 5), column(b + 6), column(b + 7));
    }
    player.Step(insn, 0, 2, 0, 2, 4, 3, 0, 1);
    ASSERT_EQ(player.Run(), "");
    ExpectImage(&player, expected, kU16, "scatter_vnchwconv b" + std::to_string(bytes * 8));
  }
}

struct Pair {
  uint32_t score, index;
};
float Score(const Format& f, uint32_t bits) {
  return f.bytes == 2 ? static_cast<float>(HalfValue(static_cast<uint16_t>(bits))) : FloatOf(bits);
}

TEST(VecSort, ThirtyTwoPairsPerRepeatDescendingAndStable) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kF16, kF32}) {
    FillImage(&player, f, 19, -2, 2, false);
    std::vector<uint8_t> expected = Snapshot(&player);
    for (int r = 0; r < 3; ++r) {
      std::vector<Pair> pairs(32);
      for (int i = 0; i < 32; ++i) {
        // Coarse scores, so that some are equal.
        const double v =
            std::floor(Score(f, GetBits(&expected[kSrc + (r * 32 + i) * f.bytes], f.bytes)) * 4);
        pairs[i].score = f.bytes == 2 ? HalfBits(v) : FloatBitsOf(static_cast<float>(v));
        pairs[i].index = static_cast<uint32_t>(1000 * r + i);
        std::memcpy(&expected[kSrc + (r * 32 + i) * f.bytes], &pairs[i].score, f.bytes);
        std::memcpy(&expected[kAux + (r * 32 + i) * 4], &pairs[i].index, 4);
      }
      std::sort(pairs.begin(), pairs.end(), [&](const Pair& a, const Pair& b) {
        const float x = Score(f, a.score), y = Score(f, b.score);
        return x != y ? x > y : a.index < b.index;
      });
      std::memcpy(player.image() + kSrc + r * 32 * f.bytes, &expected[kSrc + r * 32 * f.bytes],
                  32 * f.bytes);
      std::memcpy(player.image() + kAux + r * 128, &expected[kAux + r * 128], 128);
      std::memcpy(&expected[kDst + r * 256], pairs.data(), 256);
    }
    player.Step(VNPU_INSN_vbitsort, f.type, kDst, kSrc, kAux, 3);
    ASSERT_EQ(player.Run(), "");
    ExpectImage(&player, expected, kU32, std::string("vbitsort ") + f.name);
  }
}

void CheckMerge(const Format& f, bool stop) {
  Player player(CoreKind::kVector, kImage);
  const uint64_t lengths[4] = {5, 0, 7, 3};
  // Equal scores keep the order of the lists.
  const auto above = [&](const Pair& a, const Pair& b) {
    const float x = Score(f, a.score), y = Score(f, b.score);
    return x != y ? x > y : a.index < b.index;
  };
  FillImage(&player, kU32, 23);
  std::vector<Pair> all;
  Random random(3);
  for (int list = 0; list < 4; ++list) {
    std::vector<Pair> pairs(lengths[list]);
    for (Pair& p : pairs) {
      const double v = random.Real(-5, 5);
      p.score = f.bytes == 2 ? HalfBits(v) : FloatBitsOf(static_cast<float>(v));
      p.index = static_cast<uint32_t>(list);
    }
    std::sort(pairs.begin(), pairs.end(), above);
    for (size_t i = 0; i < pairs.size(); ++i) player.Put(kSrc + list * 1024 + i * 8, pairs[i]);
    all.insert(all.end(), pairs.begin(), pairs.end());
  }
  std::sort(all.begin(), all.end(), above);
  uint64_t used[4] = {};
  if (stop) {
    size_t end = 0;
    while (true) {
      const uint32_t list = all[end++].index;
      if (++used[list] == lengths[list]) break;
    }
    all.resize(end);
  } else {
    std::copy(lengths, lengths + 4, used);
  }
  std::vector<uint8_t> expected = Snapshot(&player);
  std::memcpy(&expected[kDst], all.data(), all.size() * sizeof(Pair));
  const uint64_t packed = lengths[0] | lengths[1] << 16 | lengths[2] << 32 | lengths[3] << 48;
  player.Step(VNPU_INSN_vmrgsort4, f.type, kDst, kSrc, kSrc + 1024, kSrc + 2048, kSrc + 3072,
              packed, 1 | 0xf << 8 | (stop ? 1 << 12 : 0));
  player.Step(VNPU_INSN_get_vms4_sr, 0);
  ASSERT_EQ(player.Run(), "");
  ExpectImage(&player, expected, kU32, "vmrgsort4");
  EXPECT_EQ(player.values()[0], used[0] | used[1] << 16 | used[2] << 32 | used[3] << 48);
}

TEST(VecSort, MergesDescendingLists) {
  for (const Format& f : {kF16, kF32}) {
    for (const bool stop : {false, true}) CheckMerge(f, stop);
  }
}

// A repeat takes the four lists behind those of the one before.
TEST(VecSort, RepeatsMergeGroupsOfFourLists) {
  constexpr int kLength = 5, kRepeats = 3, kGroup = 4 * kLength;
  Player player(CoreKind::kVector, kImage);
  FillImage(&player, kU32, 29);
  const auto above = [](const Pair& a, const Pair& b) {
    return FloatOf(a.score) > FloatOf(b.score);
  };
  Random random(4);
  std::vector<Pair> all(kRepeats * kGroup);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = {FloatBitsOf(static_cast<float>(random.Real(-5, 5))), static_cast<uint32_t>(i)};
  }
  for (size_t at = 0; at < all.size(); at += kLength) {
    std::sort(all.begin() + at, all.begin() + at + kLength, above);
  }
  for (size_t i = 0; i < all.size(); ++i) player.Put(kSrc + i * 8, all[i]);
  std::vector<uint8_t> expected = Snapshot(&player);
  for (int r = 0; r < kRepeats; ++r) {
    std::sort(all.begin() + r * kGroup, all.begin() + (r + 1) * kGroup, above);
  }
  std::memcpy(&expected[kDst], all.data(), all.size() * sizeof(Pair));
  const uint64_t lengths = kLength * 0x0001000100010001u;
  const auto step = [&](uint64_t gap, uint64_t config) {
    player.Step(VNPU_INSN_vmrgsort4, VNPU_T_f32, kDst, kSrc, kSrc + kLength * 8 + gap,
                kSrc + 2 * (kLength * 8 + gap), kSrc + 3 * (kLength * 8 + gap), lengths, config);
  };
  step(0, kRepeats | 0xf << 8);
  player.Step(VNPU_INSN_get_vms4_sr, 0);
  // The destination of each repeat is a multiple of 32 bytes: 20 pairs are 160.
  ASSERT_EQ(player.Run(), "");
  ExpectImage(&player, expected, kU32, "vmrgsort4 repeats");
  EXPECT_EQ(player.values()[0], lengths);

  const std::pair<uint64_t, uint64_t> kUnfit[] = {
      {32, kRepeats | 0xf << 8}, {0, kRepeats | 0x7 << 8}, {0, kRepeats | 0xf << 8 | 1 << 12}};
  for (const auto& [gap, config] : kUnfit) {
    step(gap, config);
    EXPECT_NE(player.Run().find("repeat > 1 needs four lists"), std::string::npos);
  }
}

}  // namespace
}  // namespace vnpu_test
