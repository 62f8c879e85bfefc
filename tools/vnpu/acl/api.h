// SPDX-License-Identifier: Apache-2.0
// What every exported call does around its own work.
#ifndef VNPU_ACL_API_H_
#define VNPU_ACL_API_H_

#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "tools/vnpu/acl/error.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {

// Refuses a forked child, reads the configuration at first use, turns
// exceptions into errors, and reports a failure under the call's name.
template <typename Body>
aclError Call(const char* name, Body&& body) {
  if (IsForkedChild()) return ReportForked();
  try {
    Runtime* runtime = nullptr;
    Result result = GetRuntime(&runtime);
    if (result.ok()) result = body(*runtime);
    return result.ok() ? ACL_SUCCESS : Report(name, std::move(result));
  } catch (const std::bad_alloc&) {
    return Report(name, Error(ACL_ERROR_RT_RESOURCE_ALLOC_FAIL, "out of host memory"));
  } catch (const std::system_error& error) {  // no thread could be started
    return Report(name, Error(ACL_ERROR_RT_RESOURCE_ALLOC_FAIL, error.what()));
  } catch (const std::exception& error) {
    return Report(name, Error(ACL_ERROR_RT_INTERNAL_ERROR, error.what()));
  }
}

}  // namespace vnpu_acl

#endif  // VNPU_ACL_API_H_
