// SPDX-License-Identifier: Apache-2.0
// Built-in variables, scalar helpers, special registers, synchronisation.
#ifndef VNPU_ISA_CCE_SYSTEM_H_
#define VNPU_ISA_CCE_SYSTEM_H_

#include "tools/vnpu/isa/cce_lang.h"

// ---- who am I
VNPU_OP int64_t get_block_idx() { return vnpu_issue(VNPU_INSN_get_block_idx, 0, nullptr); }
VNPU_OP int64_t get_block_num() { return vnpu_issue(VNPU_INSN_get_block_num, 0, nullptr); }
VNPU_OP int64_t get_subblockid() { return vnpu_issue(VNPU_INSN_get_subblockid, 0, nullptr); }
VNPU_OP int64_t get_subblockdim() { return vnpu_issue(VNPU_INSN_get_subblockdim, 0, nullptr); }
// Modelled 50 MHz counter: grows with the instructions of the core.
VNPU_OP uint64_t get_sys_cnt() { return vnpu_issue(VNPU_INSN_get_sys_cnt, 0, nullptr); }

// Usable like variables, and shadowed by members or parameters of that name.
struct VnpuBlockIdx {
  VNPU_OP operator int64_t() const { return get_block_idx(); }
};
struct VnpuBlockNum {
  VNPU_OP operator int64_t() const { return get_block_num(); }
};
static constexpr VnpuBlockIdx block_idx{};
static constexpr VnpuBlockNum block_num{};

// ---- scalar helpers
// A constant of up to four 16-bit parts, the lowest first; the first may be wider.
constexpr uint64_t get_imm(uint64_t part0, uint64_t part1 = 0, uint64_t part2 = 0,
                           uint64_t part3 = 0) {
  return part0 | part1 << 16 | part2 << 32 | part3 << 48;
}
VNPU_OP uint64_t sbitset0(uint64_t v, int64_t bit) { return v & ~(uint64_t{1} << (bit & 63)); }
VNPU_OP uint64_t sbitset1(uint64_t v, int64_t bit) { return v | (uint64_t{1} << (bit & 63)); }
// Index of the lowest 0 / 1 bit, -1 if there is none.
VNPU_OP int64_t sff0(uint64_t v) { return ~v == 0 ? -1 : __builtin_ctzll(~v); }
VNPU_OP int64_t sff1(uint64_t v) { return v == 0 ? -1 : __builtin_ctzll(v); }
VNPU_OP int64_t bcnt0(uint64_t v) { return __builtin_popcountll(~v); }
VNPU_OP int64_t bcnt1(uint64_t v) { return __builtin_popcountll(v); }
VNPU_OP int64_t clz(uint64_t v) { return v == 0 ? 64 : __builtin_clzll(v); }
// Bits that repeat the sign bit, without it.
VNPU_OP int64_t sflbits(int64_t v) { return __builtin_clrsbll(v); }

// float -> int32: nearest even, nearest away, floor, ceil; saturates, nan -> 0.
VNPU_OP int32_t VnpuSaturateS32(float rounded) {
  if (rounded != rounded) return 0;
  if (rounded >= 2147483648.0f) return 2147483647;
  if (rounded < -2147483648.0f) return -2147483647 - 1;
  return static_cast<int32_t>(rounded);
}
VNPU_OP int32_t conv_f322s32r(float v) { return VnpuSaturateS32(__builtin_rintf(v)); }
VNPU_OP int32_t conv_f322s32a(float v) { return VnpuSaturateS32(__builtin_roundf(v)); }
VNPU_OP int32_t conv_f322s32f(float v) { return VnpuSaturateS32(__builtin_floorf(v)); }
VNPU_OP int32_t conv_f322s32c(float v) { return VnpuSaturateS32(__builtin_ceilf(v)); }
// float -> half, rounding to odd (the last bit is set when inexact).
VNPU_OP half conv_f322f16o(float v) {
  half h = static_cast<half>(v);
  const float back = static_cast<float>(h);
  if (back == v || v != v) return h;
  uint16_t bits;
  __builtin_memcpy(&bits, &h, sizeof(bits));
  if (__builtin_fabsf(back) > __builtin_fabsf(v)) --bits;  // toward zero first
  bits |= 1;
  __builtin_memcpy(&h, &bits, sizeof(bits));
  return h;
}

// ---- special registers
VNPU_OP uint64_t get_ctrl() { return vnpu_issue(VNPU_INSN_get_ctrl, 0, nullptr); }
VNPU_OP void set_ctrl(uint64_t v) { VNPU_ISSUE(set_ctrl, 0, static_cast<int64_t>(v)); }
// Lanes 64..127 first, lanes 0..63 second.
VNPU_OP void set_vector_mask(uint64_t m1, uint64_t m0) {
  VNPU_ISSUE(set_vector_mask, 0, static_cast<int64_t>(m1), static_cast<int64_t>(m0));
}
VNPU_OP void set_mask_norm() { vnpu_issue(VNPU_INSN_set_mask_norm, 0, nullptr); }
VNPU_OP void set_mask_count() { vnpu_issue(VNPU_INSN_set_mask_count, 0, nullptr); }
VNPU_OP void set_nd_para(uint64_t v) { VNPU_ISSUE(set_nd_para, 0, static_cast<int64_t>(v)); }
VNPU_OP void set_padding(uint64_t v) { VNPU_ISSUE(set_padding, 0, static_cast<int64_t>(v)); }
VNPU_OP void set_quant_pre(uint64_t v) { VNPU_ISSUE(set_quant_pre, 0, static_cast<int64_t>(v)); }
VNPU_OP void set_fpc(uint64_t v) { VNPU_ISSUE(set_fpc, 0, static_cast<int64_t>(v)); }
// Factor of negative values in the fixpipe's leaky relu.
VNPU_OP void set_lrelu_alpha(float v) { VNPU_ISSUE(set_lrelu_alpha, VNPU_T_f32, VnpuBits(v)); }
VNPU_OP void set_lrelu_alpha(half v) { set_lrelu_alpha(static_cast<float>(v)); }
// The pad value has the width of its type.
template <typename T>
VNPU_OP void set_mov_pad_val(T v) {
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &v, sizeof(v));
  VNPU_ISSUE(set_mov_pad_val, 0, static_cast<int64_t>(bits));
}
VNPU_OP void set_deqscale(half v) { VNPU_ISSUE(set_deqscale, VNPU_T_f16, VnpuBits(v)); }
VNPU_OP void set_deqscale(uint64_t v) {
  VNPU_ISSUE(set_deqscale, VNPU_T_u64, static_cast<int64_t>(v));
}
VNPU_OP void set_ffts_base_addr(uint64_t v) {
  VNPU_ISSUE(set_ffts_base_addr, 0, static_cast<int64_t>(v));
}
VNPU_OP void set_va_reg_sb(ub_addr8_t reg, uint64_t* addresses) {
  VNPU_ISSUE(set_va_reg_sb, 0, static_cast<int64_t>(reg), VnpuAddress(addresses));
}
VNPU_OP void set_atomic_none() { vnpu_issue(VNPU_INSN_set_atomic_none, 0, nullptr); }
VNPU_OP void set_atomic_max() { vnpu_issue(VNPU_INSN_set_atomic_max, 0, nullptr); }
VNPU_OP void set_atomic_min() { vnpu_issue(VNPU_INSN_set_atomic_min, 0, nullptr); }
VNPU_OP void set_atomic_add() {
  vnpu_uses_atomics();
  vnpu_issue(VNPU_INSN_set_atomic_add, 0, nullptr);
}
VNPU_OP void set_atomic_f32() { vnpu_issue(VNPU_INSN_set_atomic_f32, VNPU_T_f32, nullptr); }
VNPU_OP void set_atomic_f16() { vnpu_issue(VNPU_INSN_set_atomic_f16, VNPU_T_f16, nullptr); }
VNPU_OP void set_atomic_bf16() { vnpu_issue(VNPU_INSN_set_atomic_bf16, VNPU_T_bf16, nullptr); }
VNPU_OP void set_atomic_s32() { vnpu_issue(VNPU_INSN_set_atomic_s32, VNPU_T_s32, nullptr); }
VNPU_OP void set_atomic_s16() { vnpu_issue(VNPU_INSN_set_atomic_s16, VNPU_T_s16, nullptr); }
VNPU_OP void set_atomic_s8() { vnpu_issue(VNPU_INSN_set_atomic_s8, VNPU_T_s8, nullptr); }
VNPU_OP int64_t get_rsvd_cnt() { return vnpu_issue(VNPU_INSN_get_rsvd_cnt, 0, nullptr); }
VNPU_OP int64_t get_acc_val() { return vnpu_issue(VNPU_INSN_get_acc_val, 0, nullptr); }
VNPU_OP int64_t get_max_min_cnt() { return vnpu_issue(VNPU_INSN_get_max_min_cnt, 0, nullptr); }
VNPU_OP int64_t get_vms4_sr() { return vnpu_issue(VNPU_INSN_get_vms4_sr, 0, nullptr); }

// ---- synchronisation
VNPU_OP void set_flag(pipe_t src, pipe_t dst, int64_t event) {
  VNPU_ISSUE(set_flag, 0, static_cast<int64_t>(src), static_cast<int64_t>(dst), event);
}
VNPU_OP void wait_flag(pipe_t src, pipe_t dst, int64_t event) {
  VNPU_ISSUE(wait_flag, 0, static_cast<int64_t>(src), static_cast<int64_t>(dst), event);
}
VNPU_OP void pipe_barrier(pipe_t pipe) { VNPU_ISSUE(pipe_barrier, 0, static_cast<int64_t>(pipe)); }
VNPU_OP void ffts_cross_core_sync(pipe_t pipe, uint64_t config) {
  VNPU_ISSUE(ffts_cross_core_sync, 0, static_cast<int64_t>(pipe), static_cast<int64_t>(config));
}
VNPU_OP void wait_flag_dev(int64_t flag) { VNPU_ISSUE(wait_flag_dev, 0, flag); }
VNPU_OP void dsb(mem_dsb_t kind) { VNPU_ISSUE(dsb, 0, static_cast<int64_t>(kind)); }
template <typename P>
VNPU_OP void dcci(P address, cache_line_t scope, dcci_dst_t dst = CACHELINE_OUT) {
  static_assert(std::is_pointer<P>::value, "dcci takes a pointer");
  VNPU_ISSUE(dcci, 0, VnpuAddress(address), static_cast<int64_t>(scope), static_cast<int64_t>(dst));
}
// Scalar access past the data cache; `offset` in bytes.
template <typename T>
VNPU_OP T ld_dev(const __gm__ T* address, int64_t offset) {
  const int64_t args[] = {VnpuAddress(address), offset, static_cast<int64_t>(sizeof(T))};
  const int64_t bits = vnpu_issue(VNPU_INSN_ld_dev, 0, args);
  T value;
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}
template <typename T>
VNPU_OP void st_dev(T value, __gm__ T* address, int64_t offset) {
  int64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  VNPU_ISSUE(st_dev, 0, bits, VnpuAddress(address), offset, static_cast<int64_t>(sizeof(T)));
}
// Ends the kernel with an AI core trap.
VNPU_OP void trap() { vnpu_issue(VNPU_INSN_trap, 0, nullptr); }

#endif  // VNPU_ISA_CCE_SYSTEM_H_
