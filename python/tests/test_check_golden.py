# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention check` finds nothing in any golden case: no false alarm on correct kernels."""

import argparse
import json
import pathlib

import ascend_attention_reference as reference
import pytest
from ascend_attention.cli import check

CASES = [
    case
    for path in sorted(pathlib.Path("testdata/cases").glob("decode_*.txt"))
    for case in reference.read_cases(path.read_text())
]
GOLDENS = {path.parent.name for path in pathlib.Path("testdata/golden").glob("*/out.npy")}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_golden_case_is_clean(case, capsys):
    code = check.run(
        argparse.Namespace(case=case, kernel=None, json=True, strict_gm_visibility=False)
    )
    text = capsys.readouterr().out
    result = json.loads(text.splitlines()[-1])
    assert code == 0, text
    assert result["verdict"] == "clean"
    assert result["checks"] == ["race", "memory"]
    assert result["findings"] == []
    assert result["launches"] >= 1


def test_every_case_has_a_golden():
    assert {case.name for case in CASES} <= GOLDENS
