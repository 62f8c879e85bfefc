// SPDX-License-Identifier: Apache-2.0
// The cube core's schedule. For the stream of tiles t0, t1, t2, ... of a core:
//
//   prologue   load Q, K[t0];  S[t0] = Q K[t0]^T;  the same of t1;  load K[t2]
//   steady     load V[ti];     S[ti+2] = Q K[ti+2]^T
//              await P[ti];    load P[ti]; load K[ti+3];  O[ti] = P[ti] V[ti]
//   epilogue   the same step without ti+2; load V[ti+1] in place of K[ti+3]
//
// so the loads of a tile are queued one step before its matrix work, and the
// vector cores have S[ti+1] and S[ti+2] before the cube asks for P[ti+1]: two
// tiles hide the way to the vector cores and back. Rings carry every
// wait between pipes; scores and o_tile leave through GM and raise a signal
// behind their store.
//
// A load may wait for a slot that matrix work queued later will free: at most
// (2 * kMaxChunksPerTile - kKvSlots) chunks of at most 8 kv blocks each, with a
// wait and a set around them: 20 instructions. A queue that holds them lets the
// scalar unit go on to that matrix work; it is 32 deep on M and MTE1 (CANN docs)
// and taken to be on MTE2.
//
// Next: ascend_kernels/decode/qk_stage.h - the formula of S.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_CUBE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_CUBE_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/decode/events.h"
#include "ascend_kernels/decode/load_stage.h"
#include "ascend_kernels/decode/pv_stage.h"
#include "ascend_kernels/decode/qk_stage.h"
#include "ascend_kernels/decode/work_cursor.h"

namespace ascend_attention {

// What differs between caches is the Route: the operand's type, where query and
// tokens come from and whom they wait for (direct_route.h, decode_int8/).
template <typename Route>
class CubeDecoder {
  using T = typename Route::Operand;  // what the cube multiplies
  using Sum = typename MmadSum<T>::Type;

 public:
  AICORE_INLINE explicit CubeDecoder(const typename Route::Args& args)
      : args_(args),
        problem_(ReadProblem(args.workspace)),
        route_(args),
        cursor_(args.workspace, problem_) {
    if (!Route::Fits(problem_)) {
      Fail(args.workspace, Finding{ErrorCode::kTilesDoNotFit, problem_.tile_tokens,
                                   problem_.chunk_tokens, problem_.max_rows, problem_.head_dim});
    }
  }

  AICORE_INLINE ~CubeDecoder() {}

  AICORE_INLINE void Run() {
    uint32_t opened = 0;  // tiles so far; tile t lies in work_[t % kTilesInWork]
    uint32_t scored = 0;
    bool more = true;
    for (; opened <= kTilesAhead && more; ++opened) {
      more = OpenTile(work_[opened]);
      if (!more) break;
      if (opened == 0) exchange_.Open(args_.workspace);
      if (opened == kTilesAhead) continue;
      ComputeScores(work_[opened]);
      ++scored;
    }
    uint32_t loaded = 0;  // tiles whose values are queued
    for (uint32_t tile = 0; tile != opened; ++tile) {
      const TileWork& current = work_[tile % kTilesInWork];
      if (loaded == tile) LoadValues(work_[loaded++ % kTilesInWork]);
      if (scored != opened) ComputeScores(work_[scored++ % kTilesInWork]);
      LoadProbs(current.tile);
      more = more && OpenTile(work_[opened % kTilesInWork]);
      if (more) ++opened;
      // No keys are left to be queued: the next values take their place.
      if (!more && loaded != opened) LoadValues(work_[loaded++ % kTilesInWork]);
      ComputeOTile(current);
    }
  }

 private:
  struct TileWork {
    Tile tile;
    TileBlocks blocks;
  };

  // Scores are computed this many tiles ahead of o_tiles.
  static constexpr uint32_t kTilesAhead = kTileSlots - 1;
  static constexpr uint32_t kTilesInWork = kTilesAhead + 2;

  // Takes the next tile and queues the loads that depend on no other core.
  AICORE_INLINE bool OpenTile(TileWork& work) {
    if (!NextWithTokens(cursor_, work.tile)) return false;
    ReadTileBlocks(args_, problem_, work.tile, work.blocks);
    if (!Route::kKeysFirst && work.tile.first_of_item) LoadQuery(work.tile);
    LoadKeys(work);
    if (Route::kKeysFirst && work.tile.first_of_item) LoadQuery(work.tile);
    return true;
  }

  AICORE_INLINE void LoadQuery(const Tile& tile) {
    route_.AwaitQuery();
    query_l1_.AcquireFree();
    route_.LoadQuery(L1At<T>(kQueryL1), problem_, tile);
    query_l1_.PublishFull();
  }

  AICORE_INLINE void LoadKeys(const TileWork& work) {
    route_.AwaitKeys();
    for (uint32_t begin = 0; begin < work.tile.num_tokens; begin += problem_.chunk_tokens) {
      const uint32_t slot = kv_.AcquireFree();
      route_.LoadKeys(KvSlot(slot), problem_, work.tile, work.blocks, KeysAt(work.tile, begin));
      kv_.PublishFull();
    }
  }
  AICORE_INLINE void LoadValues(const TileWork& work) {
    route_.AwaitValues();
    for (uint32_t begin = 0; begin < work.tile.num_tokens; begin += problem_.chunk_tokens) {
      const uint32_t slot = kv_.AcquireFree();
      route_.LoadValues(KvSlot(slot), problem_, work.tile, work.blocks, ValuesAt(work.tile, begin));
      kv_.PublishFull();
    }
  }
  AICORE_INLINE Chunk KeysAt(const Tile& tile, uint32_t begin) const {
    return ChunkAt(problem_, tile, begin, kFractalRows);
  }
  AICORE_INLINE Chunk ValuesAt(const Tile& tile, uint32_t begin) const {
    return ChunkAt(problem_, tile, begin, kSquareRows<T>);
  }

  AICORE_INLINE void LoadProbs(const Tile& tile) {
    AwaitSignal(kProbsReady);
    probs_l1_.AcquireFree();
    LoadOperandRows<T>(L1At<T>(kProbsL1), exchange_.probs.Next(), problem_, tile,
                       RoundUp(tile.num_tokens, kSquareRows<T>), problem_.tile_tokens);
    probs_l1_.PublishFull();
  }

  // S = Q K^T of one tile, to GM.
  AICORE_INLINE void ComputeScores(const TileWork& work) {
    const Tile& tile = work.tile;
    const L0cPtr<Sum> scores = L0cAt<Sum>(kScoresL0c);
    if (tile.first_of_item)
      MoveToL0a(query_l1_, kQueryL1, query_l0a_, kQueryL0a, tile, problem_.head_dim);
    scores_l0c_.AcquireFree();
    for (uint32_t begin = 0; begin < tile.num_tokens; begin += problem_.chunk_tokens) {
      const Chunk chunk = KeysAt(tile, begin);
      const L1Ptr<T> keys_l1 = KvSlot(kv_.AcquireFull());
      for (HeadRange heads = FirstHeads<T>(problem_, tile, chunk); heads.num_heads != 0;
           heads = HeadsAfter(heads, tile)) {
        const L0bPtr<T> keys = L0bSlot(operand_l0b_.AcquireFree());
        LoadKeyOperand<T>(keys, keys_l1, problem_, chunk, heads);
        operand_l0b_.PublishFull();
        operand_l0b_.AcquireFull();
        ScoreHeads<T>(scores, L0aAt<T>(kQueryL0a), keys, problem_, tile, chunk, heads);
        operand_l0b_.ReleaseFree();
      }
      kv_.ReleaseFree();
    }
    if (tile.last_of_item) query_l0a_.ReleaseFree();
    scores_l0c_.PublishFull();
    scores_l0c_.AcquireFull();
    StoreUnits<Sum>(exchange_.scores.Next(), scores, problem_, tile, tile.num_tokens,
                    problem_.tile_tokens);
    scores_l0c_.ReleaseFree();
    RaiseSignal<PIPE_FIX>(kScoresReady);
  }

  // O_tile = P V of one tile, to GM.
  AICORE_INLINE void ComputeOTile(const TileWork& work) {
    const Tile& tile = work.tile;
    const L0cPtr<Sum> o_tile = L0cAt<Sum>(kOTileL0c);
    MoveToL0a(probs_l1_, kProbsL1, probs_l0a_, kProbsL0a, tile, problem_.tile_tokens);
    o_tile_l0c_.AcquireFree();
    for (uint32_t begin = 0; begin < tile.num_tokens; begin += problem_.chunk_tokens) {
      const Chunk chunk = ValuesAt(tile, begin);
      const L1Ptr<T> values_l1 = KvSlot(kv_.AcquireFull());
      MmadBarrier();  // this chunk adds to what the chunk before wrote
      for (HeadRange heads = FirstHeads<T>(problem_, tile, chunk); heads.num_heads != 0;
           heads = HeadsAfter(heads, tile)) {
        const L0bPtr<T> values = L0bSlot(operand_l0b_.AcquireFree());
        LoadValueOperand<T>(values, values_l1, problem_, chunk, heads);
        operand_l0b_.PublishFull();
        operand_l0b_.AcquireFull();
        WeighHeads<T>(o_tile, L0aAt<T>(kProbsL0a), values, problem_, tile, chunk, heads);
        operand_l0b_.ReleaseFree();
      }
      kv_.ReleaseFree();
    }
    probs_l0a_.ReleaseFree();
    o_tile_l0c_.PublishFull();
    o_tile_l0c_.AcquireFull();
    StoreUnits<Sum>(exchange_.o_tiles.Next(), o_tile, problem_, tile, problem_.head_dim,
                    problem_.head_dim);
    o_tile_l0c_.ReleaseFree();
    RaiseSignal<PIPE_FIX>(kOTileReady);
  }

  // The units of a group, [16, cols] each, from L1 to their half of L0A; the
  // cube may use them when this returns.
  template <typename L1Ring, typename L0aRing>
  AICORE_INLINE void MoveToL0a(L1Ring& from, uint32_t l1_offset_bytes, L0aRing& to,
                               uint32_t l0a_offset_bytes, const Tile& tile, uint32_t cols) {
    const uint32_t units = tile.kv_head_count * tile.row_groups;
    from.AcquireFull();
    to.AcquireFree();
    L1ToL0a<T>(L0aAt<T>(l0a_offset_bytes), L1At<T>(l1_offset_bytes), units * cols / kSquareRows<T>);
    from.ReleaseFree();
    to.PublishFull();
    to.AcquireFull();
  }

  static AICORE_INLINE L1Ptr<T> KvSlot(uint32_t slot) {
    return L1At<T>(kKvL1 + slot * kKvSlotBytes);
  }
  static AICORE_INLINE L0bPtr<T> L0bSlot(uint32_t slot) { return L0bAt<T>(slot * kL0bSlotBytes); }

  typename Route::Args args_;
  Problem problem_;
  Route route_;
  TileCursor cursor_;
  TileExchange<T> exchange_;
  TileWork work_[kTilesInWork];

  KvRing kv_;
  QueryL1Ring query_l1_;
  ProbsL1Ring probs_l1_;
  QueryL0aRing query_l0a_;
  ProbsL0aRing probs_l0a_;
  OperandL0bRing operand_l0b_;
  ScoresL0cRing scores_l0c_;
  OTileL0cRing o_tile_l0c_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DECODE_CUBE_H_
