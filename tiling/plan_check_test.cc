// SPDX-License-Identifier: Apache-2.0
// Mutations of a correct plan: each damage must be seen, by the checker that
// guards bytes from outside and by the oracle of the other tests.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tiling/decode_planner.h"
#include "tiling/plan_oracle.h"

namespace ascend_attention {
namespace {

// Split and whole segments, an empty one, a ragged end.
const std::vector<int32_t> kLens = {5000, 128, 0, 9001, 777, 4096};

DecodePlan SamplePlan() {
  DecodeShape shape;
  shape.batch = static_cast<int64_t>(kLens.size());
  shape.num_heads = 32;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1000;
  shape.max_kv_blocks = 128;
  return *PlanDecode(shape, *PlatformFor("Ascend910B1"), kLens.data(), kLens.size(), 0.1f);
}

// Typed views of writable plan bytes.
struct PlanBytes {
  std::vector<uint8_t> bytes = SamplePlan().bytes();

  DecodePlanHeader& header() { return *reinterpret_cast<DecodePlanHeader*>(bytes.data()); }
  CoreItems* cores() {
    return reinterpret_cast<CoreItems*>(bytes.data() + header().core_items.bytes);
  }
  WorkItem* items() { return reinterpret_cast<WorkItem*>(bytes.data() + header().items.bytes); }
  SplitRange* splits() {
    return reinterpret_cast<SplitRange*>(bytes.data() + header().splits.bytes);
  }
  // First item that is a part of a split segment but not its first part.
  WorkItem& inner_part() {
    for (uint32_t i = 0; i < header().num_items; ++i) {
      if (items()[i].token_begin != 0) return items()[i];
    }
    ADD_FAILURE() << "sample plan has no split";
    return items()[0];
  }
  // The whole segment of sequence 4 (777 tokens) or what it begins with.
  WorkItem& item_of(uint32_t sequence) {
    WorkItem* item = items();
    while (item->sequence != sequence) ++item;
    return *item;
  }
  Status Check() const { return CheckPlan(bytes.data(), bytes.size()); }
};

struct Mutation {
  const char* name;
  std::function<void(PlanBytes&)> apply;
};

// Seen without knowing the lengths.
const std::vector<Mutation>& StructuralMutations() {
  static const auto* const kMutations = new std::vector<Mutation>{
      {"magic", [](PlanBytes& p) { p.header().magic ^= 1; }},
      {"abi_version", [](PlanBytes& p) { p.header().abi_version += 1; }},
      {"header_size", [](PlanBytes& p) { p.header().header_size.bytes += 8; }},
      {"plan_size", [](PlanBytes& p) { p.header().plan_size.bytes -= 64; }},
      {"workspace_size", [](PlanBytes& p) { p.header().workspace_size.bytes -= 512; }},
      {"batch", [](PlanBytes& p) { p.header().batch += 1; }},
      {"num_heads", [](PlanBytes& p) { p.header().num_heads = 33; }},
      {"head_dim", [](PlanBytes& p) { p.header().head_dim = 64; }},
      {"dtype", [](PlanBytes& p) { p.header().dtype = static_cast<DType>(9); }},
      {"tile", [](PlanBytes& p) { p.header().kv_tile_tokens += 64; }},
      {"chunk", [](PlanBytes& p) { p.header().kv_chunk_tokens *= 2; }},
      {"num_cores", [](PlanBytes& p) { p.header().num_cores -= 1; }},
      {"no cores", [](PlanBytes& p) { p.header().num_cores = 0; }},
      {"items offset", [](PlanBytes& p) { p.header().items.bytes += 32; }},
      {"scores region", [](PlanBytes& p) { p.header().scores.begin.bytes += 512; }},
      {"partial region", [](PlanBytes& p) { p.header().partial_out.size.bytes -= 4; }},
      {"slot size", [](PlanBytes& p) { p.header().o_tile_slot_size.bytes *= 2; }},
      {"softmax_scale", [](PlanBytes& p) { p.header().softmax_scale = 1e30f * 1e30f; }},
      {"item lost", [](PlanBytes& p) { p.header().num_items -= 1; }},
      {"items beyond the array", [](PlanBytes& p) { p.header().num_items = 1000000; }},
      {"splits beyond the array", [](PlanBytes& p) { p.header().num_splits = 1000; }},
      {"partials beyond the region", [](PlanBytes& p) { p.header().num_partials = 47; }},
      {"partial not used", [](PlanBytes& p) { p.header().num_partials += 1; }},
      {"split not used", [](PlanBytes& p) { p.header().num_splits += 1; }},
      {"core skips an item", [](PlanBytes& p) { p.cores()[3].first_item += 1; }},
      {"core takes a neighbour's item", [](PlanBytes& p) { p.cores()[3].item_count += 1; }},
      {"part shifted", [](PlanBytes& p) { p.inner_part().token_begin += 16; }},
      {"part overlaps", [](PlanBytes& p) { p.inner_part().token_begin -= 16; }},
      {"cut inside a granule",
       [](PlanBytes& p) {
         WorkItem& part = p.inner_part();
         part.token_begin += 8;
         (&part - 1)->token_end += 8;
       }},
      {"empty part",
       [](PlanBytes& p) {
         WorkItem& part = p.inner_part();
         (&part - 1)->token_end = (&part - 1)->token_begin;
         part.token_begin = (&part - 1)->token_begin;
       }},
      {"token_end beyond the table", [](PlanBytes& p) { p.item_of(4).token_end = 128 * 128 + 1; }},
      {"range reversed", [](PlanBytes& p) { p.inner_part().token_end = 0; }},
      {"wrong sequence", [](PlanBytes& p) { p.item_of(1).sequence = 0; }},
      {"wrong query row", [](PlanBytes& p) { p.item_of(1).query_row = 0; }},
      {"wrong q_len", [](PlanBytes& p) { p.item_of(1).q_len = 2; }},
      {"sees more", [](PlanBytes& p) { p.item_of(1).visible_tokens += 1; }},
      {"sees less", [](PlanBytes& p) { p.item_of(1).visible_tokens -= 1; }},
      {"sees nothing", [](PlanBytes& p) { p.item_of(1).visible_tokens = -100; }},
      {"query row too many", [](PlanBytes& p) { p.header().num_query_rows += 1; }},
      {"query tokens of an item", [](PlanBytes& p) { p.header().q_tokens_per_item = 2; }},
      {"kv_quant", [](PlanBytes& p) { p.header().kv_quant = KvQuant::kInt8Channel; }},
      {"kv_route", [](PlanBytes& p) { p.header().kv_route = KvRoute::kAuto; }},
      {"limbs", [](PlanBytes& p) { p.header().operand_limbs = 2; }},
      {"head stride", [](PlanBytes& p) { p.header().kv_head_stride = 64; }},
      {"token stride", [](PlanBytes& p) { p.header().kv_token_stride = 8; }},
      {"block stride", [](PlanBytes& p) { p.header().kv_block_stride = ~uint64_t{0}; }},
      {"fixed split", [](PlanBytes& p) { p.header().fixed_split_tokens = 1024; }},
      {"dequant region", [](PlanBytes& p) { p.header().dequant_keys.begin.bytes += 512; }},
      {"query slot", [](PlanBytes& p) { p.header().query_operand_slot_size.bytes = 512; }},
      {"kv head too many", [](PlanBytes& p) { p.item_of(1).kv_head_count = 9; }},
      {"kv heads missing", [](PlanBytes& p) { p.item_of(1).kv_head_count = 7; }},
      {"slots swapped",
       [](PlanBytes& p) {
         WorkItem& part = p.inner_part();
         std::swap(part.partial, (&part - 1)->partial);
       }},
      {"partial forgotten", [](PlanBytes& p) { p.inner_part().partial = kNoPartial; }},
      {"split of another row", [](PlanBytes& p) { p.splits()[0].query_row += 1; }},
      {"split too short", [](PlanBytes& p) { p.splits()[0].num_partials -= 1; }},
      {"split too long", [](PlanBytes& p) { p.splits()[0].num_partials += 1; }},
      {"split starts late", [](PlanBytes& p) { p.splits()[0].first_partial += 1; }},
  };
  return *kMutations;
}

TEST(CheckPlan, AcceptsWhatThePlannerMakes) {
  const PlanBytes plan;
  EXPECT_TRUE(plan.Check().ok()) << plan.Check().ToString();
  const StatusOr<DecodePlan> copy = DecodePlan::FromBytes(plan.bytes.data(), plan.bytes.size());
  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->bytes(), plan.bytes);
  EXPECT_EQ(copy->prediction().ideal, 0u);
}

TEST(CheckPlan, RejectsEveryMutation) {
  for (const Mutation& mutation : StructuralMutations()) {
    PlanBytes plan;
    mutation.apply(plan);
    ASSERT_NE(plan.bytes, PlanBytes().bytes) << mutation.name << " changes nothing";
    EXPECT_FALSE(plan.Check().ok()) << mutation.name;
  }
}

// Several query blocks and fixed cuts, which the sample above has not.
DecodePlan QueryTokenPlan() {
  DecodeShape shape;
  shape.batch = 3;
  shape.num_heads = 16;
  shape.num_kv_heads = 1;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1000;
  shape.max_kv_blocks = 128;
  shape.max_q_len = 12;  // two blocks of 6 x 16 rows
  shape.fixed_split_tokens = 512;
  const std::vector<int32_t> lens = {700, 5, 3000};
  const std::vector<int32_t> q_lens = {12, 7, 1};
  return *PlanDecode(shape, *PlatformFor("Ascend910B1"), lens.data(), lens.size(), 0.1f,
                     q_lens.data());
}

const std::vector<Mutation>& QueryTokenMutations() {
  // Items: 0-1 and 2-3 are the query blocks of sequence 0, 4 and 5 those of
  // sequence 1, 6 to 11 the parts of sequence 2.
  static const auto* const kMutations = new std::vector<Mutation>{
      {"first block not full",
       [](PlanBytes& p) {
         p.items()[0].q_len = p.items()[1].q_len = p.splits()[0].q_len = 5;
         p.items()[0].visible_tokens += 1;
         p.items()[1].visible_tokens += 1;
       }},
      {"second block sees less", [](PlanBytes& p) { p.items()[5].visible_tokens -= 1; }},
      {"second block of another row", [](PlanBytes& p) { p.items()[5].query_row += 1; }},
      {"second block of another sequence", [](PlanBytes& p) { p.items()[5].sequence = 2; }},
      {"second block lost", [](PlanBytes& p) { p.items()[4].sequence = 0; }},
      {"no query tokens", [](PlanBytes& p) { p.items()[4].q_len = 0; }},
      {"too many query tokens", [](PlanBytes& p) { p.items()[4].q_len = 7; }},
      {"cut beside a multiple",
       [](PlanBytes& p) { p.items()[6].token_end = p.items()[7].token_begin = 496; }},
      {"cut left out", [](PlanBytes& p) { p.header().fixed_split_tokens = 496; }},
      {"fixed cuts denied", [](PlanBytes& p) { p.header().fixed_split_tokens = 0; }},
      {"split of fewer query tokens", [](PlanBytes& p) { p.splits()[0].q_len = 1; }},
      {"fewer query tokens an item", [](PlanBytes& p) { p.header().q_tokens_per_item = 5; }},
  };
  return *kMutations;
}

TEST(CheckPlan, RejectsMutationsOfQueryBlocksAndFixedCuts) {
  PlanBytes original;
  original.bytes = QueryTokenPlan().bytes();
  ASSERT_TRUE(original.Check().ok()) << original.Check().ToString();
  ASSERT_EQ(original.header().num_items, 12u);
  for (const Mutation& mutation : QueryTokenMutations()) {
    PlanBytes plan;
    plan.bytes = original.bytes;
    mutation.apply(plan);
    ASSERT_NE(plan.bytes, original.bytes) << mutation.name << " changes nothing";
    EXPECT_FALSE(plan.Check().ok()) << mutation.name;
  }
}

// 20 query heads on each of 2 kv heads: two tiles of 16.
DecodePlan FifoPlan() {
  DecodeShape shape;
  shape.batch = static_cast<int64_t>(kLens.size());
  shape.num_heads = 40;
  shape.num_kv_heads = 2;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1000;
  shape.max_kv_blocks = 128;
  shape.kv_route = KvRoute::kFifo;
  return *PlanDecode(shape, *PlatformFor("Ascend910B1"), kLens.data(), kLens.size(), 0.1f);
}

const std::vector<Mutation>& FifoMutations() {
  const auto lens = [](PlanBytes& p) {
    return reinterpret_cast<int32_t*>(p.bytes.data() + p.header().context_lens.bytes);
  };
  static const auto* const kMutations = new std::vector<Mutation>{
      {"negative length", [=](PlanBytes& p) { lens(p)[2] = -1; }},
      {"length beyond the table", [=](PlanBytes& p) { lens(p)[5] = 128 * 128 + 1; }},
      {"route", [](PlanBytes& p) { p.header().kv_route = KvRoute::kDirect; }},
      {"unknown route", [](PlanBytes& p) { p.header().kv_route = static_cast<KvRoute>(5); }},
      {"kv_quant", [](PlanBytes& p) { p.header().kv_quant = KvQuant::kInt8Token; }},
      {"out of the other 16 bits", [](PlanBytes& p) { p.header().out_dtype = DType::kBFloat16; }},
      {"unknown out", [](PlanBytes& p) { p.header().out_dtype = static_cast<DType>(3); }},
      {"reserved", [](PlanBytes& p) { p.header().reserved = 1; }},
      {"lengths elsewhere", [](PlanBytes& p) { p.header().context_lens.bytes += 64; }},
      {"lengths nowhere", [](PlanBytes& p) { p.header().context_lens.bytes = 0; }},
      {"an item", [](PlanBytes& p) { p.header().num_items = 1; }},
      {"a split", [](PlanBytes& p) { p.header().num_splits = 1; }},
      {"a partial", [](PlanBytes& p) { p.header().num_partials = 1; }},
      {"items offset", [](PlanBytes& p) { p.header().items.bytes = 384; }},
      {"core items offset", [](PlanBytes& p) { p.header().core_items.bytes = 384; }},
      {"query rows", [](PlanBytes& p) { p.header().num_query_rows += 1; }},
      {"query tokens", [](PlanBytes& p) { p.header().max_q_len = 2; }},
      {"fixed cuts", [](PlanBytes& p) { p.header().fixed_split_tokens = 512; }},
      {"tiles of a kv head", [](PlanBytes& p) { p.header().kv_head_parts = 1; }},
      {"batch", [](PlanBytes& p) { p.header().batch += 32; }},
      {"cores", [](PlanBytes& p) { p.header().num_cores += 1; }},
      {"page of 64", [](PlanBytes& p) { p.header().kv_block_size = 64; }},
      {"page of 256", [](PlanBytes& p) { p.header().kv_block_size = 256; }},
      {"head_dim", [](PlanBytes& p) { p.header().head_dim = 64; }},
      {"tile tokens", [](PlanBytes& p) { p.header().kv_tile_tokens = 64; }},
      {"scores", [](PlanBytes& p) { p.header().scores.size.bytes -= 512; }},
      {"o slot", [](PlanBytes& p) { p.header().o_tile_slot_size.bytes += 512; }},
      {"partial region", [](PlanBytes& p) { p.header().partial_out.size.bytes = 512; }},
      {"workspace", [](PlanBytes& p) { p.header().workspace_size.bytes -= 512; }},
      {"scale", [](PlanBytes& p) { p.header().softmax_scale = 1e30f * 1e30f; }},
  };
  return *kMutations;
}

TEST(CheckPlan, RejectsMutationsOfAFifoPlan) {
  PlanBytes original;
  original.bytes = FifoPlan().bytes();
  ASSERT_TRUE(original.Check().ok()) << original.Check().ToString();
  for (const Mutation& mutation : FifoMutations()) {
    PlanBytes plan;
    plan.bytes = original.bytes;
    mutation.apply(plan);
    ASSERT_NE(plan.bytes, original.bytes) << mutation.name << " changes nothing";
    EXPECT_FALSE(plan.Check().ok()) << mutation.name;
  }
  PlanBytes longer = original;
  longer.bytes.resize(longer.bytes.size() + 64);
  EXPECT_FALSE(longer.Check().ok());
  PlanBytes negative = original;
  FifoMutations().front().apply(negative);
  EXPECT_EQ(negative.Check().ToString(),
            "INVALID_ARGUMENT: plan: context_lens[2] = -1; expected 0..16384");
}

// Only kFifo has lengths and a float32 out.
TEST(CheckPlan, RejectsWhatOnlyAFifoPlanHas) {
  PlanBytes plan;
  plan.header().out_dtype = DType::kFloat32;
  EXPECT_NE(plan.Check().message().find("kv_route = fifo"), std::string::npos)
      << plan.Check().ToString();
  plan = PlanBytes();
  plan.header().context_lens.bytes = 384;
  EXPECT_FALSE(plan.Check().ok());
  plan = PlanBytes();
  plan.header().kv_route = KvRoute::kFifo;
  EXPECT_FALSE(plan.Check().ok());
}

TEST(CheckPlan, RejectsTruncatedAndForeignBytes) {
  PlanBytes plan;
  EXPECT_FALSE(CheckPlan(nullptr, 0).ok());
  EXPECT_FALSE(CheckPlan(plan.bytes.data(), 10).ok());
  EXPECT_FALSE(CheckPlan(plan.bytes.data(), sizeof(DecodePlanHeader)).ok());
  EXPECT_FALSE(CheckPlan(plan.bytes.data(), plan.bytes.size() - 1).ok());
  const std::vector<uint8_t> zeros(plan.bytes.size());
  EXPECT_FALSE(CheckPlan(zeros.data(), zeros.size()).ok());
}

TEST(CheckPlan, ReadsUnalignedBytes) {
  PlanBytes plan;
  std::vector<uint8_t> shifted(1);
  shifted.insert(shifted.end(), plan.bytes.begin(), plan.bytes.end());
  EXPECT_TRUE(CheckPlan(shifted.data() + 1, plan.bytes.size()).ok());
}

TEST(CheckPlan, NamesTheFieldThatIsWrong) {
  PlanBytes plan;
  plan.header().kv_tile_tokens = 64;
  EXPECT_EQ(plan.Check().ToString(),
            "INVALID_ARGUMENT: plan: header field kv_tile_tokens does not agree with the shape in "
            "the header");
  PlanBytes shifted;
  WorkItem& part = shifted.inner_part();
  const uint32_t before = part.token_begin;
  part.token_begin += 16;
  EXPECT_NE(shifted.Check().message().find("token_begin = " + std::to_string(before + 16) +
                                           "; expected " + std::to_string(before)),
            std::string::npos)
      << shifted.Check().ToString();
}

// A sequence that is planned for fewer tokens than it has is a plan like any
// other: only the oracle, which knows the lengths, can see it.
TEST(PlanOracle, SeesASequenceThatEndsEarly) {
  PlanBytes plan;
  WorkItem& item = plan.item_of(1);
  ASSERT_EQ(item.partial, kNoPartial);
  item.token_end -= 16;
  EXPECT_FALSE(plan.Check().ok()) << "its query token sees more";
  item.visible_tokens -= 16;
  const StatusOr<DecodePlan> read = DecodePlan::FromBytes(plan.bytes.data(), plan.bytes.size());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_NE(FindCoverageError(*read, kLens).find(": visible tokens"), std::string::npos);
}

// The oracle by itself, on plans that CheckPlan would not let pass: it must
// find the same damage from the other side.
TEST(PlanOracle, SeesOneShiftedTokenRange) {
  DecodePlan plan = SamplePlan();
  ASSERT_EQ(FindPlanError(plan, kLens), "");
  // The plan owns its bytes; the test reaches into them on purpose.
  auto* items = const_cast<WorkItem*>(plan.items());
  uint32_t inner = 0;
  while (items[inner].token_begin == 0) ++inner;
  items[inner].token_begin += 16;
  EXPECT_NE(FindCoverageError(plan, kLens).find("gap between"), std::string::npos);
  items[inner].token_begin -= 32;
  EXPECT_NE(FindCoverageError(plan, kLens).find("overlaps"), std::string::npos);
}

TEST(PlanOracle, SeesSwappedSlotsAndLostItems) {
  DecodePlan plan = SamplePlan();
  auto* items = const_cast<WorkItem*>(plan.items());
  uint32_t inner = 0;
  while (items[inner].token_begin == 0) ++inner;
  std::swap(items[inner].partial, items[inner - 1].partial);
  EXPECT_NE(FindPartialError(plan), "");
  std::swap(items[inner].partial, items[inner - 1].partial);
  ASSERT_EQ(FindPartialError(plan), "");
  const_cast<CoreItems*>(plan.core_items())[2].item_count -= 1;
  EXPECT_NE(FindPartialError(plan), "");
}

TEST(PlanOracle, SeesOverlappingRegions) {
  DecodePlan plan = SamplePlan();
  auto& header = const_cast<DecodePlanHeader&>(plan.header());
  header.probs.begin.bytes -= 512;
  EXPECT_EQ(FindRegionError(plan), "probs overlaps scores");
  header.probs.begin.bytes += 512;
  ASSERT_EQ(FindRegionError(plan), "");
  header.partial_lse.size.bytes -= header.partial_lse.size.bytes / 2;
  header.num_partials = 46;
  EXPECT_NE(FindRegionError(plan), "");
}

}  // namespace
}  // namespace ascend_attention
