// SPDX-License-Identifier: Apache-2.0
// The model stands where baseline.txt says: it is deterministic, so a changed
// figure is a changed model and must be a conscious one. After such a change:
//
//   ./bazelw run //tools/vnpu/timing:calibration -- --baseline \
//       > tools/vnpu/timing/calibration/baseline.txt
//
// A point that was within tolerance and no longer is fails with or without it.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tools/vnpu/timing/calibration/points.h"

namespace vnpu {
namespace calibration {
namespace {

constexpr char kBaseline[] = "tools/vnpu/timing/calibration/baseline.txt";

const std::vector<ReportPoint>& Points() {
  static const auto* const points = new std::vector<ReportPoint>(RunPoints(""));
  return *points;
}

// Lines by their first word.
std::map<std::string, std::string> ById(std::istream& lines) {
  std::map<std::string, std::string> by_id;
  for (std::string line; std::getline(lines, line);) {
    by_id[line.substr(0, line.find(' '))] = line;
  }
  return by_id;
}

TEST(CalibrationTest, IsTheBaseline) {
  std::ifstream file(kBaseline);
  ASSERT_TRUE(file.good()) << kBaseline;
  std::istringstream now_text(BaselineText(Points()));
  EXPECT_EQ(ById(now_text), ById(file))
      << "the model has changed: see the top of calibration_test.cc";
}

// What a user may rely on, whatever the baseline says.
TEST(CalibrationTest, MeetsWhatItMust) {
  const std::vector<std::string> must = {"P1/", "P2/", "P3/", "P4/", "P5/", "P6/", "P7/", "P19/"};
  std::map<std::string, int> met;
  for (const ReportPoint& p : Points()) {
    for (const std::string& prefix : must) {
      if (p.point.id.rfind(prefix, 0) != 0) continue;
      ++met[prefix];
      EXPECT_TRUE(p.within()) << p.point.id << ": modelled " << p.point.modelled << ", allowed "
                              << p.low << " .. " << p.high;
    }
  }
  for (const std::string& prefix : must) EXPECT_GE(met[prefix], 1) << prefix;
  EXPECT_GE(met["P1/"], 50);
}

TEST(CalibrationTest, IdsAreUnique) {
  std::map<std::string, int> count;
  for (const ReportPoint& p : Points()) ++count[p.point.id];
  for (const auto& [id, times] : count) EXPECT_EQ(times, 1) << id;
  EXPECT_GE(count.size(), 15u);
}

TEST(CalibrationTest, SomePointsAreHeldOut) {
  int held_out = 0;
  for (const ReportPoint& p : Points()) held_out += p.kind == Kind::kHeldOut ? 1 : 0;
  EXPECT_GE(held_out, 8);
}

TEST(CalibrationTest, UnknownGroupHasNoPoints) { EXPECT_TRUE(RunPoints("no such group").empty()); }

}  // namespace
}  // namespace calibration
}  // namespace vnpu
