// SPDX-License-Identifier: Apache-2.0
// Every flag and signal of the decode_fifo kernel, in one place.
//
// Flags between pipes of one core; each guard takes `slots` ids from its first one on
// (fifo_variants.h: SlotEvents in both directions, the others one id in one):
//
//   guard         producer -> consumer  slots  ids  guards
//   KeysGuard     MTE2 -> MTE1          2      0-1  L1 K of a page
//   ValuesGuard   MTE2 -> MTE1          2      2-3  L1 V of a page
//   ProbsGuard    MTE2 -> MTE1          2      4-5  L1 probs of a page
//   QueryGuard    MTE2 -> MTE1          1      6    L1 query, held for all pages of a sequence
//   OperandGuard  MTE1 -> M             1, 2   0-1  L0A and L0B of one product, Q K^T or P V
//   ProductGuard  M -> FIX              1, 2   0-1  L0C of one product
//   ScoresGuard   MTE2 -> V             2      0-1  UB scores
//   OTileGuard    MTE2 -> V             2      2-3  UB o_tile
//   StoreGuard    V -> MTE3             1, 2   0-1  UB probs, out and lse
//
// FIX -> S and MTE3 -> S, id 7: where a variant makes the scalar unit wait.
//
// FIFOs between the cores of a block, each with two signals, data and free:
//
//   fifo        from -> to          signals  holds, for page i
//   ScoresFifo  cube -> vector      0, 1     S = Q K^T, fp32
//   ProbsFifo   vector -> cube      2, 3     P, 16 bit
//   OTileFifo   cube -> vector      4, 5     O = P V, fp32
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_EVENTS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_EVENTS_H_

#include "ascend_kernels/cce/fifo.h"
#include "ascend_kernels/decode_fifo/fifo_buffer_map.h"
#include "ascend_kernels/decode_fifo/fifo_variants.h"

namespace ascend_attention {
namespace fifo {

template <typename Variant>
using KeysGuard = typename Variant::template Guard<PIPE_MTE2, PIPE_MTE1, kLoadSlots, 0>;
template <typename Variant>
using ValuesGuard = typename Variant::template Guard<PIPE_MTE2, PIPE_MTE1, kLoadSlots, 2>;
template <typename Variant>
using ProbsGuard = typename Variant::template Guard<PIPE_MTE2, PIPE_MTE1, kLoadSlots, 4>;
template <typename Variant>
using QueryGuard = typename Variant::template Guard<PIPE_MTE2, PIPE_MTE1, 1, 6>;
template <typename Variant>
using OperandGuard = typename Variant::template Guard<PIPE_MTE1, PIPE_M, Variant::kOperandSlots, 0>;
template <typename Variant>
using ProductGuard = typename Variant::template Guard<PIPE_M, PIPE_FIX, Variant::kOperandSlots, 0>;
template <typename Variant>
using ScoresGuard = typename Variant::template Guard<PIPE_MTE2, PIPE_V, kLoadSlots, 0>;
template <typename Variant>
using OTileGuard = typename Variant::template Guard<PIPE_MTE2, PIPE_V, kLoadSlots, 2>;
template <typename Variant>
using StoreGuard = typename Variant::template Guard<PIPE_V, PIPE_MTE3, Variant::kStoreSlots, 0>;

constexpr uint32_t kStoresDone = 7;

template <typename Variant>
using ScoresFifo = FifoSpec<PIPE_FIX, Variant::kDepth, Variant::kPeriod, 0>;
template <typename Variant>
using ProbsFifo = FifoSpec<PIPE_MTE3, Variant::kDepth, Variant::kPeriod, 2>;
template <typename Variant>
using OTileFifo = FifoSpec<PIPE_FIX, Variant::kDepth, Variant::kPeriod, 4>;

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_EVENTS_H_
