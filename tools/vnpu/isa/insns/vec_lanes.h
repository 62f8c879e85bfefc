// SPDX-License-Identifier: Apache-2.0
// How the vector unit walks its operands. One repeat covers 8 datablocks of the
// widest operand; lane e of repeat r of an operand with elements of ES bytes is at
//   base + r * repeat stride + (e / (32 / ES)) * block stride + (e % (32 / ES)) * ES.
// Normal mode applies one mask to each repeat; counter mode takes the number
// of elements from the mask register and ignores the repeat argument.
#ifndef VNPU_ISA_INSNS_VEC_LANES_H_
#define VNPU_ISA_INSNS_VEC_LANES_H_

#include <cstdint>
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/host_simd.h"

namespace vnpu {

// Which lanes of which repeats compute.
struct Lanes {
  uint64_t repeats = 0;
  uint64_t mask[2] = {0, 0};       // of every repeat but the last
  uint64_t last_mask[2] = {0, 0};  // of the last
  uint32_t top = 0;                // highest active lane + 1
  uint32_t last_top = 0;
  bool uniform = true;  // the last repeat is like the others
};

// `width`: bytes of the widest element, 256 / width lanes per repeat.
Lanes MakeLanes(Exec& x, int repeat_arg, uint32_t width);

// An operand in host memory; strides in bytes.
struct VecOperand {
  uint8_t* data;
  int64_t block;
  int64_t repeat;
};

// Checks the operand and tells the observers. Stride arguments in datablocks.
VecOperand ResolveVec(Exec& x, const Lanes& lanes, int operand, uint32_t element, uint64_t blk,
                      uint64_t rep, bool write);

// ---- lane buffers: one repeat in host order

template <typename T, int kLanes>
VNPU_ALWAYS_INLINE void LoadLanes(const uint8_t* from, int64_t block, uint32_t top, T* lanes) {
  constexpr int kPerBlock = kBlockBytes / sizeof(T);
  if (block == kBlockBytes && top == kLanes) {
    std::memcpy(lanes, from, kLanes * sizeof(T));
    return;
  }
  const int blocks = (static_cast<int>(top) + kPerBlock - 1) / kPerBlock;
  for (int b = 0; b < blocks; ++b) {
    std::memcpy(lanes + b * kPerBlock, from + b * block, kBlockBytes);
  }
}

template <typename T, int kLanes>
VNPU_ALWAYS_INLINE void StoreLanes(uint8_t* to, int64_t block, uint32_t top, const uint64_t* mask,
                                   const T* lanes) {
  constexpr int kPerBlock = kBlockBytes / sizeof(T);
  const uint64_t all0 = kLanes >= 64 ? ~uint64_t{0} : (uint64_t{1} << (kLanes & 63)) - 1;
  const bool full = mask[0] == all0 && (kLanes <= 64 || mask[1] == ~uint64_t{0});
  if (full && block == kBlockBytes) {
    std::memcpy(to, lanes, kLanes * sizeof(T));
    return;
  }
  const int blocks = (static_cast<int>(top) + kPerBlock - 1) / kPerBlock;
  for (int b = 0; b < blocks; ++b) {
    if (full) {
      std::memcpy(to + b * block, lanes + b * kPerBlock, kBlockBytes);
      continue;
    }
    for (int i = 0; i < kPerBlock; ++i) {
      const int lane = b * kPerBlock + i;
      if ((mask[lane / 64] >> (lane % 64) & 1) == 0) continue;
      std::memcpy(to + b * block + i * static_cast<int>(sizeof(T)), lanes + lane, sizeof(T));
    }
  }
}

template <typename A, typename B>
constexpr int LaneCount() {
  return kRepeatBytes / (sizeof(A) > sizeof(B) ? sizeof(A) : sizeof(B));
}

// dst[e] = fn(src[e]) for every repeat: all lanes of a repeat are read before
// one is written.
template <typename D, typename S, typename Fn>
VNPU_ALWAYS_INLINE void MapUnary(const Lanes& lanes, VecOperand dst, VecOperand src, const Fn& fn) {
  constexpr int kLanes = LaneCount<D, S>();
  S in[kLanes] = {};
  D out[kLanes];
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    const bool last = r + 1 == lanes.repeats;
    const uint32_t top = last ? lanes.last_top : lanes.top;
    LoadLanes<S, kLanes>(src.data, src.block, top, in);
    for (int e = 0; e < kLanes; ++e) out[e] = fn(in[e]);
    StoreLanes<D, kLanes>(dst.data, dst.block, top, last ? lanes.last_mask : lanes.mask, out);
    src.data += src.repeat;
    dst.data += dst.repeat;
  }
}

template <typename D, typename S, typename Fn>
VNPU_ALWAYS_INLINE void MapBinary(const Lanes& lanes, VecOperand dst, VecOperand src0,
                                  VecOperand src1, const Fn& fn) {
  constexpr int kLanes = LaneCount<D, S>();
  S a[kLanes] = {};
  S b[kLanes] = {};
  D out[kLanes];
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    const bool last = r + 1 == lanes.repeats;
    const uint32_t top = last ? lanes.last_top : lanes.top;
    LoadLanes<S, kLanes>(src0.data, src0.block, top, a);
    LoadLanes<S, kLanes>(src1.data, src1.block, top, b);
    for (int e = 0; e < kLanes; ++e) out[e] = fn(a[e], b[e]);
    StoreLanes<D, kLanes>(dst.data, dst.block, top, last ? lanes.last_mask : lanes.mask, out);
    src0.data += src0.repeat;
    src1.data += src1.repeat;
    dst.data += dst.repeat;
  }
}

// dst[e] = fn(src0[e], src1[e], dst[e]).
template <typename D, typename S, typename Fn>
VNPU_ALWAYS_INLINE void MapAccumulate(const Lanes& lanes, VecOperand dst, VecOperand src0,
                                      VecOperand src1, const Fn& fn) {
  constexpr int kLanes = LaneCount<D, S>();
  S a[kLanes] = {};
  S b[kLanes] = {};
  D out[kLanes] = {};
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    const bool last = r + 1 == lanes.repeats;
    const uint32_t top = last ? lanes.last_top : lanes.top;
    LoadLanes<S, kLanes>(src0.data, src0.block, top, a);
    LoadLanes<S, kLanes>(src1.data, src1.block, top, b);
    LoadLanes<D, kLanes>(dst.data, dst.block, top, out);
    for (int e = 0; e < kLanes; ++e) out[e] = fn(a[e], b[e], out[e]);
    StoreLanes<D, kLanes>(dst.data, dst.block, top, last ? lanes.last_mask : lanes.mask, out);
    src0.data += src0.repeat;
    src1.data += src1.repeat;
    dst.data += dst.repeat;
  }
}

}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_VEC_LANES_H_
