// SPDX-License-Identifier: Apache-2.0
// Every published figure that the report compares the model with: runs of the
// kernels of this folder, and the tables of single instructions.
#ifndef VNPU_TIMING_CALIBRATION_POINTS_H_
#define VNPU_TIMING_CALIBRATION_POINTS_H_

#include <string>
#include <vector>

#include "tools/vnpu/timing/calibration/report_point.h"

namespace vnpu {
namespace calibration {

// Runs the groups of points whose name contains `only`; all if it is empty.
// Groups: instructions, launch, copy, projection, catlass, k_tile, gemm, serial,
// split_kv, fifo.
std::vector<ReportPoint> RunPoints(const std::string& only);
const std::vector<NotRun>& PointsNotRun();

// stream_points.cc
void AddLaunchPoints(std::vector<ReportPoint>* points);
void AddCopyPoints(std::vector<ReportPoint>* points);        // P19
void AddProjectionPoints(std::vector<ReportPoint>* points);  // P8, P9
void AddCatlassPoints(std::vector<ReportPoint>* points);     // P10
void AddSerialPoints(std::vector<ReportPoint>* points);      // P18
// gemm_points.cc
void AddKTilePoints(std::vector<ReportPoint>* points);  // P13
void AddGemmPoints(std::vector<ReportPoint>* points);   // P15
// attention_points.cc
void AddSplitKvPoints(std::vector<ReportPoint>* points);  // P2 to P5
void AddFifoPoints(std::vector<ReportPoint>* points);     // P6, P7

}  // namespace calibration
}  // namespace vnpu

#endif  // VNPU_TIMING_CALIBRATION_POINTS_H_
