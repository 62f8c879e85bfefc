// SPDX-License-Identifier: Apache-2.0
// Accuracy of vexp, vln, vrec, vrsqrt against the C library in double.
#include <cinttypes>

#include "tools/vnpu/isa/insns/vec_reference.h"

namespace vnpu_test {
namespace {

constexpr int64_t kDst = 0, kSrc = 48 * 1024;
constexpr int kCount = 64 * 128;

// Runs the operation over kCount floats that `make` gives.
std::vector<std::pair<float, float>> Apply(Player* player, uint32_t insn, double (*make)(Random*)) {
  Random random(insn);
  for (int i = 0; i < kCount; ++i) player->Put(kSrc + i * 4, static_cast<float>(make(&random)));
  player->FullMask();
  player->Step(insn, VNPU_T_f32, kDst, kSrc, 128, 1, 1, 8, 8);
  EXPECT_EQ(player->Run(), "");
  std::vector<std::pair<float, float>> results;
  for (int i = 0; i < kCount; ++i) {
    results.push_back({player->Get<float>(kSrc + i * 4), player->Get<float>(kDst + i * 4)});
  }
  return results;
}

// Distance in units in the last place, over the ordered bits of floats.
int64_t Ulps(float a, float b) {
  const auto ordered = [](float v) {
    const auto bits = static_cast<int32_t>(FloatBitsOf(v));
    return bits < 0 ? static_cast<int64_t>(INT32_MIN) - bits : static_cast<int64_t>(bits);
  };
  return std::abs(ordered(a) - ordered(b));
}

void ExpectRounded(const std::vector<std::pair<float, float>>& results, double (*exact)(double)) {
  int different = 0;
  for (const auto& [x, y] : results) {
    const auto want = static_cast<float>(exact(x));
    ASSERT_LE(Ulps(y, want), 1) << "at " << x;
    if (y != want) ++different;
  }
  // Only where the true value lies next to the middle of two floats.
  EXPECT_LE(different, 1);
}

TEST(Elementary, ExpIsCorrectlyRoundedOverItsWholeRange) {
  Player player(CoreKind::kVector, 96 * 1024);
  ExpectRounded(Apply(&player, VNPU_INSN_vexp, [](Random* r) { return r->Real(-20, 20); }),
                std::exp);
  ExpectRounded(Apply(&player, VNPU_INSN_vexp, [](Random* r) { return r->Real(-110, 95); }),
                std::exp);
  ExpectRounded(Apply(&player, VNPU_INSN_vexp, [](Random* r) { return r->Real(-1e-3, 1e-3); }),
                std::exp);
}

TEST(Elementary, LnIsCorrectlyRoundedOverItsWholeRange) {
  Player player(CoreKind::kVector, 96 * 1024);
  ExpectRounded(Apply(&player, VNPU_INSN_vln, [](Random* r) { return r->Real(0.5, 2); }), std::log);
  ExpectRounded(
      Apply(&player, VNPU_INSN_vln, [](Random* r) { return std::exp(r->Real(-103, 88)); }),
      std::log);
  ExpectRounded(Apply(&player, VNPU_INSN_vln, [](Random* r) { return 1 + r->Real(-1e-5, 1e-5); }),
                std::log);
}

TEST(Elementary, SpecialValues) {
  Player player(CoreKind::kVector, 96 * 1024);
  const float inf = INFINITY;
  const float in[] = {-inf, inf, 0.0f, -0.0f, 89.0f, -104.0f, -1.0f, 1.0f, 1e-45f, std::nanf("")};
  const float exp[] = {0.0f,           inf,  1.0f, 1.0f, inf, 0.0f, std::exp(-1.0f),
                       std::exp(1.0f), 1.0f, NAN};
  const float ln[] = {NAN, inf, -inf, -inf, 4.48863637f, NAN, NAN, 0.0f, -103.278931f, NAN};
  for (int i = 0; i < 10; ++i) player.Put(kSrc + i * 4, in[i]);
  player.FullMask();
  player.Step(VNPU_INSN_vexp, VNPU_T_f32, kDst, kSrc, 1, 1, 1, 8, 8);
  player.Step(VNPU_INSN_vln, VNPU_T_f32, kDst + 256, kSrc, 1, 1, 1, 8, 8);
  ASSERT_EQ(player.Run(), "");
  for (int i = 0; i < 10; ++i) {
    const float e = player.Get<float>(kDst + i * 4), l = player.Get<float>(kDst + 256 + i * 4);
    EXPECT_TRUE(e == exp[i] || (std::isnan(e) && std::isnan(exp[i]))) << in[i] << ": " << e;
    EXPECT_TRUE(l == ln[i] || (std::isnan(l) && std::isnan(ln[i]))) << in[i] << ": " << l;
  }
}

// Halves that Real(low, high) rounds to, and what the operation makes of them.
std::vector<std::pair<double, double>> ApplyHalf(Player* player, uint32_t insn, double low,
                                                 double high) {
  Random random(insn);
  for (int i = 0; i < 1024; ++i) player->Put(kSrc + i * 2, HalfBits(random.Real(low, high)));
  player->FullMask();
  player->Step(insn, VNPU_T_f16, kDst, kSrc, 8, 1, 1, 8, 8);
  EXPECT_EQ(player->Run(), "");
  std::vector<std::pair<double, double>> results;
  for (int i = 0; i < 1024; ++i) {
    results.push_back({HalfValue(player->Get<uint16_t>(kSrc + i * 2)),
                       HalfValue(player->Get<uint16_t>(kDst + i * 2))});
  }
  return results;
}

TEST(Elementary, HalvesRoundTheFloatResult) {
  Player player(CoreKind::kVector, 96 * 1024);
  for (const auto& [x, y] : ApplyHalf(&player, VNPU_INSN_vexp, -18, 11.1)) {
    EXPECT_EQ(y, HalfValue(HalfBits(static_cast<float>(std::exp(x))))) << x;
  }
  for (const auto& [x, y] : ApplyHalf(&player, VNPU_INSN_vln, 0.001, 1000)) {
    EXPECT_EQ(y, HalfValue(HalfBits(static_cast<float>(std::log(x))))) << x;
  }
}

// Low precision on purpose: a kernel must not get more here than on the device.
TEST(Elementary, ReciprocalsAreCoarse) {
  Player player(CoreKind::kVector, 96 * 1024);
  double worst = 0;
  const auto real = [](Random* r) { return r->Real(0.01, 100); };
  for (const auto& [x, y] : Apply(&player, VNPU_INSN_vrec, real)) {
    worst = std::max(worst, std::fabs(static_cast<double>(y) * x - 1));
  }
  EXPECT_LE(worst, std::ldexp(1, -11));
  EXPECT_GE(worst, std::ldexp(1, -14));
  worst = 0;
  for (const auto& [x, y] : Apply(&player, VNPU_INSN_vrsqrt, real)) {
    worst =
        std::max(worst, std::fabs(static_cast<double>(y) * std::sqrt(static_cast<double>(x)) - 1));
  }
  EXPECT_LE(worst, std::ldexp(1, -11));
  EXPECT_GE(worst, std::ldexp(1, -14));
  // A coarse result of a half is still good to its last place but one.
  for (const auto& [x, y] : ApplyHalf(&player, VNPU_INSN_vrec, 0.01, 100)) {
    EXPECT_LE(std::fabs(y * x - 1), std::ldexp(1, -10)) << x;
  }
  for (const auto& [x, y] : ApplyHalf(&player, VNPU_INSN_vrsqrt, 0.01, 100)) {
    EXPECT_LE(std::fabs(y * std::sqrt(x) - 1), std::ldexp(1, -10)) << x;
  }
}

}  // namespace
}  // namespace vnpu_test
