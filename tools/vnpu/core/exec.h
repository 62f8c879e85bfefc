// SPDX-License-Identifier: Apache-2.0
// What the handler of an intrinsic sees: its arguments, and its operands as
// checked host memory. Every access of a handler goes through Read, Write or
// Update, which check bounds and alignment and tell the observers.
//
// Next: tools/vnpu/isa/insns/copy_gm_ub.cc - the simplest handlers.
#ifndef VNPU_CORE_EXEC_H_
#define VNPU_CORE_EXEC_H_

#include <cstdint>
#include <string>

#include "tools/vnpu/core/core.h"

namespace vnpu {

// Extent of an operand: runs of bytes, repeated in up to three dimensions,
// outermost first. A count of 0 anywhere is the caller's no-op.
struct Runs {
  uint64_t run;
  Dim dims[3];

  explicit Runs(uint64_t bytes) : run(bytes) {}
  Runs(uint64_t bytes, Dim inner) : run(bytes) { dims[2] = inner; }
  Runs(uint64_t bytes, Dim outer, Dim inner) : run(bytes) {
    dims[1] = outer;
    dims[2] = inner;
  }
  Runs(uint64_t bytes, Dim outer, Dim middle, Dim inner) : run(bytes) {
    dims[0] = outer;
    dims[1] = middle;
    dims[2] = inner;
  }
};

class Exec {
 public:
  Exec(Core& core, const Instruction& in) : core_(core), in_(in), row_(RowOf(in.insn)) {}

  int64_t arg(int i) const { return in_.args[i]; }
  uint64_t u(int i) const { return static_cast<uint64_t>(in_.args[i]); }
  uint32_t insn() const { return in_.insn; }
  uint32_t type() const { return in_.type; }
  const Spr& spr() const { return *in_.spr; }
  bool ctrl(int bit) const { return (in_.spr->ctrl >> bit & 1) != 0; }
  Core& core() { return core_; }
  const Instruction& in() const { return in_; }

  // The operand whose address is argument `operand`, or an address given in
  // its place. `align` 0 means the natural one of the buffer.
  const uint8_t* Read(int operand, const Runs& runs, uint32_t align = 0) {
    return Resolve(operand, u(operand), runs, false, align, nullptr, 0);
  }
  uint8_t* Write(int operand, const Runs& runs, uint32_t align = 0) {
    return Resolve(operand, u(operand), runs, true, align, nullptr, 0);
  }
  uint8_t* Access(int operand, uint64_t base, const Runs& runs, bool write, uint32_t align,
                  const uint64_t* lane_mask, uint32_t lane_bytes) {
    return Resolve(operand, base, runs, write, align, lane_mask, lane_bytes);
  }

  // Bytes whose address is not an argument itself; reported under `operand`,
  // the argument that says where or how they are used.
  uint8_t* AccessIn(Space space, int operand, uint64_t base, const Runs& runs, bool write,
                    uint32_t align = 0) {
    return ResolveIn(space, operand, base, runs, write, align, nullptr, 0);
  }

  // Ends the core with "<what>: <intrinsic> <detail>".
  [[noreturn]] void Fail(const std::string& what, const std::string& detail);
  [[noreturn]] void Unsupported(const std::string& detail) { Fail("not modelled", detail); }
  void Require(uint32_t spr_bit, const char* setter) {
    if ((spr().defined & spr_bit) == 0) FailUndefined(setter);
  }
  void Result(int64_t value) { core_.result = value; }

 private:
  uint8_t* Resolve(int operand, uint64_t base, const Runs& runs, bool write, uint32_t align,
                   const uint64_t* lane_mask, uint32_t lane_bytes) {
    return ResolveIn(row_.args[operand].space, operand, base, runs, write, align, lane_mask,
                     lane_bytes);
  }
  uint8_t* ResolveIn(Space space, int operand, uint64_t base, const Runs& runs, bool write,
                     uint32_t align, const uint64_t* lane_mask, uint32_t lane_bytes);
  [[noreturn]] void FailBounds(int operand, Space space, int64_t begin, int64_t end, bool write);
  [[noreturn]] void FailAlign(int operand, Space space, uint64_t base, uint32_t align);
  [[noreturn]] void FailUndefined(const char* setter);

  Core& core_;
  const Instruction& in_;
  const InsnRow& row_;
};

}  // namespace vnpu

#endif  // VNPU_CORE_EXEC_H_
