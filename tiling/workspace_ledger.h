// SPDX-License-Identifier: Apache-2.0
// Books the regions of one allocation, one after the other.
//
// Sizing and laying out are the same thing here: a ledger has no memory, it
// only hands out offsets, and its `used()` is the size to allocate. So the size
// that is asked for and the layout that is used cannot drift apart.
//
// Next: tiling/decode_layout.cc - what the decode workspace consists of.
#ifndef ASCEND_ATTENTION_TILING_WORKSPACE_LEDGER_H_
#define ASCEND_ATTENTION_TILING_WORKSPACE_LEDGER_H_

#include <cstdint>
#include <string_view>

#include "tiling/abi/decode_plan.h"
#include "tiling/status.h"

namespace ascend_attention {

class WorkspaceLedger {
 public:
  // `count` entries of `entry` bytes, at the next multiple of `alignment`.
  // ResourceExhausted, naming the region, if offsets would pass 2^63.
  StatusOr<Region> Book(std::string_view name, uint64_t count, ByteCount entry,
                        uint64_t alignment = kRegionAlignmentBytes);

  // Bytes up to the end of the last region.
  ByteCount used() const { return used_; }

 private:
  ByteCount used_{0};
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_TILING_WORKSPACE_LEDGER_H_
