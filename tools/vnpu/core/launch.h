// SPDX-License-Identifier: Apache-2.0
// One launch of a kernel: spreads blocks over host threads, counts the
// barriers that span blocks, notices when no core can go on.
#ifndef VNPU_CORE_LAUNCH_H_
#define VNPU_CORE_LAUNCH_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tools/vnpu/core/block.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/global_memory.h"
#include "tools/vnpu/core/kernel_module.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {

// Blocks kept between launches, so that their buffers stay mapped.
class BlockPool {
 public:
  std::unique_ptr<Block> Take();
  void Return(std::unique_ptr<Block> block);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Block>> free_;
};

class Launch {
 public:
  Launch(const DeviceConfig& config, const Kernel& kernel, uint32_t num_blocks, const void* args,
         const GlobalMemory& gm, const std::vector<Observer*>& observers, BlockPool* pool,
         StreamFilter* filter);

  // How many threads will call Work; before any does.
  void set_threads(uint32_t threads) { threads_ = threads; }
  // What set_ffts_base_addr must be given; 0: not known.
  void set_sync_address(uint64_t address) { sync_address_ = address; }
  // Called by each host thread; returns when nothing is left that it could do.
  void Work();
  // After all threads have returned.
  LaunchResult Result();

  // Something that hardware lets pass; kept once per place, for the lowest core.
  void AddNote(const CoreId& core, const void* place, const std::string& text);

  // One core arrives at the barrier of all cores of its kind. Returns an error
  // text if the barrier cannot work.
  std::string Arrive(bool is_aic, uint32_t core_index, int flag);
  // Barriers of `flag` completed so far by cores of this kind.
  uint32_t BarriersDone(bool is_aic, int flag) const {
    return barriers_done_[is_aic][flag].load(std::memory_order_acquire);
  }

  const DeviceConfig& config() const { return config_; }
  const Kernel& kernel() const { return kernel_; }
  const void* args() const { return args_; }
  uint32_t num_blocks() const { return num_blocks_; }
  uint32_t aivs_per_block() const { return aivs_; }
  bool has_aic() const { return has_aic_; }
  // Ends the launch early: the time is up.
  void Expire();
  bool expired() const { return expired_.load(std::memory_order_relaxed); }
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  const GlobalMemory& gm() const { return gm_; }
  const std::vector<Observer*>& observers() const { return observers_; }
  StreamFilter* filter() const { return filter_; }
  uint64_t sync_address() const { return sync_address_; }

 private:
  struct Found {
    uint32_t block;
    CoreRole role;
    FaultReport report;
  };
  struct Note {
    uint32_t block;
    CoreRole role;
    std::string text;
  };
  struct Blocked {
    uint32_t block;
    CoreRole role;
    std::string text;
  };

  bool StartNext(std::vector<std::unique_ptr<Block>>* active);
  void Retire(std::unique_ptr<Block> block);
  void CheckCrossCore(Block* block);
  // False when the launch is over for everyone.
  bool WaitForBarrier(uint64_t seen_epoch);
  uint64_t Epoch();
  LaunchResult DeadlockResult() const;

  LaunchResult Verdict();
  std::string Headline(size_t blocked) const;

  const DeviceConfig& config_;
  const Kernel& kernel_;
  const uint32_t num_blocks_;
  const void* const args_;
  const GlobalMemory& gm_;
  const std::vector<Observer*>& observers_;
  BlockPool* const pool_;
  StreamFilter* const filter_;
  const bool has_aic_;
  const uint32_t aivs_;
  uint64_t sync_address_ = 0;

  std::atomic<uint32_t> next_block_{0};
  std::atomic<bool> failed_{false};
  std::atomic<bool> expired_{false};
  std::atomic<uint32_t> barriers_done_[2][kCrossCoreFlags];

  std::mutex mutex_;
  std::condition_variable barrier_completed_;
  std::vector<uint32_t> arrivals_[2][kCrossCoreFlags];  // per core of the kind
  uint32_t missing_[2][kCrossCoreFlags];                // cores without an open arrival
  uint64_t epoch_ = 0;                                  // completed barriers
  uint32_t threads_ = 0;
  uint32_t idle_ = 0;
  bool stopped_ = false;
  std::vector<Found> found_;
  std::map<const void*, Note> notes_;
  std::vector<Blocked> blocked_;
  std::string cycle_;  // of the lowest block that has one
  uint32_t cycle_block_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_CORE_LAUNCH_H_
