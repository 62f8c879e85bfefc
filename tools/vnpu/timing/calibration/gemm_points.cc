// SPDX-License-Identifier: Apache-2.0
// Matrix multiplies whose time is shared between loads and the cube.
#include <algorithm>
#include <string>

#include "tools/vnpu/timing/calibration/bench.h"
#include "tools/vnpu/timing/calibration/points.h"
#include "tools/vnpu/timing/calibration/stream_runs.h"

namespace vnpu {
namespace calibration {

namespace {

constexpr char kKTileNote[] =
    "loss against k tile 256; how the compiled kernel cuts a tile for L0 is not published";

// One 128 x 128 block a core: 24 of the 64 of all projections, weights from HBM.
double KTileMicroseconds(uint32_t k_tile) {
  Bench bench;
  const uint32_t k_l0 = k_tile == 128 ? 128 : 256;
  GemmRun run(bench.device(),
              {128, 24 * 128, 4096, 128, 128, 128, k_tile, k_l0, k_l0 == 128 ? 2u : 1u});
  return MeanCoreMicroseconds(bench.Time([&] { return run.Launch(); }));
}

double GemmMicroseconds(uint32_t size) {
  Bench bench;
  GemmRun run(bench.device(), {size, size, size, size / 4, size / 6, 256, 256, 64, 2});
  bench.Time([&] { return run.Launch(); });
  return Microseconds(bench.Time([&] { return run.Launch(); }));
}

}  // namespace

void AddKTilePoints(std::vector<ReportPoint>* points) {
  const char source[] = "hw-native-sys/pypto-lib#649, proj_a [hw]";
  const double k128 = KTileMicroseconds(128);
  const double k256 = KTileMicroseconds(256);
  const double k512 = KTileMicroseconds(512);
  points->push_back(Between(Kind::kHeldOut, 3.7, 11.7,
                            {"P13/k128_over_k256", 100 * (k128 / k256 - 1),
                             100 * (29.06 / 26.99 - 1), "%", 0, source, kKTileNote}));
  points->push_back(Between(Kind::kHeldOut, 3.6, 11.6,
                            {"P13/k512_over_k256", 100 * (k512 / k256 - 1),
                             100 * (29.05 / 26.99 - 1), "%", 0, source, kKTileNote}));
  points->push_back(Between(Kind::kHeldOut, 1, 10,
                            {"P13/minimum_at_256", std::min(k128, k512) / k256, 29.05 / 26.99, "",
                             0, source, "the faster of 128 and 512 over 256: above 1"}));
}

void AddGemmPoints(std::vector<ReportPoint>* points) {
  const char source[] = "pto-isa gemm_performance, fp16, 24 cores [hw]";
  points->push_back(Within(Kind::kHeldOut, {"P15/gemm_1536", GemmMicroseconds(1536), 38.8, "us",
                                            0.20, source, "the tolerance is ours"}));
  points->push_back(Within(
      Kind::kHeldOut, {"P15/gemm_3072", GemmMicroseconds(3072), 206.7, "us", 0.10, source, ""}));
}

}  // namespace calibration
}  // namespace vnpu
