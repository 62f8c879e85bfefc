// SPDX-License-Identifier: Apache-2.0
// The event calls of the C interface.
#include "tools/vnpu/acl/event.h"

#include <cstdint>
#include <utility>

#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {

void Record::Complete() {
  std::lock_guard lock(mutex);
  if (done) return;
  done = true;
  time = std::chrono::steady_clock::now();
  changed.notify_all();
}

namespace {

using std::chrono::milliseconds;

// How soon a waiting stream notices that it is being destroyed.
constexpr milliseconds kAbortPoll{10};

// Completes the record also if the task is dropped with its stream: whoever
// waits for it goes on.
struct RecordTask {
  explicit RecordTask(std::shared_ptr<Record> record) : record(std::move(record)) {}
  RecordTask(const RecordTask&) = delete;
  RecordTask& operator=(const RecordTask&) = delete;
  ~RecordTask() {
    if (record != nullptr) record->Complete();
  }
  std::shared_ptr<Record> record;  // null: was never submitted
};

struct PendingWait {
  explicit PendingWait(std::shared_ptr<std::atomic<int>> waits) : count(std::move(waits)) {
    ++*count;
  }
  PendingWait(const PendingWait&) = delete;
  PendingWait& operator=(const PendingWait&) = delete;
  ~PendingWait() { --*count; }
  std::shared_ptr<std::atomic<int>> count;
};

Result FindEvent(Runtime& runtime, const char* argument, aclrtEvent handle,
                 std::shared_ptr<Event>* event) {
  *event = runtime.events.Find(handle);
  return *event != nullptr ? Result{} : runtime.events.NotFound(argument, handle);
}

Result CreateEvent(Runtime& runtime, aclrtEvent* event, EventKind kind, uint32_t flag) {
  if (event == nullptr) return NullPointer("event");
  constexpr uint32_t kSupported =
      ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE | ACL_EVENT_EXTERNAL;
  if ((flag & ~kSupported) != 0) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "flag = ", flag,
                 ": only ACL_EVENT_SYNC (1), ACL_EVENT_CAPTURE_STREAM_PROGRESS (2), "
                 "ACL_EVENT_TIME_LINE (8) and ACL_EVENT_EXTERNAL (32) are supported");
  }
  DeviceState* unused = nullptr;
  const Result result = runtime.CurrentDevice(&unused);
  if (result.ok()) *event = runtime.events.Add(std::make_shared<Event>(kind, flag));
  return result;
}

// What a wait that is asked for at this moment means; null: nothing.
std::shared_ptr<Record> RecordToWaitFor(const Event& event) {
  if (event.kind == EventKind::kReusable) return event.latest;
  return event.latest == nullptr || event.reset_issued ? event.next : event.latest;
}

Result WaitFor(Record& record) {
  const Stream* stream = Stream::Current();
  std::unique_lock lock(record.mutex);
  while (!record.done && !stream->aborted()) record.changed.wait_for(lock, kAbortPoll);
  return {};
}

bool IsExternal(const Event& event) { return (event.flags & ACL_EVENT_EXTERNAL) != 0; }

// External events link replays with what runs beside them: what a record, wait or
// reset means is decided when the stream comes to it, each time.
Result RecordExternal(Event& event) {
  std::lock_guard lock(event.mutex);
  event.latest = std::exchange(event.next, std::make_shared<Record>());
  event.latest->Complete();
  event.reset_issued = false;
  return {};
}

Result WaitExternal(Event& event) {
  std::shared_ptr<Record> record;
  {
    std::lock_guard lock(event.mutex);
    record = event.latest == nullptr || event.reset_issued ? event.next : event.latest;
  }
  return WaitFor(*record);
}

Result ResetExternal(Event& event) {
  std::lock_guard lock(event.mutex);
  event.reset_issued = true;
  return {};
}

Result RecordEvent(Runtime& runtime, aclrtEvent handle, aclrtStream stream_handle) {
  std::shared_ptr<Event> event;
  std::shared_ptr<Stream> stream;
  Result result = FindEvent(runtime, "event", handle, &event);
  if (result.ok()) result = runtime.FindStream(stream_handle, &stream);
  if (!result.ok()) return result;
  if (IsExternal(*event)) {
    const auto run = [event] { return RecordExternal(*event); };
    return runtime.captures.Enqueue(stream, {"external record", "", run});
  }

  std::lock_guard lock(event->mutex);
  bool captured = false;
  result = runtime.captures.Record(stream, event.get(), &captured);
  if (!result.ok() || captured) return result;
  const std::shared_ptr<Record> record = event->next;
  const auto task = std::make_shared<RecordTask>(record);
  const auto run = [task]() -> Result {
    task->record->Complete();
    return {};
  };
  {
    std::lock_guard record_lock(record->mutex);  // the task ends after the ticket is known
    record->stream = stream;
    result = stream->Submit(run, &record->ticket);
  }
  if (!result.ok()) {
    task->record = nullptr;
    return result;
  }
  event->latest = record;
  event->next = std::make_shared<Record>();
  event->reset_issued = false;
  return {};
}

// Only events made for it can be waited on by streams, as on the device.
Result CheckSyncFlag(const Event& event) {
  if ((event.flags & (ACL_EVENT_SYNC | ACL_EVENT_EXTERNAL)) != 0) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID,
               "event was created without ACL_EVENT_SYNC (1): streams cannot wait for it");
}

Result WaitEvent(Runtime& runtime, aclrtStream stream_handle, aclrtEvent handle) {
  std::shared_ptr<Event> event;
  std::shared_ptr<Stream> stream;
  Result result = FindEvent(runtime, "event", handle, &event);
  if (result.ok()) result = CheckSyncFlag(*event);
  if (result.ok()) result = runtime.FindStream(stream_handle, &stream);
  if (!result.ok()) return result;

  if (IsExternal(*event)) {
    const auto run = [event] { return WaitExternal(*event); };
    return runtime.captures.Enqueue(stream, {"external wait", "", run});
  }

  std::shared_ptr<Record> record;
  {
    std::lock_guard lock(event->mutex);
    bool captured = false;
    result = runtime.captures.Wait(stream, stream_handle == nullptr, event.get(), &captured);
    if (!result.ok() || captured) return result;
    record = RecordToWaitFor(*event);
  }
  if (record == nullptr) return {};  // never recorded: nothing to wait for
  auto pending = std::make_shared<PendingWait>(event->pending_waits);
  return stream->Submit([record, pending] { return WaitFor(*record); });
}

Result ResetEvent(Runtime& runtime, aclrtEvent handle, aclrtStream stream_handle) {
  std::shared_ptr<Event> event;
  std::shared_ptr<Stream> stream;
  Result result = FindEvent(runtime, "event", handle, &event);
  if (result.ok()) result = runtime.FindStream(stream_handle, &stream);
  if (!result.ok()) return result;
  if (IsExternal(*event)) {
    const auto run = [event] { return ResetExternal(*event); };
    return runtime.captures.Enqueue(stream, {"external reset", "", run});
  }
  if ((event->kind != EventKind::kManual || (event->flags & ACL_EVENT_SYNC) == 0)) {
    return Error(ACL_ERROR_RT_PARAM_INVALID,
                 "event can be reset only if aclrtCreateEventWithFlag made it with "
                 "ACL_EVENT_SYNC (1)");
  }
  std::lock_guard lock(event->mutex);
  if (runtime.captures.Holds(*stream)) {
    event->capture = nullptr;  // within the graph: as if never recorded
    return {};
  }
  const std::shared_ptr<Record> record = event->latest;
  if (record == nullptr) return {};  // already in its first state
  result = stream->Submit([record]() -> Result {
    std::lock_guard record_lock(record->mutex);
    record->reset = true;
    return {};
  });
  if (result.ok()) event->reset_issued = true;
  return result;
}

std::shared_ptr<Record> LatestRecord(Event& event) {
  std::lock_guard lock(event.mutex);
  return event.latest;
}

// For what the host asks about an event that no stream will come to.
Result RefuseUnknown(Runtime& runtime, Event& event) {
  std::lock_guard lock(event.mutex);
  if (IsExternal(event)) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                 "event was created with ACL_EVENT_EXTERNAL (32): only streams can wait for it");
  }
  if (!runtime.captures.Holds(event)) return {};
  return Error(ACL_ERROR_RT_EVENT_CAPTURED,
               "event was recorded by a stream that captures: nothing can wait for it or ask about "
               "it before the capture ends");
}

// Also returns what went wrong in the stream before the event, like a
// synchronise of the stream up to there.
Result SynchronizeEvent(Runtime& runtime, aclrtEvent handle) {
  std::shared_ptr<Event> event;
  Result result = FindEvent(runtime, "event", handle, &event);
  if (result.ok()) result = RefuseUnknown(runtime, *event);
  if (!result.ok()) return result;
  const std::shared_ptr<Record> record = LatestRecord(*event);
  if (record == nullptr) {
    if (event->kind == EventKind::kReusable) return {};
    return Error(ACL_ERROR_RT_PARAM_INVALID, "event was never recorded");
  }
  std::unique_lock lock(record->mutex);
  record->changed.wait(lock, [&] { return record->done; });
  const std::shared_ptr<Stream> stream = record->stream.lock();
  const Ticket ticket = record->ticket;
  lock.unlock();
  return stream != nullptr ? stream->TakeFailure(ticket).result : Result{};
}

Result QueryEvent(Runtime& runtime, aclrtEvent handle, aclrtEventRecordedStatus* status) {
  if (status == nullptr) return NullPointer("status");
  std::shared_ptr<Event> event;
  Result result = FindEvent(runtime, "event", handle, &event);
  if (result.ok()) result = RefuseUnknown(runtime, *event);
  if (!result.ok()) return result;
  bool complete = event->kind == EventKind::kReusable;
  if (const std::shared_ptr<Record> record = LatestRecord(*event)) {
    std::lock_guard lock(record->mutex);
    complete = record->done && !record->reset;
  }
  *status = complete ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
  return {};
}

Result QueryEventWait(Runtime& runtime, aclrtEvent handle, aclrtEventWaitStatus* status) {
  if (status == nullptr) return NullPointer("status");
  std::shared_ptr<Event> event;
  Result result = FindEvent(runtime, "event", handle, &event);
  if (result.ok()) result = CheckSyncFlag(*event);
  if (result.ok()) result = RefuseUnknown(runtime, *event);
  if (!result.ok()) return result;
  if (event->kind != EventKind::kManual) {
    return Error(ACL_ERROR_RT_PARAM_INVALID,
                 "event was not created by aclrtCreateEventWithFlag, the only kind whose waits "
                 "can be asked for");
  }
  *status =
      *event->pending_waits == 0 ? ACL_EVENT_WAIT_STATUS_COMPLETE : ACL_EVENT_WAIT_STATUS_NOT_READY;
  return {};
}

Result RecordTime(Runtime& runtime, const char* argument, aclrtEvent handle,
                  std::chrono::steady_clock::time_point* time) {
  std::shared_ptr<Event> event;
  Result result = FindEvent(runtime, argument, handle, &event);
  if (result.ok()) result = RefuseUnknown(runtime, *event);
  if (!result.ok()) return result;
  if ((event->flags & ACL_EVENT_TIME_LINE) == 0) {
    return Error(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, argument,
                 " was created without ACL_EVENT_TIME_LINE (8): it has no time");
  }
  const std::shared_ptr<Record> record = LatestRecord(*event);
  if (record == nullptr) {
    return Error(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, argument, " was never recorded");
  }
  std::lock_guard lock(record->mutex);
  if (!record->done) {
    return Error(ACL_ERROR_RT_EVENT_NOT_COMPLETE, argument,
                 " is not complete: synchronise it first");
  }
  *time = record->time;
  return {};
}

// Host wall time between the moments the streams reached the two records. It
// says how long the simulation took, not how long the device would take.
Result ElapsedTime(Runtime& runtime, float* ms, aclrtEvent start, aclrtEvent end) {
  if (ms == nullptr) return NullPointer("ms");
  std::chrono::steady_clock::time_point from, to;
  Result result = RecordTime(runtime, "startEvent", start, &from);
  if (result.ok()) result = RecordTime(runtime, "endEvent", end, &to);
  if (!result.ok()) return result;
  const std::chrono::duration<float, std::milli> elapsed = to - from;
  if (elapsed.count() < 0) {
    return Error(ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, "endEvent completed ", -elapsed.count(),
                 " ms before startEvent");
  }
  *ms = elapsed.count();
  return {};
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::EventKind;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtCreateEvent(aclrtEvent* event) {
  return Call("aclrtCreateEvent", [=](Runtime& runtime) {
    return vnpu_acl::CreateEvent(runtime, event, EventKind::kReusable,
                                 ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE);
  });
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
  return Call("aclrtCreateEventWithFlag", [=](Runtime& runtime) {
    return vnpu_acl::CreateEvent(runtime, event, EventKind::kManual, flag);
  });
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  return Call("aclrtCreateEventExWithFlag", [=](Runtime& runtime) {
    return vnpu_acl::CreateEvent(runtime, event, EventKind::kReusable, flag);
  });
}

// May come while tasks use the event: they hold what they need.
aclError aclrtDestroyEvent(aclrtEvent event) {
  return Call("aclrtDestroyEvent", [=](Runtime& runtime) -> Result {
    if (runtime.events.Remove(event) != nullptr) return {};
    return runtime.events.NotFound("event", event);
  });
}

aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) {
  return Call("aclrtRecordEvent",
              [=](Runtime& runtime) { return vnpu_acl::RecordEvent(runtime, event, stream); });
}

aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream) {
  return Call("aclrtResetEvent",
              [=](Runtime& runtime) { return vnpu_acl::ResetEvent(runtime, event, stream); });
}

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) {
  return Call("aclrtStreamWaitEvent",
              [=](Runtime& runtime) { return vnpu_acl::WaitEvent(runtime, stream, event); });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) {
  return Call("aclrtSynchronizeEvent",
              [=](Runtime& runtime) { return vnpu_acl::SynchronizeEvent(runtime, event); });
}

aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) {
  return Call("aclrtQueryEventStatus",
              [=](Runtime& runtime) { return vnpu_acl::QueryEvent(runtime, event, status); });
}

aclError aclrtQueryEventWaitStatus(aclrtEvent event, aclrtEventWaitStatus* status) {
  return Call("aclrtQueryEventWaitStatus",
              [=](Runtime& runtime) { return vnpu_acl::QueryEventWait(runtime, event, status); });
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent startEvent, aclrtEvent endEvent) {
  return Call("aclrtEventElapsedTime", [=](Runtime& runtime) {
    return vnpu_acl::ElapsedTime(runtime, ms, startEvent, endEvent);
  });
}

}  // extern "C"
