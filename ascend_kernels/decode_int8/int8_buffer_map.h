// SPDX-License-Identifier: Apache-2.0
// UB of a vector core in the int8 decode kernels, in bytes. The cube's memories
// are those of decode/buffer_map.h.
//
// Sizes follow from three inequalities that the planner keeps and the kernel
// checks (RowsFit), for the rows of one vector core, half of an item's:
//   rows * kv_tile_tokens        <= 4096   fp32 matrix
//   rows * head_dim              <= 4096   fp32 matrix
//   kv heads * kv_tile_tokens, kv heads * head_dim <= 1024   scales
//
// A *pair* is two fp32 matrices: the sums of both limbs, or one and scratch.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_BUFFER_MAP_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_BUFFER_MAP_H_

#include "ascend_kernels/decode/buffer_map.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {
namespace int8 {

constexpr uint32_t kMaxMatrixElems = 4096;
constexpr uint32_t kMaxScaleElems = 1024;
constexpr uint32_t kMatrixBytes = kMaxMatrixElems * 4;
constexpr uint32_t kPairBytes = 2 * kMatrixBytes;
constexpr uint32_t kScaleBytes = kMaxScaleElems * 4;

// Store slots: operand rows of both limbs or of 16 bits, or an output, with lse.
constexpr uint32_t kStoreSlots = 2;
constexpr uint32_t kStoreLse = kMaxMatrixElems * 2;
constexpr uint32_t kStoreSlotBytes = kStoreLse + kRowValuesBytes;

// Items between the preparation of their query and their output: kQuerySlots ahead
// of the tile whose probs are computed, kTileSlots behind. A power of two.
constexpr uint32_t kItemSlots = 8;
static_assert(kQuerySlots + kTileSlots <= kItemSlots, "items in work");

constexpr uint32_t kWorkUb = 0;                      // pair: scores, or a query in the making
constexpr uint32_t kOTileUb = kWorkUb + kPairBytes;  // pair
constexpr uint32_t kOAccUb = kOTileUb + kPairBytes;
constexpr uint32_t kStoreUb = kOAccUb + kMatrixBytes;
constexpr uint32_t kLaneReduceUb = kStoreUb + kStoreSlots * kStoreSlotBytes;  // [rows, 64] fp32
constexpr uint32_t kScalesUb = kLaneReduceUb + kMaxRows * 256;  // two: scale and offset, or K and V
constexpr uint32_t kSpreadUb = kScalesUb + 2 * kScaleBytes;
constexpr uint32_t kRescaleUb = kSpreadUb + kSpreadBytes;  // a and b of kTileSlots tiles
constexpr uint32_t kStateUb = kRescaleUb + 2 * kTileSlots * kSpreadBytes;  // m and l, kTileSlots
constexpr uint32_t kFactorUb = kStateUb + 2 * kTileSlots * kRowValuesBytes;
constexpr uint32_t kBiasUb = kFactorUb + kItemSlots * kRowValuesBytes;
constexpr uint32_t kTileRowsUb = kBiasUb + kItemSlots * kRowValuesBytes;
constexpr uint32_t kTileRowVectors = 6;  // TileRows, weights_stage.h
constexpr uint32_t kDitherUb = kTileRowsUb + kTileRowVectors * kRowValuesBytes;  // kLimbs
constexpr uint32_t kDequantInUb = kDitherUb + kVectorBytes;

// Route kDequant: pieces of the cache on their way to 16 bits.
constexpr uint32_t kPieceBytes = 8 * kKiB;  // int8
constexpr uint32_t kDequantInSlots = 2;
constexpr uint32_t kDequantOutSlots = 2;
constexpr uint32_t kDequantOutUb = kDequantInUb + kDequantInSlots * kPieceBytes;
constexpr uint32_t kEndUb = kDequantOutUb + kDequantOutSlots * 2 * kPieceBytes;
static_assert(kEndUb <= kUbBytes, "vector buffers exceed UB");

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_BUFFER_MAP_H_
