// SPDX-License-Identifier: Apache-2.0
// Declares what the machine does not model: unmodelled.inc. Headers that name
// these compile; to execute one is a fault that names it.
#ifndef VNPU_ISA_CCE_UNMODELLED_H_
#define VNPU_ISA_CCE_UNMODELLED_H_

#include "tools/vnpu/isa/cce_lang.h"

enum VnpuUnmodelledId {
#define VNPU_UNMODELLED(id, name, reason, nearest, ...) VNPU_UNMODELLED_##id,
#include "tools/vnpu/isa/unmodelled.inc"
#undef VNPU_UNMODELLED
};

template <typename Result>
VNPU_OP Result VnpuUnmodelled(VnpuUnmodelledId id) {
  const int64_t args[] = {static_cast<int64_t>(id)};
  return static_cast<Result>(vnpu_issue(VNPU_INSN_unmodelled, 0, args));
}

#define VNPU_UNMODELLED(id, name, reason, nearest, ...) __VA_ARGS__
#define VNPU_DECL(id, name, result, ...) \
  VNPU_OP result name(__VA_ARGS__) { return VnpuUnmodelled<result>(VNPU_UNMODELLED_##id); }
#define VNPU_DECL_T(id, name, result, ...) \
  template <typename T>                    \
  VNPU_DECL(id, name, result, __VA_ARGS__)
#define VNPU_DECL_TU(id, name, result, ...) \
  template <typename T, typename U>         \
  VNPU_DECL(id, name, result, __VA_ARGS__)
#include "tools/vnpu/isa/unmodelled.inc"
#undef VNPU_DECL_TU
#undef VNPU_DECL_T
#undef VNPU_DECL
#undef VNPU_UNMODELLED

#endif  // VNPU_ISA_CCE_UNMODELLED_H_
