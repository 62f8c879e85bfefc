// SPDX-License-Identifier: Apache-2.0
// Plain loads and stores of compiled kernels give the right bytes, with and
// without an observer, and an observer sees each with address, size and line.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <tuple>
#include <vector>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/observer.h"
#include "tools/vnpu/isa/runtime_abi.h"
#include "tools/vnpu/toolchain/tests/scalar_access_cases.h"

namespace vnpu {
namespace {

constexpr char kSource[] = "tools/vnpu/toolchain/tests/scalar_access_cases.cce";
constexpr uint32_t kBytes = 4096;

std::map<std::string, int> Markers() {
  std::map<std::string, int> lines;
  std::ifstream file(kSource);
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, std::regex("// @(\\w+)"))) lines[match[1]] = line;
  }
  return lines;
}

struct Seen {
  Space space;
  bool write;
  uint64_t offset;  // in the buffer; in the allocation that holds it for GM
  uint64_t bytes;
  int line;
};
bool operator==(const Seen& a, const Seen& b) {
  return std::tie(a.space, a.write, a.offset, a.bytes, a.line) ==
         std::tie(b.space, b.write, b.offset, b.bytes, b.line);
}
void PrintTo(const Seen& s, std::ostream* out) {
  *out << (s.write ? "store " : "load ") << SpaceName(s.space) << "+" << s.offset << ", " << s.bytes
       << " bytes, line " << s.line;
}

// Notes the scalar accesses of block 0's AIV0.
class Recorder : public Observer {
 public:
  explicit Recorder(uint64_t gm) : gm_(gm) {}
  void OnLaunchBegin(const LaunchInfo& info) override { calls_ = info.calls; }
  void OnAccess(const CoreId& core, const Instruction& in, const Access& access,
                std::string*) override {
    if (in.insn < VNPU_INSN_scalar_load || in.insn > VNPU_INSN_scalar_store_ub) return;
    if (core.block != 0) return;
    EXPECT_EQ(in.pipe, Pipe::kS);
    const std::string place = calls_->Describe(in.return_address);
    std::smatch match;
    const bool found =
        std::regex_search(place, match, std::regex("scalar_access_cases.cce:(\\d+)"));
    seen.push_back(Seen{access.space, access.write,
                        access.space == Space::kGm ? access.base - gm_ : access.base, access.run,
                        found ? std::stoi(match[1]) : -1});
  }
  std::vector<Seen> seen;

 private:
  const uint64_t gm_;
  const CallTable* calls_ = nullptr;
};

class ScalarAccessTest : public testing::Test {
 protected:
  ScalarAccessTest() : device_(DeviceConfig{}) {
    std::string error;
    module_ = KernelModule::LoadFile("tools/vnpu/toolchain/tests/scalar_access_cases.so", &error);
    EXPECT_NE(module_, nullptr) << error;
    gm_ = static_cast<uint8_t*>(device_.Allocate(2 * kBytes));
    for (uint32_t i = 0; i < kBytes; ++i) gm_[i] = static_cast<uint8_t>(i * 37 + 11);
  }
  template <typename T>
  T* in() {
    return reinterpret_cast<T*>(gm_);
  }
  template <typename T>
  T* out() {
    return reinterpret_cast<T*>(gm_ + kBytes);
  }

  // Runs twice, with an observer and without: both give the same bytes.
  std::vector<Seen> Run(ScalarCase which, uint32_t blocks = 1) {
    const std::vector<uint8_t> inputs(gm_, gm_ + kBytes);
    std::memset(gm_ + kBytes, 0xee, kBytes);
    Recorder recorder(reinterpret_cast<uint64_t>(gm_));
    device_.AddObserver(&recorder);
    Launch(which, blocks);
    device_.RemoveObserver(&recorder);
    const std::vector<uint8_t> observed(gm_, gm_ + 2 * kBytes);
    std::memcpy(gm_, inputs.data(), kBytes);
    std::memset(gm_ + kBytes, 0xee, kBytes);
    Launch(which, blocks);
    EXPECT_EQ(std::memcmp(gm_, observed.data(), 2 * kBytes), 0);
    return recorder.seen;
  }

  Seen Gm(bool write, uint64_t offset, uint64_t bytes, const char* marker) {
    return Seen{Space::kGm, write, offset, bytes, lines_.at(marker)};
  }
  Seen Ub(bool write, uint64_t offset, uint64_t bytes, const char* marker) {
    return Seen{Space::kUb, write, offset, bytes, lines_.at(marker)};
  }

 private:
  void Launch(ScalarCase which, uint32_t blocks) {
    const struct {
      const void *in, *out;
      uint32_t which, n;
    } args = {gm_, gm_ + kBytes, static_cast<uint32_t>(which), kLoopCount};
    const LaunchResult result =
        device_.Launch(*module_->Find("scalar_access_cases_0"), blocks, &args, sizeof(args));
    EXPECT_EQ(result.text, "");
  }

  const std::map<std::string, int> lines_ = Markers();
  Device device_;
  std::shared_ptr<KernelModule> module_;
  uint8_t* gm_;
};

TEST_F(ScalarAccessTest, EverySizeIsSeenInOrder) {
  const std::vector<Seen> seen = Run(ScalarCase::kSizes);
  EXPECT_EQ(seen, (std::vector<Seen>{
                      Gm(false, 0, 1, "byte"), Gm(true, kBytes, 1, "byte"),
                      Gm(false, 2, 2, "half_word"), Gm(true, kBytes + 2, 2, "half_word"),
                      Gm(false, 4, 4, "word"), Gm(true, kBytes + 4, 4, "word"),
                      Gm(false, 8, 8, "double_word"), Gm(true, kBytes + 8, 8, "double_word")}));
  EXPECT_EQ(out<ScalarFields>()->byte, in<ScalarFields>()->byte);
  EXPECT_EQ(out<ScalarFields>()->half_word, in<ScalarFields>()->half_word);
  EXPECT_EQ(out<ScalarFields>()->word, in<ScalarFields>()->word);
  EXPECT_EQ(out<ScalarFields>()->double_word, in<ScalarFields>()->double_word);
}

TEST_F(ScalarAccessTest, StructIsCopiedWordByWord) {
  const std::vector<Seen> seen = Run(ScalarCase::kStruct);
  EXPECT_EQ(seen, (std::vector<Seen>{Gm(false, 0, 8, "struct_load"), Gm(false, 8, 8, "struct_load"),
                                     Gm(true, kBytes, 8, "struct_store"),
                                     Gm(true, kBytes + 8, 8, "struct_store")}));
  EXPECT_EQ(out<ScalarFields>()->word, in<ScalarFields>()->word + 1);
  EXPECT_EQ(out<ScalarFields>()->double_word, in<ScalarFields>()->double_word);
}

// The device's scalar unit has no vectors.
TEST_F(ScalarAccessTest, LoopStaysALoop) {
  std::vector<Seen> expected;
  for (uint32_t i = 0; i < kLoopCount; ++i) {
    expected.push_back(Gm(false, 4 * i, 4, "loop"));
    expected.push_back(Gm(true, kBytes + 4 * i, 4, "loop"));
  }
  EXPECT_EQ(Run(ScalarCase::kLoop), expected);
  for (uint32_t i = 0; i < kLoopCount; ++i) {
    EXPECT_EQ(out<int32_t>()[i], in<int32_t>()[i] + 1);
  }
  EXPECT_EQ(out<uint8_t>()[4 * kLoopCount], 0xee);
}

TEST_F(ScalarAccessTest, FillStaysALoop) {
  std::vector<Seen> expected;
  for (uint32_t i = 0; i < kLoopCount; ++i) expected.push_back(Gm(true, kBytes + 4 * i, 4, "fill"));
  EXPECT_EQ(Run(ScalarCase::kFill), expected);
  EXPECT_EQ(out<int32_t>()[kLoopCount - 1], 0);
}

TEST_F(ScalarAccessTest, PollingLoopSeesWhatAnotherBlockStores) {
  in<int32_t>()[0] = 0;
  EXPECT_GE(Run(ScalarCase::kSpin, 2).size(), 2u);
  EXPECT_EQ(out<int32_t>()[0], 1);
}

TEST_F(ScalarAccessTest, ReadsUbAfterTheVectorUnit) {
  for (int i = 0; i < 64; ++i) in<float>()[i] = static_cast<float>(i);
  const std::vector<Seen> seen = Run(ScalarCase::kUbReads);
  EXPECT_EQ(seen,
            (std::vector<Seen>{Ub(false, 512 + 20, 4, "ub_read"), Gm(true, kBytes, 4, "ub_read")}));
  EXPECT_EQ(out<float>()[0], 6.0f);
}

TEST_F(ScalarAccessTest, WritesUbBeforeTheVectorUnit) {
  in<float>()[0] = 3.0f;
  EXPECT_EQ(Run(ScalarCase::kUbWrites).size(), 65u);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out<float>()[i], 3.0f * static_cast<float>(i) + 1.0f);
}

TEST_F(ScalarAccessTest, UbAddressZeroIsAnAddress) {
  in<int32_t>()[0] = 41;
  const std::vector<Seen> seen = Run(ScalarCase::kUbZero);
  ASSERT_GE(seen.size(), 4u);
  EXPECT_EQ(seen[1], Ub(true, 0, 4, "zero_store"));
  EXPECT_EQ(out<int32_t>()[0], 41);
  EXPECT_EQ(out<int32_t>()[1], 42);
}

TEST_F(ScalarAccessTest, EverySizeInUb) {
  Run(ScalarCase::kUbBytes);
  EXPECT_EQ(out<ScalarFields>()->byte, in<ScalarFields>()->byte);
  EXPECT_EQ(out<ScalarFields>()->half_word, in<ScalarFields>()->half_word);
  EXPECT_EQ(out<ScalarFields>()->word, in<ScalarFields>()->word);
  EXPECT_EQ(out<ScalarFields>()->double_word, in<ScalarFields>()->double_word);
}

TEST_F(ScalarAccessTest, NarrowFloats) {
  in<uint16_t>()[0] = 0x3c00;  // 1
  in<uint16_t>()[1] = 0x4000;  // 2
  in<uint16_t>()[2] = 0x3fc0;  // 1.5 in bfloat16
  Run(ScalarCase::kHalf);
  EXPECT_EQ(out<uint16_t>()[0], 0x4200);
  EXPECT_EQ(out<uint16_t>()[1], 0x4040);
}

TEST_F(ScalarAccessTest, AtomicReadsAndWrites) {
  in<int32_t>()[0] = 10;
  const std::vector<Seen> seen = Run(ScalarCase::kFetchAdd);
  EXPECT_EQ(seen, (std::vector<Seen>{Gm(false, 0, 4, "fetch_add"), Gm(true, 0, 4, "fetch_add"),
                                     Gm(true, kBytes, 4, "fetch_add")}));
  EXPECT_EQ(out<int32_t>()[0], 10);
  EXPECT_EQ(in<int32_t>()[0], 15);
}

// Nobody wrote it: the buffers' content at start.
TEST_F(ScalarAccessTest, ConstantAddress) {
  const std::vector<Seen> seen = Run(ScalarCase::kConstant);
  EXPECT_EQ(seen,
            (std::vector<Seen>{Ub(false, 104, 4, "constant"), Gm(true, kBytes, 4, "constant")}));
  EXPECT_EQ(out<uint32_t>()[0], 0x7fff7fffu);
}

TEST_F(ScalarAccessTest, BranchesKeepTheirLines) {
  in<int32_t>()[0] = 1;
  EXPECT_EQ(Run(ScalarCase::kTwoBranches).back(), Gm(true, kBytes, 4, "then"));
  in<int32_t>()[0] = -1;
  EXPECT_EQ(Run(ScalarCase::kTwoBranches).back(), Gm(true, kBytes + 4, 4, "else"));
}

TEST_F(ScalarAccessTest, CycleCounterByAssemblyGrows) {
  Run(ScalarCase::kSysCnt);
  EXPECT_EQ(out<int32_t>()[0], 1);
}

}  // namespace
}  // namespace vnpu
