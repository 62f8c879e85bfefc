// SPDX-License-Identifier: Apache-2.0
// Life of the process-wide state: first use, threads, contexts, fork, exit.
#include "tools/vnpu/acl/runtime.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "tools/vnpu/acl/event.h"

namespace vnpu_acl {
namespace {

std::atomic<bool> started{false};  // set before the first lock is taken
std::atomic<bool> forked{false};
std::atomic<bool> exiting{false};
std::atomic<Runtime*> the_runtime{nullptr};

thread_local aclrtContext current_context = nullptr;

void MarkForkedChild() {
  if (started) forked = true;
}

[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, MarkForkedChild);

// Workers must be gone before the libraries they run in are torn down.
void StopAtExit() {
  if (forked) return;
  exiting = true;
  if (Runtime* runtime = the_runtime) runtime->StopAll();
}

}  // namespace

bool IsForkedChild() { return forked; }

Result GetRuntime(Runtime** runtime) {
  *runtime = the_runtime.load(std::memory_order_acquire);
  if (*runtime != nullptr) return {};
  started = true;
  static std::mutex* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  *runtime = the_runtime;
  if (*runtime != nullptr) return {};
  Config config;
  const Result result = ReadConfig(&config);
  if (!result.ok()) return result;
  *runtime = new Runtime(config);
  the_runtime.store(*runtime, std::memory_order_release);
  return {};
}

Runtime* StartedRuntime() { return the_runtime.load(std::memory_order_acquire); }

std::shared_ptr<Stream> DeviceState::DefaultStream() {
  std::lock_guard lock(mutex);
  if (default_stream == nullptr) default_stream = std::make_shared<Stream>(id);
  return default_stream;
}

void DeviceState::KeepFailure(Failure failure) {
  if (!failure.any()) return;
  std::lock_guard lock(mutex);
  kept_failures.push_back(std::move(failure));
}

DeviceState& Runtime::device(int id) {
  std::atomic<DeviceState*>& slot = devices_[static_cast<size_t>(id)];
  if (DeviceState* device = slot.load(std::memory_order_acquire)) return *device;
  std::lock_guard lock(mutex_);
  if (slot == nullptr) {
    slot = new DeviceState(id, config_);
    // Registered after whatever the device set up, so that it runs before.
    std::atexit(StopAtExit);
  }
  return *slot;
}

Result Runtime::FindDevice(int64_t id, DeviceState** found) {
  if (id < 0 || id >= num_devices()) {
    return Error(ACL_ERROR_RT_INVALID_DEVICEID, "deviceId = ", id, ": expected 0 to ",
                 num_devices() - 1, " (ASCEND_ATTENTION_VNPU_DEVICES = ", num_devices(), ")");
  }
  *found = &device(static_cast<int>(id));
  return {};
}

Result Runtime::CurrentDevice(DeviceState** found) {
  const std::shared_ptr<Context> context = contexts.Find(current_context);
  if (context == nullptr) {
    return Error(ACL_ERROR_RT_CONTEXT_NULL, "this thread has no device",
                 current_context != nullptr ? " any more (aclrtResetDevice)" : "",
                 ": call aclrtSetDevice first");
  }
  *found = &device(context->device_id);
  return {};
}

Result Runtime::SetDevice(int32_t id) {
  DeviceState* found = nullptr;
  const Result result = FindDevice(id, &found);
  if (!result.ok()) return result;
  std::lock_guard lock(found->mutex);
  if (found->context == nullptr)
    found->context = contexts.Add(std::make_shared<Context>(Context{id}));
  ++found->set_count;
  current_context = found->context;
  return {};
}

// The device goes with the last of its aclrtSetDevice calls.
Result Runtime::ResetDevice(int32_t id) {
  DeviceState* found = nullptr;
  const Result result = FindDevice(id, &found);
  if (!result.ok()) return result;
  {
    std::lock_guard lock(found->mutex);
    if (found->set_count == 0) {
      return Error(ACL_ERROR_RT_CONTEXT_NULL, "deviceId = ", id, " is not set by aclrtSetDevice");
    }
    if (--found->set_count > 0) return {};
  }
  for (const auto& [handle, stream] : streams.All()) {
    if (stream->device_id() != id) continue;
    captures.Drop(*stream, "its device was reset");
    stream->Finish();
    found->KeepFailure(stream->TakeFailure());
    streams.Remove(handle);
  }
  std::shared_ptr<Stream> default_stream;
  {
    std::lock_guard lock(found->mutex);
    default_stream = std::exchange(found->default_stream, nullptr);
    contexts.Remove(std::exchange(found->context, nullptr));
  }
  if (default_stream != nullptr) {
    default_stream->Finish();
    found->KeepFailure(default_stream->TakeFailure());
  }
  return TakeDeviceFailure(*found).result;
}

Result Runtime::SetContext(aclrtContext context) {
  if (contexts.Find(context) == nullptr) return contexts.NotFound("context", context);
  current_context = context;
  return {};
}

Result Runtime::GetContext(aclrtContext* context) {
  if (context == nullptr) return NullPointer("context");
  DeviceState* unused = nullptr;
  const Result result = CurrentDevice(&unused);
  if (result.ok()) *context = current_context;
  return result;
}

Result Runtime::FindStream(aclrtStream handle, std::shared_ptr<Stream>* stream) {
  if (exiting) return Error(ACL_ERROR_RT_STREAM_ABORT, "the process is exiting");
  DeviceState* current = nullptr;
  const Result result = CurrentDevice(&current);
  if (!result.ok()) return result;
  if (handle == nullptr) {
    *stream = current->DefaultStream();
    return {};
  }
  *stream = streams.Find(handle);
  if (*stream == nullptr) return streams.NotFound("stream", handle);
  if ((*stream)->device_id() != current->id) {
    return Error(ACL_ERROR_RT_STREAM_CONTEXT, "stream = ", handle, " belongs to device ",
                 (*stream)->device_id(), ", but this thread's device is ", current->id,
                 ": call aclrtSetDevice(", (*stream)->device_id(), ") first");
  }
  return {};
}

DeviceState* Runtime::OwnerOf(const void* address, uint64_t bytes) {
  for (std::atomic<DeviceState*>& slot : devices_) {
    DeviceState* device = slot.load(std::memory_order_acquire);
    if (device != nullptr && device->npu.Contains(address, bytes)) return device;
  }
  return nullptr;
}

std::vector<std::shared_ptr<Stream>> Runtime::StreamsOf(DeviceState& device) {
  std::vector<std::shared_ptr<Stream>> found;
  {
    std::lock_guard lock(device.mutex);
    if (device.default_stream != nullptr) found.push_back(device.default_stream);
  }
  for (auto& [handle, stream] : streams.All()) {
    if (stream->device_id() == device.id) found.push_back(std::move(stream));
  }
  return found;
}

bool Runtime::WaitForDevice(DeviceState& device, int64_t timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  for (const std::shared_ptr<Stream>& stream : StreamsOf(device)) {
    int64_t left_ms = -1;
    if (timeout_ms >= 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      left_ms = std::max<int64_t>(0, left.count());
    }
    if (stream->Wait(stream->last_ticket(), left_ms) == WaitOutcome::kTimedOut) return false;
  }
  return true;
}

Failure Runtime::TakeDeviceFailure(DeviceState& device) {
  for (const std::shared_ptr<Stream>& stream : StreamsOf(device)) {
    device.KeepFailure(stream->TakeFailure());
  }
  std::lock_guard lock(device.mutex);
  auto& kept = device.kept_failures;
  const auto oldest =
      std::min_element(kept.begin(), kept.end(),
                       [](const Failure& a, const Failure& b) { return a.sequence < b.sequence; });
  if (oldest == kept.end()) return {};
  Failure failure = std::move(*oldest);
  kept.erase(oldest);
  return failure;
}

Result Runtime::Initialize() {
  std::lock_guard lock(mutex_);
  if (init_state_ == InitState::kInitialized) {
    return Error(ACL_ERROR_REPEAT_INITIALIZE, "already called; once per process is enough");
  }
  init_state_ = InitState::kInitialized;
  return {};
}

Result Runtime::Finalize() {
  {
    std::lock_guard lock(mutex_);
    if (init_state_ == InitState::kNever) {
      return Error(ACL_ERROR_UNINITIALIZE, "aclInit was not called");
    }
    if (init_state_ == InitState::kFinalized) {
      return Error(ACL_ERROR_REPEAT_FINALIZE, "already called");
    }
    init_state_ = InitState::kFinalized;
  }
  Result first;
  for (std::atomic<DeviceState*>& slot : devices_) {
    DeviceState* device = slot;
    if (device == nullptr) continue;
    WaitForDevice(*device, -1);
    Failure failure = TakeDeviceFailure(*device);
    if (first.ok()) first = std::move(failure.result);
  }
  return first;
}

void Runtime::StopAll() {
  for (std::atomic<DeviceState*>& slot : devices_) {
    DeviceState* device = slot;
    if (device == nullptr) continue;
    for (const std::shared_ptr<Stream>& stream : StreamsOf(*device)) stream->Abort();
  }
}

void* HostBlocks::Allocate(size_t bytes) {
  void* address = nullptr;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (posix_memalign(&address, page, bytes) != 0) return nullptr;
  std::unique_lock lock(mutex_);
  blocks_[reinterpret_cast<uintptr_t>(address)] = {bytes, true};
  return address;
}

bool HostBlocks::Free(void* address) {
  if (!Remove(address, true)) return false;
  std::free(address);
  return true;
}

bool HostBlocks::Register(void* address, size_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  std::unique_lock lock(mutex_);
  const auto after = blocks_.lower_bound(begin);
  if (after != blocks_.end() && after->first < begin + bytes) return false;
  if (after != blocks_.begin()) {
    const auto& [earlier, block] = *std::prev(after);
    if (earlier + block.bytes > begin) return false;
  }
  blocks_[begin] = {bytes, false};
  return true;
}

bool HostBlocks::Unregister(void* address) { return Remove(address, false); }

bool HostBlocks::Remove(void* address, bool ours) {
  std::unique_lock lock(mutex_);
  const auto block = blocks_.find(reinterpret_cast<uintptr_t>(address));
  if (block == blocks_.end() || block->second.ours != ours) return false;
  blocks_.erase(block);
  return true;
}

bool HostBlocks::Contains(const void* address, size_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  std::shared_lock lock(mutex_);
  auto block = blocks_.upper_bound(begin);
  if (block == blocks_.begin()) return false;
  --block;
  const uintptr_t offset = begin - block->first;
  return offset < block->second.bytes && bytes <= block->second.bytes - offset;
}

}  // namespace vnpu_acl
