// SPDX-License-Identifier: Apache-2.0
// The decode and combine kernels on the virtual NPU against every golden, with
// nothing between plan and kernel but a launch: output and workspace start as
// NaN, every buffer is exactly as long as it must be.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "testdata/decode_case.h"
#include "testdata/decode_inputs.h"
#include "testdata/golden.h"
#include "tiling/decode_planner.h"
#include "tools/vnpu/core/device.h"

namespace ascend_attention {
namespace {

using testdata::DecodeCase;
using testdata::DecodeInputs;

struct Result {
  std::vector<uint16_t> out;
  std::vector<float> lse;
};

vnpu::DeviceConfig ConfigWith(uint32_t host_threads) {
  vnpu::DeviceConfig config;
  config.host_threads = host_threads;
  return config;
}

// One device with the problem of one case on it.
class Problem {
 public:
  explicit Problem(const DecodeCase& c, uint32_t host_threads = 0)
      : case_(c), device_(ConfigWith(host_threads)) {
    const DecodeInputs inputs = testdata::MakeInputs(c);
    DecodeShape shape;
    shape.batch = c.batch;
    shape.num_heads = c.num_heads;
    shape.num_kv_heads = c.num_kv_heads;
    shape.head_dim = c.head_dim;
    shape.kv_block_size = c.kv_block_size;
    shape.num_kv_blocks = inputs.num_kv_blocks;
    shape.max_kv_blocks = c.max_kv_blocks();
    shape.dtype = c.bfloat16 ? DType::kBFloat16 : DType::kFloat16;
    const int num_cores = c.num_cores == 0 ? 24 : static_cast<int>(c.num_cores);
    const StatusOr<Platform> platform = PlatformFor("Ascend910B1", num_cores);
    StatusOr<DecodePlan> plan =
        PlanDecode(shape, *platform, c.context_lens.data(), c.batch, inputs.softmax_scale);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    plan_ = *std::move(plan);
    query_ = Upload(inputs.query);
    key_cache_ = Upload(inputs.key_cache);
    value_cache_ = Upload(inputs.value_cache);
    block_table_ = static_cast<int32_t*>(Upload(inputs.block_table));
    const uint64_t workspace_bytes = plan_.header().workspace_size.bytes;
    workspace_ = static_cast<uint8_t*>(device_.Allocate(workspace_bytes));
    std::memset(workspace_, 0xff, workspace_bytes);
    std::memcpy(workspace_, plan_.bytes().data(), plan_.bytes().size());
    out_elems_ = inputs.query.size();
    out_ = device_.Allocate(out_elems_ * sizeof(uint16_t));
    lse_ = device_.Allocate(c.batch * c.num_heads * sizeof(float));
  }

  vnpu::LaunchResult Launch(uint64_t flags = kLaunchWriteLse) {
    std::memset(out_, 0xff, out_elems_ * sizeof(uint16_t));
    std::memset(lse_, 0xff, lse_elems() * sizeof(float));
    const struct {
      uint64_t ffts_addr;
      void *query, *key_cache, *value_cache, *block_table, *out, *lse, *workspace;
      uint64_t flags;
    } decode = {0, query_, key_cache_, value_cache_, block_table_, out_, lse_, workspace_, flags};
    const vnpu::LaunchResult result = LaunchKernel("decode", plan_.used_cores(), decode);
    if (result.fault != vnpu::FaultKind::kNone || !plan_.has_splits()) return result;
    const struct {
      void *out, *lse, *workspace;
      uint64_t flags;
    } combine = {out_, lse_, workspace_, flags};
    return LaunchKernel("combine", 2 * plan_.header().num_cores, combine);
  }

  Result result() const {
    Result result;
    result.out.resize(out_elems_);
    result.lse.resize(lse_elems());
    std::memcpy(result.out.data(), out_, out_elems_ * sizeof(uint16_t));
    std::memcpy(result.lse.data(), lse_, lse_elems() * sizeof(float));
    return result;
  }

  const DecodePlan& plan() const { return plan_; }
  int32_t* block_table() { return block_table_; }
  uint8_t* workspace() { return workspace_; }

 private:
  size_t lse_elems() const { return case_.batch * case_.num_heads; }

  template <typename T>
  void* Upload(const std::vector<T>& values) {
    void* memory = device_.Allocate(values.size() * sizeof(T));
    std::memcpy(memory, values.data(), values.size() * sizeof(T));
    return memory;
  }

  template <typename Args>
  vnpu::LaunchResult LaunchKernel(const std::string& folder, uint32_t num_blocks,
                                  const Args& args) {
    const std::string name = folder + (case_.bfloat16 ? "_bf16" : "_f16");
    std::string error;
    const std::shared_ptr<vnpu::KernelModule> module =
        vnpu::KernelModule::LoadFile("ascend_kernels/" + folder + "/" + name + ".so", &error);
    EXPECT_NE(module, nullptr) << error;
    return device_.Launch(*module->Find(name + "_0"), num_blocks, &args, sizeof(args));
  }

  DecodeCase case_;
  vnpu::Device device_;
  DecodePlan plan_;
  void* query_;
  void* key_cache_;
  void* value_cache_;
  int32_t* block_table_;
  uint8_t* workspace_;
  size_t out_elems_;
  void* out_;
  void* lse_;
};

class EveryGolden : public ::testing::TestWithParam<DecodeCase> {};

TEST_P(EveryGolden, IsMetWithinItsTolerance) {
  const DecodeCase& c = GetParam();
  ASSERT_TRUE(c.ok()) << c.error;
  const testdata::Golden golden = testdata::LoadGolden("testdata/golden", c.ToString());
  ASSERT_TRUE(golden.ok()) << golden.error;
  Problem problem(c);
  const vnpu::LaunchResult launch = problem.Launch();
  ASSERT_EQ(launch.fault, vnpu::FaultKind::kNone) << launch.text;
  const Result result = problem.result();
  std::vector<float> out(result.out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = testdata::ToFloat(result.out[i], c.bfloat16);
  const testdata::GoldenReport report = testdata::Compare(golden, out, result.lse);
  EXPECT_TRUE(report.ok) << c.ToString() << "\n" << report.text;
}

// "b4 h32 kv8 d128 ..." as a test name.
std::string TestName(const ::testing::TestParamInfo<DecodeCase>& info) {
  std::string name = std::to_string(info.index) + "_" + info.param.ToString();
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(
    Cases, EveryGolden, ::testing::ValuesIn(testdata::ReadCaseFile("testdata/cases/decode_ci.txt")),
    TestName);

const char kRagged[] = "decode:b6:h8:kv2:d128:bs32:ctx0,1,700,3000,33,2048:f16:cores7:seed5";

TEST(DecodeKernel, RepeatedRunsAreEqualBitForBit) {
  Problem problem(testdata::ParseCase(kRagged));
  ASSERT_TRUE(problem.plan().has_splits());
  ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
  const Result first = problem.result();
  for (int run = 0; run < 3; ++run) {
    ASSERT_EQ(problem.Launch().fault, vnpu::FaultKind::kNone);
    EXPECT_EQ(problem.result().out, first.out);
    EXPECT_EQ(problem.result().lse, first.lse);
  }
}

TEST(DecodeKernel, HostThreadsDoNotChangeABit) {
  Problem one(testdata::ParseCase(kRagged), 1);
  Problem four(testdata::ParseCase(kRagged), 4);
  ASSERT_EQ(one.Launch().fault, vnpu::FaultKind::kNone);
  ASSERT_EQ(four.Launch().fault, vnpu::FaultKind::kNone);
  EXPECT_EQ(one.result().out, four.result().out);
  EXPECT_EQ(one.result().lse, four.result().lse);
}

TEST(DecodeKernel, LeavesLseAloneWhenItIsNotWanted) {
  Problem problem(testdata::ParseCase(kRagged));
  ASSERT_EQ(problem.Launch(/*flags=*/0).fault, vnpu::FaultKind::kNone);
  for (const float lse : problem.result().lse) {
    uint32_t bits;
    std::memcpy(&bits, &lse, sizeof(bits));
    EXPECT_EQ(bits, 0xffffffffu);
  }
}

class BadBlockId : public ::testing::TestWithParam<int32_t> {};

TEST_P(BadBlockId, StopsTheLaunchWithARecordOfRowAndColumn) {
  const DecodeCase c = testdata::ParseCase(kRagged);
  Problem problem(c);
  const int64_t columns = c.max_kv_blocks();
  problem.block_table()[3 * columns + 17] = GetParam();
  const vnpu::LaunchResult result = problem.Launch();
  EXPECT_EQ(result.fault, vnpu::FaultKind::kTrap) << result.text;
  const DecodePlanHeader& header = problem.plan().header();
  int records = 0;
  for (uint32_t core = 0; core < header.num_cores; ++core) {
    ErrorRecord record;
    std::memcpy(&record,
                problem.workspace() + header.error_records.begin.bytes + core * sizeof(record),
                sizeof(record));
    if (record.code != static_cast<uint32_t>(ErrorCode::kKvBlockOutOfRange)) continue;
    ++records;
    EXPECT_EQ(record.core, core);
    EXPECT_EQ(record.row, 3);
    EXPECT_EQ(record.index, 17);
    EXPECT_EQ(record.value, GetParam());
    EXPECT_EQ(record.limit, header.num_kv_blocks);
  }
  EXPECT_EQ(records, 1);
}
INSTANTIATE_TEST_SUITE_P(Ids, BadBlockId,
                         ::testing::Values(-1, 1 << 20, std::numeric_limits<int32_t>::min()));

TEST(DecodeKernel, TrapsOnTilesThatDoNotFitItsBuffers) {
  const auto traps_with = [](void (*enlarge)(DecodePlanHeader*)) {
    Problem problem(testdata::ParseCase(kRagged));
    DecodePlanHeader header = problem.plan().header();
    enlarge(&header);
    std::memcpy(problem.workspace(), &header, sizeof(header));
    return problem.Launch().fault == vnpu::FaultKind::kTrap;
  };
  EXPECT_FALSE(traps_with([](DecodePlanHeader*) {}));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 1024; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 100; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_tile_tokens = 0; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 16; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 100; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_chunk_tokens = 144; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->head_dim = 1024; }));
  EXPECT_TRUE(traps_with([](DecodePlanHeader* h) { h->kv_heads_per_group = 64; }));
}

TEST(DecodeKernel, TrapsOnAPlanOfAnotherDtype) {
  Problem problem(testdata::ParseCase(kRagged));
  DecodePlanHeader header = problem.plan().header();
  header.dtype = DType::kBFloat16;
  std::memcpy(problem.workspace(), &header, sizeof(header));
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kTrap);
}

TEST(DecodeKernel, TrapsOnAPlanOfAnotherVersion) {
  Problem problem(testdata::ParseCase(kRagged));
  DecodePlanHeader header = problem.plan().header();
  header.abi_version += 1;
  std::memcpy(problem.workspace(), &header, sizeof(header));
  EXPECT_EQ(problem.Launch().fault, vnpu::FaultKind::kTrap);
}

}  // namespace
}  // namespace ascend_attention
