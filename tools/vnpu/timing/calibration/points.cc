// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/points.h"

#include <cstdio>
#include <cstdlib>

#include "tools/vnpu/timing/micro/micro_points.h"

namespace vnpu {
namespace calibration {

namespace {

// P1: the tables from which the parameters of instructions were read.
void AddInstructionPoints(std::vector<ReportPoint>* points) {
  std::string error;
  const std::vector<CalibrationPoint> tables = MicroPoints(&error);
  if (tables.empty()) {
    std::fprintf(stderr, "calibration: %s\n", error.c_str());
    std::exit(2);
  }
  for (CalibrationPoint point : tables) {
    point.id = "P1/" + point.id;
    points->push_back(Within(Kind::kFit, point));
  }
}

struct Group {
  const char* name;
  void (*add)(std::vector<ReportPoint>*);
};

constexpr Group kGroups[] = {
    {"split_kv", AddSplitKvPoints},
    {"fifo", AddFifoPoints},
    {"copy", AddCopyPoints},
    {"launch", AddLaunchPoints},
    {"projection", AddProjectionPoints},
    {"catlass", AddCatlassPoints},
    {"k_tile", AddKTilePoints},
    {"gemm", AddGemmPoints},
    {"serial", AddSerialPoints},
    {"instructions", AddInstructionPoints},
};

}  // namespace

std::vector<ReportPoint> RunPoints(const std::string& only) {
  std::vector<ReportPoint> points;
  for (const Group& group : kGroups) {
    if (std::string(group.name).find(only) != std::string::npos) group.add(&points);
  }
  return points;
}

const std::vector<NotRun>& PointsNotRun() {
  static const auto* const not_run = new std::vector<NotRun>{
      {"P6, P7 with credits",
       "simpler#671: 1.9 times as long; a credit per tile, but other steps differ too, and a wait "
       "that finds its signal costs nothing in the model"},
      {"P11", "layout and split of the small fp32 matmul's weight are not stated"},
      {"P12", "blocking of these matmuls is not stated"},
      {"P14", "a task graph that a runtime on the AICPU schedules; direction only"},
      {"P16", "prefill flash attention: another kernel than the ones this project models"},
      {"P17", "time on a runtime that dispatches tasks; context only"},
      {"P20", "part of the kernel of P16"},
      {"P21", "compute-bound MLA, not a bandwidth point"},
      {"P22", "a ratio of kernels that are not here"},
      {"P23", "figures not published, a claim only"},
  };
  return *not_run;
}

}  // namespace calibration
}  // namespace vnpu
