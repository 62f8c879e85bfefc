// SPDX-License-Identifier: Apache-2.0
// Recordings written by hand, and a part with round figures: what simulator
// tests can work out on paper. One cycle is 1000 ps.
#ifndef VNPU_TIMING_TESTING_RECORDING_H_
#define VNPU_TIMING_TESTING_RECORDING_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tools/vnpu/isa/runtime_abi.h"
#include "tools/vnpu/timing/parameters.h"
#include "tools/vnpu/timing/recording.h"
#include "tools/vnpu/timing/simulator.h"

namespace vnpu {

constexpr int64_t kCycle = 1000;  // ps

// 1 GHz; no launch cost; issue takes one cycle, a flag 10, a signal 100.
inline Parameters RoundParameters() {
  Parameters p;
  std::string error;
  EXPECT_TRUE(ParametersOf("Ascend910B1", &p, &error)) << error;
  const std::pair<const char*, double> kRound[] = {
      {"clock_mhz", 1000},
      {"launch_head_us", 0},
      {"launch_stagger_us", 0},
      {"launch_cold_core_us", 0},
      {"launch_mix_aiv_us", 0},
      {"launch_tail_us", 0},
      {"launch_next_block_us", 0},
      {"issue_cycles", 1},
      {"flag_cycles", 10},
      {"cross_core_cycles", 100},
      {"cross_core_all_cycles", 500},
      {"l0_tail_cycles", 8},
      {"gm_l1_rate", 128},
      {"gm_l1_tail_cycles", 200},
      {"gm_l1_ramp_cycles", 0},
      {"gm_l1_miss_cycles", 400},
      {"gm_ub_rate", 128},
      {"gm_ub_tail_cycles", 200},
      {"gm_ub_miss_rate", 64},
      {"gm_ub_miss_tail_cycles", 10},
      {"gm_ub_miss_floor_cycles", 0},
      {"gm_ub_miss_floor_rate", 64},
      {"ub_gm_rate", 64},
      {"ub_gm_tail_cycles", 100},
      {"hbm_gb_per_s", 1024},
      {"l2_gb_per_s", 4096},
  };
  for (const auto& [name, value] : kRound) EXPECT_TRUE(p.Set(name, value)) << name;
  return p;
}

class RecordingBuilder {
 public:
  // Cores in the order of the machine: by block, then role.
  RecordingBuilder(uint32_t blocks, bool has_aic, uint32_t aivs) {
    recording_.kernel = "by_hand";
    recording_.num_blocks = blocks;
    recording_.has_aic = has_aic;
    recording_.aivs_per_block = aivs;
    recording_.sites = {"  at by_hand\n"};
    for (uint32_t block = 0; block < blocks; ++block) {
      if (has_aic) AddCore(block, CoreRole::kAic);
      if (aivs > 0) AddCore(block, CoreRole::kAiv0);
      if (aivs > 1) AddCore(block, CoreRole::kAiv1);
    }
  }
  // Further instructions go to this core.
  RecordingBuilder& On(uint32_t core) {
    core_ = core;
    return *this;
  }

  // Busy for 1 + 4 n cycles, results 8 later.
  RecordingBuilder& LoadL0b(uint32_t fractals) {
    return Add(VNPU_INSN_load_cbuf_to_cb, OpKind::kL1ToL0b, Pipe::kMte1, {fractals, 0, 0});
  }
  // Busy for 2 + fractals cycles, results 21 later.
  RecordingBuilder& Mad(uint32_t fractals) {
    Add(VNPU_INSN_mad, OpKind::kMad, Pipe::kM, {16, 16, 16 * fractals});
    LastOp().type = VNPU_T_f16;
    return *this;
  }
  RecordingBuilder& Vector(uint32_t insn, uint32_t repeats) {
    Add(static_cast<uint16_t>(insn), OpKind::kVector, Pipe::kV, {repeats, 0, 0});
    LastOp().type = VNPU_T_f32;
    return *this;
  }
  RecordingBuilder& Scalar() {
    return Add(VNPU_INSN_set_ctrl, OpKind::kScalar, Pipe::kS, {0, 0, 0});
  }
  RecordingBuilder& Set(Pipe from, Pipe to, uint32_t event) {
    return Add(VNPU_INSN_set_flag, OpKind::kSetFlag, from,
               {static_cast<uint32_t>(from), static_cast<uint32_t>(to), event});
  }
  RecordingBuilder& Wait(Pipe from, Pipe to, uint32_t event) {
    return Add(VNPU_INSN_wait_flag, OpKind::kWaitFlag, to,
               {static_cast<uint32_t>(from), static_cast<uint32_t>(to), event});
  }
  RecordingBuilder& Barrier(Pipe pipe) {
    return Add(VNPU_INSN_pipe_barrier, OpKind::kPipeBarrier, pipe, {0, 0, 0});
  }
  RecordingBuilder& Signal(Pipe pipe, uint32_t mode, uint32_t flag) {
    return Add(VNPU_INSN_ffts_cross_core_sync, OpKind::kSignal, pipe, {mode, flag, 0});
  }
  RecordingBuilder& Await(uint32_t flag) {
    return Add(VNPU_INSN_wait_flag_dev, OpKind::kWaitSignal, Pipe::kS, {flag, 0, 0});
  }
  RecordingBuilder& LoadScalar(uint64_t address) {
    Add(VNPU_INSN_scalar_load, OpKind::kScalarLoad, Pipe::kS, {0, 0, 0});
    return Touch(address, 4, false);
  }
  RecordingBuilder& GmToL1(uint64_t address, uint64_t bytes) {
    Add(VNPU_INSN_copy_gm_to_cbuf, OpKind::kGmToL1, Pipe::kMte2, {0, 0, 0});
    return Touch(address, bytes, false);
  }
  // `rows` rows of row_bytes, `pitch` bytes apart.
  RecordingBuilder& GmToL1Nd2Nz(uint64_t address, uint32_t rows, uint32_t row_bytes,
                                uint32_t pitch) {
    Add(VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b16, OpKind::kGmToL1Nd2Nz, Pipe::kMte2,
        {row_bytes, rows, pitch});
    return Touch(address, row_bytes, false).Rows(rows, pitch);
  }
  RecordingBuilder& GmToUb(uint64_t address, uint64_t bytes) {
    Add(VNPU_INSN_copy_gm_to_ubuf, OpKind::kGmToUb, Pipe::kMte2, {0, 0, 0});
    return Touch(address, bytes, false);
  }
  RecordingBuilder& UbToGm(uint64_t address, uint64_t bytes) {
    Add(VNPU_INSN_copy_ubuf_to_gm, OpKind::kUbToGm, Pipe::kMte3, {0, 0, 0});
    return Touch(address, bytes, true);
  }
  // The last transfer again and again, `pitch` bytes apart, as one instruction.
  RecordingBuilder& Rows(uint32_t count, int64_t pitch) {
    GmRuns& gm = recording_.cores[core_].gm.back();
    gm.count[2] = count;
    gm.stride[2] = pitch;
    return *this;
  }

  const Recording& recording() const { return recording_; }

 private:
  void AddCore(uint32_t block, CoreRole role) {
    recording_.cores.emplace_back();
    recording_.cores.back().id = CoreId{block, role};
  }
  Op& LastOp() { return recording_.cores[core_].ops.back(); }
  RecordingBuilder& Add(uint16_t insn, OpKind kind, Pipe pipe, const uint32_t (&figure)[3]) {
    CoreRecording& core = recording_.cores[core_];
    Op op = {};
    op.sequence = static_cast<uint32_t>(core.ops.size());
    op.insn = insn;
    op.kind = kind;
    op.pipe = pipe;
    for (int i = 0; i < 3; ++i) op.figure[i] = figure[i];
    core.ops.push_back(op);
    return *this;
  }
  RecordingBuilder& Touch(uint64_t address, uint64_t bytes, bool write) {
    CoreRecording& core = recording_.cores[core_];
    LastOp().gm_first = static_cast<uint32_t>(core.gm.size());
    LastOp().gm_count = 1;
    core.gm.push_back(GmRuns{address, bytes, {1, 1, 1}, write ? 1u : 0u, {0, 0, 0}});
    return *this;
  }

  Recording recording_;
  uint32_t core_ = 0;
};

// With `l2` null on a cold L2 of its own.
inline Timeline TimeOf(const RecordingBuilder& builder, const Parameters& parameters,
                       L2State* l2 = nullptr) {
  L2State cold;
  Timeline timeline;
  std::string error;
  EXPECT_TRUE(
      Simulate(builder.recording(), parameters, l2 == nullptr ? &cold : l2, &timeline, &error))
      << error;
  return timeline;
}

// Begin of the i-th span of a pipe of a core, in cycles.
inline const Span* SpanOf(const Timeline& timeline, CoreId core, Pipe pipe, size_t i) {
  for (const Span& span : timeline.spans) {
    const Lane& lane = timeline.lanes[span.lane];
    if (lane.block != core.block || lane.role != static_cast<uint8_t>(core.role) ||
        lane.pipe != static_cast<uint8_t>(pipe)) {
      continue;
    }
    if (i-- == 0) return &span;
  }
  return nullptr;
}

inline int64_t WaitOf(const Timeline& timeline, CoreId core, Pipe pipe, WaitCause cause) {
  for (size_t i = 0; i < timeline.lanes.size(); ++i) {
    const Lane& lane = timeline.lanes[i];
    if (lane.block == core.block && lane.role == static_cast<uint8_t>(core.role) &&
        lane.pipe == static_cast<uint8_t>(pipe)) {
      return timeline.totals[i].wait_ps[static_cast<int>(cause)];
    }
  }
  ADD_FAILURE() << "no such lane";
  return -1;
}

}  // namespace vnpu

#endif  // VNPU_TIMING_TESTING_RECORDING_H_
