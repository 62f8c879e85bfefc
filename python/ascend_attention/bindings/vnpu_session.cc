// SPDX-License-Identifier: Apache-2.0
// Checkers and clock on a device, and what they say of each launch.
//
// Next: tools/vnpu/report/session.h - what is bound here.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "python/ascend_attention/bindings/vnpu_bindings.h"
#include "tools/vnpu/check/finding.h"
#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/report/session.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;
using vnpu::Finding;
using vnpu::LaunchRecord;
using vnpu::MemoryUsage;
using vnpu::Session;
using vnpu::Site;

// Detached by close(), not only with the object: when Python drops that is its own affair.
struct SessionHandle {
  std::unique_ptr<Session> session;
  std::vector<LaunchRecord> closed;  // what it had found
};

// The GIL is released: attaching and detaching wait for a launch that is running.
void CreateSession(SessionHandle* self, DeviceHandle& device, bool race, bool memory, bool timing,
                   bool strict_gm_visibility, bool digest_order, bool outputs_complete,
                   bool drained_end) {
  vnpu::SessionOptions options;
  options.race = race;
  options.memory = memory;
  options.timing = timing;
  options.strict_gm_visibility = strict_gm_visibility;
  options.digest_order = digest_order;
  options.outputs_complete = outputs_complete;
  options.drained_end = drained_end;
  options.fail_launch = false;  // findings are read from the records
  const nb::gil_scoped_release released;
  new (self) SessionHandle{std::make_unique<Session>(device.device, options), {}};
}

void Close(SessionHandle& self) {
  const nb::gil_scoped_release released;
  if (self.session == nullptr) return;
  self.closed = self.session->launches();
  self.session.reset();
}

uint64_t OrderDigest(const SessionHandle& self) {
  return self.session == nullptr ? 0 : self.session->order_digest();
}

std::vector<LaunchRecord> Launches(const SessionHandle& self) {
  return self.session == nullptr ? self.closed : self.session->launches();
}

void BindFinding(nb::module_& module) {
  nb::class_<Site>(module, "Site", "One instruction at one place of a kernel.")
      .def_prop_ro("block", [](const Site& self) { return self.core.block; })
      .def_prop_ro("role", [](const Site& self) { return vnpu::RoleName(self.core.role); })
      .def_prop_ro("pipe", [](const Site& self) { return vnpu::PipeName(self.pipe); })
      .def_prop_ro("intrinsic", [](const Site& self) { return vnpu::RowOf(self.insn).name; })
      .def_ro("sequence", &Site::sequence)
      .def_ro("what", &Site::what)
      .def_ro("frames", &Site::frames);
  nb::class_<Finding>(module, "Finding", "What a checker has to say.")
      .def_ro("checker", &Finding::checker)
      .def_ro("kind", &Finding::kind)
      .def_ro("headline", &Finding::headline)
      .def_ro("kernel", &Finding::kernel)
      .def_ro("sites", &Finding::sites)
      .def_ro("missing", &Finding::missing)
      .def_ro("fix", &Finding::fix)
      .def_ro("count", &Finding::count)
      .def_prop_ro("text", &vnpu::FindingText);
}

void BindMemoryUsage(nb::module_& module) {
  nb::class_<MemoryUsage>(module, "MemoryUsage", "What launches touched of a region or allocation.")
      .def_ro("name", &MemoryUsage::name)
      .def_ro("bytes", &MemoryUsage::bytes)
      .def_ro("read_end", &MemoryUsage::read_end)
      .def_ro("write_end", &MemoryUsage::write_end);
}

}  // namespace

void BindVnpuSession(nb::module_& module) {
  BindFinding(module);
  BindMemoryUsage(module);
  nb::class_<LaunchRecord>(module, "LaunchRecord", "What was found of one launch.")
      .def_ro("kernel", &LaunchRecord::kernel)
      .def_ro("num_blocks", &LaunchRecord::num_blocks)
      .def_ro("faulted", &LaunchRecord::faulted)
      .def_ro("fault", &LaunchRecord::fault)
      .def_ro("findings", &LaunchRecord::findings)
      .def_ro("memory", &LaunchRecord::memory)
      .def_prop_ro(
          "timeline", [](const LaunchRecord& self) { return self.timeline; },
          nb::for_getter(nb::sig("def timeline(self, /) -> Timeline | None")))
      .def_ro("notes", &LaunchRecord::notes)
      .def_ro("timing_error", &LaunchRecord::timing_error);
  nb::class_<SessionHandle>(module, "Session", "Checkers and clock on a device until close().")
      .def("__init__", &CreateSession, nb::keep_alive<1, 2>(), "device"_a, nb::kw_only(), "race"_a,
           "memory"_a, "timing"_a, "strict_gm_visibility"_a, "digest_order"_a = false,
           "outputs_complete"_a = false, "drained_end"_a = false)
      .def("launches", &Launches, "What was found of each launch; call while none is running.")
      .def("order_digest", &OrderDigest,
           "A hash of what was known to be complete before each access to memory.")
      .def("close", &Close);
}

}  // namespace ascend_attention::python
