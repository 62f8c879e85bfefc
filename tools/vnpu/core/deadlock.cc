// SPDX-License-Identifier: Apache-2.0
// A node is a pipe, or the scalar unit, of one core that waits. What it waits
// for is set by an instruction that is queued behind another wait, or that the
// scalar program of some core has yet to issue: that pipe or scalar unit is the
// next node.
#include "tools/vnpu/core/deadlock.h"

#include <algorithm>
#include <vector>

#include "tools/vnpu/core/block.h"
#include "tools/vnpu/core/core.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace {

struct Node {
  Core* core = nullptr;
  Pipe pipe = Pipe::kS;
  bool operator==(const Node& other) const { return core == other.core && pipe == other.pipe; }
};

enum class End { kCycle, kEnded, kUnknown };

std::string Name(const Node& node) {
  const std::string core = RoleName(node.core->role());
  return node.pipe == Pipe::kS ? core + " scalar unit" : core + " pipe " + PipeName(node.pipe);
}

// The wait of a node; null if it does not wait.
const Instruction* WaitOf(const Node& node) {
  for (const Core::Waiting& waiting : node.core->Waits()) {
    if (waiting.pipe == node.pipe) return waiting.in;
  }
  return nullptr;
}

class Walk {
 public:
  Walk(Block* block, const std::function<bool(const Core&, int)>& at_barrier)
      : block_(*block), at_barrier_(at_barrier) {}

  End From(Node node) {
    path_.clear();
    lines_.clear();
    cross_core_ = false;
    while (true) {
      const auto seen = std::find(path_.begin(), path_.end(), node);
      if (seen != path_.end()) {
        lines_.erase(lines_.begin(), lines_.begin() + (seen - path_.begin()));
        return End::kCycle;
      }
      const Instruction* in = WaitOf(node);
      if (in == nullptr) {
        return node.core->state() == CoreState::kFinished || node.core->ended() ? End::kEnded
                                                                                : End::kUnknown;
      }
      path_.push_back(node);
      if (!Next(*in, &node)) return End::kUnknown;
    }
  }
  const std::vector<std::string>& lines() const { return lines_; }
  bool cross_core() const { return cross_core_; }

 private:
  // The node that `*node` waits for, and the line that says so.
  bool Next(const Instruction& in, Node* node) {
    if (in.insn == VNPU_INSN_wait_flag) return NextOfFlag(in, node);
    if (in.insn == VNPU_INSN_wait_flag_dev) return NextOfCrossCore(in, node);
    for (const Core::Waiting& waiting : node->core->Waits()) {  // pipe_barrier
      if (waiting.pipe == Pipe::kS) continue;
      lines_.push_back("  " + Name(*node) + " waits in " + RowOf(in.insn).name + " for pipe " +
                       PipeName(waiting.pipe));
      node->pipe = waiting.pipe;
      return true;
    }
    return false;
  }

  bool NextOfFlag(const Instruction& in, Node* node) {
    const Node waiter = *node;
    const auto src = static_cast<Pipe>(in.args[0]);
    const bool queued = node->core->QueuesFlag(in);
    node->pipe = queued ? src : Pipe::kS;
    lines_.push_back("  " + Name(waiter) + " waits for flag " + PipeName(src) + "->" +
                     PipeName(static_cast<Pipe>(in.args[1])) + " EVENT_ID" +
                     std::to_string(in.args[2]) + ", which " + Setter(*node, queued));
    return true;
  }

  bool NextOfCrossCore(const Instruction& in, Node* node) {
    const int flag = static_cast<int>(in.args[0]);
    if (at_barrier_(*node->core, flag)) return false;
    cross_core_ = true;
    const Node waiter = *node;
    if (!FindSender(flag, node)) return false;
    lines_.push_back("  " + Name(waiter) + " waits for cross-core flag " + std::to_string(flag) +
                     ", which " + Setter(*node, node->pipe != Pipe::kS));
    return true;
  }

  // The core that owes a set of the flag: one that has it queued, else the AIV
  // that lags behind the other, else the first on the other side.
  bool FindSender(int flag, Node* node) {
    Core& waiter = *node->core;
    std::vector<Core*> senders;
    for (Core* core : block_.cores()) {
      if (core != &waiter && core->is_aic() != waiter.is_aic()) senders.push_back(core);
    }
    const Block::Pair& pair = block_.mode2[flag];
    if (waiter.is_aic() && senders.size() == 2 && pair.arrived[0] > pair.arrived[1]) {
      std::swap(senders[0], senders[1]);
    }
    for (Core* core : senders) {
      const Pipe pipe = core->QueuesCrossCore(flag);
      if (pipe == Pipe::kAll) continue;
      *node = Node{core, pipe};
      return true;
    }
    if (senders.empty()) return false;
    *node = Node{senders[0], Pipe::kS};
    return true;
  }

  // How the next node sets what is waited for.
  static std::string Setter(const Node& node, bool queued) {
    if (queued) return Name(node) + " sets behind a wait of its own";
    if (node.core->ended()) {
      return std::string(RoleName(node.core->role())) + " has ended without setting";
    }
    return Name(node) + " has not come to set";
  }

  Block& block_;
  const std::function<bool(const Core&, int)>& at_barrier_;
  std::vector<Node> path_;
  std::vector<std::string> lines_;
  bool cross_core_ = false;
};

}  // namespace

std::string DescribeCycle(Block* block,
                          const std::function<bool(const Core&, int flag)>& at_barrier) {
  Walk walk(block, at_barrier);
  std::string ended;
  for (const bool want_cycle : {true, false}) {
    for (Core* core : block->cores()) {
      for (const Core::Waiting& waiting : core->Waits()) {
        const End end = walk.From(Node{core, waiting.pipe});
        if (end != (want_cycle ? End::kCycle : End::kEnded)) continue;
        std::string text = want_cycle ? "cycle in block " : "nobody sets, in block ";
        text += std::to_string(block->index()) + ":\n";
        for (const std::string& line : walk.lines()) text += line + "\n";
        text += walk.cross_core()
                    ? "fix     one side must signal before it waits; each wait_flag_dev takes one "
                      "ffts_cross_core_sync of the other side (of both AIVs in mode 2)\n"
                    : "fix     set the flag before it is waited for; each wait_flag takes one "
                      "set_flag with the same pipes and event\n";
        return text;
      }
    }
  }
  return "";
}

}  // namespace vnpu
