# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention mutate`: remove every flag, wait and barrier of a kernel, one at a time."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys

from ascend_attention import _runtime, _vnpu
from ascend_attention.cli.case_problem import UsageError
from ascend_attention.cli.mutation_problems import DECODE_CASES, PROBLEMS, CaseProblem
from ascend_attention.cli.observed import use_virtual_npu
from ascend_attention.vnpu.mutation import mutate

KERNELS = tuple(PROBLEMS)

_TIMEOUT_VARIABLE = "ASCEND_ATTENTION_VNPU_TIMEOUT_SECONDS"
_TIMEOUT_SECONDS = "60"


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    use_virtual_npu()
    os.environ.setdefault(_TIMEOUT_VARIABLE, _TIMEOUT_SECONDS)
    if args.case and args.kernel not in DECODE_CASES:
        raise UsageError(f"--case is of decode kernels: {', '.join(DECODE_CASES)}")
    cases = [CaseProblem(case) for case in args.case or ()]
    problems = cases or PROBLEMS[args.kernel]()
    runtime = _runtime.open_runtime(0)
    device = _vnpu.attached_device(runtime.acl_library, 0)
    report = mutate(
        device,
        f"{args.kernel}_",
        problems,
        data=not args.sync_only,
        drained_end=True,
        progress=_progress,
    )
    sync = report.summary(sync=True)
    data = report.summary(sync=False)
    print(report.to_text(verbose=args.verbose).rstrip())
    if args.json:
        result = {"kernel": args.kernel, "cases": [problem.name for problem in problems], **sync}
        if not args.sync_only:
            result["data"] = data
        if args.verbose:
            result["all"] = [dataclasses.asdict(mutant) for mutant in report.mutants]
        print(json.dumps(result, allow_nan=False))
    return 0 if sync["survived"] == 0 and sync["mutants"] > 0 else 1


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr)
