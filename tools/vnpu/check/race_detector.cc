// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_detector.h"

#include "tools/vnpu/check/race_engine.h"

namespace vnpu {

RaceDetector::RaceDetector(const RaceOptions& options, FindingSink* sink)
    : engine_(std::make_unique<race::Engine>(options, sink)) {}
RaceDetector::~RaceDetector() = default;

const std::map<const void*, SyncUse>& RaceDetector::sync_use() const {
  return engine_->order.use();
}
uint64_t RaceDetector::order_digest() const { return engine_->order_digest(); }
void RaceDetector::ClearSyncUse() { engine_->order.use().clear(); }

void RaceDetector::OnLaunchBegin(const LaunchInfo& info) { engine_->Begin(info); }
void RaceDetector::OnLaunchEnd(LaunchResult*) { engine_->End(); }
void RaceDetector::OnCoreEnd(const CoreId& core) { engine_->EndCore(core); }

void RaceDetector::OnIssue(const CoreId& core, const Instruction& in) {
  if (in.pipe != Pipe::kS && in.pipe != Pipe::kAll) engine_->order.core(core).OnIssue(in);
}

void RaceDetector::OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                            std::string*) {
  engine_->OnAccess(core, in, access);
}

void RaceDetector::OnRetire(const CoreId& core, const Instruction& in) {
  engine_->OnRetire(core, in);
}

void RaceDetector::OnSignal(const CoreId& core, const Instruction& in, const SyncEvent& event) {
  if (event.kind == SyncKind::kCacheClean) {
    engine_->Clean(core, in);
  } else {
    engine_->OnSignal(core, in, event);
  }
}

void RaceDetector::OnWait(const CoreId& core, const Instruction& in, const SyncEvent& event) {
  engine_->order.OnWait(core, in, event);
}

}  // namespace vnpu
