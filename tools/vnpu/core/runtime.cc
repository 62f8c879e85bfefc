// SPDX-License-Identifier: Apache-2.0
// The symbols that compiled kernels import.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/vnpu/core/core.h"
#include "tools/vnpu/isa/runtime_abi.h"

extern "C" {

int64_t vnpu_issue(uint32_t insn, uint32_t type, const int64_t* args) {
  vnpu::Core* core = vnpu::CurrentCore();
  if (core == nullptr) {
    std::fputs("vnpu: kernel code called outside of a launch\n", stderr);
    std::abort();
  }
  return core->Issue(insn, type, args, __builtin_return_address(0));
}

uint64_t vnpu_scalar(uint32_t insn, uint64_t address, uint64_t bytes) {
  vnpu::Core* core = vnpu::CurrentCore();
  // Constant data that a host initialiser reads is no core's access.
  if (core == nullptr) return address;
  return core->Scalar(insn, address, bytes, __builtin_return_address(0));
}

void vnpu_division_by_zero(uint32_t is_zero) {
  vnpu::Core* core = vnpu::CurrentCore();
  if (is_zero != 0 && core != nullptr) core->DivisionByZero(__builtin_return_address(0));
}

void vnpu_uses_atomics(void) {}

// float -> bfloat16, nearest even, denormals kept: clang calls these for
// bfloat16 arithmetic, and the C libraries of older systems lack them. The
// result travels like a half: low 16 bits of the first vector register.
#if defined(__aarch64__) && !defined(__clang__)
using HalfRegister = __fp16;
#else
using HalfRegister = _Float16;
#endif

__attribute__((visibility("default"))) HalfRegister __truncsfbf2(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  uint16_t out;
  if ((bits & 0x7fffffff) > 0x7f800000) {
    out = static_cast<uint16_t>(bits >> 16 | 0x40);  // quiet nan
  } else {
    out = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  HalfRegister result;
  std::memcpy(&result, &out, sizeof(out));
  return result;
}

__attribute__((visibility("default"))) HalfRegister __truncdfbf2(double value) {
  // Rounding to odd first makes the second rounding exact.
  float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof(bits));
  if (static_cast<double>(narrow) != value && value == value && (bits & 1) == 0) {
    const bool too_big = (static_cast<double>(narrow) > value) == (value > 0);
    bits = too_big ? bits - 1 : bits + 1;
    std::memcpy(&narrow, &bits, sizeof(narrow));
  }
  return __truncsfbf2(narrow);
}
}
