// SPDX-License-Identifier: Apache-2.0
// reshape_and_cache, the schedules: a vector core takes its slabs one after the
// other, loads as many ahead as there are slots, and stores token by token,
// because slots scatter. Two schedules:
//
//   16-bit cache   MTE2 -> MTE3            rows go out as they came
//   int8 cache     MTE2 -> V -> MTE3
//
// In both the scalar unit reads the slot numbers from UB, where they came with the
// rows: one load from GM costs as much as a row.
//
// Next: ascend_kernels/kv_cache/exchange_stage.h - how a row finds its place.
#ifndef ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_CACHE_WRITER_H_
#define ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_CACHE_WRITER_H_

#include "ascend_kernels/kv_cache/exchange_stage.h"
#include "ascend_kernels/kv_cache/quantise_stage.h"

namespace ascend_attention {

template <typename T>
class CopyWriter {
 public:
  AICORE_INLINE explicit CopyWriter(const CacheArgs<T>& args)
      : args_(args), ahead_(args.num_tokens, args.num_kv_heads, args.head_dim), current_(ahead_) {}

  AICORE_INLINE ~CopyWriter() {}

  AICORE_INLINE void Run() {
    uint32_t loaded = 0;
    for (; !current_.done(); current_.Advance(), --loaded) {
      for (; loaded < kCopySlots && !ahead_.done(); ahead_.Advance(), ++loaded) Load(ahead_.Get());
      Store(current_.Get());
    }
  }

 private:
  AICORE_INLINE void Load(const Slab& slab) {
    LoadSlotNumbers(UbAt<uint8_t>(kSlotNumbersUb + slots_.AcquireFree() * kSlotNumberBytes), args_,
                    slab);
    slots_.PublishFull();
    LoadRows(UbAt<T>(kRowsUb + rows_.AcquireFree() * kSlabBytes), args_, slab);
    rows_.PublishFull();
  }

  AICORE_INLINE void Store(const Slab& slab) {
    const UbPtr<int64_t> slots =
        UbAt<int64_t>(kSlotNumbersUb + slots_.AcquireFull() * kSlotNumberBytes);
    const UbPtr<uint8_t> rows = UbAt<uint8_t>(kRowsUb + rows_.AcquireFull() * kSlabBytes);
    StoreSlab(args_, slab, slots, StoredSlab{rows, rows, sizeof(T)});
    slots_.ReleaseFree();
    rows_.ReleaseFree();
  }

  CacheArgs<T> args_;
  SlabCursor ahead_;    // of the loads
  SlabCursor current_;  // of the stores
  SlotRing<kCopySlots> slots_;
  CopyRing rows_;
};

template <typename T>
class QuantiseWriter {
 public:
  AICORE_INLINE explicit QuantiseWriter(const CacheArgs<T>& args)
      : args_(args),
        per_token_(args.kv_quant == KvQuant::kInt8Token),
        ahead_(args.num_tokens, args.num_kv_heads, args.head_dim),
        current_(ahead_) {}

  AICORE_INLINE ~QuantiseWriter() {}

  AICORE_INLINE void Run() {
    SaturateIntegers();
    UseAllLanes();
    // Ordered before its first reader by the barriers of MaxOfRows.
    if (per_token_) FillDense(UbAt<float>(kDivisorUb), kInt8Max, 1);
    uint32_t loaded = 0;
    for (; !current_.done(); current_.Advance(), --loaded) {
      for (; loaded < kRowSlots && !ahead_.done(); ahead_.Advance(), ++loaded) Load(ahead_.Get());
      Process(current_.Get());
    }
  }

 private:
  AICORE_INLINE void Load(const Slab& slab) {
    LoadSlotNumbers(UbAt<uint8_t>(kSlotNumbersUb + slots_.AcquireFree() * kSlotNumberBytes), args_,
                    slab);
    slots_.PublishFull();
    if (!per_token_ && slab.opens_group) {
      params_.AcquireFree();
      LoadParams(UbAt<uint8_t>(kParamsUb), args_, slab);
      params_.PublishFull();
    }
    LoadRows(UbAt<T>(kRowsUb + rows_.AcquireFree() * kSlabBytes), args_, slab);
    rows_.PublishFull();
  }

  AICORE_INLINE void Process(const Slab& slab) {
    const SlabShape shape{slab.tokens, slab.heads, args_.head_dim};
    const UbPtr<float> x = UbAt<float>(kF32Ub);
    // Whoever last read x is behind a barrier: RoundToInt8 ends with two.
    ToF32(x, UbAt<T>(kRowsUb + rows_.AcquireFull() * kSlabBytes), shape.repeats());
    rows_.ReleaseFree();
    VectorBarrier();
    const uint32_t result = kResultUb + results_.AcquireFree() * kResultSlotBytes;
    if (per_token_) {
      MaxOfRows(UbAt<float>(kRowMaxUb), x, UbAt<float>(kWorkUb), UbAt<float>(kBlockMaxUb), shape);
      ScaleRows(x, UbAt<float>(result + kResultScales), UbAt<float>(kRowScaleUb),
                UbAt<float>(kRowMaxUb), UbAt<float>(kDivisorUb), shape);
    } else {
      ApplyParams(x, slab, shape);
    }
    VectorBarrier();
    RoundToInt8(UbAt<int8_t>(result), x, UbAt<half>(kWorkUb), shape);
    results_.PublishFull();
    Store(slab);
  }

  AICORE_INLINE void ApplyParams(UbPtr<float> x, const Slab& slab, const SlabShape& shape) {
    if (slab.opens_group) params_.AcquireFull();
    ScaleKeysAndValues<false>(x, UbAt<float>(kParamsUb + kKeyScale),
                              UbAt<float>(kParamsUb + kValueScale), shape);
    if (args_.kv_quant == KvQuant::kInt8ChannelAsym) {
      VectorBarrier();
      ScaleKeysAndValues<true>(x, UbAt<float>(kParamsUb + kKeyOffset),
                               UbAt<float>(kParamsUb + kValueOffset), shape);
    }
    if (slab.closes_group) params_.ReleaseFree();
  }

  AICORE_INLINE void Store(const Slab& slab) {
    const UbPtr<int64_t> slots =
        UbAt<int64_t>(kSlotNumbersUb + slots_.AcquireFull() * kSlotNumberBytes);
    const uint32_t result = kResultUb + results_.AcquireFull() * kResultSlotBytes;
    StoreSlab(args_, slab, slots,
              StoredSlab{UbAt<uint8_t>(result), UbAt<uint8_t>(result + kResultScales), 1});
    slots_.ReleaseFree();
    results_.ReleaseFree();
  }

  CacheArgs<T> args_;
  bool per_token_;
  SlabCursor ahead_;    // of the loads
  SlabCursor current_;  // of the stores
  SlotRing<kRowSlots> slots_;
  RowRing rows_;
  ParamRing params_;
  ResultRing results_;
};

template <typename T>
AICORE_INLINE void CopyToCache(const CacheArgs<T>& args) {
  CopyWriter<T> writer(args);
  writer.Run();
}

template <typename T>
AICORE_INLINE void QuantiseToCache(const CacheArgs<T>& args) {
  QuantiseWriter<T> writer(args);
  writer.Run();
}

template <typename T>
AICORE_INLINE void CacheWriteEntry(const CacheArgs<T>& args) {
  BeginVectorKernel();
  // What the host refuses; the buffers are not made for it.
  if (args.head_dim < kMinHeadDim || args.head_dim > kMaxGroupElems ||
      args.head_dim % kDatablockBytes != 0) {
    Trap();
  }
  if (args.kv_quant == KvQuant::kNone) {
    CopyToCache(args);
  } else {
    QuantiseToCache(args);
  }
  EndKernel();
}

}  // namespace ascend_attention

#endif  // ASCEND_ATTENTION_ASCEND_KERNELS_KV_CACHE_CACHE_WRITER_H_
