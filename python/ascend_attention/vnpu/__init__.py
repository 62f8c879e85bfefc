# SPDX-License-Identifier: Apache-2.0
"""Tools of the virtual NPU: run any raw CCE kernel under checkers and clock.

    compile(...), Kernel.launch(...)   a kernel of your own, on numpy arrays
    session(...)                       the operators of this package
    activate(...)                      the NPU of this process, before `import torch`
    cann_home()                        whether there is a CANN: no need to activate
    enable_aten()                      operators of PyTorch on its tensors, by the CPU

Next: python/ascend_attention/vnpu/kernel.py - START HERE.
"""

from ascend_attention.vnpu._activate import activate, cann_home, enable_aten, fail_launch
from ascend_attention.vnpu._arguments import Parameter, input, output, sync_address, workspace
from ascend_attention.vnpu._session import Session, session
from ascend_attention.vnpu._toolchain import CompileError
from ascend_attention.vnpu.findings import Finding, Launch, Report
from ascend_attention.vnpu.kernel import Kernel, Result, compile
from ascend_attention.vnpu.mutation import Mutant, MutationReport
from ascend_attention.vnpu.timeline import Timeline

__all__ = [
    "CompileError",
    "Finding",
    "Kernel",
    "Launch",
    "Mutant",
    "MutationReport",
    "Parameter",
    "Report",
    "Result",
    "Session",
    "Timeline",
    "activate",
    "cann_home",
    "compile",
    "enable_aten",
    "fail_launch",
    "input",
    "output",
    "session",
    "sync_address",
    "workspace",
]
