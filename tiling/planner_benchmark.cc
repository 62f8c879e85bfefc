// SPDX-License-Identifier: Apache-2.0
// Host time of replanning into an existing plan: what an engine pays for each
// decode step. Numbers are of the machine that runs it.
//   ./bazelw run //tiling:planner_benchmark
#include <cstdint>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "tiling/decode_costs.h"
#include "tiling/decode_planner.h"

namespace ascend_attention {
namespace {

std::vector<int32_t> RaggedLengths(int64_t batch) {
  std::mt19937 random(1);
  std::vector<int32_t> lens(static_cast<size_t>(batch));
  for (int32_t& length : lens) length = 64 + static_cast<int32_t>(random() % 3937);
  return lens;
}

DecodeShape Shape(int64_t batch, int64_t num_heads, int64_t num_kv_heads) {
  DecodeShape shape;
  shape.batch = batch;
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1 << 20;
  shape.max_kv_blocks = 1024;
  return shape;
}

// The route of an open one is chosen once, before, as an operator does.
void Replan(benchmark::State& state, DecodeShape shape, const std::vector<int32_t>& lens,
            const int32_t* q_lens = nullptr) {
  const Platform platform = *PlatformFor("Ascend910B1");
  shape.kv_route = *ResolveRoute(shape, platform);
  DecodePlan plan;
  for (auto _ : state) {
    const Status status =
        PlanDecode(shape, platform, lens.data(), lens.size(), 0.1f, &plan, q_lens);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
    benchmark::DoNotOptimize(plan.bytes().data());
  }
  state.SetItemsProcessed(state.iterations() * shape.batch);
}

// Lengths uniform in 64..4000, 32 heads on 8 kv heads.
void BM_ReplanRagged(benchmark::State& state) {
  Replan(state, Shape(state.range(0), 32, 8), RaggedLengths(state.range(0)));
}
BENCHMARK(BM_ReplanRagged)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->Arg(1000);

// All lengths equal: fits a core count or does not.
void BM_ReplanUniform(benchmark::State& state) {
  Replan(state, Shape(state.range(0), 32, 8),
         std::vector<int32_t>(static_cast<size_t>(state.range(0)), 4096));
}
BENCHMARK(BM_ReplanUniform)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->Arg(1000);

// Four kv-head groups per sequence.
void BM_ReplanMha(benchmark::State& state) {
  Replan(state, Shape(state.range(0), 32, 32), RaggedLengths(state.range(0)));
}
BENCHMARK(BM_ReplanMha)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->Arg(1000);

// One to four query tokens each.
void BM_ReplanQueryTokens(benchmark::State& state) {
  DecodeShape shape = Shape(state.range(0), 32, 8);
  shape.max_q_len = 4;
  std::vector<int32_t> q_lens(static_cast<size_t>(shape.batch));
  for (size_t i = 0; i < q_lens.size(); ++i) q_lens[i] = 1 + static_cast<int32_t>(i % 4);
  Replan(state, shape, RaggedLengths(shape.batch), q_lens.data());
}
BENCHMARK(BM_ReplanQueryTokens)->ArgName("batch")->Arg(256);

void BM_ReplanInt8(benchmark::State& state) {
  DecodeShape shape = Shape(state.range(0), 32, 8);
  shape.kv_quant = KvQuant::kInt8Token;
  Replan(state, shape, RaggedLengths(shape.batch));
}
BENCHMARK(BM_ReplanInt8)->ArgName("batch")->Arg(256);

// Batch-invariant mode: about five parts a sequence.
void BM_ReplanFixedSplit(benchmark::State& state) {
  DecodeShape shape = Shape(state.range(0), 32, 8);
  shape.max_kv_blocks = 32;
  shape.fixed_split_tokens = 512;
  Replan(state, shape, RaggedLengths(shape.batch));
}
BENCHMARK(BM_ReplanFixedSplit)->ArgName("batch")->Arg(256);

// Lengths only: 16 query heads on one kv head, 8 kv heads.
void BM_ReplanFifo(benchmark::State& state) {
  DecodeShape shape = Shape(256, 16 * state.range(0), state.range(0));
  shape.kv_route = KvRoute::kFifo;
  Replan(state, shape, RaggedLengths(shape.batch));
}
BENCHMARK(BM_ReplanFifo)->ArgName("kv_heads")->Arg(1)->Arg(8);

// Once an operator.
void BM_ChooseRoute(benchmark::State& state) {
  DecodeShape shape = Shape(256, 32, 8);
  if (state.range(0) == 8) shape.kv_quant = KvQuant::kInt8Token;
  const Platform platform = *PlatformFor("Ascend910B1");
  for (auto _ : state) benchmark::DoNotOptimize(*ResolveRoute(shape, platform));
}
BENCHMARK(BM_ChooseRoute)->ArgName("bits")->Arg(16)->Arg(8);

void BM_WorkspaceBytes(benchmark::State& state) {
  const DecodeShape shape = Shape(256, 32, 8);
  const Platform platform = *PlatformFor("Ascend910B1");
  for (auto _ : state) benchmark::DoNotOptimize(DecodeWorkspaceBytes(shape, platform)->bytes);
}
BENCHMARK(BM_WorkspaceBytes);

}  // namespace
}  // namespace ascend_attention
