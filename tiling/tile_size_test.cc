// SPDX-License-Identifier: Apache-2.0
// The capacity inequalities of the decode kernel, checked over every shape that
// we accept. The numbers are the kernel's buffers, not tile_size.cc's constants.
#include "tiling/tile_size.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace ascend_attention {
namespace {

DecodeShape Shape(int64_t num_kv_heads, int64_t q_per_kv, int64_t head_dim) {
  DecodeShape shape;
  shape.batch = 1;
  shape.num_heads = num_kv_heads * q_per_kv;
  shape.num_kv_heads = num_kv_heads;
  shape.head_dim = head_dim;
  shape.kv_block_size = 128;
  shape.num_kv_blocks = 1;
  shape.max_kv_blocks = 1;
  shape.kv_route = KvRoute::kDirect;
  return shape;
}

void ExpectFits(const DecodeShape& shape, const TileSize& tiles) {
  constexpr uint64_t kKiB = 1024;
  const auto head_dim = static_cast<uint64_t>(shape.head_dim);
  const auto q_per_kv = static_cast<uint64_t>(shape.q_per_kv());
  const uint64_t heads = tiles.kv_heads_per_group;
  const uint64_t units = heads * ((q_per_kv + 15) / 16);
  const uint64_t tile = tiles.kv_tile_tokens;
  const uint64_t chunk = tiles.kv_chunk_tokens;
  EXPECT_LE(units * 16 * head_dim * 2, 32 * kKiB) << "Q in half of L0A";
  EXPECT_LE(units * 16 * head_dim * 4, 64 * kKiB) << "O in half of L0C";
  EXPECT_LE(units * 16 * tile * 4, 64 * kKiB) << "scores in half of L0C";
  EXPECT_LE(units * 16 * tile * 2, 32 * kKiB) << "P in half of L0A";
  EXPECT_LE(chunk * head_dim * 2, 32 * kKiB) << "one kv head of a chunk in half of L0B";
  EXPECT_LE(chunk * heads * head_dim * 2, 64 * kKiB) << "a chunk in an L1 slot";
  EXPECT_LE(heads * q_per_kv, 128u) << "softmax state of 64 rows in each vector core";
  EXPECT_LE(tile, 4 * chunk) << "V chunks of a tile in the ring";
  EXPECT_LE(chunk, tile);
  EXPECT_LE(chunk / 16, 8u) << "load instructions of a chunk of 16-token kv blocks";
  EXPECT_EQ(tile % 64, 0u);
  EXPECT_GE(tile, 64u);
  EXPECT_LE(tile, 512u);
  EXPECT_EQ(chunk % 16, 0u);
  EXPECT_GE(chunk, 16u);
  EXPECT_EQ(tiles.rows_per_group, heads * q_per_kv);
  EXPECT_EQ(tiles.units_per_group, units);
}

void ExpectGroupsCoverHeads(const DecodeShape& shape, const TileSize& tiles) {
  EXPECT_GE(tiles.last_group_heads, 1u);
  EXPECT_LE(tiles.last_group_heads, tiles.kv_heads_per_group);
  EXPECT_EQ((tiles.num_groups - 1) * tiles.kv_heads_per_group + tiles.last_group_heads,
            static_cast<uint64_t>(shape.num_kv_heads));
}

TEST(TileSize, FitsEveryBufferForEveryShape) {
  int shapes = 0;
  for (const int64_t head_dim : {64, 128}) {
    for (int64_t q_per_kv = 1; q_per_kv <= 128; ++q_per_kv) {
      for (int64_t num_kv_heads = 1; num_kv_heads <= 65535 / head_dim; ++num_kv_heads) {
        const DecodeShape shape = Shape(num_kv_heads, q_per_kv, head_dim);
        ASSERT_TRUE(Validate(shape).ok());
        const StatusOr<TileSize> tiles = ChooseTiles(shape);
        ASSERT_TRUE(tiles.ok()) << tiles.status().ToString();
        ExpectFits(shape, *tiles);
        ExpectGroupsCoverHeads(shape, *tiles);
        ASSERT_FALSE(HasFailure())
            << num_kv_heads << " kv heads x " << q_per_kv << ", head_dim " << head_dim;
        ++shapes;
      }
    }
  }
  EXPECT_EQ(shapes, 128 * (1023 + 511));
}

TEST(TileSize, ReadsWholeRowsOfEightKvHeads) {
  const TileSize tiles = *ChooseTiles(Shape(8, 4, 128));  // Llama-3 8B
  EXPECT_EQ(tiles.kv_heads_per_group, 8u);
  EXPECT_EQ(tiles.num_groups, 1u);
  EXPECT_EQ(tiles.kv_tile_tokens, 128u);
  EXPECT_EQ(tiles.kv_chunk_tokens, 32u);  // 32 tokens x 2 KiB = one 64 KiB slot
  EXPECT_EQ(tiles.rows_per_group, 32u);
}

TEST(TileSize, BalancesGroupsInsteadOfLeavingASmallRest) {
  const TileSize ten = *ChooseTiles(Shape(10, 4, 128));  // 8 fit: 5 + 5, not 8 + 2
  EXPECT_EQ(ten.num_groups, 2u);
  EXPECT_EQ(ten.kv_heads_per_group, 5u);
  EXPECT_EQ(ten.last_group_heads, 5u);
  const TileSize nine = *ChooseTiles(Shape(9, 1, 128));
  EXPECT_EQ(nine.kv_heads_per_group, 5u);
  EXPECT_EQ(nine.last_group_heads, 4u);
}

TEST(TileSize, TakesLongTilesForOneKvHead) {
  const TileSize tiles = *ChooseTiles(Shape(1, 16, 128));
  EXPECT_EQ(tiles.kv_tile_tokens, 512u);
  EXPECT_EQ(tiles.kv_chunk_tokens, 128u);
  EXPECT_EQ(ChooseTiles(Shape(1, 16, 64))->kv_chunk_tokens, 128u);
}

// More query heads per kv head than a 16-row unit holds cost kv heads.
TEST(TileSize, TradesKvHeadsForQueryRows) {
  EXPECT_EQ(ChooseTiles(Shape(8, 16, 128))->kv_heads_per_group, 8u);
  EXPECT_EQ(ChooseTiles(Shape(8, 17, 128))->kv_heads_per_group, 4u);
  EXPECT_EQ(ChooseTiles(Shape(8, 128, 128))->kv_heads_per_group, 1u);
}

}  // namespace
}  // namespace ascend_attention
