// SPDX-License-Identifier: Apache-2.0
// What a correct plan looks like, said a second time for the tests, from the
// comments of decode_plan.h and without the planner's code.
//
// With KvRoute::kFifo, which has no items, the ids of the launched cores must be every
// query head of every sequence once, and the lengths must be in the plan.
//
// Each function returns "" or what is wrong. `q_lens` empty: one query token each.
#ifndef ASCEND_ATTENTION_TILING_PLAN_ORACLE_H_
#define ASCEND_ATTENTION_TILING_PLAN_ORACLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tiling/decode_planner.h"

namespace ascend_attention {

// Every (query token, kv head, token that it sees) belongs to exactly one item,
// and every query token knows how far it sees; query tokens of a sequence that
// see nothing at all have one item per kv-head group and no tokens.
std::string FindCoverageError(const DecodePlan& plan, const std::vector<int32_t>& context_lens,
                              const std::vector<int32_t>& q_lens = {});

// Cores own disjoint item ranges; split parts have contiguous slots in token
// order and every slot is used once; unsplit sequences have none.
std::string FindPartialError(const DecodePlan& plan);

// Regions and arrays are aligned, disjoint and inside the workspace, and so is
// the last byte that any item touches in them.
std::string FindRegionError(const DecodePlan& plan);

// Cuts lie on multiples of the plan's fixed_split_tokens and nowhere else.
std::string FindFixedSplitError(const DecodePlan& plan);

// The first of these that finds something.
std::string FindPlanError(const DecodePlan& plan, const std::vector<int32_t>& context_lens,
                          const std::vector<int32_t>& q_lens = {});

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_PLAN_ORACLE_H_
