// SPDX-License-Identifier: Apache-2.0
// Copies: a byte is as defined as the byte it comes from.
#include <algorithm>

#include "tools/vnpu/check/definedness_rules.h"
#include "tools/vnpu/core/types.h"
#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

uint64_t RunAt(const Access& access, uint64_t i, uint64_t j, uint64_t k) {
  return access.base + static_cast<uint64_t>(static_cast<int64_t>(i) * access.dims[0].stride +
                                             static_cast<int64_t>(j) * access.dims[1].stride +
                                             static_cast<int64_t>(k) * access.dims[2].stride);
}

// Byte p of a square of transposed elements comes from byte source[p].
struct Square {
  uint32_t bytes;
  uint16_t source[1024];
};

// Element (r, c) of out = element (c, r) of in: 16 x 16 of two bytes.
Square MakeSquare16() {
  Square square{512, {}};
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) {
      for (int b = 0; b < 2; ++b) {
        square.source[(c * 16 + r) * 2 + b] = static_cast<uint16_t>((r * 16 + c) * 2 + b);
      }
    }
  }
  return square;
}

// 32 x 32 bytes, two stacked fractals on either side.
Square MakeSquare8() {
  Square square{1024, {}};
  for (int r = 0; r < 32; ++r) {
    for (int c = 0; c < 32; ++c) square.source[c * 32 + r] = static_cast<uint16_t>(r * 32 + c);
  }
  return square;
}

// 16 x 16 words: two 16 x 8 fractals side by side.
Square MakeSquare32() {
  Square square{1024, {}};
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) {
      for (int b = 0; b < 4; ++b) {
        const int out = (r / 8) * 512 + (c * 8 + r % 8) * 4 + b;
        square.source[out] = static_cast<uint16_t>((c / 8) * 512 + (r * 8 + c % 8) * 4 + b);
      }
    }
  }
  return square;
}

// `second`: distance from the first 512 bytes of the result to the rest.
void Permute(Step& step, const Square& square, Space to_space, uint64_t to, uint64_t second,
             Space from_space, uint64_t from) {
  uint64_t in[1024 / 64] = {};
  OriginId origin = 0;
  for (uint32_t at = 0; at < square.bytes; at += 64) {
    in[at / 64] = step.Load(from_space, from + at, 64);
    if (in[at / 64] != 0 && origin == 0) origin = step.OriginIn(from_space, from + at, 64);
  }
  for (uint32_t at = 0; at < square.bytes; at += 64) {
    uint64_t out = 0;
    for (uint32_t i = 0; i < 64 && origin != 0; ++i) {
      const uint16_t source = square.source[at + i];
      out |= (in[source / 64] >> (source % 64) & 1) << i;
    }
    step.Store(to_space, to + (at < 512 ? at : second + at - 512), 64, out, origin);
  }
}

}  // namespace

// Runs of the destination from runs of the source, in order.
void RuleRows(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  const Access& from = src->access;
  const Access& to = dst->access;
  for (uint64_t i = 0; i < from.dims[0].count; ++i) {
    for (uint64_t j = 0; j < from.dims[1].count; ++j) {
      for (uint64_t k = 0; k < from.dims[2].count; ++k) {
        step.Copy(to.space, RunAt(to, i, j, k), from.space, RunAt(from, i, j, k), from.run);
      }
    }
  }
}

// Pad modes 1..5 put the pad register behind groups of bytes, 6..8 leave bytes
// out: see isa/insns/copy_gm_l1.cc.
void RuleGmToL1(Step& step) {
  const uint64_t mode = step.arg(7);
  if (mode == 0) return RuleRows(step);
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  static constexpr uint64_t kFrom[] = {32, 1, 1, 2, 4, 8, 32, 32, 32};
  static constexpr uint64_t kKept[] = {32, 1, 1, 2, 4, 8, 4, 8, 16};
  static constexpr uint64_t kTo[] = {32, 32, 16, 16, 16, 16, 4, 8, 16};
  step.DefineWrites();
  const uint64_t bytes = step.arg(4) * kBlockBytes, pitch = bytes + step.arg(5) * kBlockBytes;
  for (uint64_t i = 0; i < step.arg(3); ++i) {
    for (uint64_t g = 0; g < bytes / kFrom[mode]; ++g) {
      step.Copy(Space::kL1, RunAt(dst->access, 0, 0, i) + g * kTo[mode], Space::kGm,
                src->access.base + i * pitch + g * kFrom[mode], kKept[mode]);
    }
  }
}

// leftPad and rightPad elements hold the pad register, undefined if that has
// not been set. What is left of the last
// datablock is pad as well if there is any, else "dummy": a copy of the first
// element [ex] that no kernel should count on.
void RuleGmToUbAlign(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  const uint64_t element = uint64_t{1} << (step.in().insn - VNPU_INSN_copy_gm_to_ubuf_align_b8);
  const uint64_t bytes = src->access.run, left = step.arg(5) * element;
  const bool padded = step.arg(5) + step.arg(6) > 0;
  const uint64_t filled = dst->access.run;
  const bool dummy = !padded && filled > bytes && step.host().dummy_is_undefined();
  const bool unset = padded && (step.in().spr->defined & Spr::kMovPadVal) == 0;
  if (!dummy && !unset && !step.AnyRead()) return step.DefineWrites();
  for (uint64_t row = 0; row < src->access.dims[2].count; ++row) {
    const uint64_t from = RunAt(src->access, 0, 0, row), to = RunAt(dst->access, 0, 0, row);
    if (left > 0) {
      step.Fill(Space::kUb, to, left, unset, unset ? step.FreshOrigin(Space::kUb, to) : 0);
    }
    step.Copy(Space::kUb, to + left, Space::kGm, from, bytes);
    const uint64_t rest = to + left + bytes, rest_bytes = filled - left - bytes;
    if (rest_bytes == 0) continue;
    const bool copied = !padded && step.Any(Space::kGm, from, element);
    OriginId origin = 0;
    if (dummy || unset) {
      origin = step.FreshOrigin(Space::kUb, rest);
    } else if (copied) {
      origin = step.OriginIn(Space::kGm, from, element);
    }
    step.Fill(Space::kUb, rest, rest_bytes, origin != 0, origin);
  }
}

// Row i, column block j of matrix g; the last block is filled with zeros.
void RuleNd2Nz(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  const uint64_t row_bytes = src->access.run;
  for (uint64_t g = 0; g < dst->access.dims[0].count; ++g) {
    for (uint64_t i = 0; i < dst->access.dims[2].count; ++i) {
      const uint64_t row = RunAt(src->access, 0, g, i);
      for (uint64_t j = 0; j < dst->access.dims[1].count; ++j) {
        const uint64_t count = std::min<uint64_t>(kBlockBytes, row_bytes - j * kBlockBytes);
        const uint64_t from = row + j * kBlockBytes;
        const uint64_t bits = step.Load(Space::kGm, from, count);
        step.Store(Space::kL1, RunAt(dst->access, g, j, i), kBlockBytes, bits,
                   bits == 0 ? 0 : step.OriginIn(Space::kGm, from, count));
      }
    }
  }
}

void RuleLoadL0(Step& step) {
  if (step.arg(7) == 0) return RuleRows(step);
  static const Square* square = new Square(MakeSquare16());
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  for (uint64_t r = 0; r < src->access.dims[2].count; ++r) {
    Permute(step, *square, dst->access.space, RunAt(dst->access, 0, 0, r), 0, Space::kL1,
            RunAt(src->access, 0, 0, r));
  }
}

void RuleLoadL0Transpose(Step& step) {
  static const Square* square8 = new Square(MakeSquare8());
  static const Square* square16 = new Square(MakeSquare16());
  static const Square* square32 = new Square(MakeSquare32());
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  const bool wide = src->access.run == 1024;
  const Square& square = !wide ? *square16 : step.in().type == VNPU_T_s8 ? *square8 : *square32;
  const auto second = static_cast<uint64_t>(dst->access.dims[2].stride);
  for (uint64_t r = 0; r < src->access.dims[2].count; ++r) {
    Permute(step, square, dst->access.space, RunAt(dst->access, 0, r, 0), second, Space::kL1,
            RunAt(src->access, 0, 0, r));
  }
}

void RuleL1ToBt(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  if (src->access.run == dst->access.run) return RuleRows(step);
  for (uint64_t row = 0; row < src->access.dims[2].count; ++row) {  // halves to floats
    for (uint64_t at = 0; at < src->access.run; at += 2) {
      const uint64_t from = RunAt(src->access, 0, 0, row) + at;
      const bool undefined = step.Any(Space::kL1, from, 2);
      step.Fill(Space::kBt, RunAt(dst->access, 0, 0, row) + 2 * at, 4, undefined,
                undefined ? step.OriginIn(Space::kL1, from, 2) : 0);
    }
  }
}

// Scalar values decide branches and addresses. Copies of whole structs may
// carry padding: they matter only if nothing in them is defined.
void RuleScalarLoad(Step& step) {
  const Operand* src = step.Find(0, false);
  if (src == nullptr) return;
  const Access& access = src->access;
  uint64_t undefined = 0;
  for (uint64_t at = 0; at < access.run; at += 64) {
    undefined += static_cast<uint64_t>(__builtin_popcountll(
        step.Load(access.space, access.base + at, std::min<uint64_t>(64, access.run - at))));
  }
  if (undefined == 0 || (access.run > 8 && undefined < access.run)) return;
  step.host().ReachScalar(step, step.OriginIn(access.space, access.base, access.run));
}

}  // namespace vnpu
