// SPDX-License-Identifier: Apache-2.0
// Launches: who a core is, cross-core flags, queues, polling, host threads,
// observers, memory.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/core/launch_cases.h"
#include "tools/vnpu/core/observer.h"

namespace vnpu {
namespace {

constexpr uint32_t kCores = 12;
constexpr uint64_t kGmBytes = 64 * 256;

class Machine {
 public:
  explicit Machine(uint32_t threads, uint64_t gm_bytes = kGmBytes, bool mixed = true)
      : bytes_(gm_bytes) {
    std::string error;
    module_ = KernelModule::LoadFile(
        std::string("tools/vnpu/core/launch_cases") + (mixed ? ".so" : "_aiv.so"), &error);
    EXPECT_NE(module_, nullptr) << error;
    DeviceConfig config;
    config.num_cores = kCores;
    config.host_threads = threads;
    device_ = std::make_unique<Device>(config);
    gm_ = static_cast<uint8_t*>(device_->Allocate(gm_bytes));
  }
  std::vector<uint8_t> Run(LaunchCase which, uint32_t blocks, uint64_t far = 0) {
    if (bytes_ == kGmBytes) std::memset(gm_, 0, kGmBytes);
    const LaunchResult result = Launch(which, blocks, far);
    EXPECT_EQ(result.fault, FaultKind::kNone);
    EXPECT_EQ(result.text, "");
    return std::vector<uint8_t>(gm_, gm_ + kGmBytes);
  }
  // The text of a launch that must fault.
  std::string Fault(LaunchCase which, uint32_t blocks, uint64_t far = 0) {
    const LaunchResult result = Launch(which, blocks, far);
    EXPECT_EQ(result.fault, FaultKind::kException);
    return result.text;
  }
  Device& device() { return *device_; }
  uint8_t* gm() { return gm_; }

 private:
  LaunchResult Launch(LaunchCase which, uint32_t blocks, uint64_t far) {
    const struct {
      void* gm;
      uint32_t which;
      uint64_t far;
    } args = {gm_, static_cast<uint32_t>(which), far};
    return device_->Launch(*module_->Find("launch_cases_0"), blocks, &args, sizeof(args));
  }

  const uint64_t bytes_;
  std::shared_ptr<KernelModule> module_;
  std::unique_ptr<Device> device_;
  uint8_t* gm_;
};

template <typename T>
T At(const std::vector<uint8_t>& bytes, uint64_t row, uint64_t lane = 0) {
  T value;
  std::memcpy(&value, &bytes[row * 256 + lane * sizeof(T)], sizeof(T));
  return value;
}

TEST(Launch, MixedKernelHasTwoAivsPerBlock) {
  Machine machine(1);
  const auto gm = machine.Run(LaunchCase::kIdentity, 5);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(At<int32_t>(gm, i), i / 2 * 1000000 + 5000 + i % 2 * 10 + 2);
  EXPECT_EQ(At<int32_t>(gm, 10), 0);
}

TEST(Launch, VectorKernelHasOneAivPerBlock) {
  Machine machine(1, kGmBytes, false);
  const auto gm = machine.Run(LaunchCase::kIdentity, 5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(At<int32_t>(gm, i), i * 1000000 + 5000 + 1);
  EXPECT_EQ(At<int32_t>(gm, 5), 0);
}

TEST(Launch, MoreBlocksThanCoresRunInTurn) {
  Machine machine(2);
  const auto gm = machine.Run(LaunchCase::kIdentity, 30);
  EXPECT_EQ(At<int32_t>(gm, 59), 29 * 1000000 + 30000 + 12);
}

class LaunchThreads : public testing::TestWithParam<uint32_t> {};

TEST_P(LaunchThreads, BarrierOfAllAivs) {
  for (uint32_t blocks : {1u, 2u, 7u, kCores}) {
    Machine machine(GetParam());
    const auto gm = machine.Run(LaunchCase::kBarrier, blocks);
    const int cores = static_cast<int>(2 * blocks);
    for (int i = 0; i < cores; ++i) {
      EXPECT_EQ(At<float>(gm, i),
                static_cast<float>((i + kBarrierRounds) % cores + kBarrierRounds));
    }
  }
}

TEST_P(LaunchThreads, BarrierOfAVectorKernelMayUseAllAivs) {
  Machine machine(GetParam(), kGmBytes, false);
  const int cores = 2 * kCores;
  const auto gm = machine.Run(LaunchCase::kBarrier, cores);
  for (int i = 0; i < cores; ++i) {
    EXPECT_EQ(At<float>(gm, i), static_cast<float>((i + kBarrierRounds) % cores + kBarrierRounds));
  }
}

TEST_P(LaunchThreads, PairsExchangeInsideABlock) {
  Machine machine(GetParam());
  const auto gm = machine.Run(LaunchCase::kPairs, 20);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(At<float>(gm, i), static_cast<float>(3 * i + 3 * (i ^ 1)));
}

TEST_P(LaunchThreads, HandshakeOfAicAndAivs) {
  Machine machine(GetParam());
  const auto gm = machine.Run(LaunchCase::kHandshake, 20);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(At<float>(gm, i, 63), 42.0f + kHandshakeRounds);
}

TEST_P(LaunchThreads, QueuedInstructionsKeepTheirMasks) {
  Machine machine(GetParam());
  const auto gm = machine.Run(LaunchCase::kQueued, 3);
  for (int core = 0; core < 6; ++core) {
    for (int lane = 0; lane < 64; ++lane) {
      EXPECT_EQ(At<float>(gm, core, lane), lane < 4 ? 1.0f + static_cast<float>(lane) : 1.0f);
    }
  }
}

TEST(Launch, PairsNeedAMixKernel) {
  Machine machine(1, kGmBytes, false);
  const std::string text = machine.Fault(LaunchCase::kPairs, 1);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "bad argument: mode 1 needs two AIVs per block; this kernel has no AIC part and runs "
            "one AIV per block");
  EXPECT_NE(text.find("\nfix     make it a mix kernel, with cores aic and aiv (an empty half will "
                      "do): its blocks have one AIC and two AIVs\n"),
            std::string::npos)
      << text;
}

// Block 0 polls before the block that writes has started.
TEST_P(LaunchThreads, PollingBlocksLetOthersRun) {
  Machine machine(GetParam());
  const auto gm = machine.Run(LaunchCase::kPoll, 9);
  EXPECT_EQ(At<uint32_t>(gm, 0, 16), 78u);
}

INSTANTIATE_TEST_SUITE_P(HostThreads, LaunchThreads, testing::Values(1, 2, 4));

TEST(Launch, BytesDoNotDependOnHostThreads) {
  for (LaunchCase which : {LaunchCase::kIdentity, LaunchCase::kBarrier, LaunchCase::kPairs,
                           LaunchCase::kHandshake, LaunchCase::kAtomic}) {
    Machine one(1);
    const auto expected = one.Run(which, kCores);
    for (uint32_t threads : {1u, 2u, 4u}) {
      for (int round = 0; round < 3; ++round) {
        Machine machine(threads);
        EXPECT_EQ(machine.Run(which, kCores), expected) << threads << " threads";
      }
    }
  }
}

// Offsets of more than 32 bits; the pages in between are never touched.
TEST(Launch, SparseAllocationBeyondFourGiB) {
  constexpr uint64_t kBytes = uint64_t{20} << 30, kFar = (uint64_t{17} << 30) + 4096;
  Machine machine(1, kBytes);
  const float in = 41.0f;
  for (int i = 0; i < 64; ++i) std::memcpy(machine.gm() + kFar + i * 4, &in, sizeof(in));
  machine.Run(LaunchCase::kFar, 1, kFar);
  float out;
  std::memcpy(&out, machine.gm() + kFar + 256, sizeof(out));
  EXPECT_EQ(out, 42.0f);
}

TEST(DeviceMemory, CountsBytesAndRefusesMoreThanItHas) {
  DeviceConfig config;
  config.hbm_bytes = 10 * 1024;
  Device device(config);
  EXPECT_EQ(device.free_bytes(), 10 * 1024u);
  void* a = device.Allocate(1);
  EXPECT_EQ(reinterpret_cast<uint64_t>(a) % 512, 0u);
  EXPECT_EQ(device.free_bytes(), 10 * 1024u - 512);
  EXPECT_EQ(device.Allocate(10 * 1024), nullptr);
  void* b = device.Allocate(9 * 1024 + 512);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(device.free_bytes(), 0u);
  EXPECT_EQ(device.Allocate(1), nullptr);
  EXPECT_EQ(device.Allocate(0), nullptr);
  EXPECT_TRUE(device.Contains(b, 9 * 1024 + 512));
  EXPECT_FALSE(device.Contains(b, 9 * 1024 + 513));
  EXPECT_TRUE(device.Contains(static_cast<uint8_t*>(b) + 9 * 1024, 512));
  EXPECT_FALSE(device.Contains(static_cast<uint8_t*>(a) + 1, 1));
  EXPECT_TRUE(device.Free(a));
  EXPECT_FALSE(device.Free(a));
  EXPECT_FALSE(device.Contains(a, 1));
  EXPECT_EQ(device.free_bytes(), 512u);
}

class Recorder : public Observer {
 public:
  void OnAllocate(const void*, uint64_t bytes, uint64_t) override { allocated += bytes; }
  void OnLaunchBegin(const LaunchInfo& info) override {
    kernel = info.kernel;
    blocks = info.num_blocks;
  }
  void OnLaunchEnd(LaunchResult* result) override { fault = result->fault; }
  void OnIssue(const CoreId&, const Instruction& in) override {
    ++issued;
    if (in.insn == VNPU_INSN_vadds) masks.push_back(in.spr->mask[0]);
  }
  void OnRetire(const CoreId& core, const Instruction& in) override {
    ++retired;
    if (core.block == 0 && core.role == CoreRole::kAiv0) order.push_back(in.sequence);
  }
  void OnAccess(const CoreId&, const Instruction& in, const Access& access, std::string*) override {
    if (in.insn == VNPU_INSN_copy_ubuf_to_gm && access.write) {
      EXPECT_EQ(access.space, Space::kGm);
      stored += access.run * access.dims[0].count * access.dims[1].count * access.dims[2].count;
    }
  }
  void OnSignal(const CoreId&, const Instruction&, const SyncEvent& event) override {
    if (event.kind == SyncKind::kFlag) ++sets;
    if (event.kind == SyncKind::kCrossCore) ++arrivals;
  }
  void OnWait(const CoreId&, const Instruction&, const SyncEvent& event) override {
    if (event.kind == SyncKind::kFlag) ++waits;
    if (event.kind == SyncKind::kCrossCore) ++passed;
  }

  std::string kernel;
  uint32_t blocks = 0;
  FaultKind fault = FaultKind::kTrap;
  uint64_t allocated = 0, stored = 0;
  int issued = 0, retired = 0, sets = 0, waits = 0, arrivals = 0, passed = 0;
  std::vector<uint64_t> masks, order;
};

TEST(Observer, SeesEveryInstructionAndChangesNothing) {
  for (LaunchCase which : {LaunchCase::kBarrier, LaunchCase::kHandshake, LaunchCase::kQueued}) {
    Machine plain(4), observed(4);
    Recorder recorder;
    observed.device().AddObserver(&recorder);
    EXPECT_EQ(observed.Run(which, 4), plain.Run(which, 4));
    EXPECT_EQ(recorder.kernel, "launch_cases_0");
    EXPECT_EQ(recorder.blocks, 4u);
    EXPECT_EQ(recorder.fault, FaultKind::kNone);
    EXPECT_EQ(recorder.issued, recorder.retired);
    EXPECT_EQ(recorder.sets, recorder.waits);
    observed.device().RemoveObserver(&recorder);
    const int issued = recorder.issued;
    observed.Run(which, 4);
    EXPECT_EQ(recorder.issued, issued);
  }
}

TEST(Observer, CountsOfAKnownKernel) {
  Machine machine(1);
  Recorder recorder;
  machine.device().AddObserver(&recorder);
  machine.device().Allocate(1000);
  machine.Run(LaunchCase::kPairs, 2);
  EXPECT_EQ(recorder.allocated, 1000u);
  EXPECT_EQ(recorder.arrivals, 4 * 2);
  EXPECT_EQ(recorder.passed, 4 * 2);
  EXPECT_EQ(recorder.sets, 4 * 3);
  EXPECT_EQ(recorder.stored, 4u * 2 * 256);
}

// Queued instructions retire when their flag comes, in order on their pipe,
// with the special registers of their issue.
TEST(Observer, QueuedInstructionsRetireLate) {
  Machine machine(1);
  Recorder recorder;
  machine.device().AddObserver(&recorder);
  machine.Run(LaunchCase::kQueued, 1);
  EXPECT_EQ(recorder.masks, (std::vector<uint64_t>{1, 2, 4, 8, 1, 2, 4, 8}));
  // get_block_idx.. run at once; the wait (sequence w) retires after the last set.
  const uint64_t last = recorder.order.back();
  EXPECT_LT(last, recorder.order.size() - 1);
}

class Finder : public Observer {
 public:
  void OnAccess(const CoreId&, const Instruction& in, const Access& access,
                std::string* finding) override {
    if (in.insn == VNPU_INSN_copy_ubuf_to_gm && access.write) *finding = "found: a store";
  }
  void OnFault(const CoreId&, const std::string& text) override { told = text; }
  std::string told;
};

TEST(Observer, AFindingEndsTheLaunchWithItsText) {
  Machine machine(4);
  Finder finder;
  machine.device().AddObserver(&finder);
  // The launch fails with the finding as its first line and the place after it.
  std::string error;
  const auto module = KernelModule::LoadFile("tools/vnpu/core/launch_cases.so", &error);
  ASSERT_NE(module, nullptr) << error;
  const struct {
    void* gm;
    uint32_t which;
    uint64_t far;
  } args = {machine.gm(), static_cast<uint32_t>(LaunchCase::kIdentity), 0};
  const LaunchResult result =
      machine.device().Launch(*module->Find("launch_cases_0"), 3, &args, sizeof(args));
  EXPECT_EQ(result.fault, FaultKind::kException);
  const std::string start =
      "found: a store\n  kernel launch_cases_0, block 0 of 3, AIV0, pipe MTE3, instruction ";
  EXPECT_EQ(result.text.substr(0, start.size()), start);
  EXPECT_FALSE(finder.told.empty());
}

TEST(InsnTable, RowsHaveNamesPipesAndRanges) {
  EXPECT_STREQ(RowOf(VNPU_INSN_vadd).name, "vadd");
  EXPECT_EQ(RowOf(VNPU_INSN_vadd).pipe, Pipe::kV);
  EXPECT_EQ(RowOf(VNPU_INSN_vadd).num_args, 10);
  EXPECT_EQ(RowOf(VNPU_INSN_vadd).args[3].name, "repeat");
  EXPECT_EQ(RowOf(VNPU_INSN_vadd).args[3].max, 255);
  EXPECT_EQ(RowOf(VNPU_INSN_mad).args[1].space, Space::kL0a);
  EXPECT_EQ(RowOf(VNPU_INSN_copy_cbuf_to_fbuf).pipe, Pipe::kFix);
  for (uint32_t insn = 0; insn < VNPU_INSN_COUNT; ++insn) {
    EXPECT_NE(RowOf(insn).handler, nullptr) << RowOf(insn).name;
  }
}

}  // namespace
}  // namespace vnpu
