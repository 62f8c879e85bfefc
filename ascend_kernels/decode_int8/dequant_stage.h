// SPDX-License-Identifier: Apache-2.0
// Route kDequant: int8 tokens of the cache to half, exactly, for the cube:
//
//   dst[token, kv head, d] = half(cache[kv block of token, token, kv head, d])
//
// Scales are not applied: query, weights and output carry them. A piece is a run
// of tokens of one kv block that fits a UB slot: loaded by MTE2, converted by V,
// stored by MTE3.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_DEQUANT_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_DEQUANT_STAGE_H_

#include "ascend_kernels/cce/byte_copy.h"
#include "ascend_kernels/decode_int8/int8_exchange_stage.h"

namespace ascend_attention {
namespace int8 {

// Tokens [begin, end) of a tile.
struct TokenRange {
  uint32_t begin;
  uint32_t end;
};

// The two vector cores share a tile's tokens.
AICORE_INLINE TokenRange TokensOfThisCore(const Tile& tile) {
  const uint32_t half = CeilDiv(tile.num_tokens, 2);
  return IsFirstVectorCore() ? TokenRange{0, half} : TokenRange{half, tile.num_tokens};
}

// Elements of a token that an item reads.
AICORE_INLINE uint32_t TokenElems(const Problem& problem, const Tile& tile) {
  return tile.kv_head_count * problem.head_dim;
}

// To [token, kv head, head_dim] in UB. GM gaps are any number of bytes.
AICORE_INLINE void LoadPiece(UbPtr<int8_t> dst, GmPtr<int8_t> cache, const Problem& problem,
                             const Tile& tile, const TokenRun& run) {
  GmPtr<int8_t> src = cache + run.kv_block * problem.kv_block_stride +
                      static_cast<uint64_t>(run.in_block) * problem.kv_token_stride +
                      static_cast<uint64_t>(tile.kv_head_begin) * problem.kv_head_stride;
  ByteRuns runs;
  runs.runs = run.tokens;
  const bool heads_are_neighbours = problem.kv_head_stride == problem.head_dim;
  runs.run_bytes = heads_are_neighbours ? TokenElems(problem, tile) : problem.head_dim;
  runs.gm_gap_bytes = problem.kv_token_stride - runs.run_bytes;
  runs.ub_gap_datablocks = (TokenElems(problem, tile) - runs.run_bytes) / kDatablockBytes;
  for (uint32_t elem = 0; elem < TokenElems(problem, tile); elem += runs.run_bytes) {
    GmToUbBytes(reinterpret_cast<UbPtr<uint8_t>>(dst + elem), reinterpret_cast<GmPtr<uint8_t>>(src),
                runs);
    src += problem.kv_head_stride;
  }
}

AICORE_INLINE void ConvertPiece(UbPtr<half> dst, UbPtr<int8_t> src, uint32_t elems) {
  FromInt8(dst, src, CeilDiv(elems, kHalfLanes));
}

AICORE_INLINE void StorePiece(GmPtr<half> dst, UbPtr<half> src, uint32_t elems) {
  RowCopy copy;
  copy.rows = 1;
  copy.row_datablocks = elems * sizeof(half) / kDatablockBytes;
  UbToGm(dst, src, copy);
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_DEQUANT_STAGE_H_
