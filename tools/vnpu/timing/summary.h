// SPDX-License-Identifier: Apache-2.0
// A timeline in a dozen figures, and as text. Modelled, not measured.
#ifndef VNPU_TIMING_SUMMARY_H_
#define VNPU_TIMING_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/vnpu/timing/timeline.h"

namespace vnpu {

// All lanes of one pipe of one kind of core; shares are of the launch time,
// means over the lanes.
struct PipeSummary {
  std::string name;  // "AIC.MTE2"
  int lanes = 0;
  double busy = 0;
  double busy_max = 0;  // of one lane
  double wait[kNumWaitCauses] = {};
};

struct TimelineSummary {
  double time_us = 0;
  double launch_us = 0;
  double gm_tb_per_s = 0;   // bytes asked for, both ways
  double hbm_tb_per_s = 0;  // bytes moved between HBM and L2
  double hbm_share = 0;     // of the model's ceiling
  double cube_share = 0;    // of the fp16 peak
  double imbalance = 1;     // working time of the slowest block / mean
  std::vector<PipeSummary> pipes;
  // Lane that works longest on the block that ends last: what to shorten first.
  uint32_t bounding_lane = 0;
  double bounding_share = 0;  // of that block's time, its slowdown by HBM and L2 included
};

const char* WaitCauseName(WaitCause cause);  // "cross_core"
TimelineSummary Summarize(const Timeline& timeline);
// `kv_bytes` 0: no line about them.
std::string SummaryText(const Timeline& timeline, uint64_t kv_bytes = 0);

}  // namespace vnpu

#endif  // VNPU_TIMING_SUMMARY_H_
