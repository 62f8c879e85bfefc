// SPDX-License-Identifier: Apache-2.0
// What concerns the whole process: configuration, versions, fork, exit.
//
// The library reads its environment once, so every test runs in a child. This
// process itself never calls the library.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <iterator>
#include <thread>

#include "tools/vnpu/acl/testing/acl_testing.h"

namespace vnpu_acl_test {
namespace {

using ::testing::ExitedWithCode;

constexpr unsigned kHangSeconds = 60;

// Runs `body` in a child that has 60 s; its gtest failures go to stderr.
void ExpectPassesInChild(const std::function<void()>& body) {
  EXPECT_EXIT(
      {
        alarm(kHangSeconds);
        body();
        std::fflush(nullptr);
        _exit(::testing::Test::HasFailure() ? 1 : 0);
      },
      ExitedWithCode(0), "");
}

// The child leaves through exit(), with all that runs then.
void ExpectExitsCleanly(const std::function<void()>& body) {
  EXPECT_EXIT(
      {
        alarm(kHangSeconds);
        body();
        std::exit(::testing::Test::HasFailure() ? 1 : 0);
      },
      ExitedWithCode(0), "");
}

TEST(ConfigTest, DefaultsAreAnAscend910B1) {
  ExpectPassesInChild([] {
    uint32_t count = 0;
    int64_t value = 0;
    EXPECT_STREQ(aclrtGetSocName(), "Ascend910B1");
    EXPECT_ACL(aclrtGetDeviceCount(&count));
    EXPECT_EQ(count, 1u);
    EXPECT_ACL(aclGetDeviceCapability(0, ACL_DEVICE_INFO_AI_CORE_NUM, &value));
    EXPECT_EQ(value, 24);
    EXPECT_ACL(aclGetDeviceCapability(0, ACL_DEVICE_INFO_VECTOR_CORE_NUM, &value));
    EXPECT_EQ(value, 48);
    EXPECT_ACL(aclGetDeviceCapability(0, ACL_DEVICE_INFO_L2_SIZE, &value));
    EXPECT_EQ(value, 192 << 20);
    EXPECT_ACL(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE, &value));
    EXPECT_EQ(value, int64_t{64} << 30);
    EXPECT_ACL(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE, &value));
    EXPECT_EQ(value, 192 << 10);
    ExpectError(aclGetDeviceCapability(1, ACL_DEVICE_INFO_AI_CORE_NUM, &value), 107001,
                {"deviceId = 1", "0 to 0"});
    ExpectError(aclGetDeviceCapability(0, static_cast<aclDeviceInfo>(3), &value), 100000,
                {"deviceInfo = 3"});
    ExpectError(aclGetDeviceCapability(0, ACL_DEVICE_INFO_L2_SIZE, nullptr), 100000, {"value"});
    ExpectError(aclrtGetDeviceInfo(0, static_cast<aclrtDevAttr>(1), &value), 207000, {"attr = 1"});
  });
}

TEST(ConfigTest, TheEnvironmentDecides) {
  ExpectPassesInChild([] {
    setenv("ASCEND_ATTENTION_VNPU_SOC", "Ascend910B4", 1);
    setenv("ASCEND_ATTENTION_VNPU_DEVICES", "3", 1);
    setenv("ASCEND_ATTENTION_VNPU_HBM_BYTES", "1073741824", 1);
    uint32_t count = 0;
    int64_t value = 0;
    size_t free = 0, total = 0;
    EXPECT_STREQ(aclrtGetSocName(), "Ascend910B4");
    EXPECT_ACL(aclrtGetDeviceCount(&count));
    EXPECT_EQ(count, 3u);
    EXPECT_ACL(aclGetDeviceCapability(2, ACL_DEVICE_INFO_AI_CORE_NUM, &value));
    EXPECT_EQ(value, 20);  // that part's own count
    EXPECT_ACL(aclrtSetDevice(2));
    EXPECT_ACL(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total));
    EXPECT_EQ(total, size_t{1} << 30);
    setenv("ASCEND_ATTENTION_VNPU_DEVICES", "5", 1);  // too late
    EXPECT_ACL(aclrtGetDeviceCount(&count));
    EXPECT_EQ(count, 3u);
  });
  ExpectPassesInChild([] {
    setenv("ASCEND_ATTENTION_VNPU_CORES", "25", 1);
    setenv("ASCEND_ATTENTION_VNPU_THREADS", "1", 1);
    int64_t value = 0;
    EXPECT_ACL(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_CUBE_CORE_NUM, &value));
    EXPECT_EQ(value, 25);
  });
}

TEST(ConfigTest, ABadValueIsAnErrorOfTheFirstCallThatNamesIt) {
  const struct {
    const char* variable;
    const char* value;
    const char* expected;
  } kBad[] = {
      {"ASCEND_ATTENTION_VNPU_CORES", "0", "1 to 128"},
      {"ASCEND_ATTENTION_VNPU_CORES", "24x", "1 to 128"},
      {"ASCEND_ATTENTION_VNPU_CORES", "", "1 to 128"},
      {"ASCEND_ATTENTION_VNPU_SOC", "Ascend310P", "Ascend910B1, Ascend910B2"},
      {"ASCEND_ATTENTION_VNPU_HBM_BYTES", "-1", "1048576 to"},
      {"ASCEND_ATTENTION_VNPU_THREADS", "99999999999999999999", "0 to 1024"},
      {"ASCEND_ATTENTION_VNPU_TIMEOUT_SECONDS", "1.5", "0 to 86400"},
      {"ASCEND_ATTENTION_VNPU_DEVICES", "17", "1 to 16"},
      {"ASCEND_ATTENTION_VNPU_CHECK", "races", "none, all, or a list of race, memory"},
  };
  for (const auto& bad : kBad) {
    ExpectPassesInChild([&bad] {
      setenv(bad.variable, bad.value, 1);
      const std::string setting = std::string(bad.variable) + " = '" + bad.value + "'";
      uint32_t count = 0;
      EXPECT_EQ(aclrtGetSocName(), nullptr);
      EXPECT_NE(RecentMessage().find(setting), std::string::npos);
      ExpectError(aclrtGetDeviceCount(&count), ACL_ERROR_RT_DEV_SETUP_ERROR,
                  {"aclrtGetDeviceCount", setting.c_str(), bad.expected});
      unsetenv(bad.variable);  // a caller may put it right and go on
      EXPECT_ACL(aclrtGetDeviceCount(&count));
    });
  }
}

// Twice with the race, to see that the device is as good as new.
void LaunchWithRace(bool is_found) {
  EXPECT_ACL(aclrtSetDevice(0));
  aclrtBinHandle binary = nullptr;
  aclrtFuncHandle function = nullptr;
  LoadKernel(&binary, &function);
  const DeviceBuffer src(Pattern(4096, 1));
  const DeviceBuffer dst(4096);
  for (int i = 0; i < 2; ++i) {
    EXPECT_ACL(LaunchTestKernel(function, 1, nullptr, {dst.address(), src.address(), 8, kCopy}));
    EXPECT_ACL(aclrtSynchronizeDevice());
    EXPECT_ACL(
        LaunchTestKernel(function, 1, nullptr, {dst.address(), src.address(), 8, kForgetPair}));
    if (!is_found) {
      EXPECT_ACL(aclrtSynchronizeDevice());
      continue;
    }
    ExpectError(aclrtSynchronizeDevice(), 507015,
                {"race", "copy_ubuf_to_gm", "acl_test.cce:22", "missing", "fix"});
  }
}

TEST(CheckTest, AFindingFailsTheLaunchWithItsReport) {
  for (const char* checks : {"all", "race", "memory,race"}) {
    ExpectPassesInChild([checks] {
      setenv("ASCEND_ATTENTION_VNPU_CHECK", checks, 1);
      LaunchWithRace(true);
    });
  }
}

TEST(CheckTest, WithoutTheCheckerTheRacePasses) {
  for (const char* checks : {"none", "memory"}) {
    ExpectPassesInChild([checks] {
      setenv("ASCEND_ATTENTION_VNPU_CHECK", checks, 1);
      LaunchWithRace(false);
    });
  }
}

TEST(InitTest, InitAndFinalizeCountOnce) {
  ExpectPassesInChild([] {
    ExpectError(aclFinalize(), 100001, {"aclInit was not called"});
    EXPECT_ACL(aclInit(nullptr));
    ExpectError(aclInit(nullptr), 100002, {"aclInit", "already called"});
    EXPECT_ACL(aclFinalize());
    ExpectError(aclFinalize(), 100037, {"already called"});
    ExpectError(aclInit("/nowhere/acl.json"), 100003, {"/nowhere/acl.json"});
    EXPECT_ACL(aclInit(nullptr));
  });
}

TEST(InitTest, ItIsTheVirtualOneAndFollowsCann850) {
  ExpectPassesInChild([] {
    EXPECT_EQ(vnpu_abi_version(), 1);
    aclCANNPackageVersion version;
    EXPECT_ACL(aclsysGetCANNVersion(ACL_PKG_NAME_RUNTIME, &version));
    EXPECT_STREQ(version.version, "8.5.0");
    EXPECT_STREQ(version.majorVersion, "8");
    EXPECT_STREQ(version.minorVersion, "5");
    char text[ACL_PKG_VERSION_MAX_SIZE];
    char runtime[] = "runtime";
    char unknown[] = "nonesuch";
    EXPECT_ACL(aclsysGetVersionStr(runtime, text));
    EXPECT_STREQ(text, "8.5.0");
    ExpectError(aclsysGetVersionStr(unknown, text), 100003, {"pkgName = 'nonesuch'"});
    ExpectError(aclsysGetCANNVersion(static_cast<aclCANNPackageName>(8), &version), 100000,
                {"name = 8"});
    ExpectError(aclrtGetLastError(static_cast<aclrtLastErrLevel>(1)), 107000, {"level = 1"});
  });
}

// Forks again inside of the child; true if the grandchild found all well.
bool PassesInFork(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(kHangSeconds);
    body();
    std::fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(ForkTest, AForkedChildIsRefusedWithoutHanging) {
  ExpectPassesInChild([] {
    ASSERT_ACL(aclrtSetDevice(0));
    aclrtStream stream = nullptr;
    ASSERT_ACL(aclrtCreateStream(&stream));
    const DeviceBuffer device(std::vector<uint8_t>(1, 0));
    ASSERT_ACL(aclrtMemsetAsync(device.address(), 1, 1, 1, stream));
    Gate gate(stream);
    EXPECT_TRUE(PassesInFork([&] {
      for (const aclError got :
           {aclrtSynchronizeStream(stream), aclrtSynchronizeDevice(), aclrtSetDevice(0),
            aclrtMemsetAsync(device.address(), 1, 1, 1, stream), aclrtDestroyStream(stream)}) {
        EXPECT_EQ(got, ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
      }
      EXPECT_NE(RecentMessage().find("forked"), std::string::npos);
      EXPECT_EQ(RecentMessage(), "");
      EXPECT_EQ(aclrtGetSocName(), nullptr);
    }));
    gate.Open();
    EXPECT_ACL(aclrtSynchronizeStream(stream));  // the parent goes on
    EXPECT_ACL(aclrtDestroyStream(stream));
  });
}

TEST(ForkTest, AForkBeforeTheFirstCallIsFine) {
  ExpectPassesInChild([] {
    EXPECT_TRUE(PassesInFork([] {
      EXPECT_ACL(aclrtSetDevice(0));
      EXPECT_ACL(aclrtSynchronizeDevice());
    }));
    EXPECT_ACL(aclrtSetDevice(0));
  });
}

TEST(ExitTest, LiveStreamsDoNotHoldUpTheExit) {
  ExpectExitsCleanly([] {
    ASSERT_ACL(aclrtSetDevice(0));
    aclrtStream stuck = nullptr;
    aclrtEvent never = nullptr;
    ASSERT_ACL(aclrtCreateStream(&stuck));
    ASSERT_ACL(aclrtCreateEventWithFlag(&never, ACL_EVENT_SYNC));
    ASSERT_ACL(aclrtStreamWaitEvent(stuck, never));
    ASSERT_ACL(aclrtStreamWaitEvent(nullptr, never));
  });
}

TEST(ExitTest, WorkUnderWayDoesNotCrashTheExit) {
  ExpectExitsCleanly([] {
    ASSERT_ACL(aclrtSetDevice(0));
    constexpr size_t kBytes = 1 << 20;
    for (int s = 0; s < 8; ++s) {
      void* block = nullptr;
      aclrtStream stream = nullptr;
      ASSERT_ACL(aclrtMalloc(&block, kBytes, ACL_MEM_MALLOC_HUGE_FIRST));
      ASSERT_ACL(aclrtCreateStream(&stream));
      for (int i = 0; i < 1000; ++i) {
        ASSERT_ACL(aclrtMemsetAsync(block, kBytes, i, kBytes, stream));
      }
    }
  });
}

TEST(ExitTest, AKernelUnderWayDoesNotCrashTheExit) {
  ExpectExitsCleanly([] {
    ASSERT_ACL(aclrtSetDevice(0));
    aclrtBinHandle binary = nullptr;
    aclrtFuncHandle function = nullptr;
    LoadKernel(&binary, &function);
    void* block = nullptr;
    ASSERT_ACL(aclrtMalloc(&block, 1 << 20, ACL_MEM_MALLOC_HUGE_FIRST));
    ASSERT_ACL(aclrtMemset(block, 1 << 20, 0, 1 << 20));
    for (int i = 0; i < 200; ++i) {
      ASSERT_ACL(LaunchTestKernel(function, 24, nullptr, {block, block, 1024, kCopy}));
    }
  });
}

size_t CountThreads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

struct LateCaller {
  aclrtStream stream = nullptr;
  aclrtEvent event = nullptr;
  size_t threads_before = 0;
  ~LateCaller() {
    if (stream == nullptr) return;
    if (CountThreads() != threads_before) _exit(3);
    if (aclrtRecordEvent(event, nullptr) != ACL_ERROR_RT_STREAM_ABORT) _exit(4);
    if (aclrtDestroyStream(stream) != ACL_SUCCESS) _exit(5);
  }
};

// Its destructor runs after the library's own end.
LateCaller late_caller;

TEST(ExitTest, AtExitTheWorkersAreGoneAndDestructorsMayStillCall) {
  ExpectExitsCleanly([] {
    late_caller.threads_before = CountThreads();
    ASSERT_ACL(aclrtSetDevice(0));
    ASSERT_ACL(aclrtCreateStream(&late_caller.stream));
    ASSERT_ACL(aclrtCreateEvent(&late_caller.event));
    ASSERT_ACL(aclrtRecordEvent(late_caller.event, late_caller.stream));
  });
}

TEST(ErrorTest, TextsOfThreadsDoNotMix) {
  ExpectPassesInChild([] {
    aclrtFree(nullptr);
    std::thread([] {
      aclrtFreeHost(nullptr);
      EXPECT_EQ(RecentMessage(), "aclrtFreeHost: hostPtr is a null pointer");
      EXPECT_EQ(RecentMessage(), "aclrtFree: devPtr is a null pointer");
    }).join();
    EXPECT_EQ(RecentMessage(), "");
    EXPECT_EQ(aclrtGetLastError(ACL_RT_THREAD_LEVEL), 100000);
    for (int i = 0; i < 1000; ++i) aclrtFree(nullptr);  // nobody asks: nothing piles up
    EXPECT_EQ(RecentMessage(), "aclrtFree: devPtr is a null pointer");
    EXPECT_EQ(RecentMessage(), "");
  });
}

}  // namespace
}  // namespace vnpu_acl_test
