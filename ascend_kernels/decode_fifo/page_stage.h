// SPDX-License-Identifier: Apache-2.0
// GM -> L1 of the cube: the query rows of a tile, a page of K or V, the probs of a
// page. Pipe MTE2. All become NZ matrices; rows past the context are never touched.
//
// Next: ascend_kernels/cce/cube_copy.h - the intrinsic behind each copy.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_PAGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_PAGE_STAGE_H_

#include "ascend_kernels/cce/cube_copy.h"
#include "ascend_kernels/decode_fifo/fifo_buffer_map.h"
#include "ascend_kernels/decode_fifo/fifo_work.h"

namespace ascend_attention {
namespace fifo {

// [rows, kHeadDim]; strips of kRows rows, of which the last may be left as they were.
template <uint32_t kRows, typename T>
AICORE_INLINE void LoadQuery(L1Ptr<T> dst, GmPtr<T> query, const Work& work) {
  NdToNz copy;
  copy.rows = work.rows;
  copy.cols = kHeadDim;
  copy.src_row_elems = kHeadDim;
  copy.dst_pitch_rows = kRows;
  GmToL1Nz<T>(dst, query + static_cast<uint64_t>(work.first_row) * kHeadDim, copy);
}

// The block that holds a page, checked: an id outside the cache would read someone
// else's memory.
template <typename T>
AICORE_INLINE uint32_t ReadBlockId(const DecodeArgs<T>& args, const Problem& problem,
                                   const Work& work, uint32_t page) {
  GmPtr<int32_t> row =
      args.block_table + static_cast<uint64_t>(work.sequence) * problem.max_kv_blocks;
  const int32_t kv_block = row[page];
  if (kv_block < 0 || static_cast<uint32_t>(kv_block) >= problem.num_kv_blocks) {
    Fail(args.workspace, Finding{ErrorCode::kKvBlockOutOfRange, work.sequence, page, kv_block,
                                 problem.num_kv_blocks});
  }
  return static_cast<uint32_t>(kv_block);
}

// The first `tokens` rows of one kv head of a block: [tokens, kHeadDim].
template <typename T>
AICORE_INLINE void LoadPage(L1Ptr<T> dst, GmPtr<T> cache, const Problem& problem, const Work& work,
                            uint32_t kv_block, uint32_t tokens) {
  NdToNz copy;
  copy.rows = tokens;
  copy.cols = kHeadDim;
  copy.src_row_elems = problem.kv_token_stride;
  copy.dst_pitch_rows = RoundUp(tokens, kFractalRows);
  const uint64_t first = kv_block * problem.kv_block_stride +
                         static_cast<uint64_t>(work.kv_head) * problem.kv_head_stride;
  GmToL1Nz<T>(dst, cache + first, copy);
}

// [rows, tokens], whole fractals of columns: the cube ignores those past `tokens`.
template <uint32_t kRows, uint32_t kPage, typename T>
AICORE_INLINE void LoadProbs(L1Ptr<T> dst, GmPtr<T> probs, uint32_t rows, uint32_t tokens) {
  NdToNz copy;
  copy.rows = rows;
  copy.cols = RoundUp(tokens, kFractalRows);
  copy.src_row_elems = kPage;
  copy.dst_pitch_rows = kRows;
  GmToL1Nz<T>(dst, probs, copy);
}

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_PAGE_STAGE_H_
