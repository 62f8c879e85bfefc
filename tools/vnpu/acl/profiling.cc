// SPDX-License-Identifier: Apache-2.0
// Dump, profiling and logging. No profiler is attached to the virtual NPU, so
// reports to it go nowhere, as on a device whose profiling is off; the clock of
// tools/vnpu/timing is asked for in other ways.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "tools/vnpu/acl/acl_op_abi.h"
#include "tools/vnpu/acl/api.h"
#include "tools/vnpu/acl/runtime.h"

namespace vnpu_acl {
namespace {

constexpr uint64_t kNanosPerSecond = 1000000000;

Result NoDump() {
  return Error(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
               "the virtual NPU does not dump operators: it runs kernels, and "
               "ASCEND_ATTENTION_VNPU_CHECK reports what is wrong with them");
}

// As CANN's: 0 debug, 1 info, 2 warning, 3 error, 4 off; error when not set.
int LogLevel() {
  const char* text = std::getenv("ASCEND_GLOBAL_LOG_LEVEL");
  return text != nullptr && text[0] >= '0' && text[0] <= '4' && text[1] == '\0' ? text[0] - '0' : 3;
}

bool LogsToStdout() {
  const char* text = std::getenv("ASCEND_SLOG_PRINT_TO_STDOUT");
  return text != nullptr && text[0] == '1';
}

}  // namespace
}  // namespace vnpu_acl

using vnpu_acl::Call;
using vnpu_acl::Runtime;

extern "C" {

aclError aclmdlInitDump() {
  return Call("aclmdlInitDump", [](Runtime&) { return vnpu_acl::NoDump(); });
}

aclError aclmdlSetDump(const char*) {
  return Call("aclmdlSetDump", [](Runtime&) { return vnpu_acl::NoDump(); });
}

aclError aclmdlFinalizeDump() {
  return Call("aclmdlFinalizeDump", [](Runtime&) { return vnpu_acl::NoDump(); });
}

// The handle would be called when profiling starts, which it never does.
int32_t MsprofRegisterCallback(uint32_t, ProfCommandHandle) { return 0; }
int32_t MsprofReportApi(uint32_t, const struct MsprofApi*) { return 0; }
int32_t MsprofReportCompactInfo(uint32_t, const void*, uint32_t) { return 0; }
int32_t MsprofReportAdditionalInfo(uint32_t, const void*, uint32_t) { return 0; }

// FNV-1a: equal texts give equal numbers, which is all that reports rely on.
uint64_t MsprofGetHashId(const char* hashInfo, size_t length) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; hashInfo != nullptr && i < length; ++i) {
    hash = (hash ^ static_cast<unsigned char>(hashInfo[i])) * 0x100000001b3;
  }
  return hash;
}

// One cycle is a nanosecond of the host.
uint64_t MsprofSysCycleTime() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<uint64_t>(now.tv_sec) * vnpu_acl::kNanosPerSecond +
         static_cast<uint64_t>(now.tv_nsec);
}

// Like CANN's log: to stdout if ASCEND_SLOG_PRINT_TO_STDOUT is 1, from
// ASCEND_GLOBAL_LOG_LEVEL on. There is no log file.
void aclAppLog(aclLogLevel logLevel, const char* func, const char* file, uint32_t line,
               const char* fmt, ...) {
  if (fmt == nullptr || !vnpu_acl::LogsToStdout() || int{logLevel} < vnpu_acl::LogLevel()) return;
  char text[1024];
  va_list args;
  va_start(args, fmt);
  std::vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  static constexpr const char* kNames[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
  const char* level = logLevel >= ACL_DEBUG && logLevel <= ACL_ERROR ? kNames[logLevel] : "?";
  std::printf("[%s] APP %s:%u %s: %s\n", level, file != nullptr ? file : "?", line,
              func != nullptr ? func : "?", text);
}

}  // extern "C"
