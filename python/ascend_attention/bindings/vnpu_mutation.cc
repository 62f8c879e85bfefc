// SPDX-License-Identifier: Apache-2.0
// Small faults in the instruction streams of kernels, one at a time.
//
// Next: tools/vnpu/mutation/mutator.h - what is bound here.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "python/ascend_attention/bindings/vnpu_bindings.h"
#include "tools/vnpu/mutation/mutator.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;
using vnpu::Mutation;
using vnpu::Mutator;

// Owns the mutations too: the mutator points into them.
struct MutatorHandle {
  std::unique_ptr<Mutator> mutator;
  std::vector<Mutation> mutations;
};

Mutator& Open(MutatorHandle& self) {
  if (self.mutator == nullptr) throw nb::value_error("the mutator is closed");
  return *self.mutator;
}

// The GIL is released: attaching and detaching wait for a launch that is running.
void Create(MutatorHandle* self, DeviceHandle& device) {
  const nb::gil_scoped_release released;
  new (self) MutatorHandle{std::make_unique<Mutator>(device.device), {}};
}

void Close(MutatorHandle& self) {
  const nb::gil_scoped_release released;
  self.mutator.reset();
}

void Apply(MutatorHandle& self, std::optional<size_t> index) {
  if (index && *index >= self.mutations.size()) throw nb::index_error("no such mutation");
  Open(self).Apply(index ? &self.mutations[*index] : nullptr);
}

}  // namespace

void BindVnpuMutation(nb::module_& module) {
  nb::class_<Mutation>(module, "Mutation", "One small fault of a kernel.")
      .def_prop_ro("kind", [](const Mutation& self) { return vnpu::MutationKindName(self.kind); })
      .def_prop_ro("is_sync", [](const Mutation& self) { return vnpu::IsSync(self.kind); })
      .def_ro("kernel", &Mutation::kernel)
      .def_ro("what", &Mutation::what)
      .def_ro("frames", &Mutation::frames)
      .def_prop_ro("places", [](const Mutation& self) {
        std::vector<uint64_t> places;
        for (const void* place : self.places) places.push_back(reinterpret_cast<uint64_t>(place));
        return places;
      });
  nb::class_<MutatorHandle>(module, "Mutator", "Changes kernels on a device until close().")
      .def("__init__", &Create, nb::keep_alive<1, 2>(), "device"_a)
      .def(
          "record",
          [](MutatorHandle& self, const std::string& prefix) { Open(self).Record(prefix); },
          "prefix"_a, "Notes the launches of kernels whose name begins so, until mutations().")
      .def(
          "mutations",
          [](MutatorHandle& self) {
            self.mutations = Open(self).Mutations();
            return self.mutations;
          },
          "Every mutation of what was recorded, in a fixed order.")
      .def("apply", &Apply, "index"_a.none(),
           "Launches run with this mutation from now on; None: unchanged.")
      .def_prop_ro("applied", [](MutatorHandle& self) { return Open(self).applied(); })
      .def("close", &Close);
}

}  // namespace ascend_attention::python
