// SPDX-License-Identifier: Apache-2.0
// The operator with the virtual NPU's memory checkers on
// (ASCEND_ATTENTION_VNPU_CHECK): clean as it is, and findings name our tensors.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "host_cc/acl_api.h"
#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/testing/case_on_device.h"

namespace ascend_attention {
namespace {

// Split and unsplit sequences, an empty one, a tail in the last kv block.
constexpr char kCase[] = "decode:b6:h8:kv2:d64:bs64:ctx0,1,64,1000,2500,130:f16:cores24:seed7";

class Checks : public testing::Test {
 protected:
  Checks() : runtime_(*Runtime::Open({})), stream_(*Stream::Create(runtime_)) {}

  std::shared_ptr<Runtime> runtime_;
  Stream stream_;
};

TEST_F(Checks, DecodeIsClean) {
  CaseOnDevice decode(runtime_, kCase);
  const auto plan = decode.Plan(stream_.handle());
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  for (int layer = 0; layer < 3; ++layer) {
    ASSERT_TRUE(decode.Run(*plan, stream_.handle()).ok());
  }
  const Status status = runtime_->Synchronize(stream_.handle());
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(Checks, AQueryThatNobodyWroteIsNamed) {
  const auto acl = LoadAclApi("");
  ASSERT_TRUE(acl.ok()) << acl.status().ToString();
  ASSERT_NE((*acl)->vnpuAclChecksEnabled, nullptr);
  ASSERT_EQ((*acl)->vnpuAclChecksEnabled(0), 1) << "ASCEND_ATTENTION_VNPU_CHECK is not set";
  CaseOnDevice decode(runtime_, kCase);
  const uint64_t row_bytes = 8 * 64 * 2;
  ASSERT_EQ((*acl)->vnpuAclMarkUndefined(
                0, static_cast<const uint8_t*>(decode.query.data()) + 2 * row_bytes, row_bytes),
            0);
  const Status status = decode.Decode(stream_.handle());
  EXPECT_FALSE(status.ok());
  EXPECT_NE(
      status.ToString().find("undefined output: bytes of query + 2048 that nobody has written "
                             "reach out + 2048"),
      std::string::npos)
      << status.ToString();
}

}  // namespace
}  // namespace ascend_attention
