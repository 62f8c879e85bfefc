// SPDX-License-Identifier: Apache-2.0
// A device with the clock attached: runs a launch and says how long it takes on
// the model.
#ifndef VNPU_TIMING_CALIBRATION_BENCH_H_
#define VNPU_TIMING_CALIBRATION_BENCH_H_

#include <functional>
#include <string>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/timing/clock.h"
#include "tools/vnpu/timing/timeline.h"

namespace vnpu {
namespace calibration {

class Bench {
 public:
  explicit Bench(const std::string& soc = "Ascend910B1");
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  Device* device() { return &device_; }

  // The launch that `launch` does, with L2 as the one before left it. A fault
  // ends the process with its text.
  Timeline Time(const std::function<LaunchResult()>& launch);

  // For studies of sensitivity: every Bench made from now on has this parameter
  // set so. False if there is none of that name.
  static bool Override(const std::string& parameter, double value);

 private:
  Device device_;
  Clock clock_;
};

double Microseconds(const Timeline& timeline);
// What the average core took, from its start: the time of a task where a runtime
// hands tasks to cores.
double MeanCoreMicroseconds(const Timeline& timeline);

}  // namespace calibration
}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_BENCH_H_
