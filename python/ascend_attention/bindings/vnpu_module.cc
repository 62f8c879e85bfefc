// SPDX-License-Identifier: Apache-2.0
// The extension module ascend_attention._vnpu: the virtual NPU itself. It needs
// the process's one libvnpu.so, which _core and the kernels use too.
#include "python/ascend_attention/bindings/vnpu_bindings.h"

NB_MODULE(_vnpu, module) {
  module.doc() = "The virtual NPU; use ascend_attention.vnpu instead.";
  ascend_attention::python::BindVnpuTimeline(module);
  ascend_attention::python::BindVnpuDevice(module);
  ascend_attention::python::BindVnpuSession(module);
  ascend_attention::python::BindVnpuMutation(module);
}
