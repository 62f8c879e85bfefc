// SPDX-License-Identifier: Apache-2.0
// dst = op(src0, src1), element by element.
#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

struct BinaryOperands {
  Lanes lanes;
  VecOperand dst, src0, src1;
  bool overflow;  // floats: keep inf and nan; integers: wrap
};

template <typename Lane>
bool KeepOverflow(Exec& x) {
  return Lane::kFloat ? x.ctrl(kCtrlKeepInfNan) : !x.ctrl(kCtrlSaturateInt);
}

BinaryOperands Resolve(Exec& x, uint32_t dst_bytes, uint32_t src_bytes, bool reads_dst) {
  BinaryOperands o;
  o.lanes = MakeLanes(x, 3, dst_bytes > src_bytes ? dst_bytes : src_bytes);
  if (o.lanes.repeats == 0) return o;
  o.src0 = ResolveVec(x, o.lanes, 1, src_bytes, x.u(5), x.u(8), false);
  o.src1 = ResolveVec(x, o.lanes, 2, src_bytes, x.u(6), x.u(9), false);
  if (reads_dst && x.core().observed()) {
    ResolveVec(x, o.lanes, 0, dst_bytes, x.u(4), x.u(7), false);
  }
  o.dst = ResolveVec(x, o.lanes, 0, dst_bytes, x.u(4), x.u(7), true);
  return o;
}

template <typename Lane, typename Fn>
void Binary(Exec& x, const Fn& fn) {
  using Bits = typename Lane::Bits;
  BinaryOperands o = Resolve(x, sizeof(Bits), sizeof(Bits), false);
  if (o.lanes.repeats == 0) return;
  const bool overflow = KeepOverflow<Lane>(x);
  RunFast([&]() __attribute__((always_inline)) {
    MapBinary<Bits, Bits>(o.lanes, o.dst, o.src0, o.src1,
                          [&](Bits a, Bits b) __attribute__((always_inline)) {
                            return Lane::Store(fn(Lane::Load(a), Lane::Load(b)), overflow);
                          });
  });
}

// dst = fn(src0, src1, dst)
template <typename DstLane, typename SrcLane, typename Fn>
void Accumulate(Exec& x, const Fn& fn) {
  using D = typename DstLane::Bits;
  using S = typename SrcLane::Bits;
  BinaryOperands o = Resolve(x, sizeof(D), sizeof(S), true);
  if (o.lanes.repeats == 0) return;
  const bool overflow = KeepOverflow<DstLane>(x);
  RunFast([&]() __attribute__((always_inline)) {
    MapAccumulate<D, S>(
        o.lanes, o.dst, o.src0, o.src1, [&](S a, S b, D d) __attribute__((always_inline)) {
          return DstLane::Store(fn(SrcLane::Load(a), SrcLane::Load(b), DstLane::Load(d)), overflow);
        });
  });
}

template <typename T>
VNPU_ALWAYS_INLINE T Relu(T v) {
  return v > 0 || v != v ? v : T{0};
}

#define VNPU_FN(expression) [](auto a, auto b) __attribute__((always_inline)) { return expression; }
#define VNPU_FN3(expression) \
  [](auto a, auto b, auto d) __attribute__((always_inline)) { return expression; }

template <typename Lane>
void Arithmetic(Exec& x) {
  switch (x.insn()) {
    case VNPU_INSN_vadd:
      return Binary<Lane>(x, VNPU_FN(a + b));
    case VNPU_INSN_vsub:
      return Binary<Lane>(x, VNPU_FN(a - b));
    case VNPU_INSN_vmul:
      return Binary<Lane>(x, VNPU_FN(a * b));
    case VNPU_INSN_vmax:
      return Binary<Lane>(x, VNPU_FN(a >= b || a != a ? a : b));
    case VNPU_INSN_vmin:
      return Binary<Lane>(x, VNPU_FN(a <= b || a != a ? a : b));
    case VNPU_INSN_vaddrelu:
      return Binary<Lane>(x, VNPU_FN(Relu(a + b)));
    case VNPU_INSN_vsubrelu:
      return Binary<Lane>(x, VNPU_FN(Relu(a - b)));
    default:
      x.Unsupported("this element type");
  }
}

template <typename Lane>
void FloatOnly(Exec& x) {
  switch (x.insn()) {
    case VNPU_INSN_vdiv:
      return Binary<Lane>(x, VNPU_FN(a / b));
    case VNPU_INSN_vmla:
      return Accumulate<Lane, Lane>(x, VNPU_FN3(a * b + d));
    case VNPU_INSN_vmadd:
      return Accumulate<Lane, Lane>(x, VNPU_FN3(a * d + b));
    case VNPU_INSN_vmaddrelu:
      return Accumulate<Lane, Lane>(x, VNPU_FN3(Relu(a * d + b)));
    default:
      return Arithmetic<Lane>(x);
  }
}

}  // namespace

void VecBinary(Exec& x) {
  switch (x.insn()) {
    case VNPU_INSN_vand:
      return Binary<LaneU16>(x, VNPU_FN(a & b));
    case VNPU_INSN_vor:
      return Binary<LaneU16>(x, VNPU_FN(a | b));
    default:
      break;
  }
  switch (x.type()) {
    case VNPU_T_f16:
      return FloatOnly<LaneF16>(x);
    case VNPU_T_f32:
      return FloatOnly<LaneF32>(x);
    case VNPU_T_s16:
      return Arithmetic<LaneS16>(x);
    case VNPU_T_s32:
      return Arithmetic<LaneS32>(x);
    default:  // vmla with half sources and float destination
      return Accumulate<LaneF32, LaneF16>(x, VNPU_FN3(a * b + d));
  }
}

#undef VNPU_FN
#undef VNPU_FN3

}  // namespace insns
}  // namespace vnpu
