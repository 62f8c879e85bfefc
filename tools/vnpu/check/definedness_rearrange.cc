// SPDX-License-Identifier: Apache-2.0
// Vector instructions that move elements: broadcast, gathers, transpositions,
// sorts.
#include <algorithm>
#include <cstring>
#include <vector>

#include "tools/vnpu/check/definedness_rules.h"
#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

uint64_t ElementBytes(const Step& step) {
  const uint32_t type = step.in().type;
  return type == VNPU_T_f32 || type == VNPU_T_s32 || type == VNPU_T_u32 ? 4 : 2;
}

// Offset i of a gather; one that is undefined is an address nobody knows.
uint32_t OffsetAt(Step& step, const Operand& offsets, uint64_t i) {
  uint32_t offset;
  std::memcpy(&offset, step.Sample(offsets) + i * sizeof(offset), sizeof(offset));
  const uint64_t at = offsets.access.base + i * sizeof(offset);
  if (step.Any(Space::kUb, at, sizeof(offset))) {
    step.host().ReachAddress(step, step.OriginIn(Space::kUb, at, sizeof(offset)));
  }
  return offset;
}

void CopyElement(Step& step, uint64_t to, uint64_t from, uint64_t bytes) {
  step.Copy(Space::kUb, to, Space::kUb, from, bytes);
}

void SetResult(Step& step, ScalarResult which, bool undefined, OriginId origin) {
  step.shadow().result_undefined[static_cast<int>(which)] = undefined;
  step.shadow().result_origin[static_cast<int>(which)] = origin;
}

}  // namespace

void RuleBroadcastBlock(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  const uint64_t element = ElementBytes(step);
  // All sources of a repeat are read before its first result is stored.
  for (uint64_t r = 0; r < dst->access.dims[1].count; ++r) {
    bool undefined[8];
    OriginId origin[8] = {};
    for (uint64_t b = 0; b < 8; ++b) {
      const uint64_t from = src->access.base + (r * 8 + b) * element;
      undefined[b] = step.Any(Space::kUb, from, element);
      if (undefined[b]) origin[b] = step.OriginIn(Space::kUb, from, element);
    }
    for (uint64_t b = 0; b < 8; ++b) {
      step.Fill(Space::kUb, BlockAt(*dst, r, b), kBlockBytes, undefined[b], origin[b]);
    }
  }
}

void RuleGather(Step& step) {
  const Operand* offsets = step.Find(1, false);
  if (offsets == nullptr) return;
  const uint64_t element = ElementBytes(step), lanes = kRepeatBytes / element;
  uint64_t row = 0;
  for (int n = step.Find(0, true, 1) != nullptr ? 1 : 0; n >= 0; --n) {
    const Operand* dst = step.Find(0, true, n);
    if (dst == nullptr) return;
    for (uint64_t r = 0; r < dst->access.dims[1].count; ++r, ++row) {
      for (uint64_t e = 0; e < lanes; ++e) {
        if ((dst->mask[e / 64] >> (e % 64) & 1) == 0) continue;
        const uint64_t from = step.arg(2) + OffsetAt(step, *offsets, row * lanes + e);
        CopyElement(step, BlockAt(*dst, r, 0) + e * element, from, element);
      }
    }
  }
}

void RuleGatherBlock(Step& step) {
  const Operand* offsets = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (offsets == nullptr || dst == nullptr) return;
  for (uint64_t i = 0; i < dst->access.dims[1].count * 8; ++i) {
    CopyElement(step, BlockAt(*dst, i / 8, i % 8), step.arg(2) + OffsetAt(step, *offsets, i),
                kBlockBytes);
  }
}

namespace {

bool PatternKeeps(uint64_t pattern, uint64_t lane) {
  if (pattern == 1) return lane % 2 == 0;
  if (pattern == 2) return lane % 2 == 1;
  if (pattern == 7) return true;
  return lane % 4 == pattern - 3;
}

}  // namespace

// Kept elements move together; behind an undefined mask bit nothing is where
// it should be, and the count is undefined.
void RuleGatherMask(Step& step) {
  SetResult(step, ScalarResult::kRsvdCnt, false, 0);
  const Operand* src = step.Find(1, false);
  const Operand* bits = step.Find(2, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr) return;
  const uint64_t element = ElementBytes(step), per_block = kBlockBytes / element;
  const bool counter = (step.in().spr->ctrl >> kCtrlCounterMode & 1) != 0;
  const uint64_t lanes =
      counter ? step.in().spr->mask[0] & 0xffffffffu : uint64_t{kRepeatBytes} / element;
  const uint8_t* values = bits != nullptr ? step.Sample(*bits) : nullptr;
  uint64_t to = dst != nullptr ? dst->access.base : 0;
  OriginId lost = 0;  // the first undefined mask bit
  std::vector<std::pair<bool, OriginId>> kept;
  for (uint64_t r = 0; r < src->access.dims[1].count; ++r) {
    for (uint64_t e = 0; e < lanes; ++e) {
      bool keep;
      if (bits == nullptr) {
        keep = PatternKeeps(step.arg(5), e);
      } else {
        const uint64_t at = BlockAt(*bits, 0, r) + e / 8;
        if (lost == 0 && step.Any(Space::kUb, at, 1)) lost = step.OriginAt(Space::kUb, at);
        keep = (values[r * bits->access.run + e / 8] >> (e % 8) & 1) != 0;
      }
      if (!keep) continue;
      const uint64_t from = BlockAt(*src, r, e / per_block) + e % per_block * element;
      const bool undefined = lost != 0 || step.Any(Space::kUb, from, element);
      OriginId origin = lost;
      if (undefined && lost == 0) origin = step.OriginIn(Space::kUb, from, element);
      kept.emplace_back(undefined, origin);
    }
  }
  for (const auto& [undefined, origin] : kept) {
    step.Fill(Space::kUb, to, element, undefined, origin);
    to += element;
  }
  SetResult(step, ScalarResult::kRsvdCnt, lost != 0, lost);
}

void RuleTranspose(Step& step) {
  const uint64_t to = step.arg(0), from = step.arg(1);
  bool undefined[256];
  OriginId origin = 0;
  for (uint64_t i = 0; i < 256; ++i) {
    undefined[i] = step.Any(Space::kUb, from + i * 2, 2);
    if (undefined[i] && origin == 0) origin = step.OriginIn(Space::kUb, from + i * 2, 2);
  }
  for (uint64_t i = 0; i < 256; ++i) {
    step.Fill(Space::kUb, to + (i % 16 * 16 + i / 16) * 2, 2, undefined[i], origin);
  }
}

// Sources and results as in isa/insns/vec_transpose.cc: 16 rows each, their
// addresses in registers.
void RuleTransposeList(Step& step) {
  const bool bytes1 = step.in().insn == VNPU_INSN_scatter_vnchwconv_b8;
  const uint64_t element = bytes1 ? 1 : step.in().insn == VNPU_INSN_scatter_vnchwconv_b16 ? 2 : 4;
  const int columns = element == 4 ? 8 : 16;
  const Operand* first = step.Find(1, false);
  if (first == nullptr) return;
  for (uint64_t r = 0; r < first->access.dims[2].count; ++r) {
    bool square[16][16];
    OriginId origin = 0;
    for (int i = 0; i < 16; ++i) {
      const Operand* src = step.Find(1, false, i);
      for (int c = 0; c < columns; ++c) {
        const uint64_t at = BlockAt(*src, 0, r) + static_cast<uint64_t>(c) * element;
        square[i][c] = step.Any(Space::kUb, at, element);
        if (square[i][c] && origin == 0) origin = step.OriginIn(Space::kUb, at, element);
      }
    }
    for (int j = 0; j < 16; ++j) {
      const Operand* dst = step.Find(0, true, j);
      for (int i = 0; i < columns; ++i) {
        const bool undefined = columns == 16 ? square[i][j] : square[j % 2 * 8 + i][j / 2];
        step.Fill(Space::kUb, BlockAt(*dst, 0, r) + static_cast<uint64_t>(i) * element, element,
                  undefined, origin);
      }
    }
  }
}

// An undefined score may end up anywhere. Undefined indices of defined scores
// move with them, where to is not followed: they count only if all are.
void RuleSort32(Step& step) {
  const Operand* scores = step.Find(1, false);
  const Operand* indices = step.Find(2, false);
  const Operand* dst = step.Find(0, true);
  if (scores == nullptr || indices == nullptr || dst == nullptr) return;
  const uint64_t element = step.in().type == VNPU_T_f16 ? 2 : 4;
  for (uint64_t r = 0; r < step.arg(3); ++r) {
    const uint64_t score = scores->access.base + r * 32 * element;
    const uint64_t index = indices->access.base + r * 32 * 4;
    const uint64_t to = dst->access.base + r * 32 * 8;
    if (step.Any(Space::kUb, score, 32 * element)) {
      step.Fill(Space::kUb, to, 32 * 8, true, step.OriginIn(Space::kUb, score, 32 * element));
      continue;
    }
    const bool lost = step.Load(Space::kUb, index, 64) == LowBits(64) &&
                      step.Load(Space::kUb, index + 64, 64) == LowBits(64);
    const OriginId origin = lost ? step.OriginIn(Space::kUb, index, 128) : 0;
    for (uint64_t i = 0; i < 32; ++i) {
      step.Fill(Space::kUb, to + i * 8, 4, false);
      step.Fill(Space::kUb, to + i * 8 + 4, 4, lost, origin);
    }
  }
}

void RuleMergeSort(Step& step) {
  SetResult(step, ScalarResult::kVms4Sr, false, 0);
  OriginId origin = 0;
  for (int repeat = 0;; ++repeat) {
    const Operand* dst = step.Find(0, true, repeat);
    if (dst == nullptr) return;
    origin = 0;
    for (int list = 1; list <= 4; ++list) {
      const Operand* src = step.Find(list, false, repeat);
      if (src == nullptr) continue;
      for (uint64_t at = 0; at < src->access.run && origin == 0; at += 8) {
        const uint64_t score = src->access.base + at;
        if (step.Any(Space::kUb, score, 4)) origin = step.OriginIn(Space::kUb, score, 4);
      }
    }
    step.Fill(Space::kUb, dst->access.base, dst->access.run, origin != 0, origin);
    SetResult(step, ScalarResult::kVms4Sr, origin != 0, origin);
  }
}

}  // namespace vnpu
