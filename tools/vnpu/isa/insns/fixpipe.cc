// SPDX-License-Identifier: Apache-2.0
// L0C to GM or L1: layout NZ or row-major, relu, conversion or quantisation.
//
// Quantisation word (one, or one per column): bits [31:0] the scale, of which
// the low 13 mantissa bits are ignored; [35:32] shift and [36] its enable for
// int32 sources, which are shifted and saturated to int16 first [inf: by the
// field itself, as the vendor's goldens do]; [45:37] signed offset; [46] signed
// result.
//
// relu: 1 negative values become 0; 2, or 1 under CTRL bit 50, they are
// multiplied by set_lrelu_alpha; 3 by a float per column from FPC[7:0] * 64 in
// FB, low 13 mantissa bits ignored [inf].
#include <algorithm>
#include <cstring>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/gm_store.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/numeric.h"

namespace vnpu {
namespace insns {
namespace {

enum QuantMode : int64_t {
  kNoQuant = 0,
  kF32ToF16 = 1,
  kVectorS32ToB8 = 2,
  kS32ToB8 = 3,
  kVectorS32ToF16 = 4,
  kS32ToF16 = 5,
  kVectorShift = 12,
  kShift = 13,
  kF32ToBf16 = 16,
  kVectorF32ToB8 = 23,
  kF32ToB8 = 24,
};

struct QuantWord {
  float scale;
  int32_t offset;
  bool is_signed;
  bool shifts;
  int shift;
};

struct Conversion {
  int64_t mode;
  bool from_int;   // L0C holds s32
  bool vector;     // a quantisation word per column
  uint32_t bytes;  // of a result
};

QuantWord DecodeQuant(Exec& x, const Conversion& conv, uint64_t word) {
  QuantWord q;
  q.shifts = (word >> 36 & 1) != 0;
  if (q.shifts && !conv.from_int) x.Unsupported("the shift (bit 36) of a word for float sources");
  q.shift = q.shifts ? static_cast<int>(word >> 32 & 15) : 0;
  q.scale = BitsFloat(static_cast<uint32_t>(word) & 0xffffe000u);
  q.offset = static_cast<int32_t>(word >> 37 & 0x1ff);
  if (q.offset >= 256) q.offset -= 512;
  q.is_signed = (word >> 46 & 1) != 0;
  return q;
}

Conversion ConversionOf(Exec& x) {
  const int64_t mode = x.arg(8);
  switch (mode) {
    case kNoQuant:
      return {mode, x.type() == VNPU_T_s32, false, 4};
    case kF32ToF16:
    case kF32ToBf16:
      return {mode, false, false, 2};
    case kVectorS32ToF16:
    case kS32ToF16:
      return {mode, true, mode == kVectorS32ToF16, 2};
    case kVectorShift:
    case kShift:
      return {mode, true, mode == kVectorShift, 2};
    case kVectorS32ToB8:
    case kS32ToB8:
      return {mode, true, mode == kVectorS32ToB8, 1};
    case kVectorF32ToB8:
    case kF32ToB8:
      return {mode, false, mode == kVectorF32ToB8, 1};
    default:
      x.Unsupported("quantisation mode " + std::to_string(mode));
  }
}

// The destination type of the overload and the mode must agree.
void CheckTypes(Exec& x, const Conversion& conv) {
  const uint32_t type = x.type();
  bool ok = false;
  switch (conv.mode) {
    case kNoQuant:
      ok = type == VNPU_T_f32 || type == VNPU_T_s32;
      break;
    case kF32ToBf16:
      ok = type == VNPU_T_bf16;
      break;
    case kVectorShift:
    case kShift:
      ok = type == VNPU_T_s16;
      break;
    default:
      ok = conv.bytes == 2 ? type == VNPU_T_f16 : type == VNPU_T_s8 || type == VNPU_T_u8;
  }
  if (!ok) {
    x.Fail("bad argument", "quantisation mode " + std::to_string(conv.mode) +
                               " does not give the element type of dst");
  }
}

uint32_t QuantiseB8(float value, const QuantWord& q) {
  float t = value * q.scale;
  t = t != t ? 0.0f : std::min(std::max(t, -256.0f), 255.0f);
  const int32_t y = static_cast<int32_t>(RoundToIntegral(t, Rounding::kNearestEven)) + q.offset;
  const int32_t low = q.is_signed ? -128 : 0, high = q.is_signed ? 127 : 255;
  return static_cast<uint32_t>(std::min(std::max(y, low), high)) & 0xff;
}

int32_t Shifted(int32_t value, const QuantWord& q) {
  return std::min(std::max(value >> q.shift, -32768), 32767);
}

// `negative`: factor of negative values. 1: no relu.
uint32_t Convert(Exec& x, const Conversion& conv, uint32_t bits, float negative,
                 const QuantWord& q) {
  const bool below = (bits >> 31) != 0;
  if (below && negative == 0.0f) bits = 0;
  const auto whole = static_cast<int32_t>(bits);
  if (conv.mode == kVectorShift || conv.mode == kShift) {
    return static_cast<uint32_t>(Shifted(whole, q)) & 0xffff;
  }
  float value =
      conv.from_int ? static_cast<float>(q.shifts ? Shifted(whole, q) : whole) : BitsFloat(bits);
  if (below && negative != 0.0f && negative != 1.0f) {
    value *= negative;
    bits = FloatBits(value);
  }
  const bool keep = x.ctrl(kCtrlKeepInfNan);
  switch (conv.mode) {
    case kNoQuant:
      return bits;
    case kF32ToF16:
      return keep ? FloatToHalf(value) : SaturateHalf(FloatToHalf(value));
    case kF32ToBf16:
      return keep ? FloatToBfloat(value) : SaturateBfloat(FloatToBfloat(value));
    case kVectorS32ToF16:
    case kS32ToF16:
      return SaturateHalf(FloatToHalf(value * q.scale));
    default:
      return QuantiseB8(value, q);
  }
}

struct Relu {
  enum Kind { kOff, kZero, kLeaky, kByColumn } kind;
  float factor;  // of negative values; 1 where off
};

Relu ReluOf(Exec& x, const Conversion& conv) {
  static const Relu::Kind kKinds[] = {Relu::kOff, Relu::kZero, Relu::kLeaky, Relu::kByColumn};
  Relu relu = {kKinds[x.u(9)], 1.0f};
  if (relu.kind == Relu::kZero && x.ctrl(kCtrlLeakyRelu)) relu.kind = Relu::kLeaky;
  if (relu.kind == Relu::kZero) relu.factor = 0.0f;
  if (relu.kind == Relu::kLeaky) {
    x.Require(Spr::kLreluAlpha, "set_lrelu_alpha");
    relu.factor = BitsFloat(static_cast<uint32_t>(x.spr().lrelu_alpha));
  }
  const bool whole = conv.from_int && (conv.mode == kNoQuant || conv.bytes == 2) &&
                     conv.mode != kS32ToF16 && conv.mode != kVectorS32ToF16;
  if (whole && (relu.kind == Relu::kLeaky || relu.kind == Relu::kByColumn)) {
    x.Unsupported("leaky relu of integers that stay integers");
  }
  return relu;
}

struct Place {
  uint64_t n, m, src_stride;
  int64_t dst_stride;  // bytes
  bool nz2nd, split;
  uint32_t bytes;

  // Byte offset of element (row, column) from dst.
  int64_t Of(uint64_t row, uint64_t column) const {
    const auto r = static_cast<int64_t>(row), c = static_cast<int64_t>(column);
    if (nz2nd) return r * dst_stride + c * bytes;
    if (bytes == 2) return c / 16 * dst_stride + r * 32 + c % 16 * 2;
    if (bytes == 1) return c / 32 * dst_stride + r * 32 + c % 32;
    if (split) return c / 8 * dst_stride + r * 32 + c % 8 * 4;
    return c / 16 * dst_stride + r * 64 + c % 16 * 4;
  }
  // Extent of one matrix.
  Runs Extent() const {
    if (nz2nd) return Runs(n * bytes, Dim{m, dst_stride});
    const uint64_t per_block = split ? 8 : bytes == 1 ? 32 : 16;
    const uint64_t row = bytes == 4 && !split ? 64 : 32;
    return Runs(m * row, Dim{(n + per_block - 1) / per_block, dst_stride});
  }
};

void CheckShape(Exec& x, const Place& place) {
  const uint64_t unit = place.split ? 8 : 16;
  if (!place.nz2nd && place.n % unit != 0) {
    x.Fail("bad argument", "nSize = " + std::to_string(place.n) + " must be a multiple of " +
                               std::to_string(unit) + " without nz2nd");
  }
  if (place.split && place.bytes != 4) x.Fail("bad argument", "channelSplit needs 32-bit results");
  if (place.src_stride < place.m && place.n > 16) {
    x.Fail("bad argument", "srcStride = " + std::to_string(place.src_stride) +
                               " is less than mSize = " + std::to_string(place.m) +
                               ": column blocks overlap");
  }
  if (place.bytes == 1 && !place.nz2nd && place.n % 32 != 0) {
    x.Unsupported("an odd number of 16-column blocks with 8-bit results");
  }
}

// The matrices of one instruction: how many, and how far apart in bytes.
struct Matrices {
  uint64_t count = 1;
  int64_t src = 0, dst = 0;
};

Matrices MatricesOf(Exec& x, const Place& place) {
  Matrices matrices;
  if (!place.nz2nd) return matrices;
  x.Require(Spr::kNdPara, "set_nd_para");
  const uint64_t para = x.spr().nd_para;
  matrices.count = para & 0xffff;
  matrices.src = static_cast<int64_t>(para >> 16 & 0xffff) * kL0cFractalBytes;
  matrices.dst = static_cast<int64_t>(para >> 32 & 0xffff) * place.bytes;
  return matrices;
}

// What the columns are converted with; pointers into FB where they differ.
struct Parameters {
  QuantWord quant = {1.0f, 0, false, false, 0};
  const uint8_t* words = nullptr;
  Relu relu;
  const uint8_t* factors = nullptr;
};

Parameters ParametersOf(Exec& x, const Conversion& conv, const Relu& relu, uint64_t columns) {
  Parameters p;
  p.relu = relu;
  if (conv.vector) {
    x.Require(Spr::kFpc, "set_fpc");
    p.words = x.AccessIn(Space::kFb, 8, (x.spr().fpc >> 8 & 0xff) * 128, Runs(columns * 8), false);
  } else if (conv.bytes == 1 || conv.mode == kS32ToF16 || conv.mode == kShift) {
    x.Require(Spr::kQuantPre, "set_quant_pre");
    p.quant = DecodeQuant(x, conv, x.spr().quant_pre);
  }
  if (relu.kind == Relu::kByColumn) {
    x.Require(Spr::kFpc, "set_fpc");
    p.factors = x.AccessIn(Space::kFb, 9, (x.spr().fpc & 0xff) * 64, Runs(columns * 4), false, 64);
  }
  return p;
}

// The parameters of up to 16 columns.
struct Columns {
  uint64_t count;
  QuantWord quant[16];
  float negative[16];
};

Columns ColumnsOf(Exec& x, const Conversion& conv, const Parameters& p, uint64_t first,
                  uint64_t count) {
  Columns columns;
  columns.count = count;
  for (uint64_t c = 0; c < count; ++c) {
    columns.quant[c] = p.quant;
    columns.negative[c] = p.relu.factor;
    if (p.words != nullptr) {
      uint64_t word;
      std::memcpy(&word, p.words + (first + c) * 8, sizeof(word));
      columns.quant[c] = DecodeQuant(x, conv, word);
    }
    if (p.factors != nullptr) {
      uint32_t bits;
      std::memcpy(&bits, p.factors + (first + c) * 4, sizeof(bits));
      columns.negative[c] = BitsFloat(bits & 0xffffe000u);
    }
  }
  return columns;
}

// One row of one block of columns.
void StoreRow(Exec& x, const Spr& store, const Conversion& conv, const Columns& columns,
              const uint8_t* from, uint8_t* to, int64_t second_half) {
  uint8_t line[16 * 4];
  for (uint64_t c = 0; c < columns.count; ++c) {
    uint32_t bits;
    std::memcpy(&bits, from + c * 4, sizeof(bits));
    bits = Convert(x, conv, bits, columns.negative[c], columns.quant[c]);
    std::memcpy(line + c * conv.bytes, &bits, conv.bytes);
  }
  if (second_half != 0 && columns.count > 8) {
    StoreToGm(store, to, line, 32);
    StoreToGm(store, to + second_half, line + 32, (columns.count - 8) * 4);
  } else {
    StoreToGm(store, to, line, columns.count * conv.bytes);
  }
}

}  // namespace

void Fixpipe(Exec& x) {
  const Conversion conv = ConversionOf(x);
  CheckTypes(x, conv);
  Place place;
  place.n = x.u(3);
  place.m = x.u(4);
  place.src_stride = x.u(6);
  place.nz2nd = x.u(11) != 0;
  place.split = x.u(10) != 0;
  place.bytes = conv.bytes;
  place.dst_stride = static_cast<int64_t>(x.u(5) * (place.nz2nd ? conv.bytes : kBlockBytes));
  if (place.n == 0 || place.m == 0) return;
  const Relu relu = ReluOf(x, conv);
  CheckShape(x, place);
  const Matrices matrices = MatricesOf(x, place);
  if (matrices.count == 0) return;
  const Parameters parameters = ParametersOf(x, conv, relu, place.n);

  const uint64_t blocks = (place.n + 15) / 16;
  const auto src_block = static_cast<int64_t>(place.src_stride) * 64;
  const uint8_t* src =
      x.Read(1, Runs(place.m * 64, Dim{matrices.count, matrices.src}, Dim{blocks, src_block}), 64);
  Runs dst_runs = place.Extent();
  dst_runs.dims[0] = dst_runs.dims[1];
  dst_runs.dims[1] = Dim{matrices.count, matrices.dst};
  const bool to_gm = x.insn() == VNPU_INSN_copy_matrix_cc_to_gm;
  uint8_t* dst = x.Write(0, dst_runs, to_gm ? 1 : kBlockBytes);

  Spr store = x.spr();
  if (!to_gm) store.atomic_type = VNPU_T_none;
  const bool plain = conv.mode == kNoQuant && relu.kind == Relu::kOff && place.nz2nd;
  // Eight columns further: another fractal under channelSplit.
  const int64_t second_half = place.split ? place.Of(0, 8) : 0;
  for (uint64_t g = 0; g < matrices.count; ++g, src += matrices.src, dst += matrices.dst) {
    for (uint64_t block = 0; block < blocks; ++block) {
      const uint64_t count = std::min<uint64_t>(16, place.n - block * 16);
      const Columns columns = ColumnsOf(x, conv, parameters, block * 16, count);
      for (uint64_t row = 0; row < place.m; ++row) {
        const uint8_t* from = src + static_cast<int64_t>(block) * src_block + row * 64;
        uint8_t* to = dst + place.Of(row, block * 16);
        if (plain) {
          StoreToGm(store, to, from, count * 4);
        } else {
          StoreRow(x, store, conv, columns, from, to, second_half);
        }
      }
    }
  }
}

}  // namespace insns
}  // namespace vnpu
