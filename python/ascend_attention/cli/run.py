# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention run`: decode one case and compare it with the float64 reference."""

from __future__ import annotations

import argparse
import json
import math
import time

import ascend_attention_reference as reference
from absl import logging

from ascend_attention.cli.case_problem import (
    LIBRARY_ERRORS,
    REFUSALS,
    Decoded,
    UsageError,
    decode,
    repro_line,
    say_failed,
)
from ascend_attention.cli.refuse_case import refuse_case


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    started = time.perf_counter()
    result: dict[str, object] = {"ok": False, "case": str(args.case)}
    reproduce = f"reproduce: {repro_line('run', args.case, f'--repeat={args.repeat}')}"
    is_refused = False
    try:
        refuse_case(args.case)
        inputs = reference.make_inputs(args.case)
        decoded = decode(args.case, inputs, device=args.device, repeat=args.repeat)
        report = reference.check(decoded.out, decoded.lse, inputs)
    except UsageError as error:
        result["error"], is_refused = str(error), True
    except LIBRARY_ERRORS as error:
        logging.debug("traceback", exc_info=True)
        result["error"] = f"{type(error).__name__}: {error}"
        # The case can be planned, so that an index outside is a finding of the device.
        is_refused = isinstance(error, REFUSALS) and not isinstance(error, IndexError)
    else:
        total_seconds = time.perf_counter() - started
        result |= _fields(decoded, report, total_seconds)
        print(_text(args.case, decoded, report, total_seconds))
    if "error" in result:
        say_failed(f"{result['error']}\n{reproduce}")
    elif not result["ok"]:
        print(reproduce)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0 if result["ok"] else 2 if is_refused else 1


def _fields(
    decoded: Decoded, report: reference.CheckReport, total_seconds: float
) -> dict[str, object]:
    lse = next(worst for worst in report.rules if worst.rule == "lse")
    return {
        "ok": report.ok and decoded.repeatable,
        "max_error": _number(report.max_error),
        "tolerance": report.tolerance,
        "rule": report.worst.rule,
        "lse_max_error": _number(lse.error),
        "lse_tolerance": lse.bound,
        "repeatable": decoded.repeatable,
        "host_seconds": decoded.seconds,
        "total_seconds": total_seconds,
        "device": decoded.device,
    }


def _number(value: float) -> float | None:
    """JSON has no infinity: null stands for a result that is NaN or infinite."""
    return value if math.isfinite(value) else None


def _text(
    case: reference.DecodeCase,
    decoded: Decoded,
    report: reference.CheckReport,
    total_seconds: float,
) -> str:
    lines = [
        f"case         {case}",
        f"device       {decoded.device}",
        decoded.plan.summary().rstrip(),
        *(
            f"{worst.rule:<13}largest error {worst.error:.3g}, tolerance {worst.bound:.3g}, "
            f"at {list(worst.index)}"
            for worst in report.rules
        ),
        f"host time    {decoded.seconds:.3f} s for plan, launches, synchronise",
        f"in all       {total_seconds:.3f} s with inputs and reference",
    ]
    if not decoded.repeatable:
        lines.append("NOT REPEATABLE: two runs of the case differ")
    lines.append("ok" if report.ok and decoded.repeatable else "WRONG")
    return "\n".join(lines)
