// SPDX-License-Identifier: Apache-2.0
// Which plan a workspace holds, and which plans ran on a stream lately: the
// first catches a stale plan before it is launched, the second lets a device
// error name its cause.
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
  // The plan ends.
  void Forget(const void* workspace, const Plan* plan);

  void NoteRun(void* stream, const std::shared_ptr<Plan>& plan);
  // Living plans that ran on the stream, latest first.
  std::vector<std::shared_ptr<Plan>> RecentRuns(void* stream) const;

 private:
  struct Run {
    void* stream;
    std::weak_ptr<Plan> plan;
  };

  mutable std::mutex mutex_;
  std::unordered_map<const void*, const Plan*> current_;  // by workspace
  std::vector<Run> runs_;                                 // oldest first, each pair once
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_PLAN_REGISTRY_H_
