/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of the toy model and its cache, for C and C++. */
#ifndef ENGINE_LOOP_SIZES_H_
#define ENGINE_LOOP_SIZES_H_

enum {
  kHeads = 8,
  kKvHeads = 2,
  kHeadDim = 64,
  kVocabulary = 96,
  kMaxBatch = 3,
  kKvBlockSize = 16,
  kNumKvBlocks = 10,
  kMaxKvBlocks = 6 /* of a request */
};

#define SOFTMAX_SCALE 0.125f

#endif /* ENGINE_LOOP_SIZES_H_ */
