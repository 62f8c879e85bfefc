// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/bench.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "tools/vnpu/core/soc.h"
#include "tools/vnpu/timing/parameters.h"

namespace vnpu {
namespace calibration {

namespace {

[[noreturn]] void Fail(const std::string& text) {
  std::fprintf(stderr, "calibration: %s\n", text.c_str());
  std::exit(2);
}

DeviceConfig ConfigOrFail(const std::string& soc) {
  DeviceConfig config;
  if (!ConfigureSoc(soc, &config)) Fail("no part " + soc + "; there are " + SocNames());
  return config;
}

std::map<std::string, double>& Overrides() {
  static auto* const overrides = new std::map<std::string, double>;
  return *overrides;
}

// Of every core of the launch: its end less the end of its launch wait.
std::vector<double> CoreTimes(const Timeline& timeline) {
  std::vector<double> times;
  size_t core = 0;
  for (size_t lane = 0; lane < timeline.lanes.size(); ++lane) {
    if (timeline.lanes[lane].pipe != static_cast<uint8_t>(Pipe::kS)) continue;
    const int64_t begin = timeline.totals[lane].wait_ps[static_cast<size_t>(WaitCause::kLaunch)];
    times.push_back(static_cast<double>(timeline.core_end_ps[core++] - begin) * 1e-6);
  }
  return times;
}

}  // namespace

bool Bench::Override(const std::string& parameter, double value) {
  Parameters scratch;
  if (!scratch.Set(parameter, value)) return false;
  Overrides()[parameter] = value;
  return true;
}

Bench::Bench(const std::string& soc) : device_(ConfigOrFail(soc)) {
  std::string error;
  if (!clock_.Configure(device_.config(), &error)) Fail(error);
  for (const auto& item : Overrides()) clock_.parameters().Set(item.first, item.second);
  device_.AddObserver(&clock_);
}

Bench::~Bench() { device_.RemoveObserver(&clock_); }

Timeline Bench::Time(const std::function<LaunchResult()>& launch) {
  const LaunchResult result = launch();
  if (result.fault != FaultKind::kNone) Fail(result.text);
  const auto timeline = clock_.TakeTimeline();
  if (timeline == nullptr) Fail(clock_.error());
  return std::move(*timeline);
}

double Microseconds(const Timeline& timeline) {
  return static_cast<double>(timeline.total_ps) * 1e-6;
}

double MeanCoreMicroseconds(const Timeline& timeline) {
  const std::vector<double> times = CoreTimes(timeline);
  double sum = 0;
  for (const double time : times) sum += time;
  return sum / static_cast<double>(times.size());
}

}  // namespace calibration
}  // namespace vnpu
