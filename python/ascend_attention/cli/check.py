# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention check`: one case, or all problems of a kernel, under all checkers."""

from __future__ import annotations

import argparse
import json
import shlex

from ascend_attention import vnpu
from ascend_attention.cli.case_problem import LIBRARY_ERRORS, repro_line, say_failed
from ascend_attention.cli.mutation_problems import PROBLEMS
from ascend_attention.cli.observed import observe, use_virtual_npu
from ascend_attention.vnpu.mutation import Problem


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    use_virtual_npu()
    return _check_case(args) if args.kernel is None else _check_kernel(args)


def _check_kernel(args: argparse.Namespace) -> int:
    """Runs every problem that the kernel is mutated on, and judges its result too."""
    bad = []
    problems = PROBLEMS[args.kernel]()
    for problem in problems:
        verdict, text = _check_problem(problem, args.strict_gm_visibility)
        print(f"{verdict:12} {problem.name}")
        if verdict != "clean":
            bad.append(problem.name)
            print(text)
    option = ["--strict_gm_visibility"] if args.strict_gm_visibility else []
    if bad:
        line = shlex.join(["ascend-attention", "check", "--kernel", args.kernel, *option])
        print(f"reproduce: {line}")
    if args.json:
        result = {
            "verdict": "bad" if bad else "clean",
            "kernel": args.kernel,
            "strict_gm_visibility": args.strict_gm_visibility,
            "problems": len(problems),
            "bad": bad,
        }
        print(json.dumps(result, allow_nan=False))
    return 1 if bad else 0


def _check_problem(problem: Problem, strict_gm_visibility: bool) -> tuple[str, str]:
    """Returns a verdict of one word, and what there is to say if it is not "clean"."""
    error, is_right = "", False
    with vnpu.session(
        checks="all", timing=False, strict_gm_visibility=strict_gm_visibility
    ) as session:
        try:
            is_right = problem.accepts(problem.run())
        except LIBRARY_ERRORS as raised:
            error = f"{type(raised).__name__}: {raised}"
    verdict = session.report.to_dict()["verdict"]
    if verdict != "clean":
        return verdict, session.report.to_text().rstrip()
    if error or not session.report.launches:
        return "error", error or "nothing was launched"
    return ("clean", "") if is_right else ("wrong", "the result is not that of the reference")


def _check_case(args: argparse.Namespace) -> int:
    seen = observe(
        args.case,
        checks="all",
        timing=False,
        strict_gm_visibility=args.strict_gm_visibility,
    )
    report = seen.report.to_dict()
    launches = report["launches"]
    result = {
        # An operator that refuses a case has launched nothing: that is no clean bill.
        "verdict": "error" if seen.error and report["verdict"] == "clean" else report["verdict"],
        "case": str(args.case),
        "checks": report["checks"],
        "strict_gm_visibility": args.strict_gm_visibility,
        "launches": len(launches),
        "findings": [finding for launch in launches for finding in launch["findings"]],
        "faults": [launch["fault"] for launch in launches if launch["fault"] is not None],
        "error": seen.error,
    }
    clean = result["verdict"] == "clean"
    option = ["--strict_gm_visibility"] if args.strict_gm_visibility else []
    reproduce = f"reproduce: {repro_line('check', args.case, *option)}"
    if result["verdict"] == "error":
        say_failed(f"{seen.error}\n{reproduce}")
    else:
        print(f"case         {args.case}")
        print(seen.report.to_text().rstrip())
        if not clean:
            print(reproduce)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0 if clean else 2 if seen.is_refused else 1
