// SPDX-License-Identifier: Apache-2.0
// Plans of KvRoute::kFifo: a header and the lengths. The kernel finds its work itself,
// so planning is a copy, a prediction and the checks.
//
// Next: ascend_kernels/decode_fifo/README.md - the kernel.
#ifndef ASCEND_ATTENTION_TILING_FIFO_PLANNER_H_
#define ASCEND_ATTENTION_TILING_FIFO_PLANNER_H_

#include <cstdint>

#include "tiling/abi/decode_plan.h"
#include "tiling/decode_planner.h"
#include "tiling/fifo_costs.h"
#include "tiling/platform.h"
#include "tiling/status.h"

namespace ascend_attention {

// What a kernel strides over: sequences x kv heads x tiles of query heads.
uint64_t NumFifoIds(const DecodePlanHeader& header);

// Cores that get an id.
uint32_t NumFifoCores(const DecodePlanHeader& header);

// What the cost model expects of these lengths; OutOfRange if it is more than can be
// counted. O(batch + cores).
StatusOr<PlanPrediction> PredictFifo(const DecodePlanHeader& header, const FifoPrices& prices,
                                     const Platform& platform, const int32_t* context_lens);

// Whether header and lengths are a plan, beside the fields that follow from the shape.
Status CheckFifoPlan(const DecodePlanHeader& header, const int32_t* context_lens);

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_FIFO_PLANNER_H_
