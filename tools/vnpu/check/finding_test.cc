// SPDX-License-Identifier: Apache-2.0
// What counts as the same finding.
#include "tools/vnpu/check/finding.h"

#include <gtest/gtest.h>

#include <string>

#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

constexpr char kLine12[] = "  at copy.h:12 (Copy)\n  at kernel.cce:40 (Run)\n";
constexpr char kLine13[] = "  at copy.h:13 (Copy)\n  at kernel.cce:40 (Run)\n";

Finding At(uintptr_t address, const std::string& frames) {
  Finding finding;
  finding.checker = "race";
  finding.kind = "missing-barrier";
  finding.headline = "missing barrier";
  finding.kernel = "kernel_0";
  finding.sites.push_back(Site{{0, CoreRole::kAiv0},
                               Pipe::kV,
                               VNPU_INSN_vadd,
                               7,
                               reinterpret_cast<const void*>(address),
                               "reads UB [0, 256)",
                               frames});
  return finding;
}

TEST(FindingList, CopiesOfALineAreOnePlace) {
  FindingList list;
  list.Report(At(1, kLine12));
  Finding again = At(2, kLine12);
  again.count = 3;
  list.Report(again);
  list.Report(At(2, ""));  // a repetition without its lines
  ASSERT_EQ(list.findings().size(), 1u);
  EXPECT_EQ(list.findings()[0].count, 5u);
  EXPECT_NE(FindingText(list.findings()[0]).find("met 5 times"), std::string::npos);
}

TEST(FindingList, LinesIntrinsicsAndKindsAreToldApart) {
  FindingList list;
  list.Report(At(1, kLine12));
  list.Report(At(2, kLine13));
  Finding other = At(1, kLine12);
  other.sites[0].insn = VNPU_INSN_vsub;
  list.Report(other);
  other = At(1, kLine12);
  other.kind = "write-after-read";
  list.Report(other);
  ASSERT_EQ(list.findings().size(), 4u);
  for (const Finding& finding : list.findings()) EXPECT_EQ(finding.count, 1u);
}

TEST(FindingList, WithoutLinesTheAddressIsThePlace) {
  FindingList list;
  list.Report(At(1, ""));
  list.Report(At(2, ""));
  list.Report(At(1, ""));
  ASSERT_EQ(list.findings().size(), 2u);
  EXPECT_EQ(list.findings()[0].count, 2u);
  EXPECT_EQ(list.findings()[1].count, 1u);
}

TEST(FindingList, TheLimitDoesNotDropRepetitions) {
  FindingList list(1);
  list.Report(At(1, kLine12));
  list.Report(At(2, kLine13));
  list.Report(At(3, kLine12));
  ASSERT_EQ(list.findings().size(), 1u);
  EXPECT_EQ(list.findings()[0].count, 2u);
  EXPECT_EQ(list.dropped(), 1u);
}

}  // namespace
}  // namespace vnpu
