// SPDX-License-Identifier: Apache-2.0
// Reductions: a result is undefined if a lane that takes part is.
#include "tools/vnpu/check/definedness_rules.h"
#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

// The undefined active lanes of a repeat.
LaneBits ActiveUndefined(Step& step, const Operand& src, uint64_t repeat, OriginId* origin) {
  LaneBits lanes = LoadLanes(step, src, repeat, origin);
  lanes.words[0] &= src.mask[0];
  lanes.words[1] &= src.mask[1];
  if (!lanes.any()) *origin = 0;
  return lanes;
}

// The result of repeat r of a reduction.
uint64_t ResultAt(const Operand& dst, uint64_t repeat) {
  return dst.access.base +
         static_cast<uint64_t>(static_cast<int64_t>(repeat) * dst.access.dims[2].stride);
}

void SetResult(Step& step, ScalarResult which, bool undefined, OriginId origin) {
  step.shadow().result_undefined[static_cast<int>(which)] = undefined;
  step.shadow().result_origin[static_cast<int>(which)] = origin;
}

// One result per repeat, and a register over all of them.
void ReduceRepeats(Step& step, ScalarResult which, bool set_register) {
  const Operand* dst = step.Find(0, true);
  OriginId first = 0;
  bool any = false;
  if (step.AnyRead()) {
    ForEachSourceRepeat(step, 1, [&](const Operand& src, uint64_t r, uint64_t row) {
      OriginId origin = 0;
      const bool undefined = ActiveUndefined(step, src, r, &origin).any();
      any |= undefined;
      if (undefined && first == 0) first = origin;
      if (dst != nullptr) {
        step.Fill(Space::kUb, ResultAt(*dst, row), dst->access.run, undefined, origin);
      }
    });
  } else {
    step.DefineWrites();
  }
  if (set_register) SetResult(step, which, any, first);
}

}  // namespace

void RuleReduceExtreme(Step& step) {
  if (!step.operands().empty()) ReduceRepeats(step, ScalarResult::kMaxMinCnt, true);
}

void RuleReduceAdd(Step& step) {
  if (step.operands().empty()) {
    if (step.arg(6) != 0) SetResult(step, ScalarResult::kAccVal, false, 0);
    return;
  }
  ReduceRepeats(step, ScalarResult::kAccVal, step.arg(6) != 0);
}

// One result per datablock. Extremes of a block without an active lane keep
// what was there; sums give 0.
void RuleReduceBlock(Step& step) {
  if (step.Find(0, true) == nullptr) return;
  const bool keeps = step.in().insn != VNPU_INSN_vcgadd;
  ForEachSourceRepeat(step, 1, [&](const Operand& src, uint64_t r, uint64_t row) {
    OriginId origin = 0;
    const LaneBits undefined = ActiveUndefined(step, src, r, &origin);
    const uint64_t element = src.access.lane_bytes, per_block = kBlockBytes / element;
    const uint64_t to = step.arg(0) + row * step.arg(3) * 8 * element;
    for (uint64_t b = 0; b < 8; ++b) {
      const uint64_t lane = b * per_block;
      const uint64_t active = src.mask[lane / 64] >> (lane % 64) & LowBits(per_block);
      if (keeps && active == 0) continue;
      const bool any = (undefined.Part(lane) & LowBits(per_block)) != 0;
      step.Fill(Space::kUb, to + b * element, element, any, origin);
    }
  });
}

void RuleReducePair(Step& step) {
  const Operand* dst = step.Find(0, true);
  if (dst == nullptr) return;
  ForEachSourceRepeat(step, 1, [&](const Operand& src, uint64_t r, uint64_t row) {
    OriginId origin = 0;
    const LaneBits undefined = ActiveUndefined(step, src, r, &origin);
    const uint64_t element = src.access.lane_bytes;
    for (uint64_t i = 0; i < kRepeatBytes / element / 2; ++i) {
      step.Fill(Space::kUb, ResultAt(*dst, row) + i * element, element,
                undefined[2 * i] || undefined[2 * i + 1], origin);
    }
  });
}

void RuleGetScalar(Step& step) {
  ScalarResult which = ScalarResult::kRsvdCnt;
  switch (step.in().insn) {
    case VNPU_INSN_get_acc_val:
      which = ScalarResult::kAccVal;
      break;
    case VNPU_INSN_get_max_min_cnt:
      which = ScalarResult::kMaxMinCnt;
      break;
    case VNPU_INSN_get_vms4_sr:
      which = ScalarResult::kVms4Sr;
      break;
    default:
      break;
  }
  const int index = static_cast<int>(which);
  if (step.shadow().result_undefined[index]) {
    step.host().ReachScalar(step, step.shadow().result_origin[index]);
  }
}

}  // namespace vnpu
