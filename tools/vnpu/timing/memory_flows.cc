// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/memory_flows.h"

#include <algorithm>
#include <cmath>

namespace vnpu {
namespace {

// Less than this many bytes are the rounding of times to picoseconds.
constexpr double kNothing = 1e-3;

int64_t Rounded(double ps) { return static_cast<int64_t>(ps + 0.5); }

}  // namespace

void ShareFairly(double capacity, const std::vector<double>& wanted, std::vector<double>* granted) {
  *granted = wanted;
  double sum = 0;
  for (const double want : wanted) sum += want;
  if (sum <= capacity) return;
  // Raises the level until those below it leave exactly the rest for those above.
  double level = 0;
  for (;;) {
    double below = 0;
    int above = 0;
    for (const double want : wanted) {
      if (want > level) {
        ++above;
      } else {
        below += want;
      }
    }
    const double next = above == 0 ? level : (capacity - below) / above;
    if (next <= level) break;
    level = next;
  }
  for (double& grant : *granted) grant = std::min(grant, level);
}

void MemoryFlows::Begin(int64_t now, const FlowDemand& demand, uint32_t owner) {
  Move(now);
  Flow flow;
  flow.demand = demand;
  flow.left = demand.bytes;
  flow.rate = demand.rate;
  flow.hbm_limits = false;
  flow.owner = owner;
  flows_.push_back(flow);
  stale_ = true;
}

void MemoryFlows::SetRates() {
  stale_ = false;
  wanted_.clear();
  for (const Flow& flow : flows_) wanted_.push_back(flow.demand.rate * flow.demand.hbm_per_byte);
  ShareFairly(hbm_rate_, wanted_, &granted_);
  for (size_t i = 0; i < flows_.size(); ++i) {
    Flow& flow = flows_[i];
    flow.hbm_limits = granted_[i] < wanted_[i];
    flow.rate = flow.hbm_limits ? granted_[i] / flow.demand.hbm_per_byte : flow.demand.rate;
    wanted_[i] = flow.rate * flow.demand.l2_per_byte;
  }
  ShareFairly(l2_rate_, wanted_, &granted_);
  double soonest = INFINITY;
  for (size_t i = 0; i < flows_.size(); ++i) {
    Flow& flow = flows_[i];
    if (granted_[i] < wanted_[i]) {
      flow.rate = granted_[i] / flow.demand.l2_per_byte;
      flow.hbm_limits = false;
    }
    soonest = std::min(soonest, flow.left / flow.rate);
  }
  next_end_ = flows_.empty() ? INT64_MAX : now_ + static_cast<int64_t>(std::ceil(soonest));
}

int64_t MemoryFlows::NextEnd() {
  if (stale_) SetRates();
  return next_end_;
}

void MemoryFlows::Move(int64_t now) {
  if (now == now_) return;
  if (stale_) SetRates();
  const auto passed = static_cast<double>(now - now_);
  for (Flow& flow : flows_) {
    flow.left -= flow.rate * passed;
    (flow.hbm_limits ? flow.lost_hbm_ps : flow.lost_l2_ps) +=
        passed * (1 - flow.rate / flow.demand.rate);
  }
  now_ = now;
}

void MemoryFlows::AdvanceTo(int64_t now, std::vector<FlowEnd>* ended) {
  Move(now);
  size_t kept = 0;
  for (Flow& flow : flows_) {
    if (flow.left <= kNothing) {
      ended->push_back(FlowEnd{flow.owner, Rounded(flow.lost_hbm_ps), Rounded(flow.lost_l2_ps)});
    } else {
      flows_[kept++] = flow;
    }
  }
  stale_ |= kept != flows_.size();
  flows_.resize(kept);
}

}  // namespace vnpu
