// SPDX-License-Identifier: Apache-2.0
#include "host_cc/plan_registry.h"

#include <algorithm>

#include "host_cc/pointer_checks.h"
#include "host_cc/runtime_impl.h"

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

void PlanRegistry::NoteCapture(const void* workspace, const Plan& plan) {
  const DecodePlanHeader& header = plan.plan.header();
  const std::lock_guard<std::mutex> lock(mutex_);
  captured_[workspace] = {plan.op.get(), header.batch, header.num_query_rows};
}

bool PlanRegistry::IsCaptured(const void* workspace) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return captured_.count(workspace) != 0;
}

Status PlanRegistry::CheckCaptures(const void* workspace, const DecodeAttention::Impl* op,
                                   const DecodePlanHeader& header) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = captured_.find(workspace);
  if (found == captured_.end()) return OkStatus();
  const Captured& captured = found->second;
  if (captured.op != op) {
    return FailedPrecondition("the workspace at ", AddressText(workspace),
                              " belongs to a graph captured with another DecodeAttention, which "
                              "still lives; give each its own workspace");
  }
  if (captured.batch == header.batch && captured.num_query_rows == header.num_query_rows) {
    return OkStatus();
  }
  return FailedPrecondition(
      "the plan has ", header.batch, " sequences and ", header.num_query_rows,
      " query rows, but a graph was captured with this workspace for ", captured.batch,
      " sequences and ", captured.num_query_rows,
      " query rows; pad the batch with lengths of 0 and let the sum of q_lens be ",
      captured.num_query_rows, ", or use a DecodeAttention per graph");
}

void PlanRegistry::ForgetCaptures(const DecodeAttention::Impl* op) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto entry = captured_.begin(); entry != captured_.end();) {
    entry = entry->second.op == op ? captured_.erase(entry) : std::next(entry);
  }
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
