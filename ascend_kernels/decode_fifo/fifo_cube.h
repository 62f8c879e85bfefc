// SPDX-License-Identifier: Apache-2.0
// The cube core's schedule for each work id, over its pages 0..n-1:
//
//   prologue   S[0]
//   steady     S[i]; O[i-1]      i = 1..n-1
//   epilogue   O[n-1]
//
// so that the cube makes the scores of a page while the vector cores are at the softmax of
// the page before. S[i] = Q K[i]^T goes to the scores FIFO, O[i] = P[i] V[i] to the o_tile
// FIFO; P[i] comes from the probs FIFO. Without prefetch K[i] and V[i] are loaded when they
// are needed; with it K[i+1] is queued behind the L0 moves of S[i], V[i+1] behind those of
// O[i], and each block id is read once.
//
// Next: ascend_kernels/decode_fifo/page_stage.h - what is loaded; product_stage.h beside it.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_CUBE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_CUBE_H_

#include "ascend_kernels/decode_fifo/fifo_events.h"
#include "ascend_kernels/decode_fifo/page_stage.h"
#include "ascend_kernels/decode_fifo/product_stage.h"

namespace ascend_attention {
namespace fifo {

template <typename T, typename Variant, uint32_t kRows, uint32_t kPage>
class CubeHalf {
 public:
  AICORE_INLINE explicit CubeHalf(const DecodeArgs<T>& args)
      : args_(args), problem_(ReadProblem(args.workspace)), cursor_(args.workspace, problem_) {
    GmPtr<DecodePlanHeader> header = PlanHeader(args.workspace);
    max_context_ = problem_.max_kv_blocks * static_cast<uint64_t>(kPage);
    scores_.Open(SlotsOfThisBlock<float>(args.workspace, &header->scores.begin,
                                         header->scores_slot_size.bytes));
    probs_.Open(
        SlotsOfThisBlock<T>(args.workspace, &header->probs.begin, header->probs_slot_size.bytes));
    o_tiles_.Open(SlotsOfThisBlock<float>(args.workspace, &header->o_tiles.begin,
                                          header->o_tile_slot_size.bytes));
  }

  AICORE_INLINE ~CubeHalf() {}

  AICORE_INLINE void Run() {
    PrepareStores();
    while (cursor_.Next(work_)) {
      RequireLength();
      pages_ = NumPages<kPage>(work_);
      if (pages_ == 0) continue;
      LoadQueryRows();
      ComputeScores(0);
      for (uint32_t page = 1; page < pages_; ++page) {
        ComputeScores(page);
        ComputeOTile(page - 1);
      }
      ComputeOTile(pages_ - 1);
    }
  }

 private:
  static constexpr uint32_t kIdsKept = 4;  // block ids of pages whose V is not queued yet

  AICORE_INLINE void RequireLength() {
    if (work_.context_len >= 0 && static_cast<uint64_t>(work_.context_len) <= max_context_) return;
    Fail(args_.workspace, Finding{ErrorCode::kLengthOutOfRange, work_.sequence, 0,
                                  work_.context_len, static_cast<int64_t>(max_context_) + 1});
  }

  AICORE_INLINE void LoadQueryRows() {
    query_l1_.AcquireFree();
    LoadQuery<kRows, T>(L1At<T>(kQueryL1), args_.query, work_);
    query_l1_.PublishFull();
  }
  AICORE_INLINE void LoadKeysOf(uint32_t page) {
    const uint32_t kv_block = ReadBlockId(args_, problem_, work_, page);
    kv_blocks_[page % kIdsKept] = kv_block;
    const uint32_t slot = kKeysL1 + keys_l1_.AcquireFree() * kPageBytes;
    LoadPage<T>(L1At<T>(slot), args_.key_cache, problem_, work_, kv_block,
                TokensOf<kPage>(work_, page));
    keys_l1_.PublishFull();
  }
  AICORE_INLINE void LoadValuesOf(uint32_t page) {
    const uint32_t kv_block = Variant::kPrefetch ? kv_blocks_[page % kIdsKept]
                                                 : ReadBlockId(args_, problem_, work_, page);
    const uint32_t slot = kValuesL1 + values_l1_.AcquireFree() * kPageBytes;
    LoadPage<T>(L1At<T>(slot), args_.value_cache, problem_, work_, kv_block,
                TokensOf<kPage>(work_, page));
    values_l1_.PublishFull();
  }

  // S of one page, to its FIFO.
  AICORE_INLINE void ComputeScores(uint32_t page) {
    const uint32_t tokens = TokensOf<kPage>(work_, page);
    if (!Variant::kPrefetch || page == 0) LoadKeysOf(page);
    if (page == 0) query_l1_.AcquireFull();
    const uint32_t keys = kKeysL1 + keys_l1_.AcquireFull() * kPageBytes;
    const uint32_t operands = operands_.AcquireFree();
    LoadLeft<kRows, T>(L0aAt<T>(operands * kLeftBytes), L1At<T>(kQueryL1), work_.rows, kHeadDim);
    LoadKeys<T>(L0bAt<T>(operands * kPageBytes), L1At<T>(keys), tokens);
    keys_l1_.ReleaseFree();
    if (page + 1 == pages_) query_l1_.ReleaseFree();
    operands_.PublishFull();
    if (Variant::kPrefetch && page + 1 != pages_) LoadKeysOf(page + 1);
    const L0cPtr<float> product = MultiplyOperands(kHeadDim, tokens);
    StoreProduct(scores_.Acquire(), product, work_.rows, tokens, kPage);
    PushProduct(scores_);
  }

  // O of one page, to its FIFO.
  AICORE_INLINE void ComputeOTile(uint32_t page) {
    const uint32_t tokens = TokensOf<kPage>(work_, page);
    if (!Variant::kPrefetch || page == 0) LoadValuesOf(page);
    const GmPtr<T> probs_gm = probs_.Front();
    LoadProbs<kRows, kPage, T>(L1At<T>(kProbsL1 + probs_l1_.AcquireFree() * kLeftBytes), probs_gm,
                               work_.rows, tokens);
    probs_.Pop();
    probs_l1_.PublishFull();
    const uint32_t values = kValuesL1 + values_l1_.AcquireFull() * kPageBytes;
    const uint32_t probs = kProbsL1 + probs_l1_.AcquireFull() * kLeftBytes;
    const uint32_t operands = operands_.AcquireFree();
    LoadLeft<kRows, T>(L0aAt<T>(operands * kLeftBytes), L1At<T>(probs), work_.rows, tokens);
    LoadValues<T>(L0bAt<T>(operands * kPageBytes), L1At<T>(values), tokens);
    probs_l1_.ReleaseFree();
    values_l1_.ReleaseFree();
    operands_.PublishFull();
    if (Variant::kPrefetch && page + 1 != pages_) LoadValuesOf(page + 1);
    const L0cPtr<float> product = MultiplyOperands(tokens, kHeadDim);
    StoreProduct(o_tiles_.Acquire(), product, work_.rows, kHeadDim, kHeadDim);
    PushProduct(o_tiles_);
  }

  // Of the operands that were published last; FIX may store the product when this returns.
  AICORE_INLINE L0cPtr<float> MultiplyOperands(uint32_t depth, uint32_t cols) {
    const uint32_t operands = operands_.AcquireFull();
    const L0cPtr<float> product = L0cAt<float>(products_.AcquireFree() * kProductBytes);
    Multiply<T>(product, L0aAt<T>(operands * kLeftBytes), L0bAt<T>(operands * kPageBytes),
                work_.rows, depth, cols);
    operands_.ReleaseFree();
    products_.PublishFull();
    products_.AcquireFull();
    return product;
  }
  template <typename Fifo>
  AICORE_INLINE void PushProduct(Fifo& fifo) {
    products_.ReleaseFree();
    fifo.Push();
    if (Variant::kWaitForStores) WaitForPipe<PIPE_FIX, kStoresDone>();
  }

  DecodeArgs<T> args_;
  Problem problem_;
  WorkCursor<kRows> cursor_;
  Work work_;
  uint64_t max_context_;
  uint32_t pages_ = 0;
  uint32_t kv_blocks_[kIdsKept];

  FifoProducer<float, ScoresFifo<Variant>> scores_;
  FifoConsumer<T, ProbsFifo<Variant>> probs_;
  FifoProducer<float, OTileFifo<Variant>> o_tiles_;
  KeysGuard<Variant> keys_l1_;
  ValuesGuard<Variant> values_l1_;
  ProbsGuard<Variant> probs_l1_;
  QueryGuard<Variant> query_l1_;
  OperandGuard<Variant> operands_;
  ProductGuard<Variant> products_;
};

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_CUBE_H_
