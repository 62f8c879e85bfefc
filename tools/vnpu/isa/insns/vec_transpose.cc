// SPDX-License-Identifier: Apache-2.0
// Transpositions of 16 x 16 squares.
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"

namespace vnpu {
namespace insns {
namespace {

// UB byte address of entry i of a pair of address registers.
uint64_t Entry(const Exec& x, uint64_t reg, int i) {
  return static_cast<uint64_t>(x.spr().va[reg + static_cast<uint64_t>(i) / 8][i % 8]) * kBlockBytes;
}

// Source entry i is row i of a 16-row square, destination entry j its column j;
// a b32 square has 8 columns, whose halves take entries 2j and 2j + 1.
template <typename T>
void TransposeList(Exec& x, uint64_t src_offset, uint64_t dst_offset) {
  constexpr int kColumns = sizeof(T) == 4 ? 8 : 16;
  const uint64_t dst_reg = x.u(0), src_reg = x.u(1), repeats = x.u(2);
  if (dst_reg + 1 > 7 || src_reg + 1 > 7) {
    x.Fail("bad argument", "uses two address registers; the last pair starts at VA6");
  }
  const auto dst_stride = static_cast<int64_t>(x.u(3) * kBlockBytes);
  const auto src_stride = static_cast<int64_t>(x.u(4) * kBlockBytes);
  constexpr uint32_t kBytes = kColumns * sizeof(T);  // 16 of b8, else a datablock
  const Runs src_runs(kBytes, Dim{repeats, src_stride});
  const Runs dst_runs(kBytes, Dim{repeats, dst_stride});
  if (repeats == 0) return;
  const uint8_t* src[16];
  uint8_t* dst[16];
  for (int i = 0; i < 16; ++i) {
    src[i] = x.AccessIn(Space::kUb, 1, Entry(x, src_reg, i) + src_offset, src_runs, false, kBytes);
    dst[i] = x.AccessIn(Space::kUb, 0, Entry(x, dst_reg, i) + dst_offset, dst_runs, true, kBytes);
  }
  for (uint64_t r = 0; r < repeats; ++r) {
    T square[16][kColumns];
    const auto step = static_cast<int64_t>(r);
    for (int i = 0; i < 16; ++i) {
      std::memcpy(square[i], src[i] + step * src_stride, sizeof(square[i]));
    }
    for (int j = 0; j < 16; ++j) {
      T column[kColumns];
      for (int i = 0; i < kColumns; ++i) {
        column[i] = kColumns == 16 ? square[i][j] : square[j % 2 * 8 + i][j / 2];
      }
      std::memcpy(dst[j] + step * dst_stride, column, sizeof(column));
    }
  }
}

}  // namespace

void VecTranspose(Exec& x) {
  constexpr uint64_t kBytes = 16 * 16 * 2;
  uint16_t in[16][16], out[16][16];
  std::memcpy(in, x.Read(1, Runs(kBytes)), kBytes);
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) out[c][r] = in[r][c];
  }
  std::memcpy(x.Write(0, Runs(kBytes)), out, kBytes);
}

void VecTransposeList(Exec& x) {
  switch (x.insn()) {
    case VNPU_INSN_scatter_vnchwconv_b8:
      return TransposeList<uint8_t>(x, x.u(6) * 16, x.u(5) * 16);
    case VNPU_INSN_scatter_vnchwconv_b16:
      return TransposeList<uint16_t>(x, 0, 0);
    default:
      return TransposeList<uint32_t>(x, 0, 0);
  }
}

}  // namespace insns
}  // namespace vnpu
