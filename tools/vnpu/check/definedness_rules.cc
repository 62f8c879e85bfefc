// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/definedness_rules.h"

#include <string>
#include <unordered_map>
#include <vector>

#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

// By handler: intrinsics of one handler pass bytes on alike.
const std::unordered_map<std::string, RuleEntry>& ByHandler() {
  static const auto* rules = new std::unordered_map<std::string, RuleEntry>{
      {"CopyGmToUb", {RuleRows}},
      {"CopyUbToGm", {RuleRows}},
      {"CopyUbToGmAlign", {RuleRows}},
      {"CopyUbToUb", {RuleRows}},
      {"CopyGmToL1", {RuleGmToL1}},
      {"LoadGm", {RuleRows}},
      {"CopyL1ToGm", {RuleRows}},
      {"CopyL1ToFb", {RuleRows}},
      {"CopyL1ToBt", {RuleL1ToBt}},
      {"CopyGmToUbAlign", {RuleGmToUbAlign, true}},
      {"CopyGmToL1Nd2Nz", {RuleNd2Nz}},
      {"LoadL1ToL0", {RuleLoadL0}},
      {"LoadL1ToL0Transpose", {RuleLoadL0Transpose}},
      {"Mad", {RuleMad, true}},
      {"Fixpipe", {RuleFixpipe, true}},
      {"ScalarLoad", {RuleScalarLoad}},
      {"LoadDevice", {RuleScalarLoad}},
      {"VecBinary", {RuleLanes}},
      {"VecUnary", {RuleLanes}},
      {"VecScalar", {RuleLanes}},
      {"VecShift", {RuleLanes}},
      {"VecConvert", {RuleLanes}},
      {"VecConvertDeq", {RuleLanes}},
      {"VecFused", {RuleLanes}},
      {"VecConvertS4", {RuleConvertS4}},
      {"VecConvertHalfBlock", {RuleHalfBlock}},
      {"VecCopy", {RuleVecCopy, true}},
      {"VecCompare", {RuleCompare}},
      {"VecCompareScalar", {RuleCompare}},
      {"VecCompareToMask", {RuleCompareToMask, true}},
      {"VecSelect", {RuleSelect, true, 2}},
      {"SetCompareMask", {RuleSetCompareMask, true}},
      {"GetCompareMask", {RuleGetCompareMask, true}},
      {"VecReduceExtreme", {RuleReduceExtreme, true}},
      {"VecReduceAdd", {RuleReduceAdd, true}},
      {"VecReduceBlock", {RuleReduceBlock, true}},
      {"VecReducePair", {RuleReducePair}},
      {"GetRsvdCnt", {RuleGetScalar, true}},
      {"GetAccVal", {RuleGetScalar, true}},
      {"GetMaxMinCnt", {RuleGetScalar, true}},
      {"GetVms4Sr", {RuleGetScalar, true}},
      {"VecBroadcastBlock", {RuleBroadcastBlock}},
      {"VecGather", {RuleGather, true, 1}},
      {"VecGatherBlock", {RuleGatherBlock, true, 1}},
      {"VecGatherMask", {RuleGatherMask, true, 2}},
      {"VecTranspose", {RuleTranspose}},
      {"VecTransposeList", {RuleTransposeList}},
      {"VecSort32", {RuleSort32}},
      {"VecMergeSort", {RuleMergeSort, true}},
  };
  return *rules;
}

std::vector<RuleEntry> MakeTable() {
  const auto entry = [](const char* handler) {
    const auto found = ByHandler().find(handler);
    return found == ByHandler().end() ? RuleEntry{RuleDefault} : found->second;
  };
  std::vector<RuleEntry> table;
#define VNPU_INSN(name, pipe, cores, cost, mark, handler, arguments) \
  table.push_back(entry(#handler));
#include "tools/vnpu/isa/insns.inc"
#undef VNPU_INSN
  return table;
}

}  // namespace

const RuleEntry& RuleOf(uint32_t insn) {
  static const auto* table = new std::vector<RuleEntry>(MakeTable());
  return (*table)[insn];
}

}  // namespace vnpu
