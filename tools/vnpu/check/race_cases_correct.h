// SPDX-License-Identifier: Apache-2.0
// Correct kernels of the vector cores that come near to a race; see
// race_cases.cce.
#ifndef VNPU_CHECK_RACE_CASES_CORRECT_H_
#define VNPU_CHECK_RACE_CASES_CORRECT_H_

#include "tools/vnpu/check/race_cases_vector.h"

CASE(Neighbours) {
  FILL(0);
  LOAD(256, a.gm);
  STORE(a.gm + 256, 512);
  FILL(1024);
  ADD(1280, 768);
  if (*At<volatile __ubuf__ float*>(1536) == 5.0f) ADD(2048, 4096);
}

CASE(MaskedLanes) {
  set_vector_mask(0, 0x5555555555555555);
  FILL(0);
  set_vector_mask(0, 0xaaaaaaaaaaaaaaaa);
  FILL(0);
  // Lanes 0..59 of V, the last datablock of MTE2.
  set_vector_mask(0, (uint64_t{1} << 56) - 1);
  FILL(512);
  copy_gm_to_ubuf(UB(512 + 224), a.gm, 0, 1, 1, 0, 0);
  set_vector_mask(0, ~uint64_t{0});
}

// Rows of two matrices that lie in each other's gaps.
CASE(Interleaved) {
  copy_gm_to_ubuf(UB(0), a.gm, 0, 16, 1, 0, 1);
  copy_gm_to_ubuf(UB(32), a.gm, 0, 16, 1, 0, 1);
  vector_dup(UB(2048), 1.0f, 4, 2, 1, 16, 8);
  vector_dup(UB(2048 + 32), 1.0f, 4, 2, 1, 16, 8);
  copy_ubuf_to_gm(a.gm + 4096, UB(8192), 0, 16, 1, 0, 1);
  copy_ubuf_to_gm(a.gm + 4096 + 32, UB(8192), 0, 16, 1, 0, 1);
}

CASE(PingPong) {
  for (int s = 0; s < 2; ++s) set_flag(PIPE_V, PIPE_MTE2, s);
  for (int s = 0; s < 2; ++s) set_flag(PIPE_MTE3, PIPE_V, s);
  for (int i = 0; i < 6; ++i) {
    const int s = i & 1;
    wait_flag(PIPE_V, PIPE_MTE2, s);
    LOAD(s * 256, a.gm + i * 256);
    SYNC(PIPE_MTE2, PIPE_V, s);
    wait_flag(PIPE_MTE3, PIPE_V, s);
    ADD(1024 + s * 256, s * 256);
    set_flag(PIPE_V, PIPE_MTE2, s);
    SYNC(PIPE_V, PIPE_MTE3, s);
    STORE(a.gm + 4096 + i * 256, 1024 + s * 256);
    set_flag(PIPE_MTE3, PIPE_V, s);
  }
  for (int s = 0; s < 2; ++s) wait_flag(PIPE_V, PIPE_MTE2, s);
  for (int s = 0; s < 2; ++s) wait_flag(PIPE_MTE3, PIPE_V, s);
}

// MTE2 hears of V through MTE3.
CASE(ChainOfPipes) {
  LOAD(0, a.gm);
  SYNC(PIPE_MTE2, PIPE_V, EVENT_ID0);
  ADD(256, 0);
  SYNC(PIPE_V, PIPE_MTE3, EVENT_ID0);
  STORE(a.gm + 4096, 256);
  SYNC(PIPE_MTE3, PIPE_MTE2, EVENT_ID0);
  LOAD(0, a.gm + 4096);
}

// AIV0's tile is free again once AIV1, told of its store, has answered.
CASE(ChainThroughPeer) {
  for (int i = 0; i < 2; ++i) {
    if (a.aiv == 0) {
      FILL(0);
      SYNC(PIPE_V, PIPE_MTE3, EVENT_ID0);
      STORE(a.gm, 0);
    }
    ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
    wait_flag_dev(5);
    if (a.aiv == 1) LOAD(0, a.gm);
    ffts_cross_core_sync(PIPE_MTE2, Ffts(1, 6));
    wait_flag_dev(6);
  }
}

CASE(ScalarWaits) {
  FILL(0);
  STORE(a.gm, 1024);
  SYNC(PIPE_V, PIPE_S, EVENT_ID0);
  // Everything issued from here on starts behind the fill.
  LOAD(0, a.gm + 512);
  SYNC(PIPE_MTE3, PIPE_S, EVENT_ID0);
  LOAD(2048, a.gm);
}

CASE(DrainAll) {
  FILL(0);
  *At<volatile __ubuf__ float*>(512) = 1.0f;
  STORE(a.gm, 1024);
  pipe_barrier(PIPE_ALL);
  LOAD(0, a.gm);
  ADD(768, 512);
}

CASE(InPlace) {
  ADD(0, 0);
  pipe_barrier(PIPE_V);
  vadd(UB(0), UB(0), UB(0), 4, 1, 1, 1, 8, 8, 8);
}

// In place with scattered masks, in counter mode, over rows of a matrix, and
// from floats to halves.
CASE(OntoItself) {
  set_vector_mask(0, 0x00ff5555aaaa0f0f);
  vmuls(UB(0), UB(0), 2.0f, 3, 1, 1, 8, 8);
  set_mask_count();
  set_vector_mask(0, 200);
  vadd(UB(1024), UB(1024), UB(2048), 1, 1, 1, 1, 8, 8, 8);
  set_mask_norm();
  set_vector_mask(0, ~uint64_t{0});
  vadds(UB(4096), UB(4096), 1.0f, 4, 4, 4, 1, 1);
  vconv_f322f16(At<__ubuf__ half*>(16384), UB(16384), 4, 1, 1, 4, 8);
}

CASE(Accumulate) {
  vadd(UB(0), UB(1024), UB(0), 7, 1, 1, 1, 0, 8, 0);
  pipe_barrier(PIPE_V);
  vmla(UB(0), UB(1024), UB(4096), 7, 1, 1, 1, 0, 8, 8);
}

// Side by side; and a repeat may write what only earlier ones have read.
CASE(BehindTheReader) {
  vadds(UB(1792), UB(0), 1.0f, 7, 1, 1, 8, 8);
  vadds(UB(4096), UB(4352), 1.0f, 7, 1, 1, 8, 8);
  copy_ubuf_to_ubuf(UB(8192), UB(8320), 0, 4, 4, 0, 0);
}

// One row for all repeats, right in front of the destination.
CASE(BroadcastRow) {
  vadd(UB(256), UB(256), UB(0), 7, 1, 1, 1, 8, 8, 0);
  vmul(UB(4096), UB(4096), UB(8192), 8, 1, 1, 0, 8, 8, 1);
}

// In one pipe the earlier instruction has read before the later one writes.
CASE(WriteAfterRead) {
  ADD(256, 0);
  FILL(0);
}

// Words stored in a loop, written back at once, and loaded by the peer.
CASE(StoreLoop) {
  for (uint32_t i = 0; a.aiv == 0 && i < 200; ++i) *WORD(i * 4) = i;
  if (a.aiv == 0) dcci(a.gm, ENTIRE_DATA_CACHE, CACHELINE_OUT);
  ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  wait_flag_dev(5);
  if (a.aiv == 0) return;
  dcci(a.gm, ENTIRE_DATA_CACHE, CACHELINE_OUT);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < 200; ++i) sum += *WORD(i * 4);
  if (sum == 199 * 100) LOAD(0, a.gm + 64);
  SYNC(PIPE_MTE2, PIPE_MTE3, EVENT_ID0);
  STORE(a.gm, 0);
}

// The second barrier and the second flag tell nothing new; behind the last
// barrier comes nothing.
CASE(Redundant) {
  FILL(0);
  pipe_barrier(PIPE_V);
  pipe_barrier(PIPE_V);
  SYNC(PIPE_V, PIPE_MTE3, EVENT_ID0);
  SYNC(PIPE_V, PIPE_MTE3, EVENT_ID1);
  STORE(a.gm, 0);
  pipe_barrier(PIPE_ALL);
}

CASE(Atomics) {
  set_atomic_add();
  set_atomic_f32();
  STORE(a.gm, 0);
  STORE(a.gm + 128, 0);
  set_atomic_none();
}

// Copies of 4 bytes each from all cores into one line.
CASE(WordsOfALine) {
  copy_ubuf_to_gm_align_b32(a.gm + (a.block * 2 + a.aiv) * 4, UB(0), 0, 1, 4, 0, 0, 0, 0);
}

CASE(BarrierRounds) {
  const int64_t me = a.block * 2 + a.aiv, all = 2 * get_block_num();
  for (int i = 0; i < 3; ++i) {
    STORE(a.gm + me * 256, 0);
    ffts_cross_core_sync(PIPE_MTE3, Ffts(0, 6));
    wait_flag_dev(6);
    LOAD(1024, a.gm + (me + 1) % all * 256);
    LOAD(2048, a.gm + (me + 3) % all * 256);
    SYNC(PIPE_MTE2, PIPE_MTE3, EVENT_ID0);
    ffts_cross_core_sync(PIPE_MTE2, Ffts(0, 7));
    wait_flag_dev(7);
    pipe_barrier(PIPE_MTE2);
  }
}

// A barrier of all cores made of words in GM: each raises its own, reads all.
CASE(SoftBarrier) {
  const int64_t me = a.block * 2 + a.aiv, all = 2 * get_block_num();
  auto* words = reinterpret_cast<__gm__ uint32_t*>(a.gm + 4096);
  for (uint32_t round = 1; round <= 2; ++round) {
    STORE(a.gm + me * 256, 0);
    SYNC(PIPE_MTE3, PIPE_S, EVENT_ID0);
    st_dev(2 * round - 1, words, me * 64);
    for (int64_t other = 0; other < all; ++other) {
      while (ld_dev(words, other * 64) < 2 * round - 1) {
      }
    }
    LOAD(1024, a.gm + (me + 1) % all * 256);
    SYNC(PIPE_MTE2, PIPE_S, EVENT_ID0);
    st_dev(2 * round, words, me * 64);
    for (int64_t other = 0; other < all; ++other) {
      while (ld_dev(words, other * 64) < 2 * round) {
      }
    }
  }
}

#endif  // VNPU_CHECK_RACE_CASES_CORRECT_H_
