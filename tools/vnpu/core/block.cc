// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/block.h"

#include <cstring>

namespace vnpu {

void Block::Begin(Launch* launch, uint32_t block_idx, bool has_aic, uint32_t aivs) {
  index_ = block_idx;
  has_aic_ = has_aic;
  aivs_ = aivs;
  std::memset(mode1, 0, sizeof(mode1));
  std::memset(mode2, 0, sizeof(mode2));
  cores_.clear();
  if (has_aic) {
    if (!aic_) aic_ = std::make_unique<Core>(CoreRole::kAic);
    cores_.push_back(aic_.get());
  }
  for (uint32_t i = 0; i < aivs; ++i) {
    if (!aiv_[i]) aiv_[i] = std::make_unique<Core>(i == 0 ? CoreRole::kAiv0 : CoreRole::kAiv1);
    cores_.push_back(aiv_[i].get());
  }
  for (Core* core : cores_) core->Begin(launch, this, block_idx);
}

Block::Progress Block::Run() {
  Progress progress = Progress::kNone;
  for (Core* core : cores_) {
    if (!core->CanRun()) continue;
    core->Run();
    if (core->state() != CoreState::kYielded) {
      progress = Progress::kMoved;
    } else if (progress == Progress::kNone) {
      progress = Progress::kYielded;
    }
  }
  return progress;
}

bool Block::finished() const {
  for (const Core* core : cores_) {
    if (core->state() != CoreState::kFinished) return false;
  }
  return true;
}

}  // namespace vnpu
