// SPDX-License-Identifier: Apache-2.0
// Global memory: registered allocations of host memory, reserved lazily, each
// with an inaccessible page on either side. Thread-safe.
#ifndef VNPU_CORE_GLOBAL_MEMORY_H_
#define VNPU_CORE_GLOBAL_MEMORY_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "tools/vnpu/core/device.h"

namespace vnpu {

class GlobalMemory {
 public:
  explicit GlobalMemory(uint64_t capacity_bytes);
  ~GlobalMemory();
  GlobalMemory(const GlobalMemory&) = delete;
  GlobalMemory& operator=(const GlobalMemory&) = delete;

  // 512-byte aligned; the end of the allocation, rounded up to 512, touches the
  // guard page, so that a scalar read past it faults. Null if it does not fit.
  void* Allocate(uint64_t bytes, uint64_t padding, Allocation* allocation);
  bool Free(void* address, Allocation* allocation);
  uint64_t free_bytes() const;

  // Address ranges without memory, and memory that comes and goes in them; see
  // Device. Pieces that touch are one live allocation.
  void* Reserve(uint64_t bytes, uint64_t alignment, uint64_t* id);
  bool Release(void* begin, uint64_t* bytes, uint64_t* id);
  bool Map(void* begin, uint64_t bytes, int file, uint64_t offset);
  bool Unmap(void* begin, uint64_t bytes);
  bool Charge(uint64_t bytes);
  void Refund(uint64_t bytes);

  // The live allocation that holds `address`.
  bool Find(uint64_t address, Allocation* allocation) const;
  // Changes with every Free, so that a cached Allocation can be trusted.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  // Names parts of live allocations; see Device.
  bool NameRegion(const Region& region);
  void ClearRegions(uint64_t begin, uint64_t bytes);
  bool FindRegion(uint64_t address, Region* region) const;
  std::vector<Region> Regions() const;          // by address
  std::vector<Allocation> Allocations() const;  // live, by address
  // "key_cache + 512 (allocation #2, 4096 bytes)", without a name
  // "allocation #2 (4096 bytes) + 512", or where the nearest one is.
  std::string Describe(uint64_t address) const;

 private:
  void EraseRegions(uint64_t begin, uint64_t end);  // with the mutex held
  std::string DescribeUnnamed(uint64_t address) const;
  struct Entry {
    Allocation allocation;
    void* mapping;  // null: memory mapped into a reserved range
    uint64_t mapping_bytes;
  };
  struct Reservation {
    uint64_t bytes;
    void* mapping;
    uint64_t mapping_bytes;
    uint64_t id;
    std::map<uint64_t, uint64_t> pieces;  // begin to bytes
  };
  Reservation* ReservationOf(uint64_t begin, uint64_t bytes);  // with the mutex held
  void JoinPieces(uint64_t begin, const Reservation& reservation);
  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Entry> live_;
  std::map<uint64_t, Reservation> reservations_;
  std::map<uint64_t, Region> regions_;  // by begin; they do not overlap
  std::deque<Allocation> freed_;        // the latest, for reports
  const uint64_t capacity_;
  uint64_t used_ = 0;
  uint64_t next_id_ = 0;
  std::atomic<uint64_t> generation_{0};
};

}  // namespace vnpu

#endif  // VNPU_CORE_GLOBAL_MEMORY_H_
