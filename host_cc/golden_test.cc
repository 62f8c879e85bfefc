// SPDX-License-Identifier: Apache-2.0
// Every golden of testdata/cases through the C++ API on the
// virtual NPU: within tolerance, twice the same bytes, nothing written beside.
#include "testdata/golden.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "ascend_kernels/golden_cases.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/testing/case_on_device.h"
#include "testdata/decode_case.h"

namespace ascend_attention {
namespace {

std::shared_ptr<Runtime> SharedRuntime() {
  static const auto* const runtime = new StatusOr<std::shared_ptr<Runtime>>(Runtime::Open({}));
  return **runtime;
}

class GoldenCase : public testing::TestWithParam<testdata::DecodeCase> {};

TEST_P(GoldenCase, DecodesWithinTolerance) {
  ASSERT_TRUE(GetParam().ok()) << GetParam().error;
  const std::string line = GetParam().ToString();
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", line);
  ASSERT_TRUE(golden.ok()) << golden.error;
  const Stream stream = *Stream::Create(SharedRuntime());
  CaseOnDevice decode(SharedRuntime(), line);
  const Status status = decode.Decode(stream.handle());
  ASSERT_TRUE(status.ok()) << status.ToString();
  const std::vector<uint16_t> first = decode.OutBits();
  const testdata::GoldenReport report = testdata::Compare(golden, decode.Out(), decode.Lse());
  EXPECT_TRUE(report.ok) << report.text << "\nrepeat: ./bazelw run //python:cli -- run --case '"
                         << line << "'";
  EXPECT_TRUE(decode.GuardsAreIntact());

  const std::vector<float> lse = decode.Lse();
  decode.FillOutputs(0x3c);
  ASSERT_TRUE(decode.Decode(stream.handle()).ok());
  EXPECT_EQ(decode.OutBits(), first);
  EXPECT_EQ(decode.Lse(), lse);
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenCase, testing::ValuesIn(GoldenCases()), CaseTestName);
INSTANTIATE_TEST_SUITE_P(
    Fifo, GoldenCase, testing::ValuesIn(testdata::ReadCaseFile("testdata/cases/decode_fifo.txt")),
    CaseTestName);
INSTANTIATE_TEST_SUITE_P(
    Int8, GoldenCase, testing::ValuesIn(testdata::ReadCaseFile("testdata/cases/decode_int8.txt")),
    CaseTestName);

}  // namespace
}  // namespace ascend_attention
