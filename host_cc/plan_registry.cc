// SPDX-License-Identifier: Apache-2.0
#include "host_cc/plan_registry.h"

#include <algorithm>

namespace ascend_attention {
namespace {

// Runs that are remembered over all streams. An engine has a handful of streams
// with one plan in use and one in preparation on each.
constexpr size_t kMaxRuns = 32;

// Same control block: works for plans that have ended, too.
template <typename A, typename B>
bool SamePlan(const A& a, const B& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

}  // namespace

void PlanRegistry::SetCurrent(const void* workspace, const Plan* plan) {
  const std::lock_guard<std::mutex> lock(mutex_);
  current_[workspace] = plan;
}

bool PlanRegistry::IsCurrent(const void* workspace, const Plan* plan) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = current_.find(workspace);
  return found != current_.end() && found->second == plan;
}

void PlanRegistry::Forget(const void* workspace, const Plan* plan) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = current_.find(workspace);
  if (found != current_.end() && found->second == plan) current_.erase(found);
}

void PlanRegistry::NoteRun(void* stream, const std::shared_ptr<Plan>& plan) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto same = [&](const Run& run) {
    return run.stream == stream && SamePlan(run.plan, plan);
  };
  // One plan runs once per layer: mostly it is the last entry already.
  if (!runs_.empty() && same(runs_.back())) return;
  runs_.erase(std::remove_if(runs_.begin(), runs_.end(),
                             [&](const Run& run) { return same(run) || run.plan.expired(); }),
              runs_.end());
  if (runs_.size() == kMaxRuns) runs_.erase(runs_.begin());
  runs_.push_back({stream, plan});
}

std::vector<std::shared_ptr<PlanRegistry::Plan>> PlanRegistry::RecentRuns(void* stream) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::shared_ptr<Plan>> plans;
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (run->stream != stream) continue;
    if (auto plan = run->plan.lock()) plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace ascend_attention
