// SPDX-License-Identifier: Apache-2.0
// Every flag and signal of the decode kernel, in one place.
//
// Flags between pipes of one core. Each ring takes `slots` ids from its first
// event on, in both directions of its pair (full, free):
//
//   ring          producer -> consumer  slots  ids  guards
//   kKvRing       MTE2 -> MTE1          6      0-5  L1 chunk of K or V rows
//   kQueryL1      MTE2 -> MTE1          1      6    L1 query of a work item
//   kProbsL1      MTE2 -> MTE1          1      7    L1 probs of a tile
//   kQueryL0a     MTE1 -> M             1      0    L0A query, held for all tiles of an item
//   kProbsL0a     MTE1 -> M             1      1    L0A probs of a tile
//   kOperandL0b   MTE1 -> M             2      2-3  L0B heads of one K or V chunk
//   kScoresL0c    M -> FIX              1      0    L0C scores of a tile
//   kOTileL0c     M -> FIX              1      1    L0C o_tile of a tile
//   kScoresUb     MTE2 -> V             2      0-1  UB scores
//   kOTileUb      MTE2 -> V             1      2    UB o_tile
//   kStoreUb      V -> MTE3             2      0-1  UB probs, or out and lse rows
//   kOAccUb       V -> MTE3             1      2    UB o_acc of a work item
//
// Signals between the cores of one block (FFTS flags, mode 2), one per tile:
//
//   signal        raised by      awaited by   says, for tile i        pending
//   kScoresReady  cube, FIX      vector       scores[i] is in GM      <= 3
//   kProbsReady   vector, MTE3   cube         probs[i] is in GM       <= 3
//   kOTileReady   cube, FIX      vector       o_tile[i] is in GM      <= 3
//
// And one barrier over the vector cores of all blocks (mode 0), if any sequence
// has several partial results: kPartialsReady, behind the last partial of each.
//
// Each GM slot is reused three tiles later (kTileSlots), and these three suffice:
//   scores[i+3] is stored after kProbsReady[i] was awaited, and probs[i] was
//     computed from scores[i].
//   probs[i+3] is stored after kScoresReady[i+3] was awaited; FIX raises it behind
//     its store of o_tile[i], whose mmads had loaded probs[i].
//   o_tile[i+3] is stored after kProbsReady[i+3] was awaited; the vector cores
//     raise it behind their update of tile i, which had loaded o_tile[i]. One
//     without rows raises it at once, but never reads an o_tile of such an item.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_EVENTS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_EVENTS_H_

#include "ascend_kernels/cce/ring.h"
#include "ascend_kernels/decode/buffer_map.h"

namespace ascend_attention {

using KvRing = Ring<PIPE_MTE2, PIPE_MTE1, kKvSlots, 0>;
using QueryL1Ring = Ring<PIPE_MTE2, PIPE_MTE1, 1, 6>;
using ProbsL1Ring = Ring<PIPE_MTE2, PIPE_MTE1, 1, 7>;
using QueryL0aRing = Ring<PIPE_MTE1, PIPE_M, 1, 0>;
using ProbsL0aRing = Ring<PIPE_MTE1, PIPE_M, 1, 1>;
using OperandL0bRing = Ring<PIPE_MTE1, PIPE_M, kL0bSlots, 2>;
using ScoresL0cRing = Ring<PIPE_M, PIPE_FIX, 1, 0>;
using OTileL0cRing = Ring<PIPE_M, PIPE_FIX, 1, 1>;

using ScoresUbRing = Ring<PIPE_MTE2, PIPE_V, kScoresUbSlots, 0>;
using OTileUbRing = Ring<PIPE_MTE2, PIPE_V, 1, 2>;
using StoreUbRing = Ring<PIPE_V, PIPE_MTE3, kStoreUbSlots, 0>;
using OAccUbRing = Ring<PIPE_V, PIPE_MTE3, 1, 2>;

enum Signal : uint32_t {
  kScoresReady = 0,
  kProbsReady = 1,
  kOTileReady = 2,
  kPartialsReady = 3,
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_EVENTS_H_
