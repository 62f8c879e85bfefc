# SPDX-License-Identifier: Apache-2.0
"""Every golden case through the Python package: out, lse, and nothing left unwritten."""

import pathlib

import ascend_attention_reference as reference
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray
from ascend_attention.cli.case_problem import repro_line, run_arguments, shape_arguments

TESTDATA = pathlib.Path("testdata")
CASES = reference.read_cases((TESTDATA / "cases" / "decode_ci.txt").read_text())
NAN_BYTE = 0xFF  # 0xff.. is a NaN in float16, bfloat16 and float32


def golden(case: reference.DecodeCase) -> reference.Expected:
    folder = TESTDATA / "golden" / case.name
    out, lse, bounds = (np.load(folder / f"{name}.npy") for name in ("out", "lse", "bounds"))
    return reference.Expected(
        out.astype(np.float64),
        lse.astype(np.float64),
        reference.Tolerance(*np.moveaxis(bounds.astype(np.float64), -1, 0)),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_golden(case):
    inputs = reference.make_inputs(case)
    op = DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)),
        softmax_scale=inputs.softmax_scale,
        num_cores=case.num_cores,
    )
    # Whatever a kernel does not write or reads too early shows up as NaN.
    for buffer in (op._workspace, op._lse):
        buffer.fill(NAN_BYTE)
    out = DeviceArray(np.full_like(inputs.query, np.nan))
    plan = op.plan(inputs.context_lens, inputs.q_lens)
    assert case.num_cores in (None, plan.num_cores)
    _, lse = op.run(**run_arguments(inputs), out=out, return_lse=True)
    report = reference.check(out.numpy(), lse, golden(case))
    assert report.ok, f"{report}\nreproduce: {repro_line('run', case)}"


def test_goldens_cover_both_dtypes_and_head_dims():
    assert len(CASES) >= 30
    kinds = {(case.dtype, case.head_dim) for case in CASES}
    assert kinds == {("f16", 64), ("f16", 128), ("bf16", 64), ("bf16", 128)}
