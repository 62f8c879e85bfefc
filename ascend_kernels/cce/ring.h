// SPDX-License-Identifier: Apache-2.0
// Ring: N slots of one buffer handed from a producer pipe to a consumer pipe of
// the same core, and back.
//
// Slot s owns two one-bit flags: (producer -> consumer, kFirstEvent + s) says
// "full", (consumer -> producer, kFirstEvent + s) says "free". Slots never
// share a flag, so a load into one slot cannot be mistaken for another's. The
// constructor marks all slots free, the destructor waits until all are free
// again: flags balance on every way out of a schedule.
//
// Slots are used in turn. A call only queues a flag operation on a pipe; the
// scalar unit never waits here.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_CCE_RING_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_CCE_RING_H_

#include "ascend_kernels/cce/address.h"

namespace ascend_attention {

// Stops the scalar unit, and all that it queues later, until kPipe has done what it holds.
template <pipe_t kPipe, uint32_t kEvent>
AICORE_INLINE void WaitForPipe() {
  set_flag(kPipe, PIPE_S, static_cast<event_t>(kEvent));
  wait_flag(kPipe, PIPE_S, static_cast<event_t>(kEvent));
}

template <pipe_t kProducer, pipe_t kConsumer, uint32_t kNumSlots, uint32_t kFirstEvent>
class Ring {
  // 8 flags exist for each ordered pair of pipes.
  static_assert(kNumSlots >= 1 && kFirstEvent + kNumSlots <= 8, "flag ids are 0..7");

 public:
  AICORE_INLINE Ring() {
    for (uint32_t slot = 0; slot < kNumSlots; ++slot) {
      set_flag(kConsumer, kProducer, Event(slot));
    }
  }
  AICORE_INLINE ~Ring() {
    for (uint32_t slot = 0; slot < kNumSlots; ++slot) {
      wait_flag(kConsumer, kProducer, Event(slot));
    }
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Producer side: work queued on kProducer after this finds the slot free.
  AICORE_INLINE uint32_t AcquireFree() {
    wait_flag(kConsumer, kProducer, Event(write_slot_));
    return write_slot_;
  }
  AICORE_INLINE void PublishFull() {
    set_flag(kProducer, kConsumer, Event(write_slot_));
    write_slot_ = After(write_slot_);
  }

  // Consumer side: work queued on kConsumer after this finds the slot full.
  AICORE_INLINE uint32_t AcquireFull() {
    wait_flag(kProducer, kConsumer, Event(read_slot_));
    return read_slot_;
  }
  AICORE_INLINE void ReleaseFree() {
    set_flag(kConsumer, kProducer, Event(read_slot_));
    read_slot_ = After(read_slot_);
  }

 private:
  static AICORE_INLINE event_t Event(uint32_t slot) {
    return static_cast<event_t>(kFirstEvent + slot);
  }
  static AICORE_INLINE uint32_t After(uint32_t slot) {
    return slot + 1 == kNumSlots ? 0 : slot + 1;
  }

  uint32_t write_slot_ = 0;
  uint32_t read_slot_ = 0;
};

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_CCE_RING_H_
