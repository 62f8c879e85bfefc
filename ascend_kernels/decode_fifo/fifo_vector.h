// SPDX-License-Identifier: Apache-2.0
// A vector core's schedule for each work id, over its pages 0..n-1:
//
//   prologue   P[0]
//   steady     P[i]; o_acc with O[i-1]      i = 1..n-1
//   epilogue   o_acc with O[n-1]; out
//
// P[i] = softmax(S[i]) and o_acc = a[i] * o_acc + O[i], as in the decode kernel
// (softmax_stage.h, rescale_stage.h); a[i] waits one page for its O[i]. The two vector
// cores share the rows of the tile. One without rows keeps the FIFOs going.
//
// Next: ascend_kernels/decode/softmax_stage.h - the formula of P.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_VECTOR_H_

#include "ascend_kernels/decode_fifo/fifo_events.h"
#include "ascend_kernels/decode_fifo/lane_stage.h"

namespace ascend_attention {
namespace fifo {

template <typename T, typename Variant, uint32_t kRows, uint32_t kPage>
class VectorHalf {
 public:
  AICORE_INLINE explicit VectorHalf(const DecodeArgs<T>& args)
      : args_(args), problem_(ReadProblem(args.workspace)), cursor_(args.workspace, problem_) {
    GmPtr<DecodePlanHeader> header = PlanHeader(args.workspace);
    scores_.Open(SlotsOfThisBlock<float>(args.workspace, &header->scores.begin,
                                         header->scores_slot_size.bytes));
    probs_.Open(
        SlotsOfThisBlock<T>(args.workspace, &header->probs.begin, header->probs_slot_size.bytes));
    o_tiles_.Open(SlotsOfThisBlock<float>(args.workspace, &header->o_tiles.begin,
                                          header->o_tile_slot_size.bytes));
  }

  AICORE_INLINE ~VectorHalf() {}

  AICORE_INLINE void Run() {
    UseAllLanes();
    while (cursor_.Next(work_)) {
      lane_ = RowsOfThisLane(work_.rows);
      const uint32_t pages = NumPages<kPage>(work_);
      if (pages == 0) {
        if (lane_.rows != 0) WriteZeros();
        continue;
      }
      ComputeProbs(0);
      for (uint32_t page = 1; page < pages; ++page) {
        ComputeProbs(page);
        Accumulate(page - 1);
      }
      VectorBarrier();  // no softmax lies between the last two pages' additions to o_acc
      Accumulate(pages - 1);
      if (lane_.rows != 0) WriteResult();
    }
  }

 private:
  // P of one page, to its FIFO.
  AICORE_INLINE void ComputeProbs(uint32_t page) {
    const GmPtr<float> scores_gm = scores_.Front();
    if (lane_.rows == 0) {
      scores_.Pop();
      probs_.Acquire();
      probs_.Push();
      return;
    }
    const uint32_t tokens = TokensOf<kPage>(work_, page);
    const TileShape shape{lane_.rows, tokens, CeilDiv(tokens, kF32Lanes)};
    const UbPtr<float> scores =
        UbAt<float>(kScoresUb + scores_ub_.AcquireFree() * kLaneProductBytes);
    LoadScores<kPage>(scores, scores_gm, lane_, shape);
    scores_.Pop();
    scores_ub_.PublishFull();
    const UbPtr<T> probs = UbAt<T>(AcquireStoreSlot());
    if (page == 0) ResetRows(State());
    scores_ub_.AcquireFull();
    SoftmaxTile<T>(probs, scores, RescaleOf(page), State(), Scratch(), shape, kNoMask,
                   problem_.softmax_scale);
    scores_ub_.ReleaseFree();
    store_.PublishFull();
    store_.AcquireFull();
    StoreProbs<kPage, T>(probs_.Acquire(), probs, lane_, shape);
    store_.ReleaseFree();
    probs_.Push();
  }

  // o_acc with O of one page.
  AICORE_INLINE void Accumulate(uint32_t page) {
    const GmPtr<float> o_tile_gm = o_tiles_.Front();
    if (lane_.rows == 0) {
      o_tiles_.Pop();
      return;
    }
    const UbPtr<float> o_tile =
        UbAt<float>(kOTileUb + o_tile_ub_.AcquireFree() * kLaneProductBytes);
    LoadOTile(o_tile, o_tile_gm, lane_);
    o_tiles_.Pop();
    o_tile_ub_.PublishFull();
    if (page == 0) {
      FillDense(OAcc(), 0.0f, Output().repeats());
      VectorBarrier();
    }
    o_tile_ub_.AcquireFull();
    AccumulateOTile(OAcc(), o_tile, RescaleOf(page), Output());
    o_tile_ub_.ReleaseFree();
  }

  // o_acc / l, and lse.
  AICORE_INLINE void WriteResult() {
    const uint32_t slot = AcquireStoreSlot();
    const UbPtr<float> lse = UbAt<float>(slot + kStoreLse);
    NormaliseRows(OAcc(), State().row_sum, UbAt<float>(kDivisorUb), UbAt<float>(kSpreadUb),
                  Output());
    LogSumExp(lse, State(), ProbsScale<T>::kValue);
    if (problem_.out_is_float32) {
      CopyDense(UbAt<float>(slot), OAcc(), Output().repeats());
      StoreSlot<float>(slot);
    } else {
      FromF32(UbAt<T>(slot), OAcc(), Output().repeats());
      StoreSlot<T>(slot);
    }
    if (Variant::kWaitForStores) WaitForPipe<PIPE_MTE3, kStoresDone>();
  }

  // Of an empty sequence: out = 0, lse = -inf.
  AICORE_INLINE void WriteZeros() {
    const uint32_t slot = AcquireStoreSlot();
    FillDense(UbAt<float>(slot), 0.0f, Output().repeats());
    FillDense(UbAt<float>(slot + kStoreLse), kMinusInfinity, 1);
    if (problem_.out_is_float32) {
      StoreSlot<float>(slot);
    } else {
      StoreSlot<T>(slot);
    }
  }

  AICORE_INLINE uint32_t AcquireStoreSlot() {
    return kStoreUb + store_.AcquireFree() * kStoreSlotBytes;
  }
  // Rows of Out and lse that V has written to the slot, to GM.
  template <typename Out>
  AICORE_INLINE void StoreSlot(uint32_t slot) {
    store_.PublishFull();
    store_.AcquireFull();
    StoreRows<Out>(args_, work_, lane_, UbAt<Out>(slot), UbAt<float>(slot + kStoreLse));
    store_.ReleaseFree();
  }

  AICORE_INLINE OutputShape Output() const { return OutputShape{lane_.rows, kHeadDim}; }
  static AICORE_INLINE UbPtr<float> OAcc() { return UbAt<float>(kOAccUb); }
  static AICORE_INLINE UbPtr<float> RescaleOf(uint32_t page) {
    return UbAt<float>(kRescaleUb + page % 2 * kSpreadBytes);
  }
  static AICORE_INLINE RowState State() {
    return RowState{UbAt<float>(kRowMaxUb), UbAt<float>(kRowSumUb)};
  }
  static AICORE_INLINE SoftmaxScratch Scratch() {
    return SoftmaxScratch{UbAt<float>(kLaneReduceUb), UbAt<float>(kTileMaxUb),
                          UbAt<float>(kTileSumUb), UbAt<float>(kRowRescaleUb),
                          UbAt<float>(kSpreadUb)};
  }

  // One query token sees its whole context.
  static constexpr CausalMask kNoMask{{}, 0, kMostTokens};

  DecodeArgs<T> args_;
  Problem problem_;
  WorkCursor<kRows> cursor_;
  Work work_;
  RowRange lane_;

  FifoConsumer<float, ScoresFifo<Variant>> scores_;
  FifoProducer<T, ProbsFifo<Variant>> probs_;
  FifoConsumer<float, OTileFifo<Variant>> o_tiles_;
  ScoresGuard<Variant> scores_ub_;
  OTileGuard<Variant> o_tile_ub_;
  StoreGuard<Variant> store_;
};

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_VECTOR_H_
