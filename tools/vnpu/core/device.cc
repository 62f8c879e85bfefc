// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/device.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "tools/vnpu/core/global_memory.h"
#include "tools/vnpu/core/host_signals.h"
#include "tools/vnpu/core/kernel_module.h"
#include "tools/vnpu/core/launch.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {
namespace {

// Host threads that run kernels; kept between launches.
class ThreadPool {
 public:
  ~ThreadPool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      quit_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // Runs launch->Work() on `count` threads and returns when all have.
  void Run(Launch* launch, uint32_t count, double timeout_seconds) {
    launch->set_threads(count);
    while (threads_.size() < count) {
      const uint32_t index = static_cast<uint32_t>(threads_.size());
      threads_.emplace_back([this, index] { Loop(index); });
    }
    std::unique_lock<std::mutex> lock(mutex_);
    launch_ = launch;
    count_ = count;
    running_ = count;
    ++generation_;
    wake_.notify_all();
    const auto all_done = [&] { return running_ == 0; };
    if (timeout_seconds <= 0) {
      done_.wait(lock, all_done);
      return;
    }
    if (done_.wait_for(lock, std::chrono::duration<double>(timeout_seconds), all_done)) return;
    launch->Expire();
    while (!done_.wait_for(lock, std::chrono::milliseconds(5), all_done)) {
      for (uint32_t i = 0; i < count; ++i) {
        pthread_kill(threads_[i].native_handle(), kInterruptSignal);
      }
    }
  }

 private:
  void Loop(uint32_t index) {
    SignalStack stack;
    SetCurrentCore(nullptr);  // the handler must not be the first to touch it
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return quit_ || generation_ != seen; });
      if (quit_) return;
      seen = generation_;
      if (index >= count_) continue;
      Launch* launch = launch_;
      lock.unlock();
      launch->Work();
      lock.lock();
      if (--running_ == 0) done_.notify_all();
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Launch* launch_ = nullptr;
  uint32_t count_ = 0;
  uint32_t running_ = 0;
  uint64_t generation_ = 0;
  bool quit_ = false;
};

}  // namespace

class Device::Impl {
 public:
  explicit Impl(const DeviceConfig& config) : config(config), gm(config.hbm_bytes) {
    if (this->config.host_threads == 0) {
      this->config.host_threads = std::max(1u, std::thread::hardware_concurrency());
    }
  }

  uint32_t ThreadsFor(const Kernel& kernel, uint32_t num_blocks) const {
    // Floating-point atomics depend on the order of cores: keep one order.
    if (kernel.uses_atomics || kernel.block_local != nullptr) return 1;
    for (const Observer* observer : observers) {
      if (!observer->thread_safe()) return 1;
    }
    return std::min(config.host_threads, num_blocks);
  }

  DeviceConfig config;
  GlobalMemory gm;
  std::vector<Observer*> observers;
  std::mutex launch_mutex;     // held during a launch; observers do not change meanwhile
  std::mutex observers_mutex;  // against allocations from other threads
  BlockPool blocks;
  StreamFilter* filter = nullptr;
  uint64_t sync_address = 0;  // 0: not known
  ThreadPool threads;
};

Device::Device(const DeviceConfig& config) : impl_(std::make_unique<Impl>(config)) {}
Device::~Device() = default;

const DeviceConfig& Device::config() const { return impl_->config; }

void* Device::Allocate(uint64_t bytes, uint64_t padding) {
  Allocation allocation;
  void* address = impl_->gm.Allocate(bytes, padding, &allocation);
  if (address != nullptr) {
    std::lock_guard<std::mutex> lock(impl_->observers_mutex);
    for (Observer* observer : impl_->observers) {
      observer->OnAllocate(address, bytes + padding, allocation.id);
    }
  }
  return address;
}

bool Device::Free(void* address) {
  Allocation allocation;
  if (!impl_->gm.Free(address, &allocation)) return false;
  std::lock_guard<std::mutex> lock(impl_->observers_mutex);
  for (Observer* observer : impl_->observers) {
    observer->OnFree(address, allocation.bytes + allocation.padding, allocation.id);
  }
  return true;
}

// Observers know the whole range as one allocation: what is mapped into it later
// is undefined, what is not cannot be reached.
void* Device::Reserve(uint64_t bytes, uint64_t alignment) {
  uint64_t id = 0;
  void* begin = impl_->gm.Reserve(bytes, alignment, &id);
  if (begin != nullptr) {
    std::lock_guard<std::mutex> lock(impl_->observers_mutex);
    for (Observer* observer : impl_->observers) observer->OnAllocate(begin, bytes, id);
  }
  return begin;
}

bool Device::Release(void* begin) {
  uint64_t bytes = 0, id = 0;
  if (!impl_->gm.Release(begin, &bytes, &id)) return false;
  std::lock_guard<std::mutex> lock(impl_->observers_mutex);
  for (Observer* observer : impl_->observers) observer->OnFree(begin, bytes, id);
  return true;
}

bool Device::Map(void* begin, uint64_t bytes, int file, uint64_t offset) {
  if (!impl_->gm.Map(begin, bytes, file, offset)) return false;
  SetDefined(begin, bytes, false);
  return true;
}

bool Device::Unmap(void* begin, uint64_t bytes) { return impl_->gm.Unmap(begin, bytes); }

bool Device::Charge(uint64_t bytes) { return impl_->gm.Charge(bytes); }
void Device::Refund(uint64_t bytes) { impl_->gm.Refund(bytes); }

uint64_t Device::free_bytes() const { return impl_->gm.free_bytes(); }

bool Device::Contains(const void* address, uint64_t bytes) const {
  Allocation allocation;
  const auto begin = reinterpret_cast<uint64_t>(address);
  return impl_->gm.Find(begin, &allocation) && bytes <= allocation.limit() - begin;
}

bool Device::NameRegion(const void* begin, uint64_t bytes, const std::string& name,
                        RegionRule rule) {
  return impl_->gm.NameRegion(Region{reinterpret_cast<uint64_t>(begin), bytes, name, rule});
}

void Device::ClearRegions(const void* begin, uint64_t bytes) {
  impl_->gm.ClearRegions(reinterpret_cast<uint64_t>(begin), bytes);
}

bool Device::FindRegion(uint64_t address, Region* region) const {
  return impl_->gm.FindRegion(address, region);
}

std::vector<Region> Device::Regions() const { return impl_->gm.Regions(); }
std::vector<Allocation> Device::Allocations() const { return impl_->gm.Allocations(); }

std::string Device::Describe(uint64_t address) const { return impl_->gm.Describe(address); }

void Device::SetDefined(const void* begin, uint64_t bytes, bool defined) {
  std::lock_guard<std::mutex> lock(impl_->observers_mutex);
  for (Observer* observer : impl_->observers) observer->OnDefine(begin, bytes, defined);
}

bool Device::observed() const {
  std::lock_guard<std::mutex> lock(impl_->observers_mutex);
  return !impl_->observers.empty();
}

void Device::SetStreamFilter(StreamFilter* filter) {
  std::lock_guard<std::mutex> launch_lock(impl_->launch_mutex);
  impl_->filter = filter;
}

void Device::SetSyncAddress(const void* address) {
  std::lock_guard<std::mutex> launch_lock(impl_->launch_mutex);
  impl_->sync_address = reinterpret_cast<uint64_t>(address);
}

void Device::AddObserver(Observer* observer) {
  std::lock_guard<std::mutex> launch_lock(impl_->launch_mutex);
  std::lock_guard<std::mutex> lock(impl_->observers_mutex);
  impl_->observers.push_back(observer);
}

void Device::RemoveObserver(Observer* observer) {
  std::lock_guard<std::mutex> launch_lock(impl_->launch_mutex);
  std::lock_guard<std::mutex> lock(impl_->observers_mutex);
  auto& all = impl_->observers;
  all.erase(std::remove(all.begin(), all.end(), observer), all.end());
}

LaunchResult Device::Launch(const Kernel& kernel, uint32_t num_blocks, const void* args,
                            size_t args_size) {
  LaunchResult result;
  if (num_blocks == 0 || args_size < kernel.argument_bytes) {
    result.fault = FaultKind::kException;
    result.text = "bad launch: kernel " + kernel.name + " with " + std::to_string(num_blocks) +
                  " blocks and " + std::to_string(args_size) + " argument bytes; it needs at " +
                  "least 1 block and " + std::to_string(kernel.argument_bytes) + " bytes\n";
    return result;
  }
  std::lock_guard<std::mutex> lock(impl_->launch_mutex);
  // The library's variables are shared by all devices of the process.
  static std::mutex block_local_mutex;
  std::unique_lock<std::mutex> block_local_lock(block_local_mutex, std::defer_lock);
  if (kernel.block_local != nullptr) block_local_lock.lock();
  InstallSignalHandlers();
  const std::vector<Observer*>& observers = impl_->observers;
  vnpu::Launch launch(impl_->config, kernel, num_blocks, args, impl_->gm, observers, &impl_->blocks,
                      impl_->filter);
  launch.set_sync_address(impl_->sync_address);
  const LaunchInfo info{kernel.name.c_str(),     num_blocks,   launch.has_aic(),
                        launch.aivs_per_block(), kernel.calls, this};
  for (Observer* observer : observers) observer->OnLaunchBegin(info);
  impl_->threads.Run(&launch, impl_->ThreadsFor(kernel, num_blocks),
                     impl_->config.launch_timeout_seconds);
  result = launch.Result();
  for (Observer* observer : observers) observer->OnLaunchEnd(&result);
  return result;
}

}  // namespace vnpu
