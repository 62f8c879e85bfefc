// SPDX-License-Identifier: Apache-2.0
// The published tables of single instructions, within 10 %.
#include <gtest/gtest.h>

#include <cctype>
#include <ostream>
#include <string>

#include "tools/vnpu/timing/micro/micro_points.h"

namespace vnpu {

void PrintTo(const MicroPoint& point, std::ostream* out) { *out << point.id; }

namespace {

class PublishedTable : public ::testing::TestWithParam<MicroPoint> {};

TEST_P(PublishedTable, IsMetWithinTenPercent) {
  const MicroPoint& point = GetParam();
  Parameters parameters;
  std::string error;
  ASSERT_TRUE(ParametersOf("Ascend910B1", &parameters, &error)) << error;
  const double cycles = RunMicroPoint(point, parameters, &error);
  ASSERT_EQ(error, "");
  EXPECT_NEAR(cycles, point.published, 0.10 * point.published) << point.source;
}

std::string TestName(const ::testing::TestParamInfo<MicroPoint>& info) {
  std::string name = info.param.id;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Points, PublishedTable, ::testing::ValuesIn(MicroTable()), TestName);

TEST(MicroPoints, AreWhatTheReportTakes) {
  std::string error;
  const std::vector<CalibrationPoint> points = MicroPoints(&error);
  EXPECT_EQ(error, "");
  ASSERT_EQ(points.size(), MicroTable().size());
  for (const CalibrationPoint& point : points) EXPECT_TRUE(point.within_tolerance()) << point.id;
}

// The tables are in cycles: parts with another clock take the same number.
TEST(MicroPoints, CyclesDoNotDependOnTheClock) {
  std::string error;
  for (const MicroPoint& point : MicroTable()) {
    if (point.id != "vexp_f32/8" && point.id != "gm_ub_hit/64KiB") continue;
    for (const std::string& soc : KnownParts()) {
      Parameters parameters;
      ASSERT_TRUE(ParametersOf(soc, &parameters, &error)) << error;
      EXPECT_NEAR(RunMicroPoint(point, parameters, &error), point.published, 0.10 * point.published)
          << soc;
    }
  }
}

}  // namespace
}  // namespace vnpu
