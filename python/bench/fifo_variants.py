# SPDX-License-Identifier: Apache-2.0
"""Launches the older forms of the decode_fifo kernel, which no package holds and the library cannot
choose: by their files in the tree, with the plan that the library makes for the form that ships.

Next: ascend_kernels/decode_fifo/fifo_variants.h - what the forms are.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping

import numpy as np
from ascend_attention import DeviceArray, _runtime, _vnpu, vnpu
from ascend_attention.planning import DecodePlan
from ascend_attention.vnpu import _records

VARIANTS = ("baseline", "prefetch")

# Bazel puts them and the package below one folder.
_KERNELS = _runtime.PACKAGE.parents[1] / "ascend_kernels" / "decode_fifo"

# In the order of the kernels' arguments; behind them a null lse, the workspace and no flag.
_TENSORS = ("query", "key_cache", "value_cache", "block_table", "out")
_ANY_SYNC_ADDRESS = 0x1000  # the machine keeps the signals itself


def report(
    variant: str, plan: DecodePlan, tensors: Mapping[str, DeviceArray], *, soc: str, runs: int
) -> vnpu.Report:
    """Runs a bfloat16 plan of route fifo with another form, on a new device, under the clock.

    Nothing is in memory but plan and block table: shapes alone decide about modelled times.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant = {variant!r}; allowed: {list(VARIANTS)}")
    entry = f"decode_fifo_{variant}_bf16"
    kernel = _vnpu.Kernel(str(_KERNELS / f"{entry}.so"), f"{entry}_0")
    device = _vnpu.Device(soc=soc, num_cores=plan.num_cores)
    addresses = {name: device.allocate(tensors[name].nbytes) for name in _TENSORS}
    table = tensors["block_table"].numpy()
    device.upload(addresses["block_table"], table.reshape(-1).view(np.uint8))
    workspace = device.allocate(plan.workspace_bytes)
    device.upload(workspace, np.frombuffer(plan.to_bytes(), np.uint8))
    arguments = struct.pack("<9Q", _ANY_SYNC_ADDRESS, *addresses.values(), 0, workspace, 0)
    blocks = min(plan.num_cores, len(plan.context_lens) * _tiles_of_a_sequence(tensors, plan))
    session = _records.open_session(device, (), timing=True, strict_gm_visibility=False)
    with contextlib.closing(session):
        for _ in range(runs):
            result = device.launch(kernel, blocks, arguments)
            if result.fault:
                raise RuntimeError(result.text)
        return _records.report(session.launches(), ())


def _tiles_of_a_sequence(tensors: Mapping[str, DeviceArray], plan: DecodePlan) -> int:
    """Of token-major caches."""
    return tensors["key_cache"].shape[2] * plan.kv_head_parts
