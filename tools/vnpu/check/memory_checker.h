// SPDX-License-Identifier: Apache-2.0
// Watches what intrinsics do to GM, finer than allocations: named regions that
// an access must not leave, zones that nobody may touch (canaries), inputs that
// nobody may write; and remembers how much of each was used, so that a booked
// size can be compared with the bytes a kernel really needs.
//
// The core itself refuses accesses outside live allocations. Scalar loads and
// stores of kernel code are not seen by observers.
//
// Next: tools/vnpu/core/observer.h - the interface behind it.
#ifndef VNPU_CHECK_MEMORY_CHECKER_H_
#define VNPU_CHECK_MEMORY_CHECKER_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tools/vnpu/check/access_ranges.h"
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

class MemoryChecker : public Observer {
 public:
  bool thread_safe() const override { return true; }

  // Names [begin, begin + bytes). Regions must not overlap; false if this one
  // overlaps another.
  bool AddRegion(const void* begin, uint64_t bytes, const std::string& name, RegionRule rule);
  void ClearRegions();
  // Forgets what was used.
  void ClearUsage();
  // Regions by address, then allocations by address; only what was touched or
  // named.
  std::vector<MemoryUsage> Usage() const;

  void OnAllocate(const void* address, uint64_t bytes, uint64_t id) override;
  void OnFree(const void* address, uint64_t bytes, uint64_t id) override;
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string* finding) override;

 private:
  struct Region {
    uint64_t begin, end;
    RegionRule rule;
    MemoryUsage usage;
  };
  using Map = std::map<uint64_t, Region>;  // by begin

  static Region* Find(Map* map, uint64_t address);
  // The text of a violation, or empty.
  std::string Check(const Instruction& in, const Access& access);
  void CheckRun(const ByteRange& run, const Region* home, const Access& access,
                const std::string& what, std::string* text);
  void Record(Region* region, const ByteRange& extent, bool write);

  mutable std::mutex mutex_;
  Map regions_;
  Map allocations_;
};

}  // namespace vnpu

#endif  // VNPU_CHECK_MEMORY_CHECKER_H_
