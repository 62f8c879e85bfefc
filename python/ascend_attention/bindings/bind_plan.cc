// SPDX-License-Identifier: Apache-2.0
// Shape, platform, planner and plan.
#include <nanobind/stl/string.h>

#include <cstdint>
#include <string>

#include "python/ascend_attention/bindings/bindings.h"
#include "python/ascend_attention/bindings/status_cast.h"
#include "tiling/decode_planner.h"
#include "tiling/plan_text.h"
#include "tiling/platform.h"
#include "tiling/shape.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

StatusOr<DType> DTypeFromName(const std::string& name) {
  if (name == "float16") return DType::kFloat16;
  if (name == "bfloat16") return DType::kBFloat16;
  return Unimplemented("dtype is ", name, "; allowed: float16, bfloat16");
}

void InitShape(DecodeShape* self, int64_t batch, int64_t num_heads, int64_t num_kv_heads,
               int64_t head_dim, int64_t kv_block_size, int64_t num_kv_blocks,
               int64_t max_kv_blocks, const std::string& dtype) {
  new (self) DecodeShape();
  self->batch = batch;
  self->num_heads = num_heads;
  self->num_kv_heads = num_kv_heads;
  self->head_dim = head_dim;
  self->kv_block_size = kv_block_size;
  self->num_kv_blocks = num_kv_blocks;
  self->max_kv_blocks = max_kv_blocks;
  self->dtype = ValueOrThrow(DTypeFromName(dtype));
}

void BindShape(nb::module_& module) {
  nb::class_<DecodeShape>(module, "DecodeShape", "A decode problem without its lengths.")
      .def("__init__", &InitShape, nb::kw_only(), "batch"_a, "num_heads"_a, "num_kv_heads"_a,
           "head_dim"_a, "kv_block_size"_a, "num_kv_blocks"_a, "max_kv_blocks"_a, "dtype"_a)
      .def_ro("batch", &DecodeShape::batch)
      .def_ro("max_kv_blocks", &DecodeShape::max_kv_blocks)
      .def_prop_ro("max_context", &DecodeShape::max_context);
  module.def(
      "validate", [](const DecodeShape& shape) { ThrowIfError(Validate(shape)); }, "shape"_a,
      "Raises unless there is a kernel for the shape.");
}

void BindPlatform(nb::module_& module) {
  nb::class_<Platform>(module, "Platform", "What the planner knows about a chip.")
      .def_ro("soc_name", &Platform::soc_name)
      .def_ro("num_cores", &Platform::num_cores);
  module.def(
      "platform_for",
      [](const std::string& soc_name, int num_cores) {
        return ValueOrThrow(PlatformFor(soc_name, num_cores));
      },
      "soc_name"_a, "num_cores"_a = 0, "The chip of that name; num_cores 0 for its usual count.");
}

void BindPlanner(nb::module_& module) {
  nb::class_<DecodePlan>(module, "DecodePlan", "A plan, as the kernels read it.")
      .def("to_bytes",
           [](const DecodePlan& plan) {
             return nb::bytes(plan.bytes().data(), plan.bytes().size());
           })
      .def(
          "text",
          [](const DecodePlan& plan, bool full) {
            return PlanText(plan, full ? PlanTextDetail::kFull : PlanTextDetail::kSummary);
          },
          nb::kw_only(), "full"_a)
      .def_prop_ro("used_cores", &DecodePlan::used_cores)
      .def_prop_ro("balance", [](const DecodePlan& plan) { return plan.prediction().balance(); });
  module.def(
      "plan_decode",
      [](const DecodeShape& shape, const Platform& platform, const Lengths& context_lens,
         float softmax_scale) {
        return ValueOrThrow(WithoutGil([&] {
          return PlanDecode(shape, platform, context_lens.data(), context_lens.size(),
                            softmax_scale);
        }));
      },
      "shape"_a, "platform"_a, "context_lens"_a, "softmax_scale"_a, "Plans without a device.");
  module.def(
      "workspace_bytes",
      [](const DecodeShape& shape, const Platform& platform) {
        return ValueOrThrow(DecodeWorkspaceBytes(shape, platform)).bytes;
      },
      "shape"_a, "platform"_a, "Bytes of workspace that every plan of the shape fits in.");
}

}  // namespace

void BindPlan(nb::module_& module) {
  BindShape(module);
  BindPlatform(module);
  BindPlanner(module);
}

}  // namespace ascend_attention::python
