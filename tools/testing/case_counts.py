# SPDX-License-Identifier: Apache-2.0
"""Counts the single cases of one `bazel test` run from its JUnit files.

Usage: python case_counts.py EVENTS, a file written by --build_event_json_file. The last line of the
output is "N passed, N failed". The exit code is 1 if a case failed or none passed.

A skipped case is neither passed nor failed. A test target without results (it did not build, or was
not run) counts as one failure.
"""

import collections
import json
import sys
import urllib.parse
import xml.etree.ElementTree
from collections.abc import Iterable


def count_file(path: str) -> collections.Counter:
    """Returns how many cases of one JUnit file passed, failed or were skipped."""
    counts: collections.Counter = collections.Counter()
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            counts["skipped"] += 1
        else:
            counts["passed"] += 1
    return counts


def results(events: Iterable[dict]) -> dict[str, dict[str, dict]]:
    """Returns {test label: {run and shard: its testResult}}; the last attempt of a run wins."""
    found: dict[str, dict[str, dict]] = {}
    for event in events:
        identity = event.get("id", {})
        if event.get("configured", {}).get("testSize"):
            found.setdefault(identity["targetConfigured"]["label"], {})
        elif "testResult" in identity:
            test = identity["testResult"]
            shard = f"{test.get('run')}.{test.get('shard')}"
            found.setdefault(test["label"], {})[shard] = event["testResult"]
    return found


def count_result(result: dict) -> collections.Counter:
    """Returns the counts of one testResult; one that failed has at least one failed case."""
    counts: collections.Counter = collections.Counter()
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.xml":
            counts = count_file(urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path))
    if result.get("status") != "PASSED" and not counts["failed"]:
        counts["failed"] = 1
    return counts


def count(events: Iterable[dict]) -> tuple[collections.Counter, list[str]]:
    """Returns the counts over all tests, and the labels of tests without results."""
    total: collections.Counter = collections.Counter()
    missing = []
    for label, shards in sorted(results(events).items()):
        if not shards:
            missing.append(label)
        for result in shards.values():
            total += count_result(result)
    total["failed"] += len(missing)
    return total, missing


def main(argv: list[str]) -> int:
    with open(argv[0], encoding="utf-8") as lines:
        total, missing = count(json.loads(line) for line in lines)
    for label in missing:
        print(f"no results: {label}")
    if total["skipped"]:
        print(f"{total['skipped']} skipped")
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
