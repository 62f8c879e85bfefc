// SPDX-License-Identifier: Apache-2.0
// The cost model: bytes counted by hand, and the routes that follow from them.
#include "tiling/decode_costs.h"

#include <cstdint>
#include <utility>

#include "gtest/gtest.h"
#include "tiling/fifo_costs.h"
#include "tiling/kv_layout.h"

namespace ascend_attention {
namespace {

DecodeShape Shape(int64_t num_heads, int64_t num_kv_heads, int64_t head_dim, KvQuant kv_quant,
                  KvRoute route) {
  DecodeShape shape;
  shape.batch = 8;
  shape.num_heads = num_heads;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = head_dim;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 4096;
  shape.max_kv_blocks = 256;
  shape.kv_quant = kv_quant;
  shape.kv_route = route;
  return shape;
}

TokenWork Work(const DecodeShape& shape) { return WorkOfToken(shape, *ChooseTiles(shape)); }

Platform B1() { return *PlatformFor("Ascend910B1"); }

KvRoute Chosen(int64_t num_heads, int64_t num_kv_heads, int64_t head_dim = 128) {
  return *ResolveRoute(
      Shape(num_heads, num_kv_heads, head_dim, KvQuant::kInt8Channel, KvRoute::kAuto), B1());
}

// 4 query heads on a kv head of 128, tiles of 128 tokens.
TEST(TokenWork, CountsWhatPassesTheL2) {
  const TokenWork direct = Work(Shape(32, 8, 128, KvQuant::kNone, KvRoute::kDirect));
  EXPECT_EQ(direct.hbm_bytes, 512u);
  // K, V; S 4 bytes and P 2 bytes of 4 rows, O 4 x 128 x 4 / 128 bytes, each twice.
  EXPECT_EQ(direct.l2_bytes, 512u + 2 * (4 * 6 + 16));
  // Two products, one unit, 8 fractals deep; 16 tokens a fractal.
  EXPECT_EQ(direct.matrix_cycles, 2u * 8 * 256 / 16);

  const TokenWork dequant = Work(Shape(32, 8, 128, KvQuant::kInt8Token, KvRoute::kDequant));
  EXPECT_EQ(dequant.hbm_bytes, 256u);
  EXPECT_EQ(dequant.l2_bytes, 256u + 2 * (2 * 128 * 2 + 4 * 6 + 16));
  EXPECT_EQ(dequant.matrix_cycles, direct.matrix_cycles);

  const TokenWork limbs = Work(Shape(32, 8, 128, KvQuant::kInt8Token, KvRoute::kLimbs));
  EXPECT_EQ(limbs.hbm_bytes, 256u);
  EXPECT_EQ(limbs.l2_bytes, 256u + 2 * (2 * 4 * 5 + 2 * 16));
  EXPECT_EQ(limbs.matrix_cycles, direct.matrix_cycles / 2);  // fractals twice as deep
}

// The cube's loads: rows of K and V, and of P, in 1/256.
TEST(TokenWork, CountsRowsOfLoads) {
  // 8 kv heads of 256 bytes: 2 KiB a token, four rows of a line each for K and V; loads of
  // 32 tokens; P rows of 128 tokens.
  const TokenWork direct = Work(Shape(32, 8, 128, KvQuant::kNone, KvRoute::kDirect));
  EXPECT_EQ(direct.cache_rows, 2u * 4 * 256 / 8);
  EXPECT_EQ(direct.apart_rows, 0u);
  EXPECT_EQ(direct.loads, 2u * 256 / (32 * 8));
  EXPECT_EQ(direct.l2_rows, 4u * 256 / 128);
  EXPECT_EQ(direct.scores, 0u);

  // One kv head of 128 in int8: 128 bytes a row.
  const DecodeShape narrow = Shape(16, 1, 128, KvQuant::kInt8Channel, KvRoute::kLimbs);
  const TileSize tiles = *ChooseTiles(narrow);
  const TokenWork limbs = Work(narrow);
  EXPECT_EQ(limbs.cache_rows, 2u * 256);
  EXPECT_EQ(limbs.loads, 2u * 256 / 128);
  EXPECT_EQ(limbs.l2_rows, 32u * 256 * ((tiles.kv_tile_tokens + 511) / 512) / tiles.kv_tile_tokens);
  EXPECT_EQ(limbs.scores, 16u);
  EXPECT_EQ(limbs.converted, 0u);
  const TokenWork dequant = Work(Shape(16, 1, 128, KvQuant::kInt8Channel, KvRoute::kDequant));
  EXPECT_EQ(dequant.cache_rows, 0u);
  EXPECT_EQ(dequant.converted, 256u);

  // Keys and values of one pool: gaps between rows.
  DecodeShape slices = narrow;
  slices.kv_strides = {2 * 128 * 128, 2 * 128, 128};
  EXPECT_EQ(Work(slices).cache_rows, 0u);
  EXPECT_EQ(Work(slices).apart_rows, 2u * 256);
}

TEST(TokenWork, LimbsPayForMatrixRowsThatDoNotFitAUnit) {
  // 12 query heads: 24 limb rows are two units.
  const TokenWork dequant = Work(Shape(12, 1, 128, KvQuant::kInt8Token, KvRoute::kDequant));
  const TokenWork limbs = Work(Shape(12, 1, 128, KvQuant::kInt8Token, KvRoute::kLimbs));
  EXPECT_EQ(limbs.matrix_cycles, dequant.matrix_cycles);
}

TEST(TokenTime, IsTheSlowestOfWhatWorksAtTheSameTime) {
  const Platform platform = B1();
  const uint64_t hbm = TokenTime(TokenWork{1300}, platform);
  EXPECT_EQ(hbm, (uint64_t{1} << 30) / 1000);  // 1300 bytes at 1.3 TB/s: 1 ns
  const auto with = [&](uint64_t TokenWork::* part, uint64_t value) {
    TokenWork work;
    work.hbm_bytes = 1300;
    work.*part = value;
    return TokenTime(work, platform);
  };
  EXPECT_EQ(with(&TokenWork::l2_bytes, 4700), hbm);
  EXPECT_GT(with(&TokenWork::l2_bytes, 4900), hbm);
  EXPECT_GT(with(&TokenWork::matrix_cycles, 256 * 50), hbm);  // 50 of 44.4 cycles
  EXPECT_EQ(with(&TokenWork::cache_rows, 256 * 6), hbm);      // 24 cores: 6.8 rows in 1 ns
  EXPECT_GT(with(&TokenWork::cache_rows, 256 * 7), hbm);
  EXPECT_GT(with(&TokenWork::apart_rows, 256 * 6), hbm);  // 5.3
  EXPECT_EQ(with(&TokenWork::l2_rows, 256 * 13), hbm);    // 13.9
  EXPECT_GT(with(&TokenWork::l2_rows, 256 * 14), hbm);
  EXPECT_GT(with(&TokenWork::loads, 256), hbm);  // 65 ns on one core of 24
  EXPECT_EQ(with(&TokenWork::scores, 96), hbm);  // 48 vector cores: 96.6
  EXPECT_GT(with(&TokenWork::scores, 97), hbm);
  EXPECT_GT(with(&TokenWork::converted, 3001), hbm);
}

// Converting KV moves ten bytes through the L2 for a byte of cache: more than HBM
// takes for that byte. Limbs move none, but their loads are slow where rows are short.
// The modelled clock gives the same winners: batch 32, context 8192.
TEST(ResolveRoute, LimbsWinUnlessRowsAreShort) {
  EXPECT_EQ(Chosen(32, 8), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(64, 8), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(28, 4), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(32, 32), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(16, 2), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(16, 1, 256), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(16, 1), KvRoute::kDequant);
  EXPECT_EQ(Chosen(16, 1, 64), KvRoute::kDequant);
  EXPECT_EQ(Chosen(8, 2, 64), KvRoute::kDequant);
  EXPECT_EQ(Chosen(32, 2, 64), KvRoute::kLimbs);
  EXPECT_EQ(Chosen(64, 1, 64), KvRoute::kLimbs);  // vector cores are the slowest
}

// Dequant has to convert a tile before the cube can begin. With fixed cuts the size
// of the batch must not matter.
TEST(ResolveRoute, DequantPaysForItsFirstTile) {
  DecodeShape shape = Shape(16, 1, 128, KvQuant::kInt8Channel, KvRoute::kAuto);
  shape.max_kv_blocks = 8;
  EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kLimbs);
  shape.fixed_split_tokens = 512;
  EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kDequant);
}

TEST(ResolveRoute, WithFixedCutsTheNumberOfCoresDoesNotMatter) {
  int balanced_differs = 0;
  for (const KvQuant kv_quant : {KvQuant::kInt8Channel, KvQuant::kInt8Token}) {
    for (const int64_t head_dim : {64, 96, 128, 192, 256}) {
      for (const int64_t kv_heads : {1, 2, 8}) {
        for (const int64_t q_per_kv : {1, 8, 16, 42, 64, 128}) {
          DecodeShape shape =
              Shape(kv_heads * q_per_kv, kv_heads, head_dim, kv_quant, KvRoute::kAuto);
          const auto route = [&](int64_t split, int cores) {
            shape.fixed_split_tokens = split;
            return *ResolveRoute(shape, *PlatformFor("Ascend910B1", cores));
          };
          for (int cores = 1; cores <= 25; ++cores) {
            EXPECT_EQ(route(256, cores), route(256, 24)) << cores << " cores";
            balanced_differs += route(0, cores) != route(0, 24);
          }
        }
      }
    }
  }
  EXPECT_GT(balanced_differs, 0);
}

TEST(ResolveRoute, KeepsWhatIsForcedAndWhatIsPossible) {
  EXPECT_EQ(*ResolveRoute(Shape(32, 8, 128, KvQuant::kNone, KvRoute::kAuto), B1()),
            KvRoute::kDirect);
  EXPECT_EQ(*ResolveRoute(Shape(32, 8, 128, KvQuant::kInt8Token, KvRoute::kDequant), B1()),
            KvRoute::kDequant);
  EXPECT_EQ(Chosen(42, 1, 192), KvRoute::kDequant);  // 84 limb rows of 192 do not fit L0C
}

// 16 bits, 16 query heads on one kv head: the seeds' first case.
DecodeShape SixteenBit(int64_t num_heads = 16, int64_t num_kv_heads = 1) {
  DecodeShape shape = Shape(num_heads, num_kv_heads, 128, KvQuant::kNone, KvRoute::kAuto);
  shape.batch = 256;
  return shape;
}

Platform WithFifoStep(uint64_t step_ns, uint64_t item_ns = 3000) {
  Platform platform = B1();
  platform.costs.fifo_step16_ns = platform.costs.fifo_step64_ns = step_ns;
  platform.costs.fifo_item_ns = item_ns;
  return platform;
}

// A page of 128 tokens is 64 KiB: 1.21 us of one core's share, for either route, and for
// two query tiles at the same time.
TEST(FifoPrices, AStepIsTheSlowestOfItsChainAndItsLoads) {
  const Platform platform = B1();
  const auto prices = [](DecodeShape shape, const Platform& on) {
    shape.kv_route = KvRoute::kFifo;
    return MakeFifoPrices(shape, *ChooseTiles(shape), on);
  };
  const uint64_t share = CoreShare(platform);
  const PlanCosts& costs = platform.costs;
  EXPECT_EQ(prices(SixteenBit(), platform).step_cost, CostOf(costs.fifo_step16_ns, share));
  EXPECT_EQ(prices(SixteenBit(64), platform).step_cost, CostOf(costs.fifo_step64_ns, share));
  EXPECT_EQ(prices(SixteenBit(), platform).item_cost, CostOf(costs.fifo_item_ns, share));
  EXPECT_EQ(prices(SixteenBit(), WithFifoStep(100)).step_cost, 65536u);
  EXPECT_EQ(prices(SixteenBit(17), WithFifoStep(100)).step_cost, 32768u);  // two tiles
  // One core alone has all the bandwidth that its engine can take.
  Platform one = WithFifoStep(100);
  one.num_cores = 1;
  EXPECT_EQ(prices(SixteenBit(17), one).step_cost, 65536u);
}

TEST(FifoLongestBatch, IsThatOfTheCoreWithTheMostIds) {
  DecodeShape shape = SixteenBit();
  shape.kv_route = KvRoute::kFifo;
  const TileSize tiles = *ChooseTiles(shape);
  const FifoPrices prices = MakeFifoPrices(shape, tiles, B1());
  const uint64_t item = prices.item_cost + 256 * prices.step_cost;
  // 256 sequences on 24 cores: 11 on the first 16.
  EXPECT_EQ(FifoLongestBatch(shape, tiles, B1()), 15 * prices.core_start_cost + 11 * item);
  shape.batch = 240;
  EXPECT_EQ(FifoLongestBatch(shape, tiles, B1()), 23 * prices.core_start_cost + 10 * item);
  shape.batch = 1;
  EXPECT_EQ(FifoLongestBatch(shape, tiles, B1()), item);
  shape.max_kv_blocks = 2;
  EXPECT_EQ(FifoLongestBatch(shape, tiles, B1()),
            prices.item_cost + 2 * prices.step_cost - prices.pair_saves);
  EXPECT_EQ(prices.pair_saves, CostOf(B1().costs.fifo_pair_ns, CoreShare(B1())));
  shape.max_kv_blocks = 0;
  EXPECT_EQ(FifoLongestBatch(shape, tiles, B1()), prices.empty_item_cost);
}

TEST(ResolveRoute, SixteenBitsStayDirectUnlessTheFifoIsCheaper) {
  for (const int64_t num_kv_heads : {1, 2, 4, 8, 32}) {
    for (const int64_t q_per_kv : {1, 4, 16, 64, 128}) {
      const DecodeShape shape = SixteenBit(num_kv_heads * q_per_kv, num_kv_heads);
      EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kDirect) << num_kv_heads << " x " << q_per_kv;
      // Slower than a lone page can be read, whatever the direct route does.
      EXPECT_EQ(*ResolveRoute(shape, WithFifoStep(20'000)), KvRoute::kDirect);
    }
  }
  // Where the direct route's price is not that of the memory but of its items, or of what
  // a batch takes beside them: short sequences, and starts that cost little here.
  DecodeShape shape = SixteenBit();
  shape.max_kv_blocks = 1;
  Platform platform = WithFifoStep(100, 1000);
  platform.costs.direct_fill_ns = platform.costs.direct_row_ns = 0;
  platform.costs.direct_head_row_ns = 0;
  EXPECT_EQ(*ResolveRoute(shape, platform), KvRoute::kDirect);
  platform.costs.direct_row_ns = 3000;  // 48 us for 16 rows
  EXPECT_EQ(*ResolveRoute(shape, platform), KvRoute::kFifo);
  platform.costs.direct_row_ns = 0;
  platform.costs.direct_head_row_ns = 3000;
  EXPECT_EQ(*ResolveRoute(shape, platform), KvRoute::kFifo);
  platform.costs.direct_head_row_ns = 0;
  platform.costs.direct_fill_ns = 50'000;
  EXPECT_EQ(*ResolveRoute(shape, platform), KvRoute::kFifo);
  platform.costs.direct_fill_ns = 0;
  platform.costs.item_fixed_ns = 5000;
  EXPECT_EQ(*ResolveRoute(shape, platform), KvRoute::kFifo);
  platform.costs.fifo_item_ns = 5000;
  EXPECT_EQ(*ResolveRoute(shape, platform), KvRoute::kDirect);
}

// Up to a few hundred tokens of a few sequences with many query heads: the FIFO cuts query
// heads where the direct route has one long chain, or a merge. What counts is the capacity.
TEST(ResolveRoute, AFewPagesOfManyQueryHeadsAreForTheFifo) {
  const auto route = [](int64_t batch, int64_t num_heads, int64_t num_kv_heads, int64_t pages) {
    DecodeShape shape = SixteenBit(num_heads, num_kv_heads);
    shape.batch = batch;
    shape.max_kv_blocks = pages;
    return *ResolveRoute(shape, B1());
  };
  EXPECT_EQ(route(1, 128, 1, 1), KvRoute::kFifo);
  EXPECT_EQ(route(4, 128, 1, 2), KvRoute::kFifo);
  EXPECT_EQ(route(1, 128, 8, 2), KvRoute::kFifo);
  EXPECT_EQ(route(1, 32, 8, 1), KvRoute::kFifo);
  EXPECT_EQ(route(1, 64, 1, 2), KvRoute::kFifo);
  EXPECT_EQ(route(1, 128, 1, 64), KvRoute::kDirect);
  EXPECT_EQ(route(24, 128, 1, 1), KvRoute::kDirect);
  EXPECT_EQ(route(12, 128, 8, 2), KvRoute::kDirect);
  EXPECT_EQ(route(1, 16, 1, 4), KvRoute::kDirect);
}

TEST(ResolveRoute, FifoOnlyWhereItsKernelServes) {
  Platform platform = WithFifoStep(100, 0);
  platform.costs.item_fixed_ns = 100'000;
  const auto route = [&](auto change) {
    DecodeShape shape = SixteenBit();
    shape.max_kv_blocks = 1;
    change(shape);
    return *ResolveRoute(shape, platform);
  };
  EXPECT_EQ(route([](DecodeShape&) {}), KvRoute::kFifo);
  EXPECT_EQ(route([](DecodeShape& s) { s.fixed_split_tokens = 256; }), KvRoute::kDirect);
  EXPECT_EQ(route([](DecodeShape& s) { s.kv_block_size = 256; }), KvRoute::kDirect);
  EXPECT_EQ(route([](DecodeShape& s) { s.head_dim = 64; }), KvRoute::kDirect);
  EXPECT_EQ(route([](DecodeShape& s) { s.max_q_len = 2; }), KvRoute::kDirect);
  EXPECT_EQ(route([](DecodeShape& s) { s.kv_route = KvRoute::kDirect; }), KvRoute::kDirect);
}

TEST(ResolveRoute, Float32OutIsTheFifoRoute) {
  DecodeShape shape = SixteenBit(32, 8);
  shape.out_float32 = true;
  EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kFifo);
  EXPECT_EQ(*ResolveRoute(shape, WithFifoStep(900'000)), KvRoute::kFifo);
}

// More than can be counted: nothing wraps, the route stays.
TEST(ResolveRoute, BoundsItsTimes) {
  DecodeShape shape = SixteenBit();
  shape.batch = (int64_t{1} << 31) - 1;
  shape.max_kv_blocks = (int64_t{1} << 31) - 1;
  EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kDirect);
  shape.batch = 1 << 20;
  shape.max_kv_blocks = 1 << 24;
  EXPECT_EQ(*ResolveRoute(shape, WithFifoStep(0, 0)), KvRoute::kDirect);
  // The FIFO is counted for each core, the planned route for all of them: where only that
  // is too much, there is nothing to compare.
  for (const auto& [batch, pages] :
       {std::pair<int64_t, int64_t>{1 << 14, 1 << 23}, {1 << 20, 1 << 20}}) {
    shape.batch = batch;
    shape.max_kv_blocks = pages;
    shape.out_float32 = false;
    EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kDirect) << batch << " x " << pages;
    EXPECT_EQ(*ResolveRoute(shape, WithFifoStep(0, 0)), KvRoute::kDirect) << batch;
    shape.out_float32 = true;
    EXPECT_EQ(*ResolveRoute(shape, B1()), KvRoute::kFifo) << batch << " x " << pages;
  }
}

TEST(MakeSplitParams, PricesAGranuleByTheCacheAndTheRoute) {
  const auto granule = [](KvQuant kv_quant, KvRoute route) {
    const DecodeShape shape = Shape(32, 8, 128, kv_quant, route);
    return MakeSplitParams(shape, *ChooseTiles(shape), B1()).granule_cost;
  };
  EXPECT_EQ(granule(KvQuant::kNone, KvRoute::kDirect), 16u * 512);
  EXPECT_EQ(granule(KvQuant::kInt8Token, KvRoute::kLimbs), 16u * 256);
  // As slow as the L2 makes it: 1360 bytes at 4.8 TB/s.
  const uint64_t dequant = granule(KvQuant::kInt8Token, KvRoute::kDequant);
  EXPECT_NEAR(static_cast<double>(dequant), 16 * 1360 * 1.3 / 4.8, 16);
}

}  // namespace
}  // namespace ascend_attention
