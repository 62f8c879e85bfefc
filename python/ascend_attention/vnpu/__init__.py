# SPDX-License-Identifier: Apache-2.0
"""The virtual NPU from Python: run a kernel, get a verdict and a modelled timeline."""
