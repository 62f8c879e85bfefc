// SPDX-License-Identifier: Apache-2.0
// Matrix multiply and what comes out of it. Layouts as in isa/insns/mad.cc and
// isa/insns/fixpipe.cc.
#include <algorithm>
#include <vector>

#include "tools/vnpu/check/definedness_rules.h"
#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

uint64_t CeilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

struct Line {  // a row of A or a column of B
  bool undefined = false;
  OriginId origin = 0;
};

// `fractals` pieces of 32 bytes, `pitch` apart; only the first `bytes` count.
Line CheckLine(Step& step, Space space, uint64_t at, uint64_t pitch, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes; done += kBlockBytes, at += pitch) {
    const uint64_t count = std::min<uint64_t>(kBlockBytes, bytes - done);
    if (step.Load(space, at, count) == 0) continue;
    return Line{true, step.OriginIn(space, at, count)};
  }
  return Line{};
}

struct Product {
  uint64_t m, k, n, k_bytes, k1, n1, c_rows, a_pitch;
  uint64_t a, b, c;
  bool zero;  // starts from zero, else from bias or from C
  bool bias;
  uint64_t bias_at;
};

Product MakeProduct(const Step& step) {
  Product p;
  p.c = step.arg(0);
  p.a = step.arg(1);
  p.b = step.arg(2);
  p.m = step.arg(3);
  p.k = step.arg(4);
  p.n = step.arg(5);
  const uint32_t type = step.in().type;
  const uint64_t bits = step.in().insn == VNPU_INSN_mad_s4 ? 4
                        : type == VNPU_T_s8                ? 8
                        : type == VNPU_T_f32               ? 32
                                                           : 16;
  p.k_bytes = CeilDiv(p.k * bits, 8);
  p.k1 = CeilDiv(p.k_bytes, kBlockBytes);
  p.n1 = CeilDiv(p.n, 16);
  p.c_rows = CeilDiv(p.m, 16) * 16;
  p.a_pitch = bits == 32 && step.arg(7) != 0 ? CeilDiv(p.k, 16) * 2 : p.k1;
  p.zero = step.arg(9) != 0;
  p.bias = !p.zero && step.arg(8) != 0;
  p.bias_at = step.in().insn == VNPU_INSN_mad_bias ? step.arg(10) : 0;
  return p;
}

std::vector<Line> RowsOfA(Step& step, const Product& p) {
  std::vector<Line> rows(p.m);
  for (uint64_t i = 0; i < p.m; ++i) {
    const uint64_t at = p.a + i / 16 * p.a_pitch * kFractalBytes + i % 16 * kBlockBytes;
    rows[i] = CheckLine(step, Space::kL0a, at, p.m == 1 ? kBlockBytes : kFractalBytes, p.k_bytes);
  }
  return rows;
}

std::vector<Line> ColumnsOfB(Step& step, const Product& p) {
  std::vector<Line> columns(p.n);
  for (uint64_t j = 0; j < p.n; ++j) {
    const uint64_t at = p.b + j / 16 * kFractalBytes + j % 16 * kBlockBytes;
    columns[j] = CheckLine(step, Space::kL0b, at, p.n1 * kFractalBytes, p.k_bytes);
  }
  return columns;
}

// One row of one 16-column block of C: a bit per byte of its 64.
void UpdateBlock(Step& step, const Product& p, uint64_t row, const Line& a, uint64_t block,
                 uint64_t undefined_columns, OriginId column_origin) {
  const uint64_t bytes = std::min<uint64_t>(16, p.n - block * 16) * 4;
  const uint64_t at = p.c + (block * p.c_rows + row) * 64;
  uint64_t bits = a.undefined ? LowBits(bytes) : undefined_columns & LowBits(bytes);
  OriginId origin = a.undefined ? a.origin : column_origin;
  if (p.bias) {
    const uint64_t from = p.bias_at + block * 64;
    const uint64_t more = step.Load(Space::kBt, from, bytes);
    if (bits == 0 && more != 0) origin = step.OriginIn(Space::kBt, from, bytes);
    bits |= more;
  } else if (!p.zero) {
    const uint64_t old = step.Load(Space::kL0c, at, bytes);
    if ((bits & ~old) == 0) return;  // nothing new
    bits |= old;
  }
  step.Store(Space::kL0c, at, bytes, bits, origin);
}

}  // namespace

// Exact in m, k and n: a row of C is undefined if one of the k elements of that
// row of A is, a column if one of B's is. What C held before stays in the sum.
void RuleMad(Step& step) {
  if (step.operands().empty()) return;
  const Product p = MakeProduct(step);
  const Operand* a = step.Find(1, false);
  const Operand* b = step.Find(2, false);
  const bool a_clean = a != nullptr && !step.AnyRead(*a);
  const bool b_clean = b != nullptr && !step.AnyRead(*b);
  if (a_clean && b_clean && !p.zero && !p.bias) return;  // C is as defined as before
  const std::vector<Line> rows = a_clean ? std::vector<Line>(p.m) : RowsOfA(step, p);
  const std::vector<Line> columns = b_clean ? std::vector<Line>(p.n) : ColumnsOfB(step, p);
  for (uint64_t block = 0; block < p.n1; ++block) {
    uint64_t bits = 0;
    OriginId origin = 0;
    for (uint64_t j = block * 16; j < p.n && j < block * 16 + 16; ++j) {
      if (!columns[j].undefined) continue;
      bits |= uint64_t{0xf} << (j % 16 * 4);
      if (origin == 0) origin = columns[j].origin;
    }
    for (uint64_t row = 0; row < p.m; ++row) {
      UpdateBlock(step, p, row, rows[row], block, bits, origin);
    }
  }
}

namespace {

// Quantisation modes with a parameter per column [doc].
bool IsVectorQuant(uint64_t mode) { return mode == 2 || mode == 4 || mode == 12 || mode == 23; }

// Columns [column, column + count) whose 8-byte parameter in FB is undefined, a
// bit each; *origin of the first.
uint64_t UndefinedParameters(Step& step, uint64_t column, uint64_t count, OriginId* origin) {
  uint64_t columns = 0;
  const uint64_t first = (step.in().spr->fpc >> 8 & 0xff) * 128;
  for (uint64_t c = 0; c < count; ++c) {
    const uint64_t at = first + (column + c) * 8;
    if (!step.Any(Space::kFb, at, 8)) continue;
    columns |= uint64_t{1} << c;
    if (*origin == 0) *origin = step.OriginIn(Space::kFb, at, 8);
  }
  return columns;
}

}  // namespace

// Each element of the result from one word of L0C, and for vector quantisation
// from its column's parameter.
void RuleFixpipe(Step& step) {
  const Operand* src = step.Find(1, false);
  const Operand* dst = step.Find(0, true);
  if (src == nullptr || dst == nullptr) return;
  const bool vector_quant = IsVectorQuant(step.arg(8));
  if (!vector_quant && !step.AnyRead(*src)) return step.DefineWrites();
  const uint32_t type = step.in().type;
  const uint64_t element = type == VNPU_T_s8 || type == VNPU_T_u8     ? 1
                           : type == VNPU_T_f32 || type == VNPU_T_s32 ? 4
                                                                      : 2;
  const bool nz2nd = step.arg(11) != 0, split = step.arg(10) != 0;
  const uint64_t n = step.arg(3), rows = step.arg(4);
  const uint64_t pitch = step.arg(5) * (nz2nd ? element : kBlockBytes);
  const auto place = [&](uint64_t row, uint64_t column) {
    if (nz2nd) return row * pitch + column * element;
    const uint64_t per_block = split ? 8 : element == 1 ? 32 : 16;
    const uint64_t row_bytes = element == 4 && !split ? 64 : 32;
    return column / per_block * pitch + row * row_bytes + column % per_block * element;
  };
  const uint64_t step_columns = split ? 8 : 16;
  const Access& from = src->access;
  for (uint64_t g = 0; g < from.dims[1].count; ++g) {
    const uint64_t matrix_to = dst->access.base + static_cast<uint64_t>(static_cast<int64_t>(g) *
                                                                        dst->access.dims[1].stride);
    for (uint64_t column = 0; column < n; column += step_columns) {
      const uint64_t count = std::min(step_columns, n - column);
      const uint64_t block_at = BlockAt(*src, g, column / 16) + column % 16 * 4;
      OriginId parameter_origin = 0;
      const uint64_t parameters =
          vector_quant ? UndefinedParameters(step, column, count, &parameter_origin) : 0;
      for (uint64_t row = 0; row < rows; ++row) {
        const uint64_t at = block_at + row * 64;
        const uint64_t words = step.Load(Space::kL0c, at, count * 4);
        uint64_t bits = 0;
        for (uint64_t c = 0; c < count && (words | parameters) != 0; ++c) {
          const bool undefined = (words >> (c * 4) & 0xf) != 0 || (parameters >> c & 1) != 0;
          if (undefined) bits |= LowBits(element) << (c * element);
        }
        OriginId origin = parameter_origin;
        if (words != 0) origin = step.OriginIn(Space::kL0c, at, count * 4);
        step.Store(dst->access.space, matrix_to + place(row, column), count * element, bits,
                   bits == 0 ? 0 : origin);
      }
    }
  }
}

}  // namespace vnpu
