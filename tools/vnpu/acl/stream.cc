// SPDX-License-Identifier: Apache-2.0
// The queue, and the stream calls of the C interface.
#include "tools/vnpu/acl/stream.h"

#include <chrono>
#include <exception>
#include <memory>
#include <utility>

#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

std::atomic<uint64_t> failure_sequence{0};
std::atomic<int32_t> stream_count{0};
thread_local const Stream* current_stream = nullptr;

Result RunTask(const Task& task) {
  try {
    return task();
  } catch (const std::exception& error) {
    Result result =
        Error(ACL_ERROR_RT_INTERNAL_ERROR, "a task of the stream threw: ", error.what());
    result.is_report = true;
    return result;
  }
}

}  // namespace

Stream::Stream(int device_id) : device_id_(device_id), id_(stream_count++) {}

Stream::~Stream() { Abort(); }

Result Stream::Submit(Task task, Ticket* ticket) {
  std::lock_guard lock(mutex_);
  if (stopping_) {
    return Error(ACL_ERROR_RT_STREAM_ABORT,
                 "the stream has been destroyed, or the process is exiting");
  }
  if (!worker_.joinable()) worker_ = std::thread([this] { Work(); });
  queue_.push_back(std::move(task));
  ++submitted_;
  if (ticket != nullptr) *ticket = submitted_;
  work_.notify_one();
  return {};
}

const Stream* Stream::Current() { return current_stream; }

void Stream::Work() {
  current_stream = this;
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    const bool skip = failure_.any() && settings.stop_on_failure;
    lock.unlock();
    Result result = skip ? Result{} : RunTask(task);
    task = nullptr;  // what it held is released before the task counts as done
    lock.lock();
    ++completed_;
    if (!result.ok() && !failure_.any()) {
      failure_ = {std::move(result), completed_, ++failure_sequence};
    }
    done_.notify_all();
  }
}

Ticket Stream::last_ticket() const {
  std::lock_guard lock(mutex_);
  return submitted_;
}

bool Stream::idle() const {
  std::lock_guard lock(mutex_);
  return completed_ == submitted_ || stopped_;
}

WaitOutcome Stream::Wait(Ticket ticket, int64_t timeout_ms) const {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return completed_ >= ticket || stopped_; };
  if (timeout_ms < 0) {
    done_.wait(lock, ready);
  } else if (!done_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready)) {
    return WaitOutcome::kTimedOut;
  }
  return completed_ >= ticket ? WaitOutcome::kDone : WaitOutcome::kStopped;
}

Failure Stream::TakeFailure(Ticket up_to) {
  std::lock_guard lock(mutex_);
  if (failure_.ticket > up_to) return {};
  return std::exchange(failure_, {});
}

Failure Stream::PeekFailure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void Stream::Finish() { Stop(); }

void Stream::Abort() {
  aborted_ = true;
  std::deque<Task> dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  dropped.clear();
  Stop();
}

void Stream::Stop() {
  std::lock_guard stop_lock(stop_mutex_);
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
  std::lock_guard lock(mutex_);
  stopped_ = true;
  done_.notify_all();
}

namespace {

Result CheckTimeout(int32_t timeout_ms) {
  if (timeout_ms >= -1) return {};
  return Error(ACL_ERROR_RT_PARAM_INVALID, "timeout = ", timeout_ms,
               " ms: expected -1 (wait for ever) or more");
}

Result SynchronizeStream(Runtime& runtime, aclrtStream handle, int32_t timeout_ms) {
  std::shared_ptr<Stream> stream;
  Result result = CheckTimeout(timeout_ms);
  if (result.ok()) result = runtime.FindStream(handle, &stream);
  if (result.ok()) result = runtime.captures.RefuseWaiting(*stream);
  if (!result.ok()) return result;
  switch (stream->Wait(stream->last_ticket(), timeout_ms)) {
    case WaitOutcome::kTimedOut:
      return Error(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "the stream is not done after ", timeout_ms,
                   " ms");
    case WaitOutcome::kStopped:
      return Error(ACL_ERROR_RT_STREAM_ABORT, "the stream was destroyed while it was waited for");
    case WaitOutcome::kDone:
      break;
  }
  return stream->TakeFailure().result;
}

Result SynchronizeDevice(Runtime& runtime, int32_t timeout_ms) {
  DeviceState* device = nullptr;
  Result result = CheckTimeout(timeout_ms);
  if (result.ok()) result = runtime.CurrentDevice(&device);
  if (!result.ok()) return result;
  if (runtime.captures.HoldsAnyOf(device->id)) {
    return Error(ACL_ERROR_RT_STREAM_CAPTURED, "a stream of device ", device->id,
                 " captures: end the capture first");
  }
  if (!runtime.WaitForDevice(*device, timeout_ms)) {
    return Error(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "device ", device->id, " is not done after ",
                 timeout_ms, " ms");
  }
  return runtime.TakeDeviceFailure(*device).result;
}

Result CreateStream(Runtime& runtime, aclrtStream* stream, uint32_t flag) {
  if (stream == nullptr) return NullPointer("stream");
  // Speed hints change nothing here; the rest changes what a stream does.
  constexpr uint32_t kHints = ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC | ACL_STREAM_HUGE;
  if ((flag & ~kHints) != 0) {
    return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "flag = ", flag,
                 ": only ACL_STREAM_FAST_LAUNCH (1), ACL_STREAM_FAST_SYNC (2) and "
                 "ACL_STREAM_HUGE (8) are supported");
  }
  DeviceState* device = nullptr;
  const Result result = runtime.CurrentDevice(&device);
  if (result.ok()) *stream = runtime.streams.Add(std::make_shared<Stream>(device->id));
  return result;
}

Result DestroyStream(Runtime& runtime, aclrtStream handle, bool run_queued) {
  if (const std::shared_ptr<Stream> found = runtime.streams.Find(handle)) {
    const Result result = run_queued ? runtime.captures.RefuseWaiting(*found) : Result{};
    if (!result.ok()) return result;
    runtime.captures.Drop(*found, "a stream of it was destroyed");
  }
  const std::shared_ptr<Stream> stream = runtime.streams.Remove(handle);
  if (stream == nullptr) return runtime.streams.NotFound("stream", handle);
  if (run_queued) {
    stream->Finish();
  } else {
    stream->Abort();
  }
  // A failure nobody asked for is not lost with the stream.
  runtime.device(stream->device_id()).KeepFailure(stream->TakeFailure());
  return {};
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Result;
using vnpu_acl::Runtime;

extern "C" {

aclError aclrtCreateStream(aclrtStream* stream) {
  return Call("aclrtCreateStream",
              [=](Runtime& runtime) { return vnpu_acl::CreateStream(runtime, stream, 0); });
}

// Priorities have no effect: launches of one device run one after the other.
aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t /*priority*/, uint32_t flag) {
  return Call("aclrtCreateStreamWithConfig",
              [=](Runtime& runtime) { return vnpu_acl::CreateStream(runtime, stream, flag); });
}

aclError aclrtDestroyStream(aclrtStream stream) {
  return Call("aclrtDestroyStream",
              [=](Runtime& runtime) { return vnpu_acl::DestroyStream(runtime, stream, true); });
}

aclError aclrtDestroyStreamForce(aclrtStream stream) {
  return Call("aclrtDestroyStreamForce",
              [=](Runtime& runtime) { return vnpu_acl::DestroyStream(runtime, stream, false); });
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  return Call("aclrtSynchronizeStream",
              [=](Runtime& runtime) { return vnpu_acl::SynchronizeStream(runtime, stream, -1); });
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout) {
  return Call("aclrtSynchronizeStreamWithTimeout", [=](Runtime& runtime) {
    return vnpu_acl::SynchronizeStream(runtime, stream, timeout);
  });
}

aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus* status) {
  return Call("aclrtStreamQuery", [=](Runtime& runtime) -> Result {
    if (status == nullptr) return vnpu_acl::NullPointer("status");
    std::shared_ptr<vnpu_acl::Stream> found;
    Result result = runtime.FindStream(stream, &found);
    if (result.ok()) result = runtime.captures.RefuseWaiting(*found);
    if (!result.ok()) return result;
    *status = found->idle() ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
    // Asking does not clear a failure: only a synchronise returns it for good.
    return found->PeekFailure().result;
  });
}

aclError aclrtSynchronizeDevice() {
  return Call("aclrtSynchronizeDevice",
              [](Runtime& runtime) { return vnpu_acl::SynchronizeDevice(runtime, -1); });
}

aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout) {
  return Call("aclrtSynchronizeDeviceWithTimeout",
              [=](Runtime& runtime) { return vnpu_acl::SynchronizeDevice(runtime, timeout); });
}

}  // extern "C"
