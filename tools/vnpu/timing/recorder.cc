// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/recorder.h"

#include <algorithm>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/timing/decode_op.h"

namespace vnpu {

void TimingRecorder::OnLaunchBegin(const LaunchInfo& info) {
  recording_ = Recording();
  recording_.kernel = info.kernel;
  recording_.num_blocks = info.num_blocks;
  recording_.has_aic = info.has_aic;
  recording_.aivs_per_block = info.aivs_per_block;
  cores_per_block_ = (info.has_aic ? 1 : 0) + info.aivs_per_block;
  recording_.cores.resize(size_t{info.num_blocks} * cores_per_block_);
  for (uint32_t i = 0; i < recording_.cores.size(); ++i) {
    const uint32_t in_block = i % cores_per_block_;
    const uint32_t role = info.has_aic ? in_block : in_block + 1;
    recording_.cores[i].id = CoreId{i / cores_per_block_, static_cast<CoreRole>(role)};
  }
  calls_ = info.calls;
  sites_.clear();
  site_addresses_.clear();
  last_address_ = nullptr;
}

void TimingRecorder::OnLaunchEnd(LaunchResult* result) {
  if (result->fault != FaultKind::kNone) {
    recording_.cores.clear();
    return;
  }
  for (const void* address : site_addresses_) recording_.sites.push_back(calls_->Describe(address));
}

CoreRecording& TimingRecorder::CoreOf(const CoreId& core) {
  const auto role = static_cast<uint32_t>(core.role);
  const uint32_t in_block = recording_.has_aic ? role : role - 1;
  return recording_.cores[size_t{core.block} * cores_per_block_ + in_block];
}

uint32_t TimingRecorder::SiteOf(const void* return_address) {
  if (return_address == last_address_ && !site_addresses_.empty()) return last_site_;
  const auto [it, added] =
      sites_.emplace(return_address, static_cast<uint32_t>(site_addresses_.size()));
  if (added) site_addresses_.push_back(return_address);
  last_address_ = return_address;
  last_site_ = it->second;
  return last_site_;
}

void TimingRecorder::OnIssue(const CoreId& core, const Instruction& in) {
  CoreRecording& record = CoreOf(core);
  Op op = DecodeOp(in);
  op.site = SiteOf(in.return_address);
  op.gm_first = static_cast<uint32_t>(record.gm.size());
  record.ops.push_back(op);
}

// An instruction executes when its pipe comes to it: its op may lie back.
void TimingRecorder::OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                              std::string*) {
  if (access.space != Space::kGm) return;
  CoreRecording& record = CoreOf(core);
  // Filtered instructions have numbers but no ops, so ops[i].sequence >= i.
  const auto sequence = static_cast<uint32_t>(in.sequence);
  size_t at = std::min<size_t>(sequence, record.ops.size() - 1);
  while (at > 0 && record.ops[at].sequence > sequence) --at;
  Op& op = record.ops[at];
  if (op.gm_count == 0) op.gm_first = static_cast<uint32_t>(record.gm.size());
  ++op.gm_count;
  GmRuns runs;
  runs.base = access.base;
  runs.run = access.run;
  runs.write = access.write ? 1 : 0;
  for (int i = 0; i < 3; ++i) {
    runs.count[i] = static_cast<uint32_t>(access.dims[i].count);
    runs.stride[i] = access.dims[i].stride;
  }
  record.gm.push_back(runs);
}

}  // namespace vnpu
