// SPDX-License-Identifier: Apache-2.0
// A vector core's schedule. The two vector cores of a block share a group's
// query rows: sub-block 0 takes the first half (rounded up), 1 the rest. For the
// stream of tiles t0, t1, ...:
//
//   prologue   await S[t0];    P[t0] = softmax(S[t0]); store, raise
//   steady     await S[ti+1];  P[ti+1] = softmax(S[ti+1]); store, raise
//              await O[ti];    o_acc = a[ti] * o_acc + O[ti]; store at item end
//   epilogue   the same step without ti+1
//
// A core without rows (one query row in the group) keeps the signals going.
//
// Next: ascend_kernels/decode/softmax_stage.h - the formula of P.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_VECTOR_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/cce/vector_math.h"
#include "ascend_kernels/decode/events.h"
#include "ascend_kernels/decode/rescale_stage.h"
#include "ascend_kernels/decode/softmax_stage.h"
#include "ascend_kernels/decode/work_cursor.h"

namespace ascend_attention {

template <typename T>
class VectorDecoder {
 public:
  AICORE_INLINE explicit VectorDecoder(const DecodeArgs<T>& args)
      : args_(args),
        problem_(ReadProblem(args)),
        cursor_(args.workspace, problem_),
        exchange_(args.workspace) {
    RequireFits(args.workspace, problem_);
  }

  AICORE_INLINE void Run() {
    UseAllLanes();
    TileWork current;
    TileWork next;
    bool has_current = OpenTile(current);
    if (has_current) ComputeProbs(current);
    while (has_current) {
      const bool has_next = OpenTile(next);
      if (has_next) ComputeProbs(next);
      AccumulateOutput(current);
      current = next;
      has_current = has_next;
    }
  }

 private:
  struct TileWork {
    Tile tile;
    uint32_t first_row;  // of this vector core, in the group
    uint32_t rows;
    uint32_t item_slot;  // 0 or 1: which RowState
    uint32_t tile_slot;  // 0 or 1: which rescale values
  };

  // Takes the next tile; empty sequences on the way get their result at once.
  AICORE_INLINE bool OpenTile(TileWork& work) {
    while (cursor_.Next(work.tile)) {
      const uint32_t group_rows = work.tile.kv_head_count * problem_.q_per_kv;
      const uint32_t half = CeilDiv(group_rows, 2);
      const bool is_first_core = get_subblockid() == 0;
      work.first_row = is_first_core ? 0 : half;
      work.rows = is_first_core ? half : group_rows - half;
      if (work.tile.num_tokens != 0) {
        if (work.tile.first_of_item) item_slot_ ^= 1;
        tile_slot_ ^= 1;
        work.item_slot = item_slot_;
        work.tile_slot = tile_slot_;
        return true;
      }
      if (work.rows != 0) WriteEmpty(work);
    }
    return false;
  }

  // out = 0, lse = -inf.
  AICORE_INLINE void WriteEmpty(const TileWork& work) {
    const uint32_t slot = StoreSlot(store_.AcquireFree());
    const uint32_t out_bytes = work.rows * problem_.head_dim * sizeof(T);
    FillDense(UbAt<float>(slot), 0.0f, CeilDiv(out_bytes, kVectorBytes));
    FillDense(UbAt<float>(slot + kStoreLse), kMinusInfinity, 1);
    store_.PublishFull();
    store_.AcquireFull();
    StoreOutput(work, slot);
    store_.ReleaseFree();
  }

  // P = softmax(S) of one tile, to GM.
  AICORE_INLINE void ComputeProbs(const TileWork& work) {
    AwaitSignal(kScoresReady);
    const uint32_t first_elem = work.first_row * problem_.tile_tokens;
    const GmPtr<float> scores_gm = exchange_.scores.Next() + first_elem;
    const GmPtr<T> probs_gm = exchange_.probs.Next() + first_elem;
    const TileShape shape{work.rows, work.tile.num_tokens,
                          CeilDiv(work.tile.num_tokens, kF32Lanes)};
    if (work.rows != 0) {
      const UbPtr<float> scores = LoadScores(scores_gm, shape);
      const UbPtr<T> probs = UbAt<T>(StoreSlot(store_.AcquireFree()));
      const RowState state = StateOf(work);
      if (work.tile.first_of_item) ResetRows(state);
      scores_ub_.AcquireFull();
      SoftmaxTile<T>(probs, scores, RescaleOf(work), state, Scratch(), shape,
                     problem_.softmax_scale);
      scores_ub_.ReleaseFree();
      store_.PublishFull();
      store_.AcquireFull();
      StoreProbs(probs_gm, probs, shape);
      store_.ReleaseFree();
    }
    RaiseSignal<PIPE_MTE3>(kProbsReady);
  }

  // Adds O_tile of one tile; the last one of an item stores the result.
  AICORE_INLINE void AccumulateOutput(const TileWork& work) {
    AwaitSignal(kOTileReady);
    const GmPtr<float> o_tile_gm = exchange_.o_tiles.Next() + work.first_row * problem_.head_dim;
    if (work.rows == 0) return;
    const OutputShape shape{work.rows, problem_.head_dim};
    const UbPtr<float> o_acc = UbAt<float>(kOAccUb);
    if (work.tile.first_of_item) {
      o_acc_.AcquireFree();
      FillDense(o_acc, 0.0f, shape.repeats());
      VectorBarrier();
    }
    const UbPtr<float> o_tile = UbAt<float>(kOTileUb);
    o_tile_ub_.AcquireFree();
    GmToUb(o_tile, o_tile_gm, WholeRows(shape, sizeof(float)));
    o_tile_ub_.PublishFull();
    o_tile_ub_.AcquireFull();
    AccumulateOTile(o_acc, o_tile, RescaleOf(work), shape);
    o_tile_ub_.ReleaseFree();
    if (work.tile.last_of_item) FinishItem(work, shape);
  }

  AICORE_INLINE void FinishItem(const TileWork& work, const OutputShape& shape) {
    const UbPtr<float> o_acc = UbAt<float>(kOAccUb);
    const RowState state = StateOf(work);
    const uint32_t slot = StoreSlot(store_.AcquireFree());
    NormaliseRows(o_acc, state.row_sum, UbAt<float>(kSpreadUb), shape);
    LogSumExp(UbAt<float>(slot + kStoreLse), state);
    const bool is_whole = work.tile.partial == kNoPartial;
    if (is_whole) FromF32(UbAt<T>(slot), o_acc, shape.repeats());
    store_.PublishFull();
    o_acc_.PublishFull();
    store_.AcquireFull();
    o_acc_.AcquireFull();
    if (is_whole) {
      StoreOutput(work, slot);
    } else {
      StorePartial(work, o_acc, slot);
    }
    store_.ReleaseFree();
    o_acc_.ReleaseFree();
  }

  AICORE_INLINE UbPtr<float> LoadScores(GmPtr<float> scores_gm, const TileShape& shape) {
    const UbPtr<float> scores = UbAt<float>(kScoresUb + scores_ub_.AcquireFree() * kMatrixBytes);
    RowCopy copy;
    copy.rows = shape.rows;
    copy.row_datablocks = CeilDiv(shape.tokens, kF32PerDatablock);
    copy.src_gap_datablocks = problem_.tile_tokens / kF32PerDatablock - copy.row_datablocks;
    copy.dst_gap_datablocks = shape.pitch() / kF32PerDatablock - copy.row_datablocks;
    GmToUb(scores, scores_gm, copy);
    scores_ub_.PublishFull();
    return scores;
  }

  AICORE_INLINE void StoreProbs(GmPtr<T> probs_gm, UbPtr<T> probs, const TileShape& shape) {
    RowCopy copy;
    copy.rows = shape.rows;
    copy.row_datablocks = shape.pitch() * sizeof(T) / kDatablockBytes;
    copy.dst_gap_datablocks =
        problem_.tile_tokens * sizeof(T) / kDatablockBytes - copy.row_datablocks;
    UbToGm(probs_gm, probs, copy);
  }

  // 16-bit rows and lse of a store slot to the caller's tensors.
  AICORE_INLINE void StoreOutput(const TileWork& work, uint32_t slot) {
    const uint64_t row = work.tile.first_row + work.first_row;
    UbToGm(args_.out + row * problem_.head_dim, UbAt<T>(slot),
           WholeRows(OutputShape{work.rows, problem_.head_dim}, sizeof(T)));
    if ((args_.flags & kLaunchWriteLse) != 0) {
      UbToGmRagged(args_.lse + row, UbAt<float>(slot + kStoreLse), work.rows);
    }
  }

  // fp32 rows and lse to the item's partial slot, for the combine kernel.
  AICORE_INLINE void StorePartial(const TileWork& work, UbPtr<float> rows, uint32_t slot) {
    GmPtr<DecodePlanHeader> header = PlanHeader(args_.workspace);
    const uint64_t first_row =
        static_cast<uint64_t>(work.tile.partial) * problem_.max_rows + work.first_row;
    const uint64_t first_lse =
        static_cast<uint64_t>(work.tile.partial) * RoundUp(problem_.max_rows, kF32PerDatablock) +
        work.first_row;
    UbToGm(GmAt<float>(args_.workspace, &header->partial_out.begin) + first_row * problem_.head_dim,
           rows, WholeRows(OutputShape{work.rows, problem_.head_dim}, sizeof(float)));
    UbToGmRagged(GmAt<float>(args_.workspace, &header->partial_lse.begin) + first_lse,
                 UbAt<float>(slot + kStoreLse), work.rows);
  }

  static AICORE_INLINE RowCopy WholeRows(const OutputShape& shape, uint32_t elem_bytes) {
    RowCopy copy;
    copy.rows = 1;
    copy.row_datablocks = shape.rows * shape.head_dim * elem_bytes / kDatablockBytes;
    return copy;
  }

  static AICORE_INLINE uint32_t StoreSlot(uint32_t slot) {
    return kStoreUb + slot * kStoreSlotBytes;
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
  uint32_t item_slot_ = 0;
  uint32_t tile_slot_ = 0;

  ScoresUbRing scores_ub_;
  OTileUbRing o_tile_ub_;
  StoreUbRing store_;
  OAccUbRing o_acc_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_VECTOR_H_
