// SPDX-License-Identifier: Apache-2.0
// Conversions that do more than round: an operation in front (vaddreluconv,
// vsubreluconv, vmulconv), a scale with results in half datablocks
// (vconv_deqs162b8), results of half a byte (vconv_f162s4, vconv_s42f16).
#include <algorithm>
#include <cstring>
#include <limits>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

constexpr int kLanes16 = kRepeatBytes / 2;

bool Active(const uint64_t* mask, int lane) { return (mask[lane / 64] >> (lane % 64) & 1) != 0; }

// Saturates, or drops high bits if CTRL says so; nan gives 0.
template <typename T>
T ToInteger(double v, Rounding rounding, bool truncate, int64_t low, int64_t high) {
  if (v != v) return 0;
  const double rounded = RoundToIntegral(v, rounding);
  // Half and s16 sources: finite values fit, infinities saturate.
  if (truncate && std::fabs(rounded) < 9e15) return static_cast<T>(static_cast<int64_t>(rounded));
  return static_cast<T>(
      std::min(std::max(rounded, static_cast<double>(low)), static_cast<double>(high)));
}

template <typename T>
T ToInteger(double v, bool truncate) {
  return ToInteger<T>(v, Rounding::kNearestEven, truncate, std::numeric_limits<T>::min(),
                      std::numeric_limits<T>::max());
}

double Relu(double v) { return v > 0 || v != v ? v : 0.0; }

// dst[e] = fn(src0[e], src1[e]); arguments as of the binary operations.
template <typename D, typename S, typename Fn>
void Fused(Exec& x, const Fn& fn) {
  const Lanes lanes = MakeLanes(x, 3, sizeof(D) > sizeof(S) ? sizeof(D) : sizeof(S));
  if (lanes.repeats == 0) return;
  const VecOperand src0 = ResolveVec(x, lanes, 1, sizeof(S), x.u(5), x.u(8), false);
  const VecOperand src1 = ResolveVec(x, lanes, 2, sizeof(S), x.u(6), x.u(9), false);
  const VecOperand dst = ResolveVec(x, lanes, 0, sizeof(D), x.u(4), x.u(7), true);
  MapBinary<D, S>(lanes, dst, src0, src1, fn);
}

// Bytes of one repeat: a bit per byte of each of its datablocks.
struct RepeatBytes {
  uint32_t block[8] = {};
  int blocks = 0;

  void Add(int at, int bytes) {
    for (int i = at; i < at + bytes; ++i) block[i / 32] |= uint32_t{1} << (i % 32);
    blocks = std::max(blocks, (at + bytes - 1) / 32 + 1);
  }
  bool uniform() const {
    for (int b = 1; b < blocks; ++b) {
      if (block[b] != block[0]) return false;
    }
    return true;
  }
};

// Checks the bytes of a UB operand and tells the observers, run by run.
void AccessBytes(Exec& x, int operand, uint64_t base, const RepeatBytes& bytes, uint64_t repeats,
                 int64_t block, int64_t repeat, bool write) {
  if (base % kBlockBytes != 0) {
    x.Fail("misaligned", "operand " + std::string(operand == 0 ? "dst" : "src") + " at UB+" +
                             std::to_string(base) + " must be a multiple of 32 bytes");
  }
  const bool uniform = bytes.uniform();
  for (int b = 0; b < (uniform ? 1 : bytes.blocks); ++b) {
    const uint64_t same = uniform ? static_cast<uint64_t>(bytes.blocks) : 1;
    uint32_t left = bytes.block[b];
    while (left != 0) {
      const int first = __builtin_ctz(left);
      const uint32_t run = ~(left >> first);
      const int count = run == 0 ? 32 : std::min(__builtin_ctz(run), 32 - first);
      x.AccessIn(Space::kUb, operand,
                 base + static_cast<uint64_t>(b * block) + static_cast<uint64_t>(first),
                 Runs(static_cast<uint64_t>(count), Dim{repeats, repeat}, Dim{same, block}), write,
                 1);
      left &= count == 32 ? 0 : ~(((uint32_t{1} << count) - 1) << first);
    }
  }
}

// The same for all repeats. `add` puts the bytes of a lane into a RepeatBytes.
template <typename Add>
VecOperand ResolveBytes(Exec& x, const Lanes& lanes, int operand, uint64_t blk, uint64_t rep,
                        bool write, const Add& add) {
  const auto block = static_cast<int64_t>(blk * kBlockBytes);
  const auto repeat = static_cast<int64_t>(rep * kBlockBytes);
  const uint64_t whole = lanes.uniform ? lanes.repeats : lanes.repeats - 1;
  const auto resolve = [&](const uint64_t* mask, uint64_t base, uint64_t repeats) {
    RepeatBytes bytes;
    for (int e = 0; e < kLanes16; ++e) {
      if (Active(mask, e)) add(&bytes, mask, e);
    }
    AccessBytes(x, operand, base, bytes, repeats, block, repeat, write);
  };
  const uint64_t base = x.u(operand);
  if (whole > 0) resolve(lanes.mask, base, whole);
  if (!lanes.uniform) resolve(lanes.last_mask, base + whole * static_cast<uint64_t>(repeat), 1);
  return VecOperand{x.core().scratchpad(Space::kUb).data + base, block, repeat};
}

// Calls fn(mask of repeat r) for each repeat and moves the operands on.
template <typename Fn>
void ForEachRepeat(const Lanes& lanes, VecOperand dst, VecOperand src, const Fn& fn) {
  for (uint64_t r = 0; r < lanes.repeats; ++r) {
    const bool last = r + 1 == lanes.repeats;
    fn(last ? lanes.last_mask : lanes.mask, last ? lanes.last_top : lanes.top, dst, src);
    dst.data += dst.repeat;
    src.data += src.repeat;
  }
}

// Half a byte: lane e of a repeat is in datablock e / 64.
void AddNibble(RepeatBytes* bytes, const uint64_t*, int lane) { bytes->Add(lane / 2, 1); }

void HalfToS4(Exec& x, Rounding rounding) {
  const Lanes lanes = MakeLanes(x, 2, 2);
  if (lanes.repeats == 0) return;
  const VecOperand src = ResolveVec(x, lanes, 1, 2, x.u(4), x.u(6), false);
  // A byte of which one half is masked off keeps it: it is read as well.
  ResolveBytes(x, lanes, 0, x.u(3), x.u(5), false,
               [](RepeatBytes* bytes, const uint64_t* mask, int lane) {
                 if (!Active(mask, lane ^ 1)) bytes->Add(lane / 2, 1);
               });
  const VecOperand dst = ResolveBytes(x, lanes, 0, x.u(3), x.u(5), true, AddNibble);
  const bool truncate = x.ctrl(kCtrlTruncate);
  ForEachRepeat(
      lanes, dst, src, [&](const uint64_t* mask, uint32_t top, VecOperand to, VecOperand from) {
        uint16_t in[kLanes16] = {};
        LoadLanes<uint16_t, kLanes16>(from.data, from.block, top, in);
        for (int e = 0; e < kLanes16; ++e) {
          if (!Active(mask, e)) continue;
          const auto v = ToInteger<int64_t>(HalfToFloat(in[e]), rounding, truncate, -8, 7);
          uint8_t& byte = to.data[e / 64 * to.block + e % 64 / 2];
          byte = static_cast<uint8_t>(e % 2 == 0 ? (byte & 0xf0) | (v & 15)
                                                 : (byte & 0x0f) | (v & 15) << 4);
        }
      });
}

void S4ToHalf(Exec& x) {
  const Lanes lanes = MakeLanes(x, 2, 2);
  if (lanes.repeats == 0) return;
  const VecOperand src = ResolveBytes(x, lanes, 1, x.u(4), x.u(6), false, AddNibble);
  const VecOperand dst = ResolveVec(x, lanes, 0, 2, x.u(3), x.u(5), true);
  ForEachRepeat(lanes, dst, src,
                [&](const uint64_t* mask, uint32_t top, VecOperand to, VecOperand from) {
                  uint16_t out[kLanes16];
                  for (int e = 0; e < kLanes16; ++e) {
                    if (!Active(mask, e)) continue;
                    const uint8_t byte = from.data[e / 64 * from.block + e % 64 / 2];
                    const int v = e % 2 == 0 ? byte & 15 : byte >> 4;
                    out[e] = FloatToHalf(static_cast<float>(v >= 8 ? v - 16 : v));
                  }
                  StoreLanes<uint16_t, kLanes16>(to.data, to.block, top, mask, out);
                });
}

// Word of set_deqscale(uint64_t): [31:0] scale, [45:37] signed offset, [46]
// signed result. Product rounded to nearest even and kept to 9 bits, as the
// fixpipe does it, before the offset is added [inf].
uint8_t Scaled(int16_t v, uint64_t word) {
  const float product = static_cast<float>(v) * BitsFloat(static_cast<uint32_t>(word));
  const auto t = ToInteger<int64_t>(product, Rounding::kNearestEven, false, -256, 255);
  int64_t offset = static_cast<int64_t>(word >> 37 & 0x1ff);
  if (offset >= 256) offset -= 512;
  const bool is_signed = (word >> 46 & 1) != 0;
  const int64_t low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  return static_cast<uint8_t>(std::min(std::max(t + offset, low), high));
}

}  // namespace

void VecConvertS4(Exec& x) {
  switch (x.insn()) {
    case VNPU_INSN_vconv_s42f16:
      return S4ToHalf(x);
    case VNPU_INSN_vconv_f162s4a:
      return HalfToS4(x, Rounding::kNearestAway);
    case VNPU_INSN_vconv_f162s4f:
      return HalfToS4(x, Rounding::kFloor);
    case VNPU_INSN_vconv_f162s4c:
      return HalfToS4(x, Rounding::kCeil);
    case VNPU_INSN_vconv_f162s4z:
      return HalfToS4(x, Rounding::kZero);
    default:
      return HalfToS4(x, Rounding::kNearestEven);
  }
}

// The 16 results of datablock b of src go to the upper (h) or lower (l) 16
// bytes of datablock b of dst; the other half stays.
void VecConvertHalfBlock(Exec& x) {
  x.Require(Spr::kDeqscale, "set_deqscale");
  const bool by_lane =
      x.insn() == VNPU_INSN_vconv_vdeqs162b8h || x.insn() == VNPU_INSN_vconv_vdeqs162b8l;
  const int half =
      x.insn() == VNPU_INSN_vconv_deqs162b8h || x.insn() == VNPU_INSN_vconv_vdeqs162b8h ? 16 : 0;
  const Lanes lanes = MakeLanes(x, 2, 2);
  if (lanes.repeats == 0) return;
  const VecOperand src = ResolveVec(x, lanes, 1, 2, x.u(4), x.u(6), false);
  uint64_t words[16];
  if (by_lane) {
    const uint64_t at = x.spr().deqscale << 5;
    std::memcpy(words, x.AccessIn(Space::kUb, 1, at, Runs(sizeof(words)), false), sizeof(words));
  } else {
    for (uint64_t& word : words) word = x.spr().deqscale;
  }
  const VecOperand dst = ResolveBytes(x, lanes, 0, x.u(3), x.u(5), true,
                                      [&](RepeatBytes* bytes, const uint64_t*, int lane) {
                                        bytes->Add(lane / 16 * 32 + half + lane % 16, 1);
                                      });
  ForEachRepeat(lanes, dst, src,
                [&](const uint64_t* mask, uint32_t top, VecOperand to, VecOperand from) {
                  int16_t in[kLanes16] = {};
                  LoadLanes<int16_t, kLanes16>(from.data, from.block, top, in);
                  for (int e = 0; e < kLanes16; ++e) {
                    if (!Active(mask, e)) continue;
                    to.data[e / 16 * to.block + half + e % 16] = Scaled(in[e], words[e % 16]);
                  }
                });
}

// One rounding: sums and products of halves and int16 are exact before it.
// A sum of floats is rounded to float first.
void VecFused(Exec& x) {
  const bool mul = x.insn() == VNPU_INSN_vmulconv_f162s8 || x.insn() == VNPU_INSN_vmulconv_f162u8;
  if (!mul && x.arg(10) != 0) x.Unsupported("h = true (results in half datablocks)");
  const bool truncate = x.ctrl(kCtrlTruncate), keep = x.ctrl(kCtrlKeepInfNan);
  const auto halves = [](uint16_t a, uint16_t b, int sign) {
    return Relu(static_cast<double>(HalfToFloat(a)) + sign * static_cast<double>(HalfToFloat(b)));
  };
  const auto product = [](uint16_t a, uint16_t b) {
    return static_cast<double>(HalfToFloat(a)) * static_cast<double>(HalfToFloat(b));
  };
  const int sign =
      x.insn() >= VNPU_INSN_vsubreluconv_f162s8 && x.insn() <= VNPU_INSN_vsubreluconv_s162s8 ? -1
                                                                                             : 1;
  switch (x.insn()) {
    case VNPU_INSN_vaddreluconv_f162s8:
    case VNPU_INSN_vsubreluconv_f162s8:
      return Fused<int8_t, uint16_t>(x, [&](uint16_t a, uint16_t b) {
        return ToInteger<int8_t>(halves(a, b, sign), truncate);
      });
    case VNPU_INSN_vaddreluconv_s162s8:
    case VNPU_INSN_vsubreluconv_s162s8:
      return Fused<int8_t, int16_t>(
          x, [&](int16_t a, int16_t b) { return ToInteger<int8_t>(Relu(a + sign * b), truncate); });
    case VNPU_INSN_vaddreluconv_f322f16:
    case VNPU_INSN_vsubreluconv_f322f16:
      return Fused<uint16_t, float>(x, [&](float a, float b) {
        const float sum = sign < 0 ? a - b : a + b;
        const uint16_t h = FloatToHalf(static_cast<float>(Relu(sum)));
        return keep ? h : SaturateHalf(h);
      });
    case VNPU_INSN_vmulconv_f162s8:
      return Fused<int8_t, uint16_t>(
          x, [&](uint16_t a, uint16_t b) { return ToInteger<int8_t>(product(a, b), truncate); });
    default:
      return Fused<uint8_t, uint16_t>(
          x, [&](uint16_t a, uint16_t b) { return ToInteger<uint8_t>(product(a, b), truncate); });
  }
}

}  // namespace insns
}  // namespace vnpu
