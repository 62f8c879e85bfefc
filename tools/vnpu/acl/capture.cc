// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/acl/capture.h"

#include <algorithm>
#include <cstring>
#include <sstream>
#include <utility>

#include "tools/vnpu/acl/event.h"

namespace vnpu_acl {
namespace {

thread_local aclmdlRICaptureMode thread_mode = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;

void Merge(const Positions& from, Positions* into) {
  if (into->size() < from.size()) into->resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) (*into)[i] = std::max((*into)[i], from[i]);
}

Result Invalidate(Capture* capture, Result result) {
  if (capture->invalidated.empty()) capture->invalidated = result.text;
  return result;
}

// Whether `mode` of a capture, seen from this thread, forbids unsafe calls.
bool Forbids(const Capture& capture) {
  const bool own = capture.thread == std::this_thread::get_id();
  switch (capture.mode) {
    case ACL_MODEL_RI_CAPTURE_MODE_RELAXED:
      return false;
    case ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL:
      return own && thread_mode != ACL_MODEL_RI_CAPTURE_MODE_RELAXED;
    case ACL_MODEL_RI_CAPTURE_MODE_GLOBAL:
      return own ? thread_mode != ACL_MODEL_RI_CAPTURE_MODE_RELAXED
                 : thread_mode == ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;
  }
  return true;
}

}  // namespace

aclmdlRICaptureMode ExchangeThreadMode(aclmdlRICaptureMode mode) {
  return std::exchange(thread_mode, mode);
}

Result Graph::Run() {
  std::lock_guard lock(run_mutex_);
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const GraphTask task = TaskAt(i);
    Result result = task.run();
    if (result.ok()) continue;
    std::ostringstream where;
    where << "graph " << id << ", task " << i + 1 << " of " << tasks_.size() << " (" << task.kind
          << (task.name.empty() ? "" : " ") << task.name << "): ";
    result.text = where.str() + result.text;
    result.is_report = true;
    return result;
  }
  return {};
}

GraphTask Graph::TaskAt(size_t i) const {
  std::lock_guard lock(replace_mutex_);
  return tasks_[i];
}

void Graph::Replace(size_t i, GraphTask task) {
  std::lock_guard lock(replace_mutex_);
  tasks_[i].name = task.name;
  tasks_[i].run = std::move(task.run);
}

std::string Graph::Describe() const {
  std::ostringstream text;
  text << "graph " << id << " on device " << device_id << ", " << tasks_.size() << " tasks\n";
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const GraphTask task = TaskAt(i);
    text << "  " << i + 1 << " " << task.kind << (task.name.empty() ? "" : " ") << task.name
         << "\n";
  }
  return text.str();
}

Positions Capture::At(size_t i) const {
  Positions at = lanes[i].known;
  at.resize(lanes.size());
  at[i] = lanes[i].issued;
  return at;
}

Result Captures::Begin(const std::shared_ptr<Stream>& stream, aclmdlRICaptureMode mode,
                       std::shared_ptr<Graph> graph, aclmdlRI handle) {
  std::lock_guard lock(mutex_);
  if (stream->capture != nullptr) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURED, "the stream captures already");
  }
  auto capture = std::make_shared<Capture>();
  capture->handle = handle;
  capture->graph = std::move(graph);
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->lanes.push_back({stream, 0, {}});
  stream->capture = capture;
  stream->lane = 0;
  active_.push_back(std::move(capture));
  ++active_count_;
  return {};
}

std::shared_ptr<Graph> Captures::Finish(const std::shared_ptr<Capture>& capture) {
  capture->ended = true;
  for (const Capture::Lane& lane : capture->lanes) {
    const std::shared_ptr<Stream> stream = lane.stream.lock();
    if (stream == nullptr || stream->capture != capture) continue;
    stream->capture = nullptr;
    stream->open_group = nullptr;
  }
  active_.erase(std::remove(active_.begin(), active_.end(), capture), active_.end());
  --active_count_;
  return std::move(capture->graph);
}

Result Captures::End(const std::shared_ptr<Stream>& stream, aclmdlRI* handle) {
  std::lock_guard lock(mutex_);
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture == nullptr) {
    return Error(ACL_ERROR_RT_STREAM_NOT_CAPTURED,
                 "the stream does not capture: call aclmdlRICaptureBegin first");
  }
  if (stream->lane != 0) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURE_UNMATCHED,
                 "the stream joined the capture by an event: end it on the stream it began on");
  }
  if (capture->mode != ACL_MODEL_RI_CAPTURE_MODE_RELAXED &&
      capture->thread != std::this_thread::get_id()) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURE_WRONG_THREAD,
                 "another thread began the capture: end it there, or begin it in mode 2 (RELAXED)");
  }
  *handle = capture->handle;
  const bool open_group =
      std::any_of(capture->lanes.begin(), capture->lanes.end(), [](const Capture::Lane& lane) {
        const std::shared_ptr<Stream> member = lane.stream.lock();
        return member != nullptr && member->open_group != nullptr;
      });
  const std::shared_ptr<Graph> graph = Finish(capture);
  if (open_group) {
    return Error(ACL_ERROR_STREAM_TASK_GROUP_STATUS,
                 "a task group is open: call aclmdlRICaptureTaskGrpEnd first");
  }
  if (!capture->invalidated.empty()) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED,
                 "the capture became invalid: ", capture->invalidated);
  }
  const Positions reached = capture->At(0);
  for (size_t i = 1; i < capture->lanes.size(); ++i) {
    const uint64_t missing = capture->lanes[i].issued - reached[i];
    if (missing == 0) continue;
    return Error(ACL_ERROR_RT_STREAM_UNJOINED, missing, " of ", capture->lanes[i].issued,
                 " tasks of a side stream (number ", i,
                 ") are not joined: record an event behind them and let the capturing stream "
                 "wait for it");
  }
  graph->capturing = false;
  return {};
}

aclmdlRICaptureStatus Captures::Info(const Stream& stream, aclmdlRI* handle) const {
  std::lock_guard lock(mutex_);
  if (stream.capture == nullptr) return ACL_MODEL_RI_CAPTURE_STATUS_NONE;
  *handle = stream.capture->handle;
  return stream.capture->invalidated.empty() ? ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE
                                             : ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED;
}

Result Captures::Enqueue(const std::shared_ptr<Stream>& stream, GraphTask task, Ticket* ticket) {
  if (active_count_ > 0) {
    std::lock_guard lock(mutex_);
    if (stream->update != nullptr) return EnqueueUpdate(*stream, std::move(task), ticket);
    if (Capture* capture = stream->capture.get()) {
      if (stream->open_group != nullptr) {
        stream->open_group->tasks.push_back(capture->graph->size());
      }
      capture->graph->Append(std::move(task));
      ++capture->lanes[stream->lane].issued;
      if (ticket != nullptr) *ticket = 0;
      return {};
    }
  }
  return stream->Submit(std::move(task.run), ticket);
}

Result Captures::BeginGroup(const std::shared_ptr<Stream>& stream) {
  std::lock_guard lock(mutex_);
  if (stream->capture == nullptr) {
    return Error(ACL_ERROR_RT_STREAM_NOT_CAPTURED, "task groups are of streams that capture");
  }
  if (stream->open_group != nullptr) {
    return Error(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "the stream's last task group is open");
  }
  stream->open_group = std::make_shared<TaskGroup>(TaskGroup{stream->capture->graph, {}});
  return {};
}

Result Captures::EndGroup(const std::shared_ptr<Stream>& stream,
                          std::shared_ptr<TaskGroup>* group) {
  std::lock_guard lock(mutex_);
  if (stream->open_group == nullptr) {
    return Error(ACL_ERROR_STREAM_TASK_GROUP_STATUS,
                 "no task group is open: call aclmdlRICaptureTaskGrpBegin first");
  }
  *group = std::exchange(stream->open_group, nullptr);
  return {};
}

Result Captures::BeginUpdate(const std::shared_ptr<Stream>& stream,
                             std::shared_ptr<TaskGroup> group) {
  std::lock_guard lock(mutex_);
  if (stream->capture != nullptr) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURED, "the stream captures: update by another one");
  }
  if (stream->update != nullptr) {
    return Error(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "the stream updates a task group already");
  }
  const std::shared_ptr<Graph> graph = group->graph.lock();
  if (graph == nullptr || graph->capturing) {
    return Error(ACL_ERROR_RT_MODEL_UPDATE_FAILED, "the task group's graph ",
                 graph == nullptr ? "was destroyed" : "is being captured");
  }
  stream->update = std::make_shared<TaskUpdate>(TaskUpdate{std::move(group), 0});
  ++active_count_;
  return {};
}

Result Captures::EndUpdate(const std::shared_ptr<Stream>& stream) {
  std::lock_guard lock(mutex_);
  if (stream->update == nullptr) {
    return Error(ACL_ERROR_STREAM_TASK_GROUP_STATUS,
                 "the stream updates nothing: call aclmdlRICaptureTaskUpdateBegin first");
  }
  const std::shared_ptr<TaskUpdate> update = std::exchange(stream->update, nullptr);
  --active_count_;
  if (update->next == update->group->tasks.size()) return {};
  return Error(ACL_ERROR_RT_MODEL_UPDATE_FAILED, update->next, " tasks came, but the group has ",
               update->group->tasks.size());
}

Result Captures::EnqueueUpdate(Stream& stream, GraphTask task, Ticket* ticket) {
  TaskUpdate& update = *stream.update;
  const std::shared_ptr<Graph> graph = update.group->graph.lock();
  if (graph == nullptr || update.next == update.group->tasks.size()) {
    return Error(ACL_ERROR_RT_MODEL_UPDATE_FAILED, "the task group ",
                 graph == nullptr ? "lost its graph" : "has no more tasks", " to replace");
  }
  const size_t index = update.group->tasks[update.next];
  if (std::strcmp(task.kind, graph->KindOf(index)) != 0) {
    return Error(ACL_ERROR_RT_MODEL_UPDATE_FAILED, "task ", update.next + 1,
                 " of the group is of kind ", graph->KindOf(index), ", not ", task.kind);
  }
  ++update.next;
  const auto replace = [graph, index, task = std::move(task)]() -> Result {
    graph->Replace(index, task);
    return {};
  };
  return stream.Submit(replace, ticket);
}

Result Captures::Record(const std::shared_ptr<Stream>& stream, Event* event, bool* captured) {
  *captured = false;
  event->capture = nullptr;
  if (active_count_ == 0 || (event->flags & ACL_EVENT_EXTERNAL) != 0) return {};
  std::lock_guard lock(mutex_);
  if (stream->capture == nullptr) return {};
  *captured = true;
  event->capture = stream->capture;
  event->captured_at = stream->capture->At(stream->lane);
  return {};
}

Result Captures::Wait(const std::shared_ptr<Stream>& stream, bool is_default, Event* event,
                      bool* captured) {
  *captured = false;
  if (active_count_ == 0 || (event->flags & ACL_EVENT_EXTERNAL) != 0) return {};
  std::lock_guard lock(mutex_);
  const std::shared_ptr<Capture> own = stream->capture;
  const std::shared_ptr<Capture> theirs =
      event->capture != nullptr && !event->capture->ended ? event->capture : nullptr;
  if (own == nullptr && theirs == nullptr) return {};
  *captured = true;
  if (theirs == nullptr) {
    if (event->latest == nullptr && event->kind == EventKind::kReusable) return {};
    return Invalidate(own.get(), Error(ACL_ERROR_RT_CAPTURE_DEPENDENCY,
                                       "a capturing stream waits for an event that was recorded "
                                       "outside of its capture"));
  }
  if (own != nullptr && own != theirs) {
    return Invalidate(own.get(), Error(ACL_ERROR_STREAM_CAPTURE_CONFLICT,
                                       "a capturing stream waits for an event of another capture"));
  }
  if (own == nullptr) {
    if (is_default) {
      return Invalidate(theirs.get(),
                        Error(ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT,
                              "the default stream cannot join a capture: wait on another stream"));
    }
    if (stream->device_id() != theirs->graph->device_id) {
      return Invalidate(
          theirs.get(),
          Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "a stream of device ", stream->device_id(),
                " cannot join a capture on device ", theirs->graph->device_id));
    }
    stream->capture = theirs;
    stream->lane = theirs->lanes.size();
    theirs->lanes.push_back({stream, 0, {}});
  }
  Capture::Lane& lane = theirs->lanes[stream->lane];
  Merge(event->captured_at, &lane.known);
  // Counts as a task: a stream that only waits has to be joined, as on the device.
  if (stream->lane != 0) ++lane.issued;
  return {};
}

bool Captures::Holds(const Event& event) const {
  if (event.capture == nullptr) return false;
  std::lock_guard lock(mutex_);
  return !event.capture->ended;
}

bool Captures::Holds(const Stream& stream) const {
  if (active_count_ == 0) return false;
  std::lock_guard lock(mutex_);
  return stream.capture != nullptr;
}

bool Captures::HoldsAnyOf(int device_id) const {
  if (active_count_ == 0) return false;
  std::lock_guard lock(mutex_);
  return std::any_of(active_.begin(), active_.end(), [&](const std::shared_ptr<Capture>& capture) {
    return capture->graph->device_id == device_id;
  });
}

Result Captures::RefuseWaiting(const Stream& stream) const {
  if (!Holds(stream)) return {};
  return Error(ACL_ERROR_RT_STREAM_CAPTURED,
               "the stream captures: its tasks do not run before the graph is replayed, so that "
               "nothing can wait for them");
}

Result Captures::RefuseUnsafe(aclError code) const {
  if (active_count_ == 0) return {};
  std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Capture>& capture : active_) {
    if (!Forbids(*capture)) continue;
    return Error(
        code, "not allowed while a stream captures in mode ", int{capture->mode},
        capture->mode == ACL_MODEL_RI_CAPTURE_MODE_GLOBAL ? " (GLOBAL)" : " (THREAD_LOCAL)",
        ": it would run now and not with the graph; use an asynchronous call with memory "
        "from aclrtMallocHost, or aclmdlRICaptureThreadExchangeMode if it does not belong "
        "to the graph");
  }
  return {};
}

void Captures::Drop(const Stream& stream, const char* why) {
  if (active_count_ == 0) return;
  std::lock_guard lock(mutex_);
  const std::shared_ptr<Capture> capture = stream.capture;
  if (capture == nullptr) return;
  if (capture->invalidated.empty()) capture->invalidated = why;
  if (stream.lane == 0) Finish(capture);  // nobody can end it any more
}

}  // namespace vnpu_acl
