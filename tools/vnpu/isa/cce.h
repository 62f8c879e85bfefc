// SPDX-License-Identifier: Apache-2.0
// What the vendor's compiler gives a raw CCE kernel for dav-c220, for clang on
// a host: forced in front of a kernel source with `-include`. The source is
// compiled twice, with __DAV_C220_CUBE__=1 and with __DAV_C220_VEC__=1.
//
// Every intrinsic has the compiler's own argument list, but integer fields are
// 64 bits wide here: hardware truncates them without a word, the machine
// checks them against the width of the field. Executing an intrinsic that is
// declared and not modelled (unmodelled.inc) is a fault that names it.
//
// Flags: -x c++ -std=c++17 -ffp-contract=off -fno-optimize-sibling-calls
// (a tail call would lose the source line) -Wno-c++11-narrowing.
//
// Next: tools/vnpu/isa/insns.inc - one row per intrinsic;
// tools/vnpu/core/core.h - how it is executed.
#ifndef VNPU_ISA_CCE_H_
#define VNPU_ISA_CCE_H_

#if !defined(__clang__)
#error \
    "kernels for the virtual NPU are compiled with clang: the memory qualifiers are address spaces"
#endif
#if !defined(__DAV_C220_CUBE__) && !defined(__DAV_C220_VEC__)
#error "compile a kernel with -D__DAV_C220_CUBE__=1 or -D__DAV_C220_VEC__=1"
#endif

// clang-format off
#include "tools/vnpu/isa/cce_lang.h"
#include "tools/vnpu/isa/cce_system.h"
#include "tools/vnpu/isa/cce_copy.h"
#include "tools/vnpu/isa/cce_cube.h"
#include "tools/vnpu/isa/cce_vector.h"
#include "tools/vnpu/isa/cce_vector_extra.h"
#include "tools/vnpu/isa/cce_convert.h"
#include "tools/vnpu/isa/cce_unmodelled.h"
#include "tools/vnpu/isa/cce_forms.h"
// clang-format on

#endif  // VNPU_ISA_CCE_H_
