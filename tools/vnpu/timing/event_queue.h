// SPDX-License-Identifier: Apache-2.0
// What happens next in a simulated launch. Events of one time come in the order
// in which they were added. An agent (a pipe of a core) has at most one wake-up
// that counts: the earliest.
#ifndef VNPU_TIMING_EVENT_QUEUE_H_
#define VNPU_TIMING_EVENT_QUEUE_H_

#include <cstdint>
#include <queue>
#include <vector>

namespace vnpu {

struct Event {
  int64_t time;
  uint64_t order;
  uint32_t agent;
  bool begins_flow;                           // else a wake-up
  bool operator<(const Event& other) const {  // a priority_queue has the largest on top
    return time != other.time ? time > other.time : order > other.order;
  }
};

class EventQueue {
 public:
  explicit EventQueue(size_t agents) : wake_(agents, kNever) {}

  void Wake(uint32_t agent, int64_t time) {
    if (time >= wake_[agent]) return;
    wake_[agent] = time;
    events_.push(Event{time, order_++, agent, false});
  }
  void BeginFlow(uint32_t agent, int64_t time) { events_.push(Event{time, order_++, agent, true}); }
  int64_t NextTime() const { return events_.empty() ? kNever : events_.top().time; }
  // False for a wake-up that an earlier one has replaced.
  bool Pop(Event* event) {
    *event = events_.top();
    events_.pop();
    if (event->begins_flow) return true;
    if (wake_[event->agent] != event->time) return false;
    wake_[event->agent] = kNever;
    return true;
  }

  static constexpr int64_t kNever = INT64_MAX;

 private:
  std::priority_queue<Event> events_;
  std::vector<int64_t> wake_;
  uint64_t order_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_EVENT_QUEUE_H_
