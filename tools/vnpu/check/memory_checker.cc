// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/memory_checker.h"

#include <algorithm>

#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace {

std::string Bytes(uint64_t begin, uint64_t end) {
  return "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
}

}  // namespace

bool MemoryChecker::AddRegion(const void* begin, uint64_t bytes, const std::string& name,
                              RegionRule rule) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto first = reinterpret_cast<uint64_t>(begin);
  const auto after = regions_.lower_bound(first);
  if (after != regions_.end() && after->second.begin < first + bytes) return false;
  if (after != regions_.begin() && std::prev(after)->second.end > first) return false;
  MemoryUsage usage;
  usage.name = name;
  usage.bytes = bytes;
  regions_[first] = Region{first, first + bytes, rule, usage};
  return true;
}

void MemoryChecker::ClearRegions() {
  std::lock_guard<std::mutex> lock(mutex_);
  regions_.clear();
}

void MemoryChecker::ClearUsage() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Map* map : {&regions_, &allocations_}) {
    for (auto& [begin, region] : *map) region.usage.read_end = region.usage.write_end = 0;
  }
}

std::vector<MemoryUsage> MemoryChecker::Usage() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<MemoryUsage> all;
  for (const auto& [begin, region] : regions_) all.push_back(region.usage);
  for (const auto& [begin, region] : allocations_) {
    if (region.usage.read_end + region.usage.write_end > 0) all.push_back(region.usage);
  }
  return all;
}

void MemoryChecker::OnAllocate(const void* address, uint64_t bytes, uint64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto begin = reinterpret_cast<uint64_t>(address);
  MemoryUsage usage;
  usage.name = "allocation #" + std::to_string(id);
  usage.bytes = bytes;
  allocations_[begin] = Region{begin, begin + bytes, RegionRule::kReadWrite, usage};
}

void MemoryChecker::OnFree(const void* address, uint64_t bytes, uint64_t) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto begin = reinterpret_cast<uint64_t>(address);
  allocations_.erase(begin);
  // Names die with their memory.
  regions_.erase(regions_.lower_bound(begin), regions_.lower_bound(begin + bytes));
}

MemoryChecker::Region* MemoryChecker::Find(Map* map, uint64_t address) {
  auto it = map->upper_bound(address);
  if (it == map->begin()) return nullptr;
  Region& region = std::prev(it)->second;
  return address < region.end ? &region : nullptr;
}

void MemoryChecker::Record(Region* region, const ByteRange& extent, bool write) {
  if (region == nullptr) return;
  uint64_t& end = write ? region->usage.write_end : region->usage.read_end;
  end = std::max(end, std::min(extent.end, region->end) - region->begin);
}

// `home` is the region in which the access starts.
void MemoryChecker::CheckRun(const ByteRange& run, const Region* home, const Access& access,
                             const std::string& what, std::string* text) {
  if (home != nullptr && run.begin >= home->begin && run.end <= home->end) return;
  // The first other region that the run meets.
  auto it = regions_.upper_bound(run.begin);
  if (it != regions_.begin() && std::prev(it)->second.end > run.begin) --it;
  if (it != regions_.end() && &it->second == home) ++it;
  const Region* other = it != regions_.end() && it->second.begin < run.end ? &it->second : nullptr;
  if (other != nullptr && other->rule == RegionRule::kNoAccess) {
    const uint64_t begin = std::max(run.begin, other->begin), end = std::min(run.end, other->end);
    *text = "guard zone: " + what + " bytes " + Bytes(begin - other->begin, end - other->begin) +
            " of '" + other->usage.name + "'";
  } else if (home != nullptr) {
    *text = "region overrun: " + what + " from byte " + std::to_string(access.base - home->begin) +
            " of '" + home->usage.name + "' (" + std::to_string(home->usage.bytes) +
            " bytes), and leaves it";
    if (other != nullptr) *text += " into '" + other->usage.name + "'";
  } else if (other != nullptr) {
    *text = "region overrun: " + what + " from outside into '" + other->usage.name + "'";
  }
}

std::string MemoryChecker::Check(const Instruction& in, const Access& access) {
  const std::string what = std::string(RowOf(in.insn).name) + " operand " +
                           RowOf(in.insn).args[access.operand].name +
                           (access.write ? " writes" : " reads");
  const Region* home = Find(&regions_, access.base);
  if (home != nullptr && home->rule == RegionRule::kNoAccess) {
    return "guard zone: " + what + " byte " + std::to_string(access.base - home->begin) + " of '" +
           home->usage.name + "'";
  }
  if (home != nullptr && home->rule == RegionRule::kReadOnly && access.write) {
    return "read-only: " + what + " byte " + std::to_string(access.base - home->begin) + " of '" +
           home->usage.name + "'";
  }
  const ByteRange extent = Extent(access);
  if (home != nullptr && extent.begin >= home->begin && extent.end <= home->end) return "";
  const auto next = regions_.lower_bound(extent.begin);
  if (home == nullptr && Find(&regions_, extent.begin) == nullptr &&
      (next == regions_.end() || next->second.begin >= extent.end)) {
    return "";
  }
  std::string text;
  ForEachRun(access, [&](const ByteRange& run) {
    CheckRun(run, home, access, what, &text);
    return text.empty();
  });
  return text;
}

void MemoryChecker::OnAccess(const CoreId&, const Instruction& in, const Access& access,
                             std::string* finding) {
  if (access.space != Space::kGm) return;
  std::lock_guard<std::mutex> lock(mutex_);
  const ByteRange extent = Extent(access);
  Record(Find(&allocations_, access.base), extent, access.write);
  Record(Find(&regions_, access.base), extent, access.write);
  if (!regions_.empty()) *finding = Check(in, access);
}

}  // namespace vnpu
