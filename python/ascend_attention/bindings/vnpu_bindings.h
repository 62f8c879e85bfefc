// SPDX-License-Identifier: Apache-2.0
// The parts of the extension module ascend_attention._vnpu.
//
// Next: python/ascend_attention/bindings/vnpu_device.cc - memory and launches.
#ifndef ASCEND_ATTENTION_PYTHON_VNPU_BINDINGS_H_
#define ASCEND_ATTENTION_PYTHON_VNPU_BINDINGS_H_

#include <nanobind/nanobind.h>

#include <memory>

#include "tools/vnpu/core/device.h"

namespace ascend_attention::python {

// A device of our own, or one that belongs to the loaded ACL library and lives
// until the process ends.
struct DeviceHandle {
  std::unique_ptr<vnpu::Device> own;
  vnpu::Device* device = nullptr;
};

void BindVnpuDevice(nanobind::module_& module);    // device, kernel library
void BindVnpuSession(nanobind::module_& module);   // checkers, clock, findings
void BindVnpuMutation(nanobind::module_& module);  // small faults in kernels
void BindVnpuTimeline(nanobind::module_& module);  // a modelled course as bytes

}  // namespace ascend_attention::python

#endif  // ASCEND_ATTENTION_PYTHON_VNPU_BINDINGS_H_
