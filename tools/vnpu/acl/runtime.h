// SPDX-License-Identifier: Apache-2.0
// The state behind the calls: devices, what each thread uses, live objects.
//
// One Runtime serves the process from the first call until exit. It is never
// destroyed: calls may still arrive from destructors that run at exit. Its
// worker threads are stopped by then (StopAtExit in runtime.cc).
//
// Next: stream.h - how asynchronous calls are ordered.
#ifndef VNPU_ACL_RUNTIME_H_
#define VNPU_ACL_RUNTIME_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "tools/vnpu/acl/capture.h"
#include "tools/vnpu/acl/config.h"
#include "tools/vnpu/acl/error.h"
#include "tools/vnpu/acl/handle_table.h"
#include "tools/vnpu/acl/stream.h"
#include "tools/vnpu/acl/vmm.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/report/session.h"

namespace vnpu_acl {

class Event;

struct DeviceState {
  DeviceState(int id, const Config& config) : id(id), npu(config.device), physical(&npu, id) {
    npu.SetSyncAddress(sync_registers);
    if (config.checks.race || config.checks.memory) {
      session = std::make_unique<vnpu::Session>(&npu, config.checks);
    }
  }

  std::shared_ptr<Stream> DefaultStream();
  // Failures of streams that are gone; the next device-wide wait returns them.
  void KeepFailure(Failure failure);

  const int id;
  vnpu::Device npu;
  PhysicalMemory physical;
  std::unique_ptr<vnpu::Session> session;  // checkers asked for by the environment
  // Copies hold it shared, aclrtFree exclusive: nothing is unmapped under a
  // running copy.
  std::shared_mutex memory_mutex;
  // Held by a launch and by aclrtFree, for the same reason; guards the two below.
  std::mutex launch_mutex;
  uint64_t launches_to_failure = 0;  // fault injection; 0: none
  aclError failure_code = ACL_SUCCESS;
  // Passed to kernels as the base of the cross-core sync registers. An address
  // that is no global memory: a kernel that dereferences it is caught.
  alignas(512) unsigned char sync_registers[512] = {};

  std::mutex mutex;  // guards what follows
  int set_count = 0;
  aclrtContext context = nullptr;
  std::shared_ptr<Stream> default_stream;
  std::vector<Failure> kept_failures;
  std::set<int> peers;  // devices this one may copy from and to
};

struct Context {
  int device_id;
};

struct Binary {
  std::shared_ptr<vnpu::KernelModule> module;
  std::mutex mutex;
  std::map<std::string, aclrtFuncHandle> functions;
};

struct Function {
  std::string name;
  std::shared_ptr<vnpu::KernelModule> module;  // keeps `kernel` alive
  const vnpu::Kernel* kernel;
};

// Pinned host memory: our own, and the caller's that was registered.
class HostBlocks {
 public:
  void* Allocate(size_t bytes);  // null: out of memory
  bool Free(void* address);
  // False if a part of it is known already.
  bool Register(void* address, size_t bytes);
  bool Unregister(void* address);
  bool Contains(const void* address, size_t bytes) const;

 private:
  struct Block {
    size_t bytes;
    bool ours;
  };
  bool Remove(void* address, bool ours);

  mutable std::shared_mutex mutex_;
  std::map<uintptr_t, Block> blocks_;
};

class Runtime {
 public:
  explicit Runtime(const Config& config) : config_(config), configuration_(ConfigText(config)) {}

  uint32_t num_devices() const { return config_.num_devices; }
  const vnpu::DeviceConfig& device_config() const { return config_.device; }
  const std::string& configuration() const { return configuration_; }

  // Devices come into being at first use.
  DeviceState& device(int id);
  Result FindDevice(int64_t id, DeviceState** device);

  // The calling thread's device; 107002 if it has none.
  Result CurrentDevice(DeviceState** device);
  Result SetDevice(int32_t id);
  Result ResetDevice(int32_t id);
  Result SetContext(aclrtContext context);
  Result GetContext(aclrtContext* context);

  // Null is the current device's default stream; a stream of another device
  // than the current one is 107003.
  Result FindStream(aclrtStream handle, std::shared_ptr<Stream>* stream);

  // The device one of whose live allocations holds [address, address + bytes).
  DeviceState* OwnerOf(const void* address, uint64_t bytes);

  // False if the device's streams were not done in time; < 0 waits for ever.
  bool WaitForDevice(DeviceState& device, int64_t timeout_ms);
  // The oldest failure on the device that was not returned yet.
  Failure TakeDeviceFailure(DeviceState& device);

  Result Initialize();
  Result Finalize();

  // Ends all workers: running tasks end, queued ones are dropped.
  void StopAll();

  HandleTable<Context, HandleKind::kContext> contexts;
  HandleTable<Stream, HandleKind::kStream> streams;
  HandleTable<Event, HandleKind::kEvent> events;
  HandleTable<Binary, HandleKind::kBinary> binaries;
  HandleTable<Function, HandleKind::kFunction> functions;
  HandleTable<Graph, HandleKind::kGraph> graphs;
  HandleTable<TaskGroup, HandleKind::kTaskGroup> task_groups;  // never destroyed, as in ACL
  Captures captures;
  HandleTable<PhysicalBlock, HandleKind::kPhysical> physical_blocks;
  HostBlocks host_blocks;

  std::mutex vmm_mutex;               // guards what follows
  std::map<void*, int> reservations;  // to their device
  std::map<void*, Mapping> mappings;

 private:
  std::vector<std::shared_ptr<Stream>> StreamsOf(DeviceState& device);

  const Config config_;
  const std::string configuration_;
  std::mutex mutex_;  // guards the creation of devices, and init_state_
  std::array<std::atomic<DeviceState*>, kMaxDevices> devices_{};  // null: not used yet
  enum class InitState { kNever, kInitialized, kFinalized } init_state_ = InitState::kNever;
};

// Reads the configuration at the first call that finds a usable one.
Result GetRuntime(Runtime** runtime);
// Null before that.
Runtime* StartedRuntime();

// True in a child of fork() whose parent had used the virtual NPU.
bool IsForkedChild();

}  // namespace vnpu_acl

#endif  // VNPU_ACL_RUNTIME_H_
