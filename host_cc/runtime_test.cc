// SPDX-License-Identifier: Apache-2.0
// Opening a device, its failures in words, and the helpers around it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "host_cc/launch.h"
#include "host_cc/runtime_impl.h"
#include "host_cc/testing/fake_acl.h"
#include "host_cc/verbose.h"

namespace ascend_attention {
namespace {

DecodeShape Shape() {
  DecodeShape shape;
  shape.batch = 8;
  shape.num_heads = 8;
  shape.num_kv_heads = 8;
  shape.head_dim = 64;
  shape.kv_block_size = 16;
  shape.num_kv_blocks = 512;
  shape.max_kv_blocks = 64;
  return shape;
}

// ---- Open -------------------------------------------------------------------

TEST(Open, DescribesTheDevice) {
  FakeAcl fake;
  const auto runtime = fake.OpenRuntime();
  ASSERT_TRUE(runtime.ok()) << runtime.status().ToString();
  EXPECT_EQ((*runtime)->description(), "Ascend910B1 (virtual NPU), 24 cores");
  EXPECT_TRUE((*runtime)->is_virtual());
  EXPECT_EQ((*runtime)->acl_library(), "fake/libascendcl.so");
  EXPECT_EQ((*runtime)->acl_version(), "fake ACL");
  EXPECT_EQ((*runtime)->device(), 0);
}

TEST(Open, AcceptsAnAclThatIsInitializedAlready) {
  FakeAcl fake;
  fake.FailNext("aclInit", ACL_ERROR_REPEAT_INITIALIZE);
  EXPECT_TRUE(fake.OpenRuntime().ok());
}

TEST(Open, TakesTheCoresThatTheDeviceReports) {
  FakeAcl fake;
  fake.soc_name = "Ascend910B4";
  fake.num_cores = 20;
  EXPECT_EQ((*fake.OpenRuntime())->description(), "Ascend910B4 (virtual NPU), 20 cores");
  RuntimeOptions options;
  options.num_cores = 7;
  EXPECT_EQ((*fake.OpenRuntime(options))->platform().num_cores, 7);
  options.num_cores = -2;
  EXPECT_EQ(fake.OpenRuntime(options).status().ToString(),
            "INVALID_ARGUMENT: num_cores = -2; expected 0 or more");
  options.num_cores = 99;
  EXPECT_EQ(fake.OpenRuntime(options).status().ToString(),
            "INVALID_ARGUMENT: num_cores = 99 exceeds the 20 cores of device 0 (Ascend910B4): "
            "blocks that wait for each other need a core each; ASCEND_ATTENTION_VNPU_CORES sets "
            "those of the virtual NPU");
}

TEST(Open, RefusesADeviceThatIsNotThere) {
  FakeAcl fake;
  fake.device_count = 2;
  RuntimeOptions options;
  for (const int device : {2, -1}) {
    options.device = device;
    EXPECT_EQ(fake.OpenRuntime(options).status().ToString(),
              "INVALID_ARGUMENT: device = " + std::to_string(device) + " is outside [0, 2)");
  }
}

TEST(Open, TellsHowToRunWithoutAnNpu) {
  FakeAcl fake;
  fake.api()->is_virtual = false;
  const std::string hint =
      "; library fake/libascendcl.so (fake ACL). To run without an NPU set "
      "ASCEND_ATTENTION_ACL_LIBRARY=vnpu";
  fake.FailNext("aclInit", 500000, "no driver");
  EXPECT_EQ(fake.OpenRuntime().status().ToString(),
            "INTERNAL: aclInit() failed: 500000 (internal error): no driver" + hint);
  fake.device_count = 0;
  EXPECT_EQ(fake.OpenRuntime().status().ToString(),
            "FAILED_PRECONDITION: no device: aclrtGetDeviceCount is 0" + hint);
}

TEST(Open, RefusesAnUnknownChip) {
  FakeAcl fake;
  fake.soc_name = "Ascend310P3";
  const Status status = fake.OpenRuntime().status();
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(status.message().rfind("soc_name = \"Ascend310P3\"", 0), 0u) << status.message();
}

TEST(Open, ReportsAFailedSetDevice) {
  FakeAcl fake;
  fake.FailNext("aclrtSetDevice", 107001);
  EXPECT_EQ(fake.OpenRuntime().status().ToString(),
            "INVALID_ARGUMENT: aclrtSetDevice(0) failed: 107001 (invalid device)");
}

TEST(Open, FallsBackToTheOlderSyncAddress) {
  FakeAcl fake;
  fake.api()->aclrtGetHardwareSyncAddr = nullptr;
  fake.api()->rtGetC2cCtrlAddr = [](uint64_t* address, uint32_t* size) -> int32_t {
    *address = 0x1234500;
    *size = 512;
    return 0;
  };
  const auto runtime = fake.OpenRuntime();
  ASSERT_TRUE(runtime.ok()) << runtime.status().ToString();
  EXPECT_EQ((*runtime)->impl().sync_address, 0x1234500u);
}

TEST(Open, MissingKernelNamesTheFileAndTheCommand) {
  FakeAcl fake;
  RuntimeOptions options;
  options.kernel_dir = "/nowhere";
  auto runtime = fake.OpenRuntime(options);
  ASSERT_TRUE(runtime.ok());
  EXPECT_EQ(DecodeAttention::Create(*runtime, Shape(), 1.0f).status().ToString(),
            "FAILED_PRECONDITION: kernel binary /nowhere/vnpu/decode_f16.so not found; "
            "without kernel_dir those beside the library are taken, and in the source tree "
            "./bazelw build //ascend_kernels/... makes it");
  fake.api()->is_virtual = false;
  EXPECT_EQ(DecodeAttention::Create(*runtime, Shape(), 1.0f).status().ToString(),
            "FAILED_PRECONDITION: kernel binary /nowhere/a2/decode_f16.o not found; "
            "without kernel_dir those beside the library are taken, and in the source tree "
            "./bazelw build --config=a2 //ascend_kernels/... makes it");
}

TEST(Open, GivesTheThreadItsOldDeviceBack) {
  FakeAcl fake;
  fake.device_count = 2;
  RuntimeOptions options;
  options.device = 1;
  ASSERT_EQ(fake.api()->aclrtSetDevice(0), 0);
  auto runtime = *fake.OpenRuntime(options);
  auto buffer = DeviceBuffer::Allocate(runtime, 100);
  ASSERT_TRUE(buffer.ok());
  int32_t device = -1;
  ASSERT_EQ(fake.api()->aclrtGetDevice(&device), 0);
  EXPECT_EQ(device, 0);
  // A thread without a device gets ours.
  std::thread([&] {
    EXPECT_TRUE(DeviceBuffer::Allocate(runtime, 100).ok());
    EXPECT_EQ(fake.api()->aclrtGetDevice(&device), 0);
    EXPECT_EQ(device, 1);
  }).join();
}

// ---- Synchronize --------------------------------------------------------------

class Synchronize : public testing::Test {
 protected:
  void SetUp() override {
    runtime_ = *fake_.OpenRuntime();
    auto op = *DecodeAttention::Create(runtime_, Shape(), 1.0f);
    workspace_ = *DeviceBuffer::Allocate(runtime_, op.workspace_bytes());
    plan_ = std::make_unique<PreparedPlan>(
        *op.Plan({100, 200, 300}, workspace_.data(), workspace_.size(), stream_));
    DecodeTensors tensors;
    tensors.query = tensors.key_cache = tensors.value_cache = reinterpret_cast<void*>(0x100000000);
    tensors.out = reinterpret_cast<void*>(0x200000);
    tensors.block_table = reinterpret_cast<const int32_t*>(0x1000);
    ASSERT_TRUE(op.Run(*plan_, tensors, stream_).ok());
  }

  // As the kernel on `core` does before it traps.
  void WriteRecord(uint32_t core, ErrorCode code) {
    ErrorRecord record = {};
    record.code = static_cast<uint32_t>(code);
    record.core = core;
    record.row = 3;
    record.index = 17;
    record.value = 99999;
    record.limit = 512;
    const uint64_t offset =
        plan_->plan().header().error_records.begin.bytes + core * sizeof(record);
    ASSERT_TRUE(workspace_.Upload(&record, sizeof(record), offset).ok());
  }

  Status Fail(int error, void* stream) {
    fake_.FailNext("aclrtSynchronizeStream", error, "core 5 stopped");
    return runtime_->Synchronize(stream);
  }

  void* const stream_ = reinterpret_cast<void*>(uintptr_t{0x5100});
  FakeAcl fake_;
  std::shared_ptr<Runtime> runtime_;
  DeviceBuffer workspace_;
  std::unique_ptr<PreparedPlan> plan_;
};

TEST_F(Synchronize, IsQuietWhenAllIsWell) {
  WriteRecord(5, ErrorCode::kKvBlockOutOfRange);  // not looked at
  EXPECT_TRUE(runtime_->Synchronize(stream_).ok());
}

TEST_F(Synchronize, ReportsARecordOnce) {
  WriteRecord(5, ErrorCode::kKvBlockOutOfRange);
  EXPECT_EQ(Fail(507016, stream_).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(Fail(507016, stream_).ToString(),
            "INTERNAL: aclrtSynchronizeStream() failed: 507016 (AI Core trap): core 5 stopped");
}

TEST_F(Synchronize, NamesABadPageIdByRowAndIndex) {
  for (const int error : {507014, 507015, 507016}) {
    WriteRecord(5, ErrorCode::kKvBlockOutOfRange);
    const Status status = Fail(error, stream_);
    EXPECT_EQ(status.ToString(),
              "OUT_OF_RANGE: block_table[3][17] = 99999 is outside [0, 512); found on the device: "
              "aclrtSynchronizeStream() failed: " +
                  std::to_string(error) + " (" + AclErrorName(error) + "): core 5 stopped");
  }
}

TEST_F(Synchronize, NamesAPlanWhoseTilesDoNotFit) {
  WriteRecord(0, ErrorCode::kTilesDoNotFit);
  EXPECT_EQ(Fail(507016, stream_).ToString(),
            "FAILED_PRECONDITION: the plan in the workspace has tiles of 3 tokens in loads of 17, "
            "99999 query rows of 512, more than the kernel's buffers hold: it was made by another "
            "version or overwritten; found on the device: aclrtSynchronizeStream() failed: 507016 "
            "(AI Core trap): core 5 stopped");
}

TEST_F(Synchronize, KeepsTheDeviceTextOfOtherFailures) {
  EXPECT_EQ(
      Fail(507015, stream_).ToString(),
      "INTERNAL: aclrtSynchronizeStream() failed: 507015 (AI Core exception): core 5 stopped");
  WriteRecord(5, ErrorCode::kKvBlockOutOfRange);
  EXPECT_EQ(Fail(107003, stream_).code(), StatusCode::kInvalidArgument);  // no device error
}

TEST_F(Synchronize, DoesNotBlameAnotherStreamsPlan) {
  WriteRecord(5, ErrorCode::kKvBlockOutOfRange);
  EXPECT_EQ(Fail(507015, reinterpret_cast<void*>(0x777)).code(), StatusCode::kInternal);
}

TEST_F(Synchronize, DoesNotReadTheWorkspaceOfAPlanThatEnded) {
  WriteRecord(5, ErrorCode::kKvBlockOutOfRange);
  plan_.reset();
  workspace_ = DeviceBuffer();
  EXPECT_EQ(Fail(507016, stream_).code(), StatusCode::kInternal);
}

TEST_F(Synchronize, SurvivesADeviceThatCannotBeRead) {
  WriteRecord(5, ErrorCode::kKvBlockOutOfRange);
  fake_.FailNext("aclrtMemcpy", 507899);
  EXPECT_EQ(
      Fail(507015, stream_).ToString(),
      "INTERNAL: aclrtSynchronizeStream() failed: 507015 (AI Core exception): core 5 stopped");
}

// ---- DeviceBuffer, Stream -----------------------------------------------------

TEST(DeviceBuffer, MovesBytesBothWays) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  auto buffer = *DeviceBuffer::Allocate(runtime, 1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 512, 0u);
  ASSERT_TRUE(buffer.Fill(7).ok());
  ASSERT_TRUE(buffer.Upload("abc", 3, 997).ok());
  char bytes[4];
  ASSERT_TRUE(buffer.Download(bytes, 4, 996).ok());
  EXPECT_EQ(std::string(bytes, 4), std::string("\7abc"));
}

TEST(DeviceBuffer, RefusesToLeaveItself) {
  FakeAcl fake;
  auto buffer = *DeviceBuffer::Allocate(*fake.OpenRuntime(), 1000);
  char bytes[8] = {};
  EXPECT_EQ(buffer.Upload(bytes, 8, 993).ToString(),
            "OUT_OF_RANGE: upload of 8 bytes at offset 993 leaves the buffer of 1000 bytes");
  EXPECT_EQ(buffer.Download(bytes, 8, ~size_t{0}).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(buffer.Download(bytes, ~size_t{0}, 8).code(), StatusCode::kOutOfRange);
}

TEST(DeviceBuffer, ReportsOutOfMemory) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  fake.FailNext("aclrtMalloc", 207001, "64 GiB in use");
  EXPECT_EQ(DeviceBuffer::Allocate(runtime, 4096).status().ToString(),
            "RESOURCE_EXHAUSTED: aclrtMalloc(4096) failed: 207001 (out of memory): 64 GiB in use");
}

TEST(DeviceBuffer, MayBeEmptyAndMoves) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  auto empty = *DeviceBuffer::Allocate(runtime, 0);
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_TRUE(empty.Fill(1).ok());
  {
    auto buffer = *DeviceBuffer::Allocate(runtime, 10);
    empty = std::move(buffer);
  }
  EXPECT_EQ(empty.size(), 10u);
  EXPECT_EQ(fake.device_blocks, 1);
  empty = DeviceBuffer();
  EXPECT_EQ(fake.device_blocks, 0);
}

TEST(Stream, IsDestroyedAfterItsWork) {
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  {
    auto stream = *Stream::Create(runtime);
    EXPECT_NE(stream.handle(), nullptr);
    EXPECT_EQ(fake.streams, 1);
    EXPECT_TRUE(stream.Synchronize().ok());
  }
  EXPECT_EQ(fake.streams, 0);
  EXPECT_EQ(fake.Count("aclrtSynchronizeStream"), 2);
  fake.FailNext("aclrtCreateStream", 207008);
  EXPECT_EQ(Stream::Create(runtime).status().ToString(),
            "RESOURCE_EXHAUSTED: aclrtCreateStream() failed: 207008 (out of streams)");
}

// ---- Verbose ------------------------------------------------------------------

std::vector<std::string>& Lines() {
  static std::vector<std::string> lines;
  return lines;
}

TEST(Verbose, WritesOneLinePerCallAfterATemplate) {
  Lines().clear();
  SetVerboseForTest(true, [](const std::string& line) { Lines().push_back(line); });
  Verbose("plan", "batch,name", 3, "a,b");
  Verbose("plan", "batch,name", 4, "c");
  SetVerboseForTest(false, nullptr);
  Verbose("plan", "batch,name", 5, "d");
  EXPECT_EQ(Lines(), (std::vector<std::string>{"ascend_attention,v3,template,plan,batch,name",
                                               "ascend_attention,v3,plan,3,a;b",
                                               "ascend_attention,v3,plan,4,c"}));
}

TEST(Verbose, LinesOfPlanAndRunHaveAsManyColumnsAsTheirTemplates) {
  Lines().clear();
  SetVerboseForTest(true, [](const std::string& line) { Lines().push_back(line); });
  FakeAcl fake;
  auto runtime = *fake.OpenRuntime();
  auto op = *DecodeAttention::Create(runtime, Shape(), 1.0f);
  auto workspace = *DeviceBuffer::Allocate(runtime, op.workspace_bytes());
  auto plan = *op.Plan({100, 200}, workspace.data(), workspace.size(), nullptr);
  DecodeTensors tensors;
  tensors.query = tensors.key_cache = tensors.value_cache = reinterpret_cast<void*>(0x100000000);
  tensors.out = reinterpret_cast<void*>(0x200000);
  tensors.block_table = reinterpret_cast<const int32_t*>(0x1000);
  ASSERT_TRUE(op.Run(plan, tensors, nullptr).ok());
  SetVerboseForTest(false, nullptr);
  ASSERT_EQ(Lines().size(), 6u);  // open, plan, run, each with its template
  const auto columns = [](const std::string& line) {
    return std::count(line.begin(), line.end(), ',');
  };
  for (size_t i = 0; i < Lines().size(); i += 2) {
    EXPECT_EQ(columns(Lines()[i]), columns(Lines()[i + 1]) + 1) << Lines()[i + 1];
  }
  EXPECT_EQ(Lines()[3].rfind(
                "ascend_attention,v3,plan,2,2,8,8,64,16,float16,float16,none,decode_f16,24,", 0),
            0u)
      << Lines()[3];
}

TEST(MakeWait, OneStreamWaitsForAnotherThroughAnEventOfTheMoment) {
  FakeAcl fake;
  const auto runtime = fake.OpenRuntime();
  ASSERT_TRUE(runtime.ok());
  void* const stream = reinterpret_cast<void*>(uintptr_t{0x5100});
  void* const other = reinterpret_cast<void*>(uintptr_t{0x5200});
  EXPECT_TRUE((*runtime)->MakeWait(stream, other).ok());
  EXPECT_EQ(fake.Count("aclrtRecordEvent"), 1);
  EXPECT_EQ(fake.Count("aclrtStreamWaitEvent"), 1);
  fake.FailNext("aclrtRecordEvent", ACL_ERROR_RT_STREAM_CONTEXT, "another device's stream");
  const Status failed = (*runtime)->MakeWait(stream, other);
  EXPECT_NE(failed.message().find("aclrtRecordEvent() failed: 107003"), std::string::npos)
      << failed.ToString();
  EXPECT_EQ(fake.Count("aclrtStreamWaitEvent"), 1);
  EXPECT_EQ(fake.events, 0);
}

}  // namespace
}  // namespace ascend_attention
