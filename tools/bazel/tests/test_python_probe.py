# SPDX-License-Identifier: Apache-2.0
"""The probe reads the lock as pip does, and names what differs."""

import importlib.metadata
import pathlib
import sys

import pytest

from tools.bazel import python_probe

_LOCK = pathlib.Path("requirements.lock")


def test_lock_of_this_tree_matches_this_interpreter():
    env = python_probe.describe(str(_LOCK), [])
    assert env["version"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert env["versions"]["pytest"] == importlib.metadata.version("pytest")
    assert (pathlib.Path(env["include"]) / "Python.h").exists()


@pytest.mark.parametrize(
    ("version", "numpy"), [((3, 10), "2.2.6"), ((3, 11), "2.4.6"), ((3, 13), "2.4.6")]
)
def test_markers_pick_the_line_for_the_version(monkeypatch, version, numpy):
    monkeypatch.setattr(python_probe.sys, "version_info", version)
    versions = python_probe.locked_versions(_LOCK.read_text(encoding="utf-8"))
    assert versions["numpy"] == numpy
    assert ("tomli" in versions) == (version < (3, 11))


def test_line_that_pins_nothing_is_refused():
    with pytest.raises(ValueError, match="numpy>=2"):
        python_probe.locked_versions("# comment\n\nnumpy>=2\n")


def test_wrong_and_missing_packages_are_named(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("pytest==0.1\nno-such-package==1.0\n", encoding="utf-8")
    error = python_probe.describe(str(lock), [])["error"]
    installed = importlib.metadata.version("pytest")
    assert error == (f"no-such-package is missing (lock: 1.0); pytest is {installed} (lock: 0.1)")
    assert "pytest" not in python_probe.describe(str(lock), ["no-such-package"])["error"]


def test_check_prints_only_what_is_wrong(tmp_path, capsys):
    assert python_probe.main(["--check", str(_LOCK)]) == 0
    assert capsys.readouterr().out == ""
    lock = tmp_path / "lock"
    lock.write_text("".join(f"no-such-{i}==1\n" for i in range(9)), encoding="utf-8")
    assert python_probe.main(["--check", str(lock)]) == 1
    assert capsys.readouterr().out.endswith("; 6 more\n")
