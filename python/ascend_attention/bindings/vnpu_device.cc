// SPDX-License-Identifier: Apache-2.0
// Device, its memory, kernel libraries and launches. Addresses cross as integers.
//
// Next: tools/vnpu/core/device.h - what is bound here.
#include <dlfcn.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "python/ascend_attention/bindings/vnpu_bindings.h"
#include "tools/vnpu/core/soc.h"

namespace ascend_attention::python {
namespace {

namespace nb = nanobind;
using nb::literals::operator""_a;

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using WritableBytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

[[noreturn]] void Throw(PyObject* type, const std::string& text) {
  PyErr_SetString(type, text.c_str());
  throw nb::python_error();
}

void* Pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

vnpu::DeviceConfig ConfigOf(const std::string& soc) {
  vnpu::DeviceConfig config;
  if (!vnpu::ConfigureSoc(soc, &config)) {
    Throw(PyExc_ValueError, "soc = '" + soc + "'; allowed: " + vnpu::SocNames());
  }
  return config;
}

void CheckSoc(const std::string& soc) { ConfigOf(soc); }

void CreateDevice(DeviceHandle* self, const std::string& soc, uint32_t num_cores,
                  uint32_t host_threads, double timeout_seconds) {
  vnpu::DeviceConfig config = ConfigOf(soc);
  if (num_cores > 0) config.num_cores = num_cores;
  config.host_threads = host_threads;
  config.launch_timeout_seconds = timeout_seconds;
  new (self) DeviceHandle{std::make_unique<vnpu::Device>(config), nullptr};
  self->device = self->own.get();
}

// The device behind an ACL device id; the library is one that is loaded.
DeviceHandle AttachedDevice(const std::string& acl_library, int device) {
  void* library = dlopen(acl_library.c_str(), RTLD_NOLOAD | RTLD_LAZY);
  if (library == nullptr) Throw(PyExc_RuntimeError, acl_library + " is not loaded");
  // Declared in tools/vnpu/acl/vnpu_extensions.h.
  const auto find = reinterpret_cast<vnpu::Device* (*)(int32_t)>(dlsym(library, "vnpuAclDevice"));
  dlclose(library);
  if (find == nullptr) {
    Throw(PyExc_RuntimeError, "this needs the virtual NPU, but the ACL library in use is " +
                                  acl_library + "; set ASCEND_ATTENTION_ACL_LIBRARY=vnpu");
  }
  DeviceHandle handle;
  handle.device = find(device);
  if (handle.device == nullptr) {
    Throw(PyExc_RuntimeError, "the virtual NPU has no device " + std::to_string(device));
  }
  return handle;
}

void CheckRange(const DeviceHandle& self, uint64_t address, uint64_t bytes) {
  if (bytes > 0 && !self.device->Contains(Pointer(address), bytes)) {
    Throw(PyExc_ValueError, "the range of " + std::to_string(bytes) +
                                " bytes lies in no live allocation of the device");
  }
}

uint64_t Allocate(DeviceHandle& self, uint64_t bytes, uint64_t padding) {
  void* address = self.device->Allocate(bytes, padding);
  if (address == nullptr) {
    Throw(PyExc_MemoryError, "device memory: " + std::to_string(bytes) + " bytes asked for, " +
                                 std::to_string(self.device->free_bytes()) + " free");
  }
  return reinterpret_cast<uint64_t>(address);
}

// Undefined bytes show as NaN in each float type, and as large integers.
void Poison(DeviceHandle& self, uint64_t address, uint64_t bytes) {
  CheckRange(self, address, bytes);
  constexpr uint8_t kPoison[2] = {0xff, 0x7f};  // 0x7fff
  auto* to = static_cast<uint8_t*>(Pointer(address));
  for (uint64_t at = 0; at < bytes; ++at) to[at] = kPoison[at % 2];
}

void Free(DeviceHandle& self, uint64_t address) {
  if (!self.device->Free(Pointer(address))) Throw(PyExc_ValueError, "no allocation starts there");
}

void Upload(DeviceHandle& self, uint64_t address, const Bytes& from) {
  CheckRange(self, address, from.size());
  std::memcpy(Pointer(address), from.data(), from.size());
  self.device->SetDefined(Pointer(address), from.size(), true);
}

void Download(const DeviceHandle& self, uint64_t address, const WritableBytes& to) {
  CheckRange(self, address, to.size());
  std::memcpy(to.data(), Pointer(address), to.size());
}

vnpu::RegionRule RuleFromName(const std::string& name) {
  if (name == "read_write") return vnpu::RegionRule::kReadWrite;
  if (name == "read_only") return vnpu::RegionRule::kReadOnly;
  if (name == "output") return vnpu::RegionRule::kOutput;
  if (name == "no_access") return vnpu::RegionRule::kNoAccess;
  Throw(PyExc_ValueError,
        "rule = '" + name + "'; allowed: read_write, read_only, output, no_access");
}

void NameRegion(DeviceHandle& self, uint64_t address, uint64_t bytes, const std::string& name,
                const std::string& rule) {
  CheckRange(self, address, bytes);
  self.device->NameRegion(Pointer(address), bytes, name, RuleFromName(rule));
}

const char* FaultName(vnpu::FaultKind kind) {
  switch (kind) {
    case vnpu::FaultKind::kNone:
      return "";
    case vnpu::FaultKind::kException:
      return "exception";
    case vnpu::FaultKind::kTrap:
      return "trap";
    case vnpu::FaultKind::kDeadlock:
      return "deadlock";
  }
  return "exception";
}

// A library, and one of its entries.
struct KernelHandle {
  std::shared_ptr<vnpu::KernelModule> module;
  const vnpu::Kernel* kernel = nullptr;
};

void LoadKernel(KernelHandle* self, const std::string& path, const std::string& name) {
  std::string error;
  std::shared_ptr<vnpu::KernelModule> module = vnpu::KernelModule::LoadFile(path, &error);
  if (module == nullptr) Throw(PyExc_ValueError, error);
  const vnpu::Kernel* kernel = module->Find(name);
  if (kernel == nullptr) Throw(PyExc_ValueError, path + " has no kernel '" + name + "'");
  new (self) KernelHandle{std::move(module), kernel};
}

vnpu::LaunchResult Launch(DeviceHandle& self, const KernelHandle& kernel, uint32_t num_blocks,
                          const nb::bytes& arguments) {
  const void* data = arguments.data();
  const size_t size = arguments.size();
  const nb::gil_scoped_release released;
  return self.device->Launch(*kernel.kernel, num_blocks, data, size);
}

}  // namespace

void BindVnpuDevice(nb::module_& module) {
  nb::class_<KernelHandle>(module, "Kernel", "An entry of a kernel library.")
      .def("__init__", &LoadKernel, "path"_a, "name"_a);
  nb::class_<vnpu::LaunchResult>(module, "LaunchResult", "How a launch ended.")
      .def_prop_ro(
          "fault", [](const vnpu::LaunchResult& self) { return FaultName(self.fault); },
          "exception, trap or deadlock; empty if it ended well.")
      .def_ro("text", &vnpu::LaunchResult::text);
  nb::class_<DeviceHandle>(module, "Device", "A virtual NPU.")
      .def("__init__", &CreateDevice, nb::kw_only(), "soc"_a, "num_cores"_a = 0,
           "host_threads"_a = 0, "timeout_seconds"_a = 0.0, "Zeros: what is usual; no limit.")
      .def_prop_ro("soc", [](const DeviceHandle& self) { return self.device->config().soc_name; })
      .def_prop_ro("num_cores",
                   [](const DeviceHandle& self) { return self.device->config().num_cores; })
      .def("allocate", &Allocate, "bytes"_a, "padding"_a = 0,
           "Address of fresh, undefined memory; `padding` bytes behind it do not fault.")
      .def("poison", &Poison, "address"_a, "bytes"_a,
           "Fills memory with 0x7fff, a NaN; it stays as undefined as it was.")
      .def("free", &Free, "address"_a)
      .def("upload", &Upload, "address"_a, "source"_a, "Copies host bytes; they count as defined.")
      .def("download", &Download, "address"_a, "target"_a)
      .def("name_region", &NameRegion, "address"_a, "bytes"_a, "name"_a, "rule"_a,
           "Names memory in reports; rule: read_write, read_only, output, no_access.")
      .def(
          "set_sync_address",
          [](DeviceHandle& self, uint64_t address) {
            self.device->SetSyncAddress(Pointer(address));
          },
          "address"_a, "What kernels must give set_ffts_base_addr, if not 0.")
      .def("launch", &Launch, "kernel"_a, "num_blocks"_a, "arguments"_a,
           "Runs a kernel to the end; `arguments` is the C struct of its parameters.");
  module.def("check_soc", &CheckSoc, "soc"_a, "Raises ValueError unless there is such a chip.");
  module.def("attached_device", &AttachedDevice, "acl_library"_a, "device"_a,
             "The device of a loaded libascendcl.so of the virtual NPU.");
}

}  // namespace ascend_attention::python
