// SPDX-License-Identifier: Apache-2.0
// Capture and replay: what is recorded, how it spreads, what is refused.
#include <cstring>
#include <thread>

#include "tools/vnpu/acl/acl_control_abi.h"
#include "tools/vnpu/acl/acl_graph_abi.h"
#include "tools/vnpu/acl/testing/acl_testing.h"
#include "tools/vnpu/acl/vnpu_extensions.h"

namespace vnpu_acl_test {
namespace {

constexpr size_t kBytes = 4096;

class GraphTest : public AclTest {
 protected:
  void SetUp() override {
    AclTest::SetUp();
    LoadKernel(&binary_, &function_);
    ASSERT_ACL(aclrtCreateStream(&stream_));
    ASSERT_ACL(aclrtCreateStream(&side_));
    ASSERT_ACL(aclrtCreateEventExWithFlag(&event_, ACL_EVENT_SYNC));
    ASSERT_ACL(aclrtCreateEventExWithFlag(&joined_, ACL_EVENT_SYNC));
  }
  void TearDown() override {
    if (graph_ != nullptr) EXPECT_ACL(aclmdlRIDestroy(graph_));
    EXPECT_ACL(aclrtDestroyStream(stream_));
    EXPECT_ACL(aclrtDestroyStream(side_));
    EXPECT_ACL(aclrtDestroyEvent(event_));
    EXPECT_ACL(aclrtDestroyEvent(joined_));
    EXPECT_ACL(aclrtBinaryUnLoad(binary_));
    AclTest::TearDown();
  }

  void Begin(aclmdlRICaptureMode mode = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL) {
    ASSERT_ACL(aclmdlRICaptureBegin(stream_, mode));
  }
  void End() { ASSERT_ACL(aclmdlRICaptureEnd(stream_, &graph_)); }
  void Replay(aclrtStream stream) {
    ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream));
    ASSERT_ACL(aclrtSynchronizeStream(stream));
  }
  void CopyAsync(const DeviceBuffer& dst, const DeviceBuffer& src, aclrtStream stream) {
    ASSERT_ACL(aclrtMemcpyAsync(dst.address(), kBytes, src.address(), kBytes,
                                ACL_MEMCPY_DEVICE_TO_DEVICE, stream));
  }
  void CopyByKernel(const DeviceBuffer& dst, const DeviceBuffer& src, aclrtStream stream) {
    ASSERT_ACL(LaunchTestKernel(function_, 4, stream, {dst.address(), src.address(), 32}));
  }
  static void Write(const DeviceBuffer& dst, const std::vector<uint8_t>& bytes) {
    ASSERT_ACL(aclrtMemcpy(dst.address(), kBytes, bytes.data(), kBytes, ACL_MEMCPY_HOST_TO_DEVICE));
  }
  // side_ joins the capture of stream_.
  void Fork() {
    ASSERT_ACL(aclrtRecordEvent(event_, stream_));
    ASSERT_ACL(aclrtStreamWaitEvent(side_, event_));
  }
  void Join() {
    ASSERT_ACL(aclrtRecordEvent(joined_, side_));
    ASSERT_ACL(aclrtStreamWaitEvent(stream_, joined_));
  }

  aclrtBinHandle binary_ = nullptr;
  aclrtFuncHandle function_ = nullptr;
  aclrtStream stream_ = nullptr, side_ = nullptr;
  aclrtEvent event_ = nullptr, joined_ = nullptr;
  aclmdlRI graph_ = nullptr;
};

TEST_F(GraphTest, NothingRunsBeforeTheReplayAndEveryReplayReadsAnew) {
  const std::vector<uint8_t> zeros(kBytes, 0);
  DeviceBuffer a(zeros), b(zeros), c(zeros);
  Begin();
  CopyByKernel(b, a, stream_);
  CopyAsync(c, b, stream_);
  ASSERT_ACL(aclrtMemsetAsync(c.address(), kBytes, 7, 16, stream_));
  End();
  Write(a, Pattern(kBytes, 1));
  ASSERT_ACL(aclrtSynchronizeDevice());
  EXPECT_EQ(b.Read(), zeros);
  EXPECT_EQ(c.Read(), zeros);
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    std::vector<uint8_t> expected = Pattern(kBytes, seed);
    Write(a, expected);
    Replay(seed == 2 ? side_ : stream_);
    EXPECT_EQ(b.Read(), expected);
    std::memset(expected.data(), 7, 16);
    EXPECT_EQ(c.Read(), expected);
  }
  ASSERT_ACL(aclmdlRIExecute(graph_, -1));
  ASSERT_ACL(aclmdlRIExecuteAsync(graph_, nullptr));
  ASSERT_ACL(aclrtSynchronizeStream(nullptr));
}

TEST_F(GraphTest, ArgumentsAndPlaceHoldersAreCopiedAtCapture) {
  const std::vector<uint8_t> expected = Pattern(kBytes, 5);
  DeviceBuffer a(expected), b(kBytes);
  struct {
    KernelArgs args;
    uint8_t data[32];
  } host = {{b.address(), nullptr, 1}, {}};
  std::memset(host.data, 42, sizeof(host.data));
  aclrtPlaceHolderInfo holder{offsetof(KernelArgs, src), sizeof(KernelArgs)};
  Begin();
  CopyByKernel(b, a, stream_);
  ASSERT_ACL(aclrtLaunchKernelWithHostArgs(function_, 1, stream_, nullptr, &host, sizeof(host),
                                           &holder, 1));
  End();
  std::memset(&host, 0xff, sizeof(host));
  Replay(stream_);
  std::vector<uint8_t> want = expected;
  std::memset(want.data(), 42, 32);
  EXPECT_EQ(b.Read(), want);
}

// A capture that did not spread would run the side stream's copy once, now, and
// never again.
TEST_F(GraphTest, SideStreamsJoinThroughEvents) {
  const std::vector<uint8_t> zeros(kBytes, 0);
  DeviceBuffer a(zeros), b(zeros), c(zeros), d(zeros);
  Begin();
  CopyAsync(b, a, stream_);
  Fork();
  CopyByKernel(c, b, side_);
  Join();
  CopyAsync(d, c, stream_);
  End();
  ASSERT_ACL(aclrtSynchronizeStream(side_));
  EXPECT_EQ(c.Read(), zeros);
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    Write(a, Pattern(kBytes, seed));
    Replay(stream_);
    EXPECT_EQ(d.Read(), Pattern(kBytes, seed));
  }
  // The side stream is its own again.
  CopyAsync(d, a, side_);
  ASSERT_ACL(aclrtSynchronizeStream(side_));
}

TEST_F(GraphTest, SideStreamsMayJoinThroughOneAnother) {
  aclrtStream third = nullptr;
  ASSERT_ACL(aclrtCreateStream(&third));
  aclrtEvent more = nullptr;
  ASSERT_ACL(aclrtCreateEventExWithFlag(&more, ACL_EVENT_SYNC));
  DeviceBuffer a(Pattern(kBytes, 9)), b(kBytes);
  Begin();
  Fork();
  ASSERT_ACL(aclrtRecordEvent(more, side_));
  ASSERT_ACL(aclrtStreamWaitEvent(third, more));
  CopyAsync(b, a, third);
  ASSERT_ACL(aclrtRecordEvent(more, third));
  ASSERT_ACL(aclrtStreamWaitEvent(side_, more));
  Join();
  End();
  Replay(stream_);
  EXPECT_EQ(b.Read(), Pattern(kBytes, 9));
  ASSERT_ACL(aclrtDestroyEvent(more));
  ASSERT_ACL(aclrtDestroyStream(third));
}

TEST_F(GraphTest, UnjoinedStreamIsAnErrorAndLeavesTheStreamsUsable) {
  DeviceBuffer a(Pattern(kBytes, 2)), b(kBytes);
  Begin();
  Fork();
  CopyAsync(b, a, side_);
  Join();
  CopyAsync(b, a, side_);  // behind the record
  ExpectError(aclmdlRICaptureEnd(stream_, &graph_), 107025, {"1 of 3 tasks", "not joined"});
  EXPECT_EQ(graph_, nullptr);
  Begin();
  Fork();  // a wait alone has to be joined too
  ExpectError(aclmdlRICaptureEnd(stream_, &graph_), 107025, {"1 of 1 tasks"});
  CopyAsync(b, a, side_);
  ASSERT_ACL(aclrtSynchronizeStream(side_));
  EXPECT_EQ(b.Read(), Pattern(kBytes, 2));
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
}

TEST_F(GraphTest, NothingWaitsForACapturingStream) {
  aclrtStreamStatus status;
  aclrtEventRecordedStatus recorded;
  Begin(ACL_MODEL_RI_CAPTURE_MODE_RELAXED);
  Fork();
  for (aclrtStream stream : {stream_, side_}) {
    ExpectError(aclrtSynchronizeStream(stream), 107027, {"captures"});
    ExpectError(aclrtStreamQuery(stream, &status), 107027, {"captures"});
    ExpectError(aclrtDestroyStream(stream), 107027, {"captures"});
  }
  ExpectError(aclrtSynchronizeDevice(), 107027, {"device 0 captures"});
  ExpectError(aclrtSynchronizeEvent(event_), 107028, {"captures"});
  ExpectError(aclrtQueryEventStatus(event_, &recorded), 107028, {"captures"});
  Join();
  End();
  // As if never recorded.
  EXPECT_ACL(aclrtSynchronizeEvent(event_));
  EXPECT_ACL(aclrtStreamWaitEvent(side_, event_));
}

TEST_F(GraphTest, ModesSayWhoMayCallWhatCannotBeCaptured) {
  DeviceBuffer a(kBytes);
  uint8_t byte = 3;
  const auto copy = [&] {
    return aclrtMemcpy(a.address(), 1, &byte, 1, ACL_MEMCPY_HOST_TO_DEVICE);
  };
  const auto copy_elsewhere = [&](aclmdlRICaptureMode mode) {
    aclError result = ACL_SUCCESS;
    std::thread([&] {
      EXPECT_ACL(aclrtSetDevice(0));
      EXPECT_ACL(aclmdlRICaptureThreadExchangeMode(&mode));
      EXPECT_EQ(mode, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL);
      result = copy();
      if (result != ACL_SUCCESS) RecentMessage();
      EXPECT_ACL(aclrtResetDevice(0));
    }).join();
    return result;
  };
  Begin(ACL_MODEL_RI_CAPTURE_MODE_GLOBAL);
  ExpectError(copy(), 107030, {"mode 0 (GLOBAL)"});
  ExpectError(aclrtMemset(a.address(), 1, 0, 1), 107030, {"GLOBAL"});
  EXPECT_EQ(copy_elsewhere(ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 107030);
  EXPECT_EQ(copy_elsewhere(ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL), ACL_SUCCESS);
  aclmdlRICaptureMode mode = ACL_MODEL_RI_CAPTURE_MODE_RELAXED;
  EXPECT_ACL(aclmdlRICaptureThreadExchangeMode(&mode));
  EXPECT_EQ(mode, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL);
  EXPECT_ACL(copy());
  EXPECT_ACL(aclmdlRICaptureThreadExchangeMode(&mode));
  End();
  ASSERT_ACL(aclmdlRIDestroy(graph_));
  Begin(ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL);
  ExpectError(copy(), 107030, {"mode 1 (THREAD_LOCAL)"});
  EXPECT_EQ(copy_elsewhere(ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), ACL_SUCCESS);
  End();
  ASSERT_ACL(aclmdlRIDestroy(graph_));
  Begin(ACL_MODEL_RI_CAPTURE_MODE_RELAXED);
  EXPECT_ACL(copy());
  EXPECT_EQ(copy_elsewhere(ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), ACL_SUCCESS);
  End();
  mode = static_cast<aclmdlRICaptureMode>(3);
  ExpectError(aclmdlRICaptureThreadExchangeMode(&mode), 107000, {"mode = 3"});
}

TEST_F(GraphTest, CopiesOfPageableMemoryCannotBeCaptured) {
  DeviceBuffer a(kBytes);
  std::vector<uint8_t> pageable = Pattern(kBytes, 4);
  void* pinned = nullptr;
  ASSERT_ACL(aclrtMallocHost(&pinned, kBytes));
  Begin();
  ExpectError(aclrtMemcpyAsync(a.address(), kBytes, pageable.data(), kBytes,
                               ACL_MEMCPY_HOST_TO_DEVICE, stream_),
              107041, {"aclrtMallocHost"});
  ASSERT_ACL(
      aclrtMemcpyAsync(a.address(), kBytes, pinned, kBytes, ACL_MEMCPY_HOST_TO_DEVICE, stream_));
  End();
  std::memcpy(pinned, pageable.data(), kBytes);
  Replay(stream_);
  EXPECT_EQ(a.Read(), pageable);
  ASSERT_ACL(aclrtFreeHost(pinned));
}

TEST_F(GraphTest, StateAndMisuse) {
  aclmdlRICaptureStatus status;
  aclmdlRI capturing = nullptr;
  uint32_t id = 0, same = 0;
  ASSERT_ACL(aclmdlRICaptureGetInfo(stream_, &status, &capturing));
  EXPECT_EQ(status, ACL_MODEL_RI_CAPTURE_STATUS_NONE);
  ExpectError(aclmdlRICaptureEnd(stream_, &graph_), 107029, {"does not capture"});
  ExpectError(aclmdlRICaptureBegin(nullptr, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 107000,
              {"default stream"});
  Begin();
  ExpectError(aclmdlRICaptureBegin(stream_, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 107027,
              {"captures already"});
  ASSERT_ACL(aclmdlRICaptureGetInfo(stream_, &status, &capturing));
  EXPECT_EQ(status, ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE);
  ASSERT_ACL(aclmdlRIGetId(capturing, &id));
  ExpectError(aclmdlRIExecuteAsync(capturing, side_), 107026, {"being captured"});
  ExpectError(aclmdlRIDestroy(capturing), 107026, {"being captured"});
  Fork();
  ExpectError(aclmdlRICaptureEnd(side_, &graph_), 107036, {"it began on"});
  std::thread([&] {
    ASSERT_ACL(aclrtSetDevice(0));
    ExpectError(aclmdlRICaptureEnd(stream_, &graph_), 107038, {"another thread"});
    ASSERT_ACL(aclrtResetDevice(0));
  }).join();
  Join();
  End();
  EXPECT_EQ(graph_, capturing);
  ASSERT_ACL(aclmdlRIGetId(graph_, &same));
  EXPECT_EQ(id, same);
  Begin();
  ExpectError(aclmdlRIExecuteAsync(graph_, stream_), 107027, {"into another one"});
  aclmdlRI empty = nullptr;
  ASSERT_ACL(aclmdlRICaptureEnd(stream_, &empty));
  ASSERT_ACL(aclmdlRIDestroy(empty));
  ExpectError(aclmdlRIExecuteAsync(empty, stream_), 107017, {"has been destroyed"});
}

TEST_F(GraphTest, DependenciesOnWorkOutsideInvalidateTheCapture) {
  aclmdlRICaptureStatus status;
  aclmdlRI capturing = nullptr;
  ASSERT_ACL(aclrtRecordEvent(event_, side_));
  Begin();
  ExpectError(aclrtStreamWaitEvent(stream_, event_), 107024, {"outside of its capture"});
  ASSERT_ACL(aclmdlRICaptureGetInfo(stream_, &status, &capturing));
  EXPECT_EQ(status, ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED);
  ExpectError(aclmdlRICaptureEnd(stream_, &graph_), 507903, {"outside of its capture"});
  Begin();
  ASSERT_ACL(aclmdlRICaptureBegin(side_, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL));
  ASSERT_ACL(aclrtRecordEvent(event_, stream_));
  ExpectError(aclrtStreamWaitEvent(side_, event_), 107032, {"another capture"});
  ExpectError(aclmdlRICaptureEnd(side_, &graph_), 507903, {"another capture"});
  ExpectError(aclrtStreamWaitEvent(nullptr, event_), 107031, {"default stream"});
  ExpectError(aclmdlRICaptureEnd(stream_, &graph_), 507903, {"default stream"});
  ASSERT_ACL(aclrtSynchronizeDevice());
}

TEST_F(GraphTest, AReplayThatFailsSaysWhereAndStopsThere) {
  DeviceBuffer a(Pattern(kBytes, 1)), b(kBytes), c(std::vector<uint8_t>(kBytes, 0));
  Begin();
  CopyAsync(b, a, stream_);
  ASSERT_ACL(LaunchTestKernel(function_, 1, stream_, {b.address(), a.address(), 1, kTrap}));
  CopyAsync(c, a, stream_);
  End();
  ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
  ExpectError(aclrtSynchronizeStream(stream_), 507016, {"task 2 of 3 (kernel acl_test_0): "});
  EXPECT_EQ(b.Read(), Pattern(kBytes, 1));
  EXPECT_EQ(c.Read(), std::vector<uint8_t>(kBytes, 0));
  CopyAsync(c, a, stream_);
  ASSERT_ACL(aclrtSynchronizeStream(stream_));
}

TEST_F(GraphTest, MemoryOfAGraphMustBeAlive) {
  DeviceBuffer a(Pattern(kBytes, 1));
  void* freed = nullptr;
  ASSERT_ACL(aclrtMallocAlign32(&freed, kBytes, ACL_MEM_MALLOC_HUGE_FIRST));
  Begin();
  ASSERT_ACL(
      aclrtMemcpyAsync(freed, kBytes, a.address(), kBytes, ACL_MEMCPY_DEVICE_TO_DEVICE, stream_));
  End();
  Replay(stream_);
  ASSERT_ACL(aclrtFree(freed));
  ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
  ExpectError(aclrtSynchronizeStream(stream_), 507013, {"task 1 of 1 (copy): ", "was freed"});
}

TEST_F(GraphTest, QueuedReplaysOutliveTheGraph) {
  DeviceBuffer a(Pattern(kBytes, 6)), b(kBytes);
  Begin();
  CopyByKernel(b, a, stream_);
  End();
  {
    Gate gate(stream_);
    ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
    ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
    ASSERT_ACL(aclmdlRIDestroy(graph_));
    graph_ = nullptr;
    gate.Open();
    ASSERT_ACL(aclrtSynchronizeStream(stream_));
  }
  EXPECT_EQ(b.Read(), Pattern(kBytes, 6));
}

TEST_F(GraphTest, ExternalEventsAreRecordedAndWaitedForByTheReplay) {
  aclrtEvent out = nullptr, in = nullptr;
  ASSERT_ACL(aclrtCreateEventWithFlag(&out, ACL_EVENT_EXTERNAL));
  ASSERT_ACL(aclrtCreateEventWithFlag(&in, ACL_EVENT_EXTERNAL));
  DeviceBuffer a(Pattern(kBytes, 1)), b(kBytes), c(std::vector<uint8_t>(kBytes, 0));
  Begin();
  ASSERT_ACL(aclrtStreamWaitEvent(stream_, in));
  ASSERT_ACL(aclrtResetEvent(in, stream_));
  CopyAsync(b, a, stream_);
  ASSERT_ACL(aclrtRecordEvent(out, stream_));
  End();
  aclrtEventRecordedStatus recorded;
  ExpectError(aclrtQueryEventStatus(out, &recorded), 207000, {"only streams"});
  for (uint32_t seed = 2; seed <= 3; ++seed) {
    ASSERT_ACL(aclrtStreamWaitEvent(side_, out));
    ASSERT_ACL(aclrtResetEvent(out, side_));
    CopyAsync(c, b, side_);
    ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
    Write(a, Pattern(kBytes, seed));  // the replay still waits for `in`
    ASSERT_ACL(aclrtRecordEvent(in, nullptr));
    ASSERT_ACL(aclrtSynchronizeStream(side_));
    EXPECT_EQ(c.Read(), Pattern(kBytes, seed));
    ASSERT_ACL(aclrtSynchronizeStream(stream_));
  }
  ASSERT_ACL(aclrtDestroyEvent(out));
  ASSERT_ACL(aclrtDestroyEvent(in));
}

// As serving engines do it: the graph waits for an event, and new arguments are
// set while it does.
TEST_F(GraphTest, TasksOfAGroupAreReplacedInStreamOrder) {
  aclrtEvent ready = nullptr;
  ASSERT_ACL(aclrtCreateEventWithFlag(&ready, ACL_EVENT_EXTERNAL));
  const std::vector<uint8_t> first = Pattern(kBytes, 1), second = Pattern(kBytes, 2);
  DeviceBuffer a(first), b(second), c(kBytes), d(kBytes);
  aclrtTaskGrp group = nullptr;
  ExpectError(aclmdlRICaptureTaskGrpBegin(stream_), 107029, {"that capture"});
  Begin();
  ASSERT_ACL(aclrtStreamWaitEvent(stream_, ready));
  ASSERT_ACL(aclrtResetEvent(ready, stream_));
  ASSERT_ACL(aclmdlRICaptureTaskGrpBegin(stream_));
  ExpectError(aclmdlRICaptureTaskGrpBegin(stream_), 107033, {"is open"});
  CopyByKernel(c, a, stream_);
  ASSERT_ACL(aclmdlRICaptureTaskGrpEnd(stream_, &group));
  ExpectError(aclmdlRICaptureTaskGrpEnd(stream_, &group), 107033, {"no task group is open"});
  CopyAsync(d, c, stream_);
  End();
  for (int round = 0; round < 4; ++round) {
    ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
    ASSERT_ACL(aclmdlRICaptureTaskUpdateBegin(side_, group));
    CopyByKernel(c, round % 2 == 0 ? b : a, side_);
    ASSERT_ACL(aclmdlRICaptureTaskUpdateEnd(side_));
    ASSERT_ACL(aclrtRecordEvent(ready, side_));
    ASSERT_ACL(aclrtSynchronizeStream(stream_));
    EXPECT_EQ(d.Read(), round % 2 == 0 ? second : first) << round;
  }
  ASSERT_ACL(aclmdlRICaptureTaskUpdateBegin(side_, group));
  ExpectError(aclmdlRICaptureTaskUpdateEnd(side_), 107040, {"0 tasks came", "has 1"});
  ASSERT_ACL(aclmdlRICaptureTaskUpdateBegin(side_, group));
  ExpectError(aclmdlRICaptureTaskUpdateBegin(side_, group), 107033, {"already"});
  ExpectError(aclrtMemsetAsync(c.address(), 1, 0, 1, side_), 107040, {"kind kernel, not fill"});
  CopyByKernel(c, a, side_);
  ExpectError(LaunchTestKernel(function_, 1, side_, {c.address(), a.address(), 1}), 107040,
              {"no more tasks"});
  ASSERT_ACL(aclmdlRICaptureTaskUpdateEnd(side_));
  ExpectError(aclmdlRICaptureTaskUpdateEnd(side_), 107033, {"updates nothing"});
  ASSERT_ACL(aclrtSynchronizeStream(side_));
  Begin();
  ASSERT_ACL(aclmdlRICaptureTaskGrpBegin(stream_));
  aclmdlRI none = nullptr;
  ExpectError(aclmdlRICaptureEnd(stream_, &none), 107033, {"aclmdlRICaptureTaskGrpEnd"});
  ASSERT_ACL(aclmdlRIDestroy(graph_));
  graph_ = nullptr;
  ExpectError(aclmdlRICaptureTaskUpdateBegin(side_, group), 107040, {"was destroyed"});
  ASSERT_ACL(aclrtDestroyEvent(ready));
}

TEST_F(GraphTest, HostFunctionsAreReplayed) {
  int calls = 0;
  Begin();
  ASSERT_ACL(
      aclrtLaunchHostFunc(stream_, [](void* count) { ++*static_cast<int*>(count); }, &calls));
  End();
  EXPECT_EQ(calls, 0);
  Replay(stream_);
  Replay(stream_);
  EXPECT_EQ(calls, 2);
}

TEST_F(GraphTest, InjectedFailureCountsLaunchesOfReplays) {
  DeviceBuffer a(Pattern(kBytes, 6)), b(kBytes);
  Begin();
  CopyByKernel(b, a, stream_);
  End();
  ASSERT_EQ(vnpuAclFailLaunch(0, 2, 507015), 0);
  Replay(stream_);
  ASSERT_ACL(aclmdlRIExecuteAsync(graph_, stream_));
  ExpectError(aclrtSynchronizeStream(stream_), 507015, {"graph", "injected", "acl_test_0"});
  Replay(stream_);
}

}  // namespace
}  // namespace vnpu_acl_test
