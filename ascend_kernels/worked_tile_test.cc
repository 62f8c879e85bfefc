// SPDX-License-Identifier: Apache-2.0
// The worked tile of ascend_kernels/README.md: runs the decode kernel on the
// rows printed there and compares what it leaves in the workspace and in the
// output with the numbers printed there. The README is the expectation.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tiling/decode_planner.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {
namespace {

using Numbers = std::vector<double>;

constexpr int kHeads = 2;
constexpr int kTokens = 3;
constexpr int kHeadDim = 64;
constexpr int kBlockSize = 16;

// The lines of all ```tile blocks: "name = number number ...", two a line.
std::map<std::string, Numbers> ReadTileBlocks(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::map<std::string, Numbers> blocks;
  std::string line;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line.rfind("```", 0) == 0) {
      inside = line == "```tile";
      continue;
    }
    if (!inside) continue;
    std::istringstream words(line);
    std::string word;
    Numbers* current = nullptr;
    while (words >> word) {
      if (std::isalpha(static_cast<unsigned char>(word[0]))) {
        current = &blocks[word];
      } else if (word != "=") {
        current->push_back(std::stod(word));
      }
    }
  }
  return blocks;
}

uint16_t ToHalf(double value) {
  const _Float16 rounded = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &rounded, sizeof(bits));
  return bits;
}

double FromHalf(uint16_t bits) {
  _Float16 value;
  std::memcpy(&value, &bits, sizeof(value));
  return static_cast<double>(value);
}

class WorkedTile : public ::testing::Test {
 protected:
  void SetUp() override {
    text_ = ReadTileBlocks("ascend_kernels/README.md");
    DecodeShape shape;
    shape.batch = 1;
    shape.num_heads = kHeads;
    shape.num_kv_heads = 1;
    shape.head_dim = kHeadDim;
    shape.kv_block_size = kBlockSize;
    shape.num_kv_blocks = 1;
    shape.max_kv_blocks = 1;
    const int32_t context_lens[] = {kTokens};
    StatusOr<Platform> platform = PlatformFor("Ascend910B1", 1);
    ASSERT_TRUE(platform.ok());
    StatusOr<DecodePlan> plan = PlanDecode(shape, *platform, context_lens, 1, 0.5f);
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    plan_ = *std::move(plan);
    Run();
  }

  // Rows name0, name1, ... of the README, padded with zeros to head_dim; the
  // rest of the page is NaN.
  void* Rows(const std::string& name, int rows, int capacity) {
    uint16_t* memory = static_cast<uint16_t*>(device_.Allocate(capacity * kHeadDim * 2));
    for (int i = 0; i < capacity * kHeadDim; ++i) memory[i] = i < rows * kHeadDim ? 0 : 0x7e00;
    for (int row = 0; row < rows; ++row) {
      const Numbers& numbers = text_.at(name + std::to_string(row));
      for (size_t i = 0; i < numbers.size(); ++i) memory[row * kHeadDim + i] = ToHalf(numbers[i]);
    }
    return memory;
  }

  void Run() {
    std::string error;
    module_ = vnpu::KernelModule::LoadFile("ascend_kernels/decode/decode_f16.so", &error);
    ASSERT_NE(module_, nullptr) << error;
    const vnpu::Kernel* kernel = module_->Find("decode_f16_0");
    ASSERT_NE(kernel, nullptr);
    const uint64_t workspace_bytes = plan_.header().workspace_size.bytes;
    workspace_ = static_cast<uint8_t*>(device_.Allocate(workspace_bytes));
    std::memset(workspace_, 0xff, workspace_bytes);
    std::memcpy(workspace_, plan_.bytes().data(), plan_.bytes().size());
    out_ = static_cast<uint16_t*>(device_.Allocate(kHeads * kHeadDim * 2));
    lse_ = static_cast<float*>(device_.Allocate(kHeads * 4));
    int32_t* block_table = static_cast<int32_t*>(device_.Allocate(4));
    block_table[0] = 0;
    const struct {
      uint64_t ffts_addr;
      void *query, *key_cache, *value_cache, *block_table, *out, *lse, *workspace;
      uint64_t flags;
    } args = {0,
              Rows("q", kHeads, kHeads),
              Rows("k", kTokens, kBlockSize),
              Rows("v", kTokens, kBlockSize),
              block_table,
              out_,
              lse_,
              workspace_,
              kLaunchWriteLse};
    const vnpu::LaunchResult result =
        device_.Launch(*kernel, plan_.header().num_cores, &args, sizeof(args));
    ASSERT_EQ(result.fault, vnpu::FaultKind::kNone) << result.text;
  }

  // Element (row, column) of the first slot of a region.
  template <typename T>
  T At(const Region& region, int row, int pitch, int column) const {
    T value;
    std::memcpy(&value, workspace_ + region.begin.bytes + (row * pitch + column) * sizeof(T),
                sizeof(T));
    return value;
  }

  std::map<std::string, Numbers> text_;
  vnpu::Device device_{vnpu::DeviceConfig()};
  std::shared_ptr<vnpu::KernelModule> module_;
  DecodePlan plan_;
  uint8_t* workspace_ = nullptr;
  uint16_t* out_ = nullptr;
  float* lse_ = nullptr;
};

TEST_F(WorkedTile, ScoresAreWhatTheReadmeSays) {
  const DecodePlanHeader& header = plan_.header();
  for (int head = 0; head < kHeads; ++head) {
    const Numbers& expected = text_.at("scores" + std::to_string(head));
    ASSERT_EQ(expected.size(), kTokens);
    for (int token = 0; token < kTokens; ++token) {
      EXPECT_EQ(At<float>(header.scores, head, header.kv_tile_tokens, token), expected[token]);
    }
  }
}

TEST_F(WorkedTile, ProbsAreWhatTheReadmeSays) {
  const DecodePlanHeader& header = plan_.header();
  for (int head = 0; head < kHeads; ++head) {
    const Numbers& expected = text_.at("probs" + std::to_string(head));
    ASSERT_EQ(expected.size(), kTokens);
    for (int token = 0; token < kTokens; ++token) {
      const uint16_t bits = At<uint16_t>(header.probs, head, header.kv_tile_tokens, token);
      EXPECT_EQ(FromHalf(bits), expected[token]);
    }
  }
}

TEST_F(WorkedTile, OTileIsWhatTheReadmeSays) {
  for (int head = 0; head < kHeads; ++head) {
    const Numbers& expected = text_.at("o_tile" + std::to_string(head));
    ASSERT_EQ(expected.size(), 2u);
    for (int column = 0; column < kHeadDim; ++column) {
      const double value = column < 2 ? expected[column] : 0.0;
      EXPECT_EQ(At<float>(plan_.header().o_tiles, head, kHeadDim, column), value);
    }
  }
}

TEST_F(WorkedTile, OutputIsWhatTheReadmeSays) {
  for (int head = 0; head < kHeads; ++head) {
    const Numbers& expected = text_.at("out" + std::to_string(head));
    ASSERT_EQ(expected.size(), 2u);
    for (int column = 0; column < kHeadDim; ++column) {
      const double value = column < 2 ? expected[column] : 0.0;
      EXPECT_EQ(FromHalf(out_[head * kHeadDim + column]), value);
    }
    // The README prints 8 digits of an fp32 number.
    EXPECT_NEAR(lse_[head], text_.at("lse" + std::to_string(head)).at(0), 5e-8);
  }
}

}  // namespace
}  // namespace ascend_attention
