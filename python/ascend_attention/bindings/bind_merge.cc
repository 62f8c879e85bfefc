// SPDX-License-Identifier: Apache-2.0
// The merge of partial results. Addresses and streams cross as integers.
//
// Next: host_cc/include/ascend_attention/merge_states.h - what is bound here.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <memory>
#include <string>

#include "host_cc/include/ascend_attention/merge_states.h"
#include "python/ascend_attention/bindings/bindings.h"
#include "python/ascend_attention/bindings/status_cast.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

StatusOr<StateDType> ParseStateDType(const std::string& name) {
  if (name == "float16") return StateDType::kFloat16;
  if (name == "bfloat16") return StateDType::kBFloat16;
  if (name == "float32") return StateDType::kFloat32;
  return InvalidArgument("dtype is ", name, "; allowed: float16, bfloat16, float32");
}

void Merge(const std::shared_ptr<Runtime>& runtime, uintptr_t parts_out, uintptr_t parts_lse,
           uintptr_t out, uintptr_t lse, int64_t num_parts, int64_t rows, int64_t head_dim,
           const std::string& dtype, uintptr_t stream) {
  MergeStatesArgs args;
  args.parts_out = reinterpret_cast<const void*>(parts_out);
  args.parts_lse = reinterpret_cast<const float*>(parts_lse);
  args.out = reinterpret_cast<void*>(out);
  args.lse = reinterpret_cast<float*>(lse);
  args.num_parts = num_parts;
  args.rows = rows;
  args.head_dim = head_dim;
  args.dtype = ValueOrThrow(ParseStateDType(dtype));
  ThrowIfError(
      WithoutGil([&] { return MergeStates(*runtime, args, reinterpret_cast<void*>(stream)); }));
}

}  // namespace

void BindMerge(nb::module_& module) {
  module.def("merge_states", &Merge, "runtime"_a, nb::kw_only(), "parts_out"_a, "parts_lse"_a,
             "out"_a, "lse"_a, "num_parts"_a, "rows"_a, "head_dim"_a, "dtype"_a, "stream"_a,
             "Enqueues the merge on device addresses.");
}

}  // namespace ascend_attention::python
