// SPDX-License-Identifier: Apache-2.0
// Cross-core flags of a launch in time: who has arrived when, and which cores
// get a token for it.
//
//   mode 0  all cores of the kind arrive; each of them gets a token
//   mode 1  both AIVs of a block arrive; both get one
//   mode 2  the AIC arrives, both AIVs get one; or both AIVs, and the AIC gets one
#ifndef VNPU_TIMING_CROSS_CORE_BOARD_H_
#define VNPU_TIMING_CROSS_CORE_BOARD_H_

#include <cstdint>
#include <map>
#include <vector>

#include "tools/vnpu/timing/fifo.h"
#include "tools/vnpu/timing/recording.h"

namespace vnpu {

struct Arrival {
  int64_t time;  // the earlier work of the pipe was done
  uint32_t lane;
};

// One count of a cross-core flag, not yet at its receiver.
struct Handover {
  uint32_t core;  // index into Recording::cores
  uint32_t flag;
  Arrival last;  // the one that completed it
  bool all;      // mode 0
};

class CrossCoreBoard {
 public:
  explicit CrossCoreBoard(const Recording& recording);
  // `core` arrives; appends the counts that this completes.
  void Arrive(uint32_t core, uint32_t mode, uint32_t flag, const Arrival& arrival,
              std::vector<Handover>* completed);

 private:
  // Cores that must all arrive, and cores that then get a count.
  struct Meeting {
    std::vector<uint32_t> who;
    std::vector<uint32_t> receivers;
    std::vector<Fifo<Arrival>> arrived;  // beside `who`
  };
  Meeting& MeetingOf(uint32_t core, uint32_t mode, uint32_t flag);
  bool IsAic(uint32_t core) const { return cores_[core].role == CoreRole::kAic; }

  std::vector<CoreId> cores_;
  std::map<uint64_t, Meeting> meetings_;
};

}  // namespace vnpu

#endif  // VNPU_TIMING_CROSS_CORE_BOARD_H_
