// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/mutation/mutator.h"

#include <algorithm>
#include <tuple>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace {

constexpr uint64_t kShrinkBytes = 32;

bool IsSyncInsn(uint16_t insn) {
  switch (insn) {
    case VNPU_INSN_set_flag:
    case VNPU_INSN_wait_flag:
    case VNPU_INSN_pipe_barrier:
    case VNPU_INSN_ffts_cross_core_sync:
    case VNPU_INSN_wait_flag_dev:
    case VNPU_INSN_dsb:
    case VNPU_INSN_dcci:
      return true;
    default:
      return false;
  }
}

int CrossCoreFlag(const Instruction& in) {
  return in.insn == VNPU_INSN_wait_flag_dev ? static_cast<int>(in.args[0])
                                            : static_cast<int>(in.args[1] >> 8 & 15);
}

std::string Pair(int64_t src, int64_t dst) {
  return std::string(PipeName(static_cast<Pipe>(src))) + "->" + PipeName(static_cast<Pipe>(dst));
}

// Arguments that count something, and by how much less one is short.
int64_t Step(const InsnRow& row, const std::string& argument) {
  static const std::set<std::string> kCounts = {"nBurst", "lenBurst", "nValue", "dValue", "repeat",
                                                "nSize",  "mSize",    "m",      "k",      "n"};
  if (kCounts.count(argument) == 0) return 0;
  const std::string name = row.name;
  if (argument != "lenBurst" || name.find("_align_b") == std::string::npos) return 1;
  if (name.back() == '8') return 1;  // these count bytes, of whole elements
  return name.back() == '6' ? 2 : 4;
}

const std::vector<Pipe>& PipesOf(CoreRole role) {
  static const std::vector<Pipe> kAic = {Pipe::kM, Pipe::kMte1, Pipe::kMte2, Pipe::kMte3,
                                         Pipe::kFix};
  static const std::vector<Pipe> kAiv = {Pipe::kV, Pipe::kMte2, Pipe::kMte3};
  return role == CoreRole::kAic ? kAic : kAiv;
}

}  // namespace

const char* MutationKindName(MutationKind kind) {
  switch (kind) {
    case MutationKind::kDrop:
      return "drop";
    case MutationKind::kDropPair:
      return "drop-pair";
    case MutationKind::kMovePipe:
      return "move-pipe";
    case MutationKind::kShorten:
      return "shorten";
    case MutationKind::kOneSlot:
      return "one-slot";
    case MutationKind::kShrink:
      return "shrink";
  }
  return "";
}

bool IsSync(MutationKind kind) { return kind <= MutationKind::kMovePipe; }

Mutator::Mutator(Device* device) : device_(device) {
  device_->AddObserver(this);
  device_->SetStreamFilter(this);
}

Mutator::~Mutator() {
  device_->SetStreamFilter(nullptr);
  device_->RemoveObserver(this);
}

void Mutator::Record(const std::string& prefix) {
  recording_ = true;
  prefix_ = prefix;
  mutation_ = nullptr;
  places_.clear();
  channels_.clear();
  parent_.clear();
  used_.clear();
}

void Mutator::Apply(const Mutation* mutation) {
  mutation_ = mutation;
  applied_ = 0;
}

// ---- during launches

void Mutator::OnLaunchBegin(const LaunchInfo& info) {
  info_ = info;
  kernel_ = info.kernel;
  matches_ = recording_ ? kernel_.rfind(prefix_, 0) == 0
                        : mutation_ != nullptr && mutation_->kernel == kernel_;
  if (!matches_ || mutation_ == nullptr || mutation_->kind != MutationKind::kShrink) return;
  for (const Region& region : device_->Regions()) {
    if (region.name != mutation_->region) continue;
    const uint64_t kept = static_cast<uint64_t>(mutation_->value);
    shrunk_.push_back(region);
    device_->NameRegion(reinterpret_cast<void*>(region.begin), kept, region.name, region.rule);
    device_->NameRegion(reinterpret_cast<void*>(region.begin + kept), region.bytes - kept,
                        region.name + " (taken away)", RegionRule::kNoAccess);
    ++applied_;
  }
}

void Mutator::OnLaunchEnd(LaunchResult*) {
  if (recording_ && matches_) JoinChannels();
  for (const Region& region : shrunk_) {
    device_->NameRegion(reinterpret_cast<void*>(region.begin), region.bytes, region.name,
                        region.rule);
  }
  shrunk_.clear();
  matches_ = false;
}

void Mutator::OnAccess(const CoreId&, const Instruction&, const Access& access, std::string*) {
  if (!recording_ || !matches_ || access.space != Space::kGm) return;
  Region region;
  if (!device_->FindRegion(access.base, &region) || region.rule == RegionRule::kReadOnly) return;
  int64_t high = static_cast<int64_t>(access.run);
  for (const Dim& dim : access.dims) {
    high += std::max<int64_t>(0, static_cast<int64_t>(dim.count - 1) * dim.stride);
  }
  uint64_t& used = used_[{kernel_, region.name}];
  used = std::max(used, access.base - region.begin + static_cast<uint64_t>(high));
}

StreamFilter::Action Mutator::OnIssue(const CoreId& core, const Instruction& in, int64_t* args) {
  if (!matches_) return Action::kKeep;
  if (recording_) {
    Note(core, in);
    return Action::kKeep;
  }
  const auto& places = mutation_->places;
  if (std::find(places.begin(), places.end(), in.return_address) == places.end()) {
    return Action::kKeep;
  }
  const InsnRow& row = RowOf(in.insn);
  switch (mutation_->kind) {
    case MutationKind::kDrop:
    case MutationKind::kDropPair:
      if (!IsSyncInsn(in.insn)) return Action::kKeep;
      ++applied_;
      return Action::kDrop;
    case MutationKind::kMovePipe:
      args[0] = mutation_->value;
      ++applied_;
      return Action::kKeep;
    case MutationKind::kShorten:
      if (args[mutation_->argument] < row.args[mutation_->argument].min + mutation_->value) {
        return Action::kKeep;
      }
      args[mutation_->argument] -= mutation_->value;
      ++applied_;
      return Action::kKeep;
    case MutationKind::kOneSlot:
      if (args[mutation_->argument] == mutation_->value) return Action::kKeep;
      args[mutation_->argument] = mutation_->value;
      ++applied_;
      return Action::kKeep;
    case MutationKind::kShrink:
      break;
  }
  return Action::kKeep;
}

// ---- what there is to change

void Mutator::Note(const CoreId& core, const Instruction& in) {
  const PlaceKey key{kernel_, in.return_address};
  const InsnRow& row = RowOf(in.insn);
  Place& place = places_[key];
  if (place.count++ == 0) {
    place.kernel = kernel_;
    place.insn = in.insn;
    place.role = core.role == CoreRole::kAic ? CoreRole::kAic : CoreRole::kAiv0;
    place.first_args.assign(in.args, in.args + row.num_args);
    place.frames = info_.calls->Describe(in.return_address);
  }
  if (IsSyncInsn(in.insn)) {
    NoteChannel(core, in, key);
    return;
  }
  constexpr size_t kMaxSlots = 8;  // more are positions in a tile, not slots
  for (int i = 0; i < row.num_args; ++i) {
    if (!row.args[i].is_address || row.args[i].space == Space::kGm) continue;
    std::set<int64_t>& slots = place.slots[i];
    if (slots.size() <= kMaxSlots) slots.insert(in.args[i]);
  }
  // A count that is 0 at first may grow: the largest tells.
  for (int i = 0; i < row.num_args; ++i) {
    place.first_args[i] = std::max(place.first_args[i], in.args[i]);
  }
}

void Mutator::NoteChannel(const CoreId& core, const Instruction& in, const PlaceKey& key) {
  const bool aic = core.role == CoreRole::kAic;
  const std::string block = kernel_ + "/" + std::to_string(core.block) + "/";
  const std::string me = RoleName(core.role);
  const auto wait = [&](Channel* channel, size_t waiter) {
    if (channel->waits.size() <= waiter) channel->waits.resize(waiter + 1);
    channel->waits[waiter].push_back(key);
  };
  switch (in.insn) {
    case VNPU_INSN_set_flag:
    case VNPU_INSN_wait_flag: {
      Channel& channel =
          channels_[block + me + "/" + Pair(in.args[0], in.args[1]) + std::to_string(in.args[2])];
      if (in.insn == VNPU_INSN_set_flag) {
        channel.sets.push_back(key);
      } else {
        wait(&channel, 0);
      }
      return;
    }
    case VNPU_INSN_ffts_cross_core_sync: {
      // Which of the three modes it is decides whose waits it meets: note the
      // set for every core that may wait for it.
      const int mode = static_cast<int>(in.args[1] >> 4 & 3);
      const std::string flag = "/cross" + std::to_string(CrossCoreFlag(in));
      const bool to_aic = mode == 2 && !aic;
      const bool to_aivs = (mode == 2 && aic) || mode == 1 || (mode == 0 && !aic);
      if (to_aic || (mode == 0 && aic)) channels_[block + "AIC" + flag + me].sets.push_back(key);
      if (to_aivs && aic) channels_[block + "AIV" + flag + me].sets.push_back(key);
      if (to_aivs && !aic) channels_[block + "AIV" + flag + me].sets.push_back(key);
      return;
    }
    case VNPU_INSN_wait_flag_dev: {
      const std::string flag = "/cross" + std::to_string(CrossCoreFlag(in));
      const std::string kind = aic ? "AIC" : "AIV";
      for (const char* setter : {"AIC", "AIV0", "AIV1"}) {
        // Only channels that have sets are looked at later.
        wait(&channels_[block + kind + flag + setter],
             core.role == CoreRole::kAiv1 ? size_t{1} : size_t{0});
      }
      return;
    }
    default:
      return;
  }
}

Mutator::PlaceKey Mutator::Root(PlaceKey key) const {
  for (auto it = parent_.find(key); it != parent_.end() && it->second != key;
       it = parent_.find(key)) {
    key = it->second;
  }
  return key;
}

// The n-th set of a flag meets the n-th wait. Places that ever met, directly or
// through others, are one flag.
void Mutator::JoinChannels() {
  for (const auto& [name, channel] : channels_) {
    for (const auto& waits : channel.waits) {
      const size_t met = std::min(channel.sets.size(), waits.size());
      for (size_t i = 0; i < met; ++i) {
        const PlaceKey a = Root(channel.sets[i]);
        const PlaceKey b = Root(waits[i]);
        parent_.emplace(a, a);
        parent_[b] = a;
      }
    }
  }
  channels_.clear();
}

std::string Mutator::What(const Place& place) const {
  const InsnRow& row = RowOf(place.insn);
  std::string text = row.name;
  const auto& args = place.first_args;
  switch (place.insn) {
    case VNPU_INSN_set_flag:
    case VNPU_INSN_wait_flag:
      text += " " + Pair(args[0], args[1]);
      break;
    case VNPU_INSN_pipe_barrier:
      text += " " + std::string(PipeName(static_cast<Pipe>(args[0])));
      break;
    case VNPU_INSN_ffts_cross_core_sync:
      text += " " + std::string(PipeName(static_cast<Pipe>(args[0]))) + " mode " +
              std::to_string(args[1] >> 4 & 3) + " flag " + std::to_string(args[1] >> 8 & 15);
      break;
    case VNPU_INSN_wait_flag_dev:
      text += " flag " + std::to_string(args[0]);
      break;
    default:
      break;
  }
  return text + " on " + (place.role == CoreRole::kAic ? "AIC" : "AIV");
}

void Mutator::AddDrops(std::vector<Mutation>* all) const {
  for (const auto& [key, place] : places_) {
    if (!IsSyncInsn(place.insn)) continue;
    Mutation m;
    m.kind = MutationKind::kDrop;
    m.kernel = place.kernel;
    m.what = What(place);
    m.frames = place.frames;
    m.places = {key.second};
    all->push_back(std::move(m));
  }
}

void Mutator::AddPairs(std::vector<Mutation>* all) const {
  std::map<PlaceKey, std::vector<PlaceKey>> flags;
  for (const auto& [key, parent] : parent_) flags[Root(key)].push_back(key);
  for (const auto& [root, keys] : flags) {
    Mutation m;
    m.kind = MutationKind::kDropPair;
    m.kernel = root.first;
    for (const PlaceKey& key : keys) {
      const Place& place = places_.at(key);
      m.what += (m.what.empty() ? "" : ", ") + What(place);
      m.frames += place.frames;
      m.places.push_back(key.second);
    }
    all->push_back(std::move(m));
  }
}

void Mutator::AddMoves(std::vector<Mutation>* all) const {
  for (const auto& [key, place] : places_) {
    if (place.insn != VNPU_INSN_ffts_cross_core_sync) continue;
    for (const Pipe pipe : PipesOf(place.role)) {
      if (static_cast<int64_t>(pipe) == place.first_args[0]) continue;
      Mutation m;
      m.kind = MutationKind::kMovePipe;
      m.kernel = place.kernel;
      m.what = What(place) + ", queued on " + PipeName(pipe);
      m.frames = place.frames;
      m.places = {key.second};
      m.argument = 0;
      m.value = static_cast<int64_t>(pipe);
      all->push_back(std::move(m));
    }
  }
}

void Mutator::AddData(std::vector<Mutation>* all) const {
  for (const auto& [key, place] : places_) {
    if (IsSyncInsn(place.insn)) continue;
    const InsnRow& row = RowOf(place.insn);
    Mutation m;
    m.kernel = place.kernel;
    m.frames = place.frames;
    m.places = {key.second};
    for (int i = 0; i < row.num_args; ++i) {
      m.argument = i;
      const int64_t step = Step(row, row.args[i].name);
      if (step != 0 && place.first_args[i] >= row.args[i].min + step) {
        m.kind = MutationKind::kShorten;
        m.value = step;
        m.what = What(place) + ", " + row.args[i].name + " less " + std::to_string(step);
        all->push_back(m);
      }
      const auto slots = place.slots.find(i);
      if (slots == place.slots.end() || slots->second.size() != 2) continue;
      m.kind = MutationKind::kOneSlot;
      m.value = *slots->second.begin();
      m.what = What(place) + ", " + row.args[i].name + " always at " +
               SpaceName(row.args[i].space) + "+" + std::to_string(m.value);
      all->push_back(m);
    }
  }
}

void Mutator::AddShrinks(std::vector<Mutation>* all) const {
  for (const auto& [key, used] : used_) {
    if (used < kShrinkBytes) continue;
    Mutation m;
    m.kind = MutationKind::kShrink;
    m.kernel = key.first;
    m.region = key.second;
    m.value = static_cast<int64_t>((used - 1) / kShrinkBytes * kShrinkBytes);
    m.what = key.second + " ends at byte " + std::to_string(m.value) + ", of which " +
             std::to_string(used) + " are used";
    all->push_back(std::move(m));
  }
}

std::vector<Mutation> Mutator::Mutations() {
  recording_ = false;
  std::vector<Mutation> all;
  AddDrops(&all);
  AddPairs(&all);
  AddMoves(&all);
  AddData(&all);
  AddShrinks(&all);
  // Addresses differ from process to process, source lines do not.
  const auto order = [](const Mutation& m) {
    return std::tie(m.kernel, m.kind, m.frames, m.what, m.argument, m.value);
  };
  std::sort(all.begin(), all.end(),
            [&](const Mutation& a, const Mutation& b) { return order(a) < order(b); });
  return all;
}

}  // namespace vnpu
