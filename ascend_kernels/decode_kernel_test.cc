// SPDX-License-Identifier: Apache-2.0
// The decode kernels on the virtual NPU against every golden, with nothing
// between plan and kernel but a launch: output and workspace start as NaN, every
// buffer is exactly as long as it must be.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/golden_cases.h"
#include "testdata/golden.h"

namespace ascend_attention {
namespace {

class EveryGolden : public ::testing::TestWithParam<DecodeCase> {};

TEST_P(EveryGolden, IsMetWithinItsTolerance) {
  const DecodeCase& c = GetParam();
  ASSERT_TRUE(c.ok()) << c.error;
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", c.ToString());
  ASSERT_TRUE(golden.ok()) << golden.error;
  Problem problem(c);
  const vnpu::LaunchResult launch = problem.Launch();
  ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  const Result result = problem.result();
  std::vector<float> out(result.out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = testdata::ToFloat(result.out[i], c.bfloat16);
  const testdata::GoldenReport report = testdata::Compare(golden, out, result.lse);
  EXPECT_TRUE(report.ok) << c.ToString() << "\n" << report.text;
}

INSTANTIATE_TEST_SUITE_P(Cases, EveryGolden, ::testing::ValuesIn(GoldenCases()), CaseTestName);

const char kRagged[] = "decode:b6:h8:kv2:d128:bs32:ctx0,1,700,3000,33,2048:f16:cores7:seed5";

TEST(DecodeKernel, RepeatedRunsAreEqualBitForBit) {
  Problem problem(testdata::ParseCase(kRagged));
  ASSERT_TRUE(problem.plan().has_splits());
  ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  const Result first = problem.result();
  for (int run = 0; run < 3; ++run) {
    ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
    EXPECT_EQ(problem.result().out, first.out);
    EXPECT_EQ(problem.result().lse, first.lse);
  }
}

TEST(DecodeKernel, HostThreadsDoNotChangeABit) {
  Problem one(testdata::ParseCase(kRagged), 1);
  Problem four(testdata::ParseCase(kRagged), 4);
  ASSERT_EQ(one.Launch().fault, vnpu::FaultKind::kNone);
  ASSERT_EQ(four.Launch().fault, vnpu::FaultKind::kNone);
  EXPECT_EQ(one.result().out, four.result().out);
  EXPECT_EQ(one.result().lse, four.result().lse);
}

Result ResultOf(const std::string& line) {
  const DecodeCase c = testdata::ParseCase(line);
  EXPECT_TRUE(c.ok()) << line << ": " << c.error;
  Problem problem(c);
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone) << line;
  return problem.result();
}

TEST(DecodeKernel, LayoutsOfACacheDoNotChangeABit) {
  const std::string line = "decode:b3:h8:kv2:d128:bs128:ctx1,129,600:f16:";
  const Result dense = ResultOf(line + "seed40");
  for (const char* layout : {"headmajor:", "interleaved:", "headmajor:interleaved:"}) {
    const Result result = ResultOf(line + layout + "seed40");
    EXPECT_EQ(result.out, dense.out) << layout;
    EXPECT_EQ(result.lse, dense.lse) << layout;
  }
}

// A16, with fixed_split_tokens.
TEST(DecodeKernel, CoresDoNotChangeABitOfAFixedSplit) {
  const std::string line = "decode:b3:h8:kv2:d64:bs64:ctx1,1000,2500:f16:";
  const Result one = ResultOf(line + "cores1:split512:seed60");
  for (const char* cores : {"cores7:", "cores20:", "cores25:"}) {
    const Result result = ResultOf(line + cores + "split512:seed60");
    EXPECT_EQ(result.out, one.out) << cores;
    EXPECT_EQ(result.lse, one.lse) << cores;
  }
}

// A16: a sequence alone, and as the first of more and more.
TEST(DecodeKernel, TheBatchDoesNotChangeABitOfAFixedSplit) {
  const Result alone = ResultOf("decode:b1:h4:kv1:d128:bs128:ctx2000:f16:split512:seed61");
  for (const char* line :
       {"decode:b2:h4:kv1:d128:bs128:ctx2000,5000:f16:split512:seed61",
        "decode:b9:h4:kv1:d128:bs128:ctx2000,0,1,511,512,513,1024,100,3000:f16:split512:seed61"}) {
    Result result = ResultOf(line);
    result.out.resize(alone.out.size());
    result.lse.resize(alone.lse.size());
    EXPECT_EQ(result.out, alone.out) << line;
    EXPECT_EQ(result.lse, alone.lse) << line;
  }
}

TEST(DecodeKernel, LeavesLseAloneWhenItIsNotWanted) {
  Problem problem(testdata::ParseCase(kRagged));
  ASSERT_EQ(problem.Launch(/*flags=*/0).fault, vnpu::FaultKind::kNone);
  for (const float lse : problem.result().lse) {
    uint32_t bits;
    std::memcpy(&bits, &lse, sizeof(bits));
    EXPECT_EQ(bits, 0xffffffffu);
  }
}

class BadBlockId : public ::testing::TestWithParam<int32_t> {};

TEST_P(BadBlockId, StopsTheLaunchWithARecordOfRowAndColumn) {
  const DecodeCase c = testdata::ParseCase(kRagged);
  Problem problem(c);
  const int64_t columns = c.max_kv_blocks();
  problem.block_table()[3 * columns + 17] = GetParam();
  const vnpu::LaunchResult result = problem.Launch();
  EXPECT_EQ(result.fault, vnpu::FaultKind::kTrap) << result.text;
  const DecodePlanHeader& header = problem.plan().header();
  int records = 0;
  for (uint32_t core = 0; core < header.num_cores; ++core) {
    ErrorRecord record;
    std::memcpy(&record,
                problem.workspace() + header.error_records.begin.bytes + core * sizeof(record),
                sizeof(record));
    if (record.code != static_cast<uint32_t>(ErrorCode::kKvBlockOutOfRange)) continue;
    ++records;
    EXPECT_EQ(record.core, core);
    EXPECT_EQ(record.row, 3);
    EXPECT_EQ(record.index, 17);
    EXPECT_EQ(record.value, GetParam());
    EXPECT_EQ(record.limit, header.num_kv_blocks);
  }
  EXPECT_EQ(records, 1);
}
INSTANTIATE_TEST_SUITE_P(Ids, BadBlockId,
                         ::testing::Values(-1, 1 << 20, std::numeric_limits<int32_t>::min()));

TEST(DecodeKernel, TrapsOnTilesThatDoNotFitItsBuffers) {
  const auto traps_with = [](void (*enlarge)(DecodePlanHeader*)) {
    Problem problem(testdata::ParseCase(kRagged));
    DecodePlanHeader header = problem.plan().header();
    enlarge(&header);
    std::memcpy(problem.workspace(), &header, sizeof(header));
    return problem.Launch().fault == vnpu::FaultKind::kTrap;
  };
  EXPECT_FALSE(traps_with([](DecodePlanHeader*) {}));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 1024; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 100; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 0; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 16; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 100; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 144; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->head_dim = 1024; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_heads_per_group = 64; }));
}

TEST(DecodeKernel, TrapsOnAPlanOfAnotherDtype) {
  Problem problem(testdata::ParseCase(kRagged));
  DecodePlanHeader header = problem.plan().header();
  header.dtype = DType::kBFloat16;
  std::memcpy(problem.workspace(), &header, sizeof(header));
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kTrap);
}

TEST(DecodeKernel, TrapsOnAPlanOfAnotherVersion) {
  Problem problem(testdata::ParseCase(kRagged));
  DecodePlanHeader header = problem.plan().header();
  header.abi_version += 1;
  std::memcpy(problem.workspace(), &header, sizeof(header));
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kTrap);
}

}  // namespace
}  // namespace ascend_attention
