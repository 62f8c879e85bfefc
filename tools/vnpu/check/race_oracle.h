// SPDX-License-Identifier: Apache-2.0
// Races of a race_play.h launch by brute force, to compare the detector with:
// every start and end of an instruction is a node, every rule of the machine an
// edge, bytes are bits, and all pairs of accesses are looked at. Shares no code
// with the detector.
#ifndef VNPU_CHECK_RACE_ORACLE_H_
#define VNPU_CHECK_RACE_ORACLE_H_

#include <bitset>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "tools/vnpu/check/race_play.h"

namespace race_play {

constexpr int kBytes = 16384;  // of each memory, as far as programs reach
using Bytes = std::bitset<kBytes>;

// Numbers of pipe_t.
enum PipeNumber { kS, kV, kM, kMte1, kMte2, kMte3, kFixPipe, kAll, kNumPipes = 7 };
// Memories; on-chip ones are of one core.
enum Memory { kGm, kUb, kL1, kL0a, kL0c };

struct Touched {
  Memory memory;
  bool write;
  Bytes bytes;
};
// Pipe that executes the op, and what it touches.
int PipeOf(const Op& op);
std::vector<Touched> TouchedBy(const Op& op);

struct OpId {
  int core;  // block * 3 + role
  int op;
  bool operator<(const OpId& o) const { return std::tie(core, op) < std::tie(o.core, o.op); }
  bool operator==(const OpId& o) const { return core == o.core && op == o.op; }
};

enum class Verdict { kNone, kRace, kMissingBarrier };

class Oracle {
 public:
  explicit Oracle(const std::vector<Program>& programs);
  // Of two different ops, `first` earlier in the run.
  Verdict Judge(const OpId& first, const OpId& second) const;
  // All ops that touch memory.
  const std::vector<OpId>& accesses() const { return accesses_; }

 private:
  struct Node {
    int issue = -1, start = -1, end = -1;
  };
  const Op& At(const OpId& id) const { return programs_[id.core].ops[id.op]; }
  int NewNode();
  void Edge(int from, int to) { edges_[from].push_back(to); }
  void AddCore(int core);
  void AddSync(int core, int op, const std::vector<int> (&earlier)[kNumPipes]);
  void AddFlags();
  void AddSignals();
  bool Before(int from, int to) const { return reach_[from][to]; }
  void Close();

  const std::vector<Program>& programs_;
  std::vector<std::vector<Node>> nodes_;  // [core][op]
  std::vector<std::vector<int>> edges_;
  std::vector<std::vector<bool>> reach_;
  std::vector<OpId> accesses_;
  std::map<OpId, std::vector<Touched>> touched_;
};

}  // namespace race_play

#endif  // VNPU_CHECK_RACE_ORACLE_H_
