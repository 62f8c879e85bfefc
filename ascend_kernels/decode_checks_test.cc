// SPDX-License-Identifier: Apache-2.0
// The decode kernels under the race and memory checkers, for every golden
// case: rows of the cache that are past the context and scratch of earlier runs
// reach no output, and nothing is touched outside its tensor.
#include <gtest/gtest.h>

#include <string>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/golden_cases.h"
#include "ascend_kernels/strict_checks.h"

namespace ascend_attention {
namespace {

class EveryGoldenCase : public ::testing::TestWithParam<DecodeCase> {};

TEST_P(EveryGoldenCase, IsCleanUnderTheCheckers) {
  const DecodeCase& c = GetParam();
  ASSERT_TRUE(c.ok()) << c.error;
  Problem problem(c);
  vnpu::Session session(&problem.device(), StrictChecks());
  problem.DescribeMemory();
  for (int run = 0; run < 2; ++run) {
    const vnpu::LaunchResult launch = problem.Launch();
    ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << c.ToString() << "\n" << launch.text;
  }
  EXPECT_EQ(FindingsOf(session), "");
}

// The other way round: a live row that nobody wrote is seen where it ends.
TEST(DecodeChecks, AnUnwrittenLiveRowReachesTheOutput) {
  Problem problem(testdata::ParseCase("decode:b2:h8:kv2:d128:bs32:ctx40,700:f16:cores3:seed5"));
  vnpu::Session session(&problem.device(), {});
  problem.DescribeMemory();
  // The first row of some page that is in use.
  constexpr int64_t kRowBytes = 2 * 128 * 2, kPageBytes = 32 * kRowBytes;
  const int64_t page = problem.block_table()[1];
  problem.device().SetDefined(problem.key_cache() + page * kPageBytes, kRowBytes, false);
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kException);
  std::string headlines;
  for (const vnpu::Finding& finding : session.launches().front().findings) {
    headlines += finding.headline + "\n";
  }
  const std::string row = "key_cache + " + std::to_string(page * kPageBytes);
  EXPECT_EQ(headlines,
            "undefined output: bytes of " + row + " that nobody has written reach out + 0\n" +
                "undefined output: bytes of " + row + " that nobody has written reach lse + 0\n");
}

INSTANTIATE_TEST_SUITE_P(Cases, EveryGoldenCase, ::testing::ValuesIn(GoldenCases()), CaseTestName);

}  // namespace
}  // namespace ascend_attention
