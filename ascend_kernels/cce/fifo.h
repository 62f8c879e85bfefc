// SPDX-License-Identifier: Apache-2.0
// Fifo: tiles handed from one core of a block to its other core, through a ring of
// kDepth slots in GM. One side is the cube core, the other are the two vector cores,
// which share every tile's rows (RowsOfThisLane).
//
//   producer   slot = Acquire(); store the tile to it on kStorePipe; Push()
//   consumer   slot = Front();   load the tile from it on MTE2;      Pop()
//
// Tile t lies in slot t % kDepth. Two signals (cross_core.h), both queued on a pipe
// behind the access they speak of:
//   data  kSignal      Push: the tile is in GM. Front stops the scalar unit for it.
//   free  kSignal + 1  Pop of the last tile of a period: its kPeriod tiles were loaded.
//                      A credit. Acquire of tile t stops the scalar unit for one where
//                      t >= kDepth and t - kDepth begins a period.
// So the producer is at most kDepth tiles ahead, and a longer period signals less but
// asks for room earlier: with kPeriod = kDepth, tiles kDepth.. wait for all before.
// The destructor of the producer takes the credits that no later tile has taken: all
// counters are 0 when the kernel ends, and the next one finds none of ours.
//
// Two FIFOs of one spec in a loop, there and back: before it takes tile t back, a core
// may send tiles up to t + 2 * kDepth - kPeriod. With more, both rings can be full and
// nobody loads: a deadlock.
//
// kPeriod = 0: no credits. Then something else must order a slot's loads before its
// next store, and keep the producer within 15 tiles; the race detector and the counters
// say whether it does.
//
// A vector core without rows stores or loads nothing, but makes all the calls: the cube
// core counts a signal only when both vector cores have raised it.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_H_

#include "ascend_kernels/cce/cross_core.h"
#include "ascend_kernels/cce/system.h"

namespace ascend_attention {

// The pipe that stores says the direction: FIX of the cube core, MTE3 of the vector
// cores. Takes the signals kSignal and kSignal + 1.
template <pipe_t kStore, uint32_t kNumSlots, uint32_t kTilesPerCredit, uint32_t kSignal>
struct FifoSpec {
  static constexpr pipe_t kStorePipe = kStore;
  static constexpr uint32_t kDepth = kNumSlots;
  static constexpr uint32_t kPeriod = kTilesPerCredit;
  static constexpr uint32_t kDataSignal = kSignal;
  static constexpr uint32_t kFreeSignal = kSignal + 1;

  static_assert(kStore == PIPE_FIX || kStore == PIPE_MTE3, "no other pipe stores to GM");
  static_assert(kNumSlots >= 1 && kNumSlots <= 15, "a signal counts to 15");
  static_assert(kTilesPerCredit == 0 || kNumSlots % kTilesPerCredit == 0,
                "a period that straddles the ring would wait for tiles not yet pushed");
  static_assert(kSignal + 1 <= 15, "signal ids are 0..15");
};

// The slots of this block: kDepth matrices of slot_elems elements, one behind the other.
template <typename T>
struct FifoSlots {
  GmPtr<T> first = nullptr;
  uint64_t slot_elems = 0;

  AICORE_INLINE GmPtr<T> At(uint32_t slot) const { return first + slot * slot_elems; }
};

template <typename T, typename Spec>
class FifoProducer {
 public:
  AICORE_INLINE FifoProducer() {}
  AICORE_INLINE ~FifoProducer() {
    if constexpr (Spec::kPeriod != 0) {
      for (; owed_tiles_ >= Spec::kPeriod; owed_tiles_ -= Spec::kPeriod) AwaitCredit();
    }
  }
  FifoProducer(const FifoProducer&) = delete;
  FifoProducer& operator=(const FifoProducer&) = delete;

  AICORE_INLINE void Open(const FifoSlots<T>& slots) { slots_ = slots; }

  // Where the next tile goes; what it held was loaded.
  AICORE_INLINE GmPtr<T> Acquire() {
    if constexpr (Spec::kPeriod != 0) {
      if (owed_tiles_ == Spec::kDepth) {
        AwaitCredit();
        owed_tiles_ -= Spec::kPeriod;
      }
    }
    return slots_.At(slot_);
  }

  AICORE_INLINE void Push() {
    RaiseSignal<Spec::kStorePipe>(Spec::kDataSignal);
    slot_ = slot_ + 1 == Spec::kDepth ? 0 : slot_ + 1;
    ++owed_tiles_;
  }

 private:
  AICORE_INLINE void AwaitCredit() { AwaitSignal(Spec::kFreeSignal); }

  FifoSlots<T> slots_;
  uint32_t slot_ = 0;
  uint32_t owed_tiles_ = 0;  // pushed, and no credit was taken for them
};

template <typename T, typename Spec>
class FifoConsumer {
 public:
  AICORE_INLINE FifoConsumer() {}
  FifoConsumer(const FifoConsumer&) = delete;
  FifoConsumer& operator=(const FifoConsumer&) = delete;

  AICORE_INLINE void Open(const FifoSlots<T>& slots) { slots_ = slots; }

  // The oldest tile. Once for each: it takes the signal.
  AICORE_INLINE GmPtr<T> Front() {
    AwaitSignal(Spec::kDataSignal);
    return slots_.At(slot_);
  }

  AICORE_INLINE void Pop() {
    slot_ = slot_ + 1 == Spec::kDepth ? 0 : slot_ + 1;
    if constexpr (Spec::kPeriod != 0) {
      if (slot_ % Spec::kPeriod == 0) RaiseSignal<PIPE_MTE2>(Spec::kFreeSignal);
    }
  }

 private:
  FifoSlots<T> slots_;
  uint32_t slot_ = 0;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_FIFO_H_
