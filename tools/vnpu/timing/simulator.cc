// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/simulator.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/timing/simulated_core.h"

namespace vnpu {
namespace {

int64_t Microseconds(double us) { return std::llround(us * 1e6); }

class Simulation {
 public:
  Simulation(const Recording& recording, const Parameters& parameters, L2State* l2)
      : recording_(recording),
        parameters_(parameters),
        events_(recording.cores.size() * SimulatedCore::kAgents),
        flows_(parameters.hbm_rate(), parameters.l2_rate()),
        board_(recording),
        shared_{parameters, events_, flows_, *l2, out_, board_, {}} {
    for (const CoreRecording& core : recording.cores) out_.AddCore(core);
    for (uint32_t i = 0; i < recording.cores.size(); ++i) {
      cores_.push_back(std::make_unique<SimulatedCore>(i, recording.cores[i], &shared_));
    }
    cores_per_block_ = recording.num_blocks == 0
                           ? 0
                           : static_cast<uint32_t>(recording.cores.size()) / recording.num_blocks;
  }

  bool Run(std::string* error) {
    StartFirstBlocks();
    std::vector<FlowEnd> ended;
    for (;;) {
      const int64_t flow = flows_.NextEnd(), event = events_.NextTime();
      now_ = std::min(flow, event);
      if (now_ == EventQueue::kNever) break;
      if (flow <= event) {
        ended.clear();
        flows_.AdvanceTo(now_, &ended);
        for (const FlowEnd& end : ended) {
          Agent(end.owner).EndFlow(end.owner % SimulatedCore::kAgents, now_, end);
        }
      } else {
        HandleEvent();
      }
      HandOver();
      StartNextBlocks();
    }
    return AllFinished(error);
  }

  Timeline Result() {
    int64_t first = INT64_MAX, last = Microseconds(parameters_.launch_head_us);
    for (const int64_t begin : begins_) first = std::min(first, begin);
    for (const auto& core : cores_) last = std::max(last, core->end());
    Timeline& out = out_.timeline();
    const int64_t tail = Microseconds(parameters_.launch_tail_us);
    out.kernel = recording_.kernel;
    out.soc = parameters_.soc;
    out.num_blocks = recording_.num_blocks;
    out.sites = recording_.sites;
    out.launch_ps = (first == INT64_MAX ? last : first) + tail;
    out.peak_hbm_bytes_per_s = parameters_.hbm_gb_per_s * 1e9;
    out.peak_flops = parameters_.peak_flops();
    return out_.Finish(last + tail);
  }

 private:
  SimulatedCore& Agent(uint32_t agent) { return *cores_[agent / SimulatedCore::kAgents]; }

  // Blocks that run at once: an AIV-only kernel has both vector cores of a
  // block's place to itself.
  uint32_t Places() const {
    const auto cores = static_cast<uint32_t>(parameters_.num_cores);
    return recording_.has_aic || recording_.aivs_per_block == 2 ? cores : 2 * cores;
  }

  void StartBlock(uint32_t block, int64_t time) {
    for (uint32_t i = block * cores_per_block_; i < (block + 1) * cores_per_block_; ++i) {
      const bool late = recording_.is_mix() && recording_.cores[i].id.role != CoreRole::kAic;
      const int64_t begin = time + (late ? Microseconds(parameters_.launch_mix_aiv_us) : 0);
      begins_.push_back(begin);
      cores_[i]->Begin(begin);
    }
    running_.push_back(block);
    ++next_block_;
  }

  void StartFirstBlocks() {
    const uint32_t places = Places();
    for (uint32_t block = 0; block < std::min(places, recording_.num_blocks); ++block) {
      const double us = parameters_.launch_head_us + parameters_.launch_cold_core_us +
                        parameters_.launch_stagger_us * block / places;
      StartBlock(block, Microseconds(us));
    }
  }

  // A place that is free takes the next block.
  void StartNextBlocks() {
    if (next_block_ == recording_.num_blocks) return;
    for (size_t i = 0; i < running_.size(); ++i) {
      int64_t end = 0;
      bool finished = true;
      for (uint32_t core = 0; core < cores_per_block_; ++core) {
        const SimulatedCore& part = *cores_[running_[i] * cores_per_block_ + core];
        finished &= part.finished();
        end = std::max(end, part.end());
      }
      if (!finished || next_block_ == recording_.num_blocks) continue;
      running_.erase(running_.begin() + static_cast<int64_t>(i--));
      StartBlock(next_block_, std::max(now_, end + Microseconds(parameters_.launch_next_block_us)));
    }
  }

  void HandleEvent() {
    Event event;
    if (!events_.Pop(&event)) return;
    const uint32_t pipe = event.agent % SimulatedCore::kAgents;
    if (event.begins_flow) {
      Agent(event.agent).BeginFlow(pipe, now_);
    } else {
      Agent(event.agent).Wake(pipe, now_);
    }
  }

  void HandOver() {
    for (const Handover& handover : shared_.handovers) {
      const double cycles =
          handover.all ? parameters_.cross_core_all_cycles : parameters_.cross_core_cycles;
      cores_[handover.core]->Take(
          handover, handover.last.time + std::llround(parameters_.cycles_to_ps(cycles)));
    }
    shared_.handovers.clear();
  }

  bool AllFinished(std::string* error) const {
    for (const auto& core : cores_) {
      if (core->finished()) continue;
      const Op* op = core->stuck_at();
      const CoreId& id = core->recording().id;
      *error = "timing: the launch of " + recording_.kernel + " does not end on " +
               parameters_.soc + ": " + RoleName(id.role) + " of block " +
               std::to_string(id.block) + " of " + std::to_string(recording_.num_blocks) +
               " stands at " + (op == nullptr ? "its begin" : RowOf(op->insn).name) + "; " +
               std::to_string(Places()) + " blocks run at once";
      return false;
    }
    return true;
  }

  const Recording& recording_;
  const Parameters& parameters_;
  EventQueue events_;
  MemoryFlows flows_;
  TimelineBuilder out_;
  CrossCoreBoard board_;
  SharedParts shared_;
  std::vector<std::unique_ptr<SimulatedCore>> cores_;
  uint32_t cores_per_block_ = 0;
  std::vector<uint32_t> running_;  // blocks on a place
  uint32_t next_block_ = 0;
  std::vector<int64_t> begins_;
  int64_t now_ = 0;
};

}  // namespace

bool Simulate(const Recording& recording, const Parameters& parameters, L2State* l2,
              Timeline* timeline, std::string* error) {
  l2->Resize(parameters.l2_bytes());
  Simulation simulation(recording, parameters, l2);
  if (!simulation.Run(error)) return false;
  *timeline = simulation.Result();
  return true;
}

}  // namespace vnpu
