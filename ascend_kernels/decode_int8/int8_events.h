// SPDX-License-Identifier: Apache-2.0
// Flags and signals of the int8 decode kernels beyond those of decode/events.h,
// which hold for the cube core.
//
//   ring            producer -> consumer  slots  ids  guards
//   WorkRing        MTE2 -> V             1      0    UB scores of a tile, or query rows
//   OTileRing       MTE2 -> V             1      1    UB o_tile
//   ScalesRing      MTE2 -> V             1      2    UB scales of an item or of a tile
//   DequantInRing   MTE2 -> V             2      3-4  UB int8 piece of the cache
//   StoreRing       V -> MTE3             2      0-1  UB operand rows, or out and lse rows
//   OAccRing        V -> MTE3             1      2    UB o_acc of a work item
//   DequantOutRing  V -> MTE3             2      3-4  UB 16-bit piece of the cache
//
// Signals between the cores of one block (mode 2) beyond those of a tile:
//
//   signal         raised by      awaited by  says                              pending
//   kQueryReady    vector, MTE3   cube        query operand of item n is in GM  <= 4
//   kKeysReady     vector, MTE3   cube        16-bit K of tile i is in GM       <= 2
//   kValuesReady   vector, MTE3   cube        16-bit V of tile i is in GM       <= 2
//
// Reuse of their GM slots follows from signals that exist anyway:
//   query[n+4] is stored after kScoresReady of item n's first tile was awaited: the
//     mmads of those scores had query[n] in L0A, so it had been loaded from GM.
//   keys[i+2] are stored after kScoresReady[i] was awaited, values[i+2] after
//     kOTileReady[i]: FIX raises them behind mmads that had loaded keys[i], values[i].
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_EVENTS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_EVENTS_H_

#include "ascend_kernels/cce/ring.h"
#include "ascend_kernels/decode/events.h"
#include "ascend_kernels/decode_int8/int8_buffer_map.h"

namespace ascend_attention {
namespace int8 {

using WorkRing = Ring<PIPE_MTE2, PIPE_V, 1, 0>;
using OTileRing = Ring<PIPE_MTE2, PIPE_V, 1, 1>;
using ScalesRing = Ring<PIPE_MTE2, PIPE_V, 1, 2>;
using DequantInRing = Ring<PIPE_MTE2, PIPE_V, kDequantInSlots, 3>;
using StoreRing = Ring<PIPE_V, PIPE_MTE3, kStoreSlots, 0>;
using OAccRing = Ring<PIPE_V, PIPE_MTE3, 1, 2>;
using DequantOutRing = Ring<PIPE_V, PIPE_MTE3, kDequantOutSlots, 3>;

enum Int8Signal : uint32_t {
  kQueryReady = kPartialsReady + 1,
  kKeysReady = kPartialsReady + 2,
  kValuesReady = kPartialsReady + 3,
};

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_EVENTS_H_
