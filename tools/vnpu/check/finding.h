// SPDX-License-Identifier: Apache-2.0
// What a checker has to say: verdict first, then the places, then the order
// that is missing and how to get it. All checkers speak through this.
#ifndef VNPU_CHECK_FINDING_H_
#define VNPU_CHECK_FINDING_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/vnpu/core/types.h"

namespace vnpu {

// One instruction at one place of one kernel.
struct Site {
  CoreId core;
  Pipe pipe;
  uint16_t insn;                         // VnpuInsn
  uint64_t sequence;                     // issue order on its core
  const void* return_address = nullptr;  // two findings of one kind at it are one
  std::string what;                      // "writes UB [256, 512)", "sets flag MTE2->V EVENT_ID0"
  std::string frames;  // CallTable::Describe: "  at copy.h:12 (Copy)\n...": the place
};

struct Finding {
  std::string checker;      // "race", "memory", "sync"
  std::string kind;         // for programs: "read-after-write", "undefined-output"; stable
  std::string headline;     // one line without a newline
  std::string kernel;       // "<entry>_<key>"
  std::vector<Site> sites;  // in the order of the text: earlier access first
  std::string missing;      // one line: the order that does not exist; may be empty
  std::string fix;          // one line: what would bring it about; may be empty
  uint64_t count = 1;       // how often these places met
};

// The text that users read; ends with a newline.
std::string FindingText(const Finding& finding);

class FindingSink {
 public:
  virtual ~FindingSink() = default;
  virtual void Report(Finding finding) = 0;
};

// Keeps the first `limit` findings of different kind or place and counts the
// repetitions of each.
class FindingList : public FindingSink {
 public:
  explicit FindingList(size_t limit = 64) : limit_(limit) {}
  void Report(Finding finding) override;
  const std::vector<Finding>& findings() const { return findings_; }
  uint64_t dropped() const { return dropped_; }  // of new kinds or places, beyond the limit
  void Clear();

 private:
  const size_t limit_;
  std::vector<Finding> findings_;
  std::map<std::string, size_t> index_;  // kind and places -> position
  uint64_t dropped_ = 0;
};

}  // namespace vnpu

#endif  // VNPU_CHECK_FINDING_H_
