// SPDX-License-Identifier: Apache-2.0
// The extension module ascend_attention._core.
//
// Next: python/ascend_attention/bindings/bind_decode.cc - plan and run.
#include "python/ascend_attention/bindings/bindings.h"

NB_MODULE(_core, module) {
  module.doc() = "C++ library of ascend_attention; use the functions of the package instead.";
  ascend_attention::python::BindPlan(module);
  ascend_attention::python::BindLayout(module);
  ascend_attention::python::BindRuntime(module);
  ascend_attention::python::BindDecode(module);
  ascend_attention::python::BindMerge(module);
  ascend_attention::python::BindCache(module);
}
