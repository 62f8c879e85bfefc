// SPDX-License-Identifier: Apache-2.0
// The only window on a running machine: checkers and the timing model derive
// from Observer. Execution is the same with none attached.
//
// Calls come in the order in which this execution happened; one core's
// instructions issue in program order, and retire in program order per pipe.
// With an observer that is not thread_safe(), a launch uses one host thread.
//
// Next: tools/vnpu/check/memory_checker.h - the first observer.
#ifndef VNPU_CORE_OBSERVER_H_
#define VNPU_CORE_OBSERVER_H_

#include <cstdint>
#include <string>

#include "tools/vnpu/core/types.h"

namespace vnpu {

class CallTable;
class Device;
struct LaunchResult;

struct LaunchInfo {
  const char* kernel;  // "<entry>_<key>"
  uint32_t num_blocks;
  bool has_aic;
  uint32_t aivs_per_block;  // 0, 1 or 2
  const CallTable* calls;   // source lines of the kernel; lives until OnLaunchEnd
  const Device* device;     // names of GM addresses, configuration
};

struct Dim {
  uint64_t count = 1;
  int64_t stride = 0;  // bytes
};

// Bytes that one operand of one instruction touches:
//   base + i0 * dims[0].stride + i1 * dims[1].stride + i2 * dims[2].stride + [0, run)
// for every i < count. With `lane_mask`, `run` covers lanes of lane_bytes each
// and dims[2] walks datablocks: lane e of a repeat takes part iff its bit is set.
struct Access {
  int operand;  // index of the argument
  Space space;
  bool write;
  uint64_t base;  // byte offset in the buffer; host address for GM
  uint64_t run;
  Dim dims[3];
  const uint64_t* lane_mask = nullptr;
  uint32_t lane_bytes = 0;
  const uint8_t* data = nullptr;  // host memory of `base`, before the access
};

// The compare mask (16 bytes) of the core whose instruction is being observed.
const uint8_t* RunningCompareMask();

enum class SyncKind : uint8_t {
  kFlag,         // set_flag, wait_flag
  kPipeBarrier,  // pipe, or Pipe::kAll
  kCrossCore,    // ffts_cross_core_sync, wait_flag_dev
  kDataBarrier,  // dsb
  kCacheClean,   // dcci
};

struct SyncEvent {
  SyncKind kind;
  Pipe src;      // setting pipe; the barrier's pipe
  Pipe dst;      // waiting pipe of a flag
  uint8_t id;    // event or cross-core flag
  uint8_t mode;  // cross-core: 0, 1, 2
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual bool thread_safe() const { return false; }

  virtual void OnAllocate(const void* /*address*/, uint64_t /*bytes*/, uint64_t /*id*/) {}
  virtual void OnFree(const void* /*address*/, uint64_t /*bytes*/, uint64_t /*id*/) {}
  // The host has written these bytes, or wants them taken for never written.
  virtual void OnDefine(const void* /*address*/, uint64_t /*bytes*/, bool /*defined*/) {}
  virtual void OnLaunchBegin(const LaunchInfo&) {}
  // May add a fault to a result that has none: a finding ends the launch.
  virtual void OnLaunchEnd(LaunchResult*) {}
  // A core begins its scalar program; it has come to its end without a fault.
  virtual void OnCoreBegin(const CoreId&) {}
  virtual void OnCoreEnd(const CoreId&) {}
  // The scalar unit issued an instruction to its pipe.
  virtual void OnIssue(const CoreId&, const Instruction&) {}
  // It executes and touches these bytes. A text in *finding ends the core with
  // a fault of that text.
  virtual void OnAccess(const CoreId&, const Instruction&, const Access&,
                        std::string* /*finding*/) {}
  // A set, an arrival or a barrier took effect; a wait was satisfied.
  virtual void OnSignal(const CoreId&, const Instruction&, const SyncEvent&) {}
  virtual void OnWait(const CoreId&, const Instruction&, const SyncEvent&) {}
  virtual void OnRetire(const CoreId&, const Instruction&) {}
  virtual void OnFault(const CoreId&, const std::string& /*text*/) {}
};

}  // namespace vnpu

#endif  // VNPU_CORE_OBSERVER_H_
