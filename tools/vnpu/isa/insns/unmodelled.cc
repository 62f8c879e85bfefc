// SPDX-License-Identifier: Apache-2.0
// Intrinsics that are declared and not modelled: a fault that names them.
#include "tools/vnpu/core/exec.h"
#include "tools/vnpu/isa/insns/handlers.h"

namespace vnpu {
namespace insns {
namespace {

struct Row {
  const char* name;
  const char* reason;
  const char* nearest;
};

constexpr Row kRows[] = {
#define VNPU_UNMODELLED(id, name, reason, nearest, ...) {name, reason, nearest},
#include "tools/vnpu/isa/unmodelled.inc"
#undef VNPU_UNMODELLED
};
constexpr uint64_t kNumRows = sizeof(kRows) / sizeof(kRows[0]);

}  // namespace

void Unmodelled(Exec& x) {
  if (x.u(0) >= kNumRows) {
    x.Fail("bad argument",
           "which = " + std::to_string(x.u(0)) + ", allowed 0.." + std::to_string(kNumRows - 1));
  }
  const Row& row = kRows[x.u(0)];
  x.core().Fail(
      FaultKind::kException, &x.in(),
      std::string("not modelled: ") + row.name + ": " + row.reason + "; nearest: " + row.nearest);
}

}  // namespace insns
}  // namespace vnpu
