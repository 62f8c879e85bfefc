// SPDX-License-Identifier: Apache-2.0
// The clock of a device: records its launches and works out their timelines.
//
//   Clock clock;
//   clock.Configure(device.config(), &error);
//   device.AddObserver(&clock);
//   device.Launch(...);
//   clock.TakeTimeline()->total_ps
#ifndef VNPU_TIMING_CLOCK_H_
#define VNPU_TIMING_CLOCK_H_

#include <memory>
#include <string>

#include "tools/vnpu/timing/l2_state.h"
#include "tools/vnpu/timing/parameters.h"
#include "tools/vnpu/timing/recorder.h"
#include "tools/vnpu/timing/timeline.h"

namespace vnpu {

struct DeviceConfig;

class Clock : public TimingRecorder {
 public:
  // Takes the parameters of the device's part, with the device's number of
  // cores and size of L2. False, with *error, if the part is not known: then
  // launches have no timeline.
  bool Configure(const DeviceConfig& config, std::string* error);
  Parameters& parameters() { return parameters_; }
  // Stays from launch to launch; clear it for cold runs.
  L2State& l2() { return l2_; }

  // Of the last launch; null if it failed or has been taken, and then
  // error() may say why.
  std::shared_ptr<Timeline> TakeTimeline() { return std::move(timeline_); }
  const std::string& error() const { return error_; }

  void OnLaunchBegin(const LaunchInfo& info) override;
  void OnLaunchEnd(LaunchResult* result) override;
  void OnFree(const void* address, uint64_t bytes, uint64_t id) override;

 private:
  bool configured_ = false;
  Parameters parameters_;
  L2State l2_;
  std::shared_ptr<Timeline> timeline_;
  std::string error_;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_CLOCK_H_
