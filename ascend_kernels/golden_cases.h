// SPDX-License-Identifier: Apache-2.0
// Every decode case with a golden, for value-parameterised tests.
#ifndef ASCEND_KERNELS_GOLDEN_CASES_H_
#define ASCEND_KERNELS_GOLDEN_CASES_H_

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <vector>

#include "testdata/decode_case.h"

namespace ascend_attention {

inline std::vector<testdata::DecodeCase> GoldenCases() {
  std::vector<testdata::DecodeCase> cases;
  for (const char* list :
       {"decode_ci", "decode_qlen", "decode_shapes", "decode_layouts", "decode_split"}) {
    auto more = testdata::ReadCaseFile(std::string("testdata/cases/") + list + ".txt");
    // Not there: a case with an error, which fails.
    if (more.empty()) more.push_back(testdata::ParseCase(list));
    cases.insert(cases.end(), more.begin(), more.end());
  }
  return cases;
}

// "0_decode_b4_h32_kv8_d128_..." as a test's name.
inline std::string CaseTestName(const ::testing::TestParamInfo<testdata::DecodeCase>& info) {
  std::string name = std::to_string(info.index) + "_" + info.param.ToString();
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

}  // namespace ascend_attention

#endif  // ASCEND_KERNELS_GOLDEN_CASES_H_
