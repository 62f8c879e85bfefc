// SPDX-License-Identifier: Apache-2.0
// GM in time: latency and rate of transfers, sharing of HBM and L2, what L2
// and the scalar data cache hold.
#include <gtest/gtest.h>

#include "tools/vnpu/timing/memory_flows.h"
#include "tools/vnpu/timing/op_cost.h"
#include "tools/vnpu/timing/scalar_cache.h"
#include "tools/vnpu/timing/simulator.h"
#include "tools/vnpu/timing/testing_recording.h"

namespace vnpu {
namespace {

constexpr CoreId kAic{0, CoreRole::kAic};
constexpr CoreId kAiv0{0, CoreRole::kAiv0};
constexpr uint64_t kGm = uint64_t{1} << 40;
constexpr uint64_t kMiB = uint64_t{1} << 20;

int64_t BeginOf(const Timeline& t, CoreId core, Pipe pipe, size_t i) {
  const Span* span = SpanOf(t, core, pipe, i);
  return span == nullptr ? -1 : span->begin_ps / kCycle;
}

TEST(MemoryTiming, ALoneTransferFromHbmAndFromL2) {
  RecordingBuilder b(1, true, 0);
  b.GmToL1(kGm, 64 << 10).Barrier(Pipe::kMte2).GmToL1(kGm, 64 << 10);
  const Timeline t = TimeOf(b, RoundParameters());
  const Span* miss = SpanOf(t, kAic, Pipe::kMte2, 0);
  EXPECT_EQ(miss->end_ps - miss->begin_ps, 512 * kCycle);
  EXPECT_EQ(miss->done_ps - miss->begin_ps, (512 + 200 + 400) * kCycle);
  const Span* hit = SpanOf(t, kAic, Pipe::kMte2, 1);
  EXPECT_EQ(hit->done_ps - hit->begin_ps, (512 + 200) * kCycle);
  EXPECT_EQ(t.gm_read_bytes, 128u << 10);
  EXPECT_EQ(t.hbm_bytes, 64u << 10);
  EXPECT_EQ(t.l2_hit_bytes, 64u << 10);
}

TEST(MemoryTiming, PrefetchHidesLatency) {
  // Load and multiply in turn, against the next load in flight meanwhile.
  RecordingBuilder serial(1, true, 0), ahead(1, true, 0);
  constexpr int kTiles = 8;
  for (int i = 0; i < kTiles; ++i) {
    serial.GmToL1(kGm + i * 65536, 65536).Set(Pipe::kMte2, Pipe::kM, 0);
    serial.Wait(Pipe::kMte2, Pipe::kM, 0).Mad(498).Set(Pipe::kM, Pipe::kMte2, 0);
    serial.Wait(Pipe::kM, Pipe::kMte2, 0);
  }
  for (int i = 0; i < kTiles; ++i) {
    ahead.GmToL1(kGm + i * 65536, 65536).Set(Pipe::kMte2, Pipe::kM, 0);
    ahead.Wait(Pipe::kMte2, Pipe::kM, 0).Mad(498);
  }
  const int64_t slow = TimeOf(serial, RoundParameters()).total_ps;
  const int64_t fast = TimeOf(ahead, RoundParameters()).total_ps;
  // Serial: 512 + 600 + 10 + 500 + 21 + 10 a tile. Ahead: 512 a tile, and the
  // last tile's way once.
  EXPECT_NEAR(static_cast<double>(slow) / kCycle, kTiles * 1653, 20);
  EXPECT_NEAR(static_cast<double>(fast) / kCycle, kTiles * 512 + 600 + 10 + 500 + 21, 20);
}

// Bytes per ns that `cores` cores together draw from HBM, 1 MiB each.
double Stream(uint32_t cores, Timeline* last = nullptr) {
  RecordingBuilder b(cores, true, 0);
  for (uint32_t core = 0; core < cores; ++core) {
    b.On(core);
    for (uint64_t i = 0; i < 16; ++i) b.GmToL1(kGm + (core * 16 + i) * 65536, 65536);
  }
  const Timeline t = TimeOf(b, RoundParameters());
  if (last != nullptr) *last = t;
  // The last load has left its pipe 600 cycles before its results.
  const int64_t end = SpanOf(t, kAic, Pipe::kMte2, 15)->done_ps - 600 * kCycle;
  return static_cast<double>(cores * kMiB) / (static_cast<double>(end) / 1000);
}

TEST(MemoryTiming, StreamsShareHbm) {
  // 128 B/ns each until 1024 B/ns are given out; the issue of the first load
  // is 1 ns of 8192.
  EXPECT_NEAR(Stream(1), 128, 0.2);
  EXPECT_NEAR(Stream(4), 512, 1);
  EXPECT_NEAR(Stream(8), 1024, 2);
  EXPECT_NEAR(Stream(16), 1024, 2);
  Timeline t;
  EXPECT_NEAR(Stream(24, &t), 1024, 2);
  // A third of the time would have done: the rest is owed to the others.
  const int64_t owed = WaitOf(t, kAic, Pipe::kMte2, WaitCause::kHbm);
  EXPECT_NEAR(static_cast<double>(owed) / static_cast<double>(t.total_ps), 2.0 / 3, 0.02);
  EXPECT_EQ(WaitOf(t, kAic, Pipe::kMte2, WaitCause::kL2), 0);
}

TEST(MemoryTiming, StreamsShareL2) {
  Parameters p = RoundParameters();
  ASSERT_TRUE(p.Set("l2_gb_per_s", 1024));
  RecordingBuilder b(16, true, 0);
  for (uint32_t core = 0; core < 16; ++core) b.On(core).GmToL1(kGm + core * 65536, 65536);
  L2State l2;
  TimeOf(b, p, &l2);
  const Timeline t = TimeOf(b, p, &l2);
  // 64 B/ns each instead of 128.
  const Span* span = SpanOf(t, kAic, Pipe::kMte2, 0);
  EXPECT_EQ(span->end_ps - span->begin_ps, 512 * kCycle);
  EXPECT_NEAR(static_cast<double>(WaitOf(t, kAic, Pipe::kMte2, WaitCause::kL2)), 512e3, 2);
  EXPECT_EQ(t.hbm_bytes, 0u);
}

// 24 cores read `run` bytes of each 2 KiB row; core c begins at byte
// (c % 8) * run of a row, and `shared` says that eight of them read the same
// rows, as kv heads of a token-major cache lie.
Timeline ReadHeads(uint64_t run, bool shared) {
  RecordingBuilder b(24, true, 0);
  for (uint32_t core = 0; core < 24; ++core) {
    const uint64_t first = shared ? core / 8 : core;
    b.On(core);
    for (uint64_t i = 0; i < 16; ++i) {
      b.GmToL1(kGm + first * 64 * kMiB + i * 128 * 2048 + core % 8 * run, run).Rows(128, 2048);
    }
  }
  return TimeOf(b, RoundParameters());
}

TEST(MemoryTiming, ShortRunsFetchWholeLines) {
  constexpr uint64_t kRows = 24 * 16 * 128;
  EXPECT_EQ(ReadHeads(256, false).hbm_bytes, kRows * 512);
  EXPECT_EQ(ReadHeads(64, false).hbm_bytes, kRows * 512);
  // The neighbour's half is there when it comes.
  EXPECT_EQ(ReadHeads(256, true).hbm_bytes, kRows * 256);
  EXPECT_LT(ReadHeads(256, true).total_ps, 0.55 * ReadHeads(256, false).total_ps);
}

// Rows of a layout-changing load: the engine's requests, not bytes, set the pace.
TEST(MemoryTiming, RowsOfALayoutChangingLoadCostARequestEach) {
  const auto busy = [](uint32_t rows, uint32_t row_bytes, bool warm) {
    RecordingBuilder b(1, true, 0);
    b.GmToL1Nd2Nz(kGm, rows, row_bytes, 2048);
    L2State l2;
    if (warm) TimeOf(b, RoundParameters(), &l2);
    const Timeline t = TimeOf(b, RoundParameters(), &l2);
    const Span* span = SpanOf(t, kAic, Pipe::kMte2, 0);
    return static_cast<double>(span->end_ps - span->begin_ps) / kCycle;
  };
  EXPECT_NEAR(busy(128, 256, true), 60 + 128 * 3.2, 1);
  EXPECT_NEAR(busy(128, 256, false), 60 + 128 * 8.4, 1);
  EXPECT_NEAR(busy(128, 32, false), 60 + 128 * 8.4, 1);
  EXPECT_NEAR(busy(128, 2048, true), 60 + 128 * 2048 / 145.0, 1);
  // End to end.
  EXPECT_NEAR(busy(128, 2048, false), 60 + 128 * 4 * 6.5, 1);
}

TEST(MemoryTiming, EqualSharesGoByWant) {
  std::vector<double> granted;
  ShareFairly(10, {1, 2, 3}, &granted);
  EXPECT_EQ(granted, (std::vector<double>{1, 2, 3}));
  ShareFairly(9, {1, 6, 6}, &granted);
  EXPECT_EQ(granted, (std::vector<double>{1, 4, 4}));
  ShareFairly(9, {6, 3, 0}, &granted);
  EXPECT_EQ(granted, (std::vector<double>{6, 3, 0}));
}

// ---- L2

TEST(L2State, FetchesWholeLines) {
  L2State l2(kMiB);
  L2Touch touch;
  l2.Access(kGm + 500, 100, false, &touch);  // the end of line 0, the begin of line 1
  EXPECT_EQ(touch.miss_bytes, 1024u);
  EXPECT_TRUE(l2.Holds(kGm + 1023));
  EXPECT_FALSE(l2.Holds(kGm + 1024));
  touch = L2Touch();
  l2.Access(kGm + 512, 1024, false, &touch);
  EXPECT_EQ(touch.hit_bytes, 512u);
  EXPECT_EQ(touch.miss_bytes, 512u);
}

TEST(L2State, ThrowsOutWhatWasUsedLongestAgo) {
  L2State l2(64 << 10);
  L2Touch touch;
  l2.Access(kGm, 32 << 10, false, &touch);
  l2.Access(kGm + (32 << 10), 32 << 10, false, &touch);
  l2.Access(kGm, 4096, false, &touch);  // used again
  l2.Access(kGm + kMiB, 4096, false, &touch);
  EXPECT_TRUE(l2.Holds(kGm));
  EXPECT_FALSE(l2.Holds(kGm + 4096));
  EXPECT_EQ(touch.evicted_bytes, 0u);
}

TEST(L2State, SparseLinesTakeTheirOwnRoomOnly) {
  // 16 KiB as 256-B runs of 2 KiB each: 32 of 128 lines, so 128 KiB of addresses fit.
  L2State l2(16 << 10);
  L2Touch touch;
  for (uint64_t row = 0; row < 32; ++row) l2.Access(kGm + row * 2048, 256, false, &touch);
  EXPECT_TRUE(l2.Holds(kGm));
  l2.Access(kGm + kMiB, 512, false, &touch);
  EXPECT_FALSE(l2.Holds(kGm));
}

TEST(L2State, StoresFetchNothingAndAreWrittenBackOnce) {
  L2State l2(64 << 10);
  L2Touch touch;
  l2.Access(kGm, 32 << 10, true, &touch);
  EXPECT_EQ(touch.miss_bytes, 0u);
  l2.Access(kGm + kMiB, 64 << 10, false, &touch);
  EXPECT_EQ(touch.evicted_bytes, 32u << 10);
  EXPECT_EQ(touch.miss_bytes, 64u << 10);
}

TEST(L2State, DropsWhatWasFreed) {
  L2State l2(kMiB);
  L2Touch touch;
  l2.Access(kGm, 8192, true, &touch);
  l2.Access(kGm + kMiB, 4096, true, &touch);
  l2.Drop(kGm, kGm + 8192);
  EXPECT_FALSE(l2.Holds(kGm));
  EXPECT_TRUE(l2.Holds(kGm + kMiB));
  l2.Clear();
  EXPECT_FALSE(l2.Holds(kGm + kMiB));
}

TEST(MemoryTiming, AWarmL2IsFasterAndACopyPaysForItsStores) {
  RecordingBuilder b(24, false, 2);
  for (uint32_t core = 0; core < 48; ++core) {
    b.On(core);
    for (uint64_t i = 0; i < 8; ++i) b.GmToUb(kGm + (core * 8 + i) * 65536, 65536);
  }
  L2State l2;
  const Timeline cold = TimeOf(b, RoundParameters(), &l2);
  const Timeline warm = TimeOf(b, RoundParameters(), &l2);
  EXPECT_EQ(cold.hbm_bytes, 24 * kMiB);
  EXPECT_EQ(warm.hbm_bytes, 0u);
  EXPECT_EQ(warm.l2_hit_bytes, 24 * kMiB);
  EXPECT_LT(warm.total_ps, cold.total_ps / 2);
}

// A card-wide copy of 256 MiB in a loop: reads and write-backs both use HBM.
TEST(MemoryTiming, ACopyInALoopReachesThePublishedRate) {
  Parameters p;
  std::string error;
  ASSERT_TRUE(ParametersOf("Ascend910B1", &p, &error));
  constexpr uint64_t kChunk = 64 << 10, kTotal = 256 * kMiB, kCores = 48;
  RecordingBuilder b(24, false, 2);
  for (uint64_t at = 0; at < kTotal; at += kChunk) {
    const uint32_t event = at / kChunk / kCores % 2;
    b.On(static_cast<uint32_t>(at / kChunk % kCores));
    if (at >= 2 * kChunk * kCores) b.Wait(Pipe::kMte3, Pipe::kMte2, event);
    b.GmToUb(kGm + at, kChunk).Set(Pipe::kMte2, Pipe::kMte3, event);
    b.Wait(Pipe::kMte2, Pipe::kMte3, event).UbToGm(kGm + kTotal + at, kChunk);
    b.Set(Pipe::kMte3, Pipe::kMte2, event);
  }
  L2State l2;
  TimeOf(b, p, &l2);
  const Timeline t = TimeOf(b, p, &l2);
  const double rate = 2.0 * kTotal / static_cast<double>(t.total_ps);
  EXPECT_NEAR(rate, 1.267, 0.05 * 1.267);  // TB/s, 910B1 benchmark page [hw]
}

// ---- scalar unit

TEST(MemoryTiming, AScalarLoadWaitsOncePerLine) {
  Parameters p = RoundParameters();
  ASSERT_TRUE(p.Set("dcache_hit_cycles", 4) && p.Set("gm_load_hbm_ns", 400) &&
              p.Set("gm_load_l2_ns", 200));
  RecordingBuilder b(1, false, 1);
  b.LoadScalar(kGm).LoadScalar(kGm + 4).LoadScalar(kGm + 60);  // one line, from HBM
  b.LoadScalar(kGm + 64);                                      // next line, same sector of L2
  b.Vector(VNPU_INSN_vadds, 10);
  const Timeline t = TimeOf(b, p);
  EXPECT_EQ(BeginOf(t, kAiv0, Pipe::kV, 0), 4 * 4 + 400 + 200 + 1);
  EXPECT_EQ(WaitOf(t, kAiv0, Pipe::kS, WaitCause::kScalarGm), 600 * kCycle);
  // The vector unit waited for the same.
  EXPECT_EQ(WaitOf(t, kAiv0, Pipe::kV, WaitCause::kScalarGm), 600 * kCycle);
}

TEST(ScalarCache, KeepsTheLatestLinesOfASet) {
  const Parameters p = RoundParameters();
  ScalarCache cache(p);
  const auto sets = static_cast<uint64_t>(p.dcache_bytes / p.dcache_line_bytes / p.dcache_ways);
  const auto ways = static_cast<uint64_t>(p.dcache_ways);
  for (uint64_t i = 0; i < ways; ++i) EXPECT_FALSE(cache.Touch(5 + i * sets));
  EXPECT_TRUE(cache.Touch(5));
  EXPECT_FALSE(cache.Touch(5 + ways * sets));  // throws out 5 + sets
  EXPECT_TRUE(cache.Touch(5));
  EXPECT_FALSE(cache.Touch(5 + sets));
  cache.Drop(5);
  EXPECT_FALSE(cache.Touch(5));
  cache.Clear();
  EXPECT_FALSE(cache.Touch(5));
}

}  // namespace
}  // namespace vnpu
