// SPDX-License-Identifier: Apache-2.0
// The cache writer. Addresses and streams cross as integers.
//
// Next: host_cc/include/ascend_attention/cache_write.h - what is bound here.
#include <nanobind/stl/shared_ptr.h>

#include <cstdint>
#include <memory>

#include "host_cc/include/ascend_attention/cache_write.h"
#include "python/ascend_attention/bindings/bindings.h"
#include "python/ascend_attention/bindings/status_cast.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

// [num_tokens] int64 in host memory.
using Slots = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T>
T* Pointer(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// Of `shape` only the cache counts.
void Create(CacheWriter* self, const std::shared_ptr<Runtime>& runtime, const DecodeShape& shape) {
  CacheWriteShape cache;
  cache.num_kv_heads = shape.num_kv_heads;
  cache.head_dim = shape.head_dim;
  cache.kv_block_size = shape.kv_block_size;
  cache.num_kv_blocks = shape.num_kv_blocks;
  cache.dtype = shape.dtype;
  cache.kv_quant = shape.kv_quant;
  cache.kv_strides = shape.kv_strides;
  new (self)
      CacheWriter(ValueOrThrow(WithoutGil([&] { return CacheWriter::Create(runtime, cache); })));
}

void Run(const CacheWriter& self, int64_t num_tokens, uintptr_t key, uintptr_t value,
         int64_t key_token_stride, int64_t value_token_stride, uintptr_t slot_mapping,
         uintptr_t key_cache, uintptr_t value_cache, uintptr_t key_scale, uintptr_t key_offset,
         uintptr_t value_scale, uintptr_t value_offset, uintptr_t stream, bool check_slots) {
  CacheWriteTensors tensors;
  tensors.num_tokens = num_tokens;
  tensors.key = Pointer<const void>(key);
  tensors.value = Pointer<const void>(value);
  tensors.key_token_stride = key_token_stride;
  tensors.value_token_stride = value_token_stride;
  tensors.slot_mapping = Pointer<const int64_t>(slot_mapping);
  tensors.key_cache = Pointer<void>(key_cache);
  tensors.value_cache = Pointer<void>(value_cache);
  tensors.key_scale = Pointer<float>(key_scale);
  tensors.key_offset = Pointer<const float>(key_offset);
  tensors.value_scale = Pointer<float>(value_scale);
  tensors.value_offset = Pointer<const float>(value_offset);
  ThrowIfError(WithoutGil([&] { return self.Run(tensors, Pointer<void>(stream), check_slots); }));
}

void CheckSlots(const Slots& slot_mapping, int64_t num_slots) {
  ThrowIfError(WithoutGil([&] {
    return CheckSlotMapping(slot_mapping.data(), static_cast<int64_t>(slot_mapping.size()),
                            num_slots);
  }));
}

}  // namespace

void BindCache(nb::module_& module) {
  nb::class_<CacheWriter>(module, "CacheWriter", "Writes to caches of one shape on one device.")
      .def("__init__", &Create, "runtime"_a, "shape"_a)
      .def("run", &Run, nb::kw_only(), "num_tokens"_a, "key"_a, "value"_a, "key_token_stride"_a,
           "value_token_stride"_a, "slot_mapping"_a, "key_cache"_a, "value_cache"_a, "key_scale"_a,
           "key_offset"_a, "value_scale"_a, "value_offset"_a, "stream"_a, "check_slots"_a,
           "Enqueues the write of device addresses.");
  module.def("check_slot_mapping", &CheckSlots, "slot_mapping"_a, "num_slots"_a,
             "Raises for a slot beyond the cache, and for one that comes twice.");
}

}  // namespace ascend_attention::python
