// SPDX-License-Identifier: Apache-2.0
// What the timing model needs of a launch: the instructions of each core in the
// order in which its scalar unit issued them, with the figures that set their
// cost, independent of the part whose time is asked for.
//
// Next: tools/vnpu/timing/simulator.h - what becomes of it.
#ifndef VNPU_TIMING_RECORDING_H_
#define VNPU_TIMING_RECORDING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/vnpu/core/types.h"

namespace vnpu {

// What an instruction is to the clock. figure[] is named per kind.
enum class OpKind : uint8_t {
  kScalar,       // issue cost only
  kScalarUb,     // load or store of UB
  kScalarLoad,   // of GM, through the data cache
  kScalarStore,  // of GM, into the data cache
  kLoadDevice,   // ld_dev: past the data cache
  kStoreDevice,
  kSystemCount,
  kCacheClean,  // dcci: 1 if of the whole cache
  kDataBarrier,
  kSetFlag,      // source pipe, waiting pipe, event
  kWaitFlag,     // source pipe, waiting pipe, event
  kPipeBarrier,  // of op.pipe; Pipe::kAll: of all
  kSignal,       // mode, flag
  kWaitSignal,   // flag
  kGmToL1,       // bytes of one row
  kGmToL1Nd2Nz,  // bytes of one row, rows, bytes from row to row
  kGmToUb,
  kUbToGm,
  kL1ToGm,
  kFixpipeToGm,  // bytes of L0C, 1 if row-major
  kFixpipeToL1,  // bytes of L0C
  kL1ToL0a,      // fractals, 1 if transposed
  kL1ToL0b,      // fractals, 1 if transposed
  kL1ToTable,    // bytes, 1 if to the fixpipe buffer
  kFill,         // bytes, Space
  kMad,          // m, k, n
  kVector,       // repeats, 1 if counter mode with two sources
  kUbToUb,       // bytes
};

// GM bytes of one operand, as in Access: base + sum of index * stride + [0, run).
struct GmRuns {
  uint64_t base;
  uint64_t run;
  uint32_t count[3];
  uint32_t write;
  int64_t stride[3];

  uint64_t bytes() const { return run * count[0] * count[1] * count[2]; }
};

struct Op {
  uint32_t sequence;  // low bits of Instruction::sequence
  uint32_t site;      // index into Recording::sites
  uint32_t gm_first;  // index into CoreRecording::gm
  uint16_t insn;
  uint16_t gm_count;
  OpKind kind;
  Pipe pipe;
  uint8_t type;        // VnpuType
  uint8_t conflict;    // vector: rows of one bank group that a repeat needs, at most
  uint32_t figure[3];  // see OpKind
};
static_assert(sizeof(Op) == 32, "millions of them");

struct CoreRecording {
  CoreId id;
  std::vector<Op> ops;
  std::vector<GmRuns> gm;
};

struct Recording {
  std::string kernel;
  uint32_t num_blocks = 0;
  bool has_aic = false;
  uint32_t aivs_per_block = 0;
  std::vector<CoreRecording> cores;  // by block, then role
  std::vector<std::string> sites;    // source frames, innermost first, one per line

  bool is_mix() const { return has_aic && aivs_per_block > 0; }
};

}  // namespace vnpu

#endif  // VNPU_TIMING_RECORDING_H_
