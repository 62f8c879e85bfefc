// SPDX-License-Identifier: Apache-2.0
// Functions of the host in streams: run by the stream itself, or by a thread
// that has subscribed to the stream's reports.
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

constexpr aclError kThreadNotSubscribed = 107012;  // ACL_ERROR_RT_THREAD_SUBSCRIBE
constexpr aclError kStreamNotSubscribed = 107015;  // ACL_ERROR_RT_STREAM_NO_CB_REG
constexpr aclError kStreamSubscribed = 107011;     // ACL_ERROR_RT_STREAM_SUBSCRIBE
constexpr aclError kWaitTimeout = 107019;          // ACL_ERROR_RT_WAIT_TIMEOUT
// How soon a waiting stream notices that it is being destroyed.
constexpr std::chrono::milliseconds kAbortPoll{10};

// A callback that waits for its thread.
struct CallReport {
  aclrtCallback function;
  void* user_data;
  bool done = false;
};

struct Reports {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int32_t, uint64_t> thread_of_stream;
  std::map<uint64_t, int> streams_of_thread;  // how many
  std::map<uint64_t, std::deque<std::shared_ptr<CallReport>>> queues;
};

Reports& AllReports() {
  static Reports* reports = new Reports;
  return *reports;
}

Result Subscribe(Runtime& runtime, uint64_t thread, aclrtStream handle) {
  std::shared_ptr<Stream> stream;
  const Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  Reports& reports = AllReports();
  std::lock_guard lock(reports.mutex);
  if (!reports.thread_of_stream.emplace(stream->id(), thread).second) {
    return Error(kStreamSubscribed, "stream = ", handle, " has a thread for its callbacks already");
  }
  ++reports.streams_of_thread[thread];
  return {};
}

Result Unsubscribe(Runtime& runtime, uint64_t thread, aclrtStream handle) {
  std::shared_ptr<Stream> stream;
  const Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  Reports& reports = AllReports();
  std::lock_guard lock(reports.mutex);
  const auto found = reports.thread_of_stream.find(stream->id());
  if (found == reports.thread_of_stream.end() || found->second != thread) {
    return Error(kThreadNotSubscribed, "threadId = ", thread,
                 " is not subscribed to stream = ", handle);
  }
  reports.thread_of_stream.erase(found);
  --reports.streams_of_thread[thread];
  return {};
}

Result LaunchFunction(Runtime& runtime, aclrtStream handle, aclrtHostFunc function, void* args) {
  if (function == nullptr) return NullPointer("fn");
  std::shared_ptr<Stream> stream;
  const Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  const auto run = [function, args]() -> Result {
    function(args);
    return {};
  };
  return runtime.captures.Enqueue(stream, {"host function", "", run});
}

Result RunReport(uint64_t thread, aclrtCallback function, void* user_data, bool block) {
  Reports& reports = AllReports();
  const auto report = std::make_shared<CallReport>(CallReport{function, user_data});
  std::unique_lock lock(reports.mutex);
  reports.queues[thread].push_back(report);
  reports.changed.notify_all();
  while (block && !report->done && !Stream::Current()->aborted()) {
    reports.changed.wait_for(lock, kAbortPoll);
  }
  return {};
}

Result LaunchCallback(Runtime& runtime, aclrtCallback function, void* user_data,
                      aclrtCallbackBlockType block_type, aclrtStream handle) {
  if (function == nullptr) return NullPointer("fn");
  if (block_type != ACL_CALLBACK_NO_BLOCK && block_type != ACL_CALLBACK_BLOCK) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "blockType = ", int{block_type},
                 ": expected 0 (no block) or 1 (block)");
  }
  std::shared_ptr<Stream> stream;
  const Result result = runtime.FindStream(handle, &stream);
  if (!result.ok()) return result;
  uint64_t thread = 0;
  {
    Reports& reports = AllReports();
    std::lock_guard lock(reports.mutex);
    const auto found = reports.thread_of_stream.find(stream->id());
    if (found == reports.thread_of_stream.end()) {
      return Error(kStreamNotSubscribed, "stream = ", handle,
                   " has no thread for callbacks: call aclrtSubscribeReport first");
    }
    thread = found->second;
  }
  const bool block = block_type == ACL_CALLBACK_BLOCK;
  const auto run = [thread, function, user_data, block] {
    return RunReport(thread, function, user_data, block);
  };
  return runtime.captures.Enqueue(stream, {"callback", "", run});
}

// Runs one callback of the calling thread.
Result ProcessReport(int32_t timeout_ms) {
  if (timeout_ms < -1) {
    return Error(ACL_ERROR_RT_PARAM_INVALID, "timeout = ", timeout_ms,
                 " ms: expected -1 (wait for ever) or more");
  }
  const auto self = static_cast<uint64_t>(pthread_self());
  Reports& reports = AllReports();
  std::unique_lock lock(reports.mutex);
  const auto streams = reports.streams_of_thread.find(self);
  if (streams == reports.streams_of_thread.end() || streams->second == 0) {
    return Error(kThreadNotSubscribed,
                 "this thread is subscribed to no stream: call "
                 "aclrtSubscribeReport first");
  }
  auto& queue = reports.queues[self];
  const auto ready = [&] { return !queue.empty(); };
  if (timeout_ms < 0) {
    reports.changed.wait(lock, ready);
  } else if (!reports.changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready)) {
    return Error(kWaitTimeout, "no callback within ", timeout_ms, " ms");
  }
  const std::shared_ptr<CallReport> report = queue.front();
  queue.pop_front();
  lock.unlock();
  report->function(report->user_data);
  lock.lock();
  report->done = true;
  reports.changed.notify_all();
  return {};
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtHostFunc fn, void* args) {
  return Call("aclrtLaunchHostFunc", [=](Runtime& runtime) {
    return vnpu_acl::LaunchFunction(runtime, stream, fn, args);
  });
}

aclError aclrtSubscribeReport(uint64_t threadId, aclrtStream stream) {
  return Call("aclrtSubscribeReport",
              [=](Runtime& runtime) { return vnpu_acl::Subscribe(runtime, threadId, stream); });
}

aclError aclrtUnSubscribeReport(uint64_t threadId, aclrtStream stream) {
  return Call("aclrtUnSubscribeReport",
              [=](Runtime& runtime) { return vnpu_acl::Unsubscribe(runtime, threadId, stream); });
}

aclError aclrtLaunchCallback(aclrtCallback fn, void* userData, aclrtCallbackBlockType blockType,
                             aclrtStream stream) {
  return Call("aclrtLaunchCallback", [=](Runtime& runtime) {
    return vnpu_acl::LaunchCallback(runtime, fn, userData, blockType, stream);
  });
}

aclError aclrtProcessReport(int32_t timeout) {
  return Call("aclrtProcessReport", [=](Runtime&) { return vnpu_acl::ProcessReport(timeout); });
}

}  // extern "C"
