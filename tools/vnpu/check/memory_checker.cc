// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/memory_checker.h"

#include <algorithm>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace {

std::string Bytes(uint64_t begin, uint64_t end) {
  return "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
}

std::string Sized(const Region& region) {
  return region.name + " (" + std::to_string(region.bytes) + " bytes)";
}

}  // namespace

std::string DescribeAccess(const Instruction& in, const Access& access, const Device& device) {
  const InsnRow& row = RowOf(in.insn);
  std::string text;
  if (access.operand < row.num_args) text = "operand " + row.args[access.operand].name + " ";
  text += access.write ? "writes " : "reads ";
  if (access.space != Space::kGm) {
    const ByteRange extent = Extent(access);
    return text + SpaceName(access.space) + " " + Bytes(extent.begin, extent.end);
  }
  const Access merged = Coalesced(access);
  const uint64_t rows = merged.dims[0].count * merged.dims[1].count * merged.dims[2].count;
  if (rows > 1) text += std::to_string(rows) + " rows of ";
  return text + std::to_string(merged.run) + " bytes at " + device.Describe(access.base);
}

std::vector<MemoryUsage> MemoryChecker::Usage() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<MemoryUsage> all;
  for (const Zone& zone : regions_) all.push_back(zone.usage);
  for (const Zone& zone : allocations_) {
    if (zone.usage.read_end + zone.usage.write_end > 0) all.push_back(zone.usage);
  }
  return all;
}

void MemoryChecker::OnLaunchBegin(const LaunchInfo& info) {
  std::lock_guard<std::mutex> lock(mutex_);
  device_ = info.device;
  calls_ = info.calls;
  kernel_ = info.kernel;
  regions_.clear();
  allocations_.clear();
  for (Region& region : device_->Regions()) {
    const MemoryUsage usage{region.name, region.bytes, 0, 0};
    const uint64_t end = region.end();
    regions_.push_back(Zone{std::move(region), end, usage});
  }
  for (const Allocation& allocation : device_->Allocations()) {
    const std::string name = "allocation #" + std::to_string(allocation.id);
    allocations_.push_back(
        Zone{Region{allocation.begin, allocation.bytes, name, RegionRule::kReadWrite},
             allocation.limit(), MemoryUsage{name, allocation.bytes, 0, 0}});
  }
}

MemoryChecker::Zone* MemoryChecker::Find(Zones* zones, uint64_t address) {
  const auto after = std::upper_bound(
      zones->begin(), zones->end(), address,
      [](uint64_t wanted, const Zone& zone) { return wanted < zone.region.begin; });
  if (after == zones->begin()) return nullptr;
  Zone& zone = *std::prev(after);
  return address < zone.limit ? &zone : nullptr;
}

void MemoryChecker::Record(Zone* zone, const ByteRange& extent, bool write) {
  if (zone == nullptr) return;
  uint64_t& end = write ? zone->usage.write_end : zone->usage.read_end;
  end = std::max(end, std::min(extent.end, zone->limit) - zone->region.begin);
}

void MemoryChecker::Report(const CoreId& core, const Instruction& in, const Access& access,
                           const std::string& kind, const std::string& headline,
                           const std::string& fix) {
  Finding finding;
  finding.checker = "memory";
  finding.kind = kind;
  finding.headline = headline;
  finding.kernel = kernel_;
  finding.sites.push_back(Site{core, in.pipe, in.insn, in.sequence, in.return_address,
                               DescribeAccess(in, access, *device_),
                               calls_->Describe(in.return_address)});
  finding.fix = fix;
  sink_->Report(std::move(finding));
}

// `home` is the region in which the access starts. False after a finding.
bool MemoryChecker::CheckRun(const CoreId& core, const Instruction& in, const Access& access,
                             Zone* home, const ByteRange& run) {
  if (home != nullptr && run.begin >= home->region.begin && run.end <= home->limit) return true;
  // The first other region that the run meets.
  auto it =
      std::lower_bound(regions_.begin(), regions_.end(), run.begin,
                       [](const Zone& zone, uint64_t wanted) { return zone.limit <= wanted; });
  if (it != regions_.end() && &*it == home) ++it;
  const Region* other = it != regions_.end() && it->region.begin < run.end ? &it->region : nullptr;
  const std::string verb = access.write ? "writes" : "reads";
  if (other != nullptr && other->rule == RegionRule::kNoAccess) {
    const uint64_t begin = std::max(run.begin, other->begin), end = std::min(run.end, other->end());
    Report(core, in, access, "guard-zone",
           "guard zone: " + verb + " bytes " + Bytes(begin - other->begin, end - other->begin) +
               " of " + Sized(*other),
           "keep to the bytes before it");
  } else if (home != nullptr) {
    Report(core, in, access, "region-overrun",
           "region overrun: " + verb + " past the end of " + Sized(home->region) +
               (other != nullptr ? " into " + other->name : ""),
           "check the unit of offsets and strides (bytes or elements) and the size that was booked "
           "for " +
               home->region.name);
  } else if (other != nullptr) {
    Report(core, in, access, "region-overrun",
           "region overrun: " + verb + " from outside into " + Sized(*other),
           "check the unit of offsets and strides (bytes or elements)");
  } else {
    return true;
  }
  return false;
}

void MemoryChecker::CheckRegions(const CoreId& core, const Instruction& in, const Access& access,
                                 Zone* home, const ByteRange& extent) {
  if (home != nullptr && home->region.rule == RegionRule::kNoAccess) {
    return Report(core, in, access, "guard-zone",
                  std::string("guard zone: ") + (access.write ? "writes" : "reads") + " byte " +
                      std::to_string(access.base - home->region.begin) + " of " +
                      Sized(home->region),
                  "keep to the bytes before it");
  }
  if (home != nullptr && home->region.rule == RegionRule::kReadOnly && access.write) {
    Report(core, in, access, "read-only-write",
           "read-only input written: " + home->region.name + " + " +
               std::to_string(access.base - home->region.begin),
           "write to a tensor of its own, or name this one as an output");
  }
  if (home != nullptr && extent.begin >= home->region.begin && extent.end <= home->limit) return;
  ForEachRun(access, [&](const ByteRange& run) { return CheckRun(core, in, access, home, run); });
}

void MemoryChecker::OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                             std::string*) {
  if (access.space != Space::kGm) return;
  std::lock_guard<std::mutex> lock(mutex_);
  const ByteRange extent = Extent(access);
  Zone* allocation = Find(&allocations_, access.base);
  Record(allocation, extent, access.write);
  if (allocation != nullptr && access.write && options_.guard_padding &&
      extent.end > allocation->region.end()) {
    Report(core, in, access, "padding-write",
           "overrun: writes past the " + std::to_string(allocation->region.bytes) + " bytes of " +
               allocation->region.name + " into the padding behind them",
           "store the exact number of bytes (copy_ubuf_to_gm_align_*)");
  }
  if (regions_.empty()) return;
  Zone* home = Find(&regions_, access.base);
  Record(home, extent, access.write);
  CheckRegions(core, in, access, home, extent);
}

}  // namespace vnpu
