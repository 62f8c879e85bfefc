// SPDX-License-Identifier: Apache-2.0
// Settings, descriptions, operators by name, host functions, kernels by symbol.
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/acl_op_abi.h"
#include "tools/vnpu/acl/testing/acl_testing.h"
#include "tools/vnpu/acl/vnpu_extensions.h"

namespace vnpu_acl_test {
namespace {

class SettingsTest : public AclTest {
 protected:
  void SetUp() override {
    AclTest::SetUp();
    ASSERT_ACL(aclrtCreateStream(&stream_));
  }
  void TearDown() override {
    EXPECT_ACL(aclrtDestroyStream(stream_));
    AclTest::TearDown();
  }
  aclrtStream stream_ = nullptr;
};

TEST_F(SettingsTest, StreamAttributesAreGivenBack) {
  aclrtStreamAttrValue value{};
  for (const auto& [attribute, set] :
       {std::pair{ACL_STREAM_ATTR_FAILURE_MODE, 1u},
        std::pair{ACL_STREAM_ATTR_USER_CUSTOM_TAG, 77u},
        std::pair{ACL_STREAM_ATTR_CACHE_OP_INFO, 1u}, std::pair{ACL_STREAM_ATTR_PRIORITY, 3u}}) {
    value = {};
    value.userCustomTag = set;
    ASSERT_ACL(aclrtSetStreamAttribute(stream_, attribute, &value));
    value = {};
    ASSERT_ACL(aclrtGetStreamAttribute(stream_, attribute, &value));
    EXPECT_EQ(value.userCustomTag, set) << attribute;
  }
  value.overflowSwitch = 1;
  ExpectError(aclrtSetStreamAttribute(stream_, ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK, &value),
              207000, {"overflowSwitch = 1"});
  value.streamPriority = 8;
  ExpectError(aclrtSetStreamAttribute(stream_, ACL_STREAM_ATTR_PRIORITY, &value), 107000,
              {"streamPriority = 8", "0 to 7"});
  ExpectError(aclrtSetStreamAttribute(stream_, static_cast<aclrtStreamAttr>(6), &value), 107000,
              {"stmAttrType = 6"});
  ExpectError(aclrtSetStreamFailureMode(stream_, 2), 107000, {"mode = 2"});
  int32_t id = -1, other = -1;
  ASSERT_ACL(aclrtStreamGetId(stream_, &id));
  ASSERT_ACL(aclrtStreamGetId(nullptr, &other));
  EXPECT_NE(id, other);
}

TEST_F(SettingsTest, AStreamThatStopsOnFailureRunsNothingUntilItIsReturned) {
  aclrtBinHandle binary = nullptr;
  aclrtFuncHandle function = nullptr;
  LoadKernel(&binary, &function);
  ASSERT_ACL(aclrtSetStreamFailureMode(stream_, ACL_STOP_ON_FAILURE));
  DeviceBuffer a(Pattern(32, 1)), b(std::vector<uint8_t>(32, 0));
  ASSERT_ACL(LaunchTestKernel(function, 1, stream_, {b.address(), a.address(), 1, kTrap}));
  ASSERT_ACL(LaunchTestKernel(function, 1, stream_, {b.address(), a.address(), 1}));
  ExpectError(aclrtSynchronizeStream(stream_), 507016, {"trap"});
  EXPECT_EQ(b.Read(), std::vector<uint8_t>(32, 0));
  ASSERT_ACL(LaunchTestKernel(function, 1, stream_, {b.address(), a.address(), 1}));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(b.Read(), Pattern(32, 1));
  ASSERT_ACL(aclrtBinaryUnLoad(binary));
}

TEST_F(SettingsTest, DeviceSettings) {
  aclrtFloatOverflowMode mode = ACL_RT_OVERFLOW_MODE_UNDEF;
  ASSERT_ACL(aclrtSetDeviceSatMode(ACL_RT_OVERFLOW_MODE_INFNAN));
  ASSERT_ACL(aclrtGetDeviceSatMode(&mode));
  EXPECT_EQ(mode, ACL_RT_OVERFLOW_MODE_INFNAN);
  ExpectError(aclrtSetDeviceSatMode(ACL_RT_OVERFLOW_MODE_SATURATION), 207000, {"mode = 0"});
  uint64_t actual = 0;
  ASSERT_ACL(aclrtSetOpExecuteTimeOutV2(5000, &actual));
  EXPECT_EQ(actual, 5000u);
  ASSERT_ACL(aclrtSetOpExecuteTimeOut(10));
  int32_t active = 0, logic = -1;
  ASSERT_ACL(aclrtGetPrimaryCtxState(0, nullptr, &active));
  EXPECT_EQ(active, 1);
  ASSERT_ACL(aclrtGetPrimaryCtxState(1, nullptr, &active));
  EXPECT_EQ(active, 0);
  ASSERT_ACL(aclrtGetLogicDevIdByUserDevId(1, &logic));
  EXPECT_EQ(logic, 1);
  ExpectError(aclrtGetLogicDevIdByUserDevId(2, &logic), 107001, {"deviceId = 2"});
  uint32_t cube = 0, vector = 0;
  ASSERT_ACL(aclrtGetDeviceResLimit(0, ACL_RT_DEV_RES_CUBE_CORE, &cube));
  ASSERT_ACL(aclrtGetStreamResLimit(stream_, ACL_RT_DEV_RES_VECTOR_CORE, &vector));
  EXPECT_EQ(cube, 24u);
  EXPECT_EQ(vector, 48u);
  ASSERT_ACL(aclrtGetResInCurrentThread(ACL_RT_DEV_RES_VECTOR_CORE, &vector));
  EXPECT_EQ(vector, 48u);
}

TEST_F(SettingsTest, OptionsAreGivenBack) {
  int64_t value = -1;
  ASSERT_ACL(aclrtGetSysParamOpt(ACL_OPT_STRONG_CONSISTENCY, &value));
  EXPECT_EQ(value, 0);
  ExpectError(aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value), 107021, {"never set"});
  ASSERT_ACL(aclrtSetSysParamOpt(ACL_OPT_STRONG_CONSISTENCY, 1));
  ASSERT_ACL(aclrtCtxSetSysParamOpt(ACL_OPT_DETERMINISTIC, 1));
  ASSERT_ACL(aclrtGetSysParamOpt(ACL_OPT_STRONG_CONSISTENCY, &value));
  EXPECT_EQ(value, 1);
  value = 0;
  ASSERT_ACL(aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value));
  EXPECT_EQ(value, 1);
  ExpectError(aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, 2), 107000, {"value = 2"});
  char text[8] = {};
  ASSERT_ACL(aclSetCompileopt(10, "enable"));
  EXPECT_EQ(aclGetCompileoptSize(10), 7u);
  ASSERT_ACL(aclGetCompileopt(10, text, sizeof(text)));
  EXPECT_STREQ(text, "enable");
  ExpectError(aclGetCompileopt(10, text, 6), 100000, {"needs 7 bytes"});
  ExpectError(aclSetCompileopt(17, "x"), 100000, {"opt = 17"});
}

TEST_F(SettingsTest, DescriptionsHoldWhatWasSet) {
  const int64_t dims[] = {2, 3, 4};
  aclTensorDesc* desc = aclCreateTensorDesc(ACL_FLOAT16, 3, dims, ACL_FORMAT_ND);
  ASSERT_NE(desc, nullptr);
  EXPECT_EQ(aclGetTensorDescType(desc), ACL_FLOAT16);
  EXPECT_EQ(aclGetTensorDescFormat(desc), ACL_FORMAT_ND);
  ASSERT_EQ(aclGetTensorDescNumDims(desc), 3u);
  int64_t dim = 0;
  ASSERT_ACL(aclGetTensorDescDimV2(desc, 2, &dim));
  EXPECT_EQ(dim, 4);
  ExpectError(aclGetTensorDescDimV2(desc, 3, &dim), 100000, {"index = 3", "3 dimensions"});
  aclSetTensorDescName(desc, "x");
  EXPECT_STREQ(aclGetTensorDescName(desc), "x");
  ASSERT_ACL(aclSetTensorFormat(desc, ACL_FORMAT_NCHW));
  ASSERT_ACL(aclSetTensorShape(desc, 3, dims));
  ASSERT_ACL(aclSetTensorPlaceMent(desc, ACL_MEMTYPE_HOST));
  EXPECT_EQ(aclGetTensorDescFormat(desc), ACL_FORMAT_ND);  // the origin's, as in CANN
  EXPECT_EQ(aclGetTensorDescNumDims(nullptr), 0u);
  EXPECT_EQ(aclCreateTensorDesc(ACL_FLOAT16, 3, nullptr, ACL_FORMAT_ND), nullptr);
  EXPECT_NE(RecentMessage().find("dims"), std::string::npos);
  aclDestroyTensorDesc(desc);
  int data = 0;
  aclDataBuffer* buffer = aclCreateDataBuffer(&data, sizeof(data));
  EXPECT_EQ(aclGetDataBufferAddr(buffer), &data);
  EXPECT_EQ(aclGetDataBufferSizeV2(buffer), sizeof(data));
  ASSERT_ACL(aclDestroyDataBuffer(buffer));
}

TEST_F(SettingsTest, OperatorsByNameAreRefusedByName) {
  const int64_t dims[] = {2, 3};
  aclTensorDesc* desc = aclCreateTensorDesc(ACL_FLOAT, 2, dims, ACL_FORMAT_ND);
  const int64_t storage[] = {6};
  ASSERT_ACL(aclSetTensorShape(desc, 1, storage));
  aclopAttr* attr = aclopCreateAttr();
  const int64_t list[] = {1, 2};
  const int64_t* lists[] = {list};
  const int sizes[] = {2};
  const float floats[] = {0.5f};
  const uint8_t bools[] = {1};
  ASSERT_ACL(aclopSetAttrBool(attr, "keep", 1));
  ASSERT_ACL(aclopSetAttrInt(attr, "axis", -1));
  ASSERT_ACL(aclopSetAttrFloat(attr, "eps", 0.25f));
  ASSERT_ACL(aclopSetAttrString(attr, "how", "fast"));
  ASSERT_ACL(aclopSetAttrDataType(attr, "type", ACL_BF16));
  ASSERT_ACL(aclopSetAttrListInt(attr, "axes", 2, list));
  ASSERT_ACL(aclopSetAttrListFloat(attr, "scales", 1, floats));
  ASSERT_ACL(aclopSetAttrListBool(attr, "flags", 1, bools));
  ASSERT_ACL(aclopSetAttrListListInt(attr, "pads", 1, sizes, lists));
  ExpectError(aclopSetAttrInt(attr, nullptr, 0), 100000, {"attrName"});
  ExpectError(aclopSetAttrListInt(attr, "axes", 2, nullptr), 100000, {"values"});
  const aclTensorDesc* inputs[] = {desc};
  ExpectError(aclopCompileAndExecute("Softmax", 1, inputs, nullptr, 1, inputs, nullptr, attr,
                                     ACL_ENGINE_SYS, ACL_COMPILE_SYS, nullptr, stream_),
              207000,
              {"operator Softmax", "type 0 [2, 3] stored as [6]", "axes = [1, 2]", "axis = -1",
               "eps = 0.25", "flags = [1]", "how = fast", "keep = 1", "pads = [[1, 2]]",
               "scales = [0.5]", "type = 27", "enable_aten"});
  aclopDestroyAttr(attr);
  aclDestroyTensorDesc(desc);
  ExpectError(aclmdlInitDump(), 207000, {"dump"});
}

TEST_F(SettingsTest, ProfilingIsOff) {
  EXPECT_EQ(MsprofReportApi(0, nullptr), 0);
  EXPECT_EQ(MsprofGetHashId("abc", 3), MsprofGetHashId("abcd", 3));
  EXPECT_NE(MsprofGetHashId("abc", 3), MsprofGetHashId("abd", 3));
  const uint64_t before = MsprofSysCycleTime();
  EXPECT_LE(before, MsprofSysCycleTime());
}

TEST_F(SettingsTest, CallbacksRunOnTheThreadThatSubscribed) {
  std::atomic<bool> quit{false};
  std::atomic<uint64_t> thread{0};
  std::thread reports([&] {
    thread = static_cast<uint64_t>(pthread_self());
    while (!quit) aclrtProcessReport(5);
    RecentMessage();
  });
  while (thread == 0) std::this_thread::yield();
  struct Call {
    std::atomic<uint64_t> ran_on{0};
  } call;
  const auto note = [](void* data) {
    static_cast<Call*>(data)->ran_on = static_cast<uint64_t>(pthread_self());
  };
  ExpectError(aclrtLaunchCallback(note, &call, ACL_CALLBACK_BLOCK, stream_), 107015,
              {"aclrtSubscribeReport"});
  ASSERT_ACL(aclrtSubscribeReport(thread, stream_));
  ExpectError(aclrtSubscribeReport(thread, stream_), 107011, {"already"});
  ASSERT_ACL(aclrtLaunchCallback(note, &call, ACL_CALLBACK_BLOCK, stream_));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(call.ran_on, thread);
  ASSERT_ACL(aclrtUnSubscribeReport(thread, stream_));
  ExpectError(aclrtProcessReport(0), 107012, {"subscribed to no stream"});
  ASSERT_ACL(aclrtLaunchHostFunc(stream_, note, &call));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_NE(call.ran_on, thread);
  EXPECT_NE(call.ran_on, static_cast<uint64_t>(pthread_self()));
  quit = true;
  reports.join();
  while (!RecentMessage().empty()) {
  }
}

TEST_F(SettingsTest, StreamsWaitForValues) {
  DeviceBuffer word(std::vector<uint8_t>(8, 0)), done(std::vector<uint8_t>(1, 0));
  const struct {
    uint32_t flag;
    uint64_t value, without, with;
  } kCases[] = {{ACL_STREAM_WAIT_VALUE_GEQ, 5, 4, 6},
                {ACL_STREAM_WAIT_VALUE_EQ, 5, 6, 5},
                {ACL_STREAM_WAIT_VALUE_AND, 6, 9, 2},
                {ACL_STREAM_WAIT_VALUE_NOR, 1, ~uint64_t{0}, ~uint64_t{2}}};
  for (const auto& [flag, value, without, with] : kCases) {
    ASSERT_ACL(aclrtValueWrite(word.address(), without, 0, stream_));
    ASSERT_ACL(aclrtSynchronizeStream(stream_));  // before the other stream's write
    ASSERT_ACL(aclrtValueWait(word.address(), value, flag, stream_));
    ASSERT_ACL(aclrtMemsetAsync(done.address(), 1, static_cast<int>(flag) + 1, 1, stream_));
    ExpectError(aclrtSynchronizeStreamWithTimeout(stream_, 20), 507046, {"not done"});
    EXPECT_NE(done.Read()[0], flag + 1);
    ASSERT_ACL(aclrtValueWrite(word.address(), with, 0, nullptr));
    ASSERT_ACL(aclrtSynchronizeStream(stream_));
    EXPECT_EQ(done.Read()[0], flag + 1);
  }
  ExpectError(aclrtValueWrite(word.bytes() + 4, 1, 0, stream_), 107000, {"aligned to 8"});
  ExpectError(aclrtValueWait(word.address(), 1, 4, stream_), 107000, {"flag = 4"});
}

TEST_F(SettingsTest, KernelsByHostSymbol) {
  std::ifstream file(kKernelPath, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const rtDevBinary_t image{ACL_RT_BINARY_MAGIC_ELF_VECTOR_CORE, 0, bytes.data(), bytes.size()};
  static const char symbol = 0;
  void* binary = nullptr;
  ASSERT_ACL(rtDevBinaryRegister(&image, &binary));
  ASSERT_ACL(rtFunctionRegister(binary, &symbol, kKernelName, kKernelName, 0));
  ExpectError(rtFunctionRegister(binary, &symbol, kKernelName, nullptr, 0), 107000,
              {"registered already"});
  DeviceBuffer a(Pattern(32, 1)), b(32);
  KernelArgs args{b.address(), a.address(), 1};
  ExpectError(rtKernelLaunch(&args, 1, &args, sizeof(args), nullptr, stream_), 507027,
              {"rtFunctionRegister"});
  ASSERT_ACL(rtKernelLaunch(&symbol, 1, &args, sizeof(args), nullptr, stream_));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(b.Read(), Pattern(32, 1));
  aclrtFuncHandle function = nullptr;
  void* aic = nullptr;
  void* aiv = nullptr;
  ASSERT_ACL(aclrtBinaryGetFunction(binary, kKernelName, &function));
  ASSERT_ACL(aclrtGetFunctionAddr(function, &aic, &aiv));
  EXPECT_EQ(aic, nullptr);
  EXPECT_NE(aiv, nullptr);
  ASSERT_ACL(rtDevBinaryUnRegister(binary));
  ExpectError(rtKernelLaunch(&symbol, 1, &args, sizeof(args), nullptr, stream_), 507027,
              {"not registered"});
}

TEST_F(SettingsTest, InjectedFailure) {
  aclrtBinHandle binary = nullptr;
  aclrtFuncHandle function = nullptr;
  LoadKernel(&binary, &function);
  DeviceBuffer a(Pattern(32, 1)), b(std::vector<uint8_t>(32, 0));
  EXPECT_EQ(vnpuAclFailLaunch(0, 1, 100000), 1);
  EXPECT_EQ(vnpuAclFailLaunch(2, 1, 507015), 1);
  RecentMessage();
  ASSERT_EQ(vnpuAclFailLaunch(0, 2, 507014), 0);
  const KernelArgs args{b.address(), a.address(), 1};
  ASSERT_ACL(LaunchTestKernel(function, 1, stream_, args));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(b.Read(), Pattern(32, 1));
  ASSERT_ACL(LaunchTestKernel(function, 1, stream_, args));
  ExpectError(aclrtSynchronizeStream(stream_), 507014, {"injected", "acl_test_0", "1 blocks"});
  ASSERT_ACL(LaunchTestKernel(function, 1, stream_, args));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_NE(std::strstr(vnpuAclConfiguration(), "devices=2 soc=Ascend910B1 cores=24"), nullptr);
  ASSERT_ACL(aclrtBinaryUnLoad(binary));
}

}  // namespace
}  // namespace vnpu_acl_test
