// SPDX-License-Identifier: Apache-2.0
// Where everything of the decode kernel lives on the chip, in bytes.
//
// Sizes follow from five inequalities that tiling/tile_size.h keeps and the
// kernel checks (TilesFit), with units = kv_heads_per_group *
// ceil(rows of a kv head / 16) (a unit is 16 query rows of one kv head):
//   units * head_dim       <= 1024   query and o_tile fit their halves
//   units * kv_tile_tokens <= 1024   scores and probs fit theirs
//   kv_chunk_tokens * kv_heads_per_group * head_dim * 2 <= 64 KiB   L1 slot
//   kv_chunk_tokens * head_dim * 2                      <= 32 KiB   L0B slot
//   query rows of an item <= 128                     rows of the two vector cores
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_BUFFER_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_BUFFER_MAP_H_

#include <stdint.h>

#include "tiling/abi/decode_plan.h"

namespace ascend_attention {

constexpr uint32_t kKiB = 1024;

// Capacities of the A2 core (CANN docs).
constexpr uint32_t kL1Bytes = 512 * kKiB;
constexpr uint32_t kL0aBytes = 64 * kKiB;
constexpr uint32_t kL0bBytes = 64 * kKiB;
constexpr uint32_t kL0cBytes = 128 * kKiB;
constexpr uint32_t kUbBytes = 192 * kKiB;

constexpr uint32_t kMaxUnitLanes = 1024;  // units * head_dim, units * kv_tile_tokens
constexpr uint32_t kMaxTileTokens = 512;
constexpr uint32_t kMaxChunkTokens = 128;
constexpr uint32_t kMaxChunksPerTile = 4;
constexpr uint32_t kUnitRows = 16;  // query rows of one unit, the cube's fractal

// --- L1: ring of K/V chunks | query | probs ----------------------------------
constexpr uint32_t kKvSlots = 6;
constexpr uint32_t kKvSlotBytes = 64 * kKiB;
constexpr uint32_t kOperandABytes = kMaxUnitLanes * kUnitRows * 2;  // query or probs, 16 bit
constexpr uint32_t kKvL1 = 0;
constexpr uint32_t kQueryL1 = kKvL1 + kKvSlots * kKvSlotBytes;
constexpr uint32_t kProbsL1 = kQueryL1 + kOperandABytes;
static_assert(kProbsL1 + kOperandABytes <= kL1Bytes, "chunk ring, query and probs exceed L1");

// --- L0A: query | probs ------------------------------------------------------
constexpr uint32_t kQueryL0a = 0;
constexpr uint32_t kProbsL0a = kQueryL0a + kOperandABytes;
static_assert(kProbsL0a + kOperandABytes <= kL0aBytes, "query and probs exceed L0A");

// --- L0B: two slots, each some heads of one chunk -----------------------------
constexpr uint32_t kL0bSlots = 2;
constexpr uint32_t kL0bSlotBytes = kL0bBytes / kL0bSlots;

// --- L0C: scores | o_tile ----------------------------------------------------
constexpr uint32_t kResultBytes = kMaxUnitLanes * kUnitRows * 4;  // fp32
constexpr uint32_t kScoresL0c = 0;
constexpr uint32_t kOTileL0c = kScoresL0c + kResultBytes;
static_assert(kOTileL0c + kResultBytes <= kL0cBytes, "scores and o_tile exceed L0C");

// --- UB of one vector core: half of the rows of a group -------------------------
constexpr uint32_t kMaxRows = 64;  // query rows of one vector core
constexpr uint32_t kScoresUbSlots = 2;
constexpr uint32_t kMatrixBytes = kResultBytes / 2;  // [rows, tile] or [rows, head_dim] fp32
constexpr uint32_t kRowValuesBytes = kMaxRows * 4;   // one fp32 a row
constexpr uint32_t kSpreadBytes = kMaxRows * 32;     // one datablock a row
constexpr uint32_t kStoreUbSlots = 2;
constexpr uint32_t kStoreLse = kMatrixBytes / 2;  // lse rows follow the 16-bit matrix
constexpr uint32_t kStoreLseSpread = kStoreLse + kRowValuesBytes;  // and again, a datablock a row
constexpr uint32_t kStoreSlotBytes = kStoreLseSpread + kSpreadBytes;

constexpr uint32_t kScoresUb = 0;
constexpr uint32_t kOTileUb = kScoresUb + kScoresUbSlots * kMatrixBytes;
constexpr uint32_t kOAccUb = kOTileUb + kMatrixBytes;
constexpr uint32_t kStoreUb = kOAccUb + kMatrixBytes;
constexpr uint32_t kLaneReduceUb = kStoreUb + kStoreUbSlots * kStoreSlotBytes;  // [rows, 64] fp32
constexpr uint32_t kSpreadUb = kLaneReduceUb + kMaxRows * 256;
// Of as many tiles, and items, as are in work: kTileSlots.
constexpr uint32_t kRescaleUb = kSpreadUb + kSpreadBytes;
constexpr uint32_t kRowMaxUb = kRescaleUb + kTileSlots * kSpreadBytes;
constexpr uint32_t kRowSumUb = kRowMaxUb + kTileSlots * kRowValuesBytes;
constexpr uint32_t kTileMaxUb = kRowSumUb + kTileSlots * kRowValuesBytes;
constexpr uint32_t kTileSumUb = kTileMaxUb + kRowValuesBytes;
constexpr uint32_t kRowRescaleUb = kTileSumUb + kRowValuesBytes;
constexpr uint32_t kDivisorUb = kRowRescaleUb + kRowValuesBytes;
static_assert(kDivisorUb + kRowValuesBytes <= kUbBytes, "vector buffers exceed UB");

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_BUFFER_MAP_H_
