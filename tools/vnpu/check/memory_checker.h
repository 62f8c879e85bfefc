// SPDX-License-Identifier: Apache-2.0
// Watches what kernels do to GM, finer than allocations: named regions that an
// access must not leave, zones that nobody may touch (canaries), inputs that
// nobody may write, the padding that ACL's allocator puts behind a tensor; and
// remembers how much of each region was used, so that a booked size can be
// compared with the bytes a kernel really needs.
//
// The core itself refuses accesses outside live allocations and buffers, and
// misaligned ones. Whether bytes were ever written: definedness_checker.h.
//
// Next: tools/vnpu/core/observer.h - the interface behind it.
#ifndef VNPU_CHECK_MEMORY_CHECKER_H_
#define VNPU_CHECK_MEMORY_CHECKER_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tools/vnpu/check/access_ranges.h"
#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {

// Offsets from the region's or allocation's begin; 0 where nothing was touched.
struct MemoryUsage {
  std::string name;  // "allocation #3" or the region's name
  uint64_t bytes = 0;
  uint64_t read_end = 0;   // end of the highest byte read
  uint64_t write_end = 0;  // end of the highest byte written
};

struct MemoryCheckerOptions {
  // A store into the padding of an allocation is a finding. Loads of it are
  // what the padding is for (CANN docs); that no result depends on them is for
  // the definedness checker to see.
  bool guard_padding = true;
};

class MemoryChecker : public Observer {
 public:
  // Findings go to `sink`, which must outlive this.
  explicit MemoryChecker(FindingSink* sink, const MemoryCheckerOptions& options = {})
      : sink_(sink), options_(options) {}
  bool thread_safe() const override { return true; }

  // Of the launch that runs or ran last: its regions by address, then the
  // allocations that it touched by address.
  std::vector<MemoryUsage> Usage() const;

  // Names that are given while a launch runs count from the next one on.
  void OnLaunchBegin(const LaunchInfo& info) override;
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string* finding) override;

 private:
  struct Zone {
    Region region;
    uint64_t limit;  // end with padding
    MemoryUsage usage;
  };
  using Zones = std::vector<Zone>;  // by address

  static Zone* Find(Zones* zones, uint64_t address);
  void Record(Zone* zone, const ByteRange& extent, bool write);
  void CheckRegions(const CoreId& core, const Instruction& in, const Access& access, Zone* home,
                    const ByteRange& extent);
  bool CheckRun(const CoreId& core, const Instruction& in, const Access& access, Zone* home,
                const ByteRange& run);
  void Report(const CoreId& core, const Instruction& in, const Access& access,
              const std::string& kind, const std::string& headline, const std::string& fix);

  FindingSink* const sink_;
  const MemoryCheckerOptions options_;
  mutable std::mutex mutex_;
  const Device* device_ = nullptr;
  const CallTable* calls_ = nullptr;
  std::string kernel_;
  Zones regions_;
  Zones allocations_;
};

// "operand dst writes 4 rows of 97 bytes at scores + 4000 (allocation #0, 65536
// bytes)", "operand src reads UB [0, 512)".
std::string DescribeAccess(const Instruction& in, const Access& access, const Device& device);

}  // namespace vnpu

#endif  // VNPU_CHECK_MEMORY_CHECKER_H_
