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
  for (const char* line : {
           kCase,
           "decode:b2:h4:kv1:d64:bs128:ctx4096,4099:f16:cores7:qlen4:seed23",
           "decode:b4:h4:kv4:d64:bs16:ctx0,15,17,100:bf16:headmajor:seed41",
           "decode:b4:h4:kv4:d64:bs16:ctx0,15,17,100:bf16:interleaved:seed41",
           "decode:b2:h4:kv1:d64:bs64:ctx3000,2001:bf16:kvint8-channel-asym:route-dequant:seed53",
           "decode:b2:h4:kv1:d64:bs64:ctx3000,2001:bf16:kvint8-channel-asym:route-limbs:seed53",
           "decode:b3:h4:kv2:d64:bs256:ctx1,256,900:f16:cores1:kvint8-token:route-limbs:seed53",
           "decode:b5:h20:kv1:d128:bs64:ctx0,1,700,64,130:f16:cores3:route-fifo:seed71",
           "decode:b3:h100:kv1:d128:bs128:ctx1000,0,129:bf16:headmajor:route-fifo:outf32:seed71",
       }) {
    CaseOnDevice decode(runtime_, line);
    const auto plan = decode.Plan(stream_.handle());
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    for (int layer = 0; layer < 3; ++layer) {
      ASSERT_TRUE(decode.Run(*plan, stream_.handle()).ok());
    }
    const Status status = runtime_->Synchronize(stream_.handle());
    EXPECT_TRUE(status.ok()) << line << "\n" << status.ToString();
  }
}

// The headline of the finding when `bytes` of an input at `offset` were never written.
std::string FindingWithout(CaseOnDevice* decode, const DeviceBuffer& input, uint64_t offset,
                           uint64_t bytes, void* stream) {
  const auto acl = LoadAclApi("");
  EXPECT_TRUE(acl.ok()) << acl.status().ToString();
  const auto* begin = static_cast<const uint8_t*>(input.data()) + offset;
  EXPECT_EQ((*acl)->vnpuAclMarkUndefined(0, begin, bytes), 0);
  const std::string text = decode->Decode(stream).ToString();
  const size_t first = text.find("undefined output: ");
  return first == std::string::npos ? text : text.substr(first, text.find('\n', first) - first);
}

TEST_F(Checks, AScaleThatNobodyWroteIsNamed) {
  CaseOnDevice decode(runtime_,
                      "decode:b2:h4:kv1:d64:bs64:ctx100,200:f16:kvint8-channel-asym:"
                      "route-dequant:seed53");
  EXPECT_EQ(FindingWithout(&decode, decode.value_offset, 128, 4, stream_.handle()),
            "undefined output: bytes of value_offset + 128 that nobody has written reach out + 64");
}

// Every byte of a float32 out has its name.
TEST_F(Checks, AQueryThatNobodyWroteReachesAFloat32Out) {
  CaseOnDevice decode(runtime_,
                      "decode:b2:h4:kv1:d128:bs64:ctx100,200:f16:route-fifo:outf32:seed7");
  const uint64_t last_head = (2 * 4 - 1) * 128;
  EXPECT_EQ(FindingWithout(&decode, decode.query, last_head * 2, 256, stream_.handle()),
            "undefined output: bytes of query + " + std::to_string(last_head * 2) +
                " that nobody has written reach out + " + std::to_string(last_head * 4));
}

// The lengths of a plan have a name of their own.
TEST_F(Checks, LengthsThatNobodyWroteAreNamed) {
  const auto acl = LoadAclApi("");
  ASSERT_TRUE(acl.ok()) << acl.status().ToString();
  CaseOnDevice decode(runtime_, "decode:b2:h4:kv1:d128:bs64:ctx100,200:f16:route-fifo:seed7");
  const auto plan = decode.Plan(stream_.handle());
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  ASSERT_TRUE(runtime_->Synchronize(stream_.handle()).ok());
  const auto* lens = static_cast<const uint8_t*>(decode.workspace.data()) +
                     plan->plan().header().context_lens.bytes;
  ASSERT_EQ((*acl)->vnpuAclMarkUndefined(0, lens + sizeof(int32_t), sizeof(int32_t)), 0);
  ASSERT_TRUE(decode.Run(*plan, stream_.handle()).ok());
  const std::string text = runtime_->Synchronize(stream_.handle()).ToString();
  EXPECT_NE(text.find("workspace/context_lens + 4"), std::string::npos) << text;
}

// Interleaved slices have one name, and every byte of both is covered by it.
TEST_F(Checks, APoolIsNamedAsAWhole) {
  CaseOnDevice decode(runtime_, "decode:b1:h4:kv4:d64:bs16:ctx16:f16:interleaved:seed41");
  const auto block = static_cast<uint64_t>(decode.inputs.block_table[0]);
  const uint64_t page = 16 * 4 * 64 * 2;
  const uint64_t last = (2 * block + 2) * page - 2;  // of the values
  EXPECT_EQ(FindingWithout(&decode, decode.key_cache, last, 2, stream_.handle()),
            "undefined output: bytes of kv_pool + " + std::to_string(last) +
                " that nobody has written reach out + " + std::to_string(4 * 64 * 2 - 2));
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
