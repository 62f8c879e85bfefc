// SPDX-License-Identifier: Apache-2.0
// Reductions: over a repeat, over each datablock, over neighbouring pairs.
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

constexpr int kValueIndex = 0, kIndexValue = 1, kOnlyValue = 2;  // Order_t; 3: only index

bool Active(const uint64_t* mask, int lane) { return (mask[lane / 64] >> (lane % 64) & 1) != 0; }

// Arguments dst, src, repeat, dstRep, srcBlk, srcRep. Results are smaller than
// datablocks: `unit` bytes per step of dstRep, `bytes` written per repeat.
struct Reduction {
  Lanes lanes;
  VecOperand src;
  uint8_t* dst = nullptr;
  int64_t dst_repeat = 0;
};

Reduction Resolve(Exec& x, uint32_t element, uint32_t unit, uint32_t bytes, uint32_t align,
                  bool store) {
  Reduction r;
  r.lanes = MakeLanes(x, 2, element);
  if (r.lanes.repeats == 0) return r;
  r.src = ResolveVec(x, r.lanes, 1, element, x.u(4), x.u(5), false);
  r.dst_repeat = static_cast<int64_t>(x.u(3) * unit);
  if (store) r.dst = x.Write(0, Runs(bytes, Dim{r.lanes.repeats, r.dst_repeat}), align);
  return r;
}

// Calls fn(repeat index, lanes of the repeat, mask).
template <typename Bits, typename Fn>
void ForEachRepeat(const Reduction& red, const Fn& fn) {
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  Bits in[kLanes] = {};
  const uint8_t* from = red.src.data;
  for (uint64_t r = 0; r < red.lanes.repeats; ++r, from += red.src.repeat) {
    const bool last = r + 1 == red.lanes.repeats;
    LoadLanes<Bits, kLanes>(from, red.src.block, last ? red.lanes.last_top : red.lanes.top, in);
    fn(r, in, last ? red.lanes.last_mask : red.lanes.mask);
  }
}

template <typename Lane>
void Extreme(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  constexpr uint32_t kElement = sizeof(Bits);
  const bool max = x.insn() == VNPU_INSN_vcmax;
  const int64_t order = x.arg(6);
  const uint32_t bytes = order == kOnlyValue ? kElement : order <= kIndexValue ? 2 * kElement : 4;
  const Reduction red = Resolve(x, kElement, bytes, bytes, bytes, true);
  float overall = 0.0f;
  Bits overall_bits = {};
  uint64_t overall_index = 0;
  ForEachRepeat<Bits>(red, [&](uint64_t r, const Bits* in, const uint64_t* mask) {
    int best = -1;
    for (int e = 0; e < kLanes; ++e) {
      if (!Active(mask, e)) continue;
      const float v = Lane::Load(in[e]);
      const float b = best < 0 ? v : Lane::Load(in[best]);
      // The first extreme wins; a nan, once seen, stays.
      if (best < 0 || (b == b && (v != v || (max ? v > b : v < b)))) best = e;
    }
    const float value = Lane::Load(in[best]);
    if (r == 0 || (max ? value > overall : value < overall)) {
      overall = value;
      overall_bits = in[best];
      overall_index = r * kLanes + static_cast<uint64_t>(best);
    }
    uint8_t* to = red.dst + static_cast<int64_t>(r) * red.dst_repeat;
    const uint32_t index = static_cast<uint32_t>(best);
    if (order == kOnlyValue) {
      std::memcpy(to, &in[best], kElement);
    } else if (order > kOnlyValue) {
      std::memcpy(to, &index, sizeof(index));
    } else {
      std::memcpy(to + (order == kValueIndex ? 0 : kElement), &in[best], kElement);
      std::memcpy(to + (order == kValueIndex ? kElement : 0), &index, kElement);
    }
  });
  if (red.lanes.repeats == 0) return;
  uint64_t word = 0;
  std::memcpy(&word, &overall_bits, kElement);
  x.core().max_min_cnt = word | overall_index << (kElement * 8);
}

// Halves saturate at every step of a sum [ex].
template <typename Lane>
typename Lane::Bits AddStep(typename Lane::Bits a, typename Lane::Bits b) {
  return Lane::Store(Lane::Load(a) + Lane::Load(b), sizeof(typename Lane::Bits) == 4);
}

// Binary tree of neighbouring pairs; lanes that are masked off count as 0.
template <typename Lane>
typename Lane::Bits TreeSum(const typename Lane::Bits* in, const uint64_t* mask, int first,
                            int count) {
  using Bits = typename Lane::Bits;
  Bits sums[kRepeatBytes / sizeof(Bits)];
  for (int e = 0; e < count; ++e) sums[e] = Active(mask, first + e) ? in[first + e] : Bits{};
  for (; count > 1; count /= 2) {
    for (int e = 0; e < count / 2; ++e) sums[e] = AddStep<Lane>(sums[2 * e], sums[2 * e + 1]);
  }
  return sums[0];
}

template <typename Lane>
void Sum(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr uint32_t kElement = sizeof(Bits);
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  const bool to_register = x.u(6) != 0;
  const Reduction red = Resolve(x, kElement, kElement, kElement, kElement, !to_register);
  Bits total = {};
  ForEachRepeat<Bits>(red, [&](uint64_t r, const Bits* in, const uint64_t* mask) {
    const Bits sum = TreeSum<Lane>(in, mask, 0, kLanes);
    if (to_register) {
      total = AddStep<Lane>(total, sum);
    } else {
      std::memcpy(red.dst + static_cast<int64_t>(r) * red.dst_repeat, &sum, kElement);
    }
  });
  if (!to_register) return;
  x.core().acc_val = 0;
  std::memcpy(&x.core().acc_val, &total, kElement);
}

// A bit per datablock that has an active lane.
template <typename Bits>
uint64_t ActiveBlocks(const uint64_t* mask) {
  constexpr int kPerBlock = kBlockBytes / sizeof(Bits);
  uint64_t blocks = 0;
  for (int e = 0; e < 8 * kPerBlock; ++e) {
    if (Active(mask, e)) blocks |= uint64_t{1} << (e / kPerBlock);
  }
  return blocks;
}

// The results of extremes: those of datablocks without an active lane keep
// what is there [inf].
template <typename Bits>
uint8_t* ResolveBlocks(Exec& x, const Reduction& red) {
  constexpr uint32_t kBytes = 8 * sizeof(Bits);
  const uint64_t repeats = red.lanes.repeats, whole = red.lanes.uniform ? repeats : repeats - 1;
  const uint64_t last[2] = {ActiveBlocks<Bits>(red.lanes.last_mask), 0};
  if (whole < repeats) {
    x.Access(0, x.u(0) + whole * static_cast<uint64_t>(red.dst_repeat), Runs(kBytes), true, kBytes,
             last, sizeof(Bits));
  }
  if (whole > 0) {
    const uint64_t blocks[2] = {ActiveBlocks<Bits>(red.lanes.mask), 0};
    x.Access(0, x.u(0), Runs(kBytes, Dim{whole, red.dst_repeat}, Dim{}), true, kBytes, blocks,
             sizeof(Bits));
  }
  return x.core().scratchpad(Space::kUb).data + x.u(0);
}

template <typename Lane>
void PerBlock(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr uint32_t kElement = sizeof(Bits);
  constexpr int kPerBlock = kBlockBytes / sizeof(Bits);
  const bool max = x.insn() == VNPU_INSN_vcgmax, sum = x.insn() == VNPU_INSN_vcgadd;
  Reduction red = Resolve(x, kElement, 8 * kElement, 8 * kElement, 8 * kElement, sum);
  if (red.lanes.repeats == 0) return;
  if (!sum) red.dst = ResolveBlocks<Bits>(x, red);
  ForEachRepeat<Bits>(red, [&](uint64_t r, const Bits* in, const uint64_t* mask) {
    uint8_t* to = red.dst + static_cast<int64_t>(r) * red.dst_repeat;
    for (int b = 0; b < 8; ++b) {
      Bits result = {};
      if (sum) {
        result = TreeSum<Lane>(in, mask, b * kPerBlock, kPerBlock);
      } else {
        int best = -1;
        for (int e = b * kPerBlock; e < (b + 1) * kPerBlock; ++e) {
          if (!Active(mask, e)) continue;
          const float v = Lane::Load(in[e]);
          const float old = best < 0 ? v : Lane::Load(in[best]);
          if (best < 0 || (old == old && (v != v || (max ? v > old : v < old)))) best = e;
        }
        if (best < 0) continue;  // a block without an active lane keeps its result
        result = in[best];
      }
      std::memcpy(to + b * static_cast<int>(kElement), &result, kElement);
    }
  });
}

template <typename Lane>
void Pairs(Exec& x) {
  using Bits = typename Lane::Bits;
  constexpr uint32_t kElement = sizeof(Bits);
  constexpr int kLanes = kRepeatBytes / sizeof(Bits);
  const Reduction red = Resolve(x, kElement, 128, 128, kBlockBytes, true);
  ForEachRepeat<Bits>(red, [&](uint64_t r, const Bits* in, const uint64_t* mask) {
    Bits out[kLanes / 2];
    for (int e = 0; e < kLanes / 2; ++e) out[e] = TreeSum<Lane>(in, mask, 2 * e, 2);
    std::memcpy(red.dst + static_cast<int64_t>(r) * red.dst_repeat, out, sizeof(out));
  });
}

}  // namespace

void VecReduceExtreme(Exec& x) {
  x.type() == VNPU_T_f16 ? Extreme<LaneF16>(x) : Extreme<LaneF32>(x);
}
void VecReduceAdd(Exec& x) { x.type() == VNPU_T_f16 ? Sum<LaneF16>(x) : Sum<LaneF32>(x); }
void VecReduceBlock(Exec& x) {
  x.type() == VNPU_T_f16 ? PerBlock<LaneF16>(x) : PerBlock<LaneF32>(x);
}
void VecReducePair(Exec& x) { x.type() == VNPU_T_f16 ? Pairs<LaneF16>(x) : Pairs<LaneF32>(x); }

}  // namespace insns
}  // namespace vnpu
