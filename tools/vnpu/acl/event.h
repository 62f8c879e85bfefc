// SPDX-License-Identifier: Apache-2.0
// Points in streams that other streams and the host can wait for.
#ifndef VNPU_ACL_EVENT_H_
#define VNPU_ACL_EVENT_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "tools/vnpu/acl/capture.h"
#include "tools/vnpu/acl/stream.h"

namespace vnpu_acl {

// One aclrtRecordEvent call. Waits hold on to the record they were made for,
// so recording the event again, or destroying it, does not disturb them.
struct Record {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool reset = false;                          // an aclrtResetEvent after it has run
  std::chrono::steady_clock::time_point time;  // when the stream got there
  std::weak_ptr<Stream> stream;
  Ticket ticket = 0;

  void Complete();
};

enum class EventKind {
  // aclrtCreateEvent, aclrtCreateEventExWithFlag: recorded again at will; a
  // wait before the first record waits for nothing.
  kReusable,
  // aclrtCreateEventWithFlag: a wait before a record waits for that record, and
  // aclrtResetEvent goes back to that state.
  kManual,
};

class Event {
 public:
  Event(EventKind kind, uint32_t flags)
      : kind(kind), flags(flags), next(std::make_shared<Record>()) {}

  const EventKind kind;
  const uint32_t flags;

  std::mutex mutex;                // guards what follows
  std::shared_ptr<Record> latest;  // null: never recorded
  std::shared_ptr<Record> next;    // what the next aclrtRecordEvent fills
  bool reset_issued = false;       // since the latest record
  // The capture that the latest record belongs to, and where in it.
  std::shared_ptr<Capture> capture;
  Positions captured_at;
  // Waits of other streams that have not ended yet.
  std::shared_ptr<std::atomic<int>> pending_waits = std::make_shared<std::atomic<int>>(0);
};

}  // namespace vnpu_acl

#endif  // VNPU_ACL_EVENT_H_
