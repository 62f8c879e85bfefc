// SPDX-License-Identifier: Apache-2.0
// Host time of replanning into an existing plan: what an engine pays for each
// decode step. Numbers are of the machine that runs it.
//   ./bazelw run //tiling:planner_benchmark
#include <cstdint>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "tiling/decode_planner.h"

namespace ascend_attention {
namespace {

std::vector<int32_t> RaggedLengths(int64_t batch) {
  std::mt19937 random(1);
  std::vector<int32_t> lens(static_cast<size_t>(batch));
  for (int32_t& length : lens) length = 64 + static_cast<int32_t>(random() % 3937);
  return lens;
}

void Replan(benchmark::State& state, int64_t num_heads, int64_t num_kv_heads,
            const std::vector<int32_t>& lens) {
  DecodeShape shape;
  shape.batch = static_cast<int64_t>(lens.size());
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1 << 20;
  shape.max_kv_blocks = 1024;
  const Platform platform = *PlatformFor("Ascend910B1");
  DecodePlan plan;
  for (auto _ : state) {
    const Status status = PlanDecode(shape, platform, lens.data(), lens.size(), 0.1f, &plan);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
    benchmark::DoNotOptimize(plan.bytes().data());
  }
  state.SetItemsProcessed(state.iterations() * shape.batch);
}

// Lengths uniform in 64..4000, 32 heads on 8 kv heads.
void BM_ReplanRagged(benchmark::State& state) {
  Replan(state, 32, 8, RaggedLengths(state.range(0)));
}
BENCHMARK(BM_ReplanRagged)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->Arg(1000);

// All lengths equal: fits a core count or does not.
void BM_ReplanUniform(benchmark::State& state) {
  Replan(state, 32, 8, std::vector<int32_t>(static_cast<size_t>(state.range(0)), 4096));
}
BENCHMARK(BM_ReplanUniform)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->Arg(1000);

// Four kv-head groups per sequence.
void BM_ReplanMha(benchmark::State& state) { Replan(state, 32, 32, RaggedLengths(state.range(0))); }
BENCHMARK(BM_ReplanMha)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->Arg(1000);

void BM_WorkspaceBytes(benchmark::State& state) {
  DecodeShape shape;
  shape.batch = 256;
  shape.num_heads = 32;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1 << 20;
  shape.max_kv_blocks = 1024;
  const Platform platform = *PlatformFor("Ascend910B1");
  for (auto _ : state) benchmark::DoNotOptimize(DecodeWorkspaceBytes(shape, platform)->bytes);
}
BENCHMARK(BM_WorkspaceBytes);

}  // namespace
}  // namespace ascend_attention
