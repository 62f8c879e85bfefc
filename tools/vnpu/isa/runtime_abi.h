// SPDX-License-Identifier: Apache-2.0
// The binary interface between compiled kernels and libvnpu.so. Every intrinsic
// is one call of vnpu_issue with the row's number, the element type and the
// arguments widened to 64 bits; the wrappers in cce_*.h are inlined into the
// kernel, so the return address of that call is the kernel's source line.
//
// Next: tools/vnpu/isa/cce.h - what a kernel sees.
#ifndef VNPU_ISA_RUNTIME_ABI_H_
#define VNPU_ISA_RUNTIME_ABI_H_

#include <stdint.h>

enum VnpuInsn {
#define VNPU_INSN(name, pipe, cores, cost, mark, handler, arguments) VNPU_INSN_##name,
#include "tools/vnpu/isa/insns.inc"
#undef VNPU_INSN
  VNPU_INSN_COUNT
};

// Names and order of the rows of both tables, as one number: a kernel library
// carries it, and the machine refuses one that was built with another table.
constexpr uint64_t VnpuTableHash() {
  const char names[] =
#define VNPU_INSN(name, pipe, cores, cost, mark, handler, arguments) #name ":" arguments ";"
#include "tools/vnpu/isa/insns.inc"
#undef VNPU_INSN
#define VNPU_UNMODELLED(id, name, reason, nearest, ...) #id ";"
#include "tools/vnpu/isa/unmodelled.inc"
#undef VNPU_UNMODELLED
      ;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : names) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// Element type of a typed intrinsic; VNPU_T_none where it has none.
enum VnpuType {
  VNPU_T_none,
  VNPU_T_s8,
  VNPU_T_u8,
  VNPU_T_s16,
  VNPU_T_u16,
  VNPU_T_f16,
  VNPU_T_bf16,
  VNPU_T_s32,
  VNPU_T_u32,
  VNPU_T_f32,
  VNPU_T_s64,
  VNPU_T_u64,
  VNPU_T_f16_to_f32,  // vmla, vaxpy: f32 += f16 * f16
  VNPU_T_s4,          // two to a byte, the even element in the low half
};

// Calls must stay apart: their return addresses are source lines.
#if defined(__clang__)
#define VNPU_NOMERGE __attribute__((nomerge))
#else
#define VNPU_NOMERGE
#endif

// The bytes of a kernel library's variables that each core has for itself.
struct VnpuBlockLocal {
  char* begin;
  char* end;
};

extern "C" {
VNPU_NOMERGE int64_t vnpu_issue(uint32_t insn, uint32_t type, const int64_t* args);
// A plain load or store of kernel code: insn is one of the scalar_* rows.
// Returns the host address to use: GM addresses are host addresses already, UB
// addresses are offsets in the buffer of the running core.
VNPU_NOMERGE uint64_t vnpu_scalar(uint32_t insn, uint64_t address, uint64_t bytes);
// In front of each integer division by a variable: not 0 if it is one by zero.
VNPU_NOMERGE void vnpu_division_by_zero(uint32_t is_zero);
// Marks a kernel whose results depend on the order of cores (floating-point
// atomics): a module that imports it runs on one host thread.
void vnpu_uses_atomics(void);
}

#endif  // VNPU_ISA_RUNTIME_ABI_H_
