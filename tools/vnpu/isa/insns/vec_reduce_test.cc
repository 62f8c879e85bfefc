// SPDX-License-Identifier: Apache-2.0
// Reductions against plain loops: orders, masks, counts, strides, registers.
#include <algorithm>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 96 * 1024;
constexpr int64_t kDst = 0, kSrc = 32 * 1024;

double ValueOf(const Format& f, uint64_t bits) {
  return f.bytes == 2 ? HalfValue(static_cast<uint16_t>(bits))
                      : FloatOf(static_cast<uint32_t>(bits));
}

// The lanes of one repeat that compute, in order.
std::vector<std::vector<int>> LanesPerRepeat(const LaneSet& lanes, int per_repeat) {
  std::vector<std::vector<int>> all;
  ForEachLane(lanes, per_repeat, [&](int64_t r, int e) {
    if (static_cast<int64_t>(all.size()) <= r) all.resize(r + 1);
    all[r].push_back(e);
  });
  return all;
}

const Operand kSources[] = {{kSrc, 1, 8}, {kSrc, 2, 17}, {kSrc, 1, 0}};

TEST(VecReduceExtreme, FirstExtremeInEveryOrder) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kF16, kF32}) {
    const int bytes = f.bytes;
    for (const bool max : {true, false}) {
      for (int order = 0; order < 4; ++order) {  // value-index, index-value, value, index
        for (const Operand& src : kSources) {
          for (const LaneSet& lanes : StandardLaneSets()) {
            // Few distinct values, so that ties happen.
            FillImage(&player, f, 11, -8, 8, false);
            Random random(order);
            for (int64_t at = kSrc; at + bytes <= static_cast<int64_t>(kImage); at += bytes) {
              const double v = static_cast<double>(random.Below(9)) - 4;
              const uint64_t bits = bytes == 2 ? HalfBits(v) : FloatBitsOf(static_cast<float>(v));
              std::memcpy(player.image() + at, &bits, bytes);
            }
            std::vector<uint8_t> expected = Snapshot(&player);
            const int unit = order == 2 ? bytes : order == 3 ? 4 : 2 * bytes;
            constexpr int64_t kDstRep = 3;
            int64_t r = 0;
            for (const auto& active : LanesPerRepeat(lanes, 256 / bytes)) {
              int best = active[0];
              for (int e : active) {
                const double v = ValueOf(f, GetBits(&expected[src.At(r, e, bytes)], bytes));
                const double b = ValueOf(f, GetBits(&expected[src.At(r, best, bytes)], bytes));
                if (max ? v > b : v < b) best = e;
              }
              const uint64_t value = GetBits(&expected[src.At(r, best, bytes)], bytes);
              const auto index = static_cast<uint64_t>(best);
              uint8_t* to = &expected[kDst + r * kDstRep * unit];
              if (order == 2) {
                std::memcpy(to, &value, bytes);
              } else if (order == 3) {
                std::memcpy(to, &index, 4);
              } else {
                std::memcpy(to + (order == 0 ? 0 : bytes), &value, bytes);
                std::memcpy(to + (order == 0 ? bytes : 0), &index, bytes);
              }
              ++r;
            }
            SetLanes(&player, lanes);
            player.Step(max ? VNPU_INSN_vcmax : VNPU_INSN_vcmin, f.type, kDst, src.base,
                        lanes.repeat, kDstRep, src.blk, src.rep, order);
            ASSERT_EQ(player.Run(), "");
            ExpectImage(&player, expected, f, std::string("extreme ") + f.name + lanes.name);
          }
        }
      }
    }
  }
}

TEST(VecReduceExtreme, RegisterHoldsTheExtremeOfAllRepeats) {
  Player player(CoreKind::kVector, kImage);
  for (int i = 0; i < 256; ++i) player.Put(kSrc + i * 4, static_cast<float>(i % 100));
  player.Put(kSrc + 200 * 4, 777.0f);
  player.FullMask();
  player.Step(VNPU_INSN_vcmax, VNPU_T_f32, kDst, kSrc, 4, 1, 1, 8, 2);
  player.Step(VNPU_INSN_get_max_min_cnt, 0);
  ASSERT_EQ(player.Run(), "");
  EXPECT_EQ(player.values()[0], uint64_t{200} << 32 | FloatBitsOf(777.0f));
}

// Sums neighbours, then neighbours of those: bits depend on the order.
uint64_t TreeSum(const Format& f, std::vector<uint64_t> bits) {
  while (bits.size() > 1) {
    std::vector<uint64_t> next;
    for (size_t i = 0; i < bits.size(); i += 2) {
      if (f.bytes == 4) {
        next.push_back(FloatBitsOf(FloatOf(bits[i]) + FloatOf(bits[i + 1])));
      } else {
        uint16_t h = HalfBits(HalfValue(bits[i]) + HalfValue(bits[i + 1]));
        if ((h & 0x7fff) == 0x7c00) h = (h & 0x8000) | 0x7bff;
        next.push_back(h);
      }
    }
    bits = next;
  }
  return bits[0];
}

// All lanes of one repeat, masked ones as zero.
std::vector<uint64_t> MaskedLanes(const std::vector<uint8_t>& image, const Operand& src,
                                  const std::vector<int>& active, int64_t r, int bytes) {
  std::vector<uint64_t> bits(256 / bytes, 0);
  for (int e : active) bits[e] = GetBits(&image[src.At(r, e, bytes)], bytes);
  return bits;
}

TEST(VecReduceAdd, SumsAsATreeOfNeighbours) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kF16, kF32}) {
    for (double range : {3.0, 30000.0}) {
      for (const Operand& src : kSources) {
        for (const LaneSet& lanes : StandardLaneSets()) {
          FillImage(&player, f, 21, -range, range, false);
          std::vector<uint8_t> expected = Snapshot(&player);
          const std::vector<uint8_t> before = expected;
          int64_t r = 0;
          for (const auto& active : LanesPerRepeat(lanes, 256 / f.bytes)) {
            const uint64_t sum = TreeSum(f, MaskedLanes(before, src, active, r, f.bytes));
            std::memcpy(&expected[kDst + r * 2 * f.bytes], &sum, f.bytes);
            ++r;
          }
          SetLanes(&player, lanes);
          player.Step(VNPU_INSN_vcadd, f.type, kDst, src.base, lanes.repeat, 2, src.blk, src.rep,
                      0);
          ASSERT_EQ(player.Run(), "");
          ExpectImage(&player, expected, f, std::string("vcadd ") + f.name + lanes.name);
        }
      }
    }
  }
}

TEST(VecReduceAdd, ModeTrueStoresOnlyTheRegister) {
  Player player(CoreKind::kVector, kImage);
  for (int i = 0; i < 192; ++i) player.Put(kSrc + i * 4, 0.5f * static_cast<float>(i));
  const std::vector<uint8_t> before = Snapshot(&player);
  player.FullMask();
  player.Step(VNPU_INSN_vcadd, VNPU_T_f32, kDst, kSrc, 3, 1, 1, 8, 1);
  player.Step(VNPU_INSN_get_acc_val, 0);
  ASSERT_EQ(player.Run(), "");
  EXPECT_EQ(player.values()[0], FloatBitsOf(0.5f * 191 * 192 / 2));
  ExpectImage(&player, before, kF32, "vcadd to register");
}

TEST(VecReduceBlock, EightResultsPerRepeat) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kF16, kF32}) {
    const int per_block = 32 / f.bytes;
    for (uint32_t insn : {VNPU_INSN_vcgmax, VNPU_INSN_vcgmin, VNPU_INSN_vcgadd}) {
      for (const Operand& src : kSources) {
        for (const LaneSet& lanes : StandardLaneSets()) {
          FillImage(&player, f, 31, -5, 5, false);
          std::vector<uint8_t> expected = Snapshot(&player);
          const std::vector<uint8_t> before = expected;
          int64_t r = 0;
          for (const auto& active : LanesPerRepeat(lanes, 256 / f.bytes)) {
            const auto bits = MaskedLanes(before, src, active, r, f.bytes);
            for (int b = 0; b < 8; ++b) {
              uint64_t result = 0;
              bool any = insn == VNPU_INSN_vcgadd;
              if (any) {
                result =
                    TreeSum(f, {bits.begin() + b * per_block, bits.begin() + (b + 1) * per_block});
              } else {
                double best = 0;
                for (int e : active) {
                  if (e / per_block != b) continue;
                  const double v = ValueOf(f, bits[e]);
                  if (!any || (insn == VNPU_INSN_vcgmax ? v > best : v < best)) {
                    best = v;
                    result = bits[e];
                  }
                  any = true;
                }
              }
              if (any)
                std::memcpy(&expected[kDst + r * 2 * 8 * f.bytes + b * f.bytes], &result, f.bytes);
            }
            ++r;
          }
          SetLanes(&player, lanes);
          player.Step(insn, f.type, kDst, src.base, lanes.repeat, 2, src.blk, src.rep);
          ASSERT_EQ(player.Run(), "");
          ExpectImage(&player, expected, f, std::string("block ") + f.name + lanes.name);
        }
      }
    }
  }
}

TEST(VecReducePair, HalvesTheLanes) {
  Player player(CoreKind::kVector, kImage);
  for (const Format& f : {kF16, kF32}) {
    for (const LaneSet& lanes : StandardLaneSets()) {
      FillImage(&player, f, 41, -5, 5, false);
      std::vector<uint8_t> expected = Snapshot(&player);
      const std::vector<uint8_t> before = expected;
      int64_t r = 0;
      for (const auto& active : LanesPerRepeat(lanes, 256 / f.bytes)) {
        const auto bits = MaskedLanes(before, kSources[1], active, r, f.bytes);
        for (size_t i = 0; i < bits.size(); i += 2) {
          const uint64_t sum = TreeSum(f, {bits[i], bits[i + 1]});
          std::memcpy(&expected[kDst + r * 128 + i / 2 * f.bytes], &sum, f.bytes);
        }
        ++r;
      }
      SetLanes(&player, lanes);
      player.Step(VNPU_INSN_vcpadd, f.type, kDst, kSrc, lanes.repeat, 1, 2, 17);
      ASSERT_EQ(player.Run(), "");
      ExpectImage(&player, expected, f, std::string("vcpadd ") + f.name + lanes.name);
    }
  }
}

}  // namespace
}  // namespace vnpu_test
