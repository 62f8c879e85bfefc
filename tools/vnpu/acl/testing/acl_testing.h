// SPDX-License-Identifier: Apache-2.0
// What the tests of the ACL layer share. They use the C interface only, as any
// application would.
#ifndef VNPU_ACL_TESTING_ACL_TESTING_H_
#define VNPU_ACL_TESTING_ACL_TESTING_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include "tools/vnpu/acl/acl_abi.h"
#include "tools/vnpu/acl/testing/acl_test_args.h"

namespace vnpu_acl_test {

// Relative to the folder tests run in.
constexpr char kKernelPath[] = "tools/vnpu/acl/testing/acl_test.so";
constexpr char kKernelName[] = "acl_test_0";

inline std::string RecentMessage() {
  const char* text = aclGetRecentErrMsg();
  return text != nullptr ? text : "";
}

#define ASSERT_ACL(call) ASSERT_EQ(call, ACL_SUCCESS) << ::vnpu_acl_test::RecentMessage()
#define EXPECT_ACL(call) EXPECT_EQ(call, ACL_SUCCESS) << ::vnpu_acl_test::RecentMessage()

// `got` is `code`, and the text that goes with it has all the parts.
inline void ExpectError(aclError got, aclError code, std::initializer_list<const char*> parts) {
  const std::string text = RecentMessage();
  EXPECT_EQ(got, code) << text;
  for (const char* part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
  }
}

// Holds a stream back until it is opened.
class Gate {
 public:
  explicit Gate(aclrtStream stream) {
    EXPECT_ACL(aclrtCreateStream(&opener_));
    EXPECT_ACL(aclrtCreateEventWithFlag(&event_, ACL_EVENT_SYNC));
    EXPECT_ACL(aclrtStreamWaitEvent(stream, event_));
  }
  ~Gate() {
    Open();
    EXPECT_ACL(aclrtDestroyStream(opener_));
    EXPECT_ACL(aclrtDestroyEvent(event_));
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void Open() {
    if (open_) return;
    EXPECT_ACL(aclrtRecordEvent(event_, opener_));
    open_ = true;
  }
  aclrtEvent event() const { return event_; }

 private:
  aclrtStream opener_ = nullptr;
  aclrtEvent event_ = nullptr;
  bool open_ = false;
};

// Device memory with the bytes of a vector.
class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t bytes) : bytes_(bytes) {
    EXPECT_ACL(aclrtMallocAlign32(&address_, bytes, ACL_MEM_MALLOC_HUGE_FIRST));
  }
  explicit DeviceBuffer(const std::vector<uint8_t>& content) : DeviceBuffer(content.size()) {
    EXPECT_ACL(aclrtMemcpy(address_, bytes_, content.data(), bytes_, ACL_MEMCPY_HOST_TO_DEVICE));
  }
  ~DeviceBuffer() {
    if (address_ == nullptr) return;
    EXPECT_ACL(aclrtFree(address_));
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  void* address() const { return address_; }
  uint8_t* bytes() const { return static_cast<uint8_t*>(address_); }
  std::vector<uint8_t> Read() const {
    std::vector<uint8_t> content(bytes_);
    EXPECT_ACL(aclrtMemcpy(content.data(), bytes_, address_, bytes_, ACL_MEMCPY_DEVICE_TO_HOST));
    return content;
  }

 private:
  size_t bytes_;
  void* address_ = nullptr;
};

// Bytes that differ from one another over any short range.
inline std::vector<uint8_t> Pattern(size_t bytes, uint32_t seed) {
  std::vector<uint8_t> content(bytes);
  uint32_t state = seed * 2654435761u + 1;
  for (uint8_t& byte : content) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return content;
}

// The argument struct of the test kernel.
struct KernelArgs {
  const void* dst = nullptr;
  const void* src = nullptr;
  uint32_t num_datablocks = 0;
  uint32_t mode = kCopy;
};

// Loads the test kernel.
inline void LoadKernel(aclrtBinHandle* binary, aclrtFuncHandle* function) {
  char* path = realpath(kKernelPath, nullptr);
  ASSERT_NE(path, nullptr) << kKernelPath;
  ASSERT_ACL(aclrtBinaryLoadFromFile(path, nullptr, binary));
  std::free(path);
  ASSERT_ACL(aclrtBinaryGetFunction(*binary, kKernelName, function));
}

inline aclError LaunchTestKernel(aclrtFuncHandle function, uint32_t num_blocks, aclrtStream stream,
                                 KernelArgs args) {
  return aclrtLaunchKernelWithHostArgs(function, num_blocks, stream, nullptr, &args, sizeof(args),
                                       nullptr, 0);
}

// Device 0 is current, and no message of an earlier test is left.
class AclTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_ACL(aclrtSetDevice(0));
    while (!RecentMessage().empty()) {
    }
    aclrtGetLastError(ACL_RT_THREAD_LEVEL);
  }
  void TearDown() override {
    EXPECT_ACL(aclrtSynchronizeDevice());
    EXPECT_EQ(RecentMessage(), "");
  }
};

}  // namespace vnpu_acl_test

#endif  // VNPU_ACL_TESTING_ACL_TESTING_H_
