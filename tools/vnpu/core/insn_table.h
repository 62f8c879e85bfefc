// SPDX-License-Identifier: Apache-2.0
// isa/insns.inc as data: names, pipes, field widths, handlers.
#ifndef VNPU_CORE_INSN_TABLE_H_
#define VNPU_CORE_INSN_TABLE_H_

#include <cstdint>
#include <string>

#include "tools/vnpu/core/types.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {

class Exec;
using Handler = void (*)(Exec&);

enum class CoreSet : uint8_t { kAic = 1, kAiv = 2, kBoth = 3 };
enum class CostClass : uint8_t {
  kScalar,
  kSync,
  kDmaIn,
  kDmaOut,
  kDmaNd2Nz,
  kL1Load,
  kL1LoadTranspose,
  kFill,
  kMad,
  kFixpipe,
  kVector,
  kVectorCopy,
  kVectorDiv,
  kVectorExp,
  kVectorReduce,
  kVectorGather,
  kVectorTranspose,
  kVectorSort,
  kVectorConvert,
};
// How well the behaviour is known; see isa/insns.inc.
enum class Mark : uint8_t { kRun, kEx, kHw, kDoc, kInf };

struct ArgSpec {
  std::string name;
  bool is_address = false;
  bool is_pipe = false;
  bool is_scalar = false;  // bits of the instruction's element type
  Space space = Space::kGm;
  bool limited = false;
  int64_t min = 0;
  int64_t max = 0;
};

struct InsnRow {
  const char* name;
  Pipe pipe;
  CoreSet cores;
  CostClass cost;
  Mark mark;
  Handler handler;
  int num_args = 0;
  int num_limited = 0;
  uint8_t limited[kMaxArgs] = {};  // indices of arguments with a range
  ArgSpec args[kMaxArgs];
};

const InsnRow& RowOf(uint32_t insn);
// "dst=UB+256, src=..., repeat=1"; GM addresses through `describe_gm`.
std::string FormatArgs(const Instruction& in, std::string (*describe_gm)(uint64_t, const void*),
                       const void* context);

}  // namespace vnpu

#endif  // VNPU_CORE_INSN_TABLE_H_
