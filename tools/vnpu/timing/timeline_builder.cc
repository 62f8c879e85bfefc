// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/timeline_builder.h"

#include <algorithm>
#include <tuple>

namespace vnpu {
namespace {

constexpr uint32_t kNoLane = UINT32_MAX;

// Waits of the scalar unit that are the true reason why it issued nothing.
bool Explains(uint32_t cause) {
  switch (static_cast<WaitCause>(cause)) {
    case WaitCause::kFlag:
    case WaitCause::kCrossCore:
    case WaitCause::kBarrier:
    case WaitCause::kQueueFull:
    case WaitCause::kScalarGm:
      return true;
    default:
      return false;
  }
}

}  // namespace

void TimelineBuilder::AddCore(const CoreRecording& core) {
  bool used[kNumPipes] = {true};
  for (const Op& op : core.ops) {
    if (op.pipe < Pipe::kAll) used[static_cast<int>(op.pipe)] = true;
  }
  LaneMap map;
  for (int pipe = 0; pipe < kNumPipes; ++pipe) {
    map.lane[pipe] = kNoLane;
    if (!used[pipe]) continue;
    map.lane[pipe] = static_cast<uint32_t>(courses_.size());
    courses_.emplace_back();
    timeline_.lanes.push_back(
        Lane{core.id.block, static_cast<uint8_t>(core.id.role), static_cast<uint8_t>(pipe), 0});
  }
  lane_of_.push_back(map);
  timeline_.core_end_ps.push_back(0);
}

void TimelineBuilder::AddWait(uint32_t lane, int64_t until, WaitCause cause, uint32_t site,
                              uint32_t from) {
  Course& course = courses_[lane];
  if (until <= course.end) return;
  if (cause == WaitCause::kIssue && !course.waits.empty() &&
      course.waits.back().end_ps == course.end &&
      course.waits.back().cause == static_cast<uint32_t>(cause)) {
    course.waits.back().end_ps = course.end = until;
    return;
  }
  course.waits.push_back(Wait{course.end, until, lane, static_cast<uint32_t>(cause), site, from});
  course.end = until;
}

void TimelineBuilder::AddSpan(uint32_t lane, int64_t end, int64_t done, const Op& op,
                              uint64_t bytes) {
  Course& course = courses_[lane];
  const bool scalar = timeline_.lanes[lane].pipe == static_cast<uint8_t>(Pipe::kS);
  // The scalar unit's work is one span from wait to wait: it issues everything.
  if (scalar && !course.spans.empty() && course.spans.back().end_ps == course.end) {
    course.spans.back().end_ps = course.spans.back().done_ps = end;
  } else if (end > course.end) {
    course.spans.push_back(Span{course.end, end, done, bytes, lane, op.site, op.insn, 0});
  }
  course.end = std::max(course.end, end);
}

void TimelineBuilder::EndCore(uint32_t core, int64_t end) {
  timeline_.core_end_ps[core] = end;
  for (int pipe = 1; pipe < kNumPipes; ++pipe) {
    const uint32_t lane = lane_of_[core][pipe];
    if (lane == kNoLane) continue;
    const uint32_t site = courses_[lane].spans.empty() ? 0 : courses_[lane].spans.back().site;
    AddWait(lane, end, WaitCause::kIssue, site, lane_of_[core][0]);
  }
}

// A pipe that had nothing to do while the scalar unit stood still waited for
// what the scalar unit waited for.
void TimelineBuilder::SplitIssueWaits(Course* course, const Course& scalar) {
  std::vector<Wait> split;
  size_t at = 0;
  for (Wait wait : course->waits) {
    if (wait.cause != static_cast<uint32_t>(WaitCause::kIssue)) {
      split.push_back(wait);
      continue;
    }
    while (at < scalar.waits.size() && scalar.waits[at].end_ps <= wait.begin_ps) ++at;
    for (size_t i = at; i < scalar.waits.size() && scalar.waits[i].begin_ps < wait.end_ps; ++i) {
      const Wait& reason = scalar.waits[i];
      if (!Explains(reason.cause)) continue;
      Wait part = wait;
      if (reason.begin_ps > wait.begin_ps) {
        part.end_ps = reason.begin_ps;
        split.push_back(part);
        part.begin_ps = reason.begin_ps;
      }
      part.end_ps = std::min(reason.end_ps, wait.end_ps);
      part.cause = reason.cause;
      part.site = reason.site;
      part.from = reason.from;
      split.push_back(part);
      wait.begin_ps = part.end_ps;
    }
    if (wait.begin_ps < wait.end_ps) split.push_back(wait);
  }
  course->waits = std::move(split);
}

void TimelineBuilder::BlameScalarUnit(uint32_t core) {
  const Course& scalar = courses_[lane_of_[core][0]];
  for (int pipe = 1; pipe < kNumPipes; ++pipe) {
    const uint32_t lane = lane_of_[core][pipe];
    if (lane != kNoLane) SplitIssueWaits(&courses_[lane], scalar);
  }
}

void TimelineBuilder::Flatten() {
  for (Course& course : courses_) {
    PipeTotals totals;
    for (const Span& span : course.spans) totals.busy_ps += span.end_ps - span.begin_ps;
    for (const Wait& wait : course.waits) totals.wait_ps[wait.cause] += wait.end_ps - wait.begin_ps;
    timeline_.totals.push_back(totals);
    timeline_.spans.insert(timeline_.spans.end(), course.spans.begin(), course.spans.end());
    timeline_.waits.insert(timeline_.waits.end(), course.waits.begin(), course.waits.end());
    course = Course();
  }
}

Timeline TimelineBuilder::Finish(int64_t total_ps) {
  timeline_.total_ps = total_ps;
  for (uint32_t lane = 0; lane < courses_.size(); ++lane) {
    AddWait(lane, total_ps, WaitCause::kDone, 0, lane);
  }
  for (uint32_t core = 0; core < lane_of_.size(); ++core) BlameScalarUnit(core);
  Flatten();
  std::sort(timeline_.arrows.begin(), timeline_.arrows.end(), [](const Arrow& a, const Arrow& b) {
    return std::tie(a.begin_ps, a.from, a.to, a.id, a.end_ps) <
           std::tie(b.begin_ps, b.from, b.to, b.id, b.end_ps);
  });
  return std::move(timeline_);
}

}  // namespace vnpu
