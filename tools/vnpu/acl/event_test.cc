// SPDX-License-Identifier: Apache-2.0
// Events: order between streams, recording again, destroying early, times.
#include <chrono>
#include <thread>

#include "tools/vnpu/acl/testing/acl_testing.h"

namespace vnpu_acl_test {
namespace {

class EventTest : public AclTest {
 protected:
  void SetUp() override {
    AclTest::SetUp();
    ASSERT_ACL(aclrtCreateStream(&first_));
    ASSERT_ACL(aclrtCreateStream(&second_));
  }
  void TearDown() override {
    EXPECT_ACL(aclrtDestroyStream(first_));
    EXPECT_ACL(aclrtDestroyStream(second_));
    AclTest::TearDown();
  }
  static bool IsComplete(aclrtEvent event) {
    aclrtEventRecordedStatus status;
    EXPECT_ACL(aclrtQueryEventStatus(event, &status));
    return status == ACL_EVENT_RECORDED_STATUS_COMPLETE;
  }
  static bool IsIdle(aclrtStream stream) {
    aclrtStreamStatus status;
    EXPECT_ACL(aclrtStreamQuery(stream, &status));
    return status == ACL_STREAM_STATUS_COMPLETE;
  }
  static void SetByte(void* address, int value, aclrtStream stream) {
    ASSERT_ACL(aclrtMemsetAsync(address, 1, value, 1, stream));
  }
  aclrtStream first_ = nullptr;
  aclrtStream second_ = nullptr;
};

TEST_F(EventTest, AStreamWaitsForWhatAnotherRecorded) {
  const DeviceBuffer device(std::vector<uint8_t>(2, 0));
  aclrtEvent event = nullptr;
  ASSERT_ACL(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
  EXPECT_TRUE(IsComplete(event));  // nothing recorded, nothing open
  {
    Gate gate(first_);
    SetByte(device.address(), 7, first_);
    ASSERT_ACL(aclrtRecordEvent(event, first_));
    ASSERT_ACL(aclrtStreamWaitEvent(second_, event));
    ASSERT_ACL(aclrtMemcpyAsync(device.bytes() + 1, 1, device.bytes(), 1,
                                ACL_MEMCPY_DEVICE_TO_DEVICE, second_));
    EXPECT_FALSE(IsComplete(event));
    EXPECT_FALSE(IsIdle(second_));
    EXPECT_EQ(device.Read(), (std::vector<uint8_t>{0, 0}));
  }
  ASSERT_ACL(aclrtSynchronizeStream(second_));
  EXPECT_EQ(device.Read(), (std::vector<uint8_t>{7, 7}));
  EXPECT_TRUE(IsComplete(event));
  EXPECT_ACL(aclrtDestroyEvent(event));
}

// The event is recorded a second time, on another stream that is still shut,
// before the first wait has ended: that wait must not notice.
TEST_F(EventTest, RecordingAgainDoesNotDisturbEarlierWaits) {
  aclrtStream third = nullptr;
  ASSERT_ACL(aclrtCreateStream(&third));
  aclrtEvent event = nullptr;
  ASSERT_ACL(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
  Gate late(third);
  {
    Gate gate(first_);
    ASSERT_ACL(aclrtRecordEvent(event, first_));
    ASSERT_ACL(aclrtStreamWaitEvent(second_, event));
    ASSERT_ACL(aclrtRecordEvent(event, third));
    EXPECT_FALSE(IsIdle(second_));
  }
  EXPECT_ACL(aclrtSynchronizeStreamWithTimeout(second_, 10000));
  EXPECT_FALSE(IsComplete(event));  // the newer record is what a query means
  late.Open();
  EXPECT_ACL(aclrtSynchronizeEvent(event));
  EXPECT_TRUE(IsComplete(event));
  EXPECT_ACL(aclrtDestroyStream(third));
  EXPECT_ACL(aclrtDestroyEvent(event));
}

// The mirror image: a newer record that completes first must not release a
// wait for the older one.
TEST_F(EventTest, ANewerRecordDoesNotReleaseAnEarlierWait) {
  aclrtEvent event = nullptr;
  ASSERT_ACL(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
  Gate gate(first_);
  ASSERT_ACL(aclrtRecordEvent(event, first_));
  ASSERT_ACL(aclrtStreamWaitEvent(second_, event));
  ASSERT_ACL(aclrtRecordEvent(event, nullptr));
  ASSERT_ACL(aclrtSynchronizeEvent(event));
  EXPECT_TRUE(IsComplete(event));
  ExpectError(aclrtSynchronizeStreamWithTimeout(second_, 50), 507046, {"not done"});
  gate.Open();
  EXPECT_ACL(aclrtSynchronizeStream(second_));
  EXPECT_ACL(aclrtDestroyEvent(event));
}

TEST_F(EventTest, AnEventMayBeDestroyedWhileItIsPending) {
  const DeviceBuffer device(std::vector<uint8_t>(2, 0));
  for (int round = 0; round < 50; ++round) {
    aclrtEvent event = nullptr;
    ASSERT_ACL(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
    SetByte(device.address(), round, first_);
    ASSERT_ACL(aclrtRecordEvent(event, first_));
    ASSERT_ACL(aclrtStreamWaitEvent(second_, event));
    ASSERT_ACL(aclrtDestroyEvent(event));
    ASSERT_ACL(aclrtMemcpyAsync(device.bytes() + 1, 1, device.bytes(), 1,
                                ACL_MEMCPY_DEVICE_TO_DEVICE, second_));
    ASSERT_ACL(aclrtSynchronizeStream(second_));
    EXPECT_EQ(device.Read(), std::vector<uint8_t>(2, static_cast<uint8_t>(round)));
    ExpectError(aclrtRecordEvent(event, first_), 107017, {"event", "has been destroyed"});
  }
}

TEST_F(EventTest, WaitingForAnUnrecordedReusableEventWaitsForNothing) {
  aclrtEvent event = nullptr;
  ASSERT_ACL(aclrtCreateEvent(&event));
  ASSERT_ACL(aclrtStreamWaitEvent(first_, event));
  EXPECT_ACL(aclrtSynchronizeStreamWithTimeout(first_, 10000));
  EXPECT_ACL(aclrtSynchronizeEvent(event));
  EXPECT_ACL(aclrtDestroyEvent(event));
}

TEST_F(EventTest, AManualEventIsWaitedForBeforeItIsRecordedAndCanBeReset) {
  aclrtEvent event = nullptr;
  ASSERT_ACL(aclrtCreateEventWithFlag(&event, ACL_EVENT_SYNC));
  EXPECT_FALSE(IsComplete(event));
  ExpectError(aclrtSynchronizeEvent(event), 107000, {"event was never recorded"});
  for (int round = 0; round < 3; ++round) {
    aclrtEventWaitStatus waits;
    ASSERT_ACL(aclrtStreamWaitEvent(second_, event));
    ASSERT_ACL(aclrtQueryEventWaitStatus(event, &waits));
    EXPECT_EQ(waits, ACL_EVENT_WAIT_STATUS_NOT_READY);
    ExpectError(aclrtSynchronizeStreamWithTimeout(second_, 20), 507046, {"not done"});
    ASSERT_ACL(aclrtRecordEvent(event, first_));
    ASSERT_ACL(aclrtSynchronizeStreamWithTimeout(second_, 10000));
    EXPECT_TRUE(IsComplete(event));
    ASSERT_ACL(aclrtQueryEventWaitStatus(event, &waits));
    EXPECT_EQ(waits, ACL_EVENT_WAIT_STATUS_COMPLETE);
    ASSERT_ACL(aclrtResetEvent(event, second_));
    ASSERT_ACL(aclrtSynchronizeStream(second_));
    EXPECT_FALSE(IsComplete(event));
  }
  EXPECT_ACL(aclrtDestroyEvent(event));
}

TEST_F(EventTest, DestroyingTheRecordingStreamReleasesItsWaiters) {
  aclrtEvent event = nullptr;
  aclrtStream doomed = nullptr;
  ASSERT_ACL(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
  ASSERT_ACL(aclrtCreateStream(&doomed));
  {
    Gate gate(doomed);
    ASSERT_ACL(aclrtRecordEvent(event, doomed));
    ASSERT_ACL(aclrtStreamWaitEvent(second_, event));
    ASSERT_ACL(aclrtDestroyStreamForce(doomed));
  }
  EXPECT_ACL(aclrtSynchronizeStreamWithTimeout(second_, 10000));
  EXPECT_ACL(aclrtDestroyEvent(event));
}

TEST_F(EventTest, ElapsedTimeIsTheTimeBetweenTheRecords) {
  constexpr auto kPause = std::chrono::milliseconds(30);
  aclrtEvent start = nullptr;
  aclrtEvent end = nullptr;
  float ms = -1;
  ASSERT_ACL(aclrtCreateEvent(&start));
  ASSERT_ACL(aclrtCreateEventExWithFlag(&end, ACL_EVENT_TIME_LINE));
  ExpectError(aclrtEventElapsedTime(&ms, start, end), 107006, {"startEvent was never recorded"});
  {
    ASSERT_ACL(aclrtRecordEvent(start, first_));
    ASSERT_ACL(aclrtSynchronizeStream(first_));
    Gate gate(first_);
    ASSERT_ACL(aclrtRecordEvent(end, first_));
    ExpectError(aclrtEventElapsedTime(&ms, start, end), 507006, {"endEvent is not complete"});
    std::this_thread::sleep_for(kPause);
  }
  ASSERT_ACL(aclrtSynchronizeEvent(end));
  ASSERT_ACL(aclrtEventElapsedTime(&ms, start, end));
  EXPECT_GE(ms, 30.0f);  // the time of execution, not of the call
  EXPECT_LT(ms, 30000.0f);
  ExpectError(aclrtEventElapsedTime(&ms, end, start), 107007, {"before startEvent"});
  EXPECT_ACL(aclrtDestroyEvent(start));
  EXPECT_ACL(aclrtDestroyEvent(end));
}

TEST_F(EventTest, EventsDoOnlyWhatTheyWereCreatedFor) {
  aclrtEvent timer = nullptr;
  aclrtEvent reusable = nullptr;
  float ms = 0;
  aclrtEventWaitStatus waits;
  ASSERT_ACL(aclrtCreateEventExWithFlag(&timer, ACL_EVENT_TIME_LINE));
  ASSERT_ACL(aclrtCreateEventExWithFlag(&reusable, ACL_EVENT_SYNC));
  ExpectError(aclrtStreamWaitEvent(first_, timer), 107000, {"without ACL_EVENT_SYNC"});
  ExpectError(aclrtEventElapsedTime(&ms, timer, reusable), 107006, {"startEvent"});
  ASSERT_ACL(aclrtRecordEvent(timer, first_));
  ASSERT_ACL(aclrtSynchronizeEvent(timer));
  ExpectError(aclrtEventElapsedTime(&ms, timer, reusable), 107006,
              {"endEvent was created without ACL_EVENT_TIME_LINE"});
  ExpectError(aclrtResetEvent(reusable, first_), 107000, {"aclrtCreateEventWithFlag"});
  ExpectError(aclrtQueryEventWaitStatus(reusable, &waits), 107000, {"aclrtCreateEventWithFlag"});
  ExpectError(aclrtCreateEventExWithFlag(&timer, ACL_EVENT_IPC), 207000, {"flag = 64"});
  ExpectError(aclrtCreateEventExWithFlag(nullptr, 1), 100000, {"event is a null pointer"});
  ExpectError(aclrtRecordEvent(first_, first_), 107017, {"is a stream: expected an event"});
  ExpectError(aclrtQueryEventStatus(nullptr, nullptr), 100000, {"null pointer"});
  EXPECT_ACL(aclrtDestroyEvent(timer));
  EXPECT_ACL(aclrtDestroyEvent(reusable));
}

}  // namespace
}  // namespace vnpu_acl_test
