// SPDX-License-Identifier: Apache-2.0
// A vector core's schedule for an int8 cache: that of decode/decode_vector.h for
// the stream of tiles t0, t1, ..., and what the cube needs before it can begin:
//
//   prologue   queries of items 0..3;  kDequant: K and V of t0, t1
//              P[t0], P[t1]
//   steady     await S[ti+2];  P[ti+2]; store, raise
//              at an item's first tile: query of the item 4 on
//              kDequant: K of t(i+4)
//              await O[ti];    o_acc;  kDequant: V of t(i+2)
//
// Query rows and the tokens of a tile are shared by the two vector cores; a core
// without rows keeps the signals going.
//
// Next: ascend_kernels/decode_int8/weights_stage.h - the formula of P.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_VECTOR_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_VECTOR_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/decode_int8/dequant_stage.h"
#include "ascend_kernels/decode_int8/int8_events.h"
#include "ascend_kernels/decode_int8/int8_exchange_stage.h"
#include "ascend_kernels/decode_int8/int8_plan.h"
#include "ascend_kernels/decode_int8/output_stage.h"

namespace ascend_attention {
namespace int8 {

// Format: operand_stage.h; HalfFormat is the one that converts the cache.
template <typename T, typename Format>
class VectorDecoder {
  using Operand = typename Format::Operand;
  using Sum = typename MmadSum<Operand>::Type;
  static constexpr bool kDequant = Format::kLimbs == 1;

 public:
  AICORE_INLINE explicit VectorDecoder(const Int8DecodeArgs<T>& args)
      : args_(args),
        problem_(ReadProblem(args.workspace)),
        quant_(PlanHeader(args.workspace)->kv_quant),
        cursor_(args.workspace, problem_),
        query_cursor_(args.workspace, problem_),
        keys_cursor_(args.workspace, problem_),
        values_cursor_(args.workspace, problem_) {
    if (!TilesFit<Operand>(problem_) || !RowsFit(problem_)) Trap();
    exchange_.Open(args.workspace);
    OpenQueries(queries_, args.workspace);
    if (kDequant) dequant_.Open(args.workspace);
  }

  AICORE_INLINE ~VectorDecoder() {}

  AICORE_INLINE void Run() {
    UseAllLanes();
    if (!kDequant) MakeDither(UbAt<float>(kDitherUb), UbAt<float>(kLaneReduceUb));
    for (uint32_t slot = 0; slot < kQuerySlots; ++slot) PrepareQuery();
    for (uint32_t slot = 0; kDequant && slot < kDequantSlots; ++slot) {
      ConvertKeys();
      ConvertValues();
    }
    uint32_t opened = 0;  // tiles so far; tile t lies in work_[t % kTileSlots]
    while (opened != kTilesAhead && TakeTile(opened)) ++opened;
    for (uint32_t tile = 0; tile != opened; ++tile) {
      if (TakeTile(opened)) ++opened;
      AccumulateOutput(work_[tile % kTileSlots]);
      if (kDequant) ConvertValues();
    }
  }

 private:
  struct TileWork {
    Tile tile;
    RowRange rows;
    uint32_t item;       // number of the item among those with tokens
    uint32_t tile_slot;  // which rescale values
  };

  // A slot of the store ring: operand rows, or a 16-bit matrix, and a lse a row.
  struct StoreSlot {
    UbPtr<T> matrix;
    UbPtr<Operand> operand;
    UbPtr<float> lse;
  };

  // Key offsets of a query lie where this Format has no other use.
  static constexpr uint32_t kKeyOffsetUb = kDequant ? kOTileUb + kMatrixBytes : kDequantInUb;

  // Probs are computed this many tiles ahead of the output.
  static constexpr uint32_t kTilesAhead = kTileSlots - 1;

  // Opens tile number `tile` and computes its probs; false at the end of the work.
  AICORE_INLINE bool TakeTile(uint32_t tile) {
    TileWork& work = work_[tile % kTileSlots];
    if (!OpenTile(work)) return false;
    work.tile_slot = tile % kTileSlots;
    ComputeProbs(work);
    if (work.tile.first_of_item) PrepareQuery();
    if (kDequant) ConvertKeys();
    return true;
  }

  // Takes the next tile; empty sequences on the way get their result at once.
  AICORE_INLINE bool OpenTile(TileWork& work) {
    while (cursor_.Next(work.tile)) {
      work.rows = RowsOfThisCore(work.tile);
      if (work.tile.num_tokens != 0) {
        if (work.tile.first_of_item) ++items_opened_;
        work.item = items_opened_;
        return true;
      }
      if (work.rows.rows != 0) WriteEmpty(work);
    }
    return false;
  }

  // out = 0, lse = -inf.
  AICORE_INLINE void WriteEmpty(const TileWork& work) {
    const StoreSlot slot = AcquireStoreSlot();
    const OutputShape shape = OutputOf(work.rows);
    // Zeros of 16 bits, two a lane.
    FillDense(reinterpret_cast<UbPtr<float>>(slot.matrix), 0.0f, CeilDiv(shape.repeats(), 2));
    FillDense(slot.lse, kMinusInfinity, 1);
    store_.PublishFull();
    store_.AcquireFull();
    StoreOutput<T>(args_, RowMapOf(problem_, work.tile), slot.matrix, LseRows{slot.lse, slot.lse},
                   work.rows.first_row, shape);
    store_.ReleaseFree();
  }

  // The query operand of the next item that has tokens, to GM.
  AICORE_INLINE void PrepareQuery() {
    Tile tile;
    if (!NextWithTokens(query_cursor_, tile)) return;
    query_cursor_.SkipItem();
    ++queries_prepared_;
    const GmPtr<Operand> query_gm = queries_.Next();
    const RowRange range = RowsOfThisCore(tile);
    if (range.rows != 0) {
      const TileShape shape = QueryShape(range);
      const QueryInput<T> input = QueryInputAt<T>(kWorkUb, kKeyOffsetUb);
      work_ring_.AcquireFree();
      LoadQueryInput<T>(input, args_, problem_, tile, range, shape, quant_);
      work_ring_.PublishFull();
      const UbPtr<Operand> operand = AcquireStoreSlot().operand;
      work_ring_.AcquireFull();
      PrepareQueryRows<Format, T>(operand, PairAt(kWorkUb), input, RowsOfItem(queries_prepared_),
                                  QueryScratchUb(), shape, ByHead(range, problem_.head_dim, shape),
                                  quant_, problem_.softmax_scale);
      work_ring_.ReleaseFree();
      store_.PublishFull();
      store_.AcquireFull();
      StoreOperandRows<Format>(query_gm, operand, problem_, range, shape, problem_.head_dim,
                               problem_.head_dim);
      store_.ReleaseFree();
    }
    RaiseSignal<PIPE_MTE3>(kQueryReady);
  }

  // P of one tile, to GM.
  AICORE_INLINE void ComputeProbs(const TileWork& work) {
    AwaitSignal(kScoresReady);
    const GmPtr<Sum> scores_gm = exchange_.scores.Next();
    const GmPtr<Operand> probs_gm = exchange_.probs.Next();
    if (work.rows.rows != 0) {
      const TileShape shape{work.rows.rows, work.tile.num_tokens,
                            CeilDiv(work.tile.num_tokens, kF32Lanes)};
      const Pair sums = PairAt(kWorkUb);
      work_ring_.AcquireFree();
      LoadSums(sums, scores_gm, problem_, work.rows,
               RoundUp(work.tile.num_tokens, kF32PerDatablock), problem_.tile_tokens,
               shape.pitch());
      work_ring_.PublishFull();
      if (quant_ == KvQuant::kInt8Token) LoadScalesOfTile(work.tile, shape);
      const UbPtr<Operand> probs = AcquireStoreSlot().operand;
      const RowState state = StateOf(work);
      if (work.tile.first_of_item) ResetRows(state);
      work_ring_.AcquireFull();
      if (quant_ == KvQuant::kInt8Token) scales_.AcquireFull();
      TileWeights<Format>(probs, sums, RowsOfItem(work.item).factor,
                          TokenScales{UbAt<float>(kScalesUb), UbAt<float>(kScalesUb + kScaleBytes)},
                          RescaleOf(work), state, WeightsScratchUb(), shape,
                          ByHead(work.rows, shape.pitch(), shape), quant_);
      if (quant_ == KvQuant::kInt8Token) scales_.ReleaseFree();
      work_ring_.ReleaseFree();
      store_.PublishFull();
      store_.AcquireFull();
      StoreOperandRows<Format>(probs_gm, probs, problem_, work.rows, shape, shape.pitch(),
                               problem_.tile_tokens);
      store_.ReleaseFree();
    }
    RaiseSignal<PIPE_MTE3>(kProbsReady);
  }

  AICORE_INLINE void LoadScalesOfTile(const Tile& tile, const TileShape& shape) {
    TileBlocks blocks;
    FindTileBlocks(args_, problem_, tile, blocks);
    scales_.AcquireFree();
    LoadTokenScales(UbAt<float>(kScalesUb), args_.key_scale, problem_, tile, blocks, shape.pitch());
    LoadTokenScales(UbAt<float>(kScalesUb + kScaleBytes), args_.value_scale, problem_, tile, blocks,
                    shape.pitch());
    scales_.PublishFull();
  }

  // Adds O_tile of one tile; the last one of an item stores the result.
  AICORE_INLINE void AccumulateOutput(const TileWork& work) {
    AwaitSignal(kOTileReady);
    const GmPtr<Sum> o_tile_gm = exchange_.o_tiles.Next();
    if (work.rows.rows == 0) return;
    const OutputShape shape = OutputOf(work.rows);
    const UbPtr<float> o_acc = UbAt<float>(kOAccUb);
    if (work.tile.first_of_item) {
      if (quant_ != KvQuant::kInt8Token) LoadScalesOfItem(work.tile);
      o_acc_.AcquireFree();
      FillDense(o_acc, 0.0f, shape.repeats());
    }
    const Pair o_tile = PairAt(kOTileUb);
    o_tile_ring_.AcquireFree();
    LoadSums(o_tile, o_tile_gm, problem_, work.rows, problem_.head_dim, problem_.head_dim,
             problem_.head_dim);
    o_tile_ring_.PublishFull();
    o_tile_ring_.AcquireFull();
    AddOTile<Format>(o_acc, o_tile, RescaleOf(work), shape);
    o_tile_ring_.ReleaseFree();
    if (work.tile.last_of_item) FinishItem(work, o_acc, shape);
  }

  AICORE_INLINE void LoadScalesOfItem(const Tile& tile) {
    scales_.AcquireFree();
    LoadChannels(UbAt<float>(kScalesUb), args_.value_scale, problem_, tile, problem_.head_dim);
    if (quant_ == KvQuant::kInt8ChannelAsym) {
      LoadChannels(UbAt<float>(kScalesUb + kScaleBytes), args_.value_offset, problem_, tile,
                   problem_.head_dim);
    }
    scales_.PublishFull();
  }

  // The output to the caller's tensors, or to the item's partial slot.
  AICORE_INLINE void FinishItem(const TileWork& work, UbPtr<float> o_acc,
                                const OutputShape& shape) {
    const RowState state = StateOf(work);
    const StoreSlot slot = AcquireStoreSlot();
    NormaliseRows(o_acc, state.row_sum, WeightsScratchUb().rows.sum, UbAt<float>(kSpreadUb), shape);
    LogSumExp(slot.lse, state, Format::kProbsUnit);
    VectorBarrier();
    AddDense(slot.lse, slot.lse, RowsOfItem(work.item).bias, 1);
    if (quant_ != KvQuant::kInt8Token) {
      scales_.AcquireFull();
      const RowsByHead by_head{work.rows, work.tile.rows_per_head, problem_.head_dim,
                               problem_.head_dim, problem_.head_dim};
      ApplyChannelScales(
          o_acc, ChannelScales{UbAt<float>(kScalesUb), UbAt<float>(kScalesUb + kScaleBytes)},
          by_head, quant_);
      scales_.ReleaseFree();
    }
    const bool is_whole = work.tile.partial == kNoPartial;
    if (is_whole) {
      VectorBarrier();
      FromF32(slot.matrix, o_acc, shape.repeats());
    }
    store_.PublishFull();
    o_acc_.PublishFull();
    store_.AcquireFull();
    o_acc_.AcquireFull();
    if (is_whole) {
      StoreOutput<T>(args_, RowMapOf(problem_, work.tile), slot.matrix, LseRows{slot.lse, slot.lse},
                     work.rows.first_row, shape);
    } else {
      StorePartial(args_.workspace, problem_, work.tile, o_acc, slot.lse, work.rows.first_row,
                   shape);
    }
    store_.ReleaseFree();
    o_acc_.ReleaseFree();
  }

  // 16-bit K or V of the next tile of the cursor: this core's tokens, to GM.
  AICORE_INLINE void ConvertKeys() {
    Tile tile;
    if (!NextWithTokens(keys_cursor_, tile)) return;
    ConvertTile(dequant_.keys.Next(), args_.key_cache, tile);
    RaiseSignal<PIPE_MTE3>(kKeysReady);
  }
  AICORE_INLINE void ConvertValues() {
    Tile tile;
    if (!NextWithTokens(values_cursor_, tile)) return;
    ConvertTile(dequant_.values.Next(), args_.value_cache, tile);
    RaiseSignal<PIPE_MTE3>(kValuesReady);
  }
  AICORE_INLINE void ConvertTile(GmPtr<half> dst, GmPtr<int8_t> cache, const Tile& tile) {
    TileBlocks blocks;
    FindTileBlocks(args_, problem_, tile, blocks);
    const uint32_t token_elems = TokenElems(problem_, tile);
    const uint32_t most = kPieceBytes / token_elems;
    const TokenRange range = TokensOfThisCore(tile);
    uint32_t tokens;
    for (uint32_t token = range.begin; token < range.end; token += tokens) {
      const TokenRun run = TokenRunFrom(problem_, blocks, token, Min(most, range.end - token));
      tokens = run.tokens;
      const UbPtr<int8_t> in = UbAt<int8_t>(kDequantInUb + dequant_in_.AcquireFree() * kPieceBytes);
      LoadPiece(in, cache, problem_, tile, run);
      dequant_in_.PublishFull();
      const UbPtr<half> out =
          UbAt<half>(kDequantOutUb + dequant_out_.AcquireFree() * 2 * kPieceBytes);
      dequant_in_.AcquireFull();
      ConvertPiece(out, in, tokens * token_elems);
      dequant_in_.ReleaseFree();
      dequant_out_.PublishFull();
      dequant_out_.AcquireFull();
      StorePiece(dst + token * token_elems, out, tokens * token_elems);
      dequant_out_.ReleaseFree();
    }
  }

  AICORE_INLINE StoreSlot AcquireStoreSlot() {
    const uint32_t slot = kStoreUb + store_.AcquireFree() * kStoreSlotBytes;
    return StoreSlot{UbAt<T>(slot), UbAt<Operand>(slot), UbAt<float>(slot + kStoreLse)};
  }
  AICORE_INLINE OutputShape OutputOf(const RowRange& range) const {
    return OutputShape{range.rows, problem_.head_dim};
  }
  // Query rows in UB, whole 64-lane columns.
  AICORE_INLINE TileShape QueryShape(const RowRange& range) const {
    return TileShape{range.rows, problem_.head_dim, CeilDiv(problem_.head_dim, kF32Lanes)};
  }
  // Rows of `lanes` lanes in whole columns, like what scales them.
  AICORE_INLINE RowsByHead ByHead(const RowRange& range, uint32_t lanes,
                                  const TileShape& shape) const {
    return RowsByHead{range, problem_.q_per_kv, lanes, shape.pitch(), shape.pitch()};
  }
  static AICORE_INLINE QueryRows RowsOfItem(uint32_t item) {
    const uint32_t offset = item % kItemSlots * kRowValuesBytes;
    return QueryRows{UbAt<float>(kFactorUb + offset), UbAt<float>(kBiasUb + offset)};
  }
  static AICORE_INLINE Rescale RescaleOf(const TileWork& work) {
    const uint32_t offset = kRescaleUb + work.tile_slot * 2 * kSpreadBytes;
    return Rescale{UbAt<float>(offset), UbAt<float>(offset + kSpreadBytes)};
  }
  static AICORE_INLINE RowState StateOf(const TileWork& work) {
    const uint32_t offset = kStateUb + work.item % kTileSlots * 2 * kRowValuesBytes;
    return RowState{UbAt<float>(offset), UbAt<float>(offset + kRowValuesBytes)};
  }
  static AICORE_INLINE WeightsScratch WeightsScratchUb() {
    return WeightsScratch{UbAt<float>(kLaneReduceUb), UbAt<float>(kSpreadUb),
                          UbAt<float>(kDitherUb), TileRowsAt(kTileRowsUb)};
  }
  static AICORE_INLINE QueryScratch QueryScratchUb() {
    return QueryScratch{UbAt<float>(kLaneReduceUb), UbAt<float>(kTileRowsUb),
                        UbAt<float>(kSpreadUb)};
  }

  Int8DecodeArgs<T> args_;
  Problem problem_;
  KvQuant quant_;
  TileCursor cursor_;
  TileCursor query_cursor_;
  TileCursor keys_cursor_;
  TileCursor values_cursor_;
  TileExchange<Operand> exchange_;
  QuerySlots<Operand> queries_;
  DequantExchange dequant_;
  TileWork work_[kTileSlots];
  uint32_t items_opened_ = 0;
  uint32_t queries_prepared_ = 0;

  WorkRing work_ring_;
  OTileRing o_tile_ring_;
  ScalesRing scales_;
  StoreRing store_;
  OAccRing o_acc_;
  DequantInRing dequant_in_;
  DequantOutRing dequant_out_;
};

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_VECTOR_H_
