# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention trace`: write what one case did on the virtual NPU, to look at."""

from __future__ import annotations

import argparse
import json
import os
import pathlib

from ascend_attention.cli.case_problem import UsageError, say_failed
from ascend_attention.cli.observed import observe, use_virtual_npu

SUFFIXES = (".html", ".json", ".json.gz", ".txt")


def output_path(text: str) -> pathlib.Path:
    """Type of the option -o: a file that can be written, in a form that we have."""
    path = pathlib.Path(text)
    if not path.name.endswith(SUFFIXES):
        raise argparse.ArgumentTypeError(
            f"{text!r}; its ending must be .html (page), .json or .json.gz (Perfetto trace) or .txt"
        )
    refuse_unwritable(path, argparse.ArgumentTypeError)
    return path


def refuse_unwritable(path: pathlib.Path, error: type[Exception]) -> None:
    """Raises `error` if no file can be made there."""
    if not path.parent.is_dir():
        raise error(f"{str(path)!r}; there is no folder {str(path.parent)!r}")
    if path.is_dir():
        raise error(f"{str(path)!r}; it is a folder, expected a file")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise error(f"{str(path)!r}; it cannot be written: no permission")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a command that writes a report."""
    parser.add_argument(
        "-o",
        "--output",
        type=output_path,
        required=True,
        metavar="FILE",
        help=".html: a page; .json, .json.gz: a trace for ui.perfetto.dev; .txt: text",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def refuse_to_overwrite(args: argparse.Namespace) -> None:
    """Raises UsageError if the output is there and --force is not."""
    if args.output.exists() and not args.force:
        raise UsageError(f"{args.output} exists; choose another --output or say --force")


def run(args: argparse.Namespace) -> int:
    """Runs the subcommand; returns the exit code."""
    refuse_to_overwrite(args)
    use_virtual_npu(args.soc)
    seen = observe(args.case, checks="all", timing=True, warm_l2=args.l2 == "warm")
    result: dict[str, object] = {"ok": False, "case": str(args.case), "error": seen.error}
    if seen.error is None or seen.report.launches:
        seen.report.write(args.output, title=str(args.case), kv_bytes=seen.kv_bytes)
        result |= {
            "ok": True,
            "output": str(args.output),
            "bytes": args.output.stat().st_size,
            "verdict": seen.report.verdict,
        }
        count = len(seen.report.launches)
        launches = f"{count} launch" if count == 1 else f"{count} launches"
        print(f"{args.output}: {launches}, {seen.report.verdict}")
    else:
        say_failed(seen.error)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0 if result["ok"] else 2 if seen.is_refused else 1
