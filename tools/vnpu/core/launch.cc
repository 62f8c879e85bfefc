// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/core/launch.h"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <tuple>

#include "tools/vnpu/core/deadlock.h"

namespace vnpu {
namespace {

// Rounds in which the cores of a thread only polled before it starts another
// block: what they poll for may be written by one that has not started.
constexpr int kPollsBeforeNextBlock = 64;
// The same after another core has failed: nobody will write it any more.
constexpr int kPollsAfterFailure = 10000;

}  // namespace

std::unique_ptr<Block> BlockPool::Take() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) return std::make_unique<Block>();
  std::unique_ptr<Block> block = std::move(free_.back());
  free_.pop_back();
  return block;
}

void BlockPool::Return(std::unique_ptr<Block> block) {
  std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(block));
}

Launch::Launch(const DeviceConfig& config, const Kernel& kernel, uint32_t num_blocks,
               const void* args, const GlobalMemory& gm, const std::vector<Observer*>& observers,
               BlockPool* pool, StreamFilter* filter)
    : config_(config),
      kernel_(kernel),
      num_blocks_(num_blocks),
      args_(args),
      gm_(gm),
      observers_(observers),
      pool_(pool),
      filter_(filter),
      has_aic_(kernel.aic != nullptr),
      aivs_(kernel.mixed            ? 2
            : kernel.aiv != nullptr ? 1
                                    : 0) {
  const uint32_t cores[2] = {num_blocks * aivs_, has_aic_ ? num_blocks : 0};
  for (int kind = 0; kind < 2; ++kind) {
    for (unsigned flag = 0; flag < kCrossCoreFlags; ++flag) {
      barriers_done_[kind][flag] = 0;
      missing_[kind][flag] = cores[kind];
    }
  }
}

std::string Launch::Arrive(bool is_aic, uint32_t core_index, int flag) {
  const uint32_t limit = config_.num_cores * (is_aic || kernel_.mixed ? 1 : 2);
  if (num_blocks_ > limit) {
    return "barrier cannot complete: mode 0 waits for all " + std::to_string(num_blocks_) +
           " blocks of the launch, but only " + std::to_string(limit) + " run at a time";
  }
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<uint32_t>& arrived = arrivals_[is_aic][flag];
  if (arrived.empty()) arrived.resize(missing_[is_aic][flag]);
  uint32_t& missing = missing_[is_aic][flag];
  if (arrived[core_index]++ > 0) {
    if (arrived[core_index] > kCrossCoreCounterMax) {
      return "counter overflow: cross-core flag " + std::to_string(flag) +
             ": this core has arrived at 16 barriers that other cores have not reached";
    }
    return "";
  }
  if (--missing > 0) return "";
  for (uint32_t& count : arrived) {
    if (--count == 0) ++missing;
  }
  barriers_done_[is_aic][flag].fetch_add(1, std::memory_order_release);
  ++epoch_;
  idle_ = 0;  // those who waited have work, whether or not they have woken up yet
  barrier_completed_.notify_all();
  return "";
}

bool Launch::StartNext(std::vector<std::unique_ptr<Block>>* active) {
  const uint32_t index = next_block_.fetch_add(1);
  if (index >= num_blocks_) return false;
  std::unique_ptr<Block> block = pool_->Take();
  block->Begin(this, index, has_aic_, aivs_);
  active->push_back(std::move(block));
  return true;
}

// Cross-core flags of a block whose cores have all finished.
void Launch::CheckCrossCore(Block* block) {
  for (Core* core : block->cores()) {
    for (unsigned flag = 0; flag < kCrossCoreFlags; ++flag) {
      const int left = core->CounterValue(flag);
      if (left == 0) continue;
      core->AddFault(
          FaultKind::kException,
          "leftover cross-core flag: counter " + std::to_string(flag) + " of " +
              RoleName(core->role()) + " is " + std::to_string(left) +
              " at the end of the kernel; the next kernel would not wait" +
              core->LastSet(static_cast<int>(flag)),
          nullptr,
          "wait_flag_dev once per set: the receiver of credits takes as many as were handed "
          "out before it ends");
    }
  }
  for (unsigned flag = 0; flag < kCrossCoreFlags; ++flag) {
    for (int mode = 1; mode <= 2; ++mode) {
      const Block::Pair& pair = (mode == 1 ? block->mode1 : block->mode2)[flag];
      for (int i = 0; i < 2; ++i) {
        if (pair.arrived[i] == 0) continue;
        block->aiv(i)->AddFault(FaultKind::kException,
                                "leftover cross-core flag: AIV" + std::to_string(i) +
                                    " has set flag " + std::to_string(flag) + " in mode " +
                                    std::to_string(mode) + " " + std::to_string(pair.arrived[i]) +
                                    " times more often than AIV" + std::to_string(1 - i),
                                nullptr, "both AIVs must set the flag equally often");
      }
    }
  }
}

void Launch::Retire(std::unique_ptr<Block> block) {
  bool failed = false;
  for (Core* core : block->cores()) failed |= !core->faults().empty();
  if (block->finished() && !failed) CheckCrossCore(block.get());
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Core* core : block->cores()) {
      for (const FaultReport& report : core->faults()) {
        found_.push_back(Found{block->index(), core->role(), report});
      }
      const std::string wait = core->DescribeWait();
      if (!wait.empty()) blocked_.push_back(Blocked{block->index(), core->role(), wait});
    }
    const auto at_barrier = [this](const Core& core, int flag) {
      const auto& arrived = arrivals_[core.is_aic()][flag];
      return !arrived.empty() && missing_[core.is_aic()][flag] < arrived.size();
    };
    if (!block->finished()) {
      const std::string cycle = DescribeCycle(block.get(), at_barrier);
      if (!cycle.empty() && (cycle_.empty() || block->index() < cycle_block_)) {
        cycle_ = cycle;
        cycle_block_ = block->index();
      }
    }
    if (!found_.empty()) failed_ = true;
  }
  pool_->Return(std::move(block));
}

uint64_t Launch::Epoch() {
  std::lock_guard<std::mutex> lock(mutex_);
  return epoch_;
}

bool Launch::WaitForBarrier(uint64_t seen_epoch) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (epoch_ == seen_epoch && ++idle_ == threads_) {
    stopped_ = true;
    barrier_completed_.notify_all();
  }
  barrier_completed_.wait(lock, [&] { return stopped_ || epoch_ != seen_epoch; });
  return !stopped_;
}

void Launch::Expire() {
  std::lock_guard<std::mutex> lock(mutex_);
  expired_ = true;
  stopped_ = true;
  barrier_completed_.notify_all();
}

void Launch::Work() {
  std::vector<std::unique_ptr<Block>> active;
  int polls = 0;
  while (!expired()) {
    const uint64_t epoch = Epoch();
    bool moved = false;
    bool polling = false;
    for (auto& block : active) {
      const Block::Progress progress = block->Run();
      moved |= progress == Block::Progress::kMoved;
      polling |= progress == Block::Progress::kYielded;
      for (Core* core : block->cores()) {
        if (!core->faults().empty()) failed_ = true;
      }
      if (block->finished()) Retire(std::move(block));
    }
    active.erase(std::remove(active.begin(), active.end(), nullptr), active.end());
    if (moved) {
      polls = 0;
      continue;
    }
    if (polling && ++polls < kPollsBeforeNextBlock) continue;
    if (StartNext(&active)) continue;
    if (active.empty()) break;
    if (polling) {
      if (failed() && polls > kPollsAfterFailure) break;
      std::this_thread::yield();
    } else if (!WaitForBarrier(epoch)) {
      break;
    }
  }
  for (auto& block : active) Retire(std::move(block));
  std::lock_guard<std::mutex> lock(mutex_);
  --threads_;
  // The others may now all be idle.
  if (idle_ == threads_) {
    stopped_ = true;
    barrier_completed_.notify_all();
  }
}

void Launch::AddNote(const CoreId& core, const void* place, const std::string& text) {
  std::lock_guard<std::mutex> lock(mutex_);
  Note& note = notes_[place];
  const bool lower = std::tie(core.block, core.role) < std::tie(note.block, note.role);
  if (note.text.empty() || lower) note = Note{core.block, core.role, text};
}

LaunchResult Launch::Result() {
  LaunchResult result = Verdict();
  for (const auto& [place, note] : notes_) result.notes.push_back(note.text);
  return result;
}

LaunchResult Launch::Verdict() {
  LaunchResult result;
  if (!found_.empty()) {
    const auto lowest =
        std::min_element(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
          return a.block != b.block ? a.block < b.block : a.role < b.role;
        });
    result.fault = lowest->report.kind;
    result.text = lowest->report.text;
  } else if (!blocked_.empty()) {
    result = DeadlockResult();
  } else if (expired()) {
    result.fault = FaultKind::kDeadlock;
    result.text = Headline(0) + "\n";
  }
  return result;
}

std::string Launch::Headline(size_t blocked) const {
  const uint32_t cores = num_blocks_ * ((has_aic_ ? 1 : 0) + aivs_);
  if (!expired()) {
    return "deadlock: " + std::to_string(blocked) + " of " + std::to_string(cores) +
           " cores wait and no core can go on";
  }
  char limit[32];
  std::snprintf(limit, sizeof(limit), "%g", config_.launch_timeout_seconds);
  return "timeout: the launch has not ended after " + std::string(limit) + " s; " +
         std::to_string(blocked) + " of " + std::to_string(cores) + " cores were at work";
}

LaunchResult Launch::DeadlockResult() const {
  std::vector<Blocked> blocked = blocked_;
  std::sort(blocked.begin(), blocked.end(), [](const Blocked& a, const Blocked& b) {
    return a.block != b.block ? a.block < b.block : a.role < b.role;
  });
  LaunchResult result;
  result.fault = FaultKind::kDeadlock;
  result.text = Headline(blocked.size()) + "\n  kernel " + kernel_.name + ", " +
                std::to_string(num_blocks_) + " blocks\n";
  bool barrier_open = false;
  // Cores that have arrived at a barrier of which others know nothing.
  for (int kind = 0; kind < 2; ++kind) {
    for (unsigned flag = 0; flag < kCrossCoreFlags; ++flag) {
      const auto& arrived = arrivals_[kind][flag];
      const uint32_t missing = missing_[kind][flag];
      if (arrived.empty() || missing == arrived.size()) continue;
      result.text += "barrier of all " + std::string(kind == 1 ? "AICs" : "AIVs") +
                     " on cross-core flag " + std::to_string(flag) + ": " +
                     std::to_string(arrived.size() - missing) + " of " +
                     std::to_string(arrived.size()) + " have arrived; missing:";
      int named = 0;
      for (size_t i = 0; i < arrived.size() && named < 8; ++i) {
        if (arrived[i] != 0) continue;
        const size_t per_block = kind == 1 ? 1 : aivs_;
        result.text += " block " + std::to_string(i / per_block) +
                       (kind == 1 ? " AIC" : " AIV" + std::to_string(i % per_block)) + ",";
        ++named;
      }
      result.text.pop_back();
      result.text += missing > 8 ? ", ...\n" : "\n";
      barrier_open = true;
    }
  }
  // Cores that wait for the same thing at the same place are one paragraph.
  std::vector<bool> told(blocked.size(), false);
  for (size_t i = 0; i < blocked.size(); ++i) {
    if (told[i]) continue;
    std::string names;
    int more = 0;
    for (size_t j = i; j < blocked.size(); ++j) {
      if (told[j] || blocked[j].text != blocked[i].text) continue;
      told[j] = true;
      constexpr size_t kMaxNames = 80;
      if (names.size() > kMaxNames) {
        ++more;
        continue;
      }
      names += (names.empty() ? "" : ", ") + ("block " + std::to_string(blocked[j].block)) + " " +
               RoleName(blocked[j].role);
    }
    if (more > 0) names += " and " + std::to_string(more) + " more";
    result.text += names + "\n" + blocked[i].text;
  }
  // Blocks run the same program: one of them explains all.
  if (!expired()) result.text += cycle_;
  if (barrier_open) {
    result.text +=
        "fix     every core of the kind that was launched must set a mode-0 flag: none may "
        "return before it\n";
  }
  return result;
}

}  // namespace vnpu
