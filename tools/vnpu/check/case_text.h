// SPDX-License-Identifier: Apache-2.0
// Golden report texts name lines of the kernel source by marker: `{Name}` on a
// line of its own is the frame of the line that ends in `// @Name`.
#ifndef VNPU_CHECK_CASE_TEXT_H_
#define VNPU_CHECK_CASE_TEXT_H_

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <string>

namespace vnpu {

// All cases of `source` lie in its entry function, `entry`.
inline std::string WithLines(std::string text, const std::string& source,
                             const std::string& entry) {
  std::map<std::string, int> lines;
  std::ifstream file(source);
  EXPECT_TRUE(file) << source;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex("// @(\\w+)"))) lines[match[1]] = number;
  }
  std::smatch match;
  while (std::regex_search(text, match, std::regex("\\{(\\w+)\\}\n"))) {
    const auto found = lines.find(match[1]);
    EXPECT_NE(found, lines.end()) << match[1];
    if (found == lines.end()) return text;
    text = match.prefix().str() + "  at " + source + ":" + std::to_string(found->second) + " (" +
           entry + ")\n" + match.suffix().str();
  }
  return text;
}

}  // namespace vnpu

#endif  // VNPU_CHECK_CASE_TEXT_H_
