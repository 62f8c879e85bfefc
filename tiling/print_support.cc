// SPDX-License-Identifier: Apache-2.0
// Prints the support table, for README.md and for tests:
//   ./bazelw run //tiling:print_support -- markdown | json
#include <cstdio>
#include <string_view>

#include "tiling/support.h"

int main(int argc, char** argv) {
  const std::string_view format = argc == 2 ? argv[1] : "";
  if (format == "markdown") {
    std::fputs(ascend_attention::SupportTableMarkdown().c_str(), stdout);
  } else if (format == "json") {
    std::fputs(ascend_attention::SupportTableJson().c_str(), stdout);
  } else {
    std::fputs("usage: print_support markdown | json\n", stderr);
    return 2;
  }
  return 0;
}
