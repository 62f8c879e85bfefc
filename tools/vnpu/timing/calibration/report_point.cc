// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/report_point.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace vnpu {
namespace calibration {

namespace {

__attribute__((format(printf, 1, 2))) std::string Format(const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  return text;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string Number(double value) { return Format("%.6g", value); }

std::string Row(const ReportPoint& p) {
  const CalibrationPoint& c = p.point;
  return Format("%-30s %11s %11s %-6s %+7.1f %%  %s .. %s  %-8s %s\n", c.id.c_str(),
                Format("%.4g", c.modelled).c_str(), Format("%.4g", c.published).c_str(),
                c.unit.c_str(), 100 * c.error(), Format("%.4g", p.low).c_str(),
                Format("%.4g", p.high).c_str(), KindName(p.kind), p.within() ? "yes" : "NO");
}

constexpr char kHeader[] =
    "point                             modelled   published unit      error    allowed         "
    "kind     within\n";

}  // namespace

const char* KindName(Kind kind) { return kind == Kind::kFit ? "fit" : "held-out"; }

ReportPoint Within(Kind kind, const CalibrationPoint& point) {
  return ReportPoint{point, kind, point.published * (1 - point.tolerance),
                     point.published * (1 + point.tolerance)};
}

ReportPoint Between(Kind kind, double low, double high, const CalibrationPoint& point) {
  ReportPoint report{point, kind, low, high};
  report.point.tolerance =
      std::max(std::abs(low / point.published - 1), std::abs(high / point.published - 1));
  return report;
}

std::string TableText(const std::vector<ReportPoint>& points, const std::vector<NotRun>& not_run) {
  std::string missed;
  std::string met;
  size_t num_missed = 0;
  for (const ReportPoint& p : points) {
    if (p.within()) {
      met += Row(p);
      continue;
    }
    ++num_missed;
    missed += Row(p);
    if (!p.point.note.empty()) missed += "    " + p.point.note + "\n";
  }
  std::string text = "All figures of this table but the published ones are modelled.\n\n";
  if (num_missed != 0) {
    text += Format("%zu of %zu points miss:\n", num_missed, points.size());
    text += kHeader + missed + "\n";
  }
  text += Format("%zu of %zu points are within:\n", points.size() - num_missed, points.size());
  text += kHeader + met;
  if (!not_run.empty()) text += "\nNot run:\n";
  for (const NotRun& point : not_run) {
    text += "  " + point.id + ": " + point.reason + "\n";
  }
  return text;
}

std::string ReportJson(const std::vector<ReportPoint>& points, const std::vector<NotRun>& not_run) {
  std::string json = "{\"source\":\"model\",\"points\":[";
  for (size_t i = 0; i < points.size(); ++i) {
    const ReportPoint& p = points[i];
    json += std::string(i == 0 ? "" : ",") + "{\"id\":" + Quoted(p.point.id) +
            ",\"modelled\":" + Number(p.point.modelled) +
            ",\"published\":" + Number(p.point.published) +
            ",\"error\":" + Number(p.point.error()) + ",\"unit\":" + Quoted(p.point.unit) +
            ",\"tolerance\":" + Number(p.point.tolerance) + ",\"low\":" + Number(p.low) +
            ",\"high\":" + Number(p.high) +
            ",\"within_tolerance\":" + (p.within() ? "true" : "false") +
            ",\"kind\":" + Quoted(KindName(p.kind)) + ",\"source\":" + Quoted(p.point.source) +
            ",\"note\":" + Quoted(p.point.note) + "}";
  }
  json += "],\"not_run\":[";
  for (size_t i = 0; i < not_run.size(); ++i) {
    json += std::string(i == 0 ? "" : ",") + "{\"id\":" + Quoted(not_run[i].id) +
            ",\"reason\":" + Quoted(not_run[i].reason) + "}";
  }
  return json + "]}";
}

std::string BaselineText(const std::vector<ReportPoint>& points) {
  std::string text;
  for (const ReportPoint& p : points) {
    text += p.point.id + " " + Number(p.point.modelled) + (p.within() ? " yes\n" : " no\n");
  }
  return text;
}

}  // namespace calibration
}  // namespace vnpu
