// SPDX-License-Identifier: Apache-2.0
// Single instructions, alone and in a stream, beside the published tables: the
// finest grain of calibration. Every point runs a real kernel on the machine
// and reads its time off the timeline.
#ifndef VNPU_TIMING_MICRO_MICRO_POINTS_H_
#define VNPU_TIMING_MICRO_MICRO_POINTS_H_

#include <string>
#include <vector>

#include "tools/vnpu/timing/calibration_point.h"
#include "tools/vnpu/timing/micro/micro_cases.h"
#include "tools/vnpu/timing/parameters.h"
#include "tools/vnpu/timing/timeline.h"

namespace vnpu {

// What to read off a timeline, in cycles.
enum class MicroFigure {
  kAlone,       // issue on an idle pipe to results: a miss of L2
  kAloneWarm,   // the same, data in L2
  kBackToBack,  // from one instruction's begin to the next one's
};

struct MicroPoint {
  std::string id;
  vnpu_micro::Request request;  // count is set by the figure
  MicroFigure figure;
  double published;
  std::string source;
};

// The published tables.
std::vector<MicroPoint> MicroTable();
// Runs one; NAN, with *error, if the launch fails.
double RunMicroPoint(const MicroPoint& point, const Parameters& parameters, std::string* error);
// All of them on a 910B1, each with a tolerance of 10 %.
std::vector<CalibrationPoint> MicroPoints(std::string* error);

}  // namespace vnpu

#endif  // VNPU_TIMING_MICRO_MICRO_POINTS_H_
