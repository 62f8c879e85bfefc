// SPDX-License-Identifier: Apache-2.0
// Between GM and the UB of a vector core in the int8 decode kernels: query rows and
// scales in, sums of the cube in, operands out. Pipes MTE2 and MTE3. Outputs and
// partial results go the way of decode/exchange_stage.h.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_EXCHANGE_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_EXCHANGE_STAGE_H_

#include "ascend_kernels/cce/vector_copy.h"
#include "ascend_kernels/decode/exchange_stage.h"
#include "ascend_kernels/decode_int8/int8_args.h"
#include "ascend_kernels/decode_int8/operand_stage.h"
#include "ascend_kernels/decode_int8/query_stage.h"
#include "ascend_kernels/decode_int8/weights_stage.h"

namespace ascend_attention {
namespace int8 {

// `rows` rows of `elems` elements of T, from and to rows of these pitches.
template <typename T>
AICORE_INLINE RowCopy PitchedRows(uint32_t rows, uint32_t elems, uint32_t src_pitch,
                                  uint32_t dst_pitch) {
  RowCopy copy;
  copy.rows = rows;
  copy.row_datablocks = CeilDiv(elems * sizeof(T), kDatablockBytes);
  copy.src_gap_datablocks = src_pitch * sizeof(T) / kDatablockBytes - copy.row_datablocks;
  copy.dst_gap_datablocks = dst_pitch * sizeof(T) / kDatablockBytes - copy.row_datablocks;
  return copy;
}

// [kv heads, head_dim] of an item's kv heads, to rows `pitch` lanes apart.
AICORE_INLINE void LoadChannels(UbPtr<float> dst, GmPtr<float> src, const Problem& problem,
                                const Tile& tile, uint32_t pitch) {
  const uint32_t head_dim = problem.head_dim;
  GmToUb(dst, src + tile.kv_head_begin * head_dim,
         PitchedRows<float>(tile.kv_head_count, head_dim, head_dim, pitch));
}

// Rows of this core and what scales them. shape: rows of head_dim, whole columns.
template <typename T>
AICORE_INLINE void LoadQueryInput(const QueryInput<T>& input, const Int8DecodeArgs<T>& args,
                                  const Problem& problem, const Tile& tile, const RowRange& range,
                                  const TileShape& shape, KvQuant quant) {
  const uint64_t head_row = tile.first_head_row + range.first_row;
  GmToUb(input.rows, args.query + head_row * problem.head_dim,
         PitchedRows<T>(range.rows, problem.head_dim, problem.head_dim, shape.pitch()));
  if (quant == KvQuant::kInt8Token) return;
  LoadChannels(input.key_scale, args.key_scale, problem, tile, shape.pitch());
  if (quant != KvQuant::kInt8ChannelAsym) return;
  LoadChannels(input.key_offset, args.key_offset, problem, tile, shape.pitch());
}

// Operand rows, `elems` elements each of shape.pitch() in UB, to rows [limb][row],
// gm_pitch elements apart.
template <typename Format>
AICORE_INLINE void StoreOperandRows(GmPtr<typename Format::Operand> dst,
                                    UbPtr<typename Format::Operand> src, const Problem& problem,
                                    const RowRange& range, const TileShape& shape, uint32_t elems,
                                    uint32_t gm_pitch) {
  using Operand = typename Format::Operand;
  const RowCopy copy = PitchedRows<Operand>(range.rows, elems, shape.pitch(), gm_pitch);
  for (uint32_t limb = 0; limb < Format::kLimbs; ++limb) {
    UbToGm(dst + (limb * problem.max_rows + range.first_row) * gm_pitch,
           src + limb * kMaxMatrixElems, copy);
  }
}

// The cube's sums of this core's rows, of all limbs: [limb][row, gm_pitch] to the
// matrices of a pair, rows ub_pitch lanes apart.
template <typename Sum>
AICORE_INLINE void LoadSums(const Pair& dst, GmPtr<Sum> src, const Problem& problem,
                            const RowRange& range, uint32_t elems, uint32_t gm_pitch,
                            uint32_t ub_pitch) {
  const RowCopy copy = PitchedRows<Sum>(range.rows, elems, gm_pitch, ub_pitch);
  for (uint32_t limb = 0; limb < problem.operand_limbs; ++limb) {
    const UbPtr<float> matrix = limb == 0 ? dst.values : dst.scratch;
    GmToUb(reinterpret_cast<UbPtr<Sum>>(matrix),
           src + (limb * problem.max_rows + range.first_row) * gm_pitch, copy);
  }
}

// Where the tokens of a tile lie, for a vector core. The cube core reads the same
// ids and stops the launch at one that is outside the cache; until then this core
// reads block 0 instead.
template <typename Args>
AICORE_INLINE void FindTileBlocks(const Args& args, const Problem& problem, const Tile& tile,
                                  TileBlocks& blocks) {
  const uint32_t first = tile.token_begin / problem.kv_block_size;
  const uint32_t last = (tile.token_begin + tile.num_tokens - 1) / problem.kv_block_size;
  GmPtr<int32_t> row =
      args.block_table + static_cast<uint64_t>(tile.sequence) * problem.max_kv_blocks;
  for (uint32_t column = first; column <= last; ++column) {
    const uint32_t kv_block = static_cast<uint32_t>(row[column]);
    blocks.kv_block[column - first] = kv_block < problem.num_kv_blocks ? kv_block : 0;
  }
  blocks.first_offset_tokens = tile.token_begin - first * problem.kv_block_size;
}

// Tokens that lie behind each other in one kv block.
struct TokenRun {
  uint32_t kv_block;
  uint32_t in_block;  // first token
  uint32_t tokens;
};

// The run of a tile's tokens from `token` on, `limit` at most.
AICORE_INLINE TokenRun TokenRunFrom(const Problem& problem, const TileBlocks& blocks,
                                    uint32_t token, uint32_t limit) {
  const uint32_t from_first = blocks.first_offset_tokens + token;
  const uint32_t index = from_first / problem.kv_block_size;
  const uint32_t in_block = from_first - index * problem.kv_block_size;
  return TokenRun{blocks.kv_block[index], in_block, Min(limit, problem.kv_block_size - in_block)};
}

// kInt8Token: scales of a tile's tokens, one row a kv head, `pitch` lanes apart.
// Blocks begin on multiples of 16 tokens of a tile: each run on a datablock.
AICORE_INLINE void LoadTokenScales(UbPtr<float> dst, GmPtr<float> scale, const Problem& problem,
                                   const Tile& tile, const TileBlocks& blocks, uint32_t pitch) {
  uint32_t tokens;
  for (uint32_t token = 0; token < tile.num_tokens; token += tokens) {
    const TokenRun run = TokenRunFrom(problem, blocks, token, tile.num_tokens - token);
    tokens = run.tokens;
    const uint64_t head =
        static_cast<uint64_t>(run.kv_block) * problem.num_kv_heads + tile.kv_head_begin;
    GmToUbRagged(dst + token, scale + head * problem.kv_block_size + run.in_block,
                 tile.kv_head_count, tokens, (problem.kv_block_size - tokens) * sizeof(float),
                 pitch / kF32PerDatablock - CeilDiv(tokens, kF32PerDatablock));
  }
}

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_INT8_EXCHANGE_STAGE_H_
