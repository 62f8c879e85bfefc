// SPDX-License-Identifier: Apache-2.0
// Vector moves: broadcast of a scalar, masked copy, broadcast to datablocks,
// gathers.
#include <algorithm>
#include <cstring>
#include <vector>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"

namespace vnpu {
namespace insns {
namespace {

uint32_t ElementBytes(uint32_t type) {
  switch (type) {
    case VNPU_T_f32:
    case VNPU_T_s32:
    case VNPU_T_u32:
      return 4;
    default:
      return 2;
  }
}

template <typename T>
void Dup(Exec& x) {
  const Lanes lanes = MakeLanes(x, 2, sizeof(T));
  if (lanes.repeats == 0) return;
  VecOperand dst = ResolveVec(x, lanes, 0, sizeof(T), x.u(3), x.u(5), true);
  constexpr int kLanes = kRepeatBytes / sizeof(T);
  T values[kLanes];
  for (T& value : values) value = static_cast<T>(x.u(1));
  for (uint64_t r = 0; r < lanes.repeats; ++r, dst.data += dst.repeat) {
    const bool last = r + 1 == lanes.repeats;
    StoreLanes<T, kLanes>(dst.data, dst.block, last ? lanes.last_top : lanes.top,
                          last ? lanes.last_mask : lanes.mask, values);
  }
}

// Counter mode of vcopy: the count is per repeat, and a repeat may run past
// 8 datablocks.
void CopyCounted(Exec& x, uint32_t element) {
  x.Require(Spr::kMask, "set_vector_mask");
  const uint64_t repeats = x.u(2), bytes = (x.spr().mask[0] & 0xffffffffu) * element;
  if (repeats == 0 || bytes == 0) return;
  const uint64_t blocks = (bytes + kBlockBytes - 1) / kBlockBytes;
  const uint64_t whole = bytes / kBlockBytes, tail = bytes % kBlockBytes;
  const auto stride = [&](int i) { return static_cast<int64_t>(x.u(i) * kBlockBytes); };
  // Whole datablocks, then the part of one at the end.
  const auto resolve = [&](int operand, int64_t block, int64_t repeat) {
    const bool write = operand == 0;
    uint8_t* at = x.core().scratchpad(Space::kUb).data + x.u(operand);
    if (whole > 0) {
      at = x.Access(operand, x.u(operand),
                    Runs(kBlockBytes, Dim{repeats, repeat}, Dim{whole, block}), write, 0, nullptr,
                    0);
    }
    if (tail > 0) {
      x.Access(operand, x.u(operand) + whole * static_cast<uint64_t>(block),
               Runs(tail, Dim{repeats, repeat}, Dim{}), write, 0, nullptr, 0);
    }
    return at;
  };
  const uint8_t* src = resolve(1, stride(4), stride(6));
  uint8_t* dst = resolve(0, stride(3), stride(5));
  for (uint64_t r = 0; r < repeats; ++r) {
    for (uint64_t b = 0; b < blocks; ++b) {
      const uint64_t left = bytes - b * kBlockBytes;
      std::memmove(dst + static_cast<int64_t>(r) * stride(5) + static_cast<int64_t>(b) * stride(3),
                   src + static_cast<int64_t>(r) * stride(6) + static_cast<int64_t>(b) * stride(4),
                   left < kBlockBytes ? left : kBlockBytes);
    }
  }
}

template <typename T>
void Copy(Exec& x) {
  const Lanes lanes = MakeLanes(x, 2, sizeof(T));
  if (lanes.repeats == 0) return;
  const VecOperand src = ResolveVec(x, lanes, 1, sizeof(T), x.u(4), x.u(6), false);
  const VecOperand dst = ResolveVec(x, lanes, 0, sizeof(T), x.u(3), x.u(5), true);
  MapUnary<T, T>(lanes, dst, src, [](T v) { return v; });
}

template <typename T>
void BroadcastBlock(Exec& x) {
  const uint64_t repeats = x.u(4);
  if (repeats == 0) return;
  const auto block = static_cast<int64_t>(x.u(2) * kBlockBytes);
  const auto repeat = static_cast<int64_t>(x.u(3) * kBlockBytes);
  constexpr int kPerBlock = kBlockBytes / sizeof(T);
  const uint8_t* src = x.Read(1, Runs(repeats * 8 * sizeof(T)));
  uint8_t* dst = x.Write(0, Runs(kBlockBytes, Dim{repeats, repeat}, Dim{8, block}));
  for (uint64_t r = 0; r < repeats; ++r) {
    T values[8];
    std::memcpy(values, src + r * sizeof(values), sizeof(values));
    for (int b = 0; b < 8; ++b) {
      T row[kPerBlock];
      for (T& v : row) v = values[b];
      std::memcpy(dst + static_cast<int64_t>(r) * repeat + b * block, row, sizeof(row));
    }
  }
}

// The elements or datablocks that a gather reads.
class Gathered {
 public:
  Gathered(Exec& x, uint32_t bytes) : x_(x), bytes_(bytes) {}

  // UB bytes [address, address + bytes).
  const uint8_t* At(uint64_t address) {
    if (address % bytes_ != 0 || address + bytes_ > kUbBytes) {
      x_.Fail(address % bytes_ != 0 ? "misaligned" : "out of bounds",
              "gathers " + std::to_string(bytes_) + " bytes at UB+" + std::to_string(address));
    }
    if (x_.core().observed()) addresses_.push_back(address);
    return x_.core().scratchpad(Space::kUb).data + address;
  }

  // Tells the observers, in as few runs as possible. Operand 2 is srcBase.
  void Report() {
    std::sort(addresses_.begin(), addresses_.end());
    for (size_t i = 0; i < addresses_.size();) {
      const uint64_t begin = addresses_[i];
      uint64_t end = begin + bytes_;
      while (++i < addresses_.size() && addresses_[i] <= end) end = addresses_[i] + bytes_;
      x_.AccessIn(Space::kUb, 2, begin, Runs(end - begin), false, bytes_);
    }
  }

 private:
  Exec& x_;
  const uint32_t bytes_;
  std::vector<uint64_t> addresses_;
};

template <typename T>
void Gather(Exec& x) {
  const Lanes lanes = MakeLanes(x, 4, sizeof(T));
  if (lanes.repeats == 0) return;
  constexpr uint64_t kLanes = kRepeatBytes / sizeof(T);
  const uint64_t count = (lanes.repeats - 1) * kLanes + lanes.last_top;
  const uint8_t* offsets = x.Read(1, Runs(count * sizeof(uint32_t)));
  VecOperand dst = ResolveVec(x, lanes, 0, sizeof(T), 1, x.u(3), true);
  Gathered sources(x, sizeof(T));
  for (uint64_t r = 0; r < lanes.repeats; ++r, dst.data += dst.repeat) {
    const bool last = r + 1 == lanes.repeats;
    const uint64_t* mask = last ? lanes.last_mask : lanes.mask;
    for (uint64_t e = 0; e < (last ? lanes.last_top : lanes.top); ++e) {
      if ((mask[e / 64] >> (e % 64) & 1) == 0) continue;
      uint32_t offset;
      std::memcpy(&offset, offsets + (r * kLanes + e) * sizeof(offset), sizeof(offset));
      std::memcpy(dst.data + e * sizeof(T), sources.At(x.u(2) + offset), sizeof(T));
    }
  }
  sources.Report();
}

// The lanes that a fixed pattern keeps: 1 even, 2 odd, 3..6 every fourth, 7 all.
bool PatternKeeps(uint64_t pattern, uint64_t lane) {
  if (pattern == 1) return lane % 2 == 0;
  if (pattern == 2) return lane % 2 == 1;
  if (pattern == 7) return true;
  return lane % 4 == pattern - 3;
}

template <typename T>
void GatherMask(Exec& x) {
  constexpr uint64_t kPerBlock = kBlockBytes / sizeof(T);
  const bool counter = x.ctrl(kCtrlCounterMode);
  if (counter) x.Require(Spr::kMask, "set_vector_mask");
  const uint64_t lanes =
      counter ? x.spr().mask[0] & 0xffffffffu : uint64_t{kRepeatBytes / sizeof(T)};
  const uint64_t repeats = x.u(3), pattern = x.u(5);
  x.core().rsvd_cnt = 0;
  if (repeats == 0 || lanes == 0) return;
  const auto block = static_cast<int64_t>(x.u(4) * kBlockBytes);
  const auto repeat = static_cast<int64_t>(x.u(6) * kBlockBytes);
  const auto bits_repeat = static_cast<int64_t>(x.u(7) * kBlockBytes);
  const uint64_t blocks = (lanes + kPerBlock - 1) / kPerBlock;
  const uint8_t* src = x.Read(1, Runs(kBlockBytes, Dim{repeats, repeat}, Dim{blocks, block}));
  const uint8_t* bits =
      pattern == 0 ? x.Read(2, Runs((lanes + 7) / 8, Dim{repeats, bits_repeat})) : nullptr;
  std::vector<T> kept;
  for (uint64_t r = 0; r < repeats; ++r) {
    const auto row = static_cast<int64_t>(r);
    for (uint64_t e = 0; e < lanes; ++e) {
      const bool keep =
          bits != nullptr
              ? (bits[row * bits_repeat + static_cast<int64_t>(e / 8)] >> (e % 8) & 1) != 0
              : PatternKeeps(pattern, e);
      if (!keep) continue;
      T value;
      std::memcpy(&value,
                  src + row * repeat + static_cast<int64_t>(e / kPerBlock) * block +
                      static_cast<int64_t>(e % kPerBlock * sizeof(T)),
                  sizeof(T));
      kept.push_back(value);
    }
  }
  x.core().rsvd_cnt = kept.size();
  if (kept.empty()) return;
  std::memcpy(x.Write(0, Runs(kept.size() * sizeof(T))), kept.data(), kept.size() * sizeof(T));
}

}  // namespace

void VecDup(Exec& x) { ElementBytes(x.type()) == 4 ? Dup<uint32_t>(x) : Dup<uint16_t>(x); }

void VecCopy(Exec& x) {
  const uint32_t element = ElementBytes(x.type());
  if (x.ctrl(kCtrlCounterMode)) return CopyCounted(x, element);
  element == 4 ? Copy<uint32_t>(x) : Copy<uint16_t>(x);
}

void VecBroadcastBlock(Exec& x) {
  ElementBytes(x.type()) == 4 ? BroadcastBlock<uint32_t>(x) : BroadcastBlock<uint16_t>(x);
}

void VecGather(Exec& x) { ElementBytes(x.type()) == 4 ? Gather<uint32_t>(x) : Gather<uint16_t>(x); }

void VecGatherBlock(Exec& x) {
  const uint64_t repeats = x.u(5);
  if (repeats == 0) return;
  const auto repeat = static_cast<int64_t>(x.u(3) * kBlockBytes);
  const auto block = static_cast<int64_t>(x.u(4) * kBlockBytes);
  const uint8_t* offsets = x.Read(1, Runs(repeats * 8 * sizeof(uint32_t)));
  uint8_t* dst = x.Write(0, Runs(kBlockBytes, Dim{repeats, repeat}, Dim{8, block}));
  Gathered sources(x, kBlockBytes);
  for (uint64_t i = 0; i < repeats * 8; ++i) {
    uint32_t offset;
    std::memcpy(&offset, offsets + i * sizeof(offset), sizeof(offset));
    std::memcpy(dst + static_cast<int64_t>(i / 8) * repeat + static_cast<int64_t>(i % 8) * block,
                sources.At(x.u(2) + offset), kBlockBytes);
  }
  sources.Report();
}

void VecGatherMask(Exec& x) {
  ElementBytes(x.type()) == 4 ? GatherMask<uint32_t>(x) : GatherMask<uint16_t>(x);
}

}  // namespace insns
}  // namespace vnpu
