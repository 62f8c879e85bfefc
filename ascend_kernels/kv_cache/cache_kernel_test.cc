// SPDX-License-Identifier: Apache-2.0
// reshape_and_cache under all checkers, against plain loops: every scheme, layout
// and dtype, ragged heads and head dims, values at the ends, bad slots.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "ascend_kernels/kv_cache/cache_problem.h"
#include "ascend_kernels/strict_checks.h"

namespace ascend_attention {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void ExpectCleanAndRight(CacheProblem* problem) {
  vnpu::Session session(&problem->device(), StrictChecks());
  problem->DescribeMemory();
  const vnpu::LaunchResult launch = problem->Launch();
  ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  EXPECT_EQ(FindingsOf(session), "");
  problem->ExpectRight();
}

void ExpectCleanAndRight(const CacheCase& c) {
  SCOPED_TRACE(Text(c));
  CacheProblem problem(c);
  ExpectCleanAndRight(&problem);
}

using SchemeCase = std::tuple<KvQuant, Layout, bool>;
class EveryScheme : public ::testing::TestWithParam<SchemeCase> {
 protected:
  static CacheCase Case() {
    CacheCase c;
    std::tie(c.kv_quant, c.layout, c.bfloat16) = GetParam();
    return c;
  }
};

TEST_P(EveryScheme, WritesManySlabsOfDenseRows) {
  CacheCase c = Case();
  c.num_tokens = 83;
  c.num_kv_heads = 8;
  c.head_dim = 128;
  c.kv_block_size = 32;
  c.num_blocks = 3;
  ExpectCleanAndRight(c);
}

TEST_P(EveryScheme, WritesHeadGroupsOfSlicesOfQkv) {
  CacheCase c = Case();
  c.num_tokens = 13;
  c.num_kv_heads = 37;  // groups of 10, the last of 7; rows of 192 lanes
  c.head_dim = 192;
  c.qkv_gap = 2 * 37 * 192 + 3;
  c.num_blocks = 2;
  ExpectCleanAndRight(c);
}

TEST_P(EveryScheme, WritesRowsThatAreNoMultipleOf64Lanes) {
  for (const int64_t heads : {1, 3, 5}) {
    CacheCase c = Case();
    c.num_tokens = 40;
    c.num_kv_heads = heads;
    c.head_dim = 96;
    c.qkv_gap = 1;
    ExpectCleanAndRight(c);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, EveryScheme,
    ::testing::Combine(::testing::Values(KvQuant::kNone, KvQuant::kInt8Channel,
                                         KvQuant::kInt8ChannelAsym, KvQuant::kInt8Token),
                       ::testing::Values(Layout::kTokenMajor, Layout::kHeadMajor,
                                         Layout::kInterleaved, Layout::kPadded),
                       ::testing::Bool()));

class EverySize : public ::testing::TestWithParam<std::tuple<KvQuant, int64_t, int64_t>> {};

TEST_P(EverySize, IsWritten) {
  CacheCase c;
  std::tie(c.kv_quant, c.head_dim, c.num_kv_heads) = GetParam();
  c.num_tokens = 29;
  c.bfloat16 = c.num_kv_heads % 2 != 0;
  c.qkv_gap = 8;
  ExpectCleanAndRight(c);
}
INSTANTIATE_TEST_SUITE_P(All, EverySize,
                         ::testing::Combine(::testing::Values(KvQuant::kNone,
                                                              KvQuant::kInt8ChannelAsym,
                                                              KvQuant::kInt8Token),
                                            ::testing::Values(64, 96, 128, 192, 256),
                                            ::testing::Values(1, 3, 5, 8, 32)));

class EveryQuant : public ::testing::TestWithParam<KvQuant> {
 protected:
  static CacheCase Case() {
    CacheCase c;
    c.kv_quant = GetParam();
    c.num_kv_heads = 2;
    c.num_tokens = 6;
    return c;
  }
};

TEST_P(EveryQuant, WritesNothingWithoutTokens) {
  CacheCase c = Case();
  c.num_tokens = 0;
  ExpectCleanAndRight(c);
}

TEST_P(EveryQuant, WritesNothingWhenAllTokensAreSkipped) {
  CacheCase c = Case();
  c.slots = {-1, -2, std::numeric_limits<int64_t>::min(), -1, -1, -1};
  ExpectCleanAndRight(c);
}

TEST_P(EveryQuant, WritesTheFirstAndTheLastSlotOfBlocks) {
  CacheCase c = Case();
  c.slots = {0, 15, 16, 31, 48, 63};
  ExpectCleanAndRight(c);
}

TEST_P(EveryQuant, MoreVectorCoresThanTokens) {
  CacheCase c = Case();
  c.num_blocks = 48;
  ExpectCleanAndRight(c);
}

TEST_P(EveryQuant, RoundsSaturatesAndKeepsNanAway) {
  for (const bool bfloat16 : {false, true}) {
    CacheCase c = Case();
    c.bfloat16 = bfloat16;
    CacheProblem problem(c);
    const int64_t row = c.num_kv_heads * c.head_dim;
    const auto set = [&](int64_t token, int64_t d, float value) {
      problem.key()[static_cast<size_t>(token * row + d)] = problem.Bits(value);
      problem.value()[static_cast<size_t>(token * row + d)] = problem.Bits(-value);
    };
    for (int64_t d = 0; d < 2 * c.head_dim; ++d) set(0, d, 0.0f);
    for (int64_t d = 0; d < c.head_dim; ++d) set(1, d, static_cast<float>(d) - 32.0f);
    set(1, 5, 127.0f * 4);  // scale 4: halves of integers are ties
    set(2, 3, kInfinity);
    set(2, 70, -kInfinity);
    set(3, 9, kNan);
    set(3, 80, kNan);
    set(3, 81, 3e4f);
    set(5, 0, 1e-7f);  // subnormal in half
    for (size_t d = 0; d < problem.key_scale().size() && c.kv_quant != KvQuant::kInt8Token; ++d) {
      problem.key_scale()[d] = d % 3 == 0 ? 2.0f : 0.001f;  // ties; saturation
    }
    problem.UploadAgain();
    SCOPED_TRACE(Text(c));
    ExpectCleanAndRight(&problem);
  }
}

TEST_P(EveryQuant, ASlotOutsideTheCacheStopsTheLaunchWithARecord) {
  for (const int64_t slot : {int64_t{64}, std::numeric_limits<int64_t>::max()}) {
    CacheCase c = Case();
    c.slots = {0, 1, 2, 3, slot, 5};
    CacheProblem problem(c);
    const vnpu::LaunchResult launch = problem.Launch();
    EXPECT_EQ(launch.fault, vnpu::FaultKind::kTrap) << launch.text;
    int records = 0;
    for (uint32_t core = 0; core < c.num_blocks; ++core) {
      const CacheWriteError error = problem.error(core);
      if (error.found == 0) continue;
      ++records;
      EXPECT_EQ(error.found, 1u);
      EXPECT_EQ(error.token, 4);
      EXPECT_EQ(error.slot, slot);
      EXPECT_EQ(error.num_slots, 64);
    }
    EXPECT_EQ(records, 1);
  }
}

TEST_P(EveryQuant, TrapsOnHeadsThatItsBuffersAreNotMadeFor) {
  for (const int64_t head_dim : {32, 80, 4096}) {
    CacheCase c = Case();
    c.head_dim = head_dim;
    CacheProblem problem(c);
    EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kTrap) << head_dim;
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryQuant,
                         ::testing::Values(KvQuant::kNone, KvQuant::kInt8Channel,
                                           KvQuant::kInt8ChannelAsym, KvQuant::kInt8Token));

}  // namespace
}  // namespace ascend_attention
