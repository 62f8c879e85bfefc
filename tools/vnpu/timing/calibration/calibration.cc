// SPDX-License-Identifier: Apache-2.0
// Runs every published figure that the model can be asked for and prints
// modelled, published, error and tolerance; points that miss come first.
//
//   calibration [--json] [--baseline] [--only=GROUP] [--set=PARAMETER=VALUE]...
//
// --json adds one object as the last line; --baseline prints the modelled
// figures alone, as baseline.txt holds them; --set asks what another value of a
// parameter of the model would change.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tools/vnpu/timing/calibration/bench.h"
#include "tools/vnpu/timing/calibration/points.h"

namespace {

// "name=value"
bool Set(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) return false;
  char* end = nullptr;
  const char* text = assignment.c_str() + equals + 1;
  const double value = std::strtod(text, &end);
  return end != text && *end == '\0' &&
         vnpu::calibration::Bench::Override(assignment.substr(0, equals), value);
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  bool baseline = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--baseline") {
      baseline = true;
    } else if (argument.rfind("--only=", 0) == 0) {
      only = argument.substr(std::strlen("--only="));
    } else if (argument.rfind("--set=", 0) == 0 && Set(argument.substr(std::strlen("--set=")))) {
      continue;
    } else {
      std::fprintf(stderr,
                   "calibration: unknown argument %s; known: --json --baseline --only=GROUP "
                   "--set=PARAMETER=VALUE\n",
                   argument.c_str());
      return 2;
    }
  }
  using namespace vnpu::calibration;
  const auto points = RunPoints(only);
  if (points.empty()) {
    std::fprintf(stderr, "calibration: no group of points matches --only=%s\n", only.c_str());
    return 2;
  }
  if (baseline) {
    std::printf("%s", BaselineText(points).c_str());
    return 0;
  }
  std::printf("%s", TableText(points, PointsNotRun()).c_str());
  if (json) std::printf("%s\n", ReportJson(points, PointsNotRun()).c_str());
  return 0;
}
