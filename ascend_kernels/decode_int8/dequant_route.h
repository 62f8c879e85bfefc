// SPDX-License-Identifier: Apache-2.0
// KvRoute::kDequant on the cube core: K and V as half, converted by the vector cores
// into a ring in GM that stays in L2; query and probs as half.
//
// Next: ascend_kernels/decode_int8/dequant_stage.h - who fills the ring.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_DEQUANT_ROUTE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_DEQUANT_ROUTE_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/decode/load_stage.h"
#include "ascend_kernels/decode_int8/int8_args.h"
#include "ascend_kernels/decode_int8/int8_events.h"
#include "ascend_kernels/decode_int8/int8_plan.h"

namespace ascend_attention {
namespace int8 {

template <typename T>
class DequantRoute {
 public:
  using Args = Int8DecodeArgs<T>;
  using Operand = half;
  static constexpr bool kKeysFirst = false;  // the query is ready before them

  AICORE_INLINE explicit DequantRoute(const Args& args) {
    OpenQueries(queries_, args.workspace);
    exchange_.Open(args.workspace);
  }

  static AICORE_INLINE bool Fits(const Problem& problem) {
    return TilesFit<Operand>(problem) && RowsFit(problem);
  }

  AICORE_INLINE void AwaitQuery() { AwaitSignal(kQueryReady); }
  AICORE_INLINE void LoadQuery(L1Ptr<Operand> dst, const Problem& problem, const Tile& tile) {
    LoadOperandRows<Operand>(dst, queries_.Next(), problem, tile, problem.head_dim,
                             problem.head_dim);
  }
  AICORE_INLINE void AwaitKeys() {
    AwaitSignal(kKeysReady);
    keys_ = exchange_.keys.Next();
  }
  AICORE_INLINE void LoadKeys(L1Ptr<Operand> dst, const Problem& problem, const Tile& tile,
                              const TileBlocks&, const Chunk& chunk) {
    LoadDense(dst, keys_, problem, tile, chunk);
  }
  AICORE_INLINE void AwaitValues() {
    AwaitSignal(kValuesReady);
    values_ = exchange_.values.Next();
  }
  AICORE_INLINE void LoadValues(L1Ptr<Operand> dst, const Problem& problem, const Tile& tile,
                                const TileBlocks&, const Chunk& chunk) {
    LoadDense(dst, values_, problem, tile, chunk);
  }

 private:
  // Rows of a chunk, [token, kv head, head_dim] end to end in GM.
  static AICORE_INLINE void LoadDense(L1Ptr<Operand> dst, GmPtr<Operand> tokens,
                                      const Problem& problem, const Tile& tile,
                                      const Chunk& chunk) {
    NdToNz copy;
    copy.rows = chunk.count;
    copy.cols = tile.kv_head_count * problem.head_dim;
    copy.src_row_elems = copy.cols;
    copy.dst_pitch_rows = chunk.pitch_rows;
    GmToL1Nz<Operand>(dst, tokens + chunk.begin * copy.cols, copy);
  }

  QuerySlots<Operand> queries_;
  DequantExchange exchange_;
  GmPtr<Operand> keys_ = nullptr;
  GmPtr<Operand> values_ = nullptr;
};

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_DEQUANT_ROUTE_H_
