// SPDX-License-Identifier: Apache-2.0
// GM <-> UB and UB <-> UB. A gap is the distance from the end of one burst to
// the start of the next.
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/gm_store.h"
#include "tools/vnpu/isa/insns/handlers.h"

namespace vnpu {
namespace insns {
namespace {

constexpr uint64_t kUnsetPad = 0x7fff7fff7fff7fff;  // as on-chip memory at start

// The plain copies: arguments dst, src, sid, nBurst, lenBurst, srcGap, dstGap
// in units of `unit` bytes.
struct Bursts {
  uint64_t count, bytes;
  int64_t src_pitch, dst_pitch;
  Bursts(const Exec& x, int first, uint64_t unit)
      : count(x.u(first)),
        bytes(x.u(first + 1) * unit),
        src_pitch(static_cast<int64_t>(bytes + x.u(first + 2) * unit)),
        dst_pitch(static_cast<int64_t>(bytes + x.u(first + 3) * unit)) {}
  bool empty() const { return count == 0 || bytes == 0; }
  Runs src() const { return Runs(bytes, Dim{count, src_pitch}); }
  Runs dst() const { return Runs(bytes, Dim{count, dst_pitch}); }
};

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

// Element bytes of an align copy, by its place in the table: b8, b16, b32.
uint64_t ElementBytes(uint32_t insn, uint32_t b8_insn) { return uint64_t{1} << (insn - b8_insn); }

void CheckWholeElements(Exec& x, uint64_t bytes, uint64_t element) {
  if (bytes % element == 0) return;
  x.Fail("bad argument", "lenBurst = " + std::to_string(bytes) + " is no multiple of " +
                             std::to_string(element) + " bytes");
}

}  // namespace

void CopyGmToUb(Exec& x) {
  const Bursts b(x, 3, kBlockBytes);
  if (b.empty()) return;
  const uint8_t* src = x.Read(1, b.src());
  uint8_t* dst = x.Write(0, b.dst());
  CopyRows(dst, b.dst_pitch, src, b.src_pitch, b.count, b.bytes);
}

void CopyUbToGm(Exec& x) {
  const Bursts b(x, 3, kBlockBytes);
  if (b.empty()) return;
  const uint8_t* src = x.Read(1, b.src());
  uint8_t* dst = x.Write(0, b.dst());
  StoreRowsToGm(x.spr(), dst, b.dst_pitch, src, b.src_pitch, b.count, b.bytes);
}

void CopyUbToUb(Exec& x) {
  const Bursts b(x, 3, kBlockBytes);
  if (b.empty()) return;
  const uint8_t* src = x.Read(1, b.src());
  uint8_t* dst = x.Write(0, b.dst());
  for (uint64_t i = 0; i < b.count; ++i) {
    const auto row = static_cast<int64_t>(i);
    std::memmove(dst + row * b.dst_pitch, src + row * b.src_pitch, b.bytes);
  }
}

// Bytes of the GM side are exact; a burst in UB starts on a datablock and is
// filled up to one. Pad elements take the pad register; the rest of the last
// block ("dummy") is pad too if a pad was asked for, else the burst's first
// element. A pad register that nobody has set holds what the last kernel left:
// poison here. That is legal (open kernels pad lanes which they then mask off);
// the definedness checker tells when it matters.
void CopyGmToUbAlign(Exec& x) {
  const uint64_t element = ElementBytes(x.insn(), VNPU_INSN_copy_gm_to_ubuf_align_b8);
  const uint64_t count = x.u(3), bytes = x.u(4);
  const uint64_t left = x.u(5) * element, right = x.u(6) * element;
  const uint64_t filled = RoundUp(left + bytes + right, kBlockBytes);
  const auto src_pitch = static_cast<int64_t>(bytes + x.u(7));
  const auto dst_pitch = static_cast<int64_t>(filled + x.u(8) * kBlockBytes);
  if (count == 0 || bytes == 0) return;
  CheckWholeElements(x, bytes, element);
  const bool padded = left + right > 0;
  const bool set = (x.spr().defined & Spr::kMovPadVal) != 0;
  const uint64_t value = set ? x.spr().mov_pad_val : kUnsetPad;
  const uint8_t* src = x.Read(1, Runs(bytes, Dim{count, src_pitch}));
  uint8_t* dst = x.Write(0, Runs(filled, Dim{count, dst_pitch}));
  if (!padded && filled == bytes) {
    CopyRows(dst, dst_pitch, src, src_pitch, count, bytes);
    return;
  }
  for (uint64_t i = 0; i < count; ++i, src += src_pitch, dst += dst_pitch) {
    const auto* pad = padded ? reinterpret_cast<const uint8_t*>(&value) : src;
    for (uint64_t at = 0; at < left; at += element) std::memcpy(dst + at, pad, element);
    std::memcpy(dst + left, src, bytes);
    for (uint64_t at = left + bytes; at < filled; at += element) {
      std::memcpy(dst + at, pad, element);
    }
  }
}

void CopyUbToGmAlign(Exec& x) {
  const uint64_t element = ElementBytes(x.insn(), VNPU_INSN_copy_ubuf_to_gm_align_b8);
  const uint64_t count = x.u(3), bytes = x.u(4);
  const auto src_pitch = static_cast<int64_t>(RoundUp(bytes, kBlockBytes) + x.u(7) * kBlockBytes);
  const auto dst_pitch = static_cast<int64_t>(bytes + x.u(8));
  if (count == 0 || bytes == 0) return;
  if (x.arg(5) != 0 || x.arg(6) != 0) x.Unsupported("leftPad or rightPad of a store; only 0 is");
  CheckWholeElements(x, bytes, element);
  const uint8_t* src = x.Read(1, Runs(bytes, Dim{count, src_pitch}));
  uint8_t* dst = x.Write(0, Runs(bytes, Dim{count, dst_pitch}));
  StoreRowsToGm(x.spr(), dst, dst_pitch, src, src_pitch, count, bytes);
}

}  // namespace insns
}  // namespace vnpu
