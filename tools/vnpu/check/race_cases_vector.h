// SPDX-License-Identifier: Apache-2.0
// Racy kernels of the vector cores and their correct twins; see race_cases.cce.
#ifndef VNPU_CHECK_RACE_CASES_VECTOR_H_
#define VNPU_CHECK_RACE_CASES_VECTOR_H_

#include "tools/vnpu/check/race_cases_args.h"

#define UB(offset) At<__ubuf__ float*>(offset)
// 256 bytes of UB at a time.
#define LOAD(ub, from) copy_gm_to_ubuf(UB(ub), from, 0, 1, 8, 0, 0)
#define STORE(to, ub) copy_ubuf_to_gm(to, UB(ub), 0, 1, 8, 0, 0)
#define FILL(ub) vector_dup(UB(ub), 1.0f, 1, 1, 1, 8, 8)
#define ADD(dst, src) vadds(UB(dst), UB(src), 1.0f, 1, 1, 1, 8, 8)
#define WORD(offset) (reinterpret_cast<volatile __gm__ uint32_t*>(a.gm + (offset)))

CASE(VectorBarrier) {
  FILL(0);  // @VectorBarrierFirst
  if (a.fixed) pipe_barrier(PIPE_V);
  ADD(256, 0);  // @VectorBarrier
}

CASE(VectorOverwrite) {
  FILL(0);  // @VectorOverwriteFirst
  if (a.fixed) pipe_barrier(PIPE_V);
  FILL(128);  // @VectorOverwrite
}

// One tile in UB, rewritten while MTE3 still stores it.
CASE(StagingTile) {
  for (int i = 0; i < 2; ++i) {
    if (a.fixed && i > 0) wait_flag(PIPE_MTE3, PIPE_V, EVENT_ID0);
    FILL(0);  // @StagingTile
    SYNC(PIPE_V, PIPE_MTE3, EVENT_ID0);
    STORE(a.gm + i * 256, 0);  // @StagingTileStore
    if (a.fixed && i == 0) set_flag(PIPE_MTE3, PIPE_V, EVENT_ID0);
  }
}

// A barrier of MTE3 says nothing to V.
CASE(ZeroTile) {
  FILL(0);
  SYNC(PIPE_V, PIPE_MTE3, EVENT_ID0);
  STORE(a.gm, 0);  // @ZeroTileStore
  if (a.fixed) {
    SYNC(PIPE_MTE3, PIPE_V, EVENT_ID0);
  } else {
    pipe_barrier(PIPE_MTE3);
  }
  ADD(0, 1024);  // @ZeroTile
}

CASE(LoadOverlap) {
  LOAD(0, a.gm);  // @LoadOverlapFirst
  if (a.fixed) pipe_barrier(PIPE_MTE2);
  LOAD(224, a.gm);  // @LoadOverlap
}

CASE(StoreOverlap) {
  STORE(a.gm, 0);  // @StoreOverlapFirst
  if (a.fixed) pipe_barrier(PIPE_MTE3);
  STORE(a.gm + 128, 0);  // @StoreOverlap
}

CASE(ScalarReadsUb) {
  FILL(0);  // @ScalarReadsUbFill
  if (a.fixed) SYNC(PIPE_V, PIPE_S, EVENT_ID0);
  const float value = *At<volatile __ubuf__ float*>(4);  // @ScalarReadsUb
  *WORD(0) = static_cast<uint32_t>(value);
}

CASE(ScalarWritesUb) {
  *At<volatile __ubuf__ float*>(4) = 2.0f;  // @ScalarWritesUb
  if (a.fixed) SYNC(PIPE_S, PIPE_V, EVENT_ID0);
  ADD(256, 0);  // @ScalarWritesUbAdd
}

// The slot is given back before it has been read.
CASE(EarlyRelease) {
  LOAD(0, a.gm);
  SYNC(PIPE_MTE2, PIPE_V, EVENT_ID0);
  if (!a.fixed) set_flag(PIPE_V, PIPE_MTE2, EVENT_ID3);
  ADD(256, 0);  // @EarlyReleaseRead
  if (a.fixed) set_flag(PIPE_V, PIPE_MTE2, EVENT_ID3);
  wait_flag(PIPE_V, PIPE_MTE2, EVENT_ID3);
  LOAD(0, a.gm);  // @EarlyRelease
}

// MTE2 brings back what MTE3 is still taking out.
CASE(Reload) {
  STORE(a.gm, 0);  // @ReloadStore
  if (a.fixed) SYNC(PIPE_MTE3, PIPE_MTE2, EVENT_ID0);
  LOAD(1024, a.gm);  // @Reload
}

// A shift by one repeat: the second repeat reads what the first has written.
CASE(LaterRepeat) {
  vadds(UB(256), UB(a.fixed ? 256 : 0), 1.0f, 7, 1, 1, 8, 8);  // @LaterRepeat
}

// The last lanes of the source are the first of the destination.
CASE(ShiftedLanes) {
  set_vector_mask(0, a.fixed ? 0xff : 0xfff);
  vadds(UB(32), UB(0), 1.0f, 1, 1, 1, 8, 8);  // @ShiftedLanes
  set_vector_mask(0, ~uint64_t{0});
}

CASE(BroadcastOntoSource) {
  auto* row = At<__ubuf__ uint32_t*>(a.fixed ? 2048 : 0);
  vbrcb(At<__ubuf__ uint32_t*>(0), row, 1, 8, 2);  // @BroadcastOntoSource
}

CASE(ReduceIntoSource) {
  vcmax(UB(a.fixed ? 1024 : 0), UB(0), 4, 1, 1, 8, ONLY_VALUE);  // @ReduceIntoSource
}

// The sums of one repeat are not there yet for the next.
CASE(AccumulateAhead) {
  const int stride = a.fixed ? 8 : 4;
  vadd(UB(0), UB(2048), UB(0), 3, 1, 1, 1, stride, 8, stride);  // @AccumulateAhead
}

CASE(CopyUp) {
  copy_ubuf_to_ubuf(UB(a.fixed ? 1024 : 128), UB(0), 0, 4, 4, 0, 0);  // @CopyUp
}

CASE(OneAivEarly) {
  if (!a.fixed && a.aiv == 1) ffts_cross_core_sync(PIPE_MTE3, Ffts(2, 4));
  STORE(a.gm + a.aiv * 256, 0);  // @OneAivEarlyStore
  if (a.fixed || a.aiv == 0) ffts_cross_core_sync(PIPE_MTE3, Ffts(2, 4));
}

CASE(PairOfAivs) {
  STORE(a.gm + a.aiv * 256, 0);  // @PairOfAivsStore
  ffts_cross_core_sync(a.fixed ? PIPE_MTE3 : PIPE_MTE2, Ffts(1, 5));
  wait_flag_dev(5);
  LOAD(1024, a.gm + (1 - a.aiv) * 256);  // @PairOfAivs
}

CASE(AllCores) {
  const int64_t me = a.block * 2 + a.aiv;
  STORE(a.gm + me * 256, 0);  // @AllCoresStore
  ffts_cross_core_sync(a.fixed ? PIPE_MTE3 : PIPE_V, Ffts(0, 6));
  wait_flag_dev(6);
  LOAD(1024, a.gm + (me + 2) % (2 * get_block_num()) * 256);  // @AllCores
}

CASE(TwoWriters) {
  if (a.aiv != 0) return;
  STORE(a.gm + (a.fixed ? a.block * 256 : 0), 0);  // @TwoWriters
}

CASE(AtomicAndPlain) {
  if (a.aiv != 0) return;
  if (a.block != 0 || a.fixed) {
    set_atomic_add();
    set_atomic_f32();
  }
  STORE(a.gm, 0);  // @AtomicAndPlain
  set_atomic_none();
}

// Data by MTE3, then a word that the other core polls past the cache.
CASE(SoftSignal) {
  if (a.aiv == 0) {
    STORE(a.gm, 0);  // @SoftSignalStore
    if (a.fixed) SYNC(PIPE_MTE3, PIPE_S, EVENT_ID0);
    st_dev(uint32_t{1}, reinterpret_cast<__gm__ uint32_t*>(a.gm + 4096), 0);
  } else {
    while (ld_dev(reinterpret_cast<__gm__ uint32_t*>(a.gm + 4096), 0) != 1) {
    }
    LOAD(1024, a.gm);  // @SoftSignal
  }
}

// The same through the cache, with the first look before any dcci. AIV0 runs
// first here, so it looks before the word is there.
CASE(CachedPoll) {
  if (a.aiv == 1) {
    STORE(a.gm, 0);  // @CachedPollStore
    if (a.fixed) SYNC(PIPE_MTE3, PIPE_S, EVENT_ID0);
    *WORD(4096) = 1;
    dcci(a.gm + 4096, SINGLE_CACHE_LINE, CACHELINE_OUT);
  } else {
    while (*WORD(4096) != 1) dcci(a.gm + 4096, SINGLE_CACHE_LINE, CACHELINE_OUT);
    LOAD(1024, a.gm);  // @CachedPoll
  }
}

// A copy that happens to find the data is no order.
CASE(CopyPoll) {
  if (a.aiv == 0) {
    STORE(a.gm, 0);  // @CopyPollStore
    if (a.fixed) ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  } else if (a.fixed) {
    ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  }
  if (a.fixed) wait_flag_dev(5);
  if (a.aiv == 1) LOAD(1024, a.gm);  // @CopyPoll
}

CASE(StaleLoad) {
  STORE(a.gm, 0);  // @StaleLoadStore
  SYNC(PIPE_MTE3, PIPE_S, EVENT_ID0);
  if (a.fixed) dcci(a.gm, SINGLE_CACHE_LINE, CACHELINE_OUT);
  if (*WORD(0) == 1) pipe_barrier(PIPE_V);  // @StaleLoad
}

CASE(StaleAcrossCores) {
  if (a.aiv == 0) {
    *WORD(0) = 7;  // @StaleAcrossCoresStore
    dcci(a.gm, SINGLE_CACHE_LINE, CACHELINE_OUT);
  }
  // Too early: another core's word may arrive after it.
  if (a.aiv == 1 && !a.fixed) dcci(a.gm, ENTIRE_DATA_CACHE, CACHELINE_OUT);
  ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  wait_flag_dev(5);
  if (a.aiv == 1) {
    if (a.fixed) dcci(a.gm, ENTIRE_DATA_CACHE, CACHELINE_OUT);
    if (*WORD(0) == 1) pipe_barrier(PIPE_V);  // @StaleAcrossCores
  }
}

CASE(Unpublished) {
  *WORD(0) = 7;  // @UnpublishedStore
  if (a.fixed) dcci(a.gm, SINGLE_CACHE_LINE, CACHELINE_OUT);
  LOAD(0, a.gm);  // @Unpublished
}

CASE(UnpublishedAcrossCores) {
  if (a.aiv == 0) {
    *WORD(64) = 7;  // @UnpublishedAcrossCoresStore
    if (a.fixed) dcci(a.gm + 64, SINGLE_CACHE_LINE, CACHELINE_OUT);
  }
  dsb(DSB_DDR);
  ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  wait_flag_dev(5);
  if (a.aiv == 1) LOAD(0, a.gm);  // @UnpublishedAcrossCores
}

// The signal is raised in the middle of a loop of loads: the second half of the
// words may be overwritten too early.
CASE(WordLoop) {
  if (a.aiv == 1) ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  uint32_t sum = 0;
  for (uint32_t i = 0; a.aiv == 0 && i < 64; ++i) {
    if (i == 32 && !a.fixed) ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
    sum += *WORD(i * 4);  // @WordLoopRead
  }
  if (a.aiv == 0 && a.fixed) ffts_cross_core_sync(PIPE_MTE3, Ffts(1, 5));
  wait_flag_dev(5);
  if (sum != 0 || a.aiv == 0) return;
  copy_ubuf_to_gm(a.gm, UB(0), 0, 1, 4, 0, 0);
  copy_ubuf_to_gm(a.gm + 128, UB(0), 0, 1, 4, 0, 0);  // @WordLoop
}

// Two words of one line, each from another core's cache.
CASE(LostUpdate) {
  *WORD(a.aiv * (a.fixed ? 64 : 4)) = 7;  // @LostUpdate
}

CASE(LineAndCopy) {
  if (a.aiv == 0) {
    *WORD(a.fixed ? 256 : 0) = 7;  // @LineAndCopyStore
  } else {
    copy_ubuf_to_gm(a.gm + 32, UB(0), 0, 1, 1, 0, 0);  // @LineAndCopy
  }
}

// A ring after another one with the same flag: its first set may come before the
// last wait of the ring before.
CASE(FlagSetAgain) {
  LOAD(0, a.gm);
  SYNC(PIPE_MTE2, PIPE_MTE3, EVENT_ID0);
  STORE(a.gm + 256, 0);
  set_flag(PIPE_MTE3, PIPE_V, EVENT_ID0);
  wait_flag(PIPE_MTE3, PIPE_V, EVENT_ID0);  // @FlagSetAgainWait
  if (a.fixed) SYNC(PIPE_V, PIPE_MTE3, EVENT_ID1);
  set_flag(PIPE_MTE3, PIPE_V, EVENT_ID0);  // @FlagSetAgain
  wait_flag(PIPE_MTE3, PIPE_V, EVENT_ID0);
}

// The scalar unit leaves behind the load, not behind the store.
CASE(UndrainedEnd) {
  LOAD(0, a.gm);
  SYNC(PIPE_MTE2, PIPE_MTE3, EVENT_ID0);
  STORE(a.gm + 256, 0);  // @UndrainedEnd
  SYNC(PIPE_MTE2, PIPE_S, EVENT_ID0);
  if (a.fixed) pipe_barrier(PIPE_ALL);
}

#endif  // VNPU_CHECK_RACE_CASES_VECTOR_H_
