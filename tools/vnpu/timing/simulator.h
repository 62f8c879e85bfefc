// SPDX-License-Identifier: Apache-2.0
// From a recording to a timeline: all cores of the launch at once, as queues
// of instructions per pipe that flags, signals and shared memory hold back.
//
//   scalar unit   issues in program order, a few cycles each, into queues of
//                 limited depth; stands still at scalar waits and GM loads
//   pipe          in order; busy with an instruction for its occupancy, flags
//                 behind it fire when its results are there
//   GM transfers  share HBM and L2 (memory_flows.h), whose contents are
//                 followed (l2_state.h)
//
// Deterministic: the same recording, parameters and L2State give the same
// picoseconds. Addresses matter only by their place in 4 KiB pages and by
// being equal or not.
//
// Next: tools/vnpu/timing/op_cost.h - what an instruction costs.
#ifndef VNPU_TIMING_SIMULATOR_H_
#define VNPU_TIMING_SIMULATOR_H_

#include <string>

#include "tools/vnpu/timing/l2_state.h"
#include "tools/vnpu/timing/parameters.h"
#include "tools/vnpu/timing/recording.h"
#include "tools/vnpu/timing/timeline.h"

namespace vnpu {

// False, with *error, if the launch cannot come to its end on this part: a
// barrier of all cores with more blocks than run at once. `l2` carries what L2
// holds from launch to launch; it is resized to the part's L2.
bool Simulate(const Recording& recording, const Parameters& parameters, L2State* l2,
              Timeline* timeline, std::string* error);

}  // namespace vnpu

#endif  // VNPU_TIMING_SIMULATOR_H_
