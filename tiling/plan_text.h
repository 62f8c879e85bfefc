// SPDX-License-Identifier: Apache-2.0
// A plan in words, for people: what every core does and where every byte goes.
//
// Next: tiling/README.md - the same, explained.
#ifndef ASCEND_ATTENTION_TILING_PLAN_TEXT_H_
#define ASCEND_ATTENTION_TILING_PLAN_TEXT_H_

#include <string>

#include "tiling/decode_planner.h"

namespace ascend_attention {

enum class PlanTextDetail {
  kSummary,  // counts, balance, workspace regions
  kFull,     // also every item of every core, and every split; with kFifo every sequence
};

// `plan` must not be empty. Lines end in '\n'.
std::string PlanText(const DecodePlan& plan, PlanTextDetail detail);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_PLAN_TEXT_H_
