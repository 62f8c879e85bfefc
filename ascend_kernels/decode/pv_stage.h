// SPDX-License-Identifier: Apache-2.0
// Weighted values of one tile, for each kv head h and each 16-row unit u of h:
//
//   O_tile[u, 16 rows, head_dim] = P[u, 16 rows, tile] * V[h, tile, head_dim]
//
// summed chunk by chunk in L0C. The products run over exactly the tokens
// of the context: what a page holds beyond them is never multiplied.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PV_STAGE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PV_STAGE_H_

#include "ascend_kernels/cce/cube_copy.h"
#include "ascend_kernels/cce/mmad.h"
#include "ascend_kernels/decode/qk_stage.h"

namespace ascend_attention {

// V rows are the operand's k: every square is transposed on its way, one band of
// squares of one head at a time.
template <typename T>
AICORE_INLINE void LoadValueOperand(L0bPtr<T> dst, L1Ptr<T> chunk_l1, const Problem& problem,
                                    const Chunk& chunk, const HeadRange& heads) {
  const uint32_t head_elems = HeadChunkElems(problem, chunk);
  constexpr uint32_t kSquareElems = kSquareRows<T> * kSquareRows<T>;
  const uint32_t strips = problem.head_dim / kSquareRows<T>;
  const uint32_t bands = chunk.pitch_rows / kSquareRows<T>;
  for (uint32_t head = 0; head < heads.num_heads; ++head) {
    L1Ptr<T> src = chunk_l1 + (heads.first_head + head) * head_elems;
    for (uint32_t band = 0; band < bands; ++band) {
      L1ToL0bTransposed<T>(dst + head * head_elems + band * strips * kSquareElems,
                           src + band * kSquareElems, strips, bands);
    }
  }
}

template <typename T>
AICORE_INLINE void WeighHeads(L0cPtr<typename MmadSum<T>::Type> o_tile, L0aPtr<T> probs,
                              L0bPtr<T> values, const Problem& problem, const Tile& tile,
                              const Chunk& chunk, const HeadRange& heads) {
  MmadShape shape;
  shape.k = chunk.count;
  shape.n = problem.head_dim;
  const Accumulate accumulate = chunk.begin == 0 ? Accumulate::kNo : Accumulate::kYes;
  for (uint32_t head = 0; head < heads.num_heads; ++head) {
    L0bPtr<T> value = values + head * HeadChunkElems(problem, chunk);
    for (uint32_t group = 0; group < tile.row_groups; ++group) {
      const uint32_t unit = (heads.first_head + head) * tile.row_groups + group;
      shape.m = Min(tile.matrix_rows - group * kUnitRows, kUnitRows);
      Mmad<T>(o_tile + unit * problem.head_dim * kUnitRows,
              probs + (unit * problem.tile_tokens + chunk.begin) * kUnitRows, value, shape,
              accumulate);
    }
  }
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_PV_STAGE_H_
