// SPDX-License-Identifier: Apache-2.0
// What one instruction costs on its pipe. All times in cycles.
#ifndef VNPU_TIMING_OP_COST_H_
#define VNPU_TIMING_OP_COST_H_

#include <cstdint>

#include "tools/vnpu/timing/l2_state.h"
#include "tools/vnpu/timing/memory_flows.h"
#include "tools/vnpu/timing/parameters.h"
#include "tools/vnpu/timing/recording.h"

namespace vnpu {

// An instruction that stays on the core: the pipe is busy for `busy` cycles,
// flags behind it see its results after `done`.
struct LocalCost {
  double busy;
  double done;
};
LocalCost LocalCostOf(const Op& op, const Parameters& parameters);

// A transfer to or from GM: `setup` cycles, then the flow, then `tail`; results
// not before `floor` cycles from the start.
struct TransferCost {
  double setup = 0;
  FlowDemand flow;
  double tail = 0;
  double floor = 0;
  uint64_t bytes = 0;  // as asked for
  uint64_t hit_bytes = 0;
  uint64_t hbm_bytes = 0;  // fetched and evicted
};
// Moves the transfer's bytes through L2.
TransferCost TransferCostOf(const Op& op, const GmRuns* gm, const Parameters& parameters,
                            L2State* l2);

bool IsTransfer(OpKind kind);

}  // namespace vnpu

#endif  // VNPU_TIMING_OP_COST_H_
