// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/cross_core_board.h"

#include <algorithm>

namespace vnpu {

CrossCoreBoard::CrossCoreBoard(const Recording& recording) {
  for (const CoreRecording& core : recording.cores) cores_.push_back(core.id);
}

CrossCoreBoard::Meeting& CrossCoreBoard::MeetingOf(uint32_t core, uint32_t mode, uint32_t flag) {
  const bool aic = IsAic(core);
  const uint64_t place = mode == 0 ? 0 : cores_[core].block;
  const uint64_t key = ((place * 4 + mode) * 2 + (aic ? 1 : 0)) * 16 + flag;
  const auto [it, added] = meetings_.try_emplace(key);
  Meeting& meeting = it->second;
  if (!added) return meeting;
  for (uint32_t other = 0; other < cores_.size(); ++other) {
    if (mode != 0 && cores_[other].block != cores_[core].block) continue;
    if (IsAic(other) == aic) meeting.who.push_back(other);
    // Mode 2 crosses to the other kind.
    if ((IsAic(other) == aic) == (mode != 2)) meeting.receivers.push_back(other);
  }
  meeting.arrived.resize(meeting.who.size());
  return meeting;
}

void CrossCoreBoard::Arrive(uint32_t core, uint32_t mode, uint32_t flag, const Arrival& arrival,
                            std::vector<Handover>* completed) {
  Meeting& meeting = MeetingOf(core, mode, flag);
  const auto at = std::find(meeting.who.begin(), meeting.who.end(), core);
  meeting.arrived[static_cast<size_t>(at - meeting.who.begin())].push_back(arrival);
  const auto nobody = [](const Fifo<Arrival>& queue) { return queue.empty(); };
  if (std::any_of(meeting.arrived.begin(), meeting.arrived.end(), nobody)) return;
  Arrival last = meeting.arrived[0].front();
  for (auto& queue : meeting.arrived) {
    if (queue.front().time > last.time) last = queue.front();
    queue.pop_front();
  }
  for (const uint32_t receiver : meeting.receivers) {
    completed->push_back(Handover{receiver, flag, last, mode == 0});
  }
}

}  // namespace vnpu
