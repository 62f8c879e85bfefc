// SPDX-License-Identifier: Apache-2.0
// Where everything of the decode_fifo kernel lives on the chip, in bytes. Sized for the
// largest tile, 64 query rows against a page of 128 tokens; a smaller one uses the first
// bytes of each slot.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_BUFFER_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_BUFFER_MAP_H_

#include "ascend_kernels/decode/buffer_map.h"

namespace ascend_attention {
namespace fifo {

constexpr uint32_t kHeadDim = 128;
constexpr uint32_t kMostRows = 64;     // query rows of a tile
constexpr uint32_t kMostTokens = 128;  // of a page
static_assert(kHeadDim == kMostTokens, "one slot size serves query and probs, scores and o_tile");

constexpr uint32_t kLeftBytes = kMostRows * kHeadDim * 2;        // query, probs: 16 bit
constexpr uint32_t kPageBytes = kMostTokens * kHeadDim * 2;      // K, V
constexpr uint32_t kProductBytes = kMostRows * kMostTokens * 4;  // scores, o_tile: fp32
constexpr uint32_t kLoadSlots = 2;                               // one in use, one on its way

// --- L1: query | K | V | probs -------------------------------------------------
constexpr uint32_t kQueryL1 = 0;
constexpr uint32_t kKeysL1 = kQueryL1 + kLeftBytes;
constexpr uint32_t kValuesL1 = kKeysL1 + kLoadSlots * kPageBytes;
constexpr uint32_t kProbsL1 = kValuesL1 + kLoadSlots * kPageBytes;
static_assert(kProbsL1 + kLoadSlots * kLeftBytes <= kL1Bytes, "query, K, V, probs exceed L1");

// --- L0A, L0B, L0C: up to two slots, of either product -----------------------------
static_assert(2 * kLeftBytes <= kL0aBytes, "operands exceed L0A");
static_assert(2 * kPageBytes <= kL0bBytes, "operands exceed L0B");
static_assert(2 * kProductBytes <= kL0cBytes, "products exceed L0C");

// --- UB of one vector core: half of the rows of a tile ------------------------------
constexpr uint32_t kLaneRows = kMostRows / 2;
constexpr uint32_t kLaneProductBytes = kProductBytes / 2;
constexpr uint32_t kRowValuesBytes = kVectorBytes;  // one fp32 a row, whole repeats
constexpr uint32_t kSpreadBytes = kLaneRows * kDatablockBytes;
// Probs, or rows of out in fp32, and their lse.
constexpr uint32_t kStoreLse = kLaneProductBytes;
constexpr uint32_t kStoreSlotBytes = kStoreLse + kRowValuesBytes;

constexpr uint32_t kScoresUb = 0;
constexpr uint32_t kOTileUb = kScoresUb + kLoadSlots * kLaneProductBytes;
constexpr uint32_t kOAccUb = kOTileUb + kLoadSlots * kLaneProductBytes;
constexpr uint32_t kStoreUb = kOAccUb + kLaneProductBytes;
constexpr uint32_t kLaneReduceUb = kStoreUb + 2 * kStoreSlotBytes;
constexpr uint32_t kSpreadUb = kLaneReduceUb + kLaneRows * kVectorBytes;
constexpr uint32_t kRescaleUb = kSpreadUb + kSpreadBytes;  // of this page, of the one before
constexpr uint32_t kRowMaxUb = kRescaleUb + 2 * kSpreadBytes;
constexpr uint32_t kRowSumUb = kRowMaxUb + kRowValuesBytes;
constexpr uint32_t kTileMaxUb = kRowSumUb + kRowValuesBytes;
constexpr uint32_t kTileSumUb = kTileMaxUb + kRowValuesBytes;
constexpr uint32_t kRowRescaleUb = kTileSumUb + kRowValuesBytes;
constexpr uint32_t kDivisorUb = kRowRescaleUb + kRowValuesBytes;
static_assert(kDivisorUb + kRowValuesBytes <= kUbBytes, "vector buffers exceed UB");

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_BUFFER_MAP_H_
