# SPDX-License-Identifier: Apache-2.0
"""pytest_main runs what it is given and reports it to Bazel; nothing found is a failure."""

import os
import subprocess
import sys
import xml.etree.ElementTree

import pytest

_CASES = "def test_good(): pass\ndef test_bad(): assert False\n"


def _run(tmp_path, text, **env):
    path = tmp_path / "test_inner.py"
    path.write_text(text, encoding="utf-8")
    environ = {key: value for key, value in os.environ.items() if key != "TESTBRIDGE_TEST_ONLY"}
    environ["XML_OUTPUT_FILE"] = str(tmp_path / "out.xml")
    return subprocess.run(
        [sys.executable, "tools/testing/pytest_main.py", str(path)],
        env={**environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("text", ["", "def helper(): pass\n"])
def test_file_without_tests_fails(tmp_path, text):
    assert _run(tmp_path, text).returncode != 0


def test_failing_case_fails_and_both_are_in_the_junit_file(tmp_path):
    assert _run(tmp_path, _CASES).returncode != 0
    cases = xml.etree.ElementTree.parse(tmp_path / "out.xml").iter("testcase")
    assert [(case.get("name"), len(case)) for case in cases] == [("test_good", 0), ("test_bad", 1)]


def test_filter_of_bazel_selects_cases(tmp_path):
    assert _run(tmp_path, _CASES, TESTBRIDGE_TEST_ONLY="test_good").returncode == 0


def test_filter_that_matches_nothing_fails(tmp_path):
    assert _run(tmp_path, _CASES, TESTBRIDGE_TEST_ONLY="no_such_case").returncode != 0
