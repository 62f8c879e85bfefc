# SPDX-License-Identifier: Apache-2.0
"""The counts that continuous integration prints are those of the JUnit files, and none is lost."""

import json
import pathlib

import pytest

from tools.testing import case_counts

_GTEST = """<testsuites tests="4"><testsuite name="A">
  <testcase name="ok" status="run" result="completed"/>
  <testcase name="bad" status="run" result="completed"><failure message="x"/></testcase>
  <testcase name="skip" status="run" result="skipped"><skipped message=""/></testcase>
  <testcase name="DISABLED_off" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""
_PYTEST = """<testsuites><testsuite name="pytest">
  <testcase name="one"/><testcase name="two"/>
  <testcase name="broken"><error message="fixture"/></testcase>
</testsuite></testsuites>"""
_NO_CASES = "<testsuites><testsuite name='pytest'/></testsuites>"


def _configured(label: str) -> dict:
    return {"id": {"targetConfigured": {"label": label}}, "configured": {"testSize": "SMALL"}}


def _result(label: str, path: pathlib.Path, status: str, shard: int = 1) -> dict:
    return {
        "id": {"testResult": {"label": label, "run": 1, "shard": shard, "attempt": 1}},
        "testResult": {
            "status": status,
            "testActionOutput": [{"name": "test.xml", "uri": path.as_uri()}],
        },
    }


def _write(tmp_path: pathlib.Path, name: str, text: str) -> pathlib.Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_skipped_and_disabled_cases_are_not_passed(tmp_path):
    counts = case_counts.count_file(str(_write(tmp_path, "t.xml", _GTEST)))
    assert counts == {"passed": 1, "failed": 1, "skipped": 2}


def test_counts_add_up_over_targets_and_shards(tmp_path):
    first = _write(tmp_path, "a b.xml", _GTEST)  # the space is %20 in the event
    second = _write(tmp_path, "c.xml", _PYTEST)
    events = [_configured("//x:x"), _result("//x:x", first, "FAILED")]
    events += [_configured("//y:y")]
    events += [_result("//y:y", second, "FAILED", shard) for shard in (1, 2)]
    total, missing = case_counts.count(events)
    assert (total["passed"], total["failed"], missing) == (5, 3, [])


def test_target_that_did_not_build_is_one_failure():
    total, missing = case_counts.count([_configured("//x:broken")])
    assert (total["failed"], missing) == (1, ["//x:broken"])


def test_failed_target_without_failed_case_is_one_failure(tmp_path):
    path = _write(tmp_path, "t.xml", _NO_CASES)
    total, _ = case_counts.count([_result("//x:empty", path, "FAILED")])
    assert (total["passed"], total["failed"]) == (0, 1)


def test_later_attempt_replaces_the_earlier_one(tmp_path):
    bad = _write(tmp_path, "bad.xml", _GTEST)
    good = _write(tmp_path, "good.xml", "<testsuites><testcase name='ok'/></testsuites>")
    events = [_result("//x:x", bad, "FAILED"), _result("//x:x", good, "PASSED")]
    total, _ = case_counts.count(events)
    assert (total["passed"], total["failed"]) == (1, 0)


@pytest.mark.parametrize(
    ("text", "status", "last_line", "code"),
    [
        ("<testsuites><testcase name='ok'/></testsuites>", "PASSED", "1 passed, 0 failed", 0),
        (_GTEST, "FAILED", "1 passed, 1 failed", 1),
        (_NO_CASES, "PASSED", "0 passed, 0 failed", 1),
    ],
)
def test_last_line_and_exit_code(tmp_path, capsys, text, status, last_line, code):
    event = _result("//x:x", _write(tmp_path, "t.xml", text), status)
    events = _write(tmp_path, "events", json.dumps(event))
    assert case_counts.main([str(events)]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last_line
