// SPDX-License-Identifier: Apache-2.0
// The operator: plan and run. Addresses and streams cross as integers.
//
// Next: host_cc/include/ascend_attention/decode.h - what is bound here.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "host_cc/include/ascend_attention/decode.h"
#include "python/ascend_attention/bindings/bindings.h"
#include "python/ascend_attention/bindings/status_cast.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

template <typename T>
T* Pointer(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

void Create(DecodeAttention* self, const std::shared_ptr<Runtime>& runtime,
            const DecodeShape& shape, float softmax_scale, int num_cores) {
  new (self) DecodeAttention(ValueOrThrow(WithoutGil(
      [&] { return DecodeAttention::Create(runtime, shape, softmax_scale, num_cores); })));
}

PreparedPlan Plan(const DecodeAttention& self, const Lengths& context_lens, uintptr_t workspace,
                  size_t workspace_size, uintptr_t stream, const std::optional<Lengths>& q_lens) {
  return ValueOrThrow(WithoutGil([&]() -> StatusOr<PreparedPlan> {
    if (q_lens) AA_RETURN_IF_ERROR(CheckSameBatch(context_lens, *q_lens));
    return self.Plan(context_lens.data(), context_lens.size(), Pointer<void>(workspace),
                     workspace_size, Pointer<void>(stream), q_lens ? q_lens->data() : nullptr);
  }));
}

void Run(const DecodeAttention& self, const PreparedPlan& plan, uintptr_t query,
         uintptr_t key_cache, uintptr_t value_cache, uintptr_t block_table, uintptr_t key_scale,
         uintptr_t key_offset, uintptr_t value_scale, uintptr_t value_offset, uintptr_t out,
         uintptr_t lse, uintptr_t stream) {
  DecodeTensors tensors;
  tensors.query = Pointer<const void>(query);
  tensors.key_cache = Pointer<const void>(key_cache);
  tensors.value_cache = Pointer<const void>(value_cache);
  tensors.key_scale = Pointer<const float>(key_scale);
  tensors.key_offset = Pointer<const float>(key_offset);
  tensors.value_scale = Pointer<const float>(value_scale);
  tensors.value_offset = Pointer<const float>(value_offset);
  tensors.block_table = Pointer<const int32_t>(block_table);
  tensors.out = Pointer<void>(out);
  tensors.lse = Pointer<float>(lse);
  ThrowIfError(WithoutGil([&] { return self.Run(plan, tensors, Pointer<void>(stream)); }));
}

}  // namespace

void BindDecode(nb::module_& module) {
  nb::class_<PreparedPlan>(module, "PreparedPlan", "A plan in one workspace.")
      .def_prop_ro("plan", &PreparedPlan::plan, nb::rv_policy::copy);
  nb::class_<DecodeAttention>(module, "DecodeAttention", "Decode for one shape on one device.")
      .def("__init__", &Create, "runtime"_a, "shape"_a, nb::kw_only(), "softmax_scale"_a,
           "num_cores"_a = 0)
      .def_prop_ro("workspace_bytes", &DecodeAttention::workspace_bytes)
      .def_prop_ro("shape", &DecodeAttention::shape, nb::rv_policy::copy)
      .def("plan", &Plan, "context_lens"_a, "workspace"_a, "workspace_size"_a, "stream"_a,
           "q_lens"_a = nb::none(), "Plans and enqueues the upload of the plan.")
      .def("run", &Run, "plan"_a, nb::kw_only(), "query"_a, "key_cache"_a, "value_cache"_a,
           "block_table"_a, "key_scale"_a, "key_offset"_a, "value_scale"_a, "value_offset"_a,
           "out"_a, "lse"_a, "stream"_a,
           "Enqueues the kernels on device addresses; nothing is checked on the host.");
}

}  // namespace ascend_attention::python
