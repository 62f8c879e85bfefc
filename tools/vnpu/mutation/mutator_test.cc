// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/mutation/mutator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace vnpu {
namespace {

constexpr uint32_t kTiles = 5;
constexpr uint64_t kBytes = kTiles * 1024;

class MutatorTest : public testing::Test {
 protected:
  MutatorTest() {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/mutation/mutation_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    dst_ = static_cast<uint8_t*>(device_.Allocate(kBytes));
    src_ = static_cast<uint8_t*>(device_.Allocate(kBytes));
    for (uint64_t i = 0; i < kBytes; ++i) src_[i] = static_cast<uint8_t>(i * 37 + i / 256);
    EXPECT_TRUE(device_.NameRegion(dst_, kBytes, "dst", RegionRule::kOutput));
    EXPECT_TRUE(device_.NameRegion(src_, kBytes, "src", RegionRule::kReadOnly));
    mutator_ = std::make_unique<Mutator>(&device_);
  }

  LaunchResult Launch() {
    std::memset(dst_, 0, kBytes);
    const struct {
      void* dst;
      void* src;
      uint32_t tiles;
    } args = {dst_, src_, kTiles};
    return device_.Launch(*module_->Find("mutation_cases_0"), 1, &args, sizeof(args));
  }
  bool Copied() const { return std::memcmp(dst_, src_, kBytes) == 0; }
  std::vector<Mutation> Recorded() {
    mutator_->Record("mutation_");
    EXPECT_EQ(Launch().text, "");
    EXPECT_TRUE(Copied());
    return mutator_->Mutations();
  }
  std::vector<Mutation> Recorded(MutationKind kind) {
    std::vector<Mutation> some;
    for (Mutation& m : Recorded()) {
      if (m.kind == kind) some.push_back(std::move(m));
    }
    return some;
  }

  Device device_{DeviceConfig{}};
  std::shared_ptr<KernelModule> module_;
  uint8_t* dst_;
  uint8_t* src_;
  std::unique_ptr<Mutator> mutator_;
};

TEST_F(MutatorTest, EveryCallOfASynchronisationIsDroppedOnce) {
  std::vector<std::string> what;
  for (const Mutation& m : Recorded(MutationKind::kDrop)) {
    EXPECT_EQ(m.kernel, "mutation_cases_0");
    EXPECT_EQ(m.places.size(), 1u);
    what.push_back(m.what);
  }
  std::sort(what.begin(), what.end());
  EXPECT_EQ(what,
            (std::vector<std::string>{"pipe_barrier ALL on AIV", "set_flag MTE2->MTE3 on AIV",
                                      "set_flag MTE3->MTE2 on AIV", "set_flag MTE3->MTE2 on AIV",
                                      "set_flag MTE3->MTE2 on AIV", "wait_flag MTE2->MTE3 on AIV",
                                      "wait_flag MTE3->MTE2 on AIV", "wait_flag MTE3->MTE2 on AIV",
                                      "wait_flag MTE3->MTE2 on AIV"}));
}

TEST_F(MutatorTest, ADroppedHalfOfAFlagIsAFault) {
  for (const Mutation& m : Recorded(MutationKind::kDrop)) {
    mutator_->Apply(&m);
    const LaunchResult result = Launch();
    EXPECT_GT(mutator_->applied(), 0u) << m.what;
    EXPECT_EQ(result.fault == FaultKind::kNone, m.what == "pipe_barrier ALL on AIV") << m.what;
  }
}

TEST_F(MutatorTest, SetsAndWaitsThatMetAreDroppedTogether) {
  const std::vector<Mutation> pairs = Recorded(MutationKind::kDropPair);
  ASSERT_EQ(pairs.size(), 2u);
  // "full" has one set and one wait; "free" has the primed sets and the drain too.
  const size_t sizes[] = {pairs[0].places.size(), pairs[1].places.size()};
  EXPECT_EQ(std::min(sizes[0], sizes[1]), 2u);
  EXPECT_EQ(std::max(sizes[0], sizes[1]), 6u);
  for (const Mutation& m : pairs) {
    mutator_->Apply(&m);
    // Balanced, and the machine runs in program order: only a race detector can tell.
    EXPECT_EQ(Launch().text, "") << m.what;
    EXPECT_TRUE(Copied());
    EXPECT_GT(mutator_->applied(), 0u);
  }
}

TEST_F(MutatorTest, ShorterCountsAndSharedSlotsChangeTheResult) {
  int shortened = 0, one_slot = 0;
  for (const Mutation& m : Recorded()) {
    if (m.kind != MutationKind::kShorten && m.kind != MutationKind::kOneSlot) continue;
    (m.kind == MutationKind::kShorten ? shortened : one_slot) += 1;
    mutator_->Apply(&m);
    EXPECT_EQ(Launch().text, "") << m.what;
    EXPECT_FALSE(Copied()) << m.what;
  }
  EXPECT_EQ(shortened, 4);  // nBurst and lenBurst of two copies
  EXPECT_EQ(one_slot, 2);
}

TEST_F(MutatorTest, AShrunkRegionEndsBeforeItsLastUse) {
  const std::vector<Mutation> all = Recorded(MutationKind::kShrink);
  ASSERT_EQ(all.size(), 1u);  // src is read only
  EXPECT_EQ(all[0].region, "dst");
  EXPECT_EQ(all[0].value, static_cast<int64_t>(kBytes - 32));
  mutator_->Apply(&all[0]);
  EXPECT_EQ(Launch().text, "");  // for a memory checker to see
  EXPECT_EQ(mutator_->applied(), 1u);
  Region region;
  ASSERT_TRUE(device_.FindRegion(reinterpret_cast<uint64_t>(dst_ + kBytes - 1), &region));
  EXPECT_EQ(region.name, "dst");  // as before
}

TEST_F(MutatorTest, WithoutAMutationNothingChanges) {
  Recorded();
  mutator_->Apply(nullptr);
  EXPECT_EQ(Launch().text, "");
  EXPECT_TRUE(Copied());
  EXPECT_EQ(mutator_->applied(), 0u);
}

}  // namespace
}  // namespace vnpu
