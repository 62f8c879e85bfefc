// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/op_cost.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

uint32_t CeilDiv(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

// Cycles of the cube: one per fractal product of 16 x 16 x C0, C0 = 32 bytes of k.
double MadCycles(const Op& op, const Parameters& p) {
  const uint32_t m = op.figure[0], k = op.figure[1], n = op.figure[2];
  const uint32_t depth = op.type == VNPU_T_s8 || op.type == VNPU_T_u8 ? 32
                         : op.type == VNPU_T_s4                       ? 64
                         : op.type == VNPU_T_f32                      ? 8
                                                                      : 16;
  const double fractals = static_cast<double>(CeilDiv(m, 16)) * CeilDiv(k, depth) * CeilDiv(n, 16);
  return fractals * (op.type == VNPU_T_f32 ? p.mad_f32_factor : 1);
}

LocalCost L0Cost(double fractals, double per_fractal, bool transposed, const Parameters& p) {
  const double factor = transposed ? p.l0_transpose_factor : 1;
  const double busy = std::max(p.l0_min_cycles, p.l0_base_cycles + fractals * per_fractal * factor);
  return {busy, busy + p.l0_tail_cycles};
}

LocalCost FillCost(const Op& op, const Parameters& p) {
  const double bytes = op.figure[0];
  switch (static_cast<Space>(op.figure[1])) {
    case Space::kL0a:
      return L0Cost(bytes / kFractalBytes, p.l0a_fractal_cycles, false, p);
    case Space::kL0b:
      return L0Cost(bytes / kFractalBytes, p.l0b_fractal_cycles, false, p);
    default: {
      const double busy = std::max(p.dma_min_cycles, bytes / p.l1_fill_rate);
      return {busy, busy + p.gm_l1_tail_cycles};
    }
  }
}

LocalCost VectorCyclesOf(const Op& op, const Parameters& p) {
  const VectorCost cost = p.VectorCostOf(op.insn, op.type);
  const double repeats = op.figure[0];
  const double conflict = op.conflict > 1 ? op.conflict : 0;
  const double extra = op.figure[1] != 0 ? p.counter_mode_cycles : 0;
  return {std::max(cost.floor, std::max(cost.slope, conflict) * repeats),
          cost.head + std::max(cost.late, conflict) * std::max(repeats, 1.0) + extra};
}

// Bytes of consecutive addresses that one instruction asks for, whatever the
// order in which its dimensions walk them.
struct Span1d {
  uint64_t run;
  uint32_t count[3];
  int64_t stride[3];
};

Span1d Coalesce(const GmRuns& gm) {
  Span1d span = {gm.run, {1, 1, 1}, {0, 0, 0}};
  int order[3] = {0, 1, 2};
  std::sort(order, order + 3, [&](int a, int b) {
    return std::llabs(gm.stride[a]) != std::llabs(gm.stride[b])
               ? std::llabs(gm.stride[a]) < std::llabs(gm.stride[b])
               : a < b;
  });
  int kept = 0;
  for (const int dim : order) {
    if (gm.count[dim] <= 1) continue;
    if (kept == 0 && gm.stride[dim] == static_cast<int64_t>(span.run)) {
      span.run *= gm.count[dim];
      continue;
    }
    span.count[kept] = gm.count[dim];
    span.stride[kept++] = gm.stride[dim];
  }
  return span;
}

// What the requests of an instruction amount to.
struct Traffic {
  double core_bytes = 0;  // rows off the lines count more
  double l2_bytes = 0;    // whole sectors
  uint64_t asked_bytes = 0;
  L2Touch touch;
  // Share of the lines that were not in L2.
  double miss() const {
    const auto lines = static_cast<double>(touch.hit_bytes + touch.miss_bytes);
    return touch.miss_bytes == 0 ? 0 : static_cast<double>(touch.miss_bytes) / lines;
  }
};

double StraddleFactor(uint64_t begin, uint64_t run, const Parameters& p) {
  const uint64_t lines = (begin + run - 1) / kLineBytes - begin / kLineBytes + 1;
  const uint64_t least = (run + kLineBytes - 1) / kLineBytes;
  return 1 + p.straddle_penalty * (static_cast<double>(lines) / static_cast<double>(least) - 1);
}

void AddTraffic(const GmRuns& gm, const Parameters& p, L2State* l2, Traffic* traffic) {
  const Span1d span = Coalesce(gm);
  traffic->asked_bytes += gm.bytes();
  for (uint32_t k = 0; k < span.count[2]; ++k) {
    for (uint32_t j = 0; j < span.count[1]; ++j) {
      for (uint32_t i = 0; i < span.count[0]; ++i) {
        const uint64_t begin =
            gm.base +
            static_cast<uint64_t>(i * span.stride[0] + j * span.stride[1] + k * span.stride[2]);
        const uint64_t first = begin / kSectorBytes * kSectorBytes;
        const uint64_t last = (begin + span.run + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
        const auto bytes = static_cast<double>(last - first);
        traffic->core_bytes += bytes * StraddleFactor(begin, span.run, p);
        traffic->l2_bytes += bytes;
        l2->Access(begin, span.run, gm.write != 0, &traffic->touch);
      }
    }
  }
}

// Bytes per cycle of the layout-changing load: the engine's rate, or that of
// its requests, each at most a line of one row.
double Nd2NzRate(const Op& op, const Traffic& traffic, const Parameters& p) {
  const double row_bytes = op.figure[0];
  const double requests = static_cast<double>(traffic.asked_bytes) / row_bytes *
                          std::ceil(row_bytes / static_cast<double>(kLineBytes));
  const bool apart = op.figure[1] > 1 && op.figure[2] != op.figure[0];
  const double missed = apart ? p.nd2nz_request_apart_cycles : p.nd2nz_request_miss_cycles;
  const double per_request =
      p.nd2nz_request_cycles * (1 - traffic.miss()) + missed * traffic.miss();
  const double rate = op.figure[0] >= 1024 ? p.nd2nz_rate : p.nd2nz_short_rate;
  const double cycles = std::max(traffic.core_bytes / rate, requests * per_request);
  const auto bad_pitch = static_cast<uint32_t>(p.nd2nz_bad_pitch_bytes);
  const bool conflicts = op.figure[1] > 1 && op.figure[2] != 0 && op.figure[2] % bad_pitch == 0;
  return traffic.core_bytes / cycles / (conflicts ? 2 : 1);
}

// Ramp of a contiguous GM -> L1 transfer: its first bytes take longer.
double RampCycles(double bytes, const Parameters& p) {
  return std::min(bytes / p.gm_l1_ramp_bytes, 1.0) * p.gm_l1_ramp_cycles;
}

// Fills in path-specific terms; returns bytes per cycle.
double PathRate(const Op& op, const Traffic& traffic, const Parameters& p, TransferCost* cost) {
  const double bytes = traffic.core_bytes;
  const double miss = traffic.miss();
  const bool missed = miss > 0;
  switch (op.kind) {
    case OpKind::kGmToL1:
      cost->tail = p.gm_l1_tail_cycles + RampCycles(bytes, p) + (missed ? p.gm_l1_miss_cycles : 0);
      return p.gm_l1_rate;
    case OpKind::kGmToL1Nd2Nz:
      cost->setup = p.nd2nz_setup_cycles;
      cost->tail = p.nd2nz_tail_cycles;
      cost->floor = p.nd2nz_floor_cycles + (missed ? p.gm_l1_miss_cycles : 0);
      return Nd2NzRate(op, traffic, p);
    case OpKind::kGmToUb:
      cost->tail = p.gm_ub_tail_cycles * (1 - miss) + p.gm_ub_miss_tail_cycles * miss;
      if (missed) cost->floor = p.gm_ub_miss_floor_cycles + bytes / p.gm_ub_miss_floor_rate;
      return 1 / ((1 - miss) / p.gm_ub_rate + miss / p.gm_ub_miss_rate);
    case OpKind::kUbToGm:
      cost->tail = p.ub_gm_tail_cycles;
      return p.ub_gm_rate;
    case OpKind::kL1ToGm:
      cost->tail = p.l1_gm_tail_cycles;
      return p.l1_gm_rate;
    default:  // fixpipe: the rate is L0C's
      return p.fixpipe_rate * bytes / op.figure[0];
  }
}

double LeastCycles(const Op& op, const Parameters& p) {
  if (op.kind != OpKind::kFixpipeToGm) return p.dma_min_cycles;
  return op.figure[1] != 0 ? p.fixpipe_nd_floor_cycles : p.fixpipe_floor_cycles;
}

}  // namespace

bool IsTransfer(OpKind kind) {
  switch (kind) {
    case OpKind::kGmToL1:
    case OpKind::kGmToL1Nd2Nz:
    case OpKind::kGmToUb:
    case OpKind::kUbToGm:
    case OpKind::kL1ToGm:
    case OpKind::kFixpipeToGm:
      return true;
    default:
      return false;
  }
}

LocalCost LocalCostOf(const Op& op, const Parameters& p) {
  switch (op.kind) {
    case OpKind::kL1ToL0a:
      return L0Cost(op.figure[0], p.l0a_fractal_cycles, op.figure[1] != 0, p);
    case OpKind::kL1ToL0b:
      return L0Cost(op.figure[0], p.l0b_fractal_cycles, op.figure[1] != 0, p);
    case OpKind::kL1ToTable: {
      const double busy = op.figure[1] != 0 ? p.l1_fb_base_cycles + op.figure[0] / p.l1_fb_rate
                                            : p.l1_bt_base_cycles + op.figure[0] / p.l1_bt_rate;
      return {busy, busy};
    }
    case OpKind::kFill:
      return FillCost(op, p);
    case OpKind::kMad: {
      const double busy = std::max(p.mad_min_cycles, MadCycles(op, p) + p.mad_base_cycles);
      return {busy, busy + p.mad_tail_cycles};
    }
    case OpKind::kFixpipeToL1: {
      const double busy = std::max(p.fixpipe_floor_cycles, op.figure[0] / p.fixpipe_rate);
      return {busy, busy + p.fixpipe_l1_tail_cycles};
    }
    case OpKind::kUbToUb: {
      const double busy = std::max(p.ub_ub_min_cycles, op.figure[0] / p.ub_ub_rate);
      return {busy, busy + p.ub_ub_tail_cycles};
    }
    case OpKind::kVector:
      return VectorCyclesOf(op, p);
    default:
      return {p.dma_min_cycles, p.dma_min_cycles};
  }
}

TransferCost TransferCostOf(const Op& op, const GmRuns* gm, const Parameters& p, L2State* l2) {
  TransferCost cost;
  Traffic traffic;
  for (uint32_t i = 0; i < op.gm_count; ++i) AddTraffic(gm[i], p, l2, &traffic);
  if (traffic.asked_bytes == 0) return cost;
  const double bytes = traffic.core_bytes;
  const double per_cycle = PathRate(op, traffic, p, &cost);
  const double cycles = std::max(bytes / per_cycle, LeastCycles(op, p) - cost.setup);
  cost.flow.bytes = bytes;
  cost.flow.rate = bytes / p.cycles_to_ps(cycles);
  const auto hbm = static_cast<double>(traffic.touch.miss_bytes + traffic.touch.evicted_bytes);
  cost.flow.hbm_per_byte = hbm / bytes;
  cost.flow.l2_per_byte = traffic.l2_bytes / bytes;
  cost.bytes = traffic.asked_bytes;
  cost.hit_bytes = static_cast<uint64_t>(
      std::llround(static_cast<double>(traffic.asked_bytes) * (1 - traffic.miss())));
  cost.hbm_bytes = traffic.touch.miss_bytes + traffic.touch.evicted_bytes;
  return cost;
}

}  // namespace vnpu
