// SPDX-License-Identifier: Apache-2.0
// The route of a 16-bit cache (KvRoute::kDirect): query, K and V are loaded as the
// caller's tensors hold them and wait for nobody.
//
// A Route tells CubeDecoder what it multiplies and how that reaches L1.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DIRECT_ROUTE_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DIRECT_ROUTE_H_

#include "ascend_kernels/decode/load_stage.h"

namespace ascend_attention {

template <typename T>
class DirectRoute {
 public:
  using Args = DecodeArgs<T>;
  using Operand = T;
  static constexpr bool kKeysFirst = false;

  AICORE_INLINE explicit DirectRoute(const Args& args)
      : query_(args.query), key_cache_(args.key_cache), value_cache_(args.value_cache) {}

  static AICORE_INLINE bool Fits(const Problem& problem) { return TilesFit<T>(problem); }

  AICORE_INLINE void AwaitQuery() {}
  AICORE_INLINE void LoadQuery(L1Ptr<T> dst, const Problem& problem, const Tile& tile) {
    LoadQueryRows<T>(dst, query_, problem, tile);
  }
  AICORE_INLINE void AwaitKeys() {}
  AICORE_INLINE void LoadKeys(L1Ptr<T> dst, const Problem& problem, const Tile& tile,
                              const TileBlocks& blocks, const Chunk& chunk) {
    LoadKvChunk<T>(dst, key_cache_, problem, tile, blocks, chunk);
  }
  AICORE_INLINE void AwaitValues() {}
  AICORE_INLINE void LoadValues(L1Ptr<T> dst, const Problem& problem, const Tile& tile,
                                const TileBlocks& blocks, const Chunk& chunk) {
    LoadKvChunk<T>(dst, value_cache_, problem, tile, blocks, chunk);
  }

 private:
  GmPtr<T> query_;
  GmPtr<T> key_cache_;
  GmPtr<T> value_cache_;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_DIRECT_ROUTE_H_
