// SPDX-License-Identifier: Apache-2.0
// Streams: order, waiting, life.
#include <chrono>
#include <thread>

#include "tools/vnpu/acl/testing/acl_testing.h"

namespace vnpu_acl_test {
namespace {

const bool environment_set = [] {
  setenv("ASCEND_ATTENTION_VNPU_DEVICES", "2", 1);
  return true;
}();

class StreamTest : public AclTest {
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

TEST_F(StreamTest, TasksRunInTheOrderOfTheirCalls) {
  // Each step copies byte i to byte i + 1: only the right order carries the
  // first byte to the end.
  constexpr int kSteps = 1000;
  std::vector<uint8_t> content(kSteps + 1, 0);
  content[0] = 0x5A;
  const DeviceBuffer device(content);
  for (int i = 0; i < kSteps; ++i) {
    ASSERT_ACL(aclrtMemcpyAsync(device.bytes() + i + 1, 1, device.bytes() + i, 1,
                                ACL_MEMCPY_DEVICE_TO_DEVICE, stream_));
  }
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(device.Read(), std::vector<uint8_t>(kSteps + 1, 0x5A));
}

TEST_F(StreamTest, StreamsDoNotWaitForOneAnother) {
  const DeviceBuffer device(std::vector<uint8_t>(2, 0));
  aclrtStream free_stream = nullptr;
  ASSERT_ACL(
      aclrtCreateStreamWithConfig(&free_stream, 0, ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC));
  Gate gate(stream_);
  ASSERT_ACL(aclrtMemsetAsync(device.bytes(), 1, 1, 1, stream_));
  ASSERT_ACL(aclrtMemsetAsync(device.bytes() + 1, 1, 1, 1, free_stream));
  ASSERT_ACL(aclrtSynchronizeStream(free_stream));
  EXPECT_EQ(device.Read(), (std::vector<uint8_t>{0, 1}));
  gate.Open();
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
  EXPECT_EQ(device.Read(), (std::vector<uint8_t>{1, 1}));
  EXPECT_ACL(aclrtDestroyStream(free_stream));
}

TEST_F(StreamTest, QueryAndTimeoutsTellWhatIsUnderWay) {
  aclrtStreamStatus status = ACL_STREAM_STATUS_RESERVED;
  ASSERT_ACL(aclrtStreamQuery(stream_, &status));
  EXPECT_EQ(status, ACL_STREAM_STATUS_COMPLETE);
  Gate gate(stream_);
  ASSERT_ACL(aclrtStreamQuery(stream_, &status));
  EXPECT_EQ(status, ACL_STREAM_STATUS_NOT_READY);
  ExpectError(aclrtSynchronizeStreamWithTimeout(stream_, 0), 507046, {"not done after 0 ms"});
  ExpectError(aclrtSynchronizeStreamWithTimeout(stream_, 20), 507046, {"not done after 20 ms"});
  ExpectError(aclrtSynchronizeDeviceWithTimeout(20), 507046, {"device 0"});
  ExpectError(aclrtSynchronizeStreamWithTimeout(stream_, -2), 107000, {"timeout = -2"});
  gate.Open();
  EXPECT_ACL(aclrtSynchronizeStreamWithTimeout(stream_, 10000));
  EXPECT_ACL(aclrtSynchronizeDeviceWithTimeout(10000));
  ASSERT_ACL(aclrtStreamQuery(stream_, &status));
  EXPECT_EQ(status, ACL_STREAM_STATUS_COMPLETE);
}

TEST_F(StreamTest, DeviceSynchroniseWaitsForAllStreams) {
  const DeviceBuffer device(std::vector<uint8_t>(3, 0));
  aclrtStream other = nullptr;
  ASSERT_ACL(aclrtCreateStream(&other));
  for (int i = 0; i < 200; ++i) {
    ASSERT_ACL(aclrtMemsetAsync(device.bytes(), 1, i, 1, nullptr));
    ASSERT_ACL(aclrtMemsetAsync(device.bytes() + 1, 1, i, 1, stream_));
    ASSERT_ACL(aclrtMemsetAsync(device.bytes() + 2, 1, i, 1, other));
  }
  ASSERT_ACL(aclrtSynchronizeDevice());
  EXPECT_EQ(device.Read(), std::vector<uint8_t>(3, 199));
  EXPECT_ACL(aclrtDestroyStream(other));
}

TEST_F(StreamTest, DestroyFinishesTheWorkAndForceDropsIt) {
  const DeviceBuffer device(std::vector<uint8_t>(2, 0));
  aclrtStream patient = nullptr;
  aclrtStream forced = nullptr;
  ASSERT_ACL(aclrtCreateStream(&patient));
  ASSERT_ACL(aclrtCreateStream(&forced));
  for (int i = 0; i < 100; ++i) ASSERT_ACL(aclrtMemsetAsync(device.bytes(), 1, i, 1, patient));
  EXPECT_ACL(aclrtDestroyStream(patient));

  Gate gate(forced);
  ASSERT_ACL(aclrtMemsetAsync(device.bytes() + 1, 1, 9, 1, forced));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it stands at its gate by now
  EXPECT_ACL(aclrtDestroyStreamForce(forced));
  EXPECT_EQ(device.Read(), (std::vector<uint8_t>{99, 0}));
}

TEST_F(StreamTest, HandlesOfOtherThingsAreFoundOut) {
  aclrtStream destroyed = nullptr;
  aclrtEvent event = nullptr;
  ASSERT_ACL(aclrtCreateStream(&destroyed));
  ASSERT_ACL(aclrtDestroyStream(destroyed));
  ASSERT_ACL(aclrtCreateEvent(&event));
  int local = 0;
  ExpectError(aclrtSynchronizeStream(destroyed), 107017, {"stream", "has been destroyed"});
  ExpectError(aclrtDestroyStream(destroyed), 107017, {"stream", "has been destroyed"});
  ExpectError(aclrtSynchronizeStream(event), 107017, {"is an event: expected a stream"});
  ExpectError(aclrtSynchronizeStream(&local), 107017, {"is not a stream of the virtual NPU"});
  ExpectError(aclrtDestroyStream(nullptr), 100000, {"stream is a null pointer"});
  ExpectError(aclrtCreateStream(nullptr), 100000, {"stream is a null pointer"});
  ExpectError(aclrtStreamQuery(stream_, nullptr), 100000, {"status is a null pointer"});
  ExpectError(aclrtCreateStreamWithConfig(&destroyed, 0, ACL_STREAM_PERSISTENT), 207000,
              {"flag = 4"});
  EXPECT_ACL(aclrtDestroyEvent(event));
}

TEST_F(StreamTest, AStreamBelongsToItsDevice) {
  const DeviceBuffer device(std::vector<uint8_t>(1, 0));
  ASSERT_ACL(aclrtSetDevice(1));
  ExpectError(aclrtMemsetAsync(device.address(), 1, 1, 1, stream_), 107003,
              {"belongs to device 0", "this thread's device is 1"});
  aclrtStream there = nullptr;
  ASSERT_ACL(aclrtCreateStream(&there));
  EXPECT_ACL(aclrtSynchronizeStream(there));
  EXPECT_ACL(aclrtResetDevice(1));  // takes the stream along
  ASSERT_ACL(aclrtSetDevice(0));
  ExpectError(aclrtSynchronizeStream(there), 107017, {"has been destroyed"});
}

TEST_F(StreamTest, CurrentDeviceAndContextArePerThread) {
  aclrtContext context = nullptr;
  ASSERT_ACL(aclrtGetCurrentContext(&context));
  std::thread([context] {
    int32_t id = -1;
    aclrtContext mine = nullptr;
    ExpectError(aclrtGetDevice(&id), 107002, {"no device"});
    ExpectError(aclrtGetCurrentContext(&mine), 107002, {"no device"});
    ExpectError(aclrtSynchronizeStream(nullptr), 107002, {"no device"});
    EXPECT_ACL(aclrtSetCurrentContext(context));
    EXPECT_ACL(aclrtGetDevice(&id));
    EXPECT_EQ(id, 0);
    EXPECT_ACL(aclrtSetDevice(1));
    EXPECT_ACL(aclrtGetDevice(&id));
    EXPECT_EQ(id, 1);
    EXPECT_ACL(aclrtResetDevice(1));
    ExpectError(aclrtGetDevice(&id), 107002, {"any more", "aclrtResetDevice"});
  }).join();
  int32_t id = -1;
  EXPECT_ACL(aclrtGetDevice(&id));
  EXPECT_EQ(id, 0);
  ExpectError(aclrtSetDevice(2), 107001, {"deviceId = 2", "0 to 1"});
  ExpectError(aclrtSetDevice(-1), 107001, {"deviceId = -1"});
  ExpectError(aclrtResetDevice(1), 107002, {"deviceId = 1", "not set"});
  ExpectError(aclrtSetCurrentContext(stream_), 107017, {"is a stream: expected a context"});
}

TEST_F(StreamTest, ManyThreadsManyStreams) {
  constexpr int kThreads = 8;
  const DeviceBuffer device(std::vector<uint8_t>(kThreads * 2, 0));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t, &device] {
      ASSERT_ACL(aclrtSetDevice(0));
      aclrtStream stream = nullptr;
      ASSERT_ACL(aclrtCreateStream(&stream));
      uint8_t* cell = device.bytes() + 2 * t;
      for (int i = 1; i <= 100; ++i) {
        ASSERT_ACL(aclrtMemsetAsync(cell, 1, i, 1, stream));
        ASSERT_ACL(aclrtMemcpyAsync(cell + 1, 1, cell, 1, ACL_MEMCPY_DEVICE_TO_DEVICE, stream));
        if (i % 10 == 0) {
          ASSERT_ACL(aclrtSynchronizeStream(stream));
        }
      }
      ASSERT_ACL(aclrtDestroyStream(stream));
      ASSERT_ACL(aclrtResetDevice(0));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(device.Read(), std::vector<uint8_t>(kThreads * 2, 100));
}

}  // namespace
}  // namespace vnpu_acl_test
