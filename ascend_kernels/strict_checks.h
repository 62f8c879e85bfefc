// SPDX-License-Identifier: Apache-2.0
// How kernel tests watch our kernels: all checkers, flags judged by order alone,
// and nothing on its way at the end.
#ifndef ASCEND_KERNELS_STRICT_CHECKS_H_
#define ASCEND_KERNELS_STRICT_CHECKS_H_

#include <string>

#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/report/session.h"

namespace ascend_attention {

inline vnpu::SessionOptions StrictChecks() {
  vnpu::SessionOptions options;
  options.strict_flags = true;
  options.drained_end = true;
  return options;
}

// The texts of all findings of all launches; empty if there are none.
inline std::string FindingsOf(const vnpu::Session& session) {
  std::string text;
  for (const vnpu::LaunchRecord& launch : session.launches()) {
    for (const vnpu::Finding& finding : launch.findings) text += vnpu::FindingText(finding);
  }
  return text;
}

}  // namespace ascend_attention

#endif  // ASCEND_KERNELS_STRICT_CHECKS_H_
