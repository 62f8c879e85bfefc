// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_oracle.h"

namespace race_play {
namespace {

Bytes Span(uint32_t begin, uint32_t bytes) {
  Bytes all;
  for (uint32_t i = 0; i < bytes; ++i) all.set(begin + i);
  return all;
}

Bytes Rows(uint32_t begin, uint32_t rows, uint32_t bytes, uint32_t pitch) {
  Bytes all;
  for (uint32_t r = 0; r < rows; ++r) all |= Span(begin + r * pitch, bytes);
  return all;
}

Bytes Lanes(uint32_t begin, uint32_t mask) {
  Bytes all;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) != 0) all |= Span(begin + lane * 4, 4);
  }
  return all;
}

bool IsSync(const Op& op) { return op.kind >= kSetFlag; }
bool Atomic(const Op& op) { return op.kind == kStoreUb && op.f != 0; }
int Role(int core) { return core % 3; }

}  // namespace

int PipeOf(const Op& op) {
  switch (op.kind) {
    case kLoadUb:
    case kLoadL1:
      return kMte2;
    case kStoreUb:
      return kMte3;
    case kVector:
      return kV;
    case kLoadL0a:
      return kMte1;
    case kMad:
      return kM;
    case kFix:
      return kFixPipe;
    case kSetFlag:
    case kBarrier:
    case kSignal:
      return static_cast<int>(op.a);
    case kWaitFlag:
      return static_cast<int>(op.b);
    default:
      return kS;
  }
}

std::vector<Touched> TouchedBy(const Op& op) {
  const uint32_t block = op.c * 32;
  switch (op.kind) {
    case kLoadUb:
      return {{kGm, false, Rows(op.b, op.d, block, block + op.e * 32)},
              {kUb, true, Span(op.a, op.d * block)}};
    case kStoreUb:
      return {{kUb, false, Span(op.a, op.d * block)},
              {kGm, true, Rows(op.b, op.d, block, block + op.e * 32)}};
    case kVector:
      return {{kUb, false, Lanes(op.b, op.d)}, {kUb, true, Lanes(op.a, op.d)}};
    case kScalarLoad:
      return {{kUb, false, Span(op.a, 4)}};
    case kScalarStore:
      return {{kUb, true, Span(op.a, 4)}};
    case kLoadL1:
      return {{kGm, false, Span(op.b, block)}, {kL1, true, Span(op.a, block)}};
    case kLoadL0a:
      return {{kL1, false, Span(op.b, 512)}, {kL0a, true, Span(op.a, 512)}};
    case kMad: {
      std::vector<Touched> all = {{kL0a, false, Span(0, 512)},
                                  {kL0c, true, Span(op.a, 1024 * (op.c / 16))}};
      if (op.d != 0) all.push_back({kL0c, false, all[1].bytes});
      return all;
    }
    case kFix:
      return {{kL0c, false, Span(op.a, 128)}, {kGm, true, Rows(op.b, 2, 64, op.c * 4)}};
    default:
      return {};
  }
}

Oracle::Oracle(const std::vector<Program>& programs) : programs_(programs) {
  nodes_.resize(programs.size());
  for (size_t core = 0; core < programs.size(); ++core) AddCore(static_cast<int>(core));
  AddFlags();
  AddSignals();
  Close();
}

int Oracle::NewNode() {
  edges_.emplace_back();
  return static_cast<int>(edges_.size()) - 1;
}

// The scalar unit issues in order. An instruction starts behind its issue and
// the start of the one in front of it in its pipe, and ends some time later.
void Oracle::AddCore(int core) {
  const Program& program = programs_[core];
  std::vector<int> earlier[kNumPipes];  // ends, by pipe; kS: of scalar stores
  int last_issue = -1;
  int gate[kNumPipes];  // what the next start of the pipe waits for
  for (int& g : gate) g = -1;
  for (uint32_t i = 0; i < program.num_ops; ++i) {
    const Op& op = program.ops[i];
    const int pipe = PipeOf(op);
    nodes_[core].push_back(Node{NewNode(), -1, -1});
    Node& node = nodes_[core].back();
    if (last_issue >= 0) Edge(last_issue, node.issue);
    last_issue = node.issue;
    const bool scalar = pipe == kS || pipe == kAll;
    node.start = scalar ? node.issue : NewNode();
    const bool ends_at_once = scalar && op.kind != kScalarStore && op.kind != kSetFlag;
    node.end = ends_at_once ? node.issue : NewNode();
    if (!ends_at_once) Edge(node.start, node.end);
    AddSync(core, static_cast<int>(i), earlier);
    if (!scalar) {
      Edge(node.issue, node.start);
      if (gate[pipe] >= 0) Edge(gate[pipe], node.start);
      const bool blocks = op.kind == kWaitFlag || op.kind == kBarrier;
      gate[pipe] = blocks ? node.end : node.start;
      earlier[pipe].push_back(node.end);
    } else if (op.kind == kScalarStore) {
      earlier[kS].push_back(node.end);
    }
    if (IsSync(op)) continue;
    accesses_.push_back(OpId{core, static_cast<int>(i)});
    touched_[accesses_.back()] = TouchedBy(op);
  }
}

// Sets, signals and barriers complete behind all earlier work of their pipe.
void Oracle::AddSync(int core, int op, const std::vector<int> (&earlier)[kNumPipes]) {
  const Op& what = programs_[core].ops[op];
  const int to = nodes_[core][op].end;
  const auto after = [&](int pipe) {
    for (const int end : earlier[pipe]) Edge(end, to);
  };
  if (what.kind == kFence) after(kS);
  if (what.kind == kBarrier && what.a == kAll) {
    for (int pipe = 0; pipe < kNumPipes; ++pipe) after(pipe);
  } else if (what.kind == kSetFlag || what.kind == kSignal || what.kind == kBarrier) {
    after(static_cast<int>(what.a));
  }
}

// The k-th wait for a flag follows its k-th set.
void Oracle::AddFlags() {
  for (size_t core = 0; core < programs_.size(); ++core) {
    std::map<std::tuple<uint32_t, uint32_t, uint32_t>, std::vector<int>> sets, waits;
    for (uint32_t i = 0; i < programs_[core].num_ops; ++i) {
      const Op& op = programs_[core].ops[i];
      if (op.kind == kSetFlag) sets[{op.a, op.b, op.c}].push_back(nodes_[core][i].end);
      if (op.kind == kWaitFlag) waits[{op.a, op.b, op.c}].push_back(nodes_[core][i].end);
    }
    for (const auto& [flag, ends] : waits) {
      for (size_t k = 0; k < ends.size(); ++k) Edge(sets[flag][k], ends[k]);
    }
  }
}

// The k-th wait for a signal follows the k-th signal of each core it needs.
void Oracle::AddSignals() {
  struct Ends {
    std::vector<int> set, wait;
    uint32_t mode = 0;
  };
  std::map<uint32_t, std::vector<Ends>> flags;  // flag -> by core
  for (size_t core = 0; core < programs_.size(); ++core) {
    for (uint32_t i = 0; i < programs_[core].num_ops; ++i) {
      const Op& op = programs_[core].ops[i];
      if (op.kind != kSignal && op.kind != kWaitSignal) continue;
      auto& ends = flags[op.kind == kSignal ? op.c : op.a];
      ends.resize(programs_.size());
      (op.kind == kSignal ? ends[core].set : ends[core].wait).push_back(nodes_[core][i].end);
      if (op.kind == kSignal) ends[core].mode = op.b;
    }
  }
  const auto needs = [](uint32_t mode, int from, int to) {
    const bool same_block = from / 3 == to / 3, from_aic = Role(from) == 0, to_aic = Role(to) == 0;
    if (mode == 0) return from_aic == to_aic;
    if (mode == 1) return same_block && !from_aic && !to_aic;
    return same_block && from_aic != to_aic;
  };
  for (const auto& [flag, ends] : flags) {
    for (size_t from = 0; from < ends.size(); ++from) {
      for (size_t to = 0; to < ends.size(); ++to) {
        if (ends[from].set.empty()) continue;
        if (!needs(ends[from].mode, static_cast<int>(from), static_cast<int>(to))) continue;
        for (size_t k = 0; k < ends[to].wait.size(); ++k) Edge(ends[from].set[k], ends[to].wait[k]);
      }
    }
  }
}

void Oracle::Close() {
  const size_t n = edges_.size();
  reach_.assign(n, std::vector<bool>(n, false));
  for (size_t from = 0; from < n; ++from) {
    std::vector<int> todo = {static_cast<int>(from)};
    reach_[from][from] = true;
    while (!todo.empty()) {
      const int at = todo.back();
      todo.pop_back();
      for (const int next : edges_[at]) {
        if (reach_[from][next]) continue;
        reach_[from][next] = true;
        todo.push_back(next);
      }
    }
  }
}

Verdict Oracle::Judge(const OpId& first, const OpId& second) const {
  const Op &a = At(first), &b = At(second);
  bool conflict = false, hazard_in_pipe = false;
  for (const Touched& x : touched_.at(first)) {
    for (const Touched& y : touched_.at(second)) {
      if (x.memory != y.memory || !(x.write || y.write) || (x.bytes & y.bytes).none()) continue;
      if (x.memory != kGm && first.core != second.core) continue;
      if (x.write && y.write && Atomic(a) && Atomic(b)) continue;
      conflict = true;
      hazard_in_pipe |= x.write;
    }
  }
  if (!conflict) return Verdict::kNone;
  const Node &na = nodes_[first.core][first.op], &nb = nodes_[second.core][second.op];
  if (Before(na.end, nb.start) || Before(nb.end, na.start)) return Verdict::kNone;
  const int pipe = PipeOf(a);
  if (first.core != second.core || pipe != PipeOf(b)) return Verdict::kRace;
  if (pipe == kS || !hazard_in_pipe) return Verdict::kNone;
  if (pipe == kM && a.c >= 160 && b.c >= 160) return Verdict::kNone;
  return Verdict::kMissingBarrier;
}

}  // namespace race_play
