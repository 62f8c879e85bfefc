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
  entry(Parameter<Args>(args, ParameterOffset<Args...>(I))...);
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

}  // namespace vnpu_entry

#define VNPU_KERNEL_ENTRY(entry, key, kind)                                           \
  extern "C" __attribute__((visibility("default"), used)) void                        \
  vnpu_entry_##entry##_##key##_##kind(const void* args) {                             \
    ::vnpu_entry::Call(&entry, args);                                                 \
  }                                                                                   \
  extern "C" {                                                                        \
  extern const uint64_t vnpu_argument_bytes_##entry##_##key##_##kind                  \
      __attribute__((visibility("default")));                                         \
  const uint64_t vnpu_argument_bytes_##entry##_##key##_##kind =                       \
      ::vnpu_entry::ArgumentBytes(&entry);                                            \
  extern const uint64_t vnpu_table_hash __attribute__((visibility("default"), weak)); \
  const uint64_t vnpu_table_hash = VnpuTableHash();                                   \
  }

#endif  // VNPU_ISA_ENTRY_H_
