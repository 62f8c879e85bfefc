// SPDX-License-Identifier: Apache-2.0
// The readable dump, byte for byte. After a wanted change:
//   ASCEND_ATTENTION_UPDATE_GOLDENS=1 ./bazelw run //tiling:plan_text_test
// and review the diff of tiling/plan_text_golden.
#include "tiling/plan_text.h"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/abi/split_decision.h"
#include "tiling/decode_costs.h"
#include "tiling/decode_planner.h"
#include "tiling/tile_size.h"

namespace ascend_attention {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

DecodeShape Shape(size_t batch, int64_t num_heads, int64_t num_kv_heads, int64_t head_dim,
                  DType dtype) {
  DecodeShape shape;
  shape.batch = static_cast<int64_t>(batch);
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = head_dim;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 4096;
  shape.max_kv_blocks = 256;
  shape.dtype = dtype;
  return shape;
}

// The shape as the planner resolves it.
DecodeShape Direct(DecodeShape shape) {
  shape.kv_route = KvRoute::kDirect;
  return shape;
}

DecodePlan Plan(int64_t num_heads, int64_t num_kv_heads, int64_t head_dim, DType dtype,
                const std::vector<int32_t>& lens, int cores = 24) {
  const DecodeShape shape = Shape(lens.size(), num_heads, num_kv_heads, head_dim, dtype);
  return *PlanDecode(shape, *PlatformFor("Ascend910B1", cores), lens.data(), lens.size(), 0.0884f);
}

// The batch of the quickstart and of tiling/README.md.
const std::vector<int32_t> kRaggedLens = {0, 1, 127, 128, 129, 1000, 4096, 777};

DecodePlan RaggedPlan() { return Plan(32, 8, 128, DType::kFloat16, kRaggedLens); }

void ExpectGolden(const std::string& name, const std::string& text) {
  const std::string path = "tiling/plan_text_golden/" + name + ".txt";
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");  // set by `bazel run`
  if (workspace != nullptr && std::getenv("ASCEND_ATTENTION_UPDATE_GOLDENS") != nullptr) {
    std::ofstream(std::string(workspace) + "/" + path, std::ios::binary) << text;
    return;
  }
  EXPECT_EQ(text, ReadFile(path)) << "differs from " << path;
}

TEST(PlanText, FullDumpOfARaggedBatch) {
  ExpectGolden("ragged_full", PlanText(RaggedPlan(), PlanTextDetail::kFull));
}

TEST(PlanText, SummaryOfOneLongSequence) {
  ExpectGolden("one_long_summary",
               PlanText(Plan(28, 4, 128, DType::kBFloat16, {32768}, 20), PlanTextDetail::kSummary));
}

TEST(PlanText, FullDumpOfSeveralGroupsWithoutSplits) {
  ExpectGolden("groups_full",
               PlanText(Plan(12, 12, 128, DType::kFloat16, {100, 0, 40}), PlanTextDetail::kFull));
}

TEST(PlanText, FullDumpOfQueryTokensAndFixedCuts) {
  DecodeShape shape = Shape(3, 16, 1, 128, DType::kFloat16);
  shape.max_q_len = 12;
  shape.fixed_split_tokens = 512;
  const std::vector<int32_t> lens = {700, 5, 300};
  const std::vector<int32_t> q_lens = {12, 1, 3};
  const DecodePlan plan = *PlanDecode(shape, *PlatformFor("Ascend910B1", 3), lens.data(),
                                      lens.size(), 0.0884f, q_lens.data());
  ExpectGolden("query_tokens_full", PlanText(plan, PlanTextDetail::kFull));
}

TEST(PlanText, SummaryOfAnInt8HeadMajorCache) {
  DecodeShape shape = Shape(2, 32, 8, 128, DType::kBFloat16);
  shape.kv_quant = KvQuant::kInt8Token;
  shape.kv_route = KvRoute::kDequant;
  shape.kv_strides = {131072, 128, 16384};
  const std::vector<int32_t> lens = {3000, 100};
  const DecodePlan plan =
      *PlanDecode(shape, *PlatformFor("Ascend910B1"), lens.data(), lens.size(), 0.0884f);
  ExpectGolden("int8_summary", PlanText(plan, PlanTextDetail::kSummary));
}

TEST(PlanText, FullDumpOfTheFifoRoute) {
  DecodeShape shape = Shape(3, 40, 2, 128, DType::kBFloat16);
  shape.kv_route = KvRoute::kFifo;
  shape.out_float32 = true;
  const std::vector<int32_t> lens = {3000, 0, 100};
  const DecodePlan plan =
      *PlanDecode(shape, *PlatformFor("Ascend910B1", 5), lens.data(), lens.size(), 0.0884f);
  ExpectGolden("fifo_full", PlanText(plan, PlanTextDetail::kFull));
}

TEST(PlanText, LeavesOutRegionsThatTakeNothing) {
  const std::string text = PlanText(RaggedPlan(), PlanTextDetail::kSummary);
  EXPECT_NE(text.find("partial_lse"), std::string::npos);
  for (const char* region : {"query_operands", "dequant_keys", "dequant_values", " 0 at"}) {
    EXPECT_EQ(text.find(region), std::string::npos) << region;
  }
}

TEST(PlanText, SaysNothingAboutBalanceOfAPlanReadFromBytes) {
  const DecodePlan plan = RaggedPlan();
  const DecodePlan read = *DecodePlan::FromBytes(plan.bytes().data(), plan.bytes().size());
  EXPECT_NE(PlanText(plan, PlanTextDetail::kSummary).find("balance"), std::string::npos);
  EXPECT_EQ(PlanText(read, PlanTextDetail::kSummary).find("balance"), std::string::npos);
}

TEST(PlanText, ReadmeShowsTheRealPlan) {
  const std::string readme = ReadFile("tiling/README.md");
  std::istringstream lines(PlanText(RaggedPlan(), PlanTextDetail::kSummary));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_NE(readme.find(line), std::string::npos) << "README.md lacks: " << line;
  }
}

// 1234567 -> "1,234,567"
std::string WithCommas(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

// Every number of the worked example, from the planner's own prices.
TEST(PlanText, ReadmeCountsAsThePlannerDoes) {
  const DecodeShape shape = Shape(8, 32, 8, 128, DType::kFloat16);
  const SplitParams params =
      MakeSplitParams(Direct(shape), *ChooseTiles(Direct(shape)), *PlatformFor("Ascend910B1"));
  const LengthTotals totals =
      SumLengths(params, BatchLengths<const int32_t*>{kRaggedLens.data(), nullptr});
  const uint64_t granule = 8 * params.granule_cost;
  const uint64_t partial = 8 * params.partial_cost;
  const uint64_t starts = 24 * 23 / 2 * params.core_start_cost;
  ASSERT_EQ(EvenShare(params, totals, 24),
            (TotalCost(params, totals) + 16 * params.item_cost + 17 * partial + starts + 23) / 24);

  const std::string readme = ReadFile("tiling/README.md");
  const auto expect_number = [&readme](const char* name, uint64_t value) {
    EXPECT_NE(readme.find(WithCommas(value)), std::string::npos)
        << name << " is " << WithCommas(value);
  };
  expect_number("one core's share", RaggedPlan().prediction().bytes_per_us);
  expect_number("a granule", granule);
  expect_number("an item", params.item_cost);
  expect_number("an empty item", params.empty_item_cost);
  expect_number("a partial", partial);
  expect_number("granules", totals.granules);
  expect_number("cost without cuts", TotalCost(params, totals));
  expect_number("cost with cuts", TotalCost(params, totals) + 16 * params.item_cost + 17 * partial);
  expect_number("even share", EvenShare(params, totals, 24));
  expect_number("a core's start", params.core_start_cost);
  expect_number("the end of core 5",
                5 * params.core_start_cost + 18 * granule + params.item_cost + partial);
  expect_number("4096 tokens on one core, us",
                (256 * granule + params.item_cost) / RaggedPlan().prediction().bytes_per_us);
}

}  // namespace
}  // namespace ascend_attention
