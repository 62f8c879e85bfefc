// SPDX-License-Identifier: Apache-2.0
// One published figure beside what the model says: the currency of calibration
// tests and of the calibration report.
#ifndef VNPU_TIMING_CALIBRATION_POINT_H_
#define VNPU_TIMING_CALIBRATION_POINT_H_

#include <cmath>
#include <string>

namespace vnpu {

struct CalibrationPoint {
  std::string id;      // "gm_l1_contiguous/64KiB"
  double modelled;     // by the timing model
  double published;    // by `source`
  std::string unit;    // "cyc", "us", "TB/s"
  double tolerance;    // relative: 0.10 is 10 %
  std::string source;  // who published it, with its mark: "mskpp tables [hw]"
  std::string note;    // what the point leaves open; why it misses, if it does

  double error() const { return modelled / published - 1; }
  bool within_tolerance() const { return std::abs(error()) <= tolerance; }
};

}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_POINT_H_
