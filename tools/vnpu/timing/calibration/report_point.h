// SPDX-License-Identifier: Apache-2.0
// A calibration point as the report shows it: what the model may say, whether
// parameters were chosen with it in view, and how it is written.
#ifndef VNPU_TIMING_CALIBRATION_REPORT_POINT_H_
#define VNPU_TIMING_CALIBRATION_REPORT_POINT_H_

#include <string>
#include <vector>

#include "tools/vnpu/timing/calibration_point.h"

namespace vnpu {
namespace calibration {

enum class Kind {
  kFit,      // parameters were chosen with this figure in view
  kHeldOut,  // none was
};
const char* KindName(Kind kind);  // "fit", "held-out"

struct ReportPoint {
  CalibrationPoint point;
  Kind kind = Kind::kHeldOut;
  // What the model may say: published -+ tolerance, or the bound or condition
  // that the note states.
  double low = 0;
  double high = 0;

  bool within() const { return point.modelled >= low && point.modelled <= high; }
};

// A published figure with no run behind it, and why.
struct NotRun {
  std::string id;
  std::string reason;
};

// Within published * (1 -+ tolerance).
ReportPoint Within(Kind kind, const CalibrationPoint& point);
// Within [low, high]; the tolerance becomes the larger relative distance.
ReportPoint Between(Kind kind, double low, double high, const CalibrationPoint& point);

// Points that miss come first, each with its note.
std::string TableText(const std::vector<ReportPoint>& points, const std::vector<NotRun>& not_run);
// One line: {"source":"model","points":[...],"not_run":[...]}.
std::string ReportJson(const std::vector<ReportPoint>& points, const std::vector<NotRun>& not_run);
// "id modelled within" per line, six digits, yes or no: what baseline.txt holds.
std::string BaselineText(const std::vector<ReportPoint>& points);

}  // namespace calibration
}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_REPORT_POINT_H_
