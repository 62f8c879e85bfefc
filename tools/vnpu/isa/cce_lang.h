// SPDX-License-Identifier: Apache-2.0
// Qualifiers, macros, types and enums of the dialect.
#ifndef VNPU_ISA_CCE_LANG_H_
#define VNPU_ISA_CCE_LANG_H_

#include <stddef.h>
#include <stdint.h>

#include <type_traits>

#include "tools/vnpu/isa/runtime_abi.h"

// Architecture. Kernels test either spelling of the core macros.
#if defined(__DAV_C220_CUBE__) && !defined(__DAV_CUBE__)
#define __DAV_CUBE__ 1
#endif
#if defined(__DAV_C220_VEC__) && !defined(__DAV_VEC__)
#define __DAV_VEC__ 1
#endif
#ifndef __DAV_C220__
#define __DAV_C220__ 1
#endif
#ifndef __CCE_AICORE__
#define __CCE_AICORE__ 220
#endif
#ifndef __NPU_ARCH__
#define __NPU_ARCH__ 2201
#endif
// Kernels define __aicore__ as [aicore] unless this is set.
#define __CCE_KT_TEST__ 1
#ifndef __aicore__
#define __aicore__
#endif
#define __global__
#define __host__
#define __host_aicore__
#define __vector__
#define __cube__
#define __mix__(...)
#define __in__
#define __out__
#define __inout__
#define __tf__
#define __in_pipe__(...)
#define __out_pipe__(...)
#define __inout_pipe__(...)
#define __sync_alias__
#define __check_sync_alias__
#define __simd_callee__
#define __simd_vf__
// AscendC entries ask TILING_KEY_IS(k): compile such a kernel with
// -DTILING_KEY_VAR=<the key, or a variable in its scope>.
#ifndef TILING_KEY_IS
#define TILING_KEY_IS(key) (TILING_KEY_VAR == (key))
#endif
// Variables of which each core has its own: [[block_local]], __BLOCK_LOCAL__.
// The machine swaps this section when it changes cores.
#define block_local gnu::section("blklocal")
#ifndef __WORKGROUP_LOCAL__
#define __WORKGROUP_LOCAL__ __attribute__((section("blklocal")))
#endif
#ifndef __BLOCK_LOCAL__
#define __BLOCK_LOCAL__ __attribute__((section("blklocal")))
#endif

// Memories. Plain numbers: no host target gives them a meaning of its own, and
// passing one where another is expected does not compile.
#define __gm__ __attribute__((address_space(1)))
#define __ubuf__ __attribute__((address_space(2)))
#define __cbuf__ __attribute__((address_space(3)))
#define __ca__ __attribute__((address_space(4)))
#define __cb__ __attribute__((address_space(5)))
#define __cc__ __attribute__((address_space(6)))
#define __biasbuf__ __attribute__((address_space(7)))
#define __fbuf__ __attribute__((address_space(8)))
#define __ssbuf__ __attribute__((address_space(9)))

typedef _Float16 half;
// The device's compiler has `half` under this name too; a host's __fp16 only stores.
#define __fp16 _Float16
typedef __bf16 bfloat16_t;
typedef float float32_t;
// int4b_t is a type of the vendor's headers: here intrinsics take its bytes as void*.

enum pipe_t {
  PIPE_S = 0,
  PIPE_V = 1,
  PIPE_M = 2,
  PIPE_MTE1 = 3,
  PIPE_MTE2 = 4,
  PIPE_MTE3 = 5,
  PIPE_FIX = 6,
  PIPE_ALL = 7,
};
enum event_t {
  EVENT_ID0,
  EVENT_ID1,
  EVENT_ID2,
  EVENT_ID3,
  EVENT_ID4,
  EVENT_ID5,
  EVENT_ID6,
  EVENT_ID7,
};
enum Order_t { VALUE_INDEX, INDEX_VALUE, ONLY_VALUE, ONLY_INDEX };
enum addr_cal_mode_t { inc, dec };
enum pad_t {
  PAD_NONE,
  PAD_MODE1,
  PAD_MODE2,
  PAD_MODE3,
  PAD_MODE4,
  PAD_MODE5,
  PAD_MODE6,
  PAD_MODE7,
  PAD_MODE8,
};
enum mem_dsb_t { DSB_ALL, DSB_DDR, DSB_UB, DSB_SEQ };
enum cache_line_t { SINGLE_CACHE_LINE, ENTIRE_DATA_CACHE };
enum dcci_dst_t { CACHELINE_ALL, CACHELINE_UB, CACHELINE_OUT, CACHELINE_ATOMIC };
enum QuantMode_t {
  NoQuant = 0,
  F322F16 = 1,
  VREQ8 = 2,
  REQ8 = 3,
  VDEQF16 = 4,
  DEQF16 = 5,
  VSHIFTS322S16 = 12,
  SHIFTS322S16 = 13,
  F322BF16 = 16,
  VQF322B8_PRE = 23,
  QF322B8_PRE = 24,
};
enum ub_addr8_t { VA0, VA1, VA2, VA3, VA4, VA5, VA6, VA7 };
// Named by headers only; see unmodelled.inc.
enum vpart_t { L128, H128 };
enum class mem_t { L1, L0A, L0B, L0C, UB, BT };
enum atomic_type_t {
  ATOMIC_NONE,
  ATOMIC_F32,
  ATOMIC_F16,
  ATOMIC_S16,
  ATOMIC_S32,
  ATOMIC_S8,
  ATOMIC_BF16,
};
enum atomic_op_t { ATOMIC_SUM };

#define VNPU_OP __attribute__((always_inline)) inline
// One intrinsic: every argument widened to 64 bits.
#define VNPU_ISSUE(insn, type, ...)                \
  do {                                             \
    const int64_t vnpu_args[] = {__VA_ARGS__};     \
    vnpu_issue(VNPU_INSN_##insn, type, vnpu_args); \
  } while (0)

// The numbers behind a wrapper: addresses, and the bits of a scalar.
template <typename T>
VNPU_OP int64_t VnpuAddress(T pointer) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(pointer));
}
VNPU_OP int64_t VnpuBits(half v) {
  uint16_t bits;
  __builtin_memcpy(&bits, &v, sizeof(bits));
  return bits;
}
VNPU_OP int64_t VnpuBits(bfloat16_t v) {
  uint16_t bits;
  __builtin_memcpy(&bits, &v, sizeof(bits));
  return bits;
}
VNPU_OP int64_t VnpuBits(float v) {
  uint32_t bits;
  __builtin_memcpy(&bits, &v, sizeof(bits));
  return bits;
}
VNPU_OP int64_t VnpuBits(int16_t v) { return static_cast<uint16_t>(v); }
VNPU_OP int64_t VnpuBits(uint16_t v) { return v; }
VNPU_OP int64_t VnpuBits(int32_t v) { return static_cast<uint32_t>(v); }
VNPU_OP int64_t VnpuBits(uint32_t v) { return v; }

#endif  // VNPU_ISA_CCE_LANG_H_
