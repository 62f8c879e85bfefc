# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention time`: the modelled time of one case. Nothing here is measured."""

from __future__ import annotations

import argparse
import json

from ascend_attention.cli.case_problem import say_failed
from ascend_attention.cli.observed import Observed, observe, use_virtual_npu


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    use_virtual_npu(args.soc)
    seen = observe(args.case, checks="none", timing=True, warm_l2=args.l2 == "warm")
    result: dict[str, object] = {"ok": False, "case": str(args.case), "l2": args.l2}
    error = seen.error or _untimed(seen)
    if error is not None:
        result["error"] = error
        say_failed(error)
    else:
        print(f"case         {args.case}")
        print(f"L2           {_L2[args.l2]}")
        result |= {"ok": True, **seen.report.summary(kv_bytes=seen.kv_bytes)}
        print(seen.report.to_text(kv_bytes=seen.kv_bytes).rstrip())
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0 if result["ok"] else 2 if seen.is_refused else 1


_L2 = {
    "cold": "cold: nothing in it before the first kernel",
    "warm": "warm: the case has run once before",
}


def _untimed(seen: Observed) -> str | None:
    """Why there is no time, if there is none."""
    for launch in seen.report.launches:
        if launch.timeline is None:
            reason = launch.fault or launch.timing_error
            return f"launch of {launch.kernel} has no timeline: {reason}"
    return None if seen.report.launches else "no kernel was launched"
