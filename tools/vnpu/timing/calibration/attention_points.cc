// SPDX-License-Identifier: Apache-2.0
// Decode attention: the points that matter most.
#include <algorithm>
#include <string>

#include "tools/vnpu/timing/calibration/attention_runs.h"
#include "tools/vnpu/timing/calibration/bench.h"
#include "tools/vnpu/timing/calibration/points.h"

namespace vnpu {
namespace calibration {

namespace {

constexpr uint32_t kCores = 24;
constexpr char kSplitKvSource[] = "huawei-csl/pto-kernels#193, b1 h32 kv8 d128 bs128 fp16 [hw]";
constexpr char kFifoSource[] = "hw-native-sys/simpler#704 and #665 [hw]";

// A benchmark's loop: the launch whose L2 an equal one has left. With a cache
// larger than L2 nothing of it is left, and one launch does.
double SplitKvMicroseconds(uint64_t context, bool warm) {
  Bench bench;
  SplitKvAttention attention(bench.device(), context, kCores);
  if (warm) bench.Time([&] { return attention.Launch(); });
  return Microseconds(bench.Time([&] { return attention.Launch(); }));
}

struct FifoTimes {
  double step_two, fifo, prefetch;
};

FifoTimes TimeFifo(const FifoShape& shape, bool warm) {
  Bench bench;
  PagedFifoAttention attention(bench.device(), shape, kCores);
  const auto time = [&](paged_fifo::Schedule schedule) {
    return Microseconds(bench.Time([&] { return attention.Launch(schedule, false); }));
  };
  if (warm) time(paged_fifo::kFifo);
  return FifoTimes{time(paged_fifo::kStepTwo), time(paged_fifo::kFifo),
                   time(paged_fifo::kPrefetch)};
}

double GainPercent(double before, double after) { return 100 * (1 - after / before); }

struct FifoPublished {
  std::string id;
  double step_two, fifo, prefetch;
  double gain_low, gain_high;
};

void AddFifoCase(const FifoPublished& published, const FifoTimes& times,
                 std::vector<ReportPoint>* points) {
  const std::string& id = published.id;
  points->push_back(Within(Kind::kFit, {id + "/before", times.fifo, published.fifo, "us", 0.20,
                                        kFifoSource, "before #704: loads in the critical path"}));
  points->push_back(Within(Kind::kFit, {id + "/after", times.prefetch, published.prefetch, "us",
                                        0.20, kFifoSource, "#704: loads one tile ahead"}));
  points->push_back(
      Between(Kind::kFit, published.gain_low, published.gain_high,
              {id + "/gain", GainPercent(times.fifo, times.prefetch),
               GainPercent(published.fifo, published.prefetch), "%", 0, kFifoSource, ""}));
  points->push_back(Between(
      Kind::kFit, 1, 10,
      {id + "/order", std::min(times.step_two / times.fifo, times.fifo / times.prefetch),
       std::min(published.step_two / published.fifo, published.fifo / published.prefetch), "", 0,
       kFifoSource, "smaller of #665 / before and before / after: above 1 if in order"}));
}

}  // namespace

void AddSplitKvPoints(std::vector<ReportPoint>* points) {
  const double s131072 = SplitKvMicroseconds(131072, false);
  const double s65536 = SplitKvMicroseconds(65536, false);
  const double s32768 = SplitKvMicroseconds(32768, true);
  points->push_back(
      Within(Kind::kFit, {"P2/s131072", s131072, 565.18, "us", 0.07, kSplitKvSource, ""}));
  points->push_back(
      Within(Kind::kFit, {"P3/s65536", s65536, 294.83, "us", 0.07, kSplitKvSource, ""}));
  points->push_back(Within(
      Kind::kFit, {"P3/slope", 268.435456 / (s131072 - s65536), 268.435456 / (565.18 - 294.83),
                   "TB/s", 0.05, kSplitKvSource, "KV bytes per time between P2 and P3"}));
  points->push_back(Within(Kind::kFit, {"P4/s32768_warm", s32768, 124.25, "us", 0.12,
                                        kSplitKvSource, "the cache fits L2"}));
  points->push_back(
      Between(Kind::kFit, 0, 1,
              {"P4/faster_than_cold", s32768 / (s65536 - (s131072 - s65536) / 2), 124.25 / 159.7,
               "", 0, kSplitKvSource, "P4 over the line through P2 and P3: below 1"}));
  for (const uint64_t context : {4096, 8192, 16384}) {
    const double published = context == 4096 ? 84.563 : context == 8192 ? 83.516 : 84.572;
    // Only the longest comes near its bound: cross_core_cycles stayed below it.
    points->push_back(Between(
        context == 16384 ? Kind::kFit : Kind::kHeldOut, 0, published,
        {"P5/s" + std::to_string(context), SplitKvMicroseconds(context, true), published, "us", 0,
         kSplitKvSource, "the host's launch rate bounds the device's time from above"}));
  }
}

void AddFifoPoints(std::vector<ReportPoint>* points) {
  const FifoTimes case1 = TimeFifo(FifoShape{256, 16, 16, 8192}, false);
  const FifoTimes case2 = TimeFifo(FifoShape{64, 64, 64, 8192}, true);
  AddFifoCase({"P6/case1", 1627.6, 1501.8, 1316.5, 8, 17}, case1, points);
  AddFifoCase({"P7/case2", 864.4, 752.5, 694.4, 4, 12}, case2, points);
  points->push_back(
      Between(Kind::kFit, 0, 1,
              {"P7/gain_below_case1",
               GainPercent(case2.fifo, case2.prefetch) / GainPercent(case1.fifo, case1.prefetch),
               GainPercent(752.5, 694.4) / GainPercent(1501.8, 1316.5), "", 0, kFifoSource,
               "gain of case 2 over gain of case 1: below 1"}));
}

}  // namespace calibration
}  // namespace vnpu
