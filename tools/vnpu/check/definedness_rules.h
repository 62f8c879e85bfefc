// SPDX-License-Identifier: Apache-2.0
// How each intrinsic passes undefined bytes on. A rule runs after its
// instruction; unless it must, only if a byte that was read is undefined: else
// all that was written is defined.
//
// Where a rule cannot know which bytes count (order of indices in sorts of
// defined scores, intrinsics without a rule) it errs towards defined: a miss,
// never a false alarm.
#ifndef VNPU_CHECK_DEFINEDNESS_RULES_H_
#define VNPU_CHECK_DEFINEDNESS_RULES_H_

#include "tools/vnpu/check/definedness_step.h"

namespace vnpu {

using Rule = void (*)(Step& step);

struct RuleEntry {
  Rule rule = nullptr;
  bool always = false;  // also when all bytes read are defined
  int sample = -1;      // operand whose bytes the rule wants as they were read
};

const RuleEntry& RuleOf(uint32_t insn);

// definedness_moves.cc
void RuleRows(Step& step);
void RuleGmToL1(Step& step);
void RuleGmToUbAlign(Step& step);
void RuleNd2Nz(Step& step);
void RuleLoadL0(Step& step);
void RuleLoadL0Transpose(Step& step);
void RuleL1ToBt(Step& step);
void RuleScalarLoad(Step& step);
// definedness_cube.cc
void RuleMad(Step& step);
void RuleFixpipe(Step& step);
// definedness_lanes.cc
void RuleLanes(Step& step);  // element by element
void RuleDefault(Step& step);
void RuleVecCopy(Step& step);
void RuleConvertS4(Step& step);
void RuleHalfBlock(Step& step);
void RuleCompare(Step& step);
void RuleCompareToMask(Step& step);
void RuleSelect(Step& step);
void RuleSetCompareMask(Step& step);
void RuleGetCompareMask(Step& step);
// definedness_reduce.cc
void RuleReduceExtreme(Step& step);
void RuleReduceAdd(Step& step);
void RuleReduceBlock(Step& step);
void RuleReducePair(Step& step);
void RuleGetScalar(Step& step);
// definedness_rearrange.cc
void RuleBroadcastBlock(Step& step);
void RuleGather(Step& step);
void RuleGatherBlock(Step& step);
void RuleGatherMask(Step& step);
void RuleTranspose(Step& step);
void RuleTransposeList(Step& step);
void RuleSort32(Step& step);
void RuleMergeSort(Step& step);

// Lanes of a repeat that are undefined, of up to 128.
struct LaneBits {
  uint64_t words[2] = {0, 0};
  bool any() const { return (words[0] | words[1]) != 0; }
  bool operator[](uint64_t lane) const { return (words[lane / 64] >> (lane % 64) & 1) != 0; }
  void Or(uint64_t lane, uint64_t bits) { words[lane / 64] |= bits << (lane % 64); }
  uint64_t Part(uint64_t lane) const { return words[lane / 64] >> (lane % 64); }
};

// Undefined lanes of repeat r of an operand with a lane mask, whether active or
// not; *origin of the first if it was 0.
LaneBits LoadLanes(Step& step, const Operand& operand, uint64_t repeat, OriginId* origin);
// Stores them under the operand's mask.
void StoreLanes(Step& step, const Operand& operand, uint64_t repeat, const LaneBits& lanes,
                OriginId origin);
// Address of repeat r, block b of an operand.
inline uint64_t BlockAt(const Operand& operand, uint64_t repeat, uint64_t block) {
  return operand.access.base +
         static_cast<uint64_t>(static_cast<int64_t>(repeat) * operand.access.dims[1].stride +
                               static_cast<int64_t>(block) * operand.access.dims[2].stride);
}

// Calls fn(operand, repeat of it, repeat of the instruction) for each repeat of
// a source with a lane mask: its accesses are the whole repeats and, if that
// one is shorter, the last.
template <typename Fn>
void ForEachSourceRepeat(Step& step, int operand, const Fn& fn) {
  uint64_t done = 0;
  // The short repeat is reported first, but comes last.
  const Operand* first = step.Find(operand, false, 0);
  const Operand* second = step.Find(operand, false, 1);
  for (const Operand* part :
       {second != nullptr ? second : first, second != nullptr ? first : second}) {
    if (part == nullptr) continue;
    for (uint64_t r = 0; r < part->access.dims[1].count; ++r) fn(*part, r, done++);
  }
}

}  // namespace vnpu

#endif  // VNPU_CHECK_DEFINEDNESS_RULES_H_
