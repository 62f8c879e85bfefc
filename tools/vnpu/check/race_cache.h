// SPDX-License-Identifier: Apache-2.0
// The data cache of one scalar unit: write-back, lines of 64 bytes, not coherent
// with DMA or other cores [doc]. Scalar loads and stores of GM go through it;
// dcci writes back and drops a line or all; ld_dev and st_dev pass it by.
//
//   stale cache        a load of bytes that another core or a pipe of this core
//                      has written, without a dcci of the line between learning
//                      of that write and the load [doc]; that the line might not
//                      be in the cache is no guarantee
//   unpublished store  somebody else reads a store that no dcci has written back
//   lost update        two writers of one line, whatever bytes, of which one is
//                      a cached store, and no order between the write-back and
//                      the other [doc]
//
// Polls. A scalar read past the cache (ld_dev, or a load of a line that was
// cleaned since it was last used) of a word that another core stores may be a
// loop that waits for it. It is no race with stores of at most 64 bytes in one
// run. Where it sees such a store, it learns what the storing unit knew before
// it: for a scalar store all earlier work of that scalar unit, for a DMA store
// what a barrier of its pipe had completed. So soft barriers need their fences,
// and a data word read this way without waiting is taken for a poll. A first
// look without dcci counts as a poll once the same core polls that word and sees
// the same store.
// Copies that poll (MTE2) are races.
#ifndef VNPU_CHECK_RACE_CACHE_H_
#define VNPU_CHECK_RACE_CACHE_H_

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tools/vnpu/check/race_rules.h"

namespace vnpu {
namespace race {

class ScalarCache {
 public:
  // A cached load or store; true if it fetches a line that was cleaned.
  bool Use(uint64_t address, uint64_t sequence);
  void Clean(uint64_t address, uint64_t sequence, const Clock& now);
  void CleanAll(uint64_t sequence, const Clock& now);
  // What the unit knew when the line was last cleaned; null if it never was.
  const Clock* KnownAtClean(uint64_t address) const;

  // Numbers of dirty stores in GmShadow.
  void AddDirty(uint64_t address, uint32_t number) {
    dirty_.emplace_back(address / kCacheLine, number);
  }
  std::vector<uint32_t> TakeDirty(bool all, uint64_t address);

 private:
  struct Cleaned {
    uint64_t sequence;
    Clock clock;
  };
  std::unordered_map<uint64_t, uint64_t> used_;  // line -> sequence of its last use
  std::unordered_map<uint64_t, Cleaned> cleaned_;
  bool all_cleaned_ = false;
  Cleaned all_;
  std::vector<std::pair<uint64_t, uint32_t>> dirty_;
};

}  // namespace race
}  // namespace vnpu

#endif  // VNPU_CHECK_RACE_CACHE_H_
