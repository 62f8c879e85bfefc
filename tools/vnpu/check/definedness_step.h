// SPDX-License-Identifier: Apache-2.0
// One instruction as the definedness rules see it: its accesses, and the shadow
// of the memories of its core.
//
// Next: tools/vnpu/check/definedness_rules.h - what the instructions do to it.
#ifndef VNPU_CHECK_DEFINEDNESS_STEP_H_
#define VNPU_CHECK_DEFINEDNESS_STEP_H_

#include <cstdint>
#include <map>
#include <vector>

#include "tools/vnpu/check/access_ranges.h"
#include "tools/vnpu/check/shadow_memory.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {

// An operand's bytes. `lanes` is set where a lane mask applies.
struct Operand {
  Access access;
  uint64_t mask[2] = {0, 0};
  bool lanes = false;
  size_t sample = 0;  // of a small read: where its bytes are in CoreShadow::samples
  bool sampled = false;
};

// Registers that vector instructions leave for the scalar unit.
enum class ScalarResult : uint8_t { kRsvdCnt, kAccVal, kMaxMinCnt, kVms4Sr };

// Shadow state of one core.
struct CoreShadow {
  PadShadow pads[kNumSpaces];
  uint64_t compare_mask[2] = {0, 0};  // undefined bits
  OriginId compare_mask_origin = 0;
  bool result_undefined[4] = {};
  OriginId result_origin[4] = {};
  // UB bytes of packed comparison results of which only some bits are
  // undefined: their byte counts as defined, a select looks here.
  std::map<uint64_t, uint8_t> partial;
  // The instruction that executes.
  std::vector<Operand> operands;
  std::vector<uint8_t> samples;
};

class Step;

// What the rules need of the checker.
class StepHost {
 public:
  virtual ~StepHost() = default;
  // A record for bytes that `step` is the first to read.
  virtual OriginId NewOrigin(const Step& step, Space space, uint64_t at) = 0;
  // True if undefined bytes must not be stored at this GM address.
  virtual bool IsOutput(uint64_t address) const = 0;
  // Undefined bytes come to where they matter.
  virtual void ReachOutput(const Step& step, uint64_t address, OriginId origin) = 0;
  virtual void ReachAddress(const Step& step, OriginId origin) = 0;
  virtual void ReachScalar(const Step& step, OriginId origin) = 0;
  virtual bool dummy_is_undefined() const = 0;
};

class Step {
 public:
  Step(const CoreId& core, const Instruction& in, CoreShadow* shadow, GmShadow* gm, StepHost* host)
      : core_(core), in_(in), shadow_(*shadow), gm_(*gm), host_(*host) {}

  const CoreId& core() const { return core_; }
  const Instruction& in() const { return in_; }
  uint64_t arg(int i) const { return static_cast<uint64_t>(in_.args[i]); }
  CoreShadow& shadow() { return shadow_; }
  StepHost& host() { return host_; }
  std::vector<Operand>& operands() { return shadow_.operands; }

  // The n-th access to an operand; null if there are not that many.
  const Operand* Find(int operand, bool write, int n = 0) const;
  // The bytes of a sampled read, as they were before the instruction.
  const uint8_t* Sample(const Operand& operand) const {
    return shadow_.samples.data() + operand.sample;
  }

  // ---- shadow bits: 1 where undefined. Counts of 1..64.
  bool Any(Space space, uint64_t at, uint64_t bytes);
  uint64_t Load(Space space, uint64_t at, uint64_t count);
  // Undefined bytes that are stored get the origin; 0 leaves what is there.
  void Store(Space space, uint64_t at, uint64_t count, uint64_t bits, OriginId origin);
  void Fill(Space space, uint64_t at, uint64_t bytes, bool undefined, OriginId origin = 0);
  // Copies the bits of `bytes` bytes.
  void Copy(Space to_space, uint64_t to, Space from_space, uint64_t from, uint64_t bytes);
  // Where the undefined bytes at `at` came from; if nobody has read them
  // before, this instruction.
  OriginId OriginAt(Space space, uint64_t at);
  OriginId FreshOrigin(Space space, uint64_t at);  // this instruction
  // The origin of the first undefined byte of [at, at + bytes).
  OriginId OriginIn(Space space, uint64_t at, uint64_t bytes);

  bool AnyRead(const Operand& operand);
  bool AnyRead();
  // All bytes written become defined; lanes that are masked off keep.
  void DefineWrites();
  void DefineWrite(const Operand& operand);

 private:
  void ForgetPartial(uint64_t at, uint64_t bytes);
  uint64_t KeepOutputClean(uint64_t at, uint64_t bits, OriginId origin);

  const CoreId& core_;
  const Instruction& in_;
  CoreShadow& shadow_;
  GmShadow& gm_;
  StepHost& host_;
  OriginId fresh_[kNumSpaces] = {};  // made for this instruction
};

// A bit per lane of 1, 2, 4 or 8 bytes -> a bit per byte, for one datablock.
uint32_t SpreadLanes(uint64_t lanes, uint32_t lane_bytes);
// The reverse: lanes of which any byte is set.
uint32_t CollapseLanes(uint32_t bytes, uint32_t lane_bytes);

}  // namespace vnpu

#endif  // VNPU_CHECK_DEFINEDNESS_STEP_H_
