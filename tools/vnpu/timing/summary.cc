// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/summary.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "tools/vnpu/core/types.h"

namespace vnpu {
namespace {

constexpr int Index(WaitCause cause) { return static_cast<int>(cause); }

std::string LaneName(const Lane& lane) {
  const bool aic = lane.role == static_cast<uint8_t>(CoreRole::kAic);
  return std::string(aic ? "AIC." : "AIV.") + PipeName(static_cast<Pipe>(lane.pipe));
}

// Begin and end of a block's work; lanes of a core end with it.
struct BlockTime {
  int64_t begin = INT64_MAX;
  int64_t end = 0;
  int64_t length() const { return std::max<int64_t>(end - begin, 1); }
};

std::map<uint32_t, BlockTime> BlockTimes(const Timeline& timeline) {
  std::map<uint32_t, BlockTime> blocks;
  size_t core = 0;
  for (size_t i = 0; i < timeline.lanes.size(); ++i) {
    const Lane& lane = timeline.lanes[i];
    // The scalar unit's lane is the first of its core.
    if (lane.pipe != static_cast<uint8_t>(Pipe::kS)) continue;
    BlockTime& block = blocks[lane.block];
    block.begin = std::min(block.begin, timeline.totals[i].wait_ps[Index(WaitCause::kLaunch)]);
    block.end = std::max(block.end, timeline.core_end_ps[core++]);
  }
  return blocks;
}

void AddLanes(const Timeline& timeline, TimelineSummary* summary) {
  std::map<std::string, PipeSummary> pipes;
  const auto total = static_cast<double>(timeline.total_ps);
  for (size_t i = 0; i < timeline.lanes.size(); ++i) {
    PipeSummary& pipe = pipes[LaneName(timeline.lanes[i])];
    const double busy = static_cast<double>(timeline.totals[i].busy_ps) / total;
    ++pipe.lanes;
    pipe.busy += busy;
    pipe.busy_max = std::max(pipe.busy_max, busy);
    for (int cause = 0; cause < kNumWaitCauses; ++cause) {
      pipe.wait[cause] += static_cast<double>(timeline.totals[i].wait_ps[cause]) / total;
    }
  }
  for (auto& [name, pipe] : pipes) {
    pipe.name = name;
    pipe.busy /= pipe.lanes;
    for (double& wait : pipe.wait) wait /= pipe.lanes;
    summary->pipes.push_back(pipe);
  }
}

void AddBlocks(const Timeline& timeline, TimelineSummary* summary) {
  const std::map<uint32_t, BlockTime> blocks = BlockTimes(timeline);
  if (blocks.empty()) return;
  double sum = 0, longest = 0;
  uint32_t last = blocks.begin()->first;
  for (const auto& [block, time] : blocks) {
    sum += static_cast<double>(time.length());
    longest = std::max(longest, static_cast<double>(time.length()));
    if (time.end > blocks.at(last).end) last = block;
  }
  summary->imbalance = longest * static_cast<double>(blocks.size()) / sum;
  int64_t most = -1;
  for (uint32_t i = 0; i < timeline.lanes.size(); ++i) {
    const PipeTotals& totals = timeline.totals[i];
    const int64_t work = totals.busy_ps + totals.wait_ps[Index(WaitCause::kHbm)] +
                         totals.wait_ps[Index(WaitCause::kL2)];
    if (timeline.lanes[i].block != last || work <= most) continue;
    most = work;
    summary->bounding_lane = i;
  }
  summary->bounding_share =
      static_cast<double>(most) / static_cast<double>(blocks.at(last).length());
}

std::string Format(const char* format, double a, double b = 0, double c = 0) {
  char text[200];
  std::snprintf(text, sizeof(text), format, a, b, c);
  return text;
}

std::string PipeLine(const PipeSummary& pipe) {
  std::string line = pipe.name;
  line.resize(std::max<size_t>(line.size(), 10), ' ');
  line += Format("%6.1f %6.1f", pipe.busy * 100, pipe.busy_max * 100);
  for (const double wait : pipe.wait) line += Format(" %10.1f", wait * 100);
  return line + "\n";
}

}  // namespace

const char* WaitCauseName(WaitCause cause) {
  static const char* const kNames[] = {"flag", "cross_core", "barrier",   "queue_full", "issue",
                                       "hbm",  "l2",         "scalar_gm", "launch",     "done"};
  return kNames[Index(cause)];
}

TimelineSummary Summarize(const Timeline& timeline) {
  TimelineSummary summary;
  const double seconds = static_cast<double>(timeline.total_ps) * 1e-12;
  summary.time_us = seconds * 1e6;
  summary.launch_us = static_cast<double>(timeline.launch_ps) * 1e-6;
  if (seconds <= 0) return summary;
  summary.gm_tb_per_s =
      static_cast<double>(timeline.gm_read_bytes + timeline.gm_write_bytes) / seconds * 1e-12;
  summary.hbm_tb_per_s = static_cast<double>(timeline.hbm_bytes) / seconds * 1e-12;
  summary.hbm_share = summary.hbm_tb_per_s * 1e12 / timeline.peak_hbm_bytes_per_s;
  summary.cube_share = timeline.mad_flops / seconds / timeline.peak_flops;
  AddLanes(timeline, &summary);
  AddBlocks(timeline, &summary);
  return summary;
}

std::string SummaryText(const Timeline& timeline, uint64_t kv_bytes) {
  const TimelineSummary s = Summarize(timeline);
  std::string text = timeline.kernel + " on " + timeline.soc + ", " +
                     std::to_string(timeline.num_blocks) + " blocks: modelled " +
                     Format("%.2f us, %.2f of them launch\n", s.time_us, s.launch_us);
  if (kv_bytes != 0) {
    text += Format("KV %.3f TB/s, ", static_cast<double>(kv_bytes) / s.time_us * 1e-6);
  }
  text += Format("GM %.3f TB/s, HBM %.3f TB/s (%.0f %% of its ceiling), ", s.gm_tb_per_s,
                 s.hbm_tb_per_s, s.hbm_share * 100);
  text += Format("cube %.1f %% of its peak, imbalance %.3f\n", s.cube_share * 100, s.imbalance);
  if (!timeline.lanes.empty()) {
    const Lane& lane = timeline.lanes[s.bounding_lane];
    text += "last to end: block " + std::to_string(lane.block) + "; its " + LaneName(lane) +
            Format(" works %.0f %% of its time\n", s.bounding_share * 100);
  }
  text += "% of the launch  busy  most";
  for (int cause = 0; cause < kNumWaitCauses; ++cause) {
    std::string name = WaitCauseName(static_cast<WaitCause>(cause));
    text += std::string(11 - std::min<size_t>(name.size(), 10), ' ') + name;
  }
  text += "\n";
  for (const PipeSummary& pipe : s.pipes) text += PipeLine(pipe);
  return text;
}

}  // namespace vnpu
