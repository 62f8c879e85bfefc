// SPDX-License-Identifier: Apache-2.0
// The capacity inequalities of the decode kernels, checked over every shape that
// we accept. The numbers are the kernels' buffers, not tile_size.cc's constants.
#include "tiling/tile_size.h"

#include <algorithm>
#include <cstdint>

#include "gtest/gtest.h"
#include "tiling/support.h"

namespace ascend_attention {
namespace {

constexpr int64_t kHeadDims[] = {64, 96, 128, 192, 256};

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

DecodeShape Int8Shape(int64_t num_kv_heads, int64_t q_per_kv, int64_t head_dim, KvRoute route) {
  DecodeShape shape = Shape(num_kv_heads, q_per_kv, head_dim);
  shape.kv_quant = KvQuant::kInt8Channel;
  shape.kv_route = route;
  return shape;
}

DecodeShape HeadMajor(DecodeShape shape) {
  shape.kv_strides.token = shape.head_dim;
  shape.kv_strides.head = shape.kv_block_size * shape.head_dim;
  shape.kv_strides.block = shape.num_kv_heads * shape.kv_strides.head;
  return shape;
}

// Load instructions of a chunk: kv blocks that it touches from the worst token
// on, and kv heads if one instruction cannot reach from one to the next.
uint64_t LoadsPerChunk(const DecodeShape& shape, const TileSize& tiles) {
  const auto block = static_cast<uint64_t>(shape.kv_block_size);
  uint64_t most = 0;
  for (uint64_t begin = 0; begin < block; begin += 16) {
    most = std::max(most, (begin + tiles.kv_chunk_tokens - 1) / block + 1);
  }
  const bool separate = shape.kv_route != KvRoute::kDequant && shape.num_kv_heads > 1 &&
                        shape.kv_strides.head > 65535;
  return separate ? most * tiles.kv_heads_per_group : most;
}

void ExpectFits(const DecodeShape& shape, const TileSize& tiles) {
  constexpr uint64_t kKiB = 1024;
  const bool has_limbs = shape.kv_route == KvRoute::kLimbs;
  const uint64_t limbs = has_limbs ? 2 : 1;
  const uint64_t bytes = has_limbs ? 1 : 2;  // of Q, K, V, P in the cube
  const auto head_dim = static_cast<uint64_t>(shape.head_dim);
  ASSERT_EQ(static_cast<uint64_t>(shape.q_per_kv()) % tiles.kv_head_parts, 0u);
  const uint64_t q_per_kv = static_cast<uint64_t>(shape.q_per_kv()) / tiles.kv_head_parts;
  const uint64_t heads = tiles.kv_heads_per_group;
  const uint64_t head_rows = tiles.q_tokens_per_item * q_per_kv;
  const uint64_t units = heads * ((head_rows * limbs + 15) / 16);
  const uint64_t tile = tiles.kv_tile_tokens;
  const uint64_t chunk = tiles.kv_chunk_tokens;
  EXPECT_LE(units * 16 * head_dim * bytes, 32 * kKiB) << "Q in half of L0A";
  EXPECT_LE(units * 16 * head_dim * 4, 64 * kKiB) << "O in half of L0C";
  EXPECT_LE(units * 16 * tile * 4, 64 * kKiB) << "scores in half of L0C";
  EXPECT_LE(units * 16 * tile * bytes, 32 * kKiB) << "P in half of L0A";
  EXPECT_LE(chunk * head_dim * bytes, 32 * kKiB) << "one kv head of a chunk in half of L0B";
  EXPECT_LE(chunk * heads * head_dim * bytes, 64 * kKiB) << "a chunk in an L1 slot";
  if (shape.kv_quant != KvQuant::kNone) {
    const uint64_t core_rows = (heads * head_rows + 1) / 2;
    const uint64_t lanes = (head_dim + 63) / 64 * 64;
    EXPECT_LE(core_rows * lanes, 4096u) << "O of a vector core";
    EXPECT_LE(core_rows * tile, 4096u) << "scores of a vector core";
    EXPECT_LE(heads * std::max(lanes, tile), 1024u) << "scales of a vector core";
  }
  EXPECT_LE(heads * head_rows, 128u) << "softmax state of 64 rows in each vector core";
  EXPECT_LE(tile, 4 * chunk) << "V chunks of a tile in the ring";
  EXPECT_LE(chunk, tile);
  EXPECT_LE(LoadsPerChunk(shape, tiles), 8u) << "load instructions of a chunk";
  EXPECT_EQ(tile % 64, 0u);
  EXPECT_GE(tile, 64u);
  EXPECT_LE(tile, 512u);
  EXPECT_EQ(chunk % (has_limbs ? 32 : 16), 0u);
  EXPECT_GE(chunk, 16u);
  EXPECT_LE(chunk, 128u);
  EXPECT_GE(tiles.q_tokens_per_item, 1u);
  EXPECT_LE(tiles.q_tokens_per_item, static_cast<uint64_t>(shape.max_q_len));
  EXPECT_EQ(tiles.operand_limbs, limbs);
  EXPECT_EQ(tiles.rows_per_group, heads * head_rows);
  EXPECT_EQ(tiles.units_per_group, units);
}

void ExpectGroupsCoverHeads(const DecodeShape& shape, const TileSize& tiles) {
  EXPECT_GE(tiles.last_group_heads, 1u);
  EXPECT_LE(tiles.last_group_heads, tiles.kv_heads_per_group);
  EXPECT_EQ((tiles.num_groups - 1) * tiles.kv_heads_per_group + tiles.last_group_heads,
            static_cast<uint64_t>(shape.num_kv_heads) * tiles.kv_head_parts);
  if (tiles.kv_head_parts != 1) {
    EXPECT_EQ(tiles.kv_heads_per_group, 1u) << "parts are no neighbours in the cache";
  }
}

// False if the shape has no kernel.
bool ExpectGoodTiles(const DecodeShape& shape) {
  if (!Validate(shape).ok()) return false;
  const StatusOr<TileSize> tiles = ChooseTiles(shape);
  EXPECT_TRUE(tiles.ok()) << tiles.status().ToString();
  if (!tiles.ok()) return true;
  ExpectFits(shape, *tiles);
  ExpectGroupsCoverHeads(shape, *tiles);
  EXPECT_FALSE(::testing::Test::HasFailure())
      << shape.num_kv_heads << " kv heads x " << shape.q_per_kv() << ", head_dim " << shape.head_dim
      << ", max_q_len " << shape.max_q_len << ", route " << KvRouteName(shape.kv_route)
      << ", kv_block_size " << shape.kv_block_size;
  return true;
}

TEST(TileSize, FitsEveryBufferForEveryHeadCount) {
  int shapes = 0;
  for (const int64_t head_dim : kHeadDims) {
    for (int64_t q_per_kv = 1; q_per_kv <= 128; ++q_per_kv) {
      for (int64_t num_kv_heads = 1; num_kv_heads <= 40; ++num_kv_heads) {
        shapes += ExpectGoodTiles(Shape(num_kv_heads, q_per_kv, head_dim));
        ASSERT_FALSE(HasFailure());
      }
    }
  }
  EXPECT_EQ(shapes, 40 * 5 * 128);
}

TEST(TileSize, FitsEveryBufferForEveryOption) {
  int shapes = 0;
  for (const int64_t head_dim : kHeadDims) {
    for (const int64_t q_per_kv : {1, 3, 4, 7, 8, 15, 16, 17, 32, 33, 40, 64, 80, 128}) {
      for (const int64_t num_kv_heads : {1, 2, 3, 5, 8, 12, 16, 32}) {
        for (const int64_t block : {16, 32, 48, 128, 272, 512}) {
          for (const KvRoute route : {KvRoute::kDequant, KvRoute::kLimbs}) {
            DecodeShape shape = Int8Shape(num_kv_heads, q_per_kv, head_dim, route);
            shape.kv_block_size = block;
            shapes += ExpectGoodTiles(shape) + ExpectGoodTiles(HeadMajor(shape));
          }
          for (int64_t max_q_len = 1; max_q_len <= 16; max_q_len += 3) {
            DecodeShape shape = Shape(num_kv_heads, q_per_kv, head_dim);
            shape.max_q_len = max_q_len;
            shape.kv_block_size = block;
            shapes += ExpectGoodTiles(shape) + ExpectGoodTiles(HeadMajor(shape));
          }
          ASSERT_FALSE(HasFailure());
        }
      }
    }
  }
  EXPECT_GT(shapes, 20000);
}

// Query heads beyond one item are cut into the fewest equal parts that fit.
TEST(TileSize, CutsTheQueryHeadsOfAKvHead) {
  struct Row {
    DecodeShape shape;
    uint32_t parts;
  };
  const Row rows[] = {
      {Shape(1, 128, 128), 1},
      {Shape(1, 80, 192), 1},
      {Shape(1, 81, 192), 3},
      {Shape(2, 100, 192), 2},
      {Shape(1, 64, 256), 1},
      {Shape(3, 128, 256), 2},
      {Shape(1, 127, 256), 127},  // a prime
      {Int8Shape(1, 64, 128, KvRoute::kLimbs), 1},
      {Int8Shape(2, 128, 128, KvRoute::kLimbs), 2},
      {Int8Shape(1, 42, 192, KvRoute::kDequant), 1},
      {Int8Shape(1, 42, 192, KvRoute::kLimbs), 2},
      {Int8Shape(1, 128, 256, KvRoute::kDequant), 4},
  };
  for (const Row& row : rows) {
    const StatusOr<TileSize> tiles = ChooseTiles(row.shape);
    ASSERT_TRUE(tiles.ok()) << tiles.status().ToString();
    EXPECT_EQ(tiles->kv_head_parts, row.parts)
        << row.shape.q_per_kv() << " query heads, head_dim " << row.shape.head_dim;
    EXPECT_EQ(tiles->num_groups,
              row.parts == 1 ? tiles->num_groups : row.parts * row.shape.num_kv_heads);
  }
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

uint32_t KvHeadsFor(int64_t max_q_len, DecodeShape shape) {
  shape.max_q_len = max_q_len;
  return ChooseTiles(shape)->kv_heads_per_group;
}

uint32_t QTokensFor(int64_t max_q_len, DecodeShape shape) {
  shape.max_q_len = max_q_len;
  return ChooseTiles(shape)->q_tokens_per_item;
}

// All query tokens in one item, even if that costs kv heads, while runs stay at
// 512 bytes: 2 heads of 128.
TEST(TileSize, KeepsQueryTokensTogether) {
  const DecodeShape llama = Shape(8, 4, 128);
  EXPECT_EQ(KvHeadsFor(4, llama), 8u);
  EXPECT_EQ(QTokensFor(16, llama), 16u);
  EXPECT_EQ(KvHeadsFor(16, llama), 2u);
  // 8 query heads: 16 tokens are 128 rows of one kv head, a run of 256 bytes.
  const DecodeShape wide = Shape(8, 8, 128);
  EXPECT_EQ(QTokensFor(16, wide), 8u);
  EXPECT_EQ(KvHeadsFor(16, wide), 2u);
  // Head-major runs are long without neighbouring heads.
  EXPECT_EQ(QTokensFor(16, HeadMajor(wide)), 16u);
  EXPECT_EQ(KvHeadsFor(16, HeadMajor(wide)), 1u);
  // There is one kv head only: nothing to be gained from fewer query tokens.
  EXPECT_EQ(QTokensFor(16, Shape(1, 8, 128)), 16u);
  EXPECT_EQ(QTokensFor(5, Shape(1, 32, 128)), 3u);  // 3 + 2, not 4 + 1
}

// Heads that one instruction cannot reach are loaded one by one: a pipe's queue
// holds four of them.
TEST(TileSize, LoadsDistantHeadsOneByOne) {
  DecodeShape shape = Shape(8, 4, 128);
  shape.kv_block_size = 512;
  EXPECT_EQ(ChooseTiles(HeadMajor(shape))->kv_heads_per_group, 4u);
  shape.kv_block_size = 256;  // 32768 elements from head to head
  EXPECT_EQ(ChooseTiles(HeadMajor(shape))->kv_heads_per_group, 8u);
}

TEST(TileSize, LimbsDoubleTheRowsNotTheBytes) {
  const TileSize limbs = *ChooseTiles(Int8Shape(8, 4, 128, KvRoute::kLimbs));
  EXPECT_EQ(limbs.units_per_group, 8u);  // 2 x 4 rows still fit one unit
  EXPECT_EQ(limbs.kv_tile_tokens, 128u);
  EXPECT_EQ(limbs.kv_chunk_tokens, 64u);  // 64 tokens x 1 KiB
  const TileSize dequant = *ChooseTiles(Int8Shape(8, 4, 128, KvRoute::kDequant));
  EXPECT_EQ(dequant.kv_tile_tokens, ChooseTiles(Shape(8, 4, 128))->kv_tile_tokens);
  EXPECT_EQ(dequant.kv_chunk_tokens, ChooseTiles(Shape(8, 4, 128))->kv_chunk_tokens);
  EXPECT_EQ(ChooseTiles(Int8Shape(1, 64, 128, KvRoute::kLimbs))->units_per_group, 8u);
}

}  // namespace
}  // namespace ascend_attention
