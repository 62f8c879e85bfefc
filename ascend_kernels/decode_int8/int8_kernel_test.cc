// SPDX-License-Identifier: Apache-2.0
// The int8 decode kernels on the virtual NPU against every int8 golden, under all
// checkers, with nothing between plan and kernel but a launch.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/golden_cases.h"
#include "testdata/golden.h"
#include "tools/vnpu/report/session.h"

namespace ascend_attention {
namespace {

std::string FindingsOf(const vnpu::Session& session) {
  std::string text;
  for (const vnpu::LaunchRecord& launch : session.launches()) {
    for (const vnpu::Finding& finding : launch.findings) text += vnpu::FindingText(finding);
  }
  return text;
}

class EveryInt8Golden : public ::testing::TestWithParam<DecodeCase> {};

TEST_P(EveryInt8Golden, IsMetWithinItsTolerance) {
  const DecodeCase& c = GetParam();
  ASSERT_TRUE(c.ok()) << c.error;
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", c.ToString());
  ASSERT_TRUE(golden.ok()) << golden.error;
  Problem problem(c);
  // Twice: what the first run leaves in the workspace must not matter.
  for (int run = 0; run < 2; ++run) {
    const vnpu::LaunchResult launch = problem.Launch();
    ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
    const Result result = problem.result();
    std::vector<float> out(result.out.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] = testdata::ToFloat(result.out[i], c.bfloat16);
    const testdata::GoldenReport report = testdata::Compare(golden, out, result.lse);
    EXPECT_TRUE(report.ok) << c.ToString() << "\n" << report.text;
  }
}

TEST_P(EveryInt8Golden, IsCleanUnderTheCheckers) {
  Problem problem(GetParam());
  vnpu::Session session(&problem.device(), vnpu::SessionOptions());
  problem.DescribeMemory();
  const vnpu::LaunchResult launch = problem.Launch();
  EXPECT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  EXPECT_EQ(FindingsOf(session), "");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, EveryInt8Golden,
    ::testing::ValuesIn(testdata::ReadCaseFile("testdata/cases/decode_int8.txt")), CaseTestName);

}  // namespace
}  // namespace ascend_attention
