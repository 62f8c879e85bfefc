// SPDX-License-Identifier: Apache-2.0
// Kernel binaries and launches, with a real kernel on the virtual cores.
#include <elf.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "tools/vnpu/acl/testing/acl_testing.h"

#ifndef __has_feature  // clang has it, gcc 12 does not
#define __has_feature(feature) 0
#endif

namespace vnpu_acl_test {
namespace {

const bool environment_set = [] {
  setenv("ASCEND_ATTENTION_VNPU_DEVICES", "2", 1);
  setenv("ASCEND_ATTENTION_VNPU_CORES", "4", 1);
  return true;
}();

constexpr size_t kPieceBytes = 256;
constexpr uint32_t kPieceDatablocks = kPieceBytes / 32;

std::vector<char> KernelBytes() {
  std::ifstream file(kKernelPath, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class LaunchTest : public AclTest {
 protected:
  void SetUp() override {
    AclTest::SetUp();
    LoadKernel(&binary_, &function_);
    ASSERT_ACL(aclrtCreateStream(&stream_));
  }
  void TearDown() override {
    EXPECT_ACL(aclrtDestroyStream(stream_));
    EXPECT_ACL(aclrtBinaryUnLoad(binary_));
    AclTest::TearDown();
  }
  aclrtBinHandle binary_ = nullptr;
  aclrtFuncHandle function_ = nullptr;
  aclrtStream stream_ = nullptr;
};

TEST_F(LaunchTest, EveryBlockDoesItsPart) {
  for (const uint32_t num_blocks : {1u, 3u, 8u, 13u}) {  // also more than there are cores
    const std::vector<uint8_t> content = Pattern(num_blocks * kPieceBytes, num_blocks);
    const DeviceBuffer src(content);
    const DeviceBuffer dst(content.size());
    ASSERT_ACL(LaunchTestKernel(function_, num_blocks, stream_,
                                {dst.address(), src.address(), kPieceDatablocks, kCopy}));
    ASSERT_ACL(aclrtSynchronizeStream(stream_));
    EXPECT_EQ(dst.Read(), content) << num_blocks;
  }
}

TEST_F(LaunchTest, ArgumentsAreTakenAtTheCall) {
  const std::vector<uint8_t> content = Pattern(kPieceBytes, 1);
  const DeviceBuffer src(content);
  const DeviceBuffer dst(kPieceBytes);
  KernelArgs args{dst.address(), src.address(), kPieceDatablocks, kCopy};
  {
    Gate gate(stream_);
    ASSERT_ACL(aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, &args, sizeof(args),
                                             nullptr, 0));
    args = {};
  }
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(dst.Read(), content);
}

// The kernel's source is data that travels with the arguments.
TEST_F(LaunchTest, PlaceHoldersPointAtDataThatTravelsWithTheLaunch) {
  struct Packet {
    KernelArgs args;
    alignas(32) uint8_t data[kPieceBytes];
  } packet;
  size_t free_before = 0, free_after = 0, total = 0;
  const std::vector<uint8_t> content = Pattern(kPieceBytes, 2);
  const DeviceBuffer dst(kPieceBytes);
  ASSERT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free_before, &total));
  packet.args = {dst.address(), nullptr, kPieceDatablocks, kCopy};
  std::memcpy(packet.data, content.data(), kPieceBytes);
  aclrtPlaceHolderInfo holder{offsetof(KernelArgs, src), offsetof(Packet, data)};
  {
    Gate gate(stream_);
    ASSERT_ACL(aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, &packet,
                                             sizeof(packet), &holder, 1));
    packet = {};
  }
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(dst.Read(), content);
  ASSERT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free_after, &total));
  EXPECT_EQ(free_after, free_before);
}

TEST_F(LaunchTest, BadPlaceHoldersAreNamed) {
  KernelArgs args;
  const auto launch = [&](aclrtPlaceHolderInfo holder) {
    return aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, &args, sizeof(args),
                                         &holder, 1);
  };
  ExpectError(launch({20, 0}), 107000, {"placeHolderArray[0].addrOffset = 20", "multiple of 8"});
  ExpectError(launch({24, 0}), 107000, {"placeHolderArray[0].addrOffset = 24", "argsSize = 24"});
  ExpectError(launch({8, 24}), 107000, {"placeHolderArray[0].dataOffset = 24"});
  ExpectError(aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, &args, sizeof(args),
                                            nullptr, 1),
              100000, {"placeHolderArray is a null pointer"});
}

TEST_F(LaunchTest, LaunchAttributesAreChecked) {
  const std::vector<uint8_t> content = Pattern(kPieceBytes, 3);
  const DeviceBuffer src(content);
  const DeviceBuffer dst(kPieceBytes);
  KernelArgs args{dst.address(), src.address(), kPieceDatablocks, kCopy};
  aclrtLaunchKernelAttr attrs[2] = {};
  const auto launch = [&](size_t count) {
    aclrtLaunchKernelCfg cfg{attrs, count};
    return aclrtLaunchKernelWithHostArgs(function_, 1, stream_, &cfg, &args, sizeof(args), nullptr,
                                         0);
  };
  attrs[0].id = ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE;
  attrs[0].value.schemMode = 1;
  attrs[1].id = ACL_RT_LAUNCH_KERNEL_ATTR_BLOCK_TASK_PREFETCH;
  ASSERT_ACL(launch(2));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(dst.Read(), content);
  aclrtLaunchKernelCfg at_once{attrs, 1};
  ExpectError(aclrtLaunchKernelWithHostArgs(function_, 9, stream_, &at_once, &args, sizeof(args),
                                            nullptr, 0),
              107000, {"numBlocks = 9 with schemMode = 1", "4 cores and 8 vector cores"});
  attrs[0].value.schemMode = 2;
  ExpectError(launch(1), 107000, {"cfg->attrs[0].schemMode = 2"});
  attrs[0].value.schemMode = 0;
  attrs[1].id = ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT;
  ExpectError(launch(2), 207000, {"cfg->attrs[1]", "time-out"});
  attrs[1].id = ACL_RT_LAUNCH_KERNEL_ATTR_ENGINE_TYPE;
  ExpectError(launch(2), 207000, {"cfg->attrs[1].id = 3"});
}

TEST_F(LaunchTest, BadLaunchArgumentsAreNamed) {
  KernelArgs args;
  ExpectError(aclrtLaunchKernelWithHostArgs(nullptr, 1, stream_, nullptr, &args, 24, nullptr, 0),
              100000, {"funcHandle is a null pointer"});
  ExpectError(aclrtLaunchKernelWithHostArgs(binary_, 1, stream_, nullptr, &args, 24, nullptr, 0),
              107017, {"is a binary handle: expected a function handle"});
  ExpectError(LaunchTestKernel(function_, 0, stream_, {}), 107000, {"numBlocks = 0"});
  ExpectError(LaunchTestKernel(function_, 65536, stream_, {}), 107000, {"numBlocks = 65536"});
  ExpectError(
      aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, nullptr, 24, nullptr, 0),
      100000, {"hostArgs is a null pointer"});
  ExpectError(LaunchTestKernel(function_, 1, &args, {}), 107017, {"stream = ", "is not a stream"});
}

// A failing kernel: the synchronise returns the code once, the text is the
// machine's report, and the stream works on.
TEST_F(LaunchTest, FaultsComeOutOfTheNextSynchroniseOnce) {
  const std::vector<uint8_t> content = Pattern(kPieceBytes, 4);
  const DeviceBuffer src(content);
  const DeviceBuffer dst(kPieceBytes);
  const KernelArgs good{dst.address(), src.address(), kPieceDatablocks, kCopy};
  KernelArgs beyond = good;  // one datablock more than src has
  beyond.num_datablocks += 1;
  KernelArgs trapping = good;
  trapping.mode = kTrap;
  KernelArgs hanging = good;
  hanging.mode = kForgetFlag;
  const struct {
    KernelArgs args;
    aclError code;
    std::vector<const char*> parts;
  } kFaults[] = {
      {beyond, 507015, {"copy_gm_to_ubuf", "288 bytes", "acl_test.cce"}},
      {trapping, 507016, {"trap", "acl_test.cce"}},
      {hanging, 507014, {"deadlock", "EVENT_ID0", "acl_test.cce"}},
  };
  for (const auto& fault : kFaults) {
    ASSERT_ACL(LaunchTestKernel(function_, 1, stream_, fault.args));
    ASSERT_ACL(LaunchTestKernel(function_, 1, stream_, good));  // later tasks still run
    const aclError got = aclrtSynchronizeStream(stream_);
    EXPECT_EQ(aclrtPeekAtLastError(ACL_RT_THREAD_LEVEL), fault.code);
    EXPECT_EQ(aclrtGetLastError(ACL_RT_THREAD_LEVEL), fault.code);
    EXPECT_EQ(aclrtGetLastError(ACL_RT_THREAD_LEVEL), ACL_SUCCESS);
    const std::string text = RecentMessage();
    EXPECT_EQ(got, fault.code) << text;
    for (const char* part : fault.parts) EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_NE(text.find(kKernelName), std::string::npos) << text;
    EXPECT_EQ(RecentMessage(), "");
    EXPECT_ACL(aclrtSynchronizeStream(stream_));
    EXPECT_EQ(dst.Read(), content);
    ASSERT_ACL(aclrtMemset(dst.address(), kPieceBytes, 0, kPieceBytes));
  }
}

TEST_F(LaunchTest, OfSeveralFailuresTheFirstIsReturned) {
  const DeviceBuffer src(Pattern(kPieceBytes, 5));
  KernelArgs args{src.address(), src.address(), kPieceDatablocks, kTrap};
  ASSERT_ACL(LaunchTestKernel(function_, 1, stream_, args));
  args.mode = kForgetFlag;
  ASSERT_ACL(LaunchTestKernel(function_, 1, stream_, args));
  ExpectError(aclrtSynchronizeDevice(), 507016, {"trap"});
  EXPECT_ACL(aclrtSynchronizeDevice());
}

TEST_F(LaunchTest, AnEventReturnsTheFailuresBeforeIt) {
  const DeviceBuffer src(Pattern(kPieceBytes, 6));
  const KernelArgs trapping{src.address(), src.address(), kPieceDatablocks, kTrap};
  aclrtEvent before = nullptr;
  aclrtEvent after = nullptr;
  ASSERT_ACL(aclrtCreateEvent(&before));
  ASSERT_ACL(aclrtCreateEvent(&after));
  ASSERT_ACL(aclrtRecordEvent(before, stream_));
  ASSERT_ACL(LaunchTestKernel(function_, 1, stream_, trapping));
  ASSERT_ACL(aclrtRecordEvent(after, stream_));
  aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
  aclError queried = ACL_SUCCESS;
  while (queried == ACL_SUCCESS) queried = aclrtStreamQuery(stream_, &status);
  ExpectError(queried, 507016, {"trap"});  // a query tells, but does not clear
  EXPECT_ACL(aclrtSynchronizeEvent(before));
  ExpectError(aclrtSynchronizeEvent(after), 507016, {"trap"});
  EXPECT_ACL(aclrtSynchronizeEvent(after));
  EXPECT_ACL(aclrtDestroyEvent(before));
  EXPECT_ACL(aclrtDestroyEvent(after));
}

TEST_F(LaunchTest, AFailureOutlivesItsStream) {
  const DeviceBuffer src(Pattern(kPieceBytes, 7));
  aclrtStream gone = nullptr;
  ASSERT_ACL(aclrtCreateStream(&gone));
  ASSERT_ACL(LaunchTestKernel(function_, 1, gone,
                              {src.address(), src.address(), kPieceDatablocks, kTrap}));
  ASSERT_ACL(aclrtDestroyStream(gone));
  ExpectError(aclrtSynchronizeDevice(), 507016, {"trap"});
}

TEST_F(LaunchTest, AnotherThreadMayAskForTheText) {
  const DeviceBuffer src(Pattern(kPieceBytes, 8));
  ASSERT_ACL(LaunchTestKernel(function_, 1, stream_,
                              {src.address(), src.address(), kPieceDatablocks, kTrap}));
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 507016);
  std::string text;
  std::thread([&text] { text = RecentMessage(); }).join();
  EXPECT_NE(text.find("trap"), std::string::npos) << text;
  EXPECT_EQ(RecentMessage(), "");
}

TEST_F(LaunchTest, TwoDevicesRunTheSameFunction) {
  const std::vector<uint8_t> content = Pattern(kPieceBytes, 9);
  ASSERT_ACL(aclrtSetDevice(1));
  {
    const DeviceBuffer src(content);
    const DeviceBuffer dst(kPieceBytes);
    ASSERT_ACL(LaunchTestKernel(function_, 1, nullptr,
                                {dst.address(), src.address(), kPieceDatablocks, kCopy}));
    ASSERT_ACL(aclrtSynchronizeDevice());
    EXPECT_EQ(dst.Read(), content);
  }
  EXPECT_ACL(aclrtResetDevice(1));
  ASSERT_ACL(aclrtSetDevice(0));
}

TEST_F(LaunchTest, ABinaryMayBeUnloadedUnderAQueuedLaunch) {
  const std::vector<uint8_t> content = Pattern(kPieceBytes, 10);
  const DeviceBuffer src(content);
  const DeviceBuffer dst(kPieceBytes);
  aclrtBinHandle binary = nullptr;
  aclrtFuncHandle function = nullptr;
  aclrtFuncHandle again = nullptr;
  const std::vector<char> bytes = KernelBytes();
  aclrtBinaryLoadOption option{};
  option.type = ACL_RT_BINARY_LOAD_OPT_MAGIC;
  option.value.magic = ACL_RT_BINARY_MAGIC_ELF_AICORE;
  const aclrtBinaryLoadOptions options{&option, 1};
  ASSERT_ACL(aclrtBinaryLoadFromData(bytes.data(), bytes.size(), &options, &binary));
  ASSERT_ACL(aclrtBinaryGetFunction(binary, kKernelName, &function));
  ASSERT_ACL(aclrtBinaryGetFunction(binary, kKernelName, &again));
  EXPECT_EQ(function, again);
  const KernelArgs args{dst.address(), src.address(), kPieceDatablocks, kCopy};
  {
    Gate gate(stream_);
    ASSERT_ACL(LaunchTestKernel(function, 1, stream_, args));
    ASSERT_ACL(aclrtBinaryUnLoad(binary));
  }
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(dst.Read(), content);
  ExpectError(LaunchTestKernel(function, 1, stream_, args), 107017, {"funcHandle", "destroyed"});
  ExpectError(aclrtBinaryUnLoad(binary), 107017, {"binHandle", "destroyed"});
}

TEST_F(LaunchTest, BinariesThatCannotRunHereAreRefused) {
  aclrtBinHandle binary = nullptr;
  aclrtFuncHandle function = nullptr;
  std::vector<char> bytes = KernelBytes();
  ASSERT_GT(bytes.size(), sizeof(Elf64_Ehdr));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.e_machine = 0x1029;  // an AI core's
  std::memcpy(bytes.data(), &header, sizeof(header));
  ExpectError(aclrtBinaryLoadFromData(bytes.data(), bytes.size(), nullptr, &binary), 107000,
              {"machine 0x1029", "real Ascend NPU", "--config=a2"});
  ExpectError(aclrtBinaryLoadFromData("not a kernel", 12, nullptr, &binary), 107000,
              {"data is not an ELF file (12 bytes)"});
  ExpectError(aclrtBinaryLoadFromData(nullptr, 12, nullptr, &binary), 100000, {"data is a null"});
  ExpectError(aclrtBinaryLoadFromFile(kKernelPath, nullptr, &binary), 107000, {"absolute path"});
  ExpectError(aclrtBinaryLoadFromFile("/nowhere/kernel.o", nullptr, &binary), 107009,
              {"/nowhere/kernel.o", "No such file"});
  ExpectError(aclrtBinaryLoadFromFile("/proc/self/cmdline", nullptr, &binary), 107000,
              {"not an ELF file"});
  aclrtBinaryLoadOption option{};
  option.type = ACL_RT_BINARY_LOAD_OPT_MAGIC;
  option.value.magic = ACL_RT_BINARY_MAGIC_ELF_AICORE;
  aclrtBinaryLoadOptions options{&option, 1};
  ExpectError(aclrtBinaryLoadFromFile("/nowhere/kernel.o", &options, &binary), 107000,
              {"options[0]", "aclrtBinaryLoadFromData"});
  EXPECT_EQ(binary, nullptr);
  ExpectError(aclrtBinaryGetFunction(binary_, "acl_test", &function), 507027,
              {"kernelName = 'acl_test'", "<entry>_<key>"});
  ExpectError(aclrtBinaryGetFunction(binary_, nullptr, &function), 100000, {"kernelName"});
  ExpectError(aclrtBinaryGetFunction(nullptr, "x_0", &function), 100000, {"binHandle"});
}

TEST_F(LaunchTest, SyncRegistersHaveOneAddressPerDeviceOutsideOfMemory) {
  void* address = nullptr;
  void* again = nullptr;
  void* other = nullptr;
  uint64_t value = 0;
  uint32_t bytes = 0;
  aclrtPtrAttributes attributes;
  ASSERT_ACL(aclrtGetHardwareSyncAddr(&address));
  ASSERT_ACL(aclrtGetHardwareSyncAddr(&again));
  ASSERT_ACL(rtGetC2cCtrlAddr(&value, &bytes));
  EXPECT_NE(address, nullptr);
  EXPECT_EQ(address, again);
  EXPECT_EQ(reinterpret_cast<uint64_t>(address), value);
  EXPECT_GT(bytes, 0u);
  ASSERT_ACL(aclrtPointerGetAttributes(address, &attributes));
  EXPECT_EQ(attributes.location.type, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
  ASSERT_ACL(aclrtSetDevice(1));
  ASSERT_ACL(aclrtGetHardwareSyncAddr(&other));
  EXPECT_NE(other, address);
  EXPECT_ACL(aclrtResetDevice(1));
  ASSERT_ACL(aclrtSetDevice(0));
  ExpectError(aclrtGetHardwareSyncAddr(nullptr), 100000, {"addr is a null pointer"});
}

// Kernels get the address as an argument; another one would signal into memory.
TEST_F(LaunchTest, KernelsMustHandTheSyncAddressOn) {
  void* address = nullptr;
  ASSERT_ACL(aclrtGetHardwareSyncAddr(&address));
  const DeviceBuffer wild(kPieceBytes);
  const auto launch = [&](void* given) {
    return LaunchTestKernel(function_, 1, stream_,
                            {wild.address(), given, kPieceDatablocks, vnpu_acl_test::kSyncAddress});
  };
  ASSERT_ACL(launch(address));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  ASSERT_ACL(launch(nullptr));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  ASSERT_ACL(launch(wild.address()));
  ExpectError(aclrtSynchronizeStream(stream_), 507015,
              {"bad argument: set_ffts_base_addr(0x", "acl_test.cce"});
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(LaunchTest, TenThousandLaunchesLeaveNothingBehind) {
  const DeviceBuffer dst(32);
  struct Packet {
    KernelArgs args;
    alignas(32) uint8_t data[32];
  } packet{{dst.address(), nullptr, 1, kCopy}, {}};
  aclrtPlaceHolderInfo holder{offsetof(KernelArgs, src), offsetof(Packet, data)};
  const auto run = [&](int launches) {
    for (int i = 0; i < launches; ++i) {
      std::memset(packet.data, i, sizeof(packet.data));
      ASSERT_ACL(aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, &packet,
                                               sizeof(packet), &holder, 1));
      if (i % 100 == 99) {
        ASSERT_ACL(aclrtSynchronizeStream(stream_));
      }
    }
  };
  run(1000);
  size_t free_before = 0, free_after = 0, total = 0;
  ASSERT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free_before, &total));
  const size_t resident_before = ResidentBytes();
  run(10000);
  EXPECT_EQ(dst.Read(), std::vector<uint8_t>(32, static_cast<uint8_t>(9999)));
  ASSERT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free_after, &total));
  EXPECT_EQ(free_after, free_before);
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
  // The sanitizer keeps freed memory for a while.
  EXPECT_LT(ResidentBytes(), resident_before + (size_t{1} << 20));
#else
  static_cast<void>(resident_before);
#endif
}

}  // namespace
}  // namespace vnpu_acl_test
