// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/calibration/report_point.h"

#include <gtest/gtest.h>

namespace vnpu {
namespace calibration {
namespace {

ReportPoint Point(const std::string& id, double modelled) {
  return Within(Kind::kHeldOut, {id, modelled, 100, "us", 0.1, "a \"source\"", "why"});
}

TEST(ReportPointTest, WithinIsTheToleranceBothWays) {
  EXPECT_TRUE(Point("p", 90).within());
  EXPECT_TRUE(Point("p", 110).within());
  EXPECT_FALSE(Point("p", 89.9).within());
  EXPECT_FALSE(Point("p", 110.1).within());
}

TEST(ReportPointTest, BetweenTakesTheLargerDistanceAsTolerance) {
  const ReportPoint point =
      Between(Kind::kFit, 80, 150, {"p", 149, 100, "us", 0, "source", "note"});
  EXPECT_TRUE(point.within());
  EXPECT_DOUBLE_EQ(point.point.tolerance, 0.5);
  EXPECT_FALSE(Between(Kind::kFit, 80, 150, {"p", 79, 100, "us", 0, "", ""}).within());
}

TEST(ReportPointTest, TableHasMissesFirstWithTheirNote) {
  const std::string text =
      TableText({Point("good", 101), Point("bad", 150)}, {{"P0", "no figure"}});
  const size_t bad = text.find("bad");
  ASSERT_NE(bad, std::string::npos);
  EXPECT_LT(bad, text.find("good"));
  EXPECT_LT(bad, text.find("why"));
  EXPECT_NE(text.find("1 of 2 points miss"), std::string::npos);
  EXPECT_NE(text.find("  P0: no figure"), std::string::npos);
}

TEST(ReportPointTest, JsonIsOneLineWithEscapes) {
  EXPECT_EQ(ReportJson({Point("p", 50)}, {{"P0", "why"}}),
            "{\"source\":\"model\",\"points\":[{\"id\":\"p\",\"modelled\":50,\"published\":100,"
            "\"error\":-0.5,\"unit\":\"us\",\"tolerance\":0.1,\"low\":90,\"high\":110,"
            "\"within_tolerance\":false,\"kind\":\"held-out\",\"source\":\"a \\\"source\\\"\","
            "\"note\":\"why\"}],\"not_run\":[{\"id\":\"P0\",\"reason\":\"why\"}]}");
}

TEST(ReportPointTest, BaselineHasSixDigits) {
  EXPECT_EQ(BaselineText({Point("p", 101.23456789)}), "p 101.235 yes\n");
}

}  // namespace
}  // namespace calibration
}  // namespace vnpu
