// SPDX-License-Identifier: Apache-2.0
// Launches, copies and streams of weights.
#include "tools/vnpu/timing/calibration/bench.h"
#include "tools/vnpu/timing/calibration/points.h"
#include "tools/vnpu/timing/calibration/stream_runs.h"

namespace vnpu {
namespace calibration {

namespace {

constexpr char kProjectionSource[] = "Qwen3-14B decode swimlanes of the simpler/pypto stack [hw]";
constexpr char kCatlassSource[] = "CATLASS performance documentation, 910B3 [hw]";

struct StreamTime {
  double cold_us, warm_us;  // of the average core
};

StreamTime TimeStream(const WeightStream& shape, uint32_t blocks) {
  Bench bench;
  WeightStreamRun run(bench.device(), shape);
  const double cold = MeanCoreMicroseconds(bench.Time([&] { return run.Launch(blocks); }));
  const double warm = MeanCoreMicroseconds(bench.Time([&] { return run.Launch(blocks); }));
  return StreamTime{cold, warm};
}

// GB/s of weights into each core.
double CoreRate(const WeightStream& shape, double us) {
  return double{2} * shape.k * shape.n_tile / us * 1e-3;
}

double CatlassMicroseconds(bool is_nz) {
  Bench bench("Ascend910B3");
  WeightStreamRun run(bench.device(), {20, 16384, 6144, 6144, 256, 256, is_nz ? 1u : 0u});
  return Microseconds(bench.Time([&] { return run.Launch(20); }));
}

}  // namespace

void AddLaunchPoints(std::vector<ReportPoint>* points) {
  Bench bench;
  const double us = Microseconds(bench.Time([&] { return LaunchEmpty(bench.device(), 24); }));
  points->push_back(Within(Kind::kFit, {"launch/empty_mix", us, 20.5, "us", 0.10, kCatlassSource,
                                        "the source says 20 to 21"}));
}

void AddCopyPoints(std::vector<ReportPoint>* points) {
  Bench bench;
  const uint64_t bytes = uint64_t{256} << 20;
  DeviceCopy copy(bench.device(), bytes);
  // The second of a loop: writes back what the first has left dirty in L2.
  bench.Time([&] { return copy.Launch(48); });
  const double us = Microseconds(bench.Time([&] { return copy.Launch(48); }));
  points->push_back(Within(Kind::kFit, {"P19/copy_256MiB", us, 424, "us", 0.05,
                                        "public 910B1 benchmark page: 1.267 TB/s [hw]", ""}));
}

void AddProjectionPoints(std::vector<ReportPoint>* points) {
  const WeightStream gate{16, 5120, 24 * 512, 34 * 512, 512, 128, 0};
  const WeightStream down{16, 17408, 24 * 128, 40 * 128, 128, 128, 0};
  const WeightStream key{16, 5120, 8 * 128, 8 * 128, 128, 128, 0};
  const WeightStream query{16, 5120, 20 * 256, 20 * 256, 256, 128, 0};
  points->push_back(
      Within(Kind::kHeldOut, {"P8/gate_block", TimeStream(gate, 24).cold_us, 95.7, "us", 0.20,
                              kProjectionSource, "1-KiB rows, 24 cores; a second run had 68.0"}));
  points->push_back(
      Within(Kind::kHeldOut, {"P8/down_block", TimeStream(down, 24).cold_us, 72.2, "us", 0.20,
                              kProjectionSource, "256-B rows, 24 cores; a second run had 80.7"}));
  const StreamTime key_time = TimeStream(key, 8);
  const StreamTime query_time = TimeStream(query, 20);
  points->push_back(Within(Kind::kFit, {"P9/kv_proj_warm", CoreRate(key, key_time.warm_us), 101,
                                        "GB/s", 0.15, kProjectionSource, "256-B rows, 8 cores"}));
  points->push_back(Within(Kind::kFit, {"P9/q_proj_warm", CoreRate(query, query_time.warm_us), 119,
                                        "GB/s", 0.15, kProjectionSource, "512-B rows, 20 cores"}));
  points->push_back(Within(
      Kind::kFit, {"P9/q_proj_cold_over_warm", query_time.cold_us / query_time.warm_us, 46.8 / 22.0,
                   "", 0.25, kProjectionSource, "\"about 2\": the tolerance is ours"}));
}

void AddCatlassPoints(std::vector<ReportPoint>* points) {
  points->push_back(Within(
      Kind::kHeldOut,
      {"P10/nd_over_zn", CatlassMicroseconds(false) / CatlassMicroseconds(true), 238.8 / 181.4, "",
       0.15, kCatlassSource, "M20 N6144 K16384 fp16, 24 tiles on 20 cores"}));
}

void AddSerialPoints(std::vector<ReportPoint>* points) {
  Bench bench;
  // Cold: 201 MB of keys, more than L2 holds.
  SerialBlocks run(bench.device(), 96, 64);
  const double us = MeanCoreMicroseconds(bench.Time([&] { return run.Launch(24); }));
  const char source[] = "A3 benchmark, paged_attention_unroll at b480 [hw]";
  points->push_back(Between(Kind::kFit, 0.75, 1.0,
                            {"P18/block", us / (96.0 / 24 * 64), 55.3 / 64, "us", 0, source,
                             "32-KiB load, multiply, 8-KiB store, all pipes drained"}));
  points->push_back(Between(Kind::kFit, 0.8, 1.0,
                            {"P18/aggregate", static_cast<double>(run.key_bytes()) / us * 1e-6,
                             0.895, "TB/s", 0, source, "keys into 24 cores"}));
}

}  // namespace calibration
}  // namespace vnpu
