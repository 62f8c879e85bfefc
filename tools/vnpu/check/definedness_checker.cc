// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/definedness_checker.h"

#include <algorithm>
#include <cstring>

#include "tools/vnpu/check/definedness_rules.h"
#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/isa/arch_a2.h"

namespace vnpu {
namespace {

constexpr uint32_t kPadBytes[kNumSpaces] = {0,         kUbBytes,  kL1Bytes, kL0aBytes,
                                            kL0bBytes, kL0cBytes, kBtBytes, kFbBytes};
// Beyond this many records the latest of the same place has to do.
constexpr size_t kMaxOrigins = size_t{1} << 20;

}  // namespace

DefinednessChecker::DefinednessChecker(const Device* device, FindingSink* sink,
                                       const DefinednessOptions& options)
    : device_(device), sink_(sink), options_(options), origins_(1) {
  KnowAllocations();
}
DefinednessChecker::~DefinednessChecker() = default;

void DefinednessChecker::KnowAllocations() {
  for (const Allocation& allocation : device_->Allocations()) {
    if (gm_.Knows(allocation.begin)) continue;
    gm_.Add(allocation.begin, allocation.limit() - allocation.begin, false);
  }
}

uint64_t DefinednessChecker::UndefinedBits(const void* address, uint64_t count) {
  std::lock_guard<std::mutex> lock(mutex_);
  return gm_.Load(reinterpret_cast<uint64_t>(address), count);
}

void DefinednessChecker::OnAllocate(const void* address, uint64_t bytes, uint64_t) {
  std::lock_guard<std::mutex> lock(mutex_);
  gm_.Add(reinterpret_cast<uint64_t>(address), bytes, true);
}

void DefinednessChecker::OnFree(const void* address, uint64_t, uint64_t) {
  std::lock_guard<std::mutex> lock(mutex_);
  gm_.Remove(reinterpret_cast<uint64_t>(address));
}

void DefinednessChecker::OnDefine(const void* address, uint64_t bytes, bool defined) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto at = reinterpret_cast<uint64_t>(address);
  gm_.Fill(at, bytes, !defined);
}

void DefinednessChecker::OnLaunchBegin(const LaunchInfo& info) {
  std::lock_guard<std::mutex> lock(mutex_);
  calls_ = info.calls;
  kernel_ = info.kernel;
  ++launch_;
  regions_ = device_->Regions();
  cores_.clear();
  cores_.resize(static_cast<size_t>(info.num_blocks) * 3);
  told_.clear();
  place_index_.clear();
}

void DefinednessChecker::OnLaunchEnd(LaunchResult* result) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (options_.outputs_complete && result->fault == FaultKind::kNone) ReportIncompleteOutputs();
  // The call table goes away; later launches may still meet these bytes.
  for (const auto& [address, index] : place_index_) {
    Place& place = places_[index];
    if (!place.has_frames) place.frames = calls_->Describe(address);
    place.has_frames = true;
  }
  place_index_.clear();
  cores_.clear();
}

void DefinednessChecker::ReportIncompleteOutputs() {
  for (const Region& region : regions_) {
    if (region.rule != RegionRule::kOutput) continue;
    const uint64_t first = gm_.First(region.begin, region.bytes);
    if (first == region.end()) continue;
    uint64_t undefined = 0;
    for (uint64_t at = region.begin; at < region.end(); at += 64) {
      const uint64_t count = std::min<uint64_t>(64, region.end() - at);
      undefined += static_cast<uint64_t>(__builtin_popcountll(gm_.Load(at, count)));
    }
    Finding finding;
    finding.checker = "memory";
    finding.kind = "output-incomplete";
    finding.headline = "output not written: " + std::to_string(undefined) + " of " +
                       std::to_string(region.bytes) + " bytes of " + region.name +
                       ", the first at " + region.name + " + " +
                       std::to_string(first - region.begin);
    finding.kernel = kernel_;
    finding.fix =
        "check the unit of offsets and strides (bytes or elements) and the tail of the "
        "loop that stores " +
        region.name;
    sink_->Report(std::move(finding));
  }
}

void DefinednessChecker::OnCoreBegin(const CoreId& core) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<CoreShadow> shadow;
  if (spare_.empty()) {
    shadow = std::make_unique<CoreShadow>();
  } else {
    shadow = std::move(spare_.back());
    spare_.pop_back();
    for (bool& undefined : shadow->result_undefined) undefined = false;
    shadow->compare_mask[0] = shadow->compare_mask[1] = 0;
    shadow->partial.clear();
    shadow->operands.clear();
  }
  for (int space = 1; space < kNumSpaces; ++space) {
    const bool in_ub = static_cast<Space>(space) == Space::kUb;
    if (in_ub == (core.role == CoreRole::kAic)) continue;
    shadow->pads[space].Reset(kPadBytes[space]);
  }
  cores_[core.block * 3 + static_cast<uint32_t>(core.role)] = std::move(shadow);
}

void DefinednessChecker::OnCoreEnd(const CoreId& core) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto& shadow = cores_[core.block * 3 + static_cast<uint32_t>(core.role)];
  if (shadow != nullptr) spare_.push_back(std::move(shadow));
}

CoreShadow* DefinednessChecker::ShadowOf(const CoreId& core) {
  return cores_[core.block * 3 + static_cast<uint32_t>(core.role)].get();
}

void DefinednessChecker::OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                                  std::string*) {
  CoreShadow* shadow = ShadowOf(core);
  if (shadow == nullptr) return;
  shadow->operands.emplace_back();
  Operand& operand = shadow->operands.back();
  operand.access = access;
  operand.access.lane_mask = nullptr;  // lives in the handler only
  if (access.lane_mask != nullptr) {
    operand.lanes = true;
    operand.mask[0] = access.lane_mask[0];
    operand.mask[1] = access.lane_mask[1];
  }
  if (access.write || access.operand != RuleOf(in.insn).sample || operand.lanes) return;
  const Access& a = access;
  operand.sample = shadow->samples.size();
  operand.sampled = true;
  ForEachRun(a, [&](const ByteRange& run) {
    const uint8_t* from = a.data + static_cast<int64_t>(run.begin - a.base);
    shadow->samples.insert(shadow->samples.end(), from, from + (run.end - run.begin));
    return true;
  });
}

void DefinednessChecker::OnRetire(const CoreId& core, const Instruction& in) {
  CoreShadow* shadow = ShadowOf(core);
  if (shadow == nullptr) return;
  const RuleEntry& entry = RuleOf(in.insn);
  if (shadow->operands.empty() && !entry.always) return;
  std::lock_guard<std::mutex> lock(mutex_);
  Step step(core, in, shadow, &gm_, this);
  if (entry.always || step.AnyRead()) {
    entry.rule(step);
  } else {
    step.DefineWrites();
  }
  shadow->operands.clear();
  shadow->samples.clear();
}

// ---- where undefined bytes come from, and where they must not go

uint32_t DefinednessChecker::PlaceOf(const Instruction& in) {
  const auto found = place_index_.find(in.return_address);
  if (found != place_index_.end() && places_[found->second].insn == in.insn) return found->second;
  const auto index = static_cast<uint32_t>(places_.size());
  places_.push_back(Place{in.insn, in.pipe, in.return_address, "", false});
  place_index_[in.return_address] = index;
  return index;
}

OriginId DefinednessChecker::NewOrigin(const Step& step, Space space, uint64_t at) {
  const uint32_t place = PlaceOf(step.in());
  if (origins_.size() >= kMaxOrigins) {
    for (size_t i = origins_.size() - 1; i > 0 && i + 4096 > origins_.size(); --i) {
      if (origins_[i].place == place) return static_cast<OriginId>(i);
    }
    return static_cast<OriginId>(origins_.size() - 1);
  }
  origins_.push_back(Origin{place, step.core(), step.in().sequence, launch_, space, at});
  return static_cast<OriginId>(origins_.size() - 1);
}

bool DefinednessChecker::IsOutput(uint64_t address) const {
  const auto after =
      std::upper_bound(regions_.begin(), regions_.end(), address,
                       [](uint64_t wanted, const Region& region) { return wanted < region.begin; });
  if (after != regions_.begin() && address < std::prev(after)->end()) {
    return std::prev(after)->rule == RegionRule::kOutput;
  }
  return options_.unnamed_is_output;
}

std::string DefinednessChecker::Subject(const Origin& origin) const {
  if (origin.space == Space::kGm) {
    Region region;
    if (!device_->FindRegion(origin.at, &region)) return device_->Describe(origin.at);
    return region.name + " + " + std::to_string(origin.at - region.begin);
  }
  return std::string(SpaceName(origin.space)) + "+" + std::to_string(origin.at);
}

void DefinednessChecker::Report(const Step& step, const std::string& kind,
                                const std::string& reaches, const std::string& what,
                                OriginId origin_id, const std::string& fix) {
  const Origin& origin = origins_[origin_id];
  Place& place = places_[origin.place];
  const Instruction& in = step.in();
  const bool again = !told_.insert({in.return_address, place.return_address}).second;
  const bool same_instruction = origin.launch == launch_ && origin.sequence == in.sequence &&
                                origin.core.block == step.core().block &&
                                origin.core.role == step.core().role;
  Finding finding;
  finding.checker = "memory";
  finding.kind = kind;
  finding.kernel = kernel_;
  Site first{origin.core, place.pipe, place.insn, origin.sequence, place.return_address, "", ""};
  Site second{step.core(), in.pipe, in.insn, in.sequence, in.return_address, "", ""};
  if (!again) {
    if (!place.has_frames) place.frames = calls_->Describe(place.return_address);
    place.has_frames = true;
    const std::string subject = Subject(origin);
    const bool gm = origin.space == Space::kGm;
    finding.headline = "undefined " + kind.substr(kind.find('-') + 1) + ": bytes of " + subject +
                       " that nobody has written " + reaches;
    first.what = "reads " + (gm ? device_->Describe(origin.at) : subject);
    if (!gm && RowOf(place.insn).cost == CostClass::kDmaIn) {
      first.what = "leaves " + subject + " behind its burst undefined";
    }
    first.frames = place.frames;
    second.what = what;
    second.frames = calls_->Describe(in.return_address);
    finding.fix = fix;
  }
  if (same_instruction) {
    second.what = what + (origin.space == Space::kGm && kind == "undefined-scalar"
                              ? " " + device_->Describe(origin.at)
                              : ", from " + Subject(origin));
  } else {
    finding.sites.push_back(std::move(first));
  }
  finding.sites.push_back(std::move(second));
  sink_->Report(std::move(finding));
}

void DefinednessChecker::ReachOutput(const Step& step, uint64_t address, OriginId origin) {
  Region region;
  const bool named = device_->FindRegion(address, &region);
  const std::string where =
      named ? region.name + " + " + std::to_string(address - region.begin) : "GM";
  const bool adds = step.in().spr->atomic_type != 0;
  const bool from_gm = origins_[origin].space == Space::kGm;
  Report(step, "undefined-output", "reach " + where,
         (adds ? "adds to " : "stores to ") + device_->Describe(address), origin,
         adds ? "clear the output before atomics add to it, and add valid elements only"
         : from_gm
             ? "use valid elements only (exact m, k, n; lane masks; burst lengths), and check "
               "the address they come from (64-bit page products)"
             : "use valid elements only (exact m, k, n; lane masks; burst lengths), or fill "
               "the rest before it is used");
}

void DefinednessChecker::ReachAddress(const Step& step, OriginId origin) {
  Report(step, "undefined-address", "decide an address", "takes an address from them", origin,
         "fill all offsets that are used before this instruction");
}

// The tensor in whose allocation `at` is padding; false if it is none.
bool DefinednessChecker::FindPadded(uint64_t at, Region* home) const {
  for (const Allocation& allocation : device_->Allocations()) {
    if (at < allocation.end() || at >= allocation.limit()) continue;
    *home = Region{allocation.begin, allocation.bytes,
                   "allocation #" + std::to_string(allocation.id), RegionRule::kReadWrite};
    for (const Region& region : regions_) {
      if (region.begin >= allocation.begin && region.end() <= at) *home = region;
    }
    return true;
  }
  return false;
}

// Padding is there for copies of whole blocks; scalar code that looks at it
// has left its tensor. False if `at` is none.
bool DefinednessChecker::ReportOverrun(const Step& step, uint64_t at) {
  Region home, first;
  if (device_->FindRegion(at, &first) || !FindPadded(at, &home)) return false;
  const Operand* load = step.Find(0, false);
  // The memory checker reports what begins in a region.
  if (load != nullptr && device_->FindRegion(load->access.base, &first)) return true;
  const Instruction& in = step.in();
  Finding finding;
  finding.checker = "memory";
  finding.kind = "region-overrun";
  finding.headline = std::string("region overrun: ") + RowOf(in.insn).name +
                     " reads past the end of " + home.name + " (" + std::to_string(home.bytes) +
                     " bytes)";
  finding.kernel = kernel_;
  finding.sites.push_back(Site{step.core(), in.pipe, in.insn, in.sequence, in.return_address,
                               "loads, for a branch or an address, " + device_->Describe(at),
                               calls_->Describe(in.return_address)});
  finding.fix =
      "check the index against the number of elements, its unit (bytes or elements), and the "
      "size that was booked for " +
      home.name;
  sink_->Report(std::move(finding));
  return true;
}

void DefinednessChecker::ReachScalar(const Step& step, OriginId origin) {
  const Origin& from = origins_[origin];
  const bool here =
      from.launch == launch_ && from.sequence == step.in().sequence && from.space == Space::kGm;
  if (here && ReportOverrun(step, from.at)) return;
  Report(step, "undefined-scalar", "are loaded by scalar code",
         "loads, for a branch or an address,", origin,
         "write them before they are read, or wait for whoever does");
}

}  // namespace vnpu
