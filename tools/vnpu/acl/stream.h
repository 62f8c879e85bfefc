// SPDX-License-Identifier: Apache-2.0
// An ordered queue of tasks with one worker thread.
//
// Next: event.h - order between streams.
#ifndef VNPU_ACL_STREAM_H_
#define VNPU_ACL_STREAM_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "tools/vnpu/acl/error.h"

namespace vnpu_acl {

// A task owns everything it needs (handles may be destroyed while it waits) and
// returns what went wrong. Copyable, so that a captured graph can run it again.
using Task = std::function<Result()>;

// The n-th task of a stream, from 1. Ticket 0 is always done.
using Ticket = uint64_t;

struct Failure {
  Result result;
  Ticket ticket = 0;
  uint64_t sequence = 0;  // process-wide order of failures

  bool any() const { return !result.ok(); }
};

enum class WaitOutcome { kDone, kTimedOut, kStopped };

// What can be set on a stream at any time.
struct StreamSettings {
  // After a failure the stream runs nothing until a synchronise has returned it.
  std::atomic<bool> stop_on_failure{false};
  std::atomic<uint32_t> custom_tag{0};
  std::atomic<uint32_t> cache_op_info{0};
  std::atomic<uint32_t> priority{0};
};

struct Capture;
struct TaskGroup;
struct TaskUpdate;

class Stream {
 public:
  explicit Stream(int device_id);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int device_id() const { return device_id_; }
  int32_t id() const { return id_; }
  // The stream whose task the calling thread runs; null if it runs none.
  static const Stream* Current();

  StreamSettings settings;
  // Of Captures, which guards them.
  std::shared_ptr<Capture> capture;
  size_t lane = 0;
  std::shared_ptr<TaskGroup> open_group;
  std::shared_ptr<TaskUpdate> update;

  // The worker thread starts with the first task.
  Result Submit(Task task, Ticket* ticket = nullptr);

  Ticket last_ticket() const;
  bool idle() const;

  // timeout_ms < 0 waits for ever.
  WaitOutcome Wait(Ticket ticket, int64_t timeout_ms) const;

  // Tasks go on after one has failed, unless settings say otherwise; the first
  // failure is kept until it is taken. TakeFailure leaves a failure of a task
  // after `up_to` where it is.
  Failure TakeFailure(Ticket up_to = UINT64_MAX);
  Failure PeekFailure() const;

  // Ends the worker; the running task is not interrupted. Later Submits fail.
  void Finish();  // after the queued tasks
  void Abort();   // queued tasks are dropped, waits for events given up
  bool aborted() const { return aborted_; }

 private:
  void Work();
  void Stop();

  const int device_id_;
  const int32_t id_;
  mutable std::mutex mutex_;
  std::condition_variable work_;          // for the worker
  mutable std::condition_variable done_;  // for Wait
  std::deque<Task> queue_;
  Ticket submitted_ = 0;
  Ticket completed_ = 0;
  Failure failure_;
  bool stopping_ = false;
  bool stopped_ = false;
  std::atomic<bool> aborted_{false};
  std::mutex stop_mutex_;  // one Stop joins, others wait for it
  std::thread worker_;
};

}  // namespace vnpu_acl

#endif  // VNPU_ACL_STREAM_H_
