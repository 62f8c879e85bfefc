// SPDX-License-Identifier: Apache-2.0
// Bad input: each mistake gets its text, nothing is launched or uploaded, and
// `out` stays as it was.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/testing/fake_acl.h"

namespace ascend_attention {
namespace {

constexpr char kStream[] = "a stream";
void* const stream = const_cast<char*>(kStream);

DecodeShape GoodShape() {
  DecodeShape shape;
  shape.batch = 4;
  shape.num_heads = 32;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 512;
  shape.max_kv_blocks = 64;
  return shape;
}

// ---- Create -----------------------------------------------------------------

struct ShapeCase {
  const char* name;
  std::function<void(DecodeShape&)> spoil;
  const char* error;
};

class BadShape : public testing::TestWithParam<ShapeCase> {};

TEST_P(BadShape, IsRefusedByName) {
  FakeAcl fake;
  auto runtime = fake.OpenRuntime();
  ASSERT_TRUE(runtime.ok()) << runtime.status().ToString();
  DecodeShape shape = GoodShape();
  GetParam().spoil(shape);
  const auto op = DecodeAttention::Create(*runtime, shape, 0.1f);
  EXPECT_EQ(op.status().ToString(), GetParam().error);
  EXPECT_EQ(fake.Count("aclrtBinaryLoadFromData"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadShape,
    testing::Values(
        ShapeCase{"NoBatch", [](DecodeShape& s) { s.batch = 0; },
                  "INVALID_ARGUMENT: batch = 0; expected at least 1"},
        ShapeCase{"Heads", [](DecodeShape& s) { s.num_heads = 33; },
                  "INVALID_ARGUMENT: num_heads = 33 is not a multiple of num_kv_heads = 8"},
        ShapeCase{"HeadDim", [](DecodeShape& s) { s.head_dim = 80; },
                  "UNIMPLEMENTED: head_dim = 80 has no kernel; nearest supported: 64, 96"},
        ShapeCase{"BlockSize", [](DecodeShape& s) { s.kv_block_size = 20; },
                  "UNIMPLEMENTED: kv_block_size = 20 has no kernel (multiples of 16 in 16..512 "
                  "have); nearest supported: 16, 32"},
        ShapeCase{"QuantCode", [](DecodeShape& s) { s.kv_quant = static_cast<KvQuant>(9); },
                  "UNIMPLEMENTED: kv_quant code 9 has no kernel; supported: 0 (none), 1 "
                  "(int8_channel), 2 (int8_channel_asym), 3 (int8_token)"},
        ShapeCase{"RouteCode", [](DecodeShape& s) { s.kv_route = static_cast<KvRoute>(9); },
                  "UNIMPLEMENTED: kv_route code 9 has no kernel; supported: 0 (auto), 1 (direct), "
                  "2 (dequant), 3 (limbs), 4 (fifo)"},
        ShapeCase{"Int8QLen",
                  [](DecodeShape& s) {
                    s.kv_quant = KvQuant::kInt8Token;
                    s.max_q_len = 2;
                  },
                  "UNIMPLEMENTED: max_q_len = 2 with kv_quant = int8_token has no kernel; nearest "
                  "supported: 1"},
        ShapeCase{"Overlap", [](DecodeShape& s) { s.kv_strides = {1024, 1024, 128}; },
                  "INVALID_ARGUMENT: kv_strides.token = 1024 elements makes entries of the cache "
                  "overlap; expected at least 524288"},
        ShapeCase{"StrideAlignment", [](DecodeShape& s) { s.kv_strides = {1 << 18, 1032, 128}; },
                  "UNIMPLEMENTED: kv_strides.token = 1032 elements is not a multiple of 16 (32 "
                  "bytes); nearest supported: 1024, 1040"},
        ShapeCase{"NegativeStride", [](DecodeShape& s) { s.kv_strides = {-(1 << 18), 1024, 128}; },
                  "INVALID_ARGUMENT: kv_strides.block = -262144; expected 0 or more"},
        ShapeCase{"QLen", [](DecodeShape& s) { s.max_q_len = 17; },
                  "UNIMPLEMENTED: max_q_len = 17 has no kernel; nearest supported: 16"},
        ShapeCase{"Route", [](DecodeShape& s) { s.kv_route = KvRoute::kLimbs; },
                  "UNIMPLEMENTED: kv_route = limbs has no kernel for kv_quant = none; nearest "
                  "supported: direct, fifo, auto"},
        ShapeCase{"Strides", [](DecodeShape& s) { s.kv_strides = {131072, 1024, 64}; },
                  "INVALID_ARGUMENT: kv_strides.head = 64 elements makes entries of the cache "
                  "overlap; expected at least 128"},
        ShapeCase{"FixedSplit", [](DecodeShape& s) { s.fixed_split_tokens = 100; },
                  "INVALID_ARGUMENT: fixed_split_tokens = 100; expected 0 or a multiple of 16, at "
                  "least 64 and less than 2^31"},
        ShapeCase{"DType", [](DecodeShape& s) { s.dtype = static_cast<DType>(7); },
                  "UNIMPLEMENTED: dtype code 7 has no kernel; supported: 0 (float16), "
                  "1 (bfloat16)"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Create, RefusesBadCoreCount) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  EXPECT_EQ(DecodeAttention::Create(runtime, GoodShape(), 0.1f, -1).status().message(),
            "num_cores = -1; expected 0 or more");
  EXPECT_EQ(DecodeAttention::Create(runtime, GoodShape(), 0.1f, 2000).status().message(),
            "num_cores = 2000; expected 1..1024");
}

TEST(Create, RefusesMoreCoresThanTheDeviceHas) {
  const std::string text =
      "INVALID_ARGUMENT: num_cores = 25 exceeds the 24 cores of device 0 (Ascend910B1): blocks "
      "that wait for each other need a core each";
  const std::string hint = "; ASCEND_ATTENTION_VNPU_CORES sets those of the virtual NPU";
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  EXPECT_TRUE(DecodeAttention::Create(runtime, GoodShape(), 0.1f, 24).ok());
  EXPECT_EQ(DecodeAttention::Create(runtime, GoodShape(), 0.1f, 25).status().ToString(),
            text + hint);
  fake.api()->is_virtual = false;
  EXPECT_EQ(DecodeAttention::Create(runtime, GoodShape(), 0.1f, 25).status().ToString(), text);
  fake.num_cores = 25;
  EXPECT_EQ(DecodeAttention::Create(runtime, GoodShape(), 0.1f, 25).status().ToString(), text);
  runtime = *fake.OpenRuntime();
  EXPECT_TRUE(DecodeAttention::Create(runtime, GoodShape(), 0.1f, 25).ok());
}

TEST(Create, NeedsARuntime) {
  EXPECT_EQ(DecodeAttention::Create(nullptr, GoodShape(), 0.1f).status().ToString(),
            "INVALID_ARGUMENT: runtime is null");
}

// ---- Plan and Run ------------------------------------------------------------

class DecodeInput : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = fake_.OpenRuntime();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    runtime_ = *opened;
    auto made = DecodeAttention::Create(runtime_, GoodShape(), 0.1f);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    op_.emplace(*made);
    workspace_ = *DeviceBuffer::Allocate(runtime_, op_->workspace_bytes());
    out_ = *DeviceBuffer::Allocate(runtime_, kTensorBytes);
    ASSERT_TRUE(workspace_.Fill(kUntouched).ok());
    ASSERT_TRUE(out_.Fill(kUntouched).ok());
    tensors_.query = tensors_.key_cache = tensors_.value_cache =
        reinterpret_cast<void*>(0x100000000);
    tensors_.block_table = reinterpret_cast<const int32_t*>(0x2004);
    tensors_.out = out_.data();
    tensors_.lse = reinterpret_cast<float*>(0x13004);
  }

  Status PlanStatus(const std::vector<int32_t>& lens) {
    return op_->Plan(lens, workspace_.data(), workspace_.size(), stream).status();
  }

  void ExpectUntouched(const DeviceBuffer& buffer) {
    std::vector<uint8_t> bytes(buffer.size());
    ASSERT_TRUE(buffer.Download(bytes.data(), bytes.size()).ok());
    EXPECT_EQ(bytes, std::vector<uint8_t>(buffer.size(), kUntouched));
  }

  void ExpectNothingHappened() {
    EXPECT_EQ(fake_.launches.size(), 0u);
    EXPECT_EQ(fake_.Count("aclrtMemcpyAsync"), 0);
    ExpectUntouched(workspace_);
    ExpectUntouched(out_);
  }

  static constexpr uint8_t kUntouched = 0xa5;
  static constexpr size_t kTensorBytes = 4 * 32 * 128 * 2;

  FakeAcl fake_;
  std::shared_ptr<Runtime> runtime_;
  std::optional<DecodeAttention> op_;
  DeviceBuffer workspace_;
  DeviceBuffer out_;
  DecodeTensors tensors_;
};

TEST_F(DecodeInput, NegativeLength) {
  EXPECT_EQ(PlanStatus({5, -1, 7}).ToString(),
            "INVALID_ARGUMENT: context_lens[1] = -1 is negative; expected 0..8192");
  ExpectNothingHappened();
}

TEST_F(DecodeInput, LengthBeyondTheTable) {
  EXPECT_EQ(PlanStatus({1, 2, 3, 9000}).ToString(),
            "OUT_OF_RANGE: context_lens[3] = 9000 exceeds what a block_table row holds: "
            "64 x 128 = 8192");
  ExpectNothingHappened();
}

TEST_F(DecodeInput, BatchBeyondCapacity) {
  EXPECT_EQ(PlanStatus({1, 1, 1, 1, 1}).ToString(),
            "INVALID_ARGUMENT: batch = 5 exceeds the planned capacity of 4");
  ExpectNothingHappened();
}

TEST_F(DecodeInput, NoLengths) {
  EXPECT_EQ(PlanStatus({}).ToString(), "INVALID_ARGUMENT: batch = 0; expected 1..4");
  EXPECT_EQ(op_->Plan(nullptr, 2, workspace_.data(), workspace_.size(), stream).status().ToString(),
            "INVALID_ARGUMENT: context_lens is null");
  ExpectNothingHappened();
}

TEST_F(DecodeInput, QueryTokens) {
  DecodeShape shape = GoodShape();
  shape.max_q_len = 4;
  const auto op = DecodeAttention::Create(runtime_, shape, 0.1f);
  ASSERT_TRUE(op.ok()) << op.status().ToString();
  const auto status = [&](const std::vector<int32_t>& q_lens) {
    return op->Plan({10, 20, 30}, workspace_.data(), size_t{1} << 40, stream, q_lens)
        .status()
        .ToString();
  };
  EXPECT_EQ(status({1, 0, 1}), "INVALID_ARGUMENT: q_lens[1] = 0; expected 1..4");
  EXPECT_EQ(status({1, 2, -1}), "INVALID_ARGUMENT: q_lens[2] = -1; expected 1..4");
  EXPECT_EQ(status({5, 2, 1}), "INVALID_ARGUMENT: q_lens[0] = 5; expected 1..4");
  EXPECT_EQ(status({1, 2}), "INVALID_ARGUMENT: q_lens has 2 entries; expected one per sequence, 3");
  EXPECT_EQ(op_->Plan({10}, workspace_.data(), workspace_.size(), stream, {2}).status().ToString(),
            "INVALID_ARGUMENT: q_lens[0] = 2; expected 1..1");
  ExpectNothingHappened();
}

TEST_F(DecodeInput, ScalesOfAnInt8Cache) {
  DecodeShape shape = GoodShape();
  shape.kv_quant = KvQuant::kInt8Token;
  const auto op = DecodeAttention::Create(runtime_, shape, 0.1f);
  ASSERT_TRUE(op.ok()) << op.status().ToString();
  const DeviceBuffer workspace = *DeviceBuffer::Allocate(runtime_, op->workspace_bytes());
  const auto plan = op->Plan({5}, workspace.data(), workspace.size(), stream);
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  EXPECT_EQ(op->Run(*plan, tensors_, stream).ToString(),
            "INVALID_ARGUMENT: key_scale is null; kv_quant int8_token needs float32 "
            "[num_kv_blocks, num_kv_heads, kv_block_size] = [512, 8, 128]");
  EXPECT_EQ(fake_.launches.size(), 0u);
  ExpectUntouched(out_);
}

TEST_F(DecodeInput, WorkspaceOneByteTooSmall) {
  const size_t needed = op_->workspace_bytes();
  EXPECT_EQ(op_->Plan({1}, workspace_.data(), needed - 1, stream).status().ToString(),
            "RESOURCE_EXHAUSTED: workspace of " + std::to_string(needed - 1) +
                " bytes is too small: " + std::to_string(needed) + " needed");
  ExpectNothingHappened();
}

TEST_F(DecodeInput, WorkspaceOfExactlyTheBytesIsEnough) {
  EXPECT_TRUE(op_->Plan({1}, workspace_.data(), op_->workspace_bytes(), stream).ok());
}

TEST_F(DecodeInput, WorkspaceNullOrMisaligned) {
  const std::string needed = std::to_string(op_->workspace_bytes());
  EXPECT_EQ(op_->Plan({1}, nullptr, workspace_.size(), stream).status().ToString(),
            "INVALID_ARGUMENT: workspace is null; " + needed + " bytes needed");
  EXPECT_EQ(
      op_->Plan({1}, reinterpret_cast<void*>(0x10100), size_t{1} << 40, stream).status().ToString(),
      "INVALID_ARGUMENT: workspace = 0x10100 is not a multiple of 512 bytes");
  ExpectNothingHappened();
}

struct TensorCase {
  const char* name;
  std::function<void(DecodeTensors&)> spoil;
  const char* error;
};

class BadTensor : public DecodeInput, public testing::WithParamInterface<TensorCase> {};

TEST_P(BadTensor, IsRefusedBeforeAnyLaunch) {
  auto plan = op_->Plan({100, 8192}, workspace_.data(), workspace_.size(), stream);
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  GetParam().spoil(tensors_);
  EXPECT_EQ(op_->Run(*plan, tensors_, stream).ToString(), GetParam().error);
  EXPECT_EQ(fake_.launches.size(), 0u);
  ExpectUntouched(out_);
}

template <typename T>
T* At(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadTensor,
    testing::Values(
        TensorCase{"NoQuery", [](DecodeTensors& t) { t.query = nullptr; },
                   "INVALID_ARGUMENT: query is null"},
        TensorCase{"NoKey", [](DecodeTensors& t) { t.key_cache = nullptr; },
                   "INVALID_ARGUMENT: key_cache is null"},
        TensorCase{"NoValue", [](DecodeTensors& t) { t.value_cache = nullptr; },
                   "INVALID_ARGUMENT: value_cache is null"},
        TensorCase{"NoTable", [](DecodeTensors& t) { t.block_table = nullptr; },
                   "INVALID_ARGUMENT: block_table is null"},
        TensorCase{"NoOut", [](DecodeTensors& t) { t.out = nullptr; },
                   "INVALID_ARGUMENT: out is null"},
        TensorCase{"Query", [](DecodeTensors& t) { t.query = At<void>(0x1010); },
                   "INVALID_ARGUMENT: query = 0x1010 is not a multiple of 32 bytes"},
        TensorCase{"Key", [](DecodeTensors& t) { t.key_cache = At<void>(0x1002); },
                   "INVALID_ARGUMENT: key_cache = 0x1002 is not a multiple of 32 bytes"},
        TensorCase{"Value", [](DecodeTensors& t) { t.value_cache = At<void>(0x1008); },
                   "INVALID_ARGUMENT: value_cache = 0x1008 is not a multiple of 32 bytes"},
        TensorCase{"Out", [](DecodeTensors& t) { t.out = At<void>(0x1004); },
                   "INVALID_ARGUMENT: out = 0x1004 is not a multiple of 32 bytes"},
        TensorCase{"Table", [](DecodeTensors& t) { t.block_table = At<int32_t>(0x1001); },
                   "INVALID_ARGUMENT: block_table = 0x1001 is not a multiple of 4 bytes"},
        TensorCase{"Lse", [](DecodeTensors& t) { t.lse = At<float>(0x1002); },
                   "INVALID_ARGUMENT: lse = 0x1002 is not a multiple of 4 bytes"},
        // Two rows of query and out, caches of 128 MiB.
        TensorCase{"OutIsQuery",
                   [](DecodeTensors& t) { t.out = const_cast<void*>(t.query = At<void>(0x90000)); },
                   "INVALID_ARGUMENT: out = 0x90000, 16384 bytes, overlaps query = 0x90000, 16384 "
                   "bytes; expected memory of its own"},
        TensorCase{"OutInCache", [](DecodeTensors& t) { t.out = At<void>(0x107ffffe0); },
                   "INVALID_ARGUMENT: out = 0x107ffffe0, 16384 bytes, overlaps key_cache = "
                   "0x100000000, 134217728 bytes; expected memory of its own"},
        TensorCase{"OutInTable", [](DecodeTensors& t) { t.out = At<void>(0x2200); },
                   "INVALID_ARGUMENT: out = 0x2200, 16384 bytes, overlaps block_table = 0x2004, "
                   "512 bytes; expected memory of its own"},
        TensorCase{"LseInTable", [](DecodeTensors& t) { t.lse = At<float>(0x2000); },
                   "INVALID_ARGUMENT: lse = 0x2000, 256 bytes, overlaps block_table = 0x2004, 512 "
                   "bytes; expected memory of its own"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(DecodeInput, TensorsInTheWorkspace) {
  auto plan = op_->Plan({100, 8192}, workspace_.data(), workspace_.size(), stream);
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  const auto error_of = [&](const DecodeTensors& tensors) {
    const std::string text = op_->Run(*plan, tensors, stream).message();
    return text.substr(0, 9) + (text.find(" bytes, overlaps query = ") != std::string::npos
                                    ? "query"
                                : text.find(" bytes, overlaps out = ") != std::string::npos ? "out"
                                                                                            : text);
  };
  DecodeTensors tensors = tensors_;
  tensors.query = workspace_.data();
  EXPECT_EQ(error_of(tensors), "workspacequery");
  tensors = tensors_;
  tensors.out = static_cast<uint8_t*>(workspace_.data()) + 512;
  EXPECT_EQ(error_of(tensors), "workspaceout");
  EXPECT_EQ(fake_.launches.size(), 0u);
}

TEST_F(DecodeInput, PlanOfAnotherOperator) {
  auto other = DecodeAttention::Create(runtime_, GoodShape(), 0.2f);
  ASSERT_TRUE(other.ok());
  auto plan = other->Plan({5}, workspace_.data(), workspace_.size(), stream);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(op_->Run(*plan, tensors_, stream).ToString(),
            "FAILED_PRECONDITION: plan was made by another DecodeAttention");
  EXPECT_EQ(fake_.launches.size(), 0u);
}

TEST_F(DecodeInput, PlanWhoseWorkspaceWasPlannedAgain) {
  auto first = op_->Plan({5}, workspace_.data(), workspace_.size(), stream);
  auto second = op_->Plan({6}, workspace_.data(), workspace_.size(), stream);
  ASSERT_TRUE(first.ok() && second.ok());
  const Status stale = op_->Run(*first, tensors_, stream);
  EXPECT_EQ(stale.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(stale.message().rfind("plan is stale: a later Plan() used the workspace at 0x", 0), 0u)
      << stale.message();
  EXPECT_EQ(fake_.launches.size(), 0u);
  EXPECT_TRUE(op_->Run(*second, tensors_, stream).ok());
}

}  // namespace
}  // namespace ascend_attention
