# SPDX-License-Identifier: Apache-2.0
"""Every golden case through the Python package: out, lse, and nothing left unwritten."""

import pathlib

import ascend_attention_reference as reference
import numpy as np
import pytest
from ascend_attention import DecodeAttention, DeviceArray
from ascend_attention.cli import support
from ascend_attention.cli.case_problem import repro_line, run_arguments, shape_arguments

TESTDATA = pathlib.Path("testdata")
CASES = [
    case
    for path in sorted(TESTDATA.glob("cases/decode_*.txt"))
    for case in reference.read_cases(path.read_text())
]
GOLDENS = list(TESTDATA.glob("golden/*/out.npy"))
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
    out = DeviceArray(np.full(inputs.query.shape, np.nan, case.out_dtype))
    plan = op.plan(inputs.context_lens, inputs.q_lens)
    assert case.num_cores in (None, plan.num_cores)
    _, lse = op.run(**run_arguments(inputs), out=out, return_lse=True)
    report = reference.check(out.numpy(), lse, golden(case))
    assert report.ok, f"{report}\nreproduce: {repro_line('run', case)}"


def test_every_golden_is_among_them():
    assert {case.name for case in CASES} == {path.parent.name for path in GOLDENS}


def test_goldens_cover_what_the_kernels_can_do():
    """Every dtype, head_dim, scheme and route of the support table, every layout, query tokens."""
    covered = {(case.dtype, case.head_dim, case.kv_quant, case.route) for case in CASES}
    for row in support.rows():
        if row["op"] != "decode":
            continue
        for quant in row["kv_quants"]:
            route = "auto" if row["kv_route"] == "direct" else row["kv_route"]
            kinds = {(d, h) for d, h, q, r in covered if (q, r) == (quant, route)}
            assert {dtype for dtype, _ in kinds} == {"f16", "bf16"}
            if quant == "none":
                dims = {head["head_dim"] for head in row["heads"]}
                assert kinds == {(dtype, dim) for dtype in ("f16", "bf16") for dim in dims}
        if row["max_q_len"] > 1:
            q_lens = {q for case in CASES for q in case.q_lens}
            assert q_lens == set(range(1, row["max_q_len"] + 1))
    assert {(case.headmajor, case.interleaved) for case in CASES} == {
        (head_major, interleaved) for head_major in (True, False) for interleaved in (True, False)
    }
