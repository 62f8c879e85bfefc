// SPDX-License-Identifier: Apache-2.0
// Exports a kernel entry for the virtual device. The build rule appends to
// each pass of a kernel source, at global scope:
//
//   VNPU_KERNEL_ENTRY(decode_f16, 0, mix_aic)   // cube pass
//   VNPU_KERNEL_ENTRY(decode_f16, 0, mix_aiv)   // vector pass
//
// which defines `extern "C" void vnpu_entry_decode_f16_0_mix_aic(const void*)`.
// Its argument is the C struct of the entry's parameters in order, each at its
// natural alignment, as the launch passes it. kind is mix_aic, mix_aiv, aic or
// aiv. An entry with both mix kinds starts 1 AIC and 2 AIVs per block; aic (or
// mix_aic alone) starts one AIC, aiv (or mix_aiv alone) one AIV per block.
// The library also has `vnpu_signature_decode_f16_0`, the parameters as a text:
// "gm:half,gm:u8,s:i32,s:f32" (gm: pointer to GM and its element type, s:
// scalar; struct24a8 is a struct of 24 bytes, aligned to 8).
//
// The two passes define inline functions of equal names and different bodies:
// a rule that links both into one library must keep them apart.
#ifndef VNPU_ISA_ENTRY_H_
#define VNPU_ISA_ENTRY_H_

#include <stddef.h>
#include <stdint.h>

#include <type_traits>
#include <utility>

#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu_entry {

// Byte offset of parameter `index` in the argument struct.
template <typename... Args>
constexpr size_t ParameterOffset(size_t index) {
  const size_t sizes[] = {sizeof(Args)..., 1};
  const size_t alignments[] = {alignof(Args)..., 1};
  size_t offset = 0;
  for (size_t i = 0; i <= index; ++i) {
    offset = (offset + alignments[i] - 1) / alignments[i] * alignments[i];
    if (i < index) offset += sizes[i];
  }
  return offset;
}

template <typename T>
T Parameter(const void* args, size_t offset) {
  static_assert(std::is_trivially_copyable<T>::value, "kernel parameters are plain data");
  T value;
  __builtin_memcpy(&value, static_cast<const char*>(args) + offset, sizeof(T));
  return value;
}

template <typename... Args, size_t... I>
void CallIndexed(void (*entry)(Args...), const void* args, std::index_sequence<I...>) {
  // Source places end at the kernel's own function.
  [[clang::noinline]] entry(
      Parameter<Args>(args, std::integral_constant<size_t, ParameterOffset<Args...>(I)>::value)...);
}
template <typename... Args>
void Call(void (*entry)(Args...), const void* args) {
  CallIndexed(entry, args, std::index_sequence_for<Args...>());
}

// Bytes of the argument struct up to the end of the last parameter.
template <typename... Args>
constexpr size_t ArgumentBytes(void (*)(Args...)) {
  return ParameterOffset<Args..., char>(sizeof...(Args));
}

// ---- the parameter list as text

struct Text {
  char chars[1024] = {};
  size_t size = 0;
  constexpr void Append(const char* text) {
    // One too long for the array does not compile.
    while (*text != '\0') chars[size++] = *text++;
    chars[size] = '\0';
  }
  constexpr void AppendNumber(size_t number) {
    if (number >= 10) AppendNumber(number / 10);
    const char digit[] = {static_cast<char>('0' + number % 10), '\0'};
    Append(digit);
  }
};

// "f32", "u8", "void" for what is no number.
template <typename T>
constexpr const char* ElementName() {
  using U = std::remove_cv_t<T>;
  if (std::is_same<U, half>::value) return "half";
  if (std::is_same<U, bfloat16_t>::value) return "bf16";
  if (std::is_same<U, float>::value) return "f32";
  if (std::is_same<U, double>::value) return "f64";
  if (std::is_same<U, bool>::value) return "bool";
  if constexpr (std::is_enum<U>::value) {
    return ElementName<std::underlying_type_t<U>>();
  } else if constexpr (std::is_integral<U>::value) {
    constexpr bool is_signed = static_cast<U>(-1) < static_cast<U>(0);
    if (sizeof(U) == 1) return is_signed ? "i8" : "u8";
    if (sizeof(U) == 2) return is_signed ? "i16" : "u16";
    if (sizeof(U) == 4) return is_signed ? "i32" : "u32";
    if (sizeof(U) == 8) return is_signed ? "i64" : "u64";
  }
  return "void";
}

template <typename T>
struct Describe {
  static constexpr void To(Text* text) {
    text->Append("s:");
    const char* name = ElementName<T>();
    if (name[0] != 'v') return text->Append(name);
    text->Append("struct");
    text->AppendNumber(sizeof(T));
    text->Append("a");
    text->AppendNumber(alignof(T));
  }
};
template <typename T>
struct Describe<__gm__ T*> {
  static constexpr void To(Text* text) {
    text->Append("gm:");
    text->Append(ElementName<T>());
  }
};

template <typename... Args>
constexpr Text Signature(void (*)(Args...)) {
  Text text;
  [[maybe_unused]] const auto add = [&text](void (*describe)(Text*)) {
    if (text.size != 0) text.Append(",");
    describe(&text);
  };
  (add(&Describe<std::remove_cv_t<Args>>::To), ...);
  return text;
}

// ---- what tools/vnpu/toolchain reads from the compiled text of a pass

// Which core kinds have a row: c cube, v vector, b both, x both and tells that
// the kernel has a half for this core kind (cross-core flags).
constexpr char RowKind(const char* name, const char* cores) {
  const char* const cross[] = {"ffts_cross_core_sync", "wait_flag_dev"};
  for (const char* other : cross) {
    if (__builtin_strcmp(name, other) == 0) return 'x';
  }
  return __builtin_strcmp(cores, "kAic") == 0   ? 'c'
         : __builtin_strcmp(cores, "kAiv") == 0 ? 'v'
                                                : 'b';
}

}  // namespace vnpu_entry

extern "C" {
// The linker's names for the section of block-local variables, if there is one.
extern char __start_blklocal[] __attribute__((weak));
extern char __stop_blklocal[] __attribute__((weak));
extern const VnpuBlockLocal vnpu_block_local __attribute__((visibility("default"), weak));
const VnpuBlockLocal vnpu_block_local = {__start_blklocal, __stop_blklocal};

extern const uint32_t vnpu_scalar_rows[4];
const uint32_t vnpu_scalar_rows[4] = {VNPU_INSN_scalar_load, VNPU_INSN_scalar_store,
                                      VNPU_INSN_scalar_load_ub, VNPU_INSN_scalar_store_ub};
extern const uint32_t vnpu_sys_cnt_row;
const uint32_t vnpu_sys_cnt_row = VNPU_INSN_get_sys_cnt;
extern const char vnpu_row_kinds[];
const char vnpu_row_kinds[] = {
#define VNPU_INSN(name, pipe, cores, cost, mark, handler, arguments) \
  ::vnpu_entry::RowKind(#name, #cores),
#include "tools/vnpu/isa/insns.inc"
#undef VNPU_INSN
    '\0'};
}

#define VNPU_KERNEL_ENTRY(entry, key, kind)                                                  \
  extern "C" __attribute__((visibility("default"), used)) void                               \
  vnpu_entry_##entry##_##key##_##kind(const void* args) {                                    \
    ::vnpu_entry::Call(&entry, args);                                                        \
  }                                                                                          \
  extern "C" {                                                                               \
  extern const uint64_t vnpu_argument_bytes_##entry##_##key##_##kind                         \
      __attribute__((visibility("default")));                                                \
  const uint64_t vnpu_argument_bytes_##entry##_##key##_##kind =                              \
      ::vnpu_entry::ArgumentBytes(&entry);                                                   \
  extern const uint64_t vnpu_table_hash __attribute__((visibility("default"), weak));        \
  const uint64_t vnpu_table_hash = VnpuTableHash();                                          \
  extern const ::vnpu_entry::Text vnpu_signature_##entry##_##key                             \
      __attribute__((visibility("default"), weak));                                          \
  __attribute__((require_constant_initialization))                                           \
  const ::vnpu_entry::Text vnpu_signature_##entry##_##key = ::vnpu_entry::Signature(&entry); \
  }

#endif  // VNPU_ISA_ENTRY_H_
