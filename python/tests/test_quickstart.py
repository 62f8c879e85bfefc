# SPDX-License-Identifier: Apache-2.0
"""The quickstart runs, and prints what the README promises."""

import re
import subprocess

import pytest


@pytest.fixture(scope="module")
def done() -> subprocess.CompletedProcess:
    return subprocess.run(
        ["python/quickstart"], capture_output=True, text=True, timeout=120, check=False
    )


def test_it_succeeds(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("rule", ["out", "out_rms", "lse"])
def test_error_is_shown_beside_its_tolerance(done, rule):
    found = re.search(rf"^{rule} +max error (\S+), tolerance (\S+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    assert 0 < float(found[1]) <= float(found[2])


@pytest.mark.parametrize(
    "line",
    [
        r"device +Ascend910B\S* \(virtual NPU\), \d+ cores",
        r" *work items +\d+ on \d+ of \d+ cores.*",
        r" *per core +(\d+ )+work items",
        r" *splits +\d+.*",
        r" *workspace +\d+ bytes",
        r" *partial_out +\d+.*",
        r"host time +\d+\.\d\d s.*",
    ],
)
def test_summary_has_the_line(done, line):
    assert re.search(rf"^{line}$", done.stdout, re.MULTILINE), done.stdout
