// SPDX-License-Identifier: Apache-2.0
// Mutation of a kernel's instruction stream, one small fault at a time: the way
// to learn whether checkers and tests would notice a lost flag.
//
//   Mutator mutator(&device);
//   mutator.Record("decode_");                  // then launch the unchanged kernel
//   for (const Mutation& m : mutator.Mutations()) {
//     mutator.Apply(&m);                        // then launch, check, compare
//   }
//   mutator.Apply(nullptr);
//
// A place is one call in the compiled kernel, so that an inlined stage is as
// many places as it has callers. Mutations of synchronisation:
//   drop       one set, wait, barrier, fence or signal is not issued
//   drop-pair  a flag as a whole: the sets and waits that ever met at it
//   move-pipe  a cross-core signal is queued on another pipe of its core
// Mutations of data:
//   shorten    a count is one less (bursts, rows, columns, repeats, m, k, n)
//   one-slot   an operand that alternates between on-chip slots always takes one
//   shrink     a named GM region ends 32 bytes earlier
#ifndef VNPU_MUTATION_MUTATOR_H_
#define VNPU_MUTATION_MUTATOR_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {

enum class MutationKind : uint8_t { kDrop, kDropPair, kMovePipe, kShorten, kOneSlot, kShrink };
const char* MutationKindName(MutationKind kind);  // "drop"
bool IsSync(MutationKind kind);

struct Mutation {
  MutationKind kind;
  std::string kernel;               // "<entry>_<key>"
  std::string what;                 // "set_flag MTE2->V EVENT_ID0", one line
  std::string frames;               // source lines of its places, innermost first
  std::vector<const void*> places;  // return addresses
  int argument = -1;                // of kMovePipe, kShorten, kOneSlot
  int64_t value = 0;                // new pipe; what is taken away; the one slot
  std::string region;               // of kShrink
};

class Mutator : public Observer, public StreamFilter {
 public:
  explicit Mutator(Device* device);
  ~Mutator() override;
  Mutator(const Mutator&) = delete;
  Mutator& operator=(const Mutator&) = delete;

  // Notes the instructions of launches whose kernel begins with `prefix`, until
  // Mutations() is called.
  void Record(const std::string& prefix);
  // Every mutation of what was recorded, in a fixed order.
  std::vector<Mutation> Mutations();
  // From now on launches run with this fault; null: as they are.
  void Apply(const Mutation* mutation);
  // How often the fault changed something since Apply.
  uint64_t applied() const { return applied_; }

  void OnLaunchBegin(const LaunchInfo& info) override;
  void OnLaunchEnd(LaunchResult* result) override;
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string* finding) override;
  Action OnIssue(const CoreId& core, const Instruction& in, int64_t* args) override;
  using Observer::OnIssue;

 private:
  struct Place {
    std::string kernel;
    uint16_t insn = 0;
    CoreRole role = CoreRole::kAic;
    std::vector<int64_t> first_args;  // of synchronisation; else the largest of each
    std::string frames;
    std::map<int, std::set<int64_t>> slots;  // on-chip operands: addresses seen
    uint64_t count = 0;
  };
  using PlaceKey = std::pair<std::string, const void*>;  // kernel, return address
  // Sets and waits of one flag of one core, or of one cross-core flag of one
  // direction in one block, in issue order.
  struct Channel {
    std::vector<PlaceKey> sets;
    std::vector<std::vector<PlaceKey>> waits;  // one list per waiting core
  };

  void Note(const CoreId& core, const Instruction& in);
  void NoteChannel(const CoreId& core, const Instruction& in, const PlaceKey& key);
  void JoinChannels();
  PlaceKey Root(PlaceKey key) const;
  std::string What(const Place& place) const;
  void AddDrops(std::vector<Mutation>* all) const;
  void AddPairs(std::vector<Mutation>* all) const;
  void AddMoves(std::vector<Mutation>* all) const;
  void AddData(std::vector<Mutation>* all) const;
  void AddShrinks(std::vector<Mutation>* all) const;

  Device* const device_;
  bool recording_ = false;
  std::string prefix_;
  LaunchInfo info_{};
  std::string kernel_;
  bool matches_ = false;
  std::map<PlaceKey, Place> places_;
  std::map<std::string, Channel> channels_;
  std::map<PlaceKey, PlaceKey> parent_;  // flags that share places: union-find
  std::map<std::pair<std::string, std::string>, uint64_t> used_;  // kernel, region: bytes
  const Mutation* mutation_ = nullptr;
  uint64_t applied_ = 0;
  std::vector<Region> shrunk_;
};

}  // namespace vnpu

#endif  // VNPU_MUTATION_MUTATOR_H_
