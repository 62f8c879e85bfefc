// SPDX-License-Identifier: Apache-2.0
// Matrix multiply: C[m][n] (+)= sum over k of A[m][k] * B[k][n].
//
// A lies in L0A as zZ fractals (or, for M == 1, as a plain vector), B in L0B as
// nZ fractals, C in L0C as NZ fractals of 16 x 16 words. m, k and n are exact:
// what lies in the fractals beyond them is neither read nor written.
//
// HF32 (CTRL bit 46) rounds the elements of a float A and B first. Its 11 bits of
// fraction and what CTRL bit 47 selects are inference.
//
// The order of accumulation is fixed: per element of C, k ascending, one
// rounded product and one rounded sum at a time. Hardware's own order is not
// documented.
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/mad_kernel.h"

namespace vnpu {
namespace insns {
namespace {

uint32_t CeilDiv(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

uint32_t ElementBits(const Exec& x) {
  if (x.insn() == VNPU_INSN_mad_s4) return 4;
  return x.type() == VNPU_T_s8 ? 8 : x.type() == VNPU_T_f32 ? 32 : 16;
}

// What the accumulators start from.
enum class Start { kZero, kBias, kOld };

void InitAccumulators(const MadShape& s, Start start, const uint8_t* bias, uint8_t* c) {
  if (start == Start::kOld) return;
  for (uint32_t n1 = 0; n1 * 16 < s.n; ++n1) {
    const uint32_t columns = s.n - n1 * 16 < 16 ? s.n - n1 * 16 : 16;
    for (uint32_t row = 0; row < s.m; ++row) {
      uint8_t* to = c + (static_cast<uint64_t>(n1) * s.c_rows + row) * 64;
      if (start == Start::kZero) {
        std::memset(to, 0, columns * 4);
      } else {
        std::memcpy(to, bias + n1 * 64, columns * 4);
      }
    }
  }
}

// Rows m and columns n of C, exactly: whole 16-column blocks, then the part of
// one.
uint8_t* ResolveC(Exec& x, const MadShape& s, bool write) {
  const auto block = static_cast<int64_t>(s.c_rows) * 64;
  const uint64_t whole = s.n / 16, rest = s.n % 16;
  uint8_t* c = nullptr;
  if (whole > 0) {
    c = x.Access(0, x.u(0), Runs(uint64_t{s.m} * 64, Dim{whole, block}), write, 0, nullptr, 0);
  }
  if (rest > 0) {
    uint8_t* part = x.Access(0, x.u(0) + whole * static_cast<uint64_t>(block),
                             Runs(rest * 4, Dim{s.m, 64}), write, 64, nullptr, 0);
    if (whole == 0) c = part;
  }
  return c;
}

}  // namespace

void Mad(Exec& x) {
  MadShape s;
  s.m = static_cast<uint32_t>(x.u(3));
  s.k = static_cast<uint32_t>(x.u(4));
  s.n = static_cast<uint32_t>(x.u(5));
  if (s.m == 0 || s.k == 0 || s.n == 0) return;
  const uint32_t bits = ElementBits(x);
  const uint32_t c0 = kBlockBytes * 8 / bits;
  s.k1 = CeilDiv(s.k, c0);
  s.n1 = CeilDiv(s.n, 16);
  s.c_rows = CeilDiv(s.m, 16) * 16;
  // Row groups of A that came through the float transpose load are pairs of
  // fractals wide.
  s.a_pitch = bits == 32 && x.u(7) != 0 ? CeilDiv(s.k, 16) * 2 : s.k1;
  s.vector_a = s.m == 1;
  const Start start = x.u(9) != 0 ? Start::kZero : x.u(8) != 0 ? Start::kBias : Start::kOld;

  const uint64_t a_bytes =
      s.vector_a ? static_cast<uint64_t>(CeilDiv(s.k * bits, kBlockBytes * 8)) * kBlockBytes
                 : static_cast<uint64_t>(s.k1) * kFractalBytes;
  const uint8_t* a =
      s.vector_a ? x.Read(1, Runs(a_bytes))
                 : x.Read(1, Runs(a_bytes, Dim{CeilDiv(s.m, 16),
                                               static_cast<int64_t>(s.a_pitch) * kFractalBytes}));
  const uint8_t* b = x.Read(2, Runs(static_cast<uint64_t>(s.k1) * s.n1 * kFractalBytes));
  const uint8_t* bias = nullptr;
  if (start == Start::kBias) {
    const Runs words(static_cast<uint64_t>(s.n) * 4);
    if (x.insn() == VNPU_INSN_mad_bias) {
      bias = x.Read(10, words);
    } else {
      // The short form takes BT address 0.
      bias = x.AccessIn(Space::kBt, 8, 0, words, false);
    }
  }
  if (start == Start::kOld && x.core().observed()) ResolveC(x, s, false);
  uint8_t* c = ResolveC(x, s, true);
  InitAccumulators(s, start, bias, c);
  if (bits == 4) return MadInt4(s, a, b, c);
  switch (x.type()) {
    case VNPU_T_f16:
      return MadHalf(s, a, b, c);
    case VNPU_T_bf16:
      return MadBfloat(s, a, b, c);
    case VNPU_T_f32:
      if (x.ctrl(kCtrlHf32)) return MadHf32(s, x.ctrl(kCtrlHf32TiesToZero), a, b, c);
      return MadFloat(s, a, b, c);
    default:
      return MadInt8(s, a, b, c);
  }
}

}  // namespace insns
}  // namespace vnpu
