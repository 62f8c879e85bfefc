// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/isa/insns/vec_lanes.h"

namespace vnpu {
namespace {

// The lowest `count` of 128 bits.
void FillMask(uint64_t* mask, uint32_t count) {
  mask[0] = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
  mask[1] = count >= 128 ? ~uint64_t{0} : count > 64 ? (uint64_t{1} << (count - 64)) - 1 : 0;
}

uint32_t Top(const uint64_t* mask) {
  if (mask[1] != 0) return 128 - static_cast<uint32_t>(__builtin_clzll(mask[1]));
  return mask[0] == 0 ? 0 : 64 - static_cast<uint32_t>(__builtin_clzll(mask[0]));
}

Runs OperandRuns(uint64_t repeats, int64_t rep, uint32_t blocks, int64_t blk) {
  return Runs(kBlockBytes, Dim{repeats, rep}, Dim{blocks, blk});
}

}  // namespace

Lanes MakeLanes(Exec& x, int repeat_arg, uint32_t width) {
  x.Require(Spr::kMask, "set_vector_mask");
  const uint32_t per_repeat = kRepeatBytes / width;
  Lanes lanes;
  if (x.ctrl(kCtrlCounterMode)) {
    const uint64_t total = x.spr().mask[0] & 0xffffffffu;
    lanes.repeats = (total + per_repeat - 1) / per_repeat;
    if (lanes.repeats == 0) return lanes;
    const uint64_t left = total - (lanes.repeats - 1) * per_repeat;
    FillMask(lanes.mask, per_repeat);
    FillMask(lanes.last_mask, static_cast<uint32_t>(left));
    lanes.uniform = left == per_repeat;
  } else {
    uint64_t valid[2];
    FillMask(valid, per_repeat);
    lanes.repeats = x.u(repeat_arg);
    for (int i = 0; i < 2; ++i) lanes.mask[i] = lanes.last_mask[i] = x.spr().mask[i] & valid[i];
    if (Top(lanes.mask) == 0) lanes.repeats = 0;
  }
  lanes.top = Top(lanes.mask);
  lanes.last_top = Top(lanes.last_mask);
  return lanes;
}

VecOperand ResolveVec(Exec& x, const Lanes& lanes, int operand, uint32_t element, uint64_t blk,
                      uint64_t rep, bool write) {
  const uint32_t per_block = kBlockBytes / element;
  const auto block = static_cast<int64_t>(blk * kBlockBytes);
  const auto repeat = static_cast<int64_t>(rep * kBlockBytes);
  const auto blocks = [&](uint32_t top) { return (top + per_block - 1) / per_block; };
  const uint64_t base = x.u(operand);
  const uint64_t whole = lanes.uniform ? lanes.repeats : lanes.repeats - 1;
  if (!lanes.uniform) {
    x.Access(operand, base + whole * static_cast<uint64_t>(repeat),
             OperandRuns(1, 0, blocks(lanes.last_top), block), write, 0, lanes.last_mask, element);
  }
  uint8_t* data = x.core().scratchpad(Space::kUb).data + base;
  if (whole > 0) {
    data = x.Access(operand, base, OperandRuns(whole, repeat, blocks(lanes.top), block), write, 0,
                    lanes.mask, element);
  }
  return VecOperand{data, block, repeat};
}

}  // namespace vnpu
