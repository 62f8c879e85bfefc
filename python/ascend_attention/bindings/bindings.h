// SPDX-License-Identifier: Apache-2.0
// The parts of the extension module; each adds its classes and functions.
//
// Bindings hold no logic: they convert values, let the GIL go around work, and
// turn a Status into an exception (status_cast.h).
#ifndef ASCEND_ATTENTION_PYTHON_BINDINGS_H_
#define ASCEND_ATTENTION_PYTHON_BINDINGS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "tiling/status.h"

namespace ascend_attention::python {

// [batch] int32 in host memory.
using Lengths =
    nanobind::ndarray<const int32_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

// InvalidArgument unless there are as many numbers of query tokens as lengths.
inline Status CheckSameBatch(const Lengths& context_lens, const Lengths& q_lens) {
  if (q_lens.size() == context_lens.size()) return OkStatus();
  return InvalidArgument("q_lens has ", q_lens.size(), " numbers; expected ", context_lens.size(),
                         ", one per length of context_lens");
}

void BindPlan(nanobind::module_& module);     // shape, platform, planner, plan
void BindLayout(nanobind::module_& module);   // byte layout of a plan
void BindRuntime(nanobind::module_& module);  // device, stream, device memory
void BindDecode(nanobind::module_& module);   // the operator
void BindMerge(nanobind::module_& module);    // the merge of partial results
void BindCache(nanobind::module_& module);    // the cache writer

}  // namespace ascend_attention::python

#endif  // ASCEND_ATTENTION_PYTHON_BINDINGS_H_
