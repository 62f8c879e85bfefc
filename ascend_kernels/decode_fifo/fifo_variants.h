// SPDX-License-Identifier: Apache-2.0
// The history of the kernel, as what differs between its forms:
//
//                 K and V             orders pipes by           scalar unit waits for
//   Baseline      loaded when needed  one flag for all slots,   FIX after each product,
//                                     one way                   MTE3 after each output
//   Prefetch      one page ahead      as before                 as before
//   SlotEvents    one page ahead      a flag for each slot and  neither
//                                     each way (cce/ring.h)
//
// Baseline and Prefetch follow hw-native-sys/simpler before and after #704: slots of L1,
// UB and L0 are overwritten without asking their reader, and what keeps most of them whole
// is that the scalar unit happens to wait for FIX once a step. Even so two tiles are
// overwritten too early, the single tile of UB from which probs are stored and that tile
// again when it holds the zeros of an empty sequence; and three flags of the vector cores,
// one bit each, are set again where nothing says that the last set was taken: MTE2->V of
// scores and of o_tile, V->MTE3. SlotEvents is what ships: every slot asks.
// fifo_races_test.cc has the race detector say all this.
//
// A variant is a struct of
//   Guard<producer, consumer, slots, first flag>   who asks whom about a slot
//   kPrefetch                 K and V one page ahead, block ids read once
//   kWaitForStores            the scalar unit waits for FIX and MTE3 as above
//   kOperandSlots             of L0A, L0B and L0C
//   kStoreSlots               of UB, for probs, out and lse on their way to GM
//   kDepth, kPeriod           slots of the FIFOs, tiles per credit (cce/fifo.h)
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_VARIANTS_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_VARIANTS_H_

#include "ascend_kernels/cce/ring.h"
#include "tiling/abi/decode_plan.h"

namespace ascend_attention {
namespace fifo {

// In the place of a Ring: one flag for all slots, from the producer to the consumer,
// raised when the consumer asks. It says that everything queued on the producer until then
// is done, the slot's tile with it. Nothing says that a slot may be overwritten.
template <pipe_t kProducer, pipe_t kConsumer, uint32_t kNumSlots, uint32_t kFirstEvent>
class OneFlag {
 public:
  AICORE_INLINE OneFlag() {}
  OneFlag(const OneFlag&) = delete;
  OneFlag& operator=(const OneFlag&) = delete;

  AICORE_INLINE uint32_t AcquireFree() { return write_slot_; }
  AICORE_INLINE void PublishFull() { write_slot_ = After(write_slot_); }
  AICORE_INLINE uint32_t AcquireFull() {
    set_flag(kProducer, kConsumer, static_cast<event_t>(kFirstEvent));
    wait_flag(kProducer, kConsumer, static_cast<event_t>(kFirstEvent));
    return read_slot_;
  }
  AICORE_INLINE void ReleaseFree() { read_slot_ = After(read_slot_); }

 private:
  static AICORE_INLINE uint32_t After(uint32_t slot) {
    return slot + 1 == kNumSlots ? 0 : slot + 1;
  }

  uint32_t write_slot_ = 0;
  uint32_t read_slot_ = 0;
};

struct Baseline {
  template <pipe_t kProducer, pipe_t kConsumer, uint32_t kNumSlots, uint32_t kFirstEvent>
  using Guard = OneFlag<kProducer, kConsumer, kNumSlots, kFirstEvent>;
  static constexpr bool kPrefetch = false;
  static constexpr bool kWaitForStores = true;
  static constexpr uint32_t kOperandSlots = 1;
  static constexpr uint32_t kStoreSlots = 1;
  static constexpr uint32_t kDepth = 2;
  static constexpr uint32_t kPeriod = 0;
};

struct Prefetch : Baseline {
  static constexpr bool kPrefetch = true;
};

struct SlotEvents {
  template <pipe_t kProducer, pipe_t kConsumer, uint32_t kNumSlots, uint32_t kFirstEvent>
  using Guard = Ring<kProducer, kConsumer, kNumSlots, kFirstEvent>;
  static constexpr bool kPrefetch = true;
  static constexpr bool kWaitForStores = false;
  static constexpr uint32_t kOperandSlots = 2;
  static constexpr uint32_t kStoreSlots = 2;
  static constexpr uint32_t kDepth = kFifoDepth;
  static constexpr uint32_t kPeriod = kFifoDepth / 2;
};
// The schedule orders the slots of the FIFOs even without credits, as it is today.
static_assert(SlotEvents::kPeriod != 0, "what ships does not rest on its schedule");

}  // namespace fifo
}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_DECODE_FIFO_FIFO_VARIANTS_H_
