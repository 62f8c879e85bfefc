# SPDX-License-Identifier: Apache-2.0
"""`ascend-attention vnpu compile|run|check|time|trace|mutate k.cce --entry f`: your own kernel.

    ascend-attention vnpu check k.cce --entry scale_add --blocks 4 \\
        --arg in:f32:[1024] --arg in:f32:[1024] --arg out:f32:[1024] --arg i32:1024

Next: python/ascend_attention/cli/kernel_arguments.py - the form of --arg.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ascend_attention import vnpu
from ascend_attention.cli import kernel_arguments, trace
from ascend_attention.cli.case_problem import before_anything_runs
from ascend_attention.vnpu.kernel import DEFAULT_SOC

AddCommand = Callable[..., argparse.ArgumentParser]


def add_commands(commands: argparse._SubParsersAction, add_command: AddCommand) -> None:
    """Adds `vnpu` and its commands."""
    text = "Compile and run a kernel of your own on the virtual NPU."
    parent = commands.add_parser("vnpu", help=text, description=text, allow_abbrev=False)
    nested = parent.add_subparsers(title="commands", required=True, metavar="COMMAND")
    parser = add_command(nested, "compile", run_compile, "Compile a kernel; say what it takes.")
    _add_source(parser)
    parser.add_argument(
        "-o", "--output", type=_library_path, metavar="FILE", help="keep the library"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    for name, checks, timing, text in (
        ("run", "none", False, "Run a kernel and show its outputs."),
        ("check", "all", False, "Run a kernel under all checkers."),
        ("time", "none", True, "Run a kernel and model its time on a device."),
        ("trace", "all", True, "Run a kernel and write a report to look at."),
    ):
        parser = add_command(nested, name, run_launch, text)
        parser.set_defaults(command=name, checks=checks, timing=timing, output=None)
        _add_source(parser)
        _add_launch(parser)
        _add_checks(parser)
        if name == "trace":
            trace.add_output(parser)
    text = "Remove each flag, wait and barrier of a kernel, one at a time: do the checkers notice?"
    parser = add_command(nested, "mutate", run_mutate, text)
    _add_source(parser)
    _add_launch(parser, timeout=10.0)
    parser.add_argument(
        "--data", action="store_true", help="also shorten counts, confuse slots, shrink arrays"
    )
    parser.add_argument("--verbose", action="store_true", help="show every mutant")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="file with the kernel")
    parser.add_argument("--entry", required=True, help='its extern "C" __global__ function')
    parser.add_argument(
        "--define", action="append", default=[], metavar="NAME[=VALUE]", help="macro; repeatable"
    )
    parser.add_argument(
        "--include_dir", action="append", default=[], metavar="DIR", help="repeatable"
    )
    parser.add_argument("--cores", help="aic, aiv or aic,aiv; default: found out")
    parser.add_argument("--key", type=int, default=0, help="tiling key")


def _add_launch(parser: argparse.ArgumentParser, timeout: float = 60.0) -> None:
    parser.add_argument("--blocks", type=int, required=True, metavar="N", help="blocks to launch")
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        type=kernel_arguments.parse,
        metavar="ARG",
        help="one per parameter: in:f16:[4,256]:random, in:@x.npy, inout:..., out:f32:[1024], "
        "work:u8:4096, i32:16, sync, null",
    )
    parser.add_argument("--soc", default=DEFAULT_SOC, metavar="NAME", help="chip to be")
    parser.add_argument(
        "--timeout", type=float, default=timeout, metavar="S", help="seconds of host"
    )


def _add_checks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strict_gm_visibility",
        action="store_true",
        help="demand dsb(DSB_DDR) before the flag that hands GM to another core",
    )
    parser.add_argument(
        "--save_outputs",
        type=pathlib.Path,
        metavar="DIR",
        help="write each output as DIR/<name>.npy",
    )


def run_compile(args: argparse.Namespace) -> int:
    """Runs `vnpu compile`; returns the exit code."""
    if args.output is not None:
        trace.refuse_to_overwrite(args)
    kernel = _compile(args)
    if args.output is not None:
        args.output.unlink(missing_ok=True)
        kernel.save(args.output)
    print(f"{kernel.name} for {' and '.join(core.upper() for core in kernel.cores)}")
    for parameter in kernel.parameters:
        print(f"  {parameter}")
    if args.json:
        print(json.dumps({"ok": True, **_kernel_fields(kernel)}))
    return 0


def run_launch(args: argparse.Namespace) -> int:
    """Runs `vnpu run`, `check`, `time` or `trace`; returns the exit code."""
    if args.output is not None:
        trace.refuse_to_overwrite(args)
    kernel = _compile(args)
    with before_anything_runs():
        files = _output_files(kernel, args)
        result = kernel.launch(
            args.blocks,
            *_arguments(args),
            checks=args.checks,
            timing=args.timing,
            soc=args.soc,
            timeout=args.timeout,
            strict_gm_visibility=args.strict_gm_visibility,
        )
    print(result.report.to_text().rstrip())
    for name, array in result.outputs.items():
        print(f"{name:<12} {array.dtype} {list(array.shape)}  {_glance(array)}")
    for name, path in files.items():
        with open(path, "xb") as file:
            np.save(file, result.outputs[name])
        print(f"{name:<12} saved to {path}")
    if args.output is not None:
        result.report.write(args.output, title=kernel.name)
        print(f"{args.output}: {result.report.verdict}")
    if args.json:
        print(json.dumps(_fields(args, kernel, result), allow_nan=False))
    return 0 if result.report.verdict == "clean" else 1


def run_mutate(args: argparse.Namespace) -> int:
    """Runs `vnpu mutate`; returns the exit code: 1 if a lost synchronisation goes unnoticed."""
    kernel = _compile(args)
    with before_anything_runs():
        report = kernel.mutate(
            args.blocks, *_arguments(args), data=args.data, soc=args.soc, timeout=args.timeout
        )
    print(report.to_text(verbose=args.verbose).rstrip())
    sync = report.summary(sync=True)
    if args.json:
        result = {"kernel": kernel.name, "blocks": args.blocks, **sync}
        if args.data:
            result["data"] = report.summary(sync=False)
        if args.verbose:
            result["all"] = [mutant.to_dict() for mutant in report.mutants]
        print(json.dumps(result, allow_nan=False))
    return 0 if sync["survived"] == 0 else 1


def _compile(args: argparse.Namespace) -> vnpu.Kernel:
    macros = (define.partition("=") for define in args.define)
    with before_anything_runs():
        return vnpu.compile(
            args.source,
            entry=args.entry,
            defines={name: value if equals else None for name, equals, value in macros},
            include_dirs=args.include_dir,
            cores=args.cores.split(",") if args.cores is not None else None,
            key=args.key,
        )


def _arguments(args: argparse.Namespace) -> list[Any]:
    return [argument.make(position) for position, argument in enumerate(args.arg)]


def _library_path(text: str) -> pathlib.Path:
    path = pathlib.Path(text)
    trace.refuse_unwritable(path, argparse.ArgumentTypeError)
    return path


def _output_files(kernel: vnpu.Kernel, args: argparse.Namespace) -> dict[str, pathlib.Path]:
    """Where outputs go; refused before the launch if a file is there."""
    if args.save_outputs is None or len(args.arg) != len(kernel.parameters):
        return {}
    args.save_outputs.mkdir(parents=True, exist_ok=True)
    files = {
        parameter.name: args.save_outputs / f"{parameter.name}.npy"
        for parameter, argument in zip(kernel.parameters, args.arg, strict=True)
        if argument.is_result
    }
    for path in files.values():
        if path.exists():
            raise ValueError(f"{path} exists; choose another --save_outputs")
    return files


def _glance(array: np.ndarray) -> str:
    """The first values and what a reader would ask next."""
    if array.size == 0:
        return "empty"
    values = array.reshape(-1).astype(np.float64)
    first = " ".join(f"{value:g}" for value in values[:4]) + (" ..." if array.size > 4 else "")
    finite = values[np.isfinite(values)]
    span = f"min {finite.min():g} max {finite.max():g}" if finite.size else "nothing finite"
    bad = values.size - finite.size
    return f"[{first}]  {span}" + (f"  {bad} not finite" if bad else "")


def _kernel_fields(kernel: vnpu.Kernel) -> dict[str, object]:
    return {
        "kernel": kernel.name,
        "cores": list(kernel.cores),
        "parameters": [str(parameter) for parameter in kernel.parameters],
        "warnings": kernel.warnings,
    }


def _fields(
    args: argparse.Namespace, kernel: vnpu.Kernel, result: vnpu.Result
) -> dict[str, object]:
    report = result.report.to_dict()
    (launch,) = report["launches"]
    return {
        "verdict": report["verdict"],
        **_kernel_fields(kernel),
        "blocks": args.blocks,
        "checks": report["checks"],
        "findings": launch["findings"],
        "fault": launch["fault"],
        "timing": report["timing"],
        "outputs": {
            name: {"dtype": str(array.dtype), "shape": list(array.shape)}
            for name, array in result.outputs.items()
        },
    }
