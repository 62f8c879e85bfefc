// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/points.h"

namespace vnpu {
namespace calibration {

namespace {

struct Group {
  const char* name;
  void (*add)(std::vector<ReportPoint>*);
};

constexpr Group kGroups[] = {
    {"launch", AddLaunchPoints},
    {"copy", AddCopyPoints},
    {"projection", AddProjectionPoints},
    {"catlass", AddCatlassPoints},
    {"k_tile", AddKTilePoints},
    {"gemm", AddGemmPoints},
    {"serial", AddSerialPoints},
    {"split_kv", AddSplitKvPoints},
    {"fifo", AddFifoPoints},
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
