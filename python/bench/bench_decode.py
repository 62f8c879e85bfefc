# SPDX-License-Identifier: Apache-2.0
"""Modelled times of decode beside what others published. None of ours is measured.

    ./bazelw run //python/bench:bench_decode -- --suite peers --json ~/peers.json
    ./bazelw run //python/bench:bench_decode -- --filter h64:kv8
    ./bazelw run //python/bench:bench_decode -- --update        # after a change that moves figures
    ./bazelw run //python/bench:bench_decode -- --markdown      # the README's table

Exit code 1 if a target is missed, or with --compare if a row is more than 1 % slower. What targets
and ratios mean stands in README.md of this folder.

Next: decode_suites.py - the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import sys

import decode_table as table
from decode_figures import model
from decode_suites import SUITES, rows

_HERE = pathlib.Path(__file__).resolve().parent
_BASELINE = "baseline.json"


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=SUITES, default="peers")
    parser.add_argument("--filter", metavar="REGEX", help="only rows whose case or label match")
    parser.add_argument("--json", metavar="FILE", type=_user_path, help="also write the figures")
    parser.add_argument(
        "--compare", metavar="BASELINE", type=_user_path, help="fail on rows more than 1 % slower"
    )
    parser.add_argument(
        "--update", action="store_true", help="model all suites and rewrite the committed baseline"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the README's table from the baseline"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    args = parser.parse_args()
    if args.markdown:
        print(readme_table(_committed_baseline().read_text()), end="")
        return 0
    return _update(args) if args.update else _bench(args)


def readme_table(baseline: str) -> str:
    """Returns the table between the README's markers."""
    wanted = [row for row in rows("all") if row.in_readme]
    return table.markdown_table(table.from_baseline(wanted, table.read_baseline(baseline)))


def _bench(args: argparse.Namespace) -> int:
    wanted = rows(args.suite)
    if args.filter:
        wanted = [row for row in wanted if re.search(args.filter, f"{row.key} {row.label}")]
    if not wanted:
        print(f"--filter {args.filter!r}: no row of suite {args.suite} matches", file=sys.stderr)
        return 2
    results = model(wanted, jobs=args.jobs)
    print(table.text_table(results))
    problems = table.missed_targets(results)
    print(f"\n{len(results)} rows, {len(problems)} targets missed")
    if args.compare:
        slower = table.compare(results, table.read_baseline(args.compare.read_text()))
        print("\n".join([f"{len(slower)} rows worse than {args.compare.name}", *slower]))
        problems += slower
    if args.json:
        args.json.write_text(json.dumps(table.to_json(results), indent=1, allow_nan=False) + "\n")
        print(f"written: {args.json}")
    return 1 if problems else 0


def _update(args: argparse.Namespace) -> int:
    results = model(rows("all"), jobs=args.jobs)
    figures = {r.row.key: r.figures for r in results if r.figures is not None}
    figures |= {r.row.other: r.other for r in results if r.other is not None}
    _committed_baseline().write_text(table.baseline_text(figures))
    print(f"written: {_committed_baseline()}")
    for line in [f"{r.row.key}: no figures: {r.error}" for r in results if r.figures is None]:
        print(line)
    print("\n".join(table.missed_targets(results)))
    return 0


def _committed_baseline() -> pathlib.Path:
    """In the tree, wherever Bazel runs this; beside this file otherwise."""
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    folder = pathlib.Path(workspace, "python", "bench") if workspace else _HERE
    return folder / _BASELINE


def _user_path(text: str) -> pathlib.Path:
    """Paths are relative to where the user stands, not to Bazel's folder."""
    return pathlib.Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""), text).expanduser()


if __name__ == "__main__":
    sys.exit(main())
