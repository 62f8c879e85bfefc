// SPDX-License-Identifier: Apache-2.0
// Offsets of booked regions, and sizes that must not wrap.
#include "tiling/workspace_ledger.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"
#include "tiling/checked_math.h"

namespace ascend_attention {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(WorkspaceLedger, PutsRegionsOneAfterTheOtherOnTheirBoundary) {
  WorkspaceLedger ledger;
  const Region first = *ledger.Book("first", 3, ByteCount{100});
  const Region second = *ledger.Book("second", 1, ByteCount{1});
  const Region third = *ledger.Book("third", 2, ByteCount{8}, 64);
  EXPECT_EQ(first.begin.bytes, 0u);
  EXPECT_EQ(first.size.bytes, 300u);
  EXPECT_EQ(second.begin.bytes, 512u);
  EXPECT_EQ(third.begin.bytes, 576u);
  EXPECT_EQ(ledger.used().bytes, 592u);
}

TEST(WorkspaceLedger, NamesTheRegionThatDoesNotFit) {
  WorkspaceLedger ledger;
  ASSERT_TRUE(ledger.Book("plan", 1, ByteCount{512}).ok());
  const Status status = ledger.Book("partial_out", uint64_t{1} << 40, ByteCount{1 << 30}).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "workspace region partial_out: 1099511627776 x 1073741824 bytes after 512 bytes do "
            "not fit 2^63 bytes");
  EXPECT_FALSE(ledger.Book("huge", 1, ByteCount{uint64_t{1} << 63}).ok());
  EXPECT_EQ(ledger.used().bytes, 512u);  // a refused region is not booked
}

TEST(CheckedMath, RefusesWhatDoesNotFit) {
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), kMax - 0xffffffffu);
  EXPECT_FALSE(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32).has_value());
  EXPECT_FALSE(CheckedAdd(kMax, 1).has_value());
  EXPECT_EQ(CheckedAdd(kMax - 1, 1), kMax);
  EXPECT_EQ(CheckedProduct(0, kMax, kMax), 0u);
  EXPECT_FALSE(CheckedProduct(2, 3, kMax).has_value());
  EXPECT_FALSE(CheckedRoundUp(kMax, 512).has_value());
  EXPECT_EQ(CheckedRoundUp(513, 512), 1024u);
  EXPECT_EQ(CeilDiv(kMax, kMax), 1u);
  EXPECT_EQ(CeilDiv(kMax, 2), (kMax >> 1) + 1);
  EXPECT_EQ(RoundUp(0, 512), 0u);
}

}  // namespace
}  // namespace ascend_attention
