// SPDX-License-Identifier: Apache-2.0
// Shape, platform, planner and plan.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <tuple>

#include "python/ascend_attention/bindings/bindings.h"
#include "python/ascend_attention/bindings/status_cast.h"
#include "tiling/decode_planner.h"
#include "tiling/plan_text.h"
#include "tiling/platform.h"
#include "tiling/shape.h"
#include "tiling/support.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

// The value of an enumeration whose name (tiling/support.h) this is.
template <typename Enum>
StatusOr<Enum> FromName(const char* argument, const std::string& name,
                        std::initializer_list<Enum> values, const char* (*name_of)(Enum)) {
  std::string allowed;
  for (const Enum value : values) {
    if (name == name_of(value)) return value;
    allowed += (allowed.empty() ? "" : ", ") + std::string(name_of(value));
  }
  return InvalidArgument(argument, " is ", name, "; allowed: ", allowed);
}

StatusOr<DType> DTypeFrom(const std::string& name) {
  return FromName("dtype", name, {DType::kFloat16, DType::kBFloat16}, DTypeName);
}

StatusOr<KvQuant> KvQuantFrom(const std::string& name) {
  return FromName(
      "kv_quant", name,
      {KvQuant::kNone, KvQuant::kInt8Channel, KvQuant::kInt8ChannelAsym, KvQuant::kInt8Token},
      KvQuantName);
}

StatusOr<KvRoute> KvRouteFrom(const std::string& name) {
  return FromName(
      "kv_route", name,
      {KvRoute::kAuto, KvRoute::kDirect, KvRoute::kDequant, KvRoute::kLimbs, KvRoute::kFifo},
      KvRouteName);
}

using Strides = std::tuple<int64_t, int64_t, int64_t>;  // block, token, head

void InitShape(DecodeShape* self, int64_t batch, int64_t num_heads, int64_t num_kv_heads,
               int64_t head_dim, int64_t kv_block_size, int64_t num_kv_blocks,
               int64_t max_kv_blocks, const std::string& dtype, int64_t max_q_len,
               const std::string& kv_quant, const std::string& kv_route, const Strides& kv_strides,
               int64_t fixed_split_tokens, bool out_float32) {
  new (self) DecodeShape();
  self->batch = batch;
  self->num_heads = num_heads;
  self->num_kv_heads = num_kv_heads;
  self->head_dim = head_dim;
  self->kv_block_size = kv_block_size;
  self->num_kv_blocks = num_kv_blocks;
  self->max_kv_blocks = max_kv_blocks;
  self->dtype = ValueOrThrow(DTypeFrom(dtype));
  self->max_q_len = max_q_len;
  self->kv_quant = ValueOrThrow(KvQuantFrom(kv_quant));
  self->kv_route = ValueOrThrow(KvRouteFrom(kv_route));
  self->kv_strides = {std::get<0>(kv_strides), std::get<1>(kv_strides), std::get<2>(kv_strides)};
  self->fixed_split_tokens = fixed_split_tokens;
  self->out_float32 = out_float32;
}

void BindShape(nb::module_& module) {
  nb::class_<DecodeShape>(module, "DecodeShape", "A decode problem without its lengths.")
      .def("__init__", &InitShape, nb::kw_only(), "batch"_a, "num_heads"_a, "num_kv_heads"_a,
           "head_dim"_a, "kv_block_size"_a, "num_kv_blocks"_a, "max_kv_blocks"_a, "dtype"_a,
           "max_q_len"_a = 1, "kv_quant"_a = "none", "kv_route"_a = "auto",
           "kv_strides"_a = Strides(0, 0, 0), "fixed_split_tokens"_a = 0, "out_float32"_a = false)
      .def_ro("batch", &DecodeShape::batch)
      .def_ro("max_kv_blocks", &DecodeShape::max_kv_blocks)
      .def_prop_ro("kv_quant", [](const DecodeShape& self) { return KvQuantName(self.kv_quant); })
      .def_prop_ro("kv_route", [](const DecodeShape& self) { return KvRouteName(self.kv_route); })
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
      .def_prop_ro("kv_quant",
                   [](const DecodePlan& plan) { return KvQuantName(plan.header().kv_quant); })
      .def_prop_ro("kv_route",
                   [](const DecodePlan& plan) { return KvRouteName(plan.header().kv_route); })
      .def_prop_ro("out_dtype",
                   [](const DecodePlan& plan) { return DTypeName(plan.header().out_dtype); })
      .def_prop_ro("used_cores", &DecodePlan::used_cores)
      .def_prop_ro("balance", [](const DecodePlan& plan) { return plan.prediction().balance(); });
  module.def(
      "plan_decode",
      [](const DecodeShape& shape, const Platform& platform, const Lengths& context_lens,
         float softmax_scale, const std::optional<Lengths>& q_lens) {
        return ValueOrThrow(WithoutGil([&]() -> StatusOr<DecodePlan> {
          if (q_lens) AA_RETURN_IF_ERROR(CheckSameBatch(context_lens, *q_lens));
          return PlanDecode(shape, platform, context_lens.data(), context_lens.size(),
                            softmax_scale, q_lens ? q_lens->data() : nullptr);
        }));
      },
      "shape"_a, "platform"_a, "context_lens"_a, "softmax_scale"_a, "q_lens"_a = nb::none(),
      "Plans without a device; q_lens None for one query token each.");
  module.def(
      "workspace_bytes",
      [](const DecodeShape& shape, const Platform& platform) {
        return ValueOrThrow(DecodeWorkspaceBytes(shape, platform)).bytes;
      },
      "shape"_a, "platform"_a, "Bytes of workspace that every plan of the shape fits in.");
}

void BindSupport(nb::module_& module) {
  module.def("support_table_json", &SupportTableJson, "What every kernel can do, as JSON.");
  module.def("support_table_markdown", &SupportTableMarkdown, "The same as a Markdown table.");
}

}  // namespace

void BindPlan(nb::module_& module) {
  BindShape(module);
  BindPlatform(module);
  BindPlanner(module);
  BindSupport(module);
}

}  // namespace ascend_attention::python
