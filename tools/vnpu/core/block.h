// SPDX-License-Identifier: Apache-2.0
// The cores of one block, and the cross-core arrivals they share. All cores of
// a block run on one host thread.
#ifndef VNPU_CORE_BLOCK_H_
#define VNPU_CORE_BLOCK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "tools/vnpu/core/core.h"

namespace vnpu {

class Block {
 public:
  enum class Progress { kNone, kYielded, kMoved };

  // Makes the cores that a launch of this shape needs; reusable.
  void Begin(Launch* launch, uint32_t block_idx, bool has_aic, uint32_t aivs);
  // Runs every core that can run once.
  Progress Run();
  bool finished() const;
  const std::vector<Core*>& cores() const { return cores_; }
  Core* aic() { return has_aic_ ? aic_.get() : nullptr; }
  Core* aiv(int i) { return aiv_[i].get(); }
  uint32_t aivs() const { return aivs_; }
  uint32_t index() const { return index_; }

  // Arrivals of the two AIVs that have not completed a pair yet.
  struct Pair {
    uint32_t arrived[2];
  };
  Pair mode1[kCrossCoreFlags];
  Pair mode2[kCrossCoreFlags];

 private:
  std::unique_ptr<Core> aic_;
  std::unique_ptr<Core> aiv_[2];
  std::vector<Core*> cores_;
  uint32_t index_ = 0;
  uint32_t aivs_ = 0;
  bool has_aic_ = false;
};

}  // namespace vnpu

#endif  // VNPU_CORE_BLOCK_H_
