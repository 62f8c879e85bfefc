// SPDX-License-Identifier: Apache-2.0
// KvRoute::kLimbs on the cube core: int8 K and V as the cache holds them, query and
// probs as two int8 limbs that are rows of the same matrix: row limb * rows + r of
// a kv head. The cube pads matrices to 16 rows anyway, so that the second limb is
// free up to 8 query rows a kv head.
//
// Next: ascend_kernels/decode_int8/operand_stage.h - what a limb is.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_LIMBS_ROUTE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_LIMBS_ROUTE_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/decode/load_stage.h"
#include "ascend_kernels/decode_int8/int8_args.h"
#include "ascend_kernels/decode_int8/int8_events.h"
#include "ascend_kernels/decode_int8/int8_plan.h"

namespace ascend_attention {
namespace int8 {

template <typename T>
class LimbsRoute {
 public:
  using Args = Int8DecodeArgs<T>;
  using Operand = int8_t;
  static constexpr bool kKeysFirst = true;  // they wait for nobody

  AICORE_INLINE explicit LimbsRoute(const Args& args)
      : key_cache_(args.key_cache), value_cache_(args.value_cache) {
    OpenQueries(queries_, args.workspace);
  }

  static AICORE_INLINE bool Fits(const Problem& problem) {
    return TilesFit<Operand>(problem) && RowsFit(problem);
  }

  AICORE_INLINE void AwaitQuery() { AwaitSignal(kQueryReady); }
  AICORE_INLINE void LoadQuery(L1Ptr<Operand> dst, const Problem& problem, const Tile& tile) {
    LoadOperandRows<Operand>(dst, queries_.Next(), problem, tile, problem.head_dim,
                             problem.head_dim);
  }
  AICORE_INLINE void AwaitKeys() {}
  AICORE_INLINE void LoadKeys(L1Ptr<Operand> dst, const Problem& problem, const Tile& tile,
                              const TileBlocks& blocks, const Chunk& chunk) {
    LoadKvChunk<Operand>(dst, key_cache_, problem, tile, blocks, chunk);
  }
  AICORE_INLINE void AwaitValues() {}
  AICORE_INLINE void LoadValues(L1Ptr<Operand> dst, const Problem& problem, const Tile& tile,
                                const TileBlocks& blocks, const Chunk& chunk) {
    LoadKvChunk<Operand>(dst, value_cache_, problem, tile, blocks, chunk);
  }

 private:
  GmPtr<int8_t> key_cache_;
  GmPtr<int8_t> value_cache_;
  QuerySlots<Operand> queries_;
};

}  // namespace int8
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_INT8_LIMBS_ROUTE_H_
