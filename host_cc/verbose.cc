// SPDX-License-Identifier: Apache-2.0
#include "host_cc/verbose.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>

#include "host_cc/shipped_files.h"

namespace ascend_attention {
namespace {

constexpr char kPrefix[] = "ascend_attention,v3,";

std::atomic<bool>& Enabled() {
  static std::atomic<bool> enabled(Environment("ASCEND_ATTENTION_VERBOSE") == "1");
  return enabled;
}

struct Output {
  std::mutex mutex;
  std::set<std::string> kinds;  // whose template is out
  VerboseSink sink = nullptr;
};

Output& SharedOutput() {
  static auto* const output = new Output;
  return *output;
}

void WriteLine(const Output& output, const std::string& line) {
  if (output.sink != nullptr) {
    output.sink(line);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace

bool VerboseEnabled() { return Enabled().load(std::memory_order_relaxed); }

void SetVerboseForTest(bool enabled, VerboseSink sink) {
  Enabled() = enabled;
  Output& output = SharedOutput();
  const std::lock_guard<std::mutex> lock(output.mutex);
  output.sink = sink;
  output.kinds.clear();
}

void WriteVerbose(const char* kind, const char* columns, const std::string& values) {
  Output& output = SharedOutput();
  const std::lock_guard<std::mutex> lock(output.mutex);
  if (output.kinds.insert(kind).second) {
    WriteLine(output, std::string(kPrefix) + "template," + kind + "," + columns);
  }
  WriteLine(output, std::string(kPrefix) + kind + values);
}

}  // namespace ascend_attention
