# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention check`: decode one case under all checkers of the virtual NPU."""

from __future__ import annotations

import argparse
import json

from ascend_attention.cli.case_problem import repro_line, say_failed
from ascend_attention.cli.observed import observe, use_virtual_npu


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    use_virtual_npu()
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
