// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/clock.h"

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/timing/simulator.h"

namespace vnpu {

bool Clock::Configure(const DeviceConfig& config, std::string* error) {
  configured_ = ParametersOf(config.soc_name, &parameters_, &error_);
  if (!configured_) {
    *error = error_;
    return false;
  }
  parameters_.num_cores = config.num_cores;
  parameters_.l2_mib = static_cast<double>(config.l2_bytes) / (1 << 20);
  return true;
}

void Clock::OnLaunchBegin(const LaunchInfo& info) {
  timeline_ = nullptr;
  if (configured_) error_.clear();
  TimingRecorder::OnLaunchBegin(info);
}

void Clock::OnLaunchEnd(LaunchResult* result) {
  TimingRecorder::OnLaunchEnd(result);
  if (!configured_ || result->fault != FaultKind::kNone) return;
  auto timeline = std::make_shared<Timeline>();
  if (Simulate(recording(), parameters_, &l2_, timeline.get(), &error_)) {
    timeline_ = std::move(timeline);
  }
  Forget();
}

void Clock::OnFree(const void* address, uint64_t bytes, uint64_t) {
  const auto begin = reinterpret_cast<uint64_t>(address);
  l2_.Drop(begin, begin + bytes);
}

}  // namespace vnpu
