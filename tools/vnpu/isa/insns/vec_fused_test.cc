// SPDX-License-Identifier: Apache-2.0
// Conversions with an operation, a scale or half bytes, against plain loops on
// doubles: types, strides, masks, repeats, tails, overflow.
#include <algorithm>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr uint64_t kImage = 128 * 1024;
constexpr int64_t kDst = 0, kSrc0 = 32 * 1024, kSrc1 = 64 * 1024, kWords = 120 * 1024;
constexpr uint64_t kKeep = uint64_t{1} << 48, kTruncate = uint64_t{1} << 59;

int64_t Extend(uint64_t bits, int width) {
  return static_cast<int64_t>(bits << (64 - width)) >> (64 - width);
}

// Nearest even unless `round` says otherwise; nan gives 0.
uint64_t Whole(double v, int64_t low, int64_t high, bool truncate,
               double (*round)(double) = std::nearbyint) {
  if (std::isnan(v)) return 0;
  const double whole = round(v);
  if (truncate && std::isfinite(whole)) return static_cast<uint64_t>(static_cast<int64_t>(whole));
  return static_cast<uint64_t>(static_cast<int64_t>(
      std::min(std::max(whole, static_cast<double>(low)), static_cast<double>(high))));
}

uint64_t HalfOrSaturated(double v, bool keep) {
  const uint16_t h = HalfBits(v);
  if (keep || (h & 0x7c00) != 0x7c00) return h;
  return (h & 0x3ff) != 0 ? 0 : static_cast<uint64_t>(h & 0x8000) | 0x7bff;
}

double Real(const Format& f, uint64_t bits) {
  if (f.type == VNPU_T_f16) return HalfValue(static_cast<uint16_t>(bits));
  if (f.type == VNPU_T_f32) return FloatOf(static_cast<uint32_t>(bits));
  return static_cast<double>(Extend(bits, f.bytes * 8));
}

// ---- an operation and a conversion

struct FusedCase {
  uint32_t insn;
  const char* name;
  Format source, target;
  char op;
};
const FusedCase kFused[] = {
    {VNPU_INSN_vaddreluconv_f162s8, "vaddreluconv_f162s8", kF16, kS8, '+'},
    {VNPU_INSN_vaddreluconv_f322f16, "vaddreluconv_f322f16", kF32, kF16, '+'},
    {VNPU_INSN_vaddreluconv_s162s8, "vaddreluconv_s162s8", kS16, kS8, '+'},
    {VNPU_INSN_vsubreluconv_f162s8, "vsubreluconv_f162s8", kF16, kS8, '-'},
    {VNPU_INSN_vsubreluconv_f322f16, "vsubreluconv_f322f16", kF32, kF16, '-'},
    {VNPU_INSN_vsubreluconv_s162s8, "vsubreluconv_s162s8", kS16, kS8, '-'},
    {VNPU_INSN_vmulconv_f162s8, "vmulconv_f162s8", kF16, kS8, '*'},
    {VNPU_INSN_vmulconv_f162u8, "vmulconv_f162u8", kF16, kU8, '*'},
};

uint64_t FusedResult(const FusedCase& c, uint64_t a_bits, uint64_t b_bits, uint64_t ctrl) {
  const double a = Real(c.source, a_bits), b = Real(c.source, b_bits);
  double v = c.op == '+' ? a + b : c.op == '-' ? a - b : a * b;
  if (c.source.bytes == 4) v = static_cast<float>(v);
  if (c.op != '*' && !(v > 0) && !std::isnan(v)) v = 0;
  if (c.target.is_float) return HalfOrSaturated(v, (ctrl & kKeep) != 0);
  const bool is_unsigned = c.target.type == VNPU_T_u8;
  return Whole(v, is_unsigned ? 0 : -128, is_unsigned ? 255 : 127, (ctrl & kTruncate) != 0);
}

void CheckFused(Player* player, const FusedCase& c, const LaneSet& lanes, uint64_t ctrl,
                const Operand& dst, const Operand& src0, const Operand& src1) {
  FillImage(player, c.source, c.insn, -12, 12);
  if (!c.source.is_float) {
    Random random(c.insn);
    for (uint64_t at = 0; at < kImage; at += 4) {  // half of them small
      player->Put<int16_t>(at, static_cast<int16_t>(static_cast<int64_t>(random.Below(400)) - 200));
    }
  }
  std::vector<uint8_t> expected = Snapshot(player);
  const std::vector<uint8_t> before = expected;
  const int in = c.source.bytes, out = c.target.bytes;
  ForEachLane(lanes, 256 / in, [&](int64_t r, int e) {
    const uint64_t bits = FusedResult(c, GetBits(&before[src0.At(r, e, in)], in),
                                      GetBits(&before[src1.At(r, e, in)], in), ctrl);
    std::memcpy(&expected[dst.At(r, e, out)], &bits, static_cast<size_t>(out));
  });
  player->Step(VNPU_INSN_set_ctrl, 0, ctrl);
  SetLanes(player, lanes);
  player->Step(c.insn, c.target.type, dst.base, src0.base, src1.base, lanes.repeat, dst.blk,
               src0.blk, src1.blk, dst.rep, src0.rep, src1.rep, 0);
  ASSERT_EQ(player->Run(), "") << c.name;
  ExpectImage(player, expected, c.target, std::string(c.name) + " " + lanes.name);
}

TEST(VecFused, OneRoundingOfTheResult) {
  Player player(CoreKind::kVector, kImage);
  for (const FusedCase& c : kFused) {
    const Operand dst{kDst, 1, 8 * c.target.bytes / c.source.bytes};
    const Operand src0{kSrc0, 1, 8}, src1{kSrc1, 1, 8};
    for (const LaneSet& lanes : StandardLaneSets()) {
      for (uint64_t ctrl : {kKeep, uint64_t{0}, kKeep | kTruncate}) {
        CheckFused(&player, c, lanes, ctrl, dst, src0, src1);
      }
    }
    CheckFused(&player, c, StandardLaneSets()[1], kKeep, {kDst, 2, 17}, {kSrc0, 3, 25},
               {kSrc1, 0, 1});
    CheckFused(&player, c, StandardLaneSets()[4], kKeep, {kDst, 1, 9}, {kSrc0, 1, 0},
               {kSrc1, 2, 16});
  }
}

TEST(VecFused, UpperHalvesAreRefused) {
  Player player(CoreKind::kVector, kImage);
  player.FullMask();
  player.Step(VNPU_INSN_vaddreluconv_f162s8, VNPU_T_s8, kDst, kSrc0, kSrc1, 1, 1, 1, 1, 4, 8, 8, 1);
  const std::string start = "not modelled: vaddreluconv_f162s8 h = true";
  EXPECT_EQ(player.Run().substr(0, start.size()), start);
}

// ---- int16 to half datablocks

uint64_t Word(float scale, int64_t offset, bool is_signed) {
  return FloatBitsOf(scale) | (static_cast<uint64_t>(offset) & 0x1ff) << 37 |
         uint64_t{is_signed} << 46;
}

struct Quant {
  float scale;
  int64_t offset;
};

uint8_t Scaled(int64_t v, const Quant& q, bool is_signed) {
  const double product = static_cast<float>(static_cast<double>(v) * q.scale);
  const double t =
      std::min(std::max(std::nearbyint(product), -256.0), 255.0) + static_cast<double>(q.offset);
  const double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  return static_cast<uint8_t>(static_cast<int64_t>(std::min(std::max(t, low), high)));
}

void CheckHalfBlock(Player* player, const LaneSet& lanes, bool high, bool by_lane, bool is_signed,
                    const Operand& dst, const Operand& src) {
  FillImage(player, kS16, 31);
  Random random(7);
  for (int64_t at = kSrc0; at < kSrc1; at += 2) {
    player->Put<int16_t>(at, static_cast<int16_t>(static_cast<int64_t>(random.Below(4000)) - 2000));
  }
  Quant quants[16];
  for (int i = 0; i < 16; ++i) {
    const int of = by_lane ? i : 0;
    quants[i] = {0.0625f * static_cast<float>(of + 1), of * 17 - 130};
    player->Put(kWords + i * 8, Word(quants[i].scale, quants[i].offset, is_signed));
  }
  std::vector<uint8_t> expected = Snapshot(player);
  const std::vector<uint8_t> before = expected;
  ForEachLane(lanes, 128, [&](int64_t r, int e) {
    const int64_t v = Extend(GetBits(&before[src.At(r, e, 2)], 2), 16);
    const int64_t block = dst.base + r * dst.rep * 32 + e / 16 * dst.blk * 32;
    expected[block + (high ? 16 : 0) + e % 16] = Scaled(v, quants[e % 16], is_signed);
  });
  SetLanes(player, lanes);
  const uint64_t word = by_lane ? kWords / 32 : Word(quants[0].scale, quants[0].offset, is_signed);
  player->Step(VNPU_INSN_set_deqscale, VNPU_T_u64, word);
  const uint32_t insn = by_lane ? (high ? VNPU_INSN_vconv_vdeqs162b8h : VNPU_INSN_vconv_vdeqs162b8l)
                                : (high ? VNPU_INSN_vconv_deqs162b8h : VNPU_INSN_vconv_deqs162b8l);
  player->Step(insn, is_signed ? VNPU_T_s8 : VNPU_T_u8, dst.base, src.base, lanes.repeat, dst.blk,
               src.blk, dst.rep, src.rep);
  ASSERT_EQ(player->Run(), "");
  ExpectImage(player, expected, kU8, std::string("deqs162b8 ") + lanes.name);
}

TEST(VecConvertHalfBlock, ScalesIntoHalfOfEachDatablock) {
  Player player(CoreKind::kVector, kImage);
  for (int form = 0; form < 8; ++form) {
    const bool high = (form & 1) != 0, by_lane = (form & 2) != 0, is_signed = (form & 4) != 0;
    for (const LaneSet& lanes : StandardLaneSets()) {
      CheckHalfBlock(&player, lanes, high, by_lane, is_signed, {kDst, 1, 8}, {kSrc0, 1, 8});
    }
    CheckHalfBlock(&player, StandardLaneSets()[4], high, by_lane, is_signed, {kDst, 2, 17},
                   {kSrc0, 0, 3});
    // In place: all lanes of a repeat are read before one is written.
    CheckHalfBlock(&player, StandardLaneSets()[1], high, by_lane, is_signed, {kSrc0, 1, 8},
                   {kSrc0, 1, 8});
  }
}

// ---- half bytes

using RoundFn = double (*)(double);
double Away(double v) { return std::round(v); }
const struct {
  uint32_t insn;
  RoundFn round;
} kToS4[] = {{VNPU_INSN_vconv_f162s4, std::nearbyint}, {VNPU_INSN_vconv_f162s4r, std::nearbyint},
             {VNPU_INSN_vconv_f162s4a, Away},          {VNPU_INSN_vconv_f162s4f, std::floor},
             {VNPU_INSN_vconv_f162s4c, std::ceil},     {VNPU_INSN_vconv_f162s4z, std::trunc}};

int64_t NibbleByte(const Operand& operand, int64_t r, int e) {
  return operand.base + r * operand.rep * 32 + e / 64 * operand.blk * 32 + e % 64 / 2;
}

TEST(VecConvertS4, HalvesToHalfBytes) {
  Player player(CoreKind::kVector, kImage);
  const Operand dsts[] = {{kDst, 1, 2}, {kDst, 3, 7}}, srcs[] = {{kSrc0, 1, 8}, {kSrc0, 2, 17}};
  for (const auto& form : kToS4) {
    for (const LaneSet& lanes : StandardLaneSets()) {
      for (int i = 0; i < 4; ++i) {
        const Operand &dst = dsts[i % 2], &src = srcs[i / 2];
        const uint64_t ctrl = i == 3 ? kTruncate : 0;
        FillImage(&player, kF16, form.insn, -10, 10);
        for (int64_t at = kSrc0; at < kSrc1; at += 6) {  // ties
          player.Put(at, HalfBits(static_cast<double>(at / 6 % 20) - 9.5));
        }
        std::vector<uint8_t> expected = Snapshot(&player);
        const std::vector<uint8_t> before = expected;
        ForEachLane(lanes, 128, [&](int64_t r, int e) {
          const double v = HalfValue(static_cast<uint16_t>(GetBits(&before[src.At(r, e, 2)], 2)));
          const auto bits = static_cast<uint8_t>(Whole(v, -8, 7, ctrl != 0, form.round) & 15);
          uint8_t& byte = expected[NibbleByte(dst, r, e)];
          byte =
              static_cast<uint8_t>(e % 2 == 0 ? (byte & 0xf0) | bits : (byte & 0x0f) | bits << 4);
        });
        player.Step(VNPU_INSN_set_ctrl, 0, ctrl);
        SetLanes(&player, lanes);
        player.Step(form.insn, VNPU_T_s4, dst.base, src.base, lanes.repeat, dst.blk, src.blk,
                    dst.rep, src.rep);
        ASSERT_EQ(player.Run(), "");
        ExpectImage(&player, expected, kU8, std::string("vconv_f162s4 ") + lanes.name);
      }
    }
  }
}

TEST(VecConvertS4, HalfBytesToHalves) {
  Player player(CoreKind::kVector, kImage);
  const Operand dsts[] = {{kDst, 1, 8}, {kDst, 2, 17}}, srcs[] = {{kSrc0, 1, 2}, {kSrc0, 0, 3}};
  for (const LaneSet& lanes : StandardLaneSets()) {
    for (int i = 0; i < 4; ++i) {
      const Operand &dst = dsts[i % 2], &src = srcs[i / 2];
      FillImage(&player, kU16, 9);
      std::vector<uint8_t> expected = Snapshot(&player);
      const std::vector<uint8_t> before = expected;
      ForEachLane(lanes, 128, [&](int64_t r, int e) {
        const uint8_t byte = before[NibbleByte(src, r, e)];
        const auto v = static_cast<double>(Extend(e % 2 == 0 ? byte : byte >> 4, 4));
        const uint16_t h = HalfBits(v);
        std::memcpy(&expected[dst.At(r, e, 2)], &h, sizeof(h));
      });
      SetLanes(&player, lanes);
      player.Step(VNPU_INSN_vconv_s42f16, VNPU_T_f16, dst.base, src.base, lanes.repeat, dst.blk,
                  src.blk, dst.rep, src.rep);
      ASSERT_EQ(player.Run(), "");
      ExpectImage(&player, expected, kU16, std::string("vconv_s42f16 ") + lanes.name);
    }
  }
}

}  // namespace
}  // namespace vnpu_test
