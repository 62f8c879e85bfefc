// SPDX-License-Identifier: Apache-2.0
// Overlap inside one vector instruction: its destination meets its own source.
//
//   in place, every lane onto itself                       fine       [doc]
//   a repeat reads what an earlier one wrote               undefined  [doc], but:
//     accumulation, two sources, one of them the
//     destination, repeat stride 0                         fine       [doc]
//   a repeat writes part of what it reads                  undefined  [doc]
//   a repeat writes what an earlier one has read           fine: repeats read in order [inf]
//   conversions between widths, where source and destination of a repeat begin
//     or end together                                      fine       [inf]
//   reductions and vbrcb: as above, and never in place     [doc]
//   copy_ubuf_to_ubuf: bursts are its repeats              [inf]
// Not judged: gathers, sorts, transposes, vcopy in counter mode.
#ifndef VNPU_CHECK_RACE_OVERLAP_H_
#define VNPU_CHECK_RACE_OVERLAP_H_

#include <cstdint>
#include <vector>

#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/check/race_shape.h"

namespace vnpu {
namespace race {

// What one instruction was seen to touch of UB.
class OwnAccesses {
 public:
  struct Part {
    Access access;
    uint64_t mask[2];
  };
  // Where an instruction writes what it also reads.
  struct Overlap {
    bool any = false;
    bool later = false;  // the reader is a later repeat
    Range common{0, 0};
    size_t write = 0, read = 0;  // of parts()
  };

  // A new instruction begins anew.
  void Add(const CoreId& id, const Instruction& in, const Access& access);
  // Of the instruction that has just been executed.
  Overlap Find(const CoreId& id, const Instruction& in);
  const std::vector<Part>& parts() const { return parts_; }

 private:
  bool Is(const CoreId& id, const Instruction& in) const {
    return sequence_ == in.sequence && core_.block == id.block && core_.role == id.role;
  }

  CoreId core_{0, CoreRole::kAic};
  uint64_t sequence_ = ~uint64_t{0};
  std::vector<Part> parts_;
};

Finding ComposeOverlap(const CoreId& id, const Instruction& in, const OwnAccesses& own,
                       const OwnAccesses::Overlap& overlap, const LaunchInfo& info);

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_OVERLAP_H_
