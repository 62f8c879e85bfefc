// SPDX-License-Identifier: Apache-2.0
// ASCEND_ATTENTION_VERBOSE=1: one line on stderr per open, plan and run, to see
// what an engine asks for without a debugger.
//
//   ascend_attention,v3,template,plan,batch,num_query_rows,...
//   ascend_attention,v3,plan,8,8,32,...
//
// Comma-separated; the number after `v` changes when columns change. The first
// line of a kind is preceded by its template. Commas inside values become ';'.
#ifndef ASCEND_ATTENTION_HOST_CC_VERBOSE_H_
#define ASCEND_ATTENTION_HOST_CC_VERBOSE_H_

#include <string>

#include "tiling/status.h"

namespace ascend_attention {

// Read from the environment once.
bool VerboseEnabled();

// Where lines go; null for stderr. For tests.
using VerboseSink = void (*)(const std::string& line);
void SetVerboseForTest(bool enabled, VerboseSink sink);

void WriteVerbose(const char* kind, const char* columns, const std::string& values);

namespace verbose_internal {
template <typename Value>
void AppendColumn(std::string& line, const Value& value) {
  std::string text;
  status_internal::Append(text, value);
  for (char& c : text) {
    if (c == ',') c = ';';
  }
  line += ',';
  line += text;
}
}  // namespace verbose_internal

// `columns` names one column per value.
template <typename... Values>
void Verbose(const char* kind, const char* columns, const Values&... values) {
  if (!VerboseEnabled()) return;
  std::string line;
  (verbose_internal::AppendColumn(line, values), ...);
  WriteVerbose(kind, columns, line);
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_HOST_CC_VERBOSE_H_
