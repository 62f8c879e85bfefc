// SPDX-License-Identifier: Apache-2.0
// The cases of race_cases.cce, for the kernel and its test. Racy ones have a
// wrong and a right form, told apart by the kernel's argument `fixed`.
#ifndef VNPU_CHECK_RACE_CASES_H_
#define VNPU_CHECK_RACE_CASES_H_

#include <stdint.h>

// clang-format off
// Racy, on one vector core.
#define RACE_CASES_ONE_AIV(X)                                                               \
  X(VectorBarrier) X(VectorOverwrite) X(StagingTile) X(ZeroTile) X(LoadOverlap)             \
  X(StoreOverlap) X(ScalarReadsUb) X(ScalarWritesUb) X(EarlyRelease) X(Reload)              \
  X(StaleLoad) X(Unpublished) X(LaterRepeat) X(ShiftedLanes) X(BroadcastOntoSource)         \
  X(ReduceIntoSource) X(AccumulateAhead) X(CopyUp) X(FlagSetAgain) \
  X(UndrainedEnd)
// Racy, on all vector cores.
#define RACE_CASES_AIVS(X)                                                                  \
  X(PairOfAivs) X(AllCores) X(TwoWriters) X(AtomicAndPlain) X(SoftSignal) X(CachedPoll)     \
  X(CopyPoll) X(StaleAcrossCores) X(UnpublishedAcrossCores) X(LostUpdate) X(LineAndCopy)     \
  X(WordLoop)
// Racy, on one cube core.
#define RACE_CASES_CUBE(X)                                                                  \
  X(SlotShared) X(DrainRemoved) X(SmallMads) X(FillThenLoad) X(FixBuffer) X(FixRegister)    \
  X(UnitFlag) X(L0cReuse)
// Racy, cube and vector cores of one block.
#define RACE_CASES_MIXED(X)                                                                 \
  X(SignalBeforeStore) X(SignalOnWrongPipe) X(OneAivEarly) X(Credits) X(NoFence)
// Correct, on one vector core, on all, on one cube core.
#define RACE_CASES_CORRECT_ONE_AIV(X)                                                       \
  X(Neighbours) X(MaskedLanes) X(Interleaved) X(PingPong) X(ChainOfPipes) X(ScalarWaits)    \
  X(DrainAll) X(InPlace) X(WriteAfterRead) X(Redundant)        \
  X(OntoItself) X(Accumulate) X(BehindTheReader) X(BroadcastRow)
#define RACE_CASES_CORRECT_AIVS(X)                                                          \
  X(ChainThroughPeer) X(StoreLoop) X(Atomics) X(WordsOfALine) X(BarrierRounds) X(SoftBarrier)
#define RACE_CASES_CORRECT_CUBE(X)  X(LargeMads)
// clang-format on

enum class RaceCase : uint32_t {
#define RACE_CASE_NAME(name) k##name,
  // clang-format off
  RACE_CASES_ONE_AIV(RACE_CASE_NAME)
  RACE_CASES_AIVS(RACE_CASE_NAME)
  RACE_CASES_CUBE(RACE_CASE_NAME)
  RACE_CASES_MIXED(RACE_CASE_NAME)
  RACE_CASES_CORRECT_ONE_AIV(RACE_CASE_NAME)
  RACE_CASES_CORRECT_AIVS(RACE_CASE_NAME)
  RACE_CASES_CORRECT_CUBE(RACE_CASE_NAME)
// clang-format on
#undef RACE_CASE_NAME
};

#endif  // VNPU_CHECK_RACE_CASES_H_
