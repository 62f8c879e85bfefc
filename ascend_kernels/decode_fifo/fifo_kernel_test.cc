// SPDX-License-Identifier: Apache-2.0
// decode_fifo on the virtual NPU, with nothing between plan and kernel but a launch:
// against every golden of the FIFO route under all checkers, its errors, and that no
// launch leaves anything for the next one. The inputs hold NaN wherever nothing is to be
// read: pages past the context, spare kv blocks; so do output and workspace.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/golden_cases.h"
#include "ascend_kernels/strict_checks.h"
#include "testdata/golden.h"

namespace ascend_attention {
namespace {

constexpr int32_t kLowest = std::numeric_limits<int32_t>::min();
constexpr int32_t kHighest = std::numeric_limits<int32_t>::max();

std::vector<DecodeCase> CasesOf(const std::string& list) {
  return testdata::ReadCaseFile("testdata/cases/" + list + ".txt");
}

void ExpectGolden(const Problem& problem, const DecodeCase& c) {
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", c.ToString());
  ASSERT_TRUE(golden.ok()) << golden.error;
  const testdata::GoldenReport report =
      testdata::Compare(golden, problem.out_values(), problem.result().lse);
  EXPECT_TRUE(report.ok) << c.ToString() << "\n" << report.text;
}

class EveryFifoGolden : public ::testing::TestWithParam<DecodeCase> {};

TEST_P(EveryFifoGolden, IsMetWithNoFinding) {
  const DecodeCase& c = GetParam();
  ASSERT_TRUE(c.ok()) << c.error;
  Problem problem(c);
  ASSERT_EQ(problem.plan().header().kv_route, KvRoute::kFifo);
  vnpu::Session session(&problem.device(), StrictChecks());
  problem.DescribeMemory();
  // Twice: what the first run leaves in the workspace must not matter.
  for (int run = 0; run < 2; ++run) {
    const vnpu::LaunchResult launch = problem.Launch();
    ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << c.ToString() << "\n" << launch.text;
    ExpectGolden(problem, c);
  }
  EXPECT_EQ(FindingsOf(session), "");
}
INSTANTIATE_TEST_SUITE_P(Cases, EveryFifoGolden, ::testing::ValuesIn(CasesOf("decode_fifo")),
                         CaseTestName);

// Larger ones, whose results Python compares with the reference.
class EveryWideCase : public ::testing::TestWithParam<DecodeCase> {};

TEST_P(EveryWideCase, IsCleanUnderTheCheckers) {
  ASSERT_TRUE(GetParam().ok()) << GetParam().error;
  Problem problem(GetParam());
  vnpu::Session session(&problem.device(), StrictChecks());
  problem.DescribeMemory();
  const vnpu::LaunchResult launch = problem.Launch();
  EXPECT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  EXPECT_EQ(FindingsOf(session), "");
}
INSTANTIATE_TEST_SUITE_P(Cases, EveryWideCase, ::testing::ValuesIn(CasesOf("decode_fifo_wide")),
                         CaseTestName);

// The older forms compute the same: in the order in which the virtual NPU happens to run
// them, a slot is read before it is overwritten (fifo_races_test.cc).
TEST(FifoHistory, OlderFormsMeetTheGoldens) {
  int cases = 0;
  for (const DecodeCase& c : CasesOf("decode_fifo")) {
    if (!c.bfloat16) continue;
    ++cases;
    for (const char* kernel : {"decode_fifo_baseline_bf16", "decode_fifo_prefetch_bf16"}) {
      Problem problem(c, /*host_threads=*/0, kernel);
      const vnpu::LaunchResult launch = problem.Launch();
      ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << kernel << "\n" << launch.text;
      ExpectGolden(problem, c);
    }
  }
  EXPECT_GE(cases, 5);
}

// --- equal bits --------------------------------------------------------------------

// Pages per block that no period and no depth of a FIFO divides.
const char kRagged[] =
    "decode:b9:h16:kv1:d128:bs128:ctx100,1,700,0,260,1100,128,129,400:bf16:cores4:route-fifo:"
    "outf32:seed5";

Result ResultOf(const std::string& line, uint32_t host_threads = 0) {
  const DecodeCase c = testdata::ParseCase(line);
  EXPECT_TRUE(c.ok()) << line << ": " << c.error;
  Problem problem(c, host_threads);
  const vnpu::LaunchResult launch = problem.Launch();
  EXPECT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  return problem.result();
}

void ExpectSame(const Result& a, const Result& b, const std::string& where) {
  EXPECT_EQ(a.out, b.out) << where;
  EXPECT_EQ(a.lse, b.lse) << where;
}

// A credit that one launch left would let the next one's first tiles overtake.
TEST(FifoKernel, TwentyLaunchesInARowAreEqualBitForBit) {
  for (const std::string line :
       {kRagged, "decode:b5:h70:kv1:d128:bs64:ctx300,0,65,700,64:f16:cores3:route-fifo:seed5"}) {
    Problem problem(testdata::ParseCase(line));
    vnpu::Session session(&problem.device(), StrictChecks());
    problem.DescribeMemory();
    Result first;
    for (int run = 0; run < 20; ++run) {
      const vnpu::LaunchResult launch = problem.Launch();
      ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
      if (run == 0) first = problem.result();
      ExpectSame(problem.result(), first, std::to_string(run));
    }
    EXPECT_EQ(FindingsOf(session), "");
  }
}

TEST(FifoKernel, HostThreadsDoNotChangeABit) {
  const Result one = ResultOf(kRagged, 1);
  for (const uint32_t threads : {2u, 4u}) {
    ExpectSame(ResultOf(kRagged, threads), one, std::to_string(threads));
  }
}

TEST(FifoKernel, CoresDoNotChangeABit) {
  const std::string line = "decode:b5:h40:kv2:d128:bs64:ctx200,0,65,1,500:f16:";
  const Result one = ResultOf(line + "cores1:route-fifo:seed6");
  for (const char* cores : {"cores2:", "cores7:", "cores20:", "cores24:", ""}) {
    ExpectSame(ResultOf(line + cores + "route-fifo:seed6"), one, cores);
  }
}

TEST(FifoKernel, LayoutsOfACacheDoNotChangeABit) {
  const std::string line = "decode:b3:h8:kv2:d128:bs128:ctx1,129,600:bf16:";
  const Result dense = ResultOf(line + "route-fifo:seed6");
  for (const char* layout : {"headmajor:", "interleaved:", "headmajor:interleaved:"}) {
    ExpectSame(ResultOf(line + layout + "route-fifo:seed6"), dense, layout);
  }
}

// A sequence alone, and as the first of several.
TEST(FifoKernel, TheBatchDoesNotChangeABit) {
  const Result alone = ResultOf("decode:b1:h4:kv1:d128:bs64:ctx700:f16:route-fifo:seed61");
  Result result =
      ResultOf("decode:b5:h4:kv1:d128:bs64:ctx700,0,64,2000,1:f16:cores2:route-fifo:seed61");
  result.out.resize(alone.out.size());
  result.lse.resize(alone.lse.size());
  ExpectSame(result, alone, "first of five");
}

TEST(FifoKernel, LeavesLseAloneWhenItIsNotWanted) {
  Problem problem(testdata::ParseCase(kRagged));
  ASSERT_EQ(problem.Launch(/*flags=*/0).fault, vnpu::FaultKind::kNone);
  for (const float lse : problem.result().lse) {
    uint32_t bits;
    std::memcpy(&bits, &lse, sizeof(bits));
    EXPECT_EQ(bits, 0xffffffffu);
  }
}

// --- addresses ----------------------------------------------------------------------

// Offsets beyond 2^31 and 2^32 elements, beyond 2^32 bytes, and that 32 bits would wrap
// to those of other pages.
TEST(FifoKernel, PagesBeyondFourGibibytesAreFound) {
  const DecodeCase c =
      testdata::ParseCase("decode:b2:h8:kv8:d128:bs128:ctx17,150:bf16:route-fifo:outf32:seed72");
  const auto num_kv_blocks = static_cast<uint32_t>(testdata::MakeInputs(c).num_kv_blocks);
  constexpr uint64_t kStride = uint64_t{1} << 24;
  const std::vector<int32_t> far = {256, 128, 300, 127, 129, 257, 383, 0, 1, 2, 3, 4, 5, 6};
  ASSERT_LE(num_kv_blocks, far.size());
  ASSERT_GE(num_kv_blocks, 3u);
  Problem problem(c);
  problem.SpreadKvBlocks(384, kStride, {far.begin(), far.begin() + num_kv_blocks});
  const vnpu::LaunchResult launch = problem.Launch();
  ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  ExpectGolden(problem, c);
}

// --- errors -------------------------------------------------------------------------

std::vector<ErrorRecord> RecordsOf(Problem& problem, ErrorCode code) {
  const DecodePlanHeader& header = problem.plan().header();
  std::vector<ErrorRecord> records;
  for (uint32_t core = 0; core < header.num_cores; ++core) {
    ErrorRecord record;
    std::memcpy(&record,
                problem.workspace() + header.error_records.begin.bytes + core * sizeof(record),
                sizeof(record));
    if (record.code == static_cast<uint32_t>(code)) records.push_back(record);
  }
  return records;
}

class BadFifoBlockId : public ::testing::TestWithParam<int32_t> {};

TEST_P(BadFifoBlockId, StopsTheLaunchWithARecordOfRowAndColumn) {
  const DecodeCase c = testdata::ParseCase(kRagged);
  Problem problem(c);
  const uint32_t limit = problem.plan().header().num_kv_blocks;
  const int32_t id = GetParam() == kHighest ? static_cast<int32_t>(limit) : GetParam();
  constexpr int64_t kRow = 5, kColumn = 7;
  problem.block_table()[kRow * c.max_kv_blocks() + kColumn] = id;
  const vnpu::LaunchResult launch = problem.Launch();
  EXPECT_EQ(launch.fault, vnpu::FaultKind::kTrap) << launch.text;
  const std::vector<ErrorRecord> records = RecordsOf(problem, ErrorCode::kKvBlockOutOfRange);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].core, kRow % 4);
  EXPECT_EQ(records[0].row, kRow);
  EXPECT_EQ(records[0].index, kColumn);
  EXPECT_EQ(records[0].value, id);
  EXPECT_EQ(records[0].limit, limit);
}
// kHighest: the number of kv blocks itself.
INSTANTIATE_TEST_SUITE_P(Ids, BadFifoBlockId, ::testing::Values(-1, kLowest, 1 << 20, kHighest));

TEST(FifoKernel, BlockTablesAreReadUpToTheLastPage) {
  const DecodeCase c = testdata::ParseCase(kRagged);
  Problem problem(c);
  ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  const Result first = problem.result();
  const int64_t columns = c.max_kv_blocks();
  for (size_t row = 0; row < c.context_lens.size(); ++row) {
    const int64_t pages = (c.context_lens[row] + c.kv_block_size - 1) / c.kv_block_size;
    for (int64_t column = pages; column < columns; ++column) {
      problem.block_table()[static_cast<int64_t>(row) * columns + column] = kLowest;
    }
  }
  const vnpu::LaunchResult launch = problem.Launch();
  ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  ExpectSame(problem.result(), first, "");
}

int32_t* LengthsOf(Problem& problem) {
  return reinterpret_cast<int32_t*>(problem.workspace() +
                                    problem.plan().header().context_lens.bytes);
}

class BadFifoLength : public ::testing::TestWithParam<int32_t> {};

TEST_P(BadFifoLength, StopsTheLaunchWithARecordOfTheSequence) {
  const DecodeCase c = testdata::ParseCase(kRagged);
  Problem problem(c);
  const auto limit = static_cast<int32_t>(c.max_kv_blocks() * c.kv_block_size + 1);
  const int32_t length = GetParam() == 0 ? limit : GetParam();
  constexpr int64_t kSequence = 6;
  LengthsOf(problem)[kSequence] = length;
  const vnpu::LaunchResult launch = problem.Launch();
  EXPECT_EQ(launch.fault, vnpu::FaultKind::kTrap) << launch.text;
  const std::vector<ErrorRecord> records = RecordsOf(problem, ErrorCode::kLengthOutOfRange);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].core, kSequence % 4);
  EXPECT_EQ(records[0].row, kSequence);
  EXPECT_EQ(records[0].value, length);
  EXPECT_EQ(records[0].limit, limit);
}
// 0: the first length that the block table has no columns for.
INSTANTIATE_TEST_SUITE_P(Lengths, BadFifoLength, ::testing::Values(-1, kLowest, kHighest, 0));

TEST(FifoKernel, LengthsAreThoseInTheWorkspaceAtTheLaunch) {
  const std::string line = "decode:b2:h4:kv1:d128:bs64:ctx700,500:f16:route-fifo:";
  Problem problem(testdata::ParseCase(line + "fulltable:seed62"));
  ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  const Result first = problem.result();
  LengthsOf(problem)[0] = 130;
  ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  const Result shorter = problem.result();
  EXPECT_NE(shorter.lse[0], first.lse[0]);
  EXPECT_EQ(shorter.lse[4], first.lse[4]);
  LengthsOf(problem)[0] = 700;
  ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  ExpectSame(problem.result(), first, "as planned again");
}

TEST(FifoKernel, TrapsOnPlansThatAreNotItsOwn) {
  const auto traps_with = [](void (*change)(DecodePlanHeader*)) {
    Problem problem(testdata::ParseCase(kRagged));
    DecodePlanHeader header = problem.plan().header();
    change(&header);
    std::memcpy(problem.workspace(), &header, sizeof(header));
    return problem.Launch().fault == vnpu::FaultKind::kTrap;
  };
  EXPECT_FALSE(traps_with([](DecodePlanHeader*) {}));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->abi_version += 1; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_route = KvRoute::kAuto; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->dtype = DType::kFloat16; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_block_size = 32; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_block_size = 256; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->head_dim = 64; }));
}

}  // namespace
}  // namespace ascend_attention
