// SPDX-License-Identifier: Apache-2.0
// Lays out a Timeline while the simulator runs. Every picosecond of a lane goes
// to one span or one wait: each call takes the lane on from where the last one
// left it.
#ifndef VNPU_TIMING_TIMELINE_BUILDER_H_
#define VNPU_TIMING_TIMELINE_BUILDER_H_

#include <cstdint>
#include <vector>

#include "tools/vnpu/timing/recording.h"
#include "tools/vnpu/timing/timeline.h"

namespace vnpu {

class TimelineBuilder {
 public:
  // Lanes of the scalar unit and of the pipes that the core's ops name.
  void AddCore(const CoreRecording& core);
  // UINT32_MAX if the core has no such lane.
  uint32_t LaneOf(uint32_t core, Pipe pipe) const { return lane_of_[core][static_cast<int>(pipe)]; }

  // Where the lane has come to.
  int64_t LaneEnd(uint32_t lane) const { return courses_[lane].end; }
  // [LaneEnd, until) is a wait; nothing if that is empty.
  void AddWait(uint32_t lane, int64_t until, WaitCause cause, uint32_t site, uint32_t from);
  // [LaneEnd, end) is work on `op`.
  void AddSpan(uint32_t lane, int64_t end, int64_t done, const Op& op, uint64_t bytes);
  void AddArrow(const Arrow& arrow) { timeline_.arrows.push_back(arrow); }
  void EndCore(uint32_t core, int64_t end);

  Timeline& timeline() { return timeline_; }
  // Ends all lanes at total_ps. The builder is empty afterwards.
  Timeline Finish(int64_t total_ps);

 private:
  struct Course {
    int64_t end = 0;
    std::vector<Span> spans;
    std::vector<Wait> waits;
  };
  struct LaneMap {
    uint32_t lane[kNumPipes];
    uint32_t operator[](int pipe) const { return lane[pipe]; }
  };

  void BlameScalarUnit(uint32_t core);
  void SplitIssueWaits(Course* course, const Course& scalar);
  void Flatten();

  Timeline timeline_;
  std::vector<LaneMap> lane_of_;
  std::vector<Course> courses_;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_TIMELINE_BUILDER_H_
