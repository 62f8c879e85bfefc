// SPDX-License-Identifier: Apache-2.0
// ACL error codes: their names and which Status code they become.
// Source: CANN docs, aclError; acl/error_codes/rt_error_codes.h.
#include "host_cc/acl_api.h"

namespace ascend_attention {
namespace {

struct AclErrorRow {
  int error;
  StatusCode code;
  const char* name;
};

constexpr AclErrorRow kAclErrors[] = {
    {100000, StatusCode::kInvalidArgument, "invalid parameter"},
    {100001, StatusCode::kFailedPrecondition, "not initialized"},
    {100002, StatusCode::kFailedPrecondition, "initialized twice"},
    {100003, StatusCode::kFailedPrecondition, "invalid file"},
    {100039, StatusCode::kFailedPrecondition, "shared library failed"},
    {107000, StatusCode::kInvalidArgument, "invalid parameter"},
    {107001, StatusCode::kInvalidArgument, "invalid device"},
    {107002, StatusCode::kFailedPrecondition, "no context on this thread"},
    {107003, StatusCode::kInvalidArgument, "stream not in the current context"},
    {107008, StatusCode::kInvalidArgument, "address not aligned"},
    {107017, StatusCode::kInvalidArgument, "invalid handle"},
    {107019, StatusCode::kFailedPrecondition, "wait timed out"},
    {107020, StatusCode::kInternal, "task timed out"},
    {107024, StatusCode::kFailedPrecondition, "dependency between captured and eager work"},
    {107025, StatusCode::kFailedPrecondition, "captured stream not joined"},
    {107027, StatusCode::kFailedPrecondition, "stream is being captured"},
    {107029, StatusCode::kFailedPrecondition, "stream cannot be captured"},
    {107030, StatusCode::kFailedPrecondition, "not allowed while capturing"},
    {107036, StatusCode::kFailedPrecondition, "capture ended on another stream"},
    {200000, StatusCode::kResourceExhausted, "allocation failed"},
    {207000, StatusCode::kUnimplemented, "feature not supported"},
    {207001, StatusCode::kResourceExhausted, "out of memory"},
    {207003, StatusCode::kInternal, "AI Core overflow"},
    {207004, StatusCode::kFailedPrecondition, "no device"},
    {207005, StatusCode::kResourceExhausted, "resource allocation failed"},
    {207006, StatusCode::kFailedPrecondition, "no permission"},
    {207007, StatusCode::kResourceExhausted, "out of events"},
    {207008, StatusCode::kResourceExhausted, "out of streams"},
    {207018, StatusCode::kResourceExhausted, "device out of memory"},
    {500000, StatusCode::kInternal, "internal error"},
    {507000, StatusCode::kInternal, "runtime internal error"},
    {507001, StatusCode::kInternal, "task scheduler error"},
    {507008, StatusCode::kFailedPrecondition, "SoC version error"},
    {507010, StatusCode::kInternal, "device lost its heartbeat"},
    {507011, StatusCode::kInternal, "model execution failed"},
    {507014, StatusCode::kInternal, "AI Core timeout"},
    {507015, StatusCode::kInternal, "AI Core exception"},
    {507016, StatusCode::kInternal, "AI Core trap"},
    {507018, StatusCode::kInternal, "AI CPU exception"},
    {507034, StatusCode::kInternal, "vector core timeout"},
    {507035, StatusCode::kInternal, "vector core exception"},
    {507036, StatusCode::kInternal, "vector core trap"},
    {507048, StatusCode::kInternal, "FFTS+ timeout"},
    {507049, StatusCode::kInternal, "FFTS+ exception"},
    {507050, StatusCode::kInternal, "FFTS+ trap"},
    {507899, StatusCode::kInternal, "driver internal error"},
    {507903, StatusCode::kFailedPrecondition, "capture invalidated"},
};

constexpr AclErrorRow kUnknownError = {0, StatusCode::kInternal, "unknown error"};

const AclErrorRow& RowOf(int error) {
  for (const AclErrorRow& row : kAclErrors) {
    if (row.error == error) return row;
  }
  return kUnknownError;
}

}  // namespace

const char* AclErrorName(int error) { return RowOf(error).name; }

Status AclApi::Failure(int error, const std::string& call) const {
  const AclErrorRow& row = RowOf(error);
  const Status status =
      status_internal::Make(row.code, call, " failed: ", error, " (", row.name, ")");
  const char* detail = aclGetRecentErrMsg == nullptr ? nullptr : aclGetRecentErrMsg();
  if (detail == nullptr || *detail == '\0') return status;
  return Status(row.code, status.message() + ": " + detail);
}

}  // namespace ascend_attention
