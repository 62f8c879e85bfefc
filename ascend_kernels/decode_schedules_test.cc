// SPDX-License-Identifier: Apache-2.0
// Acceptance tests A13 and A23 of the decode kernels: whatever order the cores
// run in, the result is the same bytes; and a kernel leaves no flag behind.
//
// The virtual NPU runs the blocks of a launch on several host threads. Random
// pauses at the issue of instructions, in other places each time, make other
// interleavings of the cores, all of them legal.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ascend_kernels/decode_problem.h"
#include "ascend_kernels/strict_checks.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/core/types.h"

namespace ascend_attention {
namespace {

// Every host thread pauses at random issues.
class RandomPauses : public vnpu::StreamFilter {
 public:
  explicit RandomPauses(uint32_t seed) : seed_(seed) {}

  Action OnIssue(const vnpu::CoreId& core, const vnpu::Instruction&, int64_t*) override {
    static thread_local std::minstd_rand random(
        static_cast<uint32_t>(std::hash<std::thread::id>{}(std::this_thread::get_id())));
    const uint32_t draw = static_cast<uint32_t>(random()) ^ seed_ ^ core.block * 0x9e37u;
    if (draw % 61 == 0) {
      std::this_thread::yield();
    } else if (draw % 16 == 0) {
      for (uint32_t i = draw >> 8 & 1023; i != 0; --i) pause_ = i;
    }
    return Action::kKeep;
  }

 private:
  const uint32_t seed_;
  std::atomic<uint32_t> pause_{0};
};

struct Schedules {
  const char* line;
  int runs;
};

class RandomSchedules : public ::testing::TestWithParam<Schedules> {};

// A13
TEST_P(RandomSchedules, GiveTheSameBytes) {
  const DecodeCase c = testdata::ParseCase(GetParam().line);
  ASSERT_TRUE(c.ok()) << c.error;
  Result first;
  for (const uint32_t host_threads : {1u, 2u, 3u, 5u, 8u}) {
    Problem problem(c, host_threads);
    const bool splits = problem.plan().header().kv_route != KvRoute::kFifo;
    ASSERT_EQ(problem.plan().has_splits(), splits);
    for (int run = 0; run < GetParam().runs / 5; ++run) {
      RandomPauses pauses(host_threads * 1000u + static_cast<uint32_t>(run));
      problem.device().SetStreamFilter(&pauses);
      const vnpu::LaunchResult launch = problem.Launch();
      problem.device().SetStreamFilter(nullptr);
      ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
      if (first.out.empty()) first = problem.result();
      ASSERT_EQ(problem.result().out, first.out) << host_threads << " threads, run " << run;
      ASSERT_EQ(problem.result().lse, first.lse) << host_threads << " threads, run " << run;
    }
  }
}

// No order that the kernel leaves open is one that a result depends on.
TEST_P(RandomSchedules, ReportNoRace) {
  const DecodeCase c = testdata::ParseCase(GetParam().line);
  Problem problem(c);
  vnpu::Session session(&problem.device(), StrictChecks());
  problem.DescribeMemory();
  for (int run = 0; run < 2; ++run) {
    const vnpu::LaunchResult launch = problem.Launch();
    ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
    EXPECT_TRUE(session.launches().back().findings.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Decode, RandomSchedules,
    ::testing::Values(
        Schedules{"decode:b5:h8:kv2:d64:bs16:ctx0,1,2600,90,33:f16:cores6:split256:seed5", 1000},
        Schedules{"decode:b3:h4:kv2:d128:bs64:ctx500,4000,1:bf16:cores9:seed5", 200},
        Schedules{"decode:b3:h4:kv1:d64:bs64:ctx2100,3,90:f16:cores7:qlen4,5,2:split256:seed5",
                  100},
        Schedules{"decode:b2:h8:kv2:d64:bs64:ctx3000,500:f16:cores7:kvint8-token:"
                  "route-dequant:seed5",
                  100},
        Schedules{"decode:b2:h8:kv2:d64:bs64:ctx3000,500:f16:cores7:kvint8-channel-asym:"
                  "route-limbs:seed5",
                  100},
        Schedules{"decode:b7:h16:kv1:d128:bs128:ctx0,1,900,0,0,300,500:bf16:cores3:route-fifo:"
                  "outf32:seed5",
                  200},
        Schedules{"decode:b3:h65:kv1:d128:bs64:ctx500,0,260:f16:cores4:route-fifo:seed5", 100}));

// Drops the n-th wait for a flag of one kind of core in block 0, or counts them.
class DropWait : public vnpu::StreamFilter {
 public:
  DropWait(vnpu::CoreRole role, int n) : role_(role), n_(n) {}

  Action OnIssue(const vnpu::CoreId& core, const vnpu::Instruction& in, int64_t*) override {
    if (core.block != 0 || core.role != role_ || in.insn != VNPU_INSN_wait_flag) {
      return Action::kKeep;
    }
    return waits_++ == n_ ? Action::kDrop : Action::kKeep;
  }
  int waits() const { return waits_; }

 private:
  const vnpu::CoreRole role_;
  const int n_;
  std::atomic<int> waits_{0};
};

class DecodeFlags : public ::testing::TestWithParam<const char*> {};

// A23: the next kernel starts with all flags clear. A launch that leaves one set
// is a fault, shown here by a kernel whose last wait is gone.
TEST_P(DecodeFlags, AreAllDrainedAtTheEnd) {
  const DecodeCase c = testdata::ParseCase(GetParam());
  ASSERT_TRUE(c.ok()) << c.error;
  for (const vnpu::CoreRole role : {vnpu::CoreRole::kAic, vnpu::CoreRole::kAiv0}) {
    Problem problem(c);
    DropWait count(role, -1);
    problem.device().SetStreamFilter(&count);
    ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
    ASSERT_GT(count.waits(), 0);
    DropWait drop(role, count.waits() - 1);
    problem.device().SetStreamFilter(&drop);
    const vnpu::LaunchResult launch = problem.Launch();
    EXPECT_EQ(launch.fault, vnpu::FaultKind::kException);
    EXPECT_NE(launch.text.find("leftover flags: set at the end of the kernel, they would leak"),
              std::string::npos)
        << launch.text;
    problem.device().SetStreamFilter(nullptr);
    EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Decode, DecodeFlags,
    ::testing::Values("decode:b5:h8:kv2:d64:bs16:ctx0,1,2600,90,33:f16:cores6:seed5",
                      "decode:b5:h8:kv2:d64:bs16:ctx0,1,90,700,33:bf16:cores6:seed5",
                      "decode:b3:h8:kv2:d64:bs16:ctx0,2600,33:f16:cores6:kvint8-channel:"
                      "route-dequant:seed5",
                      "decode:b3:h8:kv2:d64:bs16:ctx0,2600,33:f16:cores6:kvint8-token:"
                      "route-limbs:seed5",
                      "decode:b4:h16:kv1:d128:bs128:ctx0,700,33,0:bf16:cores2:route-fifo:seed5"));

}  // namespace
}  // namespace ascend_attention
