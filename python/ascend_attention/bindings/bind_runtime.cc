// SPDX-License-Identifier: Apache-2.0
// Device, stream and device memory.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <memory>
#include <string>

#include "host_cc/include/ascend_attention/decode.h"
#include "host_cc/include/ascend_attention/device_buffer.h"
#include "host_cc/include/ascend_attention/stream.h"
#include "python/ascend_attention/bindings/bindings.h"
#include "python/ascend_attention/bindings/status_cast.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

// Bytes in host memory, to read and to write.
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using WritableBytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

uintptr_t Address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

std::shared_ptr<Runtime> OpenRuntime(int device, const std::string& acl_library,
                                     const std::string& kernel_dir) {
  RuntimeOptions options;
  options.device = device;
  options.acl_library = acl_library;
  options.kernel_dir = kernel_dir;
  return ValueOrThrow(WithoutGil([&] { return Runtime::Open(options); }));
}

void Synchronize(Runtime& self, uintptr_t stream) {
  ThrowIfError(WithoutGil([&] { return self.Synchronize(reinterpret_cast<void*>(stream)); }));
}

void BindDevice(nb::module_& module) {
  nb::class_<Runtime>(module, "Runtime", "One device: its ACL library and kernels.")
      .def_prop_ro("platform", &Runtime::platform, nb::rv_policy::reference_internal)
      .def_prop_ro("is_virtual", &Runtime::is_virtual)
      .def_prop_ro("description", &Runtime::description)
      .def_prop_ro("acl_library", &Runtime::acl_library)
      .def_prop_ro("acl_version", &Runtime::acl_version)
      .def("synchronize", &Synchronize, "stream"_a, "Waits for the stream; a device error raises.");
  module.def("open_runtime", &OpenRuntime, "device"_a, nb::kw_only(), "acl_library"_a = "",
             "kernel_dir"_a = "", "Opens a device; empty names: the usual search.");
}

void BindStream(nb::module_& module) {
  nb::class_<Stream>(module, "Stream", "A queue of work on a device.")
      .def(
          "__init__",
          [](Stream* self, const std::shared_ptr<Runtime>& runtime) {
            new (self) Stream(ValueOrThrow(Stream::Create(runtime)));
          },
          "runtime"_a)
      .def_prop_ro("handle", [](const Stream& self) { return Address(self.handle()); });
}

void BindBuffer(nb::module_& module) {
  nb::class_<DeviceBuffer>(module, "DeviceBuffer", "Device memory, freed with the object.")
      .def(
          "__init__",
          [](DeviceBuffer* self, const std::shared_ptr<Runtime>& runtime, size_t size) {
            new (self) DeviceBuffer(
                ValueOrThrow(WithoutGil([&] { return DeviceBuffer::Allocate(runtime, size); })));
          },
          "runtime"_a, "size"_a)
      .def_prop_ro("address", [](const DeviceBuffer& self) { return Address(self.data()); })
      .def_prop_ro("size", &DeviceBuffer::size)
      .def(
          "upload",
          [](DeviceBuffer& self, const Bytes& from, size_t offset) {
            ThrowIfError(WithoutGil([&] { return self.Upload(from.data(), from.size(), offset); }));
          },
          "source"_a, "offset"_a = 0, "Copies host bytes to a byte offset of the buffer.")
      .def(
          "download",
          [](const DeviceBuffer& self, const WritableBytes& to, size_t offset) {
            ThrowIfError(WithoutGil([&] { return self.Download(to.data(), to.size(), offset); }));
          },
          "target"_a, "offset"_a = 0, "Copies bytes from a byte offset of the buffer to the host.")
      .def(
          "fill", [](DeviceBuffer& self, uint8_t value) { ThrowIfError(self.Fill(value)); },
          "value"_a, "Sets every byte.");
}

}  // namespace

void BindRuntime(nb::module_& module) {
  BindDevice(module);
  BindStream(module);
  BindBuffer(module);
}

}  // namespace ascend_attention::python
