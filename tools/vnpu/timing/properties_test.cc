// SPDX-License-Identifier: Apache-2.0
// What holds for every program: times add up, equal inputs give equal
// timelines, more work is never faster. Programs are random but always end.
#include <gtest/gtest.h>

#include <cstring>

#include "tools/vnpu/timing/simulator.h"
#include "tools/vnpu/timing/summary.h"
#include "tools/vnpu/timing/testing_recording.h"

namespace vnpu {
namespace {

constexpr uint64_t kGm = uint64_t{1} << 40;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint32_t Below(uint32_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ % limit);
  }

 private:
  uint64_t state_;
};

// Loads, work and flags on every core, signals between them. `scale` more bytes
// and repeats, the rest the same.
RecordingBuilder RandomProgram(uint64_t seed, uint32_t blocks, uint32_t scale) {
  RecordingBuilder b(blocks, true, 2);
  Random random(seed);
  for (uint32_t core = 0; core < 3 * blocks; ++core) {
    b.On(core);
    const bool aic = core % 3 == 0;
    const Pipe work = aic ? Pipe::kM : Pipe::kV;
    for (uint32_t step = 0; step < 20; ++step) {
      const uint64_t address = kGm + (uint64_t{random.Below(64)} << 20);
      const uint64_t bytes = (1 + random.Below(64)) * 1024 * scale;
      if (aic) {
        b.GmToL1(address, bytes);
      } else {
        b.GmToUb(address, bytes);
      }
      b.Set(Pipe::kMte2, work, step % 8).Wait(Pipe::kMte2, work, step % 8);
      for (uint32_t i = random.Below(4); i > 0; --i) {
        if (aic) {
          b.Mad((1 + random.Below(100)) * scale);
        } else {
          b.Vector(VNPU_INSN_vmul, (1 + random.Below(100)) * scale);
        }
        if (random.Below(3) == 0) b.Barrier(work);
      }
      if (random.Below(4) == 0) b.LoadScalar(kGm + random.Below(1 << 16) * 4);
      if (random.Below(5) == 0) b.Barrier(Pipe::kAll);
      if (!aic) b.UbToGm(kGm + (uint64_t{random.Below(64)} << 20), 512 * scale);
      // One handshake a step, so that nobody is left waiting.
      b.Signal(aic ? Pipe::kM : Pipe::kMte3, 2, aic ? 0 : 1).Await(aic ? 1 : 0);
    }
  }
  return b;
}

Parameters Part(const std::string& soc) {
  Parameters p;
  std::string error;
  EXPECT_TRUE(ParametersOf(soc, &p, &error)) << error;
  return p;
}

void ExpectAddsUp(const Timeline& t) {
  std::vector<std::vector<std::pair<int64_t, int64_t>>> parts(t.lanes.size());
  for (const Span& span : t.spans) {
    EXPECT_LT(span.begin_ps, span.end_ps);
    EXPECT_LE(span.end_ps, span.done_ps);
    parts[span.lane].push_back({span.begin_ps, span.end_ps});
  }
  for (const Wait& wait : t.waits) {
    EXPECT_LT(wait.begin_ps, wait.end_ps);
    EXPECT_LT(wait.from, t.lanes.size());
    parts[wait.lane].push_back({wait.begin_ps, wait.end_ps});
  }
  ASSERT_EQ(t.totals.size(), t.lanes.size());
  for (size_t lane = 0; lane < t.lanes.size(); ++lane) {
    // Spans and waits cover the lane without gap or overlap.
    std::sort(parts[lane].begin(), parts[lane].end());
    int64_t at = 0;
    for (const auto& [begin, end] : parts[lane]) {
      EXPECT_EQ(begin, at) << "lane " << lane;
      at = end;
    }
    EXPECT_EQ(at, t.total_ps);
    int64_t sum = t.totals[lane].busy_ps;
    for (const int64_t wait : t.totals[lane].wait_ps) sum += wait;
    EXPECT_EQ(sum, t.total_ps);
  }
}

template <typename T>
bool SameBytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

class EveryPart : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryPart, TimesAddUpAndRepeat) {
  const Parameters p = Part(GetParam());
  for (uint64_t seed = 0; seed < 10; ++seed) {
    // More blocks than any part has cores, too.
    const RecordingBuilder b = RandomProgram(seed, seed % 2 == 0 ? 5 : 30, 1);
    const Timeline first = TimeOf(b, p), second = TimeOf(b, p);
    ExpectAddsUp(first);
    EXPECT_EQ(first.total_ps, second.total_ps);
    EXPECT_TRUE(SameBytes(first.spans, second.spans));
    EXPECT_TRUE(SameBytes(first.waits, second.waits));
    EXPECT_TRUE(SameBytes(first.arrows, second.arrows));
    EXPECT_TRUE(SameBytes(first.totals, second.totals));
  }
}

TEST_P(EveryPart, MoreWorkIsNeverFaster) {
  const Parameters p = Part(GetParam());
  for (uint64_t seed = 0; seed < 10; ++seed) {
    int64_t before = 0;
    for (const uint32_t scale : {1u, 2u, 4u}) {
      const int64_t time = TimeOf(RandomProgram(seed, 12, scale), p).total_ps;
      EXPECT_GE(time, before) << "seed " << seed << ", scale " << scale;
      before = time;
    }
  }
}

std::string PartName(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Parts, EveryPart, ::testing::ValuesIn(KnownParts()), PartName);

TEST(Properties, OneMoreRowIsNeverFaster) {
  const Parameters p = Part("Ascend910B1");
  int64_t before = 0;
  for (uint32_t rows = 1; rows <= 64; ++rows) {
    RecordingBuilder b(1, true, 0);
    b.GmToL1(kGm, 512).Rows(rows, 2048);
    const int64_t time = TimeOf(b, p).total_ps;
    EXPECT_GE(time, before) << rows;
    before = time;
  }
}

TEST(Parameters, AnUnknownPartIsNamed) {
  Parameters p;
  std::string error;
  EXPECT_FALSE(ParametersOf("Ascend310P3", &p, &error));
  EXPECT_EQ(error,
            "no timing parameters for soc_name = 'Ascend310P3'; there are some for Ascend910B1, "
            "Ascend910B2, Ascend910B2C, Ascend910B3, Ascend910B4, Ascend910_9391, Ascend910_9392, "
            "Ascend910_9381, Ascend910_9382, Ascend910_9372, Ascend910_9362");
}

TEST(Parameters, PartsDiffer) {
  EXPECT_EQ(Part("Ascend910B1").num_cores, 24);
  EXPECT_EQ(Part("Ascend910B3").num_cores, 20);
  EXPECT_EQ(Part("Ascend910B3").clock_mhz, 1800);
  EXPECT_EQ(Part("Ascend910B4").l2_bytes(), uint64_t{96} << 20);
  EXPECT_LT(Part("Ascend910B4").hbm_gb_per_s, Part("Ascend910B3").hbm_gb_per_s);
  EXPECT_EQ(Part("Ascend910_9372").num_cores, 20);
}

TEST(Parameters, PrintWithUnitMarkAndSource) {
  const Parameters p = Part("Ascend910B1");
  EXPECT_NE(p.ToText().find("clock_mhz                 1850    MHz    [doc] CANN platform files"),
            std::string::npos);
  EXPECT_NE(
      p.ToJson().find("{\"name\":\"flag_cycles\",\"value\":15,\"unit\":\"cyc\",\"mark\":\"inf\""),
      std::string::npos);
  EXPECT_NE(p.ToJson().find("{\"name\":\"vexp b16\",\"slope\":4,"), std::string::npos);
}

TEST(Parameters, CanBeVariedByName) {
  Parameters p = Part("Ascend910B1");
  EXPECT_TRUE(p.Set("hbm_gb_per_s", 1800));
  EXPECT_EQ(p.hbm_gb_per_s, 1800);
  EXPECT_FALSE(p.Set("hbm", 1));
}

TEST(Summary, SaysWhatBoundsTheLaunch) {
  RecordingBuilder b(24, true, 0);
  for (uint32_t core = 0; core < 24; ++core) {
    b.On(core);
    for (uint64_t i = 0; i < 64; ++i) b.GmToL1(kGm + (core * 64 + i) * 65536, 65536);
  }
  const Timeline t = TimeOf(b, RoundParameters());
  const TimelineSummary s = Summarize(t);
  EXPECT_NEAR(s.hbm_share, 1, 0.02);
  EXPECT_NEAR(s.imbalance, 1, 0.01);
  EXPECT_EQ(t.lanes[s.bounding_lane].pipe, static_cast<uint8_t>(Pipe::kMte2));
  EXPECT_NEAR(s.bounding_share, 1, 0.02);
  const std::string text = SummaryText(t, 24 << 22);
  EXPECT_NE(text.find("by_hand on Ascend910B1, 24 blocks: modelled "), std::string::npos) << text;
  EXPECT_NE(text.find("AIC.MTE2"), std::string::npos) << text;
}

}  // namespace
}  // namespace vnpu
