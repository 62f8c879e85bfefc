// SPDX-License-Identifier: Apache-2.0
// GM <-> L1, plain and from row-major (ND) to column-block-major (NZ).
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/gm_store.h"
#include "tools/vnpu/isa/insns/handlers.h"

namespace vnpu {
namespace insns {

namespace {

// Pad modes: of every group of `from` bytes, the lowest `kept` become a group of
// `to` bytes. PAD_MODE1..5 insert the value of set_padding behind them,
// PAD_MODE6..8 drop the rest [doc: the C API's pages; the vendor's memory
// checker reads modes 2..5 as 2, 4, 8, 16 bytes to 32].
struct PadMode {
  uint64_t from, kept, to;
};
constexpr PadMode kPadModes[] = {{32, 32, 32}, {1, 1, 32}, {1, 1, 16}, {2, 2, 16},  {4, 4, 16},
                                 {8, 8, 16},   {32, 4, 4}, {32, 8, 8}, {32, 16, 16}};

void CopyPadded(Exec& x) {
  const PadMode mode = kPadModes[x.u(7)];
  const uint64_t count = x.u(3), bytes = x.u(4) * kBlockBytes;
  const uint64_t groups = bytes / mode.from, dst_bytes = groups * mode.to;
  const auto src_pitch = static_cast<int64_t>(bytes + x.u(5) * kBlockBytes);
  const auto dst_pitch = static_cast<int64_t>(dst_bytes + x.u(6) * kBlockBytes);
  const bool inserts = mode.to > mode.kept;
  if (inserts) x.Require(Spr::kPadding, "set_padding");
  uint8_t pad[2];
  std::memcpy(pad, &x.spr().padding, sizeof(pad));
  const uint8_t* src = inserts ? x.Read(1, Runs(bytes, Dim{count, src_pitch}))
                               : x.Read(1, Runs(mode.kept, Dim{count, src_pitch},
                                                Dim{groups, static_cast<int64_t>(mode.from)}));
  uint8_t* dst = x.Write(0, Runs(dst_bytes, Dim{count, dst_pitch}));
  for (uint64_t i = 0; i < count; ++i, src += src_pitch, dst += dst_pitch) {
    for (uint64_t g = 0; g < groups; ++g) {
      uint8_t* to = dst + g * mode.to;
      std::memcpy(to, src + g * mode.from, mode.kept);
      // PAD_MODE1 pads with a byte, the others with two.
      for (uint64_t at = mode.kept; at < mode.to; ++at) to[at] = pad[x.u(7) == 1 ? 0 : at % 2];
    }
  }
}

}  // namespace

void CopyGmToL1(Exec& x) {
  const uint64_t count = x.u(3), bytes = x.u(4) * kBlockBytes;
  const auto src_pitch = static_cast<int64_t>(bytes + x.u(5) * kBlockBytes);
  const auto dst_pitch = static_cast<int64_t>(bytes + x.u(6) * kBlockBytes);
  if (count == 0 || bytes == 0) return;
  if (x.arg(7) != 0) return CopyPadded(x);
  const uint8_t* src = x.Read(1, Runs(bytes, Dim{count, src_pitch}));
  uint8_t* dst = x.Write(0, Runs(bytes, Dim{count, dst_pitch}));
  CopyRows(dst, dst_pitch, src, src_pitch, count, bytes);
}

void CopyL1ToGm(Exec& x) {
  const uint64_t count = x.u(3), bytes = x.u(4) * kBlockBytes;
  const auto src_pitch = static_cast<int64_t>(bytes + x.u(5) * kBlockBytes);
  const auto dst_pitch = static_cast<int64_t>(bytes + x.u(6) * kBlockBytes);
  if (count == 0 || bytes == 0) return;
  const uint8_t* src = x.Read(1, Runs(bytes, Dim{count, src_pitch}));
  uint8_t* dst = x.Write(0, Runs(bytes, Dim{count, dst_pitch}));
  StoreRowsToGm(x.spr(), dst, dst_pitch, src, src_pitch, count, bytes);
}

// Matrix g, row i, column block j: 32 bytes from
//   src + (g * srcNdMatrixStride + i * srcDValue) * ES + j * 32
// to dst + g * dstNzMatrixStride * ES + j * dstNzC0Stride * 32 + i * dstNzNStride * 32.
// The last column block is filled with zeros [doc].
void CopyGmToL1Nd2Nz(Exec& x) {
  const uint64_t element = x.insn() == VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b8    ? 1
                           : x.insn() == VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b16 ? 2
                                                                                   : 4;
  const uint64_t matrices = x.u(3), rows = x.u(4), row_bytes = x.u(5) * element;
  const auto src_matrix = static_cast<int64_t>(x.u(6) * element);
  const auto src_row = static_cast<int64_t>(x.u(7) * element);
  const auto dst_block = static_cast<int64_t>(x.u(8) * kBlockBytes);
  const auto dst_row = static_cast<int64_t>(x.u(9) * kBlockBytes);
  const auto dst_matrix = static_cast<int64_t>(x.u(10) * element);
  if (matrices == 0 || rows == 0 || row_bytes == 0) return;
  const uint64_t blocks = (row_bytes + kBlockBytes - 1) / kBlockBytes;
  if (blocks > 1 && x.u(8) == 0) x.Fail("bad argument", "dstNzC0Stride = 0 with several blocks");
  if (dst_matrix % kBlockBytes != 0 && matrices > 1) {
    x.Fail("misaligned", "dstNzMatrixStride is no multiple of 32 bytes");
  }
  const uint8_t* src = x.Read(1, Runs(row_bytes, Dim{matrices, src_matrix}, Dim{rows, src_row}));
  uint8_t* dst = x.Write(
      0, Runs(kBlockBytes, Dim{matrices, dst_matrix}, Dim{blocks, dst_block}, Dim{rows, dst_row}));
  const uint64_t full = row_bytes / kBlockBytes;
  const uint64_t tail = row_bytes % kBlockBytes;
  for (uint64_t g = 0; g < matrices; ++g, src += src_matrix, dst += dst_matrix) {
    for (uint64_t i = 0; i < rows; ++i) {
      const uint8_t* from = src + static_cast<int64_t>(i) * src_row;
      uint8_t* to = dst + static_cast<int64_t>(i) * dst_row;
      for (uint64_t j = 0; j < full; ++j, from += kBlockBytes, to += dst_block) {
        std::memcpy(to, from, kBlockBytes);
      }
      if (tail == 0) continue;
      std::memset(to, 0, kBlockBytes);
      std::memcpy(to, from, tail);
    }
  }
}

}  // namespace insns
}  // namespace vnpu
