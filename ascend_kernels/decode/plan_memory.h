// SPDX-License-Identifier: Apache-2.0
// The plan at the start of the workspace, as kernels see it: its header, the
// check that it is one, and the error records.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PLAN_MEMORY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PLAN_MEMORY_H_

#include "ascend_kernels/cce/address.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

AICORE_INLINE GmPtr<DecodePlanHeader> PlanHeader(GmPtr<uint8_t> workspace) {
  return reinterpret_cast<GmPtr<DecodePlanHeader>>(workspace);
}

// Leaves the reason in this core's error record and stops the launch.
AICORE_INLINE void Fail(GmPtr<uint8_t> workspace, ErrorCode code, int64_t row, int64_t index,
                        int64_t value, int64_t limit) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  const uint32_t core = static_cast<uint32_t>(get_block_idx());
  GmPtr<ErrorRecord> record = GmAt<ErrorRecord>(workspace, &header->error_records.begin) + core;
  record->core = core;
  record->row = row;
  record->index = index;
  record->value = value;
  record->limit = limit;
  record->code = static_cast<uint32_t>(code);
  dcci(reinterpret_cast<GmPtr<uint8_t>>(record), SINGLE_CACHE_LINE, CACHELINE_OUT);
  dsb(DSB_DDR);
  trap();
}

AICORE_INLINE void RequireAtMost(GmPtr<uint8_t> workspace, uint32_t value, uint32_t limit) {
  if (value > limit) Fail(workspace, ErrorCode::kTilesTooLarge, 0, 0, value, limit);
}

// A plan of another version, or no plan at all: its offsets mean nothing, so
// there is no record to write.
AICORE_INLINE void RequirePlan(GmPtr<uint8_t> workspace) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  if (header->magic != kDecodePlanMagic || header->abi_version != kDecodePlanAbiVersion) {
    trap();
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PLAN_MEMORY_H_
