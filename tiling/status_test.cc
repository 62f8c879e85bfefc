// SPDX-License-Identifier: Apache-2.0
// Status and StatusOr: messages, codes, the macros.
#include "tiling/status.h"

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace ascend_attention {
namespace {

StatusOr<int> Half(int value) {
  if (value % 2 != 0) return InvalidArgument("value = ", value, " is odd");
  return value / 2;
}

StatusOr<int> Quarter(int value) {
  AA_ASSIGN_OR_RETURN(const int half, Half(value));
  AA_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckQuarter(int value) {
  AA_RETURN_IF_ERROR(Quarter(value).status());
  return OkStatus();
}

TEST(Status, JoinsTextNumbersAndTruthValues) {
  const Status status = OutOfRange("row ", 3, " of ", std::string("table"), " = ", -1, " ", true);
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(status.message(), "row 3 of table = -1 true");
  EXPECT_EQ(status.ToString(), "OUT_OF_RANGE: row 3 of table = -1 true");
}

TEST(Status, EachConstructorHasItsCode) {
  EXPECT_EQ(InvalidArgument("").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FailedPrecondition("").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ResourceExhausted("").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Unimplemented("").code(), StatusCode::kUnimplemented);
  EXPECT_EQ(Internal("").code(), StatusCode::kInternal);
  EXPECT_TRUE(OkStatus().ok());
  EXPECT_EQ(OkStatus().ToString(), "OK");
}

TEST(StatusOr, CarriesAValueOrTheReason) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_TRUE(Quarter(12).status().ok());
  EXPECT_EQ(Quarter(6).status().message(), "value = 3 is odd");
  EXPECT_FALSE(CheckQuarter(5).ok());
  EXPECT_TRUE(CheckQuarter(4).ok());
}

TEST(StatusOr, HoldsMoveOnlyValues) {
  StatusOr<std::unique_ptr<int>> made = std::make_unique<int>(7);
  ASSERT_TRUE(made.ok());
  const std::unique_ptr<int> taken = *std::move(made);
  EXPECT_EQ(*taken, 7);
}

TEST(StatusOr, AnOkStatusIsNotAValue) {
  const StatusOr<int> wrong = OkStatus();
  EXPECT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.status().code(), StatusCode::kInternal);
}

TEST(StatusOrDeathTest, ReadingAnErrorAborts) { EXPECT_DEATH((void)*Half(3), "value = 3 is odd"); }

}  // namespace
}  // namespace ascend_attention
