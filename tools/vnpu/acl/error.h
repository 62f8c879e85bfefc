// SPDX-License-Identifier: Apache-2.0
// How a call fails: an ACL error code, and a text that names the argument, its
// value and what is allowed. Nothing throws across the C interface.
//
// Next: runtime.h - the state behind the calls.
#ifndef VNPU_ACL_ERROR_H_
#define VNPU_ACL_ERROR_H_

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>

#include "tools/vnpu/acl/acl_abi.h"

namespace vnpu_acl {

struct Result {
  aclError code = ACL_SUCCESS;
  std::string text;
  // The text is a report of its own (a task's); else it gets the name of the
  // failing call in front.
  bool is_report = false;

  bool ok() const { return code == ACL_SUCCESS; }
};

// Error(107000, "count = ", count, " exceeds destMax = ", max)
template <typename... Parts>
Result Error(aclError code, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return {code, text.str(), false};
}

inline Result NullPointer(const char* argument) {
  return Error(ACL_ERROR_INVALID_PARAM, argument, " is a null pointer");
}

// Makes `result` the calling thread's last error, keeps its text for
// aclGetRecentErrMsg, and returns its code.
aclError Report(const char* call, Result result);

// Both return and clear; the pointer lives until the thread's next call.
const char* TakeRecentMessage();
aclError TakeLastError();
aclError PeekLastError();

// In a child of fork() nothing of the above may be used: another thread of the
// parent may have held a lock that nobody here will release.
aclError ReportForked();
const char* TakeForkedMessage();

}  // namespace vnpu_acl

#endif  // VNPU_ACL_ERROR_H_
