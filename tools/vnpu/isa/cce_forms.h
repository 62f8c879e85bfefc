// SPDX-License-Identifier: Apache-2.0
// Further forms in which the compiler takes modelled intrinsics: fields packed
// into one word, trailing stride modes, enumerators given as integers, fills by
// the bits of a value. Each calls the form with one argument per field. And
// names that have no effect on results. Positions of packed fields: MindStudio
// sanitizer, public; argument lists: CANN asc-devkit, dav_c220.
#ifndef VNPU_ISA_CCE_FORMS_H_
#define VNPU_ISA_CCE_FORMS_H_

#include "tools/vnpu/isa/cce_convert.h"
#include "tools/vnpu/isa/cce_copy.h"
#include "tools/vnpu/isa/cce_system.h"
#include "tools/vnpu/isa/cce_unmodelled.h"
#include "tools/vnpu/isa/cce_vector_extra.h"

// Bits [low + width - 1 : low].
VNPU_OP int64_t VnpuField(uint64_t word, int low, int width) {
  return static_cast<int64_t>(word >> low & ((uint64_t{1} << width) - 1));
}
VNPU_OP void VnpuStrideModes(bool repeat_mode, bool size_mode) {
  if (repeat_mode || size_mode) VnpuUnmodelled<void>(VNPU_UNMODELLED_stride_modes);
}

// clang-format off
// Two operands: repeat [63:56], strides of dst, src0, src1: blocks [7:0] [15:8] [23:16], repeats
// [31:24] [39:32] [47:40].
#define VNPU_FIELDS_BINARY(w)                                                                    \
  VnpuField(w, 56, 8), VnpuField(w, 0, 8), VnpuField(w, 8, 8), VnpuField(w, 16, 8),              \
  VnpuField(w, 24, 8), VnpuField(w, 32, 8), VnpuField(w, 40, 8)
#define VNPU_FORMS_BINARY(name)                                                                  \
  template <typename D, typename A, typename B>                                                  \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ A* src0, __ubuf__ B* src1, uint64_t config) {      \
    name(dst, src0, src1, VNPU_FIELDS_BINARY(config));                                           \
  }                                                                                              \
  template <typename D, typename A, typename B>                                                  \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ A* src0, __ubuf__ B* src1, int64_t repeat,         \
                    int64_t dstBlk, int64_t src0Blk, int64_t src1Blk, int64_t dstRep,            \
                    int64_t src0Rep, int64_t src1Rep, bool repeatMode, bool sizeMode) {          \
    VnpuStrideModes(repeatMode, sizeMode);                                                       \
    name(dst, src0, src1, repeat, dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep);           \
  }
VNPU_FORMS_BINARY(vadd)
VNPU_FORMS_BINARY(vsub)
VNPU_FORMS_BINARY(vmul)
VNPU_FORMS_BINARY(vdiv)
VNPU_FORMS_BINARY(vmax)
VNPU_FORMS_BINARY(vmin)
VNPU_FORMS_BINARY(vand)
VNPU_FORMS_BINARY(vor)
VNPU_FORMS_BINARY(vmla)
VNPU_FORMS_BINARY(vmadd)
VNPU_FORMS_BINARY(vmaddrelu)
VNPU_FORMS_BINARY(vaddrelu)
VNPU_FORMS_BINARY(vsubrelu)
VNPU_FORMS_BINARY(vmulconv_f162s8)
VNPU_FORMS_BINARY(vmulconv_f162u8)
VNPU_FORMS_BINARY(vcmpv_eq)
VNPU_FORMS_BINARY(vcmpv_ne)
VNPU_FORMS_BINARY(vcmpv_lt)
VNPU_FORMS_BINARY(vcmpv_le)
VNPU_FORMS_BINARY(vcmpv_gt)
VNPU_FORMS_BINARY(vcmpv_ge)
#undef VNPU_FORMS_BINARY
// With the half of a block that is written, last.
#define VNPU_FORMS_FUSED(name)                                                                   \
  template <typename D, typename S>                                                              \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ S* src0, __ubuf__ S* src1, uint64_t config,        \
                    bool h) {                                                                    \
    name(dst, src0, src1, VNPU_FIELDS_BINARY(config), h);                                        \
  }                                                                                              \
  template <typename D, typename S>                                                              \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ S* src0, __ubuf__ S* src1, int64_t repeat,         \
                    int64_t dstBlk, int64_t src0Blk, int64_t src1Blk, int64_t dstRep,            \
                    int64_t src0Rep, int64_t src1Rep, bool repeatMode, bool sizeMode, bool h) {  \
    VnpuStrideModes(repeatMode, sizeMode);                                                       \
    name(dst, src0, src1, repeat, dstBlk, src0Blk, src1Blk, dstRep, src0Rep, src1Rep, h);        \
  }
VNPU_FORMS_FUSED(vaddreluconv_f162s8)
VNPU_FORMS_FUSED(vaddreluconv_f322f16)
VNPU_FORMS_FUSED(vaddreluconv_s162s8)
VNPU_FORMS_FUSED(vsubreluconv_f162s8)
VNPU_FORMS_FUSED(vsubreluconv_f322f16)
VNPU_FORMS_FUSED(vsubreluconv_s162s8)
#undef VNPU_FORMS_FUSED

// One operand: repeat [63:56], block strides [15:0] of dst and [31:16] of src, repeat strides of
// dst: [55:52] above [39:32], of src: [51:40].
#define VNPU_FIELDS_UNARY(w)                                                                     \
  VnpuField(w, 56, 8), VnpuField(w, 0, 16), VnpuField(w, 16, 16),                                \
  VnpuField(w, 32, 8) | VnpuField(w, 52, 4) << 8, VnpuField(w, 40, 12)
#define VNPU_FORMS_UNARY(name)                                                                   \
  template <typename D, typename S>                                                              \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ S* src, uint64_t config) {                         \
    name(dst, src, VNPU_FIELDS_UNARY(config));                                                   \
  }                                                                                              \
  template <typename D, typename S>                                                              \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ S* src, int64_t repeat, int64_t dstBlk,            \
                    int64_t srcBlk, int64_t dstRep, int64_t srcRep, bool repeatMode,             \
                    bool sizeMode) {                                                             \
    VnpuStrideModes(repeatMode, sizeMode);                                                       \
    name(dst, src, repeat, dstBlk, srcBlk, dstRep, srcRep);                                      \
  }
VNPU_FORMS_UNARY(vabs)
VNPU_FORMS_UNARY(vexp)
VNPU_FORMS_UNARY(vln)
VNPU_FORMS_UNARY(vnot)
VNPU_FORMS_UNARY(vrec)
VNPU_FORMS_UNARY(vrelu)
VNPU_FORMS_UNARY(vrsqrt)
VNPU_FORMS_UNARY(vsqrt)
VNPU_FORMS_UNARY(vcopy)
VNPU_FORMS_UNARY(vconv_deq)
#define VNPU_CONV(name, source, target, rounding, mark) VNPU_FORMS_UNARY(name)
#include "tools/vnpu/isa/conversions.inc"
#undef VNPU_CONV
#undef VNPU_FORMS_UNARY

// A scalar operand: as one operand. vmaxs and vmins have stride modes in cce_vector.h.
#define VNPU_PACKED_SCALAR(name)                                                                 \
  template <typename D, typename S, typename V>                                                  \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ S* src, V scalar, uint64_t config) {               \
    name(dst, src, static_cast<S>(scalar), VNPU_FIELDS_UNARY(config));                           \
  }
#define VNPU_MODES_SCALAR(name)                                                                  \
  template <typename D, typename S, typename V>                                                  \
  VNPU_OP void name(__ubuf__ D* dst, __ubuf__ S* src, V scalar, int64_t repeat, int64_t dstBlk,  \
                    int64_t srcBlk, int64_t dstRep, int64_t srcRep, bool repeatMode,             \
                    bool sizeMode) {                                                             \
    VnpuStrideModes(repeatMode, sizeMode);                                                       \
    name(dst, src, static_cast<S>(scalar), repeat, dstBlk, srcBlk, dstRep, srcRep);              \
  }
VNPU_PACKED_SCALAR(vadds)
VNPU_PACKED_SCALAR(vmuls)
VNPU_PACKED_SCALAR(vmaxs)
VNPU_PACKED_SCALAR(vmins)
VNPU_PACKED_SCALAR(vlrelu)
VNPU_PACKED_SCALAR(vaxpy)
VNPU_PACKED_SCALAR(vcmpvs_eq)
VNPU_PACKED_SCALAR(vcmpvs_ne)
VNPU_PACKED_SCALAR(vcmpvs_lt)
VNPU_PACKED_SCALAR(vcmpvs_le)
VNPU_PACKED_SCALAR(vcmpvs_gt)
VNPU_PACKED_SCALAR(vcmpvs_ge)
VNPU_MODES_SCALAR(vadds)
VNPU_MODES_SCALAR(vmuls)
VNPU_MODES_SCALAR(vlrelu)
VNPU_MODES_SCALAR(vaxpy)
#undef VNPU_MODES_SCALAR
#undef VNPU_PACKED_SCALAR

// Reductions of blocks: repeat [63:56], dstRep [15:0], srcBlk [31:16], srcRep [47:32].
#define VNPU_PACKED_REDUCE(name)                                                                 \
  template <typename T>                                                                          \
  VNPU_OP void name(__ubuf__ T* dst, __ubuf__ T* src, uint64_t config) {                         \
    name(dst, src, VnpuField(config, 56, 8), VnpuField(config, 0, 16), VnpuField(config, 16, 16), \
         VnpuField(config, 32, 16));                                                             \
  }
VNPU_PACKED_REDUCE(vcgmax)
VNPU_PACKED_REDUCE(vcgmin)
VNPU_PACKED_REDUCE(vcgadd)
VNPU_PACKED_REDUCE(vcpadd)
#undef VNPU_PACKED_REDUCE

// vsel: the bit tensor has a type of its own; packed, the mode is [49:48].
#define VNPU_VSEL_FORMS(T)                                                                       \
  template <typename U>                                                                          \
  VNPU_OP std::enable_if_t<!std::is_same<T, U>::value> vsel(                                     \
      __ubuf__ T* dst, const __ubuf__ T* src0, const __ubuf__ U* src1, int64_t repeat,           \
      int64_t dstBlk, int64_t src0Blk, int64_t src1Blk, int64_t dstRep, int64_t src0Rep,         \
      int64_t src1Rep, int64_t mode = 0) {                                                       \
    vsel(dst, src0, reinterpret_cast<const __ubuf__ T*>(src1), repeat, dstBlk, src0Blk, src1Blk, \
         dstRep, src0Rep, src1Rep, mode);                                                        \
  }                                                                                              \
  template <typename U>                                                                          \
  VNPU_OP void vsel(__ubuf__ T* dst, const __ubuf__ T* src0, const __ubuf__ U* src1,             \
                    uint64_t config) {                                                           \
    vsel(dst, src0, src1, VNPU_FIELDS_BINARY(config), VnpuField(config, 48, 2));                 \
  }
VNPU_VSEL_FORMS(half)
VNPU_VSEL_FORMS(float)
#undef VNPU_VSEL_FORMS
#undef VNPU_FIELDS_UNARY
#undef VNPU_FIELDS_BINARY

// Fills by bits: 16-bit integers by a half, floats by a word.
#define VNPU_CREATE_BITS(name, space)                                                            \
  template <typename T, typename V,                                                              \
            std::enable_if_t<sizeof(T) == 2 && std::is_integral<T>::value &&                     \
                                 std::is_same<V, half>::value, int> = 0>                         \
  VNPU_OP void name(space T* dst, int64_t config, V value) {                                     \
    name(dst, config, static_cast<T>(VnpuBits(value)));                                          \
  }                                                                                              \
  template <typename V, std::enable_if_t<std::is_same<V, uint32_t>::value, int> = 0>             \
  VNPU_OP void name(space float* dst, int64_t config, V value) {                                 \
    name(reinterpret_cast<space uint32_t*>(dst), config, value);                                 \
  }
VNPU_CREATE_BITS(create_ca_matrix, __ca__)
VNPU_CREATE_BITS(create_cb_matrix, __cb__)
VNPU_CREATE_BITS(create_cbuf_matrix, __cbuf__)
#undef VNPU_CREATE_BITS

// The four lists by a pointer.
#define VNPU_MERGE_LISTS(T)                                                                      \
  VNPU_OP void vmrgsort4(__ubuf__ T* dst, __ubuf__ T* const* src, uint64_t lengths,              \
                         uint64_t config) {                                                      \
    __ubuf__ T* lists[] = {src[0], src[1], src[2], src[3]};                                      \
    __ubuf__ T*(&four)[4] = lists;                                                               \
    vmrgsort4(dst, four, lengths, config);                                                       \
  }
VNPU_MERGE_LISTS(half)
VNPU_MERGE_LISTS(float)
#undef VNPU_MERGE_LISTS
// clang-format on

// Enumerators as integers.
template <typename P>
VNPU_OP void dcci(P address, uint64_t scope, uint64_t dst = CACHELINE_OUT) {
  dcci(address, static_cast<cache_line_t>(scope), static_cast<dcci_dst_t>(dst));
}
// A value of another type than memory has: 0 for a float.
template <typename T, typename V, std::enable_if_t<!std::is_same<T, V>::value, int> = 0>
VNPU_OP void st_dev(V value, __gm__ T* address, int64_t offset) {
  st_dev(static_cast<T>(value), address, offset);
}
// Frameworks clear the boundary of convolution loads in every kernel.
VNPU_OP void set_l1_3d_size(uint64_t boundary) {
  if (boundary != 0) VnpuUnmodelled<void>(VNPU_UNMODELLED_set_l1_3d_size);
}

// ---- no effect on results
// Prefetches: of a line of GM, of code.
VNPU_OP void dc_preload(const __gm__ void*, int64_t) {}
VNPU_OP void preload(const void*, int64_t) {}
// Where a profiler or a debugger takes part.
namespace bisheng {
namespace cce {
VNPU_OP void metrics_prof_start() {}
VNPU_OP void metrics_prof_stop() {}
}  // namespace cce
}  // namespace bisheng
template <typename... Args>
VNPU_OP void __ib_set_stub(Args...) {}
template <typename... Args>
VNPU_OP void __ib_wait_stub(Args...) {}
template <typename... Args>
VNPU_OP void __sync_all_stub(Args...) {}
// The address of a tile of PTO.
template <typename T>
VNPU_OP T __cce_get_tile_ptr(T tile) {
  return tile;
}

#endif  // VNPU_ISA_CCE_FORMS_H_
