// SPDX-License-Identifier: Apache-2.0
// dst = op(src) and dst = op(src, scalar), element by element.
#include <cmath>

#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/elementary.h"
#include "tools/vnpu/isa/insns/handlers.h"
#include "tools/vnpu/isa/insns/vec_lanes.h"
#include "tools/vnpu/isa/insns/vec_types.h"

namespace vnpu {
namespace insns {
namespace {

// Arguments from the repeat count on: repeat, dstBlk, srcBlk, dstRep, srcRep.
template <typename DstLane, typename SrcLane, typename Fn>
void Unary(Exec& x, int repeat_arg, const Fn& fn) {
  using D = typename DstLane::Bits;
  using S = typename SrcLane::Bits;
  const Lanes lanes = MakeLanes(x, repeat_arg, sizeof(D) > sizeof(S) ? sizeof(D) : sizeof(S));
  if (lanes.repeats == 0) return;
  const int r = repeat_arg;
  const VecOperand src = ResolveVec(x, lanes, 1, sizeof(S), x.u(r + 2), x.u(r + 4), false);
  const VecOperand dst = ResolveVec(x, lanes, 0, sizeof(D), x.u(r + 1), x.u(r + 3), true);
  const bool overflow = DstLane::kFloat ? x.ctrl(kCtrlKeepInfNan) : !x.ctrl(kCtrlSaturateInt);
  RunFast([&]() __attribute__((always_inline)) {
    MapUnary<D, S>(lanes, dst, src, [&](S a) __attribute__((always_inline)) {
      return DstLane::Store(fn(SrcLane::Load(a)), overflow);
    });
  });
}

// dst = fn(src, dst)
template <typename DstLane, typename SrcLane, typename Fn>
void UnaryAccumulate(Exec& x, int repeat_arg, const Fn& fn) {
  using D = typename DstLane::Bits;
  using S = typename SrcLane::Bits;
  const Lanes lanes = MakeLanes(x, repeat_arg, sizeof(D) > sizeof(S) ? sizeof(D) : sizeof(S));
  if (lanes.repeats == 0) return;
  const int r = repeat_arg;
  const VecOperand src = ResolveVec(x, lanes, 1, sizeof(S), x.u(r + 2), x.u(r + 4), false);
  if (x.core().observed()) ResolveVec(x, lanes, 0, sizeof(D), x.u(r + 1), x.u(r + 3), false);
  const VecOperand dst = ResolveVec(x, lanes, 0, sizeof(D), x.u(r + 1), x.u(r + 3), true);
  const bool keep = x.ctrl(kCtrlKeepInfNan);
  RunFast([&]() __attribute__((always_inline)) {
    MapAccumulate<D, S>(lanes, dst, src, src, [&](S a, S, D d) __attribute__((always_inline)) {
      return DstLane::Store(fn(SrcLane::Load(a), DstLane::Load(d)), keep);
    });
  });
}

// vrec and vrsqrt are approximations of about 11 bits on this architecture:
// keep 12 significant bits, so that code which needs more shows it here.
VNPU_ALWAYS_INLINE float Coarse(float v) {
  return BitsFloat((FloatBits(v) + 0x800u) & 0xfffff000u);
}

#define VNPU_FN(expression) [&](auto a) __attribute__((always_inline)) { return expression; }

template <typename Lane>
void FloatUnary(Exec& x) {
  switch (x.insn()) {
    case VNPU_INSN_vexp:
      return Unary<Lane, Lane>(x, 2, VNPU_FN(ExpFloat(a)));
    case VNPU_INSN_vln:
      return Unary<Lane, Lane>(x, 2, VNPU_FN(LnFloat(a)));
    case VNPU_INSN_vsqrt:
      return Unary<Lane, Lane>(x, 2, VNPU_FN(__builtin_sqrtf(a)));
    case VNPU_INSN_vrec:
      return Unary<Lane, Lane>(x, 2, VNPU_FN(Coarse(1.0f / a)));
    case VNPU_INSN_vrsqrt:
      return Unary<Lane, Lane>(x, 2, VNPU_FN(Coarse(1.0f / __builtin_sqrtf(a))));
    case VNPU_INSN_vabs:
      return Unary<Lane, Lane>(x, 2, VNPU_FN(__builtin_fabsf(a)));
    default:  // vrelu
      return Unary<Lane, Lane>(x, 2, VNPU_FN(a > 0 || a != a ? a : 0.0f));
  }
}

template <typename Lane>
void IntUnary(Exec& x) {
  if (x.insn() == VNPU_INSN_vabs) return Unary<Lane, Lane>(x, 2, VNPU_FN(a < 0 ? -a : a));
  return Unary<Lane, Lane>(x, 2, VNPU_FN(a > 0 ? a : 0));
}

template <typename Lane>
typename Lane::Value ScalarOf(Exec& x) {
  const uint64_t raw = x.u(2);
  typename Lane::Bits bits;
  std::memcpy(&bits, &raw, sizeof(bits));
  return Lane::Load(bits);
}

template <typename Lane>
void ScalarOp(Exec& x) {
  const auto s = ScalarOf<Lane>(x);
  switch (x.insn()) {
    case VNPU_INSN_vadds:
      return Unary<Lane, Lane>(x, 3, VNPU_FN(a + s));
    case VNPU_INSN_vmuls:
      return Unary<Lane, Lane>(x, 3, VNPU_FN(a * s));
    case VNPU_INSN_vmaxs:
      return Unary<Lane, Lane>(x, 3, VNPU_FN(a >= s || a != a ? a : s));
    case VNPU_INSN_vmins:
      return Unary<Lane, Lane>(x, 3, VNPU_FN(a <= s || a != a ? a : s));
    case VNPU_INSN_vlrelu:
      return Unary<Lane, Lane>(x, 3, VNPU_FN(a >= 0 || a != a ? a : a * s));
    default:
      x.Unsupported("this element type");
  }
}

// Distance: 0..width of the element; beyond it the field has no meaning.
template <typename Lane>
void Shift(Exec& x) {
  constexpr int64_t kBits = sizeof(typename Lane::Bits) * 8;
  const int64_t distance = x.arg(2);
  if (distance < 0 || distance > kBits) {
    x.Fail("argument out of range",
           "distance = " + std::to_string(distance) + ", allowed 0.." + std::to_string(kBits));
  }
  if (x.insn() == VNPU_INSN_vshl) {
    using Bits = typename Lane::Bits;
    return Unary<Lane, Lane>(
        x, 3,
        VNPU_FN(static_cast<int64_t>(static_cast<Bits>(static_cast<uint64_t>(a) << distance))));
  }
  const int64_t half = x.arg(8) != 0 && distance > 0 ? int64_t{1} << (distance - 1) : 0;
  return Unary<Lane, Lane>(x, 3, VNPU_FN((a + half) >> distance));
}

#undef VNPU_FN

}  // namespace

void VecUnary(Exec& x) {
  if (x.insn() == VNPU_INSN_vnot) {
    return Unary<LaneU16, LaneU16>(
        x, 2, [](int64_t a) __attribute__((always_inline)) { return ~a & 0xffff; });
  }
  switch (x.type()) {
    case VNPU_T_f16:
      return FloatUnary<LaneF16>(x);
    case VNPU_T_f32:
      return FloatUnary<LaneF32>(x);
    case VNPU_T_s16:
      return IntUnary<LaneS16>(x);
    default:
      return IntUnary<LaneS32>(x);
  }
}

void VecScalar(Exec& x) {
  if (x.insn() == VNPU_INSN_vaxpy) {
    if (x.type() == VNPU_T_f32) {
      const float s = ScalarOf<LaneF32>(x);
      return UnaryAccumulate<LaneF32, LaneF32>(
          x, 3, [=](float a, float d) __attribute__((always_inline)) { return a * s + d; });
    }
    const float s = ScalarOf<LaneF16>(x);
    const auto fn = [=](float a, float d) __attribute__((always_inline)) { return a * s + d; };
    if (x.type() == VNPU_T_f16) return UnaryAccumulate<LaneF16, LaneF16>(x, 3, fn);
    return UnaryAccumulate<LaneF32, LaneF16>(x, 3, fn);
  }
  switch (x.type()) {
    case VNPU_T_f16:
      return ScalarOp<LaneF16>(x);
    case VNPU_T_f32:
      return ScalarOp<LaneF32>(x);
    case VNPU_T_s16:
      return ScalarOp<LaneS16>(x);
    default:
      return ScalarOp<LaneS32>(x);
  }
}

void VecShift(Exec& x) {
  switch (x.type()) {
    case VNPU_T_s16:
      return Shift<LaneS16>(x);
    case VNPU_T_u16:
      return Shift<LaneU16>(x);
    case VNPU_T_s32:
      return Shift<LaneS32>(x);
    default:
      return Shift<LaneU32>(x);
  }
}

}  // namespace insns
}  // namespace vnpu
