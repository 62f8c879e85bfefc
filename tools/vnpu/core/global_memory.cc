// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/global_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>

namespace vnpu {
namespace {

constexpr uint64_t kAlignment = 512;
constexpr uint64_t kHugePageThreshold = uint64_t{8} << 20;
constexpr size_t kFreedKept = 64;

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

// `name`: of the region that is the whole allocation, or empty.
std::string Format(const Allocation& a, const std::string& name, const char* state,
                   uint64_t address) {
  std::string where;
  if (address < a.begin) {
    where = std::to_string(a.begin - address) + " bytes before ";
  } else if (address >= a.end()) {
    where = std::to_string(address - a.end()) + " bytes past the end of ";
  }
  where += state + ("allocation #" + std::to_string(a.id)) + " (" + name +
           (name.empty() ? "" : ", ") + std::to_string(a.bytes) + " bytes)";
  if (address >= a.begin && address < a.end()) where += " + " + std::to_string(address - a.begin);
  return where;
}

}  // namespace

GlobalMemory::GlobalMemory(uint64_t capacity_bytes) : capacity_(capacity_bytes) {}

GlobalMemory::~GlobalMemory() {
  for (const auto& [begin, entry] : live_) {
    if (entry.mapping != nullptr) munmap(entry.mapping, entry.mapping_bytes);
  }
  for (const auto& [begin, reserved] : reservations_) {
    munmap(reserved.mapping, reserved.mapping_bytes);
  }
}

void* GlobalMemory::Allocate(uint64_t bytes, uint64_t padding, Allocation* allocation) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::unique_lock<std::shared_mutex> lock(mutex_);
  const uint64_t charged = RoundUp(bytes + padding, kAlignment);
  if (bytes == 0 || bytes > capacity_ || charged > capacity_ - used_) return nullptr;
  const uint64_t body = RoundUp(charged, page);
  const uint64_t total = body + 2 * page;
  void* mapping =
      mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  uint8_t* usable = static_cast<uint8_t*>(mapping) + page;
  if (mprotect(usable, body, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping, total);
    return nullptr;
  }
  if (body >= kHugePageThreshold) madvise(usable, body, MADV_HUGEPAGE);
  const uint64_t begin = reinterpret_cast<uint64_t>(usable) + body - charged;
  *allocation = Allocation{begin, bytes, next_id_++, padding};
  live_[begin] = Entry{*allocation, mapping, total};
  used_ += charged;
  return reinterpret_cast<void*>(begin);
}

bool GlobalMemory::Free(void* address, Allocation* allocation) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto it = live_.find(reinterpret_cast<uint64_t>(address));
  if (it == live_.end() || it->second.mapping == nullptr) return false;
  *allocation = it->second.allocation;
  munmap(it->second.mapping, it->second.mapping_bytes);
  used_ -= RoundUp(allocation->bytes + allocation->padding, kAlignment);
  live_.erase(it);
  EraseRegions(allocation->begin, allocation->limit());
  freed_.push_back(*allocation);
  if (freed_.size() > kFreedKept) freed_.pop_front();
  generation_.fetch_add(1, std::memory_order_release);
  return true;
}

// With an inaccessible page on either side, as every allocation has.
void* GlobalMemory::Reserve(uint64_t bytes, uint64_t alignment, uint64_t* id) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t unit = alignment > page ? alignment : page;
  const uint64_t body = RoundUp(bytes, page);
  const uint64_t total = body + unit + 2 * page;
  if (bytes == 0 || total < bytes) return nullptr;
  void* mapping =
      mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  const uint64_t begin = RoundUp(reinterpret_cast<uint64_t>(mapping) + page, unit);
  std::unique_lock<std::shared_mutex> lock(mutex_);
  *id = next_id_++;
  reservations_[begin] = Reservation{body, mapping, total, *id, {}};
  return reinterpret_cast<void*>(begin);
}

bool GlobalMemory::Release(void* begin, uint64_t* bytes, uint64_t* id) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto it = reservations_.find(reinterpret_cast<uint64_t>(begin));
  if (it == reservations_.end() || !it->second.pieces.empty()) return false;
  *bytes = it->second.bytes;
  *id = it->second.id;
  munmap(it->second.mapping, it->second.mapping_bytes);
  reservations_.erase(it);
  return true;
}

GlobalMemory::Reservation* GlobalMemory::ReservationOf(uint64_t begin, uint64_t bytes) {
  auto it = reservations_.upper_bound(begin);
  if (it == reservations_.begin()) return nullptr;
  --it;
  const uint64_t offset = begin - it->first;
  const bool inside = offset < it->second.bytes && bytes <= it->second.bytes - offset;
  return inside ? &it->second : nullptr;
}

// Makes the allocations of a reserved range anew: one for each run of pieces.
void GlobalMemory::JoinPieces(uint64_t begin, const Reservation& reservation) {
  live_.erase(live_.lower_bound(begin), live_.lower_bound(begin + reservation.bytes));
  Entry* run = nullptr;
  for (const auto& [piece, bytes] : reservation.pieces) {
    if (run != nullptr && run->allocation.end() == piece) {
      run->allocation.bytes += bytes;
      continue;
    }
    run = &live_[piece];
    *run = Entry{Allocation{piece, bytes, reservation.id, 0}, nullptr, 0};
  }
  generation_.fetch_add(1, std::memory_order_release);
}

bool GlobalMemory::Map(void* address, uint64_t bytes, int file, uint64_t offset) {
  const auto begin = reinterpret_cast<uint64_t>(address);
  std::unique_lock<std::shared_mutex> lock(mutex_);
  Reservation* home = ReservationOf(begin, bytes);
  if (home == nullptr || bytes == 0) return false;
  const auto after = home->pieces.lower_bound(begin);
  if (after != home->pieces.end() && after->first < begin + bytes) return false;
  if (after != home->pieces.begin()) {
    const auto& [piece, piece_bytes] = *std::prev(after);
    if (piece + piece_bytes > begin) return false;
  }
  void* mapped = mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                      static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return false;
  home->pieces[begin] = bytes;
  JoinPieces(std::prev(reservations_.upper_bound(begin))->first, *home);
  return true;
}

bool GlobalMemory::Unmap(void* address, uint64_t bytes) {
  const auto begin = reinterpret_cast<uint64_t>(address);
  std::unique_lock<std::shared_mutex> lock(mutex_);
  Reservation* home = ReservationOf(begin, bytes);
  if (home == nullptr) return false;
  const auto piece = home->pieces.find(begin);
  if (piece == home->pieces.end() || piece->second != bytes) return false;
  mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  home->pieces.erase(piece);
  EraseRegions(begin, begin + bytes);
  JoinPieces(std::prev(reservations_.upper_bound(begin))->first, *home);
  return true;
}

bool GlobalMemory::Charge(uint64_t bytes) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  if (bytes > capacity_ - used_) return false;
  used_ += bytes;
  return true;
}

void GlobalMemory::Refund(uint64_t bytes) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  used_ -= bytes;
}

uint64_t GlobalMemory::free_bytes() const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  return capacity_ - used_;
}

bool GlobalMemory::Find(uint64_t address, Allocation* allocation) const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  auto it = live_.upper_bound(address);
  if (it == live_.begin()) return false;
  --it;
  if (address >= it->second.allocation.limit()) return false;
  *allocation = it->second.allocation;
  return true;
}

void GlobalMemory::EraseRegions(uint64_t begin, uint64_t end) {
  auto it = regions_.upper_bound(begin);
  if (it != regions_.begin() && std::prev(it)->second.end() > begin) --it;
  while (it != regions_.end() && it->second.begin < end) it = regions_.erase(it);
}

bool GlobalMemory::NameRegion(const Region& region) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto after = live_.upper_bound(region.begin);
  if (after == live_.begin()) return false;
  const Allocation& home = std::prev(after)->second.allocation;
  if (region.begin >= home.limit() || region.bytes > home.limit() - region.begin) return false;
  if (region.bytes == 0) return true;
  EraseRegions(region.begin, region.end());
  regions_[region.begin] = region;
  return true;
}

void GlobalMemory::ClearRegions(uint64_t begin, uint64_t bytes) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  EraseRegions(begin, begin + bytes);
}

bool GlobalMemory::FindRegion(uint64_t address, Region* region) const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto after = regions_.upper_bound(address);
  if (after == regions_.begin() || address >= std::prev(after)->second.end()) return false;
  *region = std::prev(after)->second;
  return true;
}

std::vector<Region> GlobalMemory::Regions() const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  std::vector<Region> all;
  for (const auto& [begin, region] : regions_) all.push_back(region);
  return all;
}

std::vector<Allocation> GlobalMemory::Allocations() const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  std::vector<Allocation> all;
  for (const auto& [begin, entry] : live_) all.push_back(entry.allocation);
  return all;
}

std::string GlobalMemory::Describe(uint64_t address) const {
  Region region;
  if (FindRegion(address, &region)) {
    Allocation home;
    Find(address, &home);
    char text[160];
    std::snprintf(text, sizeof(text), " + %" PRIu64 " (allocation #%" PRIu64 ", %" PRIu64 " bytes)",
                  address - region.begin, home.id, home.bytes);
    return region.name + text;
  }
  return DescribeUnnamed(address);
}

std::string GlobalMemory::DescribeUnnamed(uint64_t address) const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  auto after = live_.upper_bound(address);
  const auto name_of = [&](const Allocation& a) {
    const auto it = regions_.find(a.begin);
    const bool whole = it != regions_.end() && it->second.bytes == a.bytes;
    return whole ? it->second.name : std::string();
  };
  const Allocation* below = nullptr;
  if (after != live_.begin()) below = &std::prev(after)->second.allocation;
  if (below != nullptr && address < below->limit()) {
    return Format(*below, name_of(*below), "", address);
  }
  for (auto it = freed_.rbegin(); it != freed_.rend(); ++it) {
    if (address >= it->begin && address < it->end()) return Format(*it, "", "freed ", address);
  }
  char text[64];
  std::snprintf(text, sizeof(text), "0x%" PRIx64, address);
  // Farther than this, the nearest allocation explains nothing.
  constexpr uint64_t kNear = uint64_t{1} << 20;
  if (below != nullptr && address - below->end() < kNear) {
    return Format(*below, name_of(*below), "", address);
  }
  if (after != live_.end() && after->first - address < kNear) {
    return Format(after->second.allocation, name_of(after->second.allocation), "", address);
  }
  return std::string("unallocated address ") + text;
}

}  // namespace vnpu
