// SPDX-License-Identifier: Apache-2.0
// Speed of the virtual NPU: bytes of K and V per second of host time on one
// host thread, for a cube loop shaped like decode attention. No numbers of a
// device come out of this.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "tools/vnpu/check/definedness_checker.h"
#include "tools/vnpu/check/memory_checker.h"
#include "tools/vnpu/core/device.h"

namespace {

constexpr char kKernelPath[] = "tools/vnpu/core/bench/kv_stream.so";
constexpr uint32_t kTokens = 2048;
constexpr uint32_t kKvHeads = 8;
constexpr uint64_t kCacheBytes = uint64_t{kTokens} * kKvHeads * 128 * 2;

struct Args {
  void* key;
  void* value;
  void* out;
  uint32_t tokens;
  uint32_t kv_heads;
  uint32_t m;
};

// Which checkers watch, and whether the last rows of each page of 128 tokens
// hold nothing (they are loaded and multiplied like the others here).
struct Watch {
  bool memory = false;
  bool definedness = false;
  bool stale_tails = false;
};

void RunKvStream(benchmark::State& state, const Watch& watch) {
  std::string error;
  const auto module = vnpu::KernelModule::LoadFile(kKernelPath, &error);
  if (!module) return state.SkipWithError(error.c_str());
  vnpu::DeviceConfig config;
  config.host_threads = 1;
  vnpu::Device device(config);
  vnpu::FindingList findings;
  vnpu::MemoryChecker memory(&findings);
  vnpu::DefinednessChecker definedness(&device, &findings);
  if (watch.memory) device.AddObserver(&memory);
  if (watch.definedness) device.AddObserver(&definedness);
  Args args = {device.Allocate(kCacheBytes),
               device.Allocate(kCacheBytes),
               device.Allocate(uint64_t{1} << 20),
               kTokens,
               kKvHeads,
               static_cast<uint32_t>(state.range(0))};
  // Small normal halves: 0x3555 is about 1/3.
  for (void* cache : {args.key, args.value}) {
    std::memset(cache, 0x35, kCacheBytes);
    device.SetDefined(cache, kCacheBytes, true);
    for (uint64_t token = 100; token < kTokens && watch.stale_tails; token += 128) {
      const uint64_t row = kCacheBytes / kTokens;
      device.SetDefined(static_cast<uint8_t*>(cache) + token * row, 28 * row, false);
    }
  }
  for (auto _ : state) {
    const vnpu::LaunchResult result =
        device.Launch(*module->Find("kv_stream_0"), 1, &args, sizeof(args));
    if (!result.text.empty()) return state.SkipWithError(result.text.c_str());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * 2 * kCacheBytes));
  device.RemoveObserver(&memory);
  device.RemoveObserver(&definedness);
}

void BM_KvStream(benchmark::State& state) { RunKvStream(state, Watch{}); }
BENCHMARK(BM_KvStream)
    ->Arg(1)
    ->Arg(4)
    ->Arg(8)
    ->Arg(16)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_KvStreamMemory(benchmark::State& state) { RunKvStream(state, Watch{true, false, false}); }
BENCHMARK(BM_KvStreamMemory)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_KvStreamDefinedness(benchmark::State& state) {
  RunKvStream(state, Watch{true, true, false});
}
BENCHMARK(BM_KvStreamDefinedness)->Arg(4)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_KvStreamStaleTails(benchmark::State& state) { RunKvStream(state, Watch{true, true, true}); }
BENCHMARK(BM_KvStreamStaleTails)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
