// SPDX-License-Identifier: Apache-2.0
// Which plan a workspace holds, what graphs were captured with it, and which plans
// ran on a stream lately: the first catches a stale plan before it is launched, the
// second a plan that a graph cannot run, the third lets a device error name its
// cause.
#ifndef ASCEND_ATTENTION_HOST_CC_PLAN_REGISTRY_H_
#define ASCEND_ATTENTION_HOST_CC_PLAN_REGISTRY_H_

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"

namespace ascend_attention {

// Thread-safe. Keeps no plan alive.
class PlanRegistry {
 public:
  using Plan = PreparedPlan::Impl;

  // `plan` was uploaded to `workspace`; whatever was there is gone.
  void SetCurrent(const void* workspace, const Plan* plan);
  bool IsCurrent(const void* workspace, const Plan* plan) const;
  // A launch with this workspace was captured: from now on plans there must be of the same
  // operator, batch and number of query rows.
  void NoteCapture(const void* workspace, const Plan& plan);
  bool IsCaptured(const void* workspace) const;
  // FailedPrecondition if a captured launch could not run with such a plan.
  Status CheckCaptures(const void* workspace, const DecodeAttention::Impl* op,
                       const DecodePlanHeader& header) const;
  // The operator ends, and with it what was captured.
  void ForgetCaptures(const DecodeAttention::Impl* op);

  // The plan ends.
  void Forget(const void* workspace, const Plan* plan);

  // Also of a plan that replays on the stream will run.
  void NoteRun(void* stream, const std::shared_ptr<Plan>& plan);
  // Living plans that ran on the stream, latest first.
  std::vector<std::shared_ptr<Plan>> RecentRuns(void* stream) const;

 private:
  struct Captured {
    const DecodeAttention::Impl* op;
    uint32_t batch;
    uint32_t num_query_rows;
  };
  struct Run {
    void* stream;
    std::weak_ptr<Plan> plan;
  };

  mutable std::mutex mutex_;
  std::unordered_map<const void*, const Plan*> current_;  // by workspace
  std::unordered_map<const void*, Captured> captured_;    // by workspace
  std::vector<Run> runs_;                                 // oldest first, each pair once
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_PLAN_REGISTRY_H_
