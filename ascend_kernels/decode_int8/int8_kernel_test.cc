// SPDX-License-Identifier: Apache-2.0
// The int8 decode kernels on the virtual NPU against every int8 golden, under all
// checkers, with nothing between plan and kernel but a launch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/golden_cases.h"
#include "ascend_kernels/strict_checks.h"
#include "testdata/golden.h"

namespace ascend_attention {
namespace {

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
  vnpu::Session session(&problem.device(), StrictChecks());
  problem.DescribeMemory();
  const vnpu::LaunchResult launch = problem.Launch();
  EXPECT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  EXPECT_EQ(FindingsOf(session), "");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, EveryInt8Golden,
    ::testing::ValuesIn(testdata::ReadCaseFile("testdata/cases/decode_int8.txt")), CaseTestName);

// Norm of the error of a row over that of the row, the largest of all rows.
double RelativeError(const std::string& line) {
  const DecodeCase c = testdata::ParseCase(line);
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", line);
  EXPECT_TRUE(golden.ok()) << golden.error;
  Problem problem(c);
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  const Result result = problem.result();
  const auto head_dim = static_cast<size_t>(c.head_dim);
  double largest = 0;
  for (size_t row = 0; row < result.out.size() / head_dim; ++row) {
    double error = 0;
    double norm = 0;
    for (size_t i = row * head_dim; i < (row + 1) * head_dim; ++i) {
      const double exact = golden.out.values[i];
      error += std::pow(testdata::ToFloat(result.out[i], c.bfloat16) - exact, 2);
      norm += exact * exact;
    }
    if (norm != 0) largest = std::max(largest, std::sqrt(error / norm));
  }
  return largest;
}

// README.md states these. The exact result is that of the dequantised cache in
// float64; rounding fp16 outputs alone gives up to 2.8e-4 (2^-11 / sqrt(3)).
TEST(Int8Kernel, LimbsErrorsAreThoseOfTheOutputsRounding) {
  const std::string shape = "decode:b3:h8:kv2:d128:bs128:ctx1,129,600:f16:";
  EXPECT_LT(RelativeError(shape + "kvint8-channel:route-limbs:seed50"), 3e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-channel-asym:route-limbs:seed50"), 3e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-token:route-limbs:seed50"), 3e-4);
}

TEST(Int8Kernel, DequantErrorsAreAFewRoundingsOf16Bits) {
  const std::string shape = "decode:b3:h8:kv2:d128:bs128:ctx1,129,600:f16:";
  EXPECT_LT(RelativeError(shape + "kvint8-channel:route-dequant:seed50"), 6e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-channel-asym:route-dequant:seed50"), 6e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-token:route-dequant:seed50"), 6e-4);
}

TEST(Int8Kernel, OutliersInKeysCostNothing) {
  const std::string shape = "decode:b2:h8:kv2:d128:bs128:ctx100,513:f16:";
  EXPECT_LT(RelativeError(shape + "kvint8-channel:route-limbs:outliers:seed54"), 3e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-token:route-limbs:outliers:seed54"), 3e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-channel:route-dequant:outliers:seed54"), 6e-4);
  EXPECT_LT(RelativeError(shape + "kvint8-token:route-dequant:outliers:seed54"), 6e-4);
}

class EveryRoute : public ::testing::TestWithParam<const char*> {
 protected:
  static DecodeCase Ragged() {
    return testdata::ParseCase(
        std::string("decode:b6:h8:kv2:d128:bs32:ctx0,1,700,3000,33,2048:f16:cores7:kvint8-token:") +
        GetParam() + ":seed5");
  }
};

TEST_P(EveryRoute, RunsAndHostThreadsAreEqualBitForBit) {
  Problem one(Ragged(), 1);
  Problem four(Ragged(), 4);
  ASSERT_TRUE(one.plan().has_splits());
  ASSERT_EQ(one.Launch().fault, vnpu::FaultKind::kNone);
  const Result first = one.result();
  ASSERT_EQ(one.Launch().fault, vnpu::FaultKind::kNone);
  ASSERT_EQ(four.Launch().fault, vnpu::FaultKind::kNone);
  EXPECT_EQ(one.result().out, first.out);
  EXPECT_EQ(one.result().lse, first.lse);
  EXPECT_EQ(four.result().out, first.out);
  EXPECT_EQ(four.result().lse, first.lse);
}

TEST_P(EveryRoute, LeavesLseAloneWhenItIsNotWanted) {
  Problem problem(Ragged());
  ASSERT_EQ(problem.Launch(/*flags=*/0).fault, vnpu::FaultKind::kNone);
  for (const float lse : problem.result().lse) {
    uint32_t bits;
    std::memcpy(&bits, &lse, sizeof(bits));
    EXPECT_EQ(bits, 0xffffffffu);
  }
}

// The vector cores read the cache or its scales too, and may be first.
TEST_P(EveryRoute, ABadBlockIdStopsTheLaunchWithARecord) {
  const DecodeCase c = Ragged();
  for (const int32_t id : {-1, 1 << 20}) {
    Problem problem(c);
    problem.block_table()[3 * c.max_kv_blocks() + 17] = id;
    ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kTrap);
    const DecodePlanHeader& header = problem.plan().header();
    int records = 0;
    for (uint32_t core = 0; core < header.num_cores; ++core) {
      ErrorRecord record;
      std::memcpy(&record,
                  problem.workspace() + header.error_records.begin.bytes + core * sizeof(record),
                  sizeof(record));
      if (record.code != static_cast<uint32_t>(ErrorCode::kKvBlockOutOfRange)) continue;
      ++records;
      EXPECT_EQ(record.row, 3);
      EXPECT_EQ(record.index, 17);
      EXPECT_EQ(record.value, id);
    }
    EXPECT_EQ(records, 1);
  }
}

TEST_P(EveryRoute, TrapsOnAPlanThatIsNotItsOwn) {
  const auto traps_with = [](void (*change)(DecodePlanHeader*)) {
    Problem problem(Ragged());
    DecodePlanHeader header = problem.plan().header();
    change(&header);
    std::memcpy(problem.workspace(), &header, sizeof(header));
    return problem.Launch().fault == vnpu::FaultKind::kTrap;
  };
  EXPECT_FALSE(traps_with([](DecodePlanHeader*) {}));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_route = KvRoute::kDirect; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_quant = KvQuant::kNone; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->operand_limbs = 3 - h->operand_limbs; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->dtype = DType::kBFloat16; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 1024; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 16; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->q_tokens_per_item = 2; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->head_dim = 80; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->head_dim = 1024; }));
}

INSTANTIATE_TEST_SUITE_P(Routes, EveryRoute, ::testing::Values("route-limbs", "route-dequant"));

}  // namespace
}  // namespace ascend_attention
