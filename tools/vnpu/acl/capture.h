// SPDX-License-Identifier: Apache-2.0
// Capture of streams into graphs, and replay.
//
// While a stream captures, its tasks go to a graph instead of its worker. An
// event that is recorded there belongs to the capture, and a stream that waits
// for it captures too, as a lane of the same graph, until the capture ends. For
// every lane the capture knows how far each other lane had come at the point the
// lane has reached, which tells whether all work is joined back in the end.
//
// A replay runs the tasks one after the other in the order of capture. That
// order keeps every dependency, because a wait is captured after its record.
//
// Next: capture.cc; graph.cc has the calls of the C interface.
#ifndef VNPU_ACL_CAPTURE_H_
#define VNPU_ACL_CAPTURE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tools/vnpu/acl/acl_graph_abi.h"
#include "tools/vnpu/acl/error.h"
#include "tools/vnpu/acl/stream.h"

namespace vnpu_acl {

class Event;

struct GraphTask {
  const char* kind;       // "kernel", "copy", ...
  std::string_view name;  // of the kernel, as long as `run` lives; else empty
  Task run;
};

class Graph {
 public:
  Graph(uint32_t id, int device_id) : id(id), device_id(device_id) {}

  // Both while it is captured only, by one thread at a time.
  void Append(GraphTask task) { tasks_.push_back(std::move(task)); }
  size_t size() const { return tasks_.size(); }
  const char* KindOf(size_t i) const { return tasks_[i].kind; }  // never changes
  // For what comes to that task later, in a replay that runs or the next one.
  void Replace(size_t i, GraphTask task);
  // Up to the first failure, whose text then says which task it was.
  Result Run();
  std::string Describe() const;

  const uint32_t id;
  const int device_id;
  std::atomic<bool> capturing{true};

 private:
  GraphTask TaskAt(size_t i) const;

  std::mutex run_mutex_;              // replays of one graph do not overlap
  mutable std::mutex replace_mutex_;  // tasks that are replaced
  std::vector<GraphTask> tasks_;
};

// By lane: how many of its tasks.
using Positions = std::vector<uint64_t>;

struct Capture {
  struct Lane {
    std::weak_ptr<Stream> stream;
    uint64_t issued = 0;
    Positions known;  // what is ordered before the lane's next task
  };

  aclmdlRI handle = nullptr;
  std::shared_ptr<Graph> graph;
  aclmdlRICaptureMode mode = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;   // that began it
  std::vector<Lane> lanes;  // the first is the stream it began on
  std::string invalidated;  // why; empty while it is good
  bool ended = false;

  // A copy of lane `i`'s view, its own tasks included.
  Positions At(size_t i) const;
};

// Tasks of a graph that can be replaced by others of the same kinds: other
// arguments for the same work. The replacement takes effect when the stream it
// is issued to comes to it, so that events order it with a replay.
struct TaskGroup {
  std::weak_ptr<Graph> graph;
  std::vector<size_t> tasks;
};

struct TaskUpdate {
  std::shared_ptr<TaskGroup> group;
  size_t next = 0;  // how many of its tasks came
};

// The captures of the process. Thread-safe.
class Captures {
 public:
  Result Begin(const std::shared_ptr<Stream>& stream, aclmdlRICaptureMode mode,
               std::shared_ptr<Graph> graph, aclmdlRI handle);
  // The capture is over even if this fails, unless the call had no right to end it.
  Result End(const std::shared_ptr<Stream>& stream, aclmdlRI* handle);
  aclmdlRICaptureStatus Info(const Stream& stream, aclmdlRI* handle) const;

  Result BeginGroup(const std::shared_ptr<Stream>& stream);
  Result EndGroup(const std::shared_ptr<Stream>& stream, std::shared_ptr<TaskGroup>* group);
  Result BeginUpdate(const std::shared_ptr<Stream>& stream, std::shared_ptr<TaskGroup> group);
  Result EndUpdate(const std::shared_ptr<Stream>& stream);

  // Appends to the graph if `stream` captures, else gives the task to its worker.
  Result Enqueue(const std::shared_ptr<Stream>& stream, GraphTask task, Ticket* ticket = nullptr);

  // *captured: that is all there is to do; else the event is an ordinary one. The
  // event's mutex is held.
  Result Record(const std::shared_ptr<Stream>& stream, Event* event, bool* captured);
  Result Wait(const std::shared_ptr<Stream>& stream, bool is_default, Event* event, bool* captured);
  bool Holds(const Event& event) const;

  bool Holds(const Stream& stream) const;
  bool HoldsAnyOf(int device_id) const;
  // For what would wait for the stream, which does not run: 107027.
  Result RefuseWaiting(const Stream& stream) const;
  // For what must not run while a stream captures, unless the modes allow it.
  Result RefuseUnsafe(aclError code) const;

  // The streams of a device go away.
  void Drop(const Stream& stream, const char* why);

 private:
  Result EnqueueUpdate(Stream& stream, GraphTask task, Ticket* ticket);
  // With the mutex held; gives back the graph, which the capture lets go.
  std::shared_ptr<Graph> Finish(const std::shared_ptr<Capture>& capture);

  mutable std::mutex mutex_;
  std::atomic<int> active_count_{0};  // captures and updates
  std::vector<std::shared_ptr<Capture>> active_;
};

// The calling thread's mode; returns the one before.
aclmdlRICaptureMode ExchangeThreadMode(aclmdlRICaptureMode mode);

}  // namespace vnpu_acl

#endif  // VNPU_ACL_CAPTURE_H_
