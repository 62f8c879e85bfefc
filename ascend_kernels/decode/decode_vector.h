// SPDX-License-Identifier: Apache-2.0
// A vector core's schedule. The two vector cores of a block share a group's
// query rows: sub-block 0 takes the first half (rounded up), 1 the rest. For the
// stream of tiles t0, t1, ...:
//
//   prologue   await S[t0];    P[t0] = softmax(S[t0]); store, raise; the same of t1
//   steady     await S[ti+2];  P[ti+2] = softmax(S[ti+2]); store, raise
//              await O[ti];    o_acc = a[ti] * o_acc + O[ti]; store at item end
//   epilogue   the same step without ti+2
//
// A core without rows (one query row in the group) keeps the signals going.
//
// Next: ascend_kernels/decode/softmax_stage.h - the formula of P.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_VECTOR_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/decode/events.h"
#include "ascend_kernels/decode/exchange_stage.h"
#include "ascend_kernels/decode/rescale_stage.h"
#include "ascend_kernels/decode/softmax_stage.h"
#include "ascend_kernels/decode/work_cursor.h"

namespace ascend_attention {

template <typename T>
class VectorDecoder {
 public:
  AICORE_INLINE explicit VectorDecoder(const DecodeArgs<T>& args)
      : args_(args), problem_(ReadProblem(args.workspace)), cursor_(args.workspace, problem_) {
    if (!TilesFit<T>(problem_)) Trap();
    exchange_.Open(args.workspace);
  }

  AICORE_INLINE ~VectorDecoder() {}

  AICORE_INLINE void Run() {
    UseAllLanes();
    uint32_t opened = 0;  // tiles so far; tile t lies in work_[t % kTileSlots]
    while (opened != kTilesAhead && TakeTile(opened)) ++opened;
    for (uint32_t tile = 0; tile != opened; ++tile) {
      if (TakeTile(opened)) ++opened;
      AccumulateOutput(work_[tile % kTileSlots]);
    }
  }

 private:
  struct TileWork {
    Tile tile;
    RowRange rows;
    uint32_t item_slot;  // which RowState
    uint32_t tile_slot;  // which rescale values
  };

  // A slot of the store ring: a 16-bit matrix and the lse of its rows.
  struct StoreSlot {
    UbPtr<T> matrix;
    LseRows lse;
  };

  // Probs are computed this many tiles ahead of the output.
  static constexpr uint32_t kTilesAhead = kTileSlots - 1;

  // Opens tile number `tile` and computes its probs; false at the end of the work.
  AICORE_INLINE bool TakeTile(uint32_t tile) {
    TileWork& work = work_[tile % kTileSlots];
    if (!OpenTile(work)) return false;
    work.tile_slot = tile % kTileSlots;
    ComputeProbs(work);
    return true;
  }

  // Takes the next tile; empty sequences on the way get their result at once.
  AICORE_INLINE bool OpenTile(TileWork& work) {
    while (cursor_.Next(work.tile)) {
      work.rows = RowsOfThisCore(work.tile);
      if (work.tile.num_tokens != 0) {
        if (work.tile.first_of_item) item_slot_ = (item_slot_ + 1) % kTileSlots;
        work.item_slot = item_slot_;
        return true;
      }
      if (work.rows.rows != 0) WriteEmpty(work);
    }
    return false;
  }

  // out = 0, lse = -inf.
  AICORE_INLINE void WriteEmpty(const TileWork& work) {
    const StoreSlot slot = AcquireStoreSlot();
    const OutputShape shape = OutputOf(work);
    // Zeros of 16 bits, two a lane.
    FillDense(reinterpret_cast<UbPtr<float>>(slot.matrix), 0.0f, CeilDiv(shape.repeats(), 2));
    FillDense(slot.lse.dense, kMinusInfinity, 1);
    FillDense(slot.lse.spread, kMinusInfinity, CeilDiv(work.rows.rows, 8));
    store_.PublishFull();
    store_.AcquireFull();
    StoreOutput<T>(args_, RowMapOf(problem_, work.tile), slot.matrix, slot.lse, work.rows.first_row,
                   shape);
    store_.ReleaseFree();
  }

  // P = softmax(S) of one tile, to GM.
  AICORE_INLINE void ComputeProbs(const TileWork& work) {
    AwaitSignal(kScoresReady);
    const GmPtr<float> scores_gm = exchange_.scores.Next();
    const GmPtr<T> probs_gm = exchange_.probs.Next();
    if (work.rows.rows != 0) {
      const TileShape shape{work.rows.rows, work.tile.num_tokens,
                            CeilDiv(work.tile.num_tokens, kF32Lanes)};
      const UbPtr<float> scores = UbAt<float>(kScoresUb + scores_ub_.AcquireFree() * kMatrixBytes);
      LoadScores(scores, scores_gm, problem_, work.rows.first_row, shape);
      scores_ub_.PublishFull();
      const UbPtr<T> probs = AcquireStoreSlot().matrix;
      const RowState state = StateOf(work);
      if (work.tile.first_of_item) ResetRows(state);
      scores_ub_.AcquireFull();
      const CausalMask mask{RowMapOf(problem_, work.tile), work.rows.first_row,
                            work.tile.visible_tokens};
      SoftmaxTile<T>(probs, scores, RescaleOf(work), state, Scratch(), shape, mask,
                     problem_.softmax_scale);
      scores_ub_.ReleaseFree();
      store_.PublishFull();
      store_.AcquireFull();
      StoreProbs<T>(probs_gm, probs, problem_, work.rows.first_row, shape);
      store_.ReleaseFree();
    }
    RaiseSignal<PIPE_MTE3>(kProbsReady);
  }

  // Adds O_tile of one tile; the last one of an item stores the result.
  AICORE_INLINE void AccumulateOutput(const TileWork& work) {
    AwaitSignal(kOTileReady);
    const GmPtr<float> o_tile_gm = exchange_.o_tiles.Next();
    if (work.rows.rows == 0) return;
    const OutputShape shape = OutputOf(work);
    const UbPtr<float> o_acc = UbAt<float>(kOAccUb);
    if (work.tile.first_of_item) {
      o_acc_.AcquireFree();
      FillDense(o_acc, 0.0f, shape.repeats());
      VectorBarrier();
    }
    const UbPtr<float> o_tile = UbAt<float>(kOTileUb);
    o_tile_ub_.AcquireFree();
    LoadOTile(o_tile, o_tile_gm, work.rows.first_row, shape);
    o_tile_ub_.PublishFull();
    o_tile_ub_.AcquireFull();
    AccumulateOTile(o_acc, o_tile, RescaleOf(work), shape);
    o_tile_ub_.ReleaseFree();
    if (work.tile.last_of_item) FinishItem(work, o_acc, shape);
  }

  // o_acc / l to the caller's tensors, or to the item's partial slot.
  AICORE_INLINE void FinishItem(const TileWork& work, UbPtr<float> o_acc,
                                const OutputShape& shape) {
    const RowState state = StateOf(work);
    const StoreSlot slot = AcquireStoreSlot();
    NormaliseRows(o_acc, state.row_sum, UbAt<float>(kDivisorUb), UbAt<float>(kSpreadUb), shape);
    LogSumExp(slot.lse.dense, state, ProbsScale<T>::kValue);
    const bool is_whole = work.tile.partial == kNoPartial;
    if (is_whole) FromF32(slot.matrix, o_acc, shape.repeats());
    if (work.tile.q_len != 1) {
      VectorBarrier();
      SpreadRows(slot.lse.spread, slot.lse.dense, shape.rows);
    }
    store_.PublishFull();
    o_acc_.PublishFull();
    store_.AcquireFull();
    o_acc_.AcquireFull();
    if (is_whole) {
      StoreOutput<T>(args_, RowMapOf(problem_, work.tile), slot.matrix, slot.lse,
                     work.rows.first_row, shape);
    } else {
      StorePartial(args_.workspace, problem_, work.tile, o_acc, slot.lse.dense, work.rows.first_row,
                   shape);
    }
    store_.ReleaseFree();
    o_acc_.ReleaseFree();
  }

  AICORE_INLINE StoreSlot AcquireStoreSlot() {
    const uint32_t slot = kStoreUb + store_.AcquireFree() * kStoreSlotBytes;
    return StoreSlot{UbAt<T>(slot),
                     LseRows{UbAt<float>(slot + kStoreLse), UbAt<float>(slot + kStoreLseSpread)}};
  }
  AICORE_INLINE OutputShape OutputOf(const TileWork& work) const {
    return OutputShape{work.rows.rows, problem_.head_dim};
  }
  static AICORE_INLINE UbPtr<float> RescaleOf(const TileWork& work) {
    return UbAt<float>(kRescaleUb + work.tile_slot * kSpreadBytes);
  }
  static AICORE_INLINE RowState StateOf(const TileWork& work) {
    return RowState{UbAt<float>(kRowMaxUb + work.item_slot * kRowValuesBytes),
                    UbAt<float>(kRowSumUb + work.item_slot * kRowValuesBytes)};
  }
  static AICORE_INLINE SoftmaxScratch Scratch() {
    return SoftmaxScratch{UbAt<float>(kLaneReduceUb), UbAt<float>(kTileMaxUb),
                          UbAt<float>(kTileSumUb), UbAt<float>(kRowRescaleUb),
                          UbAt<float>(kSpreadUb)};
  }

  DecodeArgs<T> args_;
  Problem problem_;
  TileCursor cursor_;
  TileExchange<T> exchange_;
  TileWork work_[kTileSlots];
  uint32_t item_slot_ = 0;

  ScoresUbRing scores_ub_;
  OTileUbRing o_tile_ub_;
  StoreUbRing store_;
  OAccUbRing o_acc_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_VECTOR_H_
