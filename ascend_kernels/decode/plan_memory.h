// SPDX-License-Identifier: Apache-2.0
// The plan at the start of the workspace, as kernels see it: its header, the
// check that it is one, and the error records.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PLAN_MEMORY_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PLAN_MEMORY_H_

#include "ascend_kernels/cce/system.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

AICORE_INLINE GmPtr<DecodePlanHeader> PlanHeader(GmPtr<uint8_t> workspace) {
  return reinterpret_cast<GmPtr<DecodePlanHeader>>(workspace);
}

AICORE_INLINE constexpr DType DTypeOf(half) { return DType::kFloat16; }
AICORE_INLINE constexpr DType DTypeOf(bfloat16_t) { return DType::kBFloat16; }

// A plan of another version, for another dtype, or no plan at all: its offsets
// mean nothing, so there is no record to write.
template <typename T>
AICORE_INLINE void RequirePlan(GmPtr<uint8_t> workspace) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  if (header->magic != kDecodePlanMagic || header->abi_version != kDecodePlanAbiVersion ||
      header->dtype != DTypeOf(T())) {
    Trap();
  }
}

// A plan for another cache or route: its regions are not those of this kernel.
AICORE_INLINE void RequireRoute(GmPtr<uint8_t> workspace, KvRoute route) {
  GmPtr<DecodePlanHeader> header = PlanHeader(workspace);
  const uint32_t limbs = route == KvRoute::kLimbs ? 2 : 1;
  const bool is_16_bit = route == KvRoute::kDirect || route == KvRoute::kFifo;
  if (header->kv_route != route || header->operand_limbs != limbs ||
      (header->kv_quant == KvQuant::kNone) != is_16_bit) {
    Trap();
  }
}

// What a kernel found, for this core's error record.
struct Finding {
  ErrorCode code;
  int64_t row;
  int64_t index;
  int64_t value;
  int64_t limit;
};

// Leaves the reason in this core's error record and stops the launch. Called by
// the cube core alone: the vector cores of a core share its record.
AICORE_INLINE void Fail(GmPtr<uint8_t> workspace, const Finding& finding) {
  const uint32_t core = BlockIndex();
  GmPtr<ErrorRecord> record =
      GmAt<ErrorRecord>(workspace, &PlanHeader(workspace)->error_records.begin) + core;
  record->core = core;
  record->row = finding.row;
  record->index = finding.index;
  record->value = finding.value;
  record->limit = finding.limit;
  record->code = static_cast<uint32_t>(finding.code);
  PublishLine(record);
  Trap();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PLAN_MEMORY_H_
