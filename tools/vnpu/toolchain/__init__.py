# SPDX-License-Identifier: Apache-2.0
"""Compiles raw CCE kernels for the virtual NPU; see driver.py."""

from .driver import CompiledKernel, Parameter, compile_kernel
from .host_programs import CompileError

__all__ = ["CompileError", "CompiledKernel", "Parameter", "compile_kernel"]
