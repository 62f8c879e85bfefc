// SPDX-License-Identifier: Apache-2.0
// The modelled course of one launch: what each pipe of each core did when, and
// what it waited for. All figures come from the timing model, none from
// hardware. Times are picoseconds from the start of the launch.
//
// Spans, waits and arrows are plain data of fixed layout: they cross into other
// languages as arrays of bytes.
#ifndef VNPU_TIMING_TIMELINE_H_
#define VNPU_TIMING_TIMELINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/vnpu/core/types.h"

namespace vnpu {

// Why a pipe stood still, or (kHbm, kL2) ran slower than alone.
enum class WaitCause : uint32_t {
  kFlag,       // wait_flag, whose flag another pipe had not set yet
  kCrossCore,  // wait_flag_dev
  kBarrier,    // pipe_barrier, mode-0 barrier
  kQueueFull,  // the scalar unit: a pipe's queue had no room
  kIssue,      // a pipe with nothing to do: the scalar unit had not issued yet
  kHbm,        // the part of a transfer's time owed to the shared HBM
  kL2,         // the same for the shared L2
  kScalarGm,   // the scalar unit: a load of GM
  kLaunch,     // before the core began
  kDone,       // after the core's last instruction
};
constexpr int kNumWaitCauses = 10;

struct Lane {
  uint32_t block;
  uint8_t role;  // CoreRole
  uint8_t pipe;  // Pipe
  uint16_t unused;
};

// An instruction at work on its pipe: [begin, end) is its occupancy; its results
// are there at `done`.
struct Span {
  int64_t begin_ps;
  int64_t end_ps;
  int64_t done_ps;
  uint64_t bytes;  // moved, of GM transfers; 0 elsewhere
  uint32_t lane;   // index into lanes
  uint32_t site;   // index into sites
  uint32_t insn;   // VnpuInsn
  uint32_t unused;
};

struct Wait {
  int64_t begin_ps;
  int64_t end_ps;
  uint32_t lane;
  uint32_t cause;  // WaitCause
  uint32_t site;   // of the waiting instruction
  uint32_t from;   // lane that ended the wait; own lane where there is none
};

// A flag from its set to the wait that it satisfied.
struct Arrow {
  int64_t begin_ps;
  int64_t end_ps;
  uint32_t from;  // lanes
  uint32_t to;
  uint32_t id;          // event or cross-core flag
  uint32_t cross_core;  // 1: cross-core flag
};

struct PipeTotals {
  int64_t busy_ps = 0;                   // sum of spans
  int64_t wait_ps[kNumWaitCauses] = {};  // by cause; with busy_ps the whole launch
};

struct Timeline {
  std::string kernel;
  std::string soc;
  uint32_t num_blocks = 0;
  int64_t total_ps = 0;   // with launch cost: what the profiler of a device would call kernel time
  int64_t launch_ps = 0;  // head and tail in it
  std::vector<Lane> lanes;
  std::vector<std::string> sites;    // source frames, innermost first, one per line
  std::vector<Span> spans;           // by lane, then time
  std::vector<Wait> waits;           // by lane, then time
  std::vector<Arrow> arrows;         // by begin
  std::vector<PipeTotals> totals;    // one per lane
  std::vector<int64_t> core_end_ps;  // of every core, in lane order of first appearance
  uint64_t gm_read_bytes = 0;        // asked for by the instructions
  uint64_t gm_write_bytes = 0;
  uint64_t hbm_bytes = 0;           // moved between HBM and L2, both ways
  uint64_t l2_hit_bytes = 0;        // of gm_read_bytes
  double mad_flops = 0;             // 2 m k n, without padding
  double peak_hbm_bytes_per_s = 0;  // the model's ceilings, for the roofline
  double peak_flops = 0;            // fp16
};

}  // namespace vnpu

#endif  // VNPU_TIMING_TIMELINE_H_
