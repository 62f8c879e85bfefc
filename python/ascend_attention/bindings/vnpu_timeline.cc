// SPDX-License-Identifier: Apache-2.0
// A timeline: scalars as they are, arrays of structs as bytes.
//
// Next: tools/vnpu/timing/timeline.h - what is bound here.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "python/ascend_attention/bindings/vnpu_bindings.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/timing/timeline.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using vnpu::Timeline;

template <typename T>
nb::bytes AsBytes(const std::vector<T>& values) {
  return nb::bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

std::vector<std::string> InsnNames() {
  std::vector<std::string> names;
  for (uint32_t insn = 0; insn < VNPU_INSN_COUNT; ++insn) names.push_back(vnpu::RowOf(insn).name);
  return names;
}

}  // namespace

void BindVnpuTimeline(nb::module_& module) {
  nb::class_<Timeline>(module, "Timeline", "The modelled course of one launch.")
      .def_ro("kernel", &Timeline::kernel)
      .def_ro("soc", &Timeline::soc)
      .def_ro("num_blocks", &Timeline::num_blocks)
      .def_ro("total_ps", &Timeline::total_ps)
      .def_ro("launch_ps", &Timeline::launch_ps)
      .def_prop_ro("lanes", [](const Timeline& self) { return AsBytes(self.lanes); })
      .def_ro("sites", &Timeline::sites)
      .def_prop_ro("spans", [](const Timeline& self) { return AsBytes(self.spans); })
      .def_prop_ro("waits", [](const Timeline& self) { return AsBytes(self.waits); })
      .def_prop_ro("arrows", [](const Timeline& self) { return AsBytes(self.arrows); })
      .def_prop_ro("totals", [](const Timeline& self) { return AsBytes(self.totals); })
      .def_prop_ro("core_end_ps", [](const Timeline& self) { return AsBytes(self.core_end_ps); })
      .def_ro("gm_read_bytes", &Timeline::gm_read_bytes)
      .def_ro("gm_write_bytes", &Timeline::gm_write_bytes)
      .def_ro("hbm_bytes", &Timeline::hbm_bytes)
      .def_ro("l2_hit_bytes", &Timeline::l2_hit_bytes)
      .def_ro("mad_flops", &Timeline::mad_flops)
      .def_ro("peak_hbm_bytes_per_s", &Timeline::peak_hbm_bytes_per_s)
      .def_ro("peak_flops", &Timeline::peak_flops);
  module.def("insn_names", &InsnNames, "Name of every intrinsic, by number.");
}

}  // namespace ascend_attention::python
